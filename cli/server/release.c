/* SPDX-License-Identifier: ISC */
/*
 * release …: generations whose content publish keys must vouch for that are not on this server.
 */
#include <inttypes.h>
#include <string.h>

#include "bundler/publish/publish.h"
#include "bundler/published/published.h"
#include "bundler/site/site.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "core/base/own.h"

struct listing_out {
	struct output_list l;
	const struct trust *t;
};

static int release_row(void *arg, const struct published_release *r, struct err *err)
{
	struct listing_out *o = arg;
	char generation[24], have[48];

	if (o->l.cli->json) {
		json_open(&o->l.json, NULL, '{');
		json_text(&o->l.json, "channel", r->channel);
		json_u64(&o->l.json, "epoch", r->epoch);
		json_u64(&o->l.json, "generation", r->generation);
		json_u64(&o->l.json, "signatures", r->layers);
		json_u64(&o->l.json, "threshold", o->t->threshold[ROLE_PUBLISH]);
		json_close(&o->l.json, '}');
		return 0;
	}
	snprintf(generation, sizeof(generation), "%" PRIu64, r->generation);
	snprintf(have, sizeof(have), "%" PRIu64 " of %" PRIu32, r->layers,
		 o->t->threshold[ROLE_PUBLISH]);
	return output_list_cells(&o->l, err, r->channel, generation, have);
}

int cmd_release_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"CHANNEL", "GENERATION", "SIGNATURES"};
	OWNED(site_freep) struct site *s = NULL;
	struct listing_out o;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	o.t = &s->trust;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &o.l, err);
	if (rc == 0)
		rc = published_releases(s->db, release_row, &o, err);
	return output_list_end(&o.l, rc, "no generation waits for signatures");
}

struct wanted_release {
	const char *channel;
	struct buf content; /* owned */
};

static int release_find(void *arg, const struct published_release *r, struct err *err)
{
	struct wanted_release *w = arg;

	return strcmp(r->channel, w->channel) != 0
		   ? 0
		   : buf_add(&w->content, r->content.p, r->content.n, err);
}

int cmd_release_pending(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct wanted_release w = {.channel = args->rest[0]};
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = published_releases(s->db, release_find, &w, err);
	if (rc == 0 && w.content.n == 0)
		rc = err_set(err, RC_USAGE,
			     "no release of channel %s waits for signatures: satchel release list "
			     "shows those that do",
			     args->rest[0]);
	if (rc == 0)
		fwrite(w.content.p, 1, w.content.n, stdout);
	buf_clear(&w.content);
	return rc;
}

int cmd_release_drop(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	uint64_t generation = 0;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = release_discard(s, args->rest[0], &generation, err);
	if (rc < 0)
		return rc;
	printf("generation %" PRIu64 " of channel %s is discarded\n", generation, args->rest[0]);
	reporter_info(cli->reporter,
		      "correct its source, and run satchel publish: that makes a full bundle");
	return 0;
}

int cmd_release_import(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	const char *key_file = args_text(args, "key", NULL);
	struct release_state state;
	struct key_public key;
	int rc;

	if (key_file == NULL)
		return err_set(err, RC_USAGE,
			       "release import needs --key, the public key that signed");
	rc = cli_public_read(key_file, &key, err);
	if (rc == 0)
		rc = cli_file_read(args->rest[0], 8192, &sig, err);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = release_import(s, bytes_in(&sig), &key, &state, err);
	if (rc < 0)
		return rc;
	if (!state.released) {
		printf("generation %" PRIu64 " of channel %s waits for more signatures\n",
		       state.generation, state.channel);
		return 0;
	}
	printf("generation %" PRIu64 " of channel %s is released\n", state.generation,
	       state.channel);
	reporter_info(cli->reporter, "run satchel publish to post it");
	return 0;
}
