/* SPDX-License-Identifier: ISC */
/*
 * A walk over the index that goes on where the last run left off.  By the stat data of a file
 * nobody sees a bit that fell over on the disk, nor a write whose time was set back; so each file
 * is read.  A row whose file is another one although stat says that it is the same loses its stat
 * data: then drift and repair read it as well.
 */
#include "applier/verify/verify.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "applier/apply/applied.h"
#include "applier/apply/apply.h"
#include "applier/trees/drift.h"
#include "applier/trees/outcome.h"
#include "applier/trees/tree.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/tree/index.h"

static const char verify_tables[] =
    "CREATE TABLE verify (tree TEXT PRIMARY KEY, began INTEGER NOT NULL," /* the present walk */
    " since INTEGER NOT NULL,"  /* when the last whole one began */
    " bytes INTEGER NOT NULL,"  /* read in the present one */
    " at BLOB NOT NULL,"        /* path that comes next; empty: from the beginning */
    " scanned INTEGER NOT NULL" /* when stat was last asked of everything */
    ") STRICT, WITHOUT ROWID;";
/* The first step of every room is what 0.1.0 had, and this one had nothing. */
static const char *const verify_steps[] = {"", verify_tables};
const struct db_schema verify_schema = DB_SCHEMA("verify", verify_steps);

#define DAY 86400

/* Priority: from linux/ioprio.h, which libc has no functions for. */
#define IO_WHO_PROCESS 1
#define IO_IDLE        (3 << 13)

struct progress {
	int64_t began, since, scanned;
	uint64_t bytes;
	char at[LIMIT_PATH + 1];
};

static int progress_load(struct station *s, const char *tree, struct progress *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes at;
	int rc = db_query(
	    s->db, "SELECT began, since, bytes, at, scanned FROM verify WHERE tree = ?", &st, err);

	*ret = (struct progress){.began = clock_now()};
	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	ret->began = db_i64(st, 0);
	ret->since = db_i64(st, 1);
	ret->bytes = (uint64_t)db_i64(st, 2);
	at = db_bytes(st, 3);
	if (at.n > 0 && at.n <= LIMIT_PATH)
		memcpy(ret->at, at.p, at.n);
	ret->scanned = db_i64(st, 4);
	return 1;
}

static int progress_put(struct station *s, const char *tree, const struct progress *p,
			struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO verify (tree, began, since, bytes, at, scanned)"
		      " VALUES (?, ?, ?, ?, ?, ?)",
		      "tiiibi", tree, p->began, p->since, (int64_t)p->bytes, bytes_of(p->at),
		      p->scanned);
}

/* A walk */

struct walk {
	struct station *s;
	struct index *x;     /* owned */
	struct apply *judge; /* owned */
	int targetfd;        /* owned */
	struct progress *p;
	uint64_t due;           /* bytes that are to be read by now, of the present walk */
	int64_t until;          /* milliseconds of the monotonic clock; 0: no end */
	struct strings strange; /* owned; paths whose content is not that of their row */
	bool differs;           /* something does, by stat or by content */
	bool left;              /* more is to come in a later run */
};

static void walk_clear(struct walk *w)
{
	apply_judge_freep(&w->judge);
	w->x = index_free(w->x);
	fd_closep(&w->targetfd);
	strings_clear(&w->strange);
}

