/*
 * watch: the loop for a server or a workstation; what it says of itself; and asking it.
 */
#include "cli/watch.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/station.h"
#include "cli/term.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "watcher/control.h"

/* The machine's own watchers; made by the service manager, or by us when we may. */
#define RUN_DIRECTORY "/run/satchel"
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
		n = asprintf(&ret->state, "/var/lib/satchel");
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

void watch_said(struct run_result *ret, const char *fmt, ...)
{
	size_t used = strlen(ret->text);
	va_list ap;

	if (used > 0 && used + 3 < sizeof(ret->text))
		used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used, "; ");
	va_start(ap, fmt);
	vsnprintf(ret->text + used, sizeof(ret->text) - used, fmt, ap);
	va_end(ap);
}

void watch_failed(struct run_result *ret, const struct err *err)
{
	ret->rc = err->rc;
	ret->nothing = false;
	if (strstr(ret->text, err->text) == NULL)
		watch_said(ret, "%s", err->text);
}

int watch_flush(const char *path, struct err *err)
{
	OWNED(fd_closep) int fd = os_open_dir(path, err);

	if (fd < 0)
		return fd;
	return syncfs(fd) < 0 ? err_sys(err, RC_IO, "cannot flush %s", path) : 0;
}

/* A directory of the machine for the socket; without one there is none, which is worth a word. */
static bool control_there(const struct watch_who *w)
{
	struct stat st;

	if (strncmp(w->control, RUN_DIRECTORY, strlen(RUN_DIRECTORY)) == 0) {
		mkdir(RUN_DIRECTORY, 0755);
		mkdir(w->control, 0755);
	}
	if (stat(w->control, &st) == 0 && S_ISDIR(st.st_mode) && access(w->control, W_OK) == 0)
		return true;
	say_warning(w->cli->say, "no control socket: %s cannot be written", w->control);
	return false;
}

static int watch_run(struct watch_who *w, const struct args *args, struct err *err)
{
	struct watch_options o = {.work = {w, w->server ? watch_server : watch_station},
				  .state = w->state,
				  .say = w->cli->say};
	uint64_t seconds;
	int rc = args_number(args, "every", 31 * 86400, 0, &seconds, err);

	if (rc == 0)
		rc = w->server ? watch_server_who(w, err) : watch_station_who(w, err);
	if (rc < 0)
		return rc;
	o.state = w->state;
	o.control = control_there(w) ? w->control : NULL;
	o.words = w->words;
	o.every_ms = (int64_t)seconds * 1000;
	o.seed = w->seed;
	return watch_loop(&o, err);
}

/* What it says of itself */

/* Where a medium is mounted was named by whoever made it. */
static void rows_print(const char *word, const struct watchfile_row *row, size_t n)
{
	char path[2 * LIMIT_PATH];

	for (size_t i = 0; i < n; i++) {
		err_escape(path, sizeof(path), row[i].path);
		printf("  %-9s %s%s%s%s%s: %s\n", i == 0 ? word : "", row[i].kind,
		       row[i].kind[0] != '\0' ? " " : "", row[i].name,
		       row[i].name[0] != '\0' ? " " : "", path, row[i].how);
	}
}

static void file_print(const struct watchfile *f, int64_t now)
{
	char age[TEXT_SIZE], next[CLOCK_TEXT + 1], text[4 * sizeof(f->text)];

	err_escape(text, sizeof(text), f->text);
	age_text(age, f->last, now);
	if (!watchfile_runs(f))
		printf("  watcher   not running; it ran last %s\n", age);
	else if (f->running[0] != '\0')
		printf("  watcher   at work now (%s)\n", f->running);
	else if (f->last == 0)
		puts("  watcher   running, nothing done yet");
	else
		printf("  watcher   ran last %s (%s): %s%s%s\n", age, f->reason, f->result,
		       text[0] != '\0' ? ": " : "", text);
	if (!watchfile_runs(f))
		return;
	clock_format(next, f->next);
	if (f->next > 0)
		printf("  next      %s, at the latest (every %llu minutes)\n", next,
		       (unsigned long long)(f->interval / 60));
	rows_print("watches", f->place, f->places);
	rows_print("stick", f->stick, f->sticks);
}

static void rows_json(struct json *j, const char *key, const struct watchfile_row *row, size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++) {
		json_open(j, NULL, '{');
		if (row[i].kind[0] != '\0')
			json_text(j, "kind", row[i].kind);
		json_text(j, "path", row[i].path);
		if (row[i].name[0] != '\0')
			json_text(j, "name", row[i].name);
		json_text(j, "how", row[i].how);
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
	rows_json(j, "places", f->place, f->places);
	rows_json(j, "sticks", f->stick, f->sticks);
	json_close(j, '}');
}

void watch_lines(const char *state, struct json *j)
{
	OWNED(watchfile_clear) struct watchfile f = {0};
	OWNED(fd_closep) int dir = os_open_dir(state, NULL);

	if (dir < 0 || watchfile_read(dir, &f, NULL) <= 0) {
		if (j == NULL)
			puts("  watcher   never ran here: satchel watch");
		return;
	}
	if (j != NULL)
		file_json(j, "watcher", &f);
	else
		file_print(&f, clock_now());
}

static int status_print(struct cli *cli, const struct watchfile *f)
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
		return rc < 0 ? rc : status_print(cli, &f);
	}
	if (text[0] < '0' || text[0] > '9' || text[1] != ' ') {
		fputs(text, stdout);
		return 0;
	}
	if (text[0] == '0') {
		fputs(text + 2, stdout);
		return 0;
	}
	for (rc = -1; rc_status(rc) != text[0] - '0' && rc > -64;)
		rc--;
	return err_set(err, rc, "%.*s", (int)strcspn(text + 2, "\n"), text + 2);
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

static int watch_status(struct watch_who *w, struct err *err)
{
	struct err ignored;
	OWNED(watchfile_clear) struct watchfile f = {0};
	OWNED(fd_closep) int dir = -1;
	int rc = watch_ask(w->cli, w->server, CONTROL_STATUS, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* site.yaml may name another state directory; one that is damaged now may not. */
	if (w->server)
		watch_server_who(w, &ignored);
	dir = os_open_dir(w->state, err);
	rc = dir < 0 ? dir : watchfile_read(dir, &f, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, RC_STATE, "no watcher has run here yet: satchel watch");
	return status_print(w->cli, &f);
}

int cmd_watch(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(watch_who_clear) struct watch_who w = {0};
	bool server;
	int rc = cli_on_server(cli, &server, err);

	if (rc == 0)
		rc = watch_paths(cli, server, &w, err);
	if (rc < 0)
		return rc;
	return args_has(args, "status") ? watch_status(&w, err) : watch_run(&w, args, err);
}
