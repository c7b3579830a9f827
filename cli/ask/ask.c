/* SPDX-License-Identifier: ISC */
/*
 * Asking a running watcher, and showing what it says of itself.
 */
#include "cli/ask/ask.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/frame/term.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/base/places.h"
#include "core/os/beneath.h"
#include "watcher/control.h"

/* A person who asked for a sync waits so long for what came of it. */
#define ASK_MS 600000

void watch_who_clear(struct watch_who *w)
{
	free(w->state);
	free(w->control);
	free(w->words);
}

/* The state of a site is closed to others, and so is its socket; a workstation's directory is not.
 */
int watch_paths(struct cli *cli, bool server, struct watch_who *ret, struct err *err)
{
	const char *site = server ? cli_site_dir(cli, err) : NULL;
	OWNED(freep) char *real = site != NULL ? realpath(site, NULL) : NULL;
	int n;

	if (server && site == NULL)
		return err->rc;
	if (server)
		n = asprintf(&ret->state, "%s.state", real != NULL ? real : site);
	else if (cli->station != NULL)
		n = asprintf(&ret->state, "%s/state", cli->station);
	else
		n = asprintf(&ret->state, "%s", PLACE_STATION);
	if (n < 0)
		ret->state = NULL;
	if (n >= 0 && server)
		n = asprintf(&ret->control, "%s",
			     cli->site != NULL ? ret->state : RUN_DIRECTORY "/server");
	else if (n >= 0)
		n = asprintf(&ret->control, "%s",
			     cli->station != NULL ? cli->station : RUN_DIRECTORY "/workstation");
	if (n < 0)
		ret->control = NULL;
	ret->cli = cli;
	ret->server = server;
	return n < 0 ? err_memory(err) : 0;
}

/* What it says of itself */

/* Where a medium is mounted was named by whoever made it. */
static void rows_print(const char *word, const struct watchfile_rows *list)
{
	char path[2 * LIMIT_PATH];

	for (size_t i = 0; i < list->n; i++) {
		const struct watchfile_row *row = &list->items[i];

		err_escape(path, sizeof(path), row->path);
		printf("  %-9s %s%s%s%s%s: %s\n", i == 0 ? word : "", row->kind,
		       row->kind[0] != '\0' ? " " : "", row->name, row->name[0] != '\0' ? " " : "",
		       path, row->how);
	}
}

static void file_print(const struct watchfile *f, int64_t now)
{
	char age[TEXT_SIZE], next[CLOCK_TEXT + 1], text[4 * sizeof(f->text)];

	err_escape(text, sizeof(text), f->text);
	age_text(age, f->last, now);
	if (!watchfile_runs(f))
		printf("  watcher   not running; last run %s\n", age);
	else if (f->running[0] != '\0')
		printf("  watcher   running a sync now (%s)\n", f->running);
	else if (f->last == 0)
		puts("  watcher   running; no sync yet");
	else
		printf("  watcher   last run %s (%s): %s%s%s\n", age, f->reason, f->result,
		       text[0] != '\0' ? ": " : "", text);
	if (!watchfile_runs(f))
		return;
	clock_format(next, f->next);
	if (f->next > 0)
		printf("  next      %s, at the latest (every %llu %s)\n", next,
		       (unsigned long long)(f->interval / 60),
		       plural(f->interval / 60, "minute", "minutes"));
	rows_print("watches", &f->place);
	rows_print("stick", &f->removable);
}

static void rows_json(struct json *j, const char *key, const struct watchfile_rows *list)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < list->n; i++) {
		const struct watchfile_row *row = &list->items[i];

		json_open(j, NULL, '{');
		if (row->kind[0] != '\0')
			json_text(j, "kind", row->kind);
		json_text(j, "path", row->path);
		if (row->name[0] != '\0')
			json_text(j, "name", row->name);
		json_text(j, "how", row->how);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void file_json(struct json *j, const char *key, const struct watchfile *f)
{
	json_open(j, key, '{');
	json_bool(j, "running", watchfile_runs(f));
	json_text(j, "at_work", f->running);
	json_time(j, "last", f->last);
	json_text(j, "reason", f->reason);
	json_text(j, "result", f->result);
	json_text(j, "text", f->text);
	json_time(j, "next", f->next);
	json_u64(j, "interval_seconds", f->interval);
	json_u64(j, "jitter_percent", f->jitter);
	rows_json(j, "places", &f->place);
	rows_json(j, "sticks", &f->removable);
	json_close(j, '}');
}

void watch_lines(const char *state, struct json *j)
{
	OWNED(watchfile_clear) struct watchfile f = {0};
	OWNED(fd_closep) int dir = os_open_dir(state, ERR_IGNORED);

	if (dir < 0 || watchfile_read(dir, &f, ERR_IGNORED) <= 0) {
		if (j == NULL)
			puts("  watcher   has never run here; start it with satchel watch");
		return;
	}
	if (j != NULL)
		file_json(j, "watcher", &f);
	else
		file_print(&f, clock_now());
}

int watch_file_print(struct cli *cli, const struct watchfile *f)
{
	struct json j = {stdout, false};

	if (cli->json) {
		file_json(&j, NULL, f);
		putchar('\n');
	} else {
		file_print(f, clock_now());
	}
	return 0;
}

/* Asking */

static int answer_print(struct cli *cli, unsigned verb, struct buf *answer, struct err *err)
{
	OWNED(watchfile_clear) struct watchfile f = {0};
	const char *text = (const char *)answer->p;
	int rc;

	if (verb == CONTROL_STATUS) {
		rc = watchfile_decode(bytes_in(answer), &f, err);
		return rc < 0 ? rc : watch_file_print(cli, &f);
	}
	if (text[0] < '0' || text[0] > '9' || text[1] != ' ') {
		fputs(text, stdout);
		return 0;
	}
	if (text[0] == '0') {
		fputs(text + 2, stdout);
		return 0;
	}
	return err_set(err, rc_of_class((enum exit_class)(text[0] - '0')), "%.*s",
		       (int)strcspn(text + 2, "\n"), text + 2);
}

int watch_ask(struct cli *cli, bool server, unsigned verb, struct err *err)
{
	OWNED(watch_who_clear) struct watch_who w = {0};
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	int rc = watch_paths(cli, server, &w, err);

	if (rc < 0)
		return rc;
	if (faccessat(AT_FDCWD, w.state, R_OK | W_OK | X_OK, AT_EACCESS) == 0 || errno != EACCES)
		return 0;
	rc = control_ask(w.control, (enum control_verb)verb, ASK_MS, &answer, err);
	if (rc == 0)
		rc = answer_print(cli, verb, &answer, err);
	return rc < 0 ? rc : 1;
}
