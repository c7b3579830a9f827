/* SPDX-License-Identifier: ISC */
/*
 * channel seal and rekey: for whose eyes a channel is.
 */
#include <inttypes.h>
#include <string.h>

#include "bundler/carry/consignment.h"
#include "bundler/documents/documents.h"
#include "bundler/publish/publish.h"
#include "bundler/published/published.h"
#include "bundler/sealed/sealed.h"
#include "bundler/site/site.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/server.h"
#include "core/base/clock.h"
#include "core/base/own.h"

int channel_seal_check(struct site *s, const char *name, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	char text[PUBLISH_NAMES];
	int rc = publish_unready(s, name, true, &names, err);

	if (rc < 0 || names.n == 0)
		return rc;
	publish_names(&names, text);
	return err_set(err, RC_CONFLICT,
		       "channel %s cannot be sealed: %zu of the workstations that it is for %s not "
		       "reported that %s sealed channels: %s. Update satchel there and wait for a "
		       "receipt",
		       name, names.n, names.n == 1 ? "has" : "have",
		       names.n == 1 ? "it reads" : "they read", text);
}

/* Sticks that left while the channel could be read by everybody. */
struct carried {
	struct site *s;
	const char *channel;
	size_t n;
};

static int carried_tell(void *arg, const struct consignment *c, struct err *err)
{
	struct carried *l = arg;
	struct published_generation g;
	char at[CLOCK_TEXT + 1];
	int rc = published_at_beat(l->s->db, l->channel, c->beat, &g, err);

	if (rc <= 0 || !digest_is_zero(&g.salt))
		return rc < 0 ? rc : 0;
	if (l->n++ == 0)
		printf(
		    "these may hold bundles of it that are not sealed; carry to them again after "
		    "the next publish, or erase them:\n");
	clock_format(at, c->at);
	printf("  %s, carried to on %.10s, for %s\n", c->depot, at,
	       c->audience[0] != '\0' ? c->audience : "everybody");
	return 0;
}

static int seal(struct cli *cli, struct site *s, struct site_channel *found, struct err *err)
{
	struct site_channel c = *found; /* which moves when it is written */
	struct carried l = {.s = s, .channel = c.name};
	int rc;

	/* The audience is looked for among the channels that are sealed. */
	found->sealed = true;
	rc = channel_seal_check(s, c.name, err);
	found->sealed = false;
	c.sealed = true;
	if (rc == 0)
		rc = site_channel_write(s, &c, err);
	if (rc < 0)
		return rc;
	printf(
	    "channel %s is sealed from the next publish on, which makes a full bundle and removes "
	    "the old ones from the depot\n",
	    l.channel);
	rc = consignments(s, carried_tell, &l, err);
	if (rc == 0)
		reporter_info(
		    cli->reporter,
		    "what was copied from the depot or from a stick before stays readable");
	return rc;
}

int cmd_channel_seal(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_channel *found;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	found = site_channel(s, args->rest[0]);
	if (found == NULL)
		return server_no_channel(s, args->rest[0], err);
	if (found->sealed) {
		printf("channel %s is sealed already\n", found->name);
		return 0;
	}
	return seal(cli, s, found, err);
}

int cmd_channel_rekey(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	const struct site_channel *c;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	c = site_channel(s, args->rest[0]);
	if (c == NULL)
		return server_no_channel(s, args->rest[0], err);
	if (!c->sealed)
		return err_set(err, RC_USAGE,
			       "channel %s is not sealed: satchel channel seal %s seals it",
			       c->name, c->name);
	rc = sealed_ask(s->db, c->name, err);
	if (rc == 0)
		printf("the content key of channel %s changes at the next publish\n", c->name);
	return rc;
}
