/* SPDX-License-Identifier: ISC */
/*
 * watch: the loop for a server or a workstation; what it says of itself; and asking it.
 */
#include "cli/watch/watch.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ask/ask.h"
#include "cli/frame/term.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "watcher/control.h"

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
	reporter_warning(w->cli->reporter, "no control socket: cannot write to %s", w->control);
	return false;
}

static int watch_run(struct watch_who *w, const struct args *args, struct err *err)
{
	struct watch_options o = {.work = {w, w->server ? watch_server : watch_station},
				  .state = w->state,
				  .reporter = w->cli->reporter};
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
		return err_set(err, RC_STATE,
			       "no watcher has run here yet; start one with satchel watch");
	return watch_file_print(w->cli, &f);
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
