/* SPDX-License-Identifier: ISC */
/*
 * channel purge: what should never have been published goes from everywhere that the server
 * reaches, and who may hold it is told.
 */
#include <inttypes.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/publish/publish.h"
#include "bundler/published/published.h"
#include "bundler/site/site.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/server.h"
#include "core/base/own.h"

struct holders {
	struct strings name; /* owned */
	LIST(uint64_t) generation;
};

static void holders_clear(struct holders *h)
{
	strings_clear(&h->name);
	list_clear(&h->generation);
}

static int holder_add(void *arg, const char *name, uint64_t generation, struct err *err)
{
	struct holders *h = arg;
	int rc = strings_add(&h->name, name, err);

	return rc < 0 ? rc : list_push(&h->generation, generation, err);
}

static void holders_json(const struct holders *h, const char *channel, uint64_t generation)
{
	struct json j = {stdout, false};

	json_open(&j, NULL, '{');
	json_text(&j, "channel", channel);
	json_u64(&j, "generation", generation);
	json_open(&j, "holders", '[');
	for (size_t i = 0; i < h->name.n; i++) {
		json_open(&j, NULL, '{');
		json_text(&j, "workstation", h->name.items[i]);
		json_u64(&j, "generation", h->generation.items[i]);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	putchar('\n');
}

static void holders_text(const struct holders *h, const char *channel, uint64_t generation)
{
	printf("channel %s: every bundle was made anew from the source; generation %" PRIu64
	       " is all that is left\n",
	       channel, generation);
	for (size_t i = 0; i < h->name.n; i++)
		printf("%s holds generation %" PRIu64 ", by its newest receipt\n", h->name.items[i],
		       h->generation.items[i]);
	if (h->name.n == 0)
		puts("no workstation has said that it holds an earlier generation");
	puts("other depots and sticks lose it when they are carried to with --prune");
}

int cmd_channel_purge(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(holders_clear) struct holders h = {0};
	struct published_generation newest = {.generation = 0};
	const char *name = args->rest[0];
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && site_channel(s, name) == NULL)
		return server_no_channel(s, name, err);
	if (rc == 0)
		rc = publish_purge(s, name, args->rest + 1, args->rest_n - 1, holder_add, &h, err);
	if (rc == 0)
		rc = published_latest(s->db, name, &newest, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		holders_json(&h, name, newest.generation);
	else
		holders_text(&h, name, newest.generation);
	return 0;
}
