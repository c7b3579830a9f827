/* SPDX-License-Identifier: ISC */
/*
 * The command resolve: what is in the way of an update that was refused, and what a person says to
 * each: it stays (mine), or what is published takes its place and it is kept aside (theirs).
 */
#include <string.h>

#include "applier/apply/applied.h"
#include "applier/apply/conflict.h"
#include "applier/open/open.h"
#include "applier/trees/tree.h"
#include "cli/frame/show.h"
#include "core/base/own.h"

struct conflicts_print {
	struct json *json; /* NULL: text */
	const char *channel;
	uint64_t open, answered, kept;
};

static void row_print(struct conflicts_print *p, const char *path, const char *why,
		      const char *answer)
{
	char text[4 * LIMIT_PATH + 1];

	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_text(p->json, "channel", p->channel);
		json_text(p->json, "path", path);
		json_text(p->json, "why", why);
		json_text(p->json, "answer", answer);
		json_close(p->json, '}');
		return;
	}
	err_escape(text, sizeof(text), path);
	printf("%s: %s: %s: %s\n", p->channel, text, why,
	       answer[0] == '\0' ? "no answer yet" : answer);
}

static int conflict_print(void *arg, const struct conflict *c, struct err *err)
{
	struct conflicts_print *p = arg;

	(void)err;
	p->open += c->answer[0] == '\0';
	p->answered += c->answer[0] != '\0';
	row_print(p, c->path, c->why, c->answer);
	return 0;
}

static int kept_print(void *arg, const char *path, struct err *err)
{
	struct conflicts_print *p = arg;

	(void)err;
	p->kept++;
	row_print(p, path, "it is not as it was published", "kept");
	return 0;
}

static void remedies_print(const struct conflicts_print *p)
{
	if (p->open + p->answered + p->kept == 0)
		puts("nothing is in the way");
	if (p->open > 0)
		puts(
		    "satchel resolve CHANNEL PATH --mine keeps what is here; with --theirs what is "
		    "published takes its place, and it is kept aside");
	if (p->answered > 0)
		puts("the next satchel apply goes by the answers");
	if (p->kept > 0)
		puts(
		    "satchel repair CHANNEL PATH brings back what was published in place of what is "
		    "kept");
}

static int conflicts_list(struct cli *cli, struct station *s, const char *only, struct err *err)
{
	OWNED(strings_clear) struct strings trees = {0};
	struct json j = {stdout, false};
	struct conflicts_print p = {.json = cli->json ? &j : NULL};
	int rc = tree_list(s, &trees, err);

	if (cli->json)
		json_open(&j, NULL, '[');
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		p.channel = trees.items[i];
		if (only != NULL && strcmp(only, p.channel) != 0)
			continue;
		rc = conflict_each(s, p.channel, conflict_print, &p, err);
		if (rc == 0)
			rc = deviation_each(s, p.channel, kept_print, &p, err);
	}
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0) {
		remedies_print(&p);
	}
	return rc;
}

static int answer_put(struct station *s, const char *tree, const char *path,
		      enum conflict_answer answer, uint64_t *n, struct err *err)
{
	int rc = conflict_answer_put(s, tree, path, answer, err);

	if (rc < 0)
		return rc;
	*n += (uint64_t)rc;
	if (rc > 0)
		return 0;
	return path == NULL
		   ? err_set(err, RC_USAGE, "nothing is in the way of channel %s", tree)
		   : err_set(err, RC_USAGE,
			     "%s is in nobody's way: satchel resolve %s lists what is", path, tree);
}

static int answers_put(struct cli *cli, struct station *s, const struct args *args,
		       enum conflict_answer answer, struct err *err)
{
	const char *tree = args->rest[0];
	uint64_t n = 0;
	int rc = args->rest_n == 1 ? answer_put(s, tree, NULL, answer, &n, err) : 0;

	for (size_t i = 1; rc == 0 && i < args->rest_n; i++)
		rc = answer_put(s, tree, args->rest[i], answer, &n, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		return conflicts_list(cli, s, tree, err);
	printf("%s: %llu %s; the next satchel apply goes by %s\n", tree, (unsigned long long)n,
	       answer == CONFLICT_MINE
		   ? plural(n, "entry stays as it is here", "entries stay as they are here")
		   : plural(n, "entry becomes what is published, and is kept aside",
			    "entries become what is published, and are kept aside"),
	       n == 1 ? "it" : "them");
	return 0;
}

int cmd_resolve(struct cli *cli, const struct args *args, struct err *err)
{
	bool mine = args_has(args, "mine"), theirs = args_has(args, "theirs");
	OWNED(station_freep) struct station *s = NULL;
	int rc;

	if (mine && theirs)
		return err_set(err, RC_USAGE, "--mine or --theirs, not both");
	if (args->rest_n == 0 && (mine || theirs))
		return err_set(err, RC_USAGE, "of which channel? satchel resolve lists them");
	if (args->rest_n > 1 && !mine && !theirs)
		return err_set(err, RC_USAGE, "--mine or --theirs?");
	rc = station_open(cli->station, mine || theirs ? STATION_LOCK : 0, cli->reporter, &s, err);
	if (rc < 0)
		return rc;
	if (!mine && !theirs)
		return conflicts_list(cli, s, args->rest_n == 0 ? NULL : args->rest[0], err);
	return answers_put(cli, s, args, mine ? CONFLICT_MINE : CONFLICT_THEIRS, err);
}
