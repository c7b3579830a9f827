/* SPDX-License-Identifier: ISC */
/* What can happen in a day: commands in any order, and people who edit on either side. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/life.h"

/* Few names, so that they meet: a file where a directory was, two that differ in case only. */
static const char *const names[] = {"a",        "b",          "c",     "d",
				    "A",        "sub",        "sub/a", "sub/b",
				    "sub/deep", "sub/deep/x", "Sub",   "odd %\n name",
				    "other",    "other/z"};

static const char *any_name(struct world *w)
{
	return names[pick(w, ARRAY_LEN(names))];
}

static size_t any_size(struct world *w)
{
	switch (pick(w, 12)) {
	case 0:
		return 0;
	case 1:
		return 20000 + pick(w, 60000);
	case 2:
		return chance(w, 10) ? 2500000 : 150000;
	default:
		return pick(w, 3000);
	}
}

/* Directories on the way, where none are; what is in the way stays. */
static void parents_make(const char *root, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", root);
	mkdir(path, 0755);
	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%s/%.*s", root, (int)(slash - name), name);
		mkdir(path, 0755);
	}
}

/* Somebody who edits a tree: the source of a channel, or a target when ${s} is there. */
struct editor {
	struct world *w;
	struct station *s;
	int c;
	const char *root;
};

static void changing(const struct editor *e, const char *name)
{
	if (e->s == NULL)
		return;
	oracle_removed(e->w, e->s, name);
	oracle_changed(e->w, e->s, e->c, name);
}

static void edit_write(const struct editor *e, const char *name, const char *path)
{
	OWNED(fd_closep) int fd = -1;
	struct stat st;
	struct digest d;

	parents_make(e->root, name);
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		tree_remove(path);
	/* An editor writes another file and renames it; a shell writes in place. */
	if (chance(e->w, 50))
		unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return; /* a file or a link is on the way */
	d = content_write(e->w, path, any_size(e->w));
	/* What a person writes stays on the machine; the last channel is sealed. */
	if (e->s != NULL || e->c == CHANNELS - 1)
		secret_file(e->w, path);
	if (e->s != NULL)
		oracle_wrote(e->w, e->s, &d);
}

static void edit_append(const struct editor *e, const char *name, const char *path)
{
	FILE *f;
	struct stat st;
	struct tree t;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || (f = fopen(path, "a")) == NULL)
		return;
	fprintf(f, "one more line, the %llu th\n", (unsigned long long)++e->w->words);
	fclose(f);
	if (e->s == NULL)
		return;
	tree_read(e->root, &t);
	if (tree_find(&t, name) != NULL)
		oracle_wrote(e->w, e->s, &tree_find(&t, name)->digest);
	tree_clear(&t);
}

static void edit_rename(const struct editor *e, const char *name, const char *path)
{
	const char *other = any_name(e->w);
	char to[PATH_MAX];

	snprintf(to, sizeof(to), "%s/%s", e->root, other);
	parents_make(e->root, other);
	changing(e, other);
	if (rename(path, to) == 0)
		world_say(e->w, "  renamed to %s", other);
}

static void edit_link(const struct editor *e, const char *name, const char *path)
{
	parents_make(e->root, name);
	tree_remove(path);
	if (symlink(any_name(e->w), path) < 0)
		return;
}

static void edit_mode(const struct editor *e, const char *name, const char *path)
{
	static const mode_t modes[] = {0600, 0644, 0755, 0700, 0444, 0640};
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
		chmod(path, modes[pick(e->w, ARRAY_LEN(modes))]);
	else if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		chmod(path, chance(e->w, 50) ? 0755 : 0700);
}

static void edit_remove(const struct editor *e, const char *name, const char *path)
{
	tree_remove(path);
}

static void edit_touch(const struct editor *e, const char *name, const char *path)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {(time_t)pick(e->w, 1900000000), 7}};

	utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW);
}

