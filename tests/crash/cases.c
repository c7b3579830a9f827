/* SPDX-License-Identifier: ISC */
/* The runs that are cut off, each in a small world with a change of every kind under way. */
#include "tests/crash/cases.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"

static void path_of(char dst[PATH_MAX], const char *dir, const char *name)
{
	snprintf(dst, PATH_MAX, "%s/%s", dir, name);
}

static void write_at(struct world *w, const char *dir, const char *name, size_t n)
{
	char path[PATH_MAX];

	path_of(path, dir, name);
	content_write(w, path, n);
}

static void dir_at(const char *dir, const char *name)
{
	char path[PATH_MAX];

	path_of(path, dir, name);
	mkdir(path, 0755);
}

static void must(struct world *w, int status, const char *what)
{
	if (status != 0)
		world_fail(w, "%s ends with %d", what, status);
}

/* One change of every kind. */
static void source_change(struct world *w)
{
	const char *dir = w->channel[0].source;
	char a[PATH_MAX], b[PATH_MAX];

	write_at(w, dir, "a", 900);
	write_at(w, dir, "changed", 40000);
	path_of(a, dir, "b");
	path_of(b, dir, "renamed");
	rename(a, b);
	path_of(a, dir, "c");
	unlink(a);
	mkdir(a, 0755);
	write_at(w, a, "inside", 10);
	path_of(a, dir, "old");
	tree_remove(a);
	path_of(a, dir, "d");
	chmod(a, 0600);
	dir_at(dir, "new");
	dir_at(dir, "new/deep");
	write_at(w, dir, "new/deep/x", 3000);
	write_at(w, dir, "new/y", 0);
	path_of(a, dir, "link");
	unlink(a);
	if (symlink("new/y", a) < 0)
		world_fail(w, "no link");
}

static void apply_one(struct world *w, int i)
{
	int status = station(w, &w->station[i], "apply", NULL);

	must(w, status, "apply");
	oracle_ran(w, &w->station[i], status);
}

static void two_generations(struct world *w)
{
	const char *dir = w->channel[0].source;
	char path[PATH_MAX];

	write_at(w, dir, "changed", 40000);
	dir_at(dir, "old");
	write_at(w, dir, "old/one", 500);
	write_at(w, dir, "old/two", 0);
	path_of(path, dir, "link");
	if (symlink("a", path) < 0)
		world_fail(w, "no link");
	must(w, server(w, "publish", NULL), "publish");
	oracle_published(w);
	apply_one(w, 0);
	apply_one(w, 1);
	must(w, server(w, "sync", NULL), "sync");
	source_change(w);
}

static void published(struct world *w)
{
	two_generations(w);
	must(w, server(w, "publish", NULL), "publish");
	oracle_published(w);
}

/* A person has changed a file that a bundle replaces, and added one that is in nobody's way. */
static void person_wrote(struct world *w)
{
	struct station *s = &w->station[0];
	char path[PATH_MAX];
	struct digest d;

	path_of(path, s->target[0].dir, "a");
	d = content_write(w, path, 100);
	oracle_wrote(w, s, &d);
	oracle_changed(w, s, 0, "a");
	path_of(path, s->target[0].dir, "mine");
	d = content_write(w, path, 100);
	oracle_wrote(w, s, &d);
	oracle_changed(w, s, 0, "mine");
}

/* A channel whose target has yet to be made, as have the directories above it. */
static void channel_new(struct world *w)
{
	const char *source = w->channel[1].source;

	must(w,
	     server(w, "channel", "add", "new", "--source", source, "--target", "/srv/a/new", NULL),
	     "channel add");
	must(w, server(w, "publish", NULL), "publish");
	oracle_published(w);
}

static void published_and_person(struct world *w)
{
	published(w);
	person_wrote(w);
}

static void applied(struct world *w)
{
	published(w);
	apply_one(w, 0);
	apply_one(w, 1);
	must(w, station(w, &w->station[1], "message", "report", "hello", NULL), "message report");
	apply_one(w, 1);
}

/* Somebody removed a file, and wrote another one anew. */
static void damaged(struct world *w)
{
	struct station *s = &w->station[0];
	char path[PATH_MAX];
	struct digest d;

	applied(w);
	path_of(path, s->target[0].dir, "renamed");
	unlink(path);
	oracle_changed(w, s, 0, "renamed");
	path_of(path, s->target[0].dir, "changed");
	d = content_write(w, path, 300);
	oracle_wrote(w, s, &d);
	oracle_changed(w, s, 0, "changed");
}

