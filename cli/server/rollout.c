/* SPDX-License-Identifier: ISC */
/*
 * Rings: who gets a new generation before the others, and a person's word about one on its way.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/publish/publish_rollout.h"
#include "bundler/site/site.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/server.h"
#include "core/base/own.h"

static int number_take(char *from, uint64_t least, uint64_t most, uint64_t *ret, struct err *err)
{
	char *end;
	unsigned long long n = strtoull(from, &end, 10);

	if (from[0] < '0' || from[0] > '9' || *end != '\0' || n < least || n > most)
		return err_set(err, RC_USAGE,
			       "--rollout is WHO[,N[,HOURS]] with numbers: not \"%s\"", from);
	*ret = n;
	return 0;
}

static int ring_take(char *text, struct site_ring *ret, struct err *err)
{
	char *n = strchr(text, ','), *hours = n == NULL ? NULL : strchr(n + 1, ',');
	int rc = 0;

	*ret = (struct site_ring){.tos = 1, .healthy = 1, .hours = SITE_RING_HOURS};
	if (hours != NULL)
		*hours++ = '\0';
	if (n != NULL)
		*n++ = '\0';
	if (n != NULL)
		rc = number_take(n, 1, 1000000, &ret->healthy, err);
	if (rc == 0 && hours != NULL)
		rc = number_take(hours, 0, 8760, &ret->hours, err);
	return rc;
}

int channel_rings_take(struct site_channel *c, const struct args *args, struct channel_rings *rings,
		       struct err *err)
{
	char *given[ARGS_MAX];
	size_t n = args_list(args, "rollout", given);

	if (n > 0 && args_has(args, "no-rollout"))
		return err_set(err, RC_USAGE, "give --rollout or --no-rollout, not both");
	if (n > SITE_RINGS)
		return err_set(err, RC_USAGE, "a channel has at most %u rings", SITE_RINGS);
	if (n == 0 && !args_has(args, "no-rollout"))
		return 0;
	c->ring = rings->ring;
	c->ring_to = rings->to;
	c->rings = c->ring_tos = n;
	for (size_t i = 0; i < n; i++) {
		if (strlen(given[i]) >= sizeof(rings->text[i]))
			return err_set(err, RC_USAGE, "--rollout %s is too long", given[i]);
		memcpy(rings->text[i], given[i], strlen(given[i]) + 1);
		rings->to[i] = rings->text[i];
		if (ring_take(rings->text[i], &rings->ring[i], err) < 0)
			return err->rc;
		rings->ring[i].to = i;
	}
	return 0;
}

static int rollout_set(struct cli *cli, const char *name, bool stop, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && site_channel(s, name) == NULL)
		return server_no_channel(s, name, err);
	return rc < 0 ? rc : publish_rollout_set(s, name, stop, err);
}

int cmd_rollout_continue(struct cli *cli, const struct args *args, struct err *err)
{
	int rc = rollout_set(cli, args->rest[0], false, err);

	if (rc == 0)
		printf("channel %s goes on by one ring at the next publish\n", args->rest[0]);
	return rc;
}

int cmd_rollout_stop(struct cli *cli, const struct args *args, struct err *err)
{
	int rc = rollout_set(cli, args->rest[0], true, err);

	if (rc == 0)
		printf(
		    "channel %s stays in the rings that have it, until a later generation comes\n",
		    args->rest[0]);
	return rc;
}