static void edit(const struct editor *e)
{
	static const struct {
		const char *word;
		void (*run)(const struct editor *e, const char *name, const char *path);
		uint64_t weight;
	} acts[] = {{"write", edit_write, 10},  {"append", edit_append, 4},
		    {"rename", edit_rename, 4}, {"link", edit_link, 1},
		    {"mode", edit_mode, 2},     {"remove", edit_remove, 3},
		    {"touch", edit_touch, 1}};
	const char *name = any_name(e->w);
	char path[PATH_MAX];
	uint64_t n = pick(e->w, 25);
	size_t i = 0;

	while (n >= acts[i].weight)
		n -= acts[i++].weight;
	snprintf(path, sizeof(path), "%s/%s", e->root, name);
	world_say(e->w, "%s: %s %s", e->s != NULL ? e->s->name : "source", acts[i].word, path);
	changing(e, name);
	acts[i].run(e, name, path);
}

/* Moves */

static struct station *any_station(struct world *w)
{
	return &w->station[pick(w, STATIONS)];
}

static void move_edit(struct world *w)
{
	struct editor e = {.w = w, .c = (int)pick(w, CHANNELS)};
	uint64_t n = 1 + pick(w, 4);

	e.root = w->channel[e.c].source;
	while (n-- > 0)
		edit(&e);
}

static void move_person(struct world *w)
{
	struct editor e = {.w = w, .s = any_station(w), .c = (int)pick(w, CHANNELS)};

	e.root = e.s->target[e.c].dir;
	if (access(e.root, F_OK) == 0)
		edit(&e);
}

static void move_publish(struct world *w)
{
	server(w, "publish", NULL);
}

static void move_collect(struct world *w)
{
	if (server(w, "collect", NULL) == 0)
		oracle_collected(w);
}

static void move_sync(struct world *w)
{
	if (server(w, "sync", NULL) == 0)
		oracle_collected(w);
}

static void move_repair(struct world *w)
{
	struct station *s = any_station(w);

	oracle_ran(w, s, station(w, s, "repair", NULL));
}

static void move_rollback(struct world *w)
{
	struct station *s = any_station(w);
	const char *name = w->channel[pick(w, CHANNELS)].name;

	oracle_ran(w, s, station(w, s, "rollback", name, NULL));
}

static void move_rotate(struct world *w)
{
	static const char *const roles[] = {"publish", "beat", "collect", "private"};

	server(w, "trust", "rotate", roles[pick(w, ARRAY_LEN(roles))], NULL);
}

static void move_apply(struct world *w)
{
	struct station *s = any_station(w);

	oracle_ran(w, s, station(w, s, "apply", NULL));
}

static void move_carry(struct world *w)
{
	int i = (int)pick(w, STICKS), k = (int)pick(w, STICKS);

	if (chance(w, 80))
		bring(w, w->depot, w->stick[i]);
	else if (i != k)
		bring(w, w->stick[i], w->stick[k]);
}

static void move_message(struct world *w)
{
	server(w, "message", "send", any_station(w)->name, "--subject", "hello", NULL);
}

static void move_recover(struct world *w)
{
	if (server(w, "recover", NULL) == 0)
		oracle_recovered(w);
}

void move_any(struct world *w)
{
	static const struct {
		void (*run)(struct world *w);
		uint64_t weight;
	} moves[] = {{move_edit, 40},  {move_publish, 36}, {move_apply, 44},  {move_collect, 20},
		     {move_sync, 8},   {move_carry, 28},   {move_person, 14}, {move_message, 2},
		     {move_repair, 3}, {move_rollback, 1}, {move_rotate, 1},  {harm_depot, 8},
		     {harm_clock, 5},  {harm_stick, 4},    {harm_state, 1},   {harm_old, 4},
		     {harm_server, 2}, {move_recover, 1}};
	uint64_t n = 0;
	size_t i = 0;

	for (size_t k = 0; k < ARRAY_LEN(moves); k++)
		n += moves[k].weight;
	n = pick(w, n);
	while (n >= moves[i].weight)
		n -= moves[i++].weight;
	moves[i].run(w);
}
