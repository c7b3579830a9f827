/* SPDX-License-Identifier: ISC */
/*
 * The command rollback: what is kept of earlier generations, and the way back to one of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "applier/open/open.h"
#include "applier/sync/sync.h"
#include "applier/trees/tree.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct kept_print {
	struct json *json; /* NULL: text */
	const char *channel;
	bool any;
};

static int each_kept(void *arg, const struct undo_step *step, struct err *err)
{
	struct kept_print *p = arg;
	char bytes[TEXT_SIZE], at[CLOCK_TEXT + 1];

	(void)err;
	if (!step->rest)
		return 0;
	p->any = true;
	clock_format(at, step->at);
	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_text(p->json, "channel", p->channel);
		json_u64(p->json, "generation", step->from.generation);
		json_text(p->json, "until", at);
		json_u64(p->json, "bytes", step->bytes);
		json_close(p->json, '}');
		return 0;
	}
	size_text(bytes, step->bytes);
	printf("%s: generation %" PRIu64 ", held until %s, %s\n", p->channel, step->from.generation,
	       at, bytes);
	return 0;
}

static int kept_list(struct cli *cli, struct station *s, struct err *err)
{
	OWNED(strings_clear) struct strings trees = {0};
	struct json j = {stdout, false};
	struct kept_print p = {.json = cli->json ? &j : NULL};
	int rc = tree_list(s, &trees, err);

	if (cli->json)
		json_open(&j, NULL, '[');
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		p.channel = trees.items[i];
		rc = rollback_kept(s, trees.items[i], each_kept, &p, err);
	}
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0 && !p.any) {
		puts("nothing is kept of an earlier generation");
	}
	return rc;
}

static int generation_read(const char *text, uint64_t *ret, struct err *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno == 0 && text[0] >= '1' && text[0] <= '9' && *end == '\0')
		return 0;
	return err_set(err, RC_USAGE, "a generation is a number from 1 on");
}

int cmd_rollback(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	struct rollback_result r = {0, 0};
	struct json j = {stdout, false};
	uint64_t generation = 0;
	int rc = args->rest_n > 1 ? generation_read(args->rest[1], &generation, err) : 0;

	if (rc == 0)
		rc = station_open(cli->station, args->rest_n == 0 ? 0 : STATION_LOCK, cli->reporter,
				  &s, err);
	if (rc < 0)
		return rc;
	if (args->rest_n == 0)
		return kept_list(cli, s, err);
	if (args_has(args, "again"))
		return rollback_again(s, args->rest[0], err);
	rc = sync_rollback(s, args->rest[0], generation, &r, err);
	if (r.to == 0)
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_text(&j, "channel", args->rest[0]);
		json_u64(&j, "before", r.from);
		json_u64(&j, "after", r.to);
		json_close(&j, '}');
		putchar('\n');
	} else {
		printf("%s: generation %" PRIu64 " -> %" PRIu64 "\n", args->rest[0], r.from, r.to);
	}
	return rc;
}
