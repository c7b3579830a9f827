/* SPDX-License-Identifier: ISC */
/*
 * doctor: what is wrong or soon will be, on either side, each with its remedy.
 */
#include <string.h>
#include <unistd.h>

#include "applier/doctor/doctor.h"
#include "bundler/doctor/doctor.h"
#include "cli/ask/ask.h"
#include "cli/frame/cli.h"
#include "cli/frame/term.h"
#include "cli/watch/watch.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/examine.h"

struct doctor {
	struct cli *cli;
	struct json *json; /* NULL: text */
	bool server;
};

static void check_kernel(void *arg, struct findings *f)
{
	examine_kernel(f);
}

static void check_libraries(void *arg, struct findings *f)
{
	examine_libraries(f);
}

/* Units are for the machine's own site or workstation; what lives in a directory is run by hand. */
static void check_units(void *arg, struct findings *f)
{
	struct doctor *d = arg;

	if (d->server && d->cli->site == d->cli->site_from_file)
		examine_unit(f, "satchel-server.service", "satchel-server-sync.timer");
	else if (!d->server && d->cli->station == NULL)
		examine_unit(f, "satchel-workstation.service", "satchel-workstation-sync.timer");
}

static void places_examine(const struct watchfile *w, struct findings *f)
{
	for (size_t i = 0; i < w->place.n; i++) {
		const struct watchfile_row *row = &w->place.items[i];

		if (strstr(row->how, "limit of inotify") != NULL) {
			found_warning(
			    f, "%s %s is only checked by timer: the limit of inotify is reached",
			    row->kind, row->path);
			found_remedy(
			    f, "raise fs.inotify.max_user_watches with sysctl, and for good in "
			       "/etc/sysctl.d");
		} else if (strcmp(row->how, "silent") == 0) {
			found_warning(f, "%s %s does not answer the watcher", row->kind, row->path);
			found_remedy(
			    f, "check the mount or the network; the watcher tries again by itself");
		}
	}
}

/* What the watcher says of itself. */
static void watcher_examine(const struct watchfile *w, int64_t now, struct findings *f)
{
	char age[TEXT_SIZE];

	age_text(age, w->last, now);
	if (!watchfile_runs(w)) {
		found_warning(f, "the watcher has ended; its last run was %s", age);
		found_remedy(f, "see in its journal why it ended, and start it again");
		return;
	}
	places_examine(w, f);
	if (w->running[0] == '\0' && w->last > 0 && strcmp(w->result, "done") != 0) {
		found_warning(f, "the last run of the watcher (%s) failed: %s", age, w->text);
		found_remedy(f, "run satchel sync to see the error again");
	} else if (w->next > 0 && now > w->next + (int64_t)w->interval) {
		found_warning(f, "the watcher (process %llu) is overdue; its last run was %s",
			      (unsigned long long)w->process, age);
		found_remedy(f, "start it again");
	} else {
		found_ok(f, "process %llu watches; its last run was %s",
			 (unsigned long long)w->process, age);
	}
}

static void check_watcher(void *arg, struct findings *f)
{
	struct doctor *d = arg;
	OWNED(watch_who_clear) struct watch_who who = {0};
	OWNED(watchfile_clear) struct watchfile w = {0};
	OWNED(fd_closep) int dir = -1;
	struct err err = {0}, ignored = {0};
	int rc = watch_paths(d->cli, d->server, &who, &err);

	/* A site's documents may name another state directory; what is wrong there is told below.
	 */
	if (rc == 0 && d->server)
		watch_server_who(&who, &ignored);
	dir = rc < 0 ? -1 : os_open_dir(who.state, ERR_IGNORED);
	rc = dir < 0 ? 0 : watchfile_read(dir, &w, &err);
	if (rc < 0)
		found_err(f, &err);
	else if (rc == 0)
		found_ok(f, "no watcher has run here");
	else
		watcher_examine(&w, clock_now(), f);
}

/* Of the machine, whichever side it is; those of a side are in bundler/doctor/doctor.c,
 * applier/doctor/doctor.c.
 */
static const struct check machine_checks[] = {
    {"kernel", check_kernel},
    {"libraries", check_libraries},
    {"units", check_units},
    {"watcher", check_watcher},
};

static void each_finding(void *arg, const struct finding *one)
{
	struct doctor *d = arg;
	char level[64], text[4 * ERR_TEXT_MAX];

	if (d->json != NULL) {
		json_open(d->json, NULL, '{');
		json_text(d->json, "check", one->check);
		json_text(d->json, "level", finding_levels[one->level]);
		json_text(d->json, "class", one->rc == 0 ? "" : rc_slug(one->rc));
		json_text(d->json, "text", one->text);
		json_text(d->json, "remedy", one->remedy);
		json_close(d->json, '}');
		return;
	}
	term_line_end(d->cli->term);
	colour_word(d->cli->term, finding_levels[one->level], level, sizeof(level));
	err_escape(text, sizeof(text), one->text);
	printf("%s%*s  %-11s  %s\n", level, (int)(7 - strlen(finding_levels[one->level])), "",
	       one->check, text);
	if (one->remedy[0] != '\0') {
		err_escape(text, sizeof(text), one->remedy);
		printf("%22s%s %s\n", "", one->level == FINDING_OK ? "  " : "->", text);
	}
}

static int doctor_end(const struct doctor *d, const struct findings *f, struct err *err)
{
	unsigned wrong = f->count[FINDING_WRONG], warnings = f->count[FINDING_WARNING];

	if (wrong > 0)
		return err_set(err, f->worst, "%u %s wrong, %u %s", wrong,
			       plural(wrong, "thing is", "things are"), warnings,
			       plural(warnings, "warning", "warnings"));
	if (d->json == NULL)
		printf("nothing is wrong, %u %s\n", warnings,
		       plural(warnings, "warning", "warnings"));
	return 0;
}

int cmd_doctor(struct cli *cli, const struct args *args, struct err *err)
{
	struct json j = {stdout, false};
	struct doctor d = {.cli = cli, .json = cli->json ? &j : NULL};
	struct findings f = {.each = each_finding, .arg = &d};
	const char *dir = NULL;
	int rc = cli_on_server(cli, &d.server, err);

	if (rc < 0)
		return rc;
	if (d.server) {
		dir = cli_site_dir(cli, err);
		if (dir == NULL)
			return err->rc;
	}
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_text(&j, "side", d.server ? "server" : "workstation");
		json_open(&j, "findings", '[');
	}
	checks_run(machine_checks, ARRAY_LEN(machine_checks), &d, &f);
	if (d.server)
		site_examine(dir, cli->reporter, &f);
	else
		station_examine(cli->station, cli->reporter, &f);
	if (cli->json) {
		json_close(&j, ']');
		json_u64(&j, "wrong", f.count[FINDING_WRONG]);
		json_u64(&j, "warnings", f.count[FINDING_WARNING]);
		json_close(&j, '}');
		putchar('\n');
	}
	return doctor_end(&d, &f, err);
}