/* The server is what it was before the newest generation. */
static void server_old(struct world *w)
{
	char here[PATH_MAX], copy[PATH_MAX];

	two_generations(w);
	path_of(here, w->dir, "site.state");
	path_of(copy, w->dir, "copy");
	tree_copy(here, copy);
	must(w, server(w, "publish", NULL), "publish");
	oracle_published(w);
	apply_one(w, 0);
	tree_remove(here);
	if (rename(copy, here) < 0)
		world_fail(w, "no copy");
	oracle_server_old(w);
}

static int run_apply(struct world *w)
{
	return station(w, &w->station[0], "apply", NULL);
}

static int run_publish(struct world *w)
{
	return server(w, "publish", NULL);
}

static int run_collect(struct world *w)
{
	return server(w, "collect", NULL);
}

static int run_rollback(struct world *w)
{
	return station(w, &w->station[0], "rollback", w->channel[0].name, NULL);
}

/* What was left is not applied again, and that is said (8). */
static int run_apply_or_stay(struct world *w)
{
	int status = run_apply(w);

	return status == 8 ? 0 : status;
}

static int run_repair(struct world *w)
{
	return station(w, &w->station[0], "repair", NULL);
}

static int run_recover(struct world *w)
{
	return server(w, "recover", NULL);
}

static int run_carry(struct world *w)
{
	return bring(w, w->depot, w->stick[2]);
}

static void green(struct world *w, int i)
{
	if (!oracle_green(w, &w->station[i]))
		world_fail(w, "%s is not green", w->station[i].name);
}

static void after_apply(struct world *w)
{
	oracle_ran(w, &w->station[0], 0);
	must(w, server(w, "collect", NULL), "collect");
	green(w, 0);
}

static void after_first(struct world *w)
{
	char path[PATH_MAX];
	struct tree t;

	after_apply(w);
	path_of(path, w->station[0].dir, "root/srv/a/new");
	tree_read(path, &t);
	if (t.n == 0)
		world_fail(w, "the new target is not there");
	tree_clear(&t);
	must(w, look_station(w, &w->station[0], "drift", NULL), "drift");
}

static void after_publish(struct world *w)
{
	oracle_published(w);
	apply_one(w, 0);
	must(w, server(w, "collect", NULL), "collect");
	green(w, 0);
}

static void after_collect(struct world *w)
{
	green(w, 0);
	green(w, 1);
}

static void after_rollback(struct world *w)
{
	oracle_ran(w, &w->station[0], 0);
	must(w, look_station(w, &w->station[0], "drift", NULL), "drift");
	must(w, server(w, "collect", NULL), "collect");
}

static void after_recover(struct world *w)
{
	oracle_recovered(w);
	must(w, server(w, "publish", NULL), "publish");
	oracle_published(w);
	apply_one(w, 0);
	must(w, server(w, "collect", NULL), "collect");
	must(w, server(w, "publish", NULL), "publish");
	apply_one(w, 0);
	must(w, server(w, "collect", NULL), "collect");
	green(w, 0);
}

static void after_carry(struct world *w)
{
	apply_one(w, 2);
	must(w, bring(w, w->stick[2], w->depot), "carry");
	must(w, server(w, "collect", NULL), "collect");
	green(w, 2);
}

const struct crash_case crash_cases[] = {
    {"apply", published, run_apply, NULL, after_apply},
    {"apply-kept", published_and_person, run_apply, NULL, after_apply},
    {"apply-first", channel_new, run_apply, NULL, after_first},
    {"rollback", applied, run_rollback, run_apply_or_stay, after_rollback},
    {"repair", damaged, run_repair, NULL, after_apply},
    {"publish", two_generations, run_publish, NULL, after_publish},
    {"collect", applied, run_collect, NULL, after_collect},
    {"recover", server_old, run_recover, NULL, after_recover},
    {"carry", published, run_carry, NULL, after_carry},
};
const size_t crash_cases_n = ARRAY_LEN(crash_cases);

/* What must be true at the end of each */