static bool stat_says_same(const struct entry *e, const struct stat *st)
{
	return e->ino == st->st_ino &&
	       e->disk_mtime == clock_ns(st->st_mtim.tv_sec, st->st_mtim.tv_nsec) &&
	       e->ctime == clock_ns(st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

static int file_read(struct walk *w, const char *path, const struct entry *e, struct err *err)
{
	struct stat st;
	int rc = apply_judge_file(w->judge, path, e);

	w->p->bytes += e->size;
	if (rc == 1)
		return 0;
	w->differs = true;
	/* What cannot be read at the moment is told by drift; only a wrong content is remembered.
	 */
	if (rc == 0 && beneath_stat(w->targetfd, path, &st, ERR_IGNORED) == 0 &&
	    stat_says_same(e, &st))
		return strings_add(&w->strange, path, err);
	return 0;
}

static int walk_entry(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct walk *w = arg;
	struct stat st;

	if (w->p->at[0] != '\0' && path_compare(path, w->p->at) < 0)
		return 0;
	if (e->kind == ENTRY_FILE &&
	    (w->p->bytes >= w->due || (w->until > 0 && clock_monotonic_ms() >= w->until))) {
		snprintf(w->p->at, sizeof(w->p->at), "%s", path);
		w->left = true;
		return 1;
	}
	if (e->kind == ENTRY_FILE)
		return file_read(w, path, e, err);
	w->differs = w->differs || beneath_stat(w->targetfd, path, &st, ERR_IGNORED) < 0 ||
		     S_ISDIR(st.st_mode) != (e->kind == ENTRY_DIRECTORY);
	return 0;
}

/** Rows whose files are not theirs in spite of all: from now on stat says so as well. */
static int strange_put(struct walk *w, struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct digest tree;
	int rc = e == NULL ? err_memory(err) : 0;

	if (rc < 0 || w->strange.n == 0)
		return rc;
	rc = db_tx_begin(&tx, w->s->db, err);
	for (size_t i = 0; rc >= 0 && i < w->strange.n; i++) {
		rc = index_get(w->x, w->strange.items[i], e, err);
		e->dev = e->ino = 0;
		e->disk_mtime = e->ctime = 0;
		if (rc > 0)
			rc = index_put(w->x, w->strange.items[i], e, err);
	}
	if (rc >= 0)
		rc = index_seal(w->x, &tree, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

static int walk_begin(struct walk *w, const char *tree, uint64_t days, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place place = TREE_PLACE_INIT;
	struct apply_target target = {.rootfd = -1};
	uint64_t entries = 0, bytes = 0;
	int64_t age = clock_now() - w->p->began;
	int rc = tree_place_load(w->s, tree, &place, err);

	if (rc > 0)
		rc = tree_place_target(w->s, &place, &target, err);
	else if (rc == 0)
		rc = err_set(err, RC_ABSENT, "%s was never applied here", tree);
	if (rc < 0)
		return rc;
	w->targetfd = beneath_dir(target.rootfd, *target.path == '\0' ? "." : target.path, err);
	if (w->targetfd < 0)
		return w->targetfd;
	if (index_open(w->s->db, tree, &w->x, err) < 0 ||
	    apply_judge_new(w->s, w->targetfd, &w->judge, err) < 0 ||
	    index_counts(w->x, &entries, &bytes, err) < 0)
		return err->rc;
	/* A clock that went back makes nothing due, one that leapt ahead everything. */
	age = age < 0 ? 0 : age;
	w->due = (uint64_t)age >= days * DAY /* also when all of it was asked for: days 0 */
		     ? UINT64_MAX
		     : (uint64_t)((double)bytes * (double)age / (double)(days * DAY));
	return 0;
}

static int walk_tree(struct walk *w, const char *tree, uint64_t days, struct err *err)
{
	int64_t now = clock_now();
	int rc = walk_begin(w, tree, days, err);

	w->left = rc == 0 && w->p->bytes >= w->due; /* nothing is due */
	if (rc == 0 && !w->left)
		rc = index_walk(w->x, walk_entry, w, err);
	if (rc >= 0)
		rc = strange_put(w, err);
	if (rc < 0)
		return rc;
	if (!w->left) {
		w->p->since = w->p->began;
		w->p->began = now;
		w->p->bytes = 0;
		w->p->at[0] = '\0';
	}
	return 0;
}

/** What was applied was hashed then: that is where the first walk begins. */
static int applied_at(struct station *s, const char *tree, int64_t *ret, struct err *err)
{
	int64_t at = clock_now();
	int rc = outcome_at(s, tree, &at, err);

	*ret = at < clock_now() ? at : clock_now();
	return rc < 0 ? rc : 0;
}

static int verify_tree(struct station *s, const char *tree, uint64_t days, int64_t until,
		       struct err *err)
{
	struct progress p;
	OWNED(walk_clear) struct walk w = {.s = s, .targetfd = -1, .p = &p, .until = until};
	struct applied now;
	uint64_t n;
	int rc = applied_load(s, tree, &now, err);

	if (rc < 0 || now.generation == 0)
		return rc;
	rc = progress_load(s, tree, &p, err);
	if (rc == 0) {
		rc = applied_at(s, tree, &p.since, err);
		p.began = p.since;
		p.scanned = clock_now();
	}
	if (rc >= 0)
		rc = walk_tree(&w, tree, until == 0 ? 0 : days, err);
	if (rc < 0)
		return rc == RC_ABSENT ? 0 : rc; /* sync says that the target is gone */
	walk_clear(&w);
	if (w.differs || clock_now() - p.scanned >= DAY || p.scanned > clock_now()) {
		p.scanned = clock_now();
		rc = drift_check(s, tree, &n, err);
	}
	return rc < 0 ? rc : progress_put(s, tree, &p, err);
}

/* All of them */

static long idle_begin(void)
{
	long was = syscall(SYS_ioprio_get, IO_WHO_PROCESS, 0);

	return syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0, IO_IDLE) == 0 ? was : -1;
}

static void idle_end(long was)
{
	if (was >= 0)
		syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0, was);
}

int verify_share(struct station *s, uint64_t days, unsigned seconds, struct err *err)
{
	OWNED(strings_clear) struct strings trees = {0};
	int64_t until = seconds == 0 ? 0 : clock_monotonic_ms() + (int64_t)seconds * 1000;
	long was;
	int rc = days == 0 ? 0 : tree_list(s, &trees, err);

	was = trees.n > 0 ? idle_begin() : -1;
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		struct err bad = {0};

		if (verify_tree(s, trees.items[i], days, until, &bad) < 0)
			reporter_warning(s->reporter, "channel %s could not be compared: %s",
					 trees.items[i], bad.text);
	}
	idle_end(was);
	return rc;
}

int verify_since(struct station *s, const char *tree, int64_t *ret, struct err *err)
{
	int rc;

	*ret = 0;
	rc = db_int(s->db, err, ret, "SELECT since FROM verify WHERE tree = ?", "t", tree);
	return rc < 0 ? rc : 0;
}

int verify_forget(struct station *s, const char *tree, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM verify WHERE ?1 IS NULL OR tree = ?1", "t", tree);
}