static int first_text(void *arg, int n, char **value, char **name)
{
	if (((char *)arg)[0] == '\0')
		snprintf(arg, 100, "%s", value[0]);
	return 0;
}

static void database_check(struct world *w, const char *dir, const char *name)
{
	char path[PATH_MAX], said[100] = "";
	sqlite3 *db = NULL;

	path_of(path, dir, name);
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA integrity_check", first_text, said, NULL) != SQLITE_OK ||
	    strcmp(said, "ok") != 0)
		world_fail(w, "the database %s is not sound: %s", path, said);
	sqlite3_close(db);
}

/* Numbers of receipts: "<id>-<sequence>-<digest>.receipt". */
static void receipts_check(struct world *w)
{
	struct tree t;
	char path[PATH_MAX];
	size_t last = 0;
	const char *before = NULL;

	path_of(path, w->depot, "inbox");
	tree_read(path, &t);
	for (size_t i = 0; i < t.n; i++) {
		const char *name = strrchr(t.items[i].path, '/');
		const char *end = strrchr(t.items[i].path, '-');

		if (name == NULL || end == NULL || end < name)
			continue;
		if (before != NULL && last == (size_t)(end - name) &&
		    strncmp(before, name, last) == 0)
			world_fail(w, "two receipts have one number: %s", name + 1);
		before = name;
		last = (size_t)(end - name);
	}
	tree_clear(&t);
}

/* Of areas that have a name by chance it counts how many there are. */
static void name_note(struct strings *ret, const char *name)
{
	const char *undo = strstr(name, ".satchel-undo-");
	char text[PATH_MAX + 16];
	struct err err;
	int n = 1, rc;

	if (undo != NULL && strchr(undo, '/') != NULL)
		return;
	snprintf(text, sizeof(text), "%s", name);
	do {
		if (undo != NULL)
			snprintf(text, sizeof(text), "%.*s no. %d", (int)(undo - name) + 13, name,
				 n++);
		rc = strings_insert(ret, text, &err);
		if (rc < 0)
			abort();
	} while (rc == 0 && undo != NULL);
}

static void names_below(const char *dir, const char *prefix, bool dots, struct strings *ret)
{
	struct tree t;
	char name[PATH_MAX];

	tree_read_all(dir, &t);
	for (size_t i = 0; i < t.n; i++) {
		const char *last = strrchr(t.items[i].path, '/');

		last = last != NULL ? last + 1 : t.items[i].path;
		/* What a run that was cut off no longer knows is kept, as a person's would be. */
		if ((dots && last[0] != '.') || strcmp(last, ".satchel-kept") == 0)
			continue;
		/* Of a receipt that a newer one took the place of before it was posted: two
		 * kilobytes. */
		if (last[0] == '.' && strstr(last, ".receipt-") != NULL)
			continue;
		snprintf(name, sizeof(name), "%s/%s", prefix, t.items[i].path);
		name_note(ret, name);
	}
	tree_clear(&t);
}

void case_names(struct world *w, struct strings *ret)
{
	char path[PATH_MAX], name[40];

	names_below(w->depot, "depot", true, ret);
	names_below(w->stick[2], "stick", true, ret);
	path_of(path, w->dir, "site.state");
	names_below(path, "state", true, ret);
	names_below(w->site, "site", false, ret);
	for (int i = 0; i < STATIONS; i++) {
		path_of(path, w->station[i].dir, "root");
		snprintf(name, sizeof(name), "w%d root", i);
		names_below(path, name, true, ret);
		path_of(path, w->station[i].dir, "state");
		snprintf(name, sizeof(name), "w%d state", i);
		names_below(path, name, false, ret);
	}
}

void case_check(struct world *w, const struct crash_case *c, const struct strings *usual)
{
	struct strings names = {0};
	char path[PATH_MAX];

	must(w, c->next != NULL ? c->next(w) : c->run(w), "the next run");
	c->after(w);
	receipts_check(w);
	path_of(path, w->dir, "site.state");
	database_check(w, path, "registry.db");
	for (int i = 0; i < STATIONS; i++)
		database_check(w, w->station[i].dir, "state/state.db");
	case_names(w, &names);
	for (size_t i = 0; usual != NULL && i < names.n; i++)
		if (!strings_has_sorted(usual, names.items[i]))
			world_fail(w, "left behind: %s", names.items[i]);
	strings_clear(&names);
}
