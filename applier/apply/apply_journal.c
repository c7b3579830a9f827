/* SPDX-License-Identifier: ISC */
/*
 * The journal: rows of the own database, beside state and index, so that one transaction ends a run
 * together with what it led to.
 *
 *   apply_run    one row for each tree that is being changed
 *   apply_op     its operations: what was staged, what was expected in its place
 *   apply_lines  what was decided for each line of the list, many lines in one row
 *   apply_mark   for each tree what tells a staging area that is ours (apply_area.c)
 */
#include <stdio.h>
#include <string.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"

static const char apply_tables[] =
    "CREATE TABLE apply_run (id INTEGER PRIMARY KEY, tree TEXT NOT NULL UNIQUE,"
    " epoch INTEGER NOT NULL, generation INTEGER NOT NULL, digest BLOB NOT NULL,"
    " changes BLOB NOT NULL, local INTEGER NOT NULL, state INTEGER NOT NULL,"
    " inside INTEGER NOT NULL);"
    "CREATE TABLE apply_op (run INTEGER NOT NULL, n INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " keep INTEGER NOT NULL, path TEXT NOT NULL,"
    " now_kind INTEGER, now_ino INTEGER, now_size INTEGER, now_mtime INTEGER, now_digest BLOB,"
    " old_kind INTEGER, old_ino INTEGER, old_size INTEGER, old_mtime INTEGER, old_digest BLOB,"
    " old_ctime INTEGER, old_mode INTEGER, old_uid INTEGER, old_gid INTEGER,"
    " want_mode INTEGER, want_uid INTEGER, want_gid INTEGER, want_mtime INTEGER,"
    " PRIMARY KEY (run, n)) WITHOUT ROWID;"
    "CREATE TABLE apply_lines (run INTEGER NOT NULL, first INTEGER NOT NULL, lines BLOB NOT NULL,"
    " PRIMARY KEY (run, first)) WITHOUT ROWID;";
/* The name of the staging area of a run, "" where it was the plain one and had no mark; and the
 * marks, which were in the database before they were on the disk. */
static const char apply_areas[] =
    "ALTER TABLE apply_run ADD COLUMN area TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE apply_mark (tree TEXT PRIMARY KEY, mark TEXT NOT NULL) STRICT, WITHOUT ROWID;";
/* Which operation moves a path: asked for each entry of a directory that went before it.  The key
 * of the table comes after it, and with the run in front of it SQLite would take that key instead.
 */
static const char apply_paths[] =
    "CREATE INDEX apply_op_path ON apply_op (path) WHERE kind IN (1, 2);";
/* What keys the digest of the tree that the run leads to; NULL: nothing. */
static const char apply_salts[] = "ALTER TABLE apply_run ADD COLUMN salt BLOB;";
/* An update that 0.1.0 had begun: which operation placed the directory above, for each new
 * directory whose mode is still to be set. */
static const char apply_new_dirs[] =
    "UPDATE apply_op AS meta SET now_kind = 100, now_size = (SELECT max(place.n)"
    " FROM apply_op AS place WHERE place.run = meta.run AND place.kind = 2"
    " AND place.now_kind = 100 AND (place.path = meta.path"
    " OR substr(meta.path, 1, length(place.path) + 1) = place.path || '/'))"
    " WHERE kind = 3 AND now_kind IS NULL AND old_kind IS NULL;";
/* What the file systems of targets can hold (apply_holds.c), for each mount that was tried. */
static const char apply_holdings[] =
    "CREATE TABLE apply_holds (tree TEXT PRIMARY KEY, mount TEXT NOT NULL, name TEXT NOT NULL,"
    " holds INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX apply_holds_mount ON apply_holds (mount);";
static const char *const apply_steps[] = {apply_tables, apply_areas,    apply_paths,
					  apply_salts,  apply_new_dirs, apply_holdings};
const struct db_schema apply_schema = DB_SCHEMA("apply", apply_steps);

/* A line in a row: action, operation, inode; LE. */
#define LINE_BYTES 13
#define LINE_CHUNK 65536u

int journal_begin(struct apply *a, struct err *err)
{
	struct db *db = a->s->db;
	bool salted = !digest_is_zero(&a->run.salt);
	struct bytes salt = {salted ? a->run.salt.b : NULL, salted ? DIGEST_BYTES : 0};

	if (db_run(db, err,
		   "INSERT INTO apply_run (tree, epoch, generation, digest, changes, local, state,"
		   " inside, salt) VALUES (?, ?, ?, ?, ?, ?, ?, 0, nullif(?, x''))",
		   "tiiddiib", a->t->tree, (int64_t)a->run.epoch, (int64_t)a->run.generation,
		   &a->run.tree, &a->run.changes, (int64_t)a->run.local, (int64_t)RUN_PLANNED,
		   salt) < 0)
		return err->rc;
	a->run.id = sqlite3_last_insert_rowid(db_handle(db));
	return 0;
}

static void bind_seen(sqlite3_stmt *st, int *i, const struct seen *s)
{
	if (s->kind == 0) {
		*i += 5;
		return;
	}
	sqlite3_bind_int(st, (*i)++, s->kind);
	sqlite3_bind_int64(st, (*i)++, (int64_t)s->ino);
	sqlite3_bind_int64(st, (*i)++, (int64_t)s->size);
	sqlite3_bind_int64(st, (*i)++, s->mtime);
	if (s->known)
		sqlite3_bind_blob(st, *i, s->digest.b, DIGEST_BYTES, SQLITE_TRANSIENT);
	(*i)++;
}

static void bind_meta(sqlite3_stmt *st, int *i, const struct meta *m)
{
	sqlite3_bind_int(st, (*i)++, m->mode);
	sqlite3_bind_int64(st, (*i)++, m->uid);
	sqlite3_bind_int64(st, (*i)++, m->gid);
	sqlite3_bind_int64(st, (*i)++, m->mtime);
}

/*
 * An operation is in the open transaction, which is committed when everything is staged and
 * flushed; a killed run leaves no journal before that, and nothing to recover.
 */
int journal_add(struct apply *a, struct op *op, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int i = 1;

	op->n = ++a->ops;
	a->keeps += op->keep;
	if ((a->flags & APPLY_DRY_RUN) != 0)
		return 0;
	if (db_query(a->s->db,
		     "INSERT INTO apply_op VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
		     " ?, ?, ?, ?, ?, ?, ?)",
		     &st, err) < 0)
		return err->rc;
	sqlite3_bind_int64(st, i++, a->run.id);
	sqlite3_bind_int64(st, i++, op->n);
	sqlite3_bind_int(st, i++, op->kind);
	sqlite3_bind_int(st, i++, op->keep);
	sqlite3_bind_text(st, i++, op->path, -1, SQLITE_TRANSIENT);
	bind_seen(st, &i, &op->now);
	bind_seen(st, &i, &op->old);
	sqlite3_bind_int64(st, i++, op->old.ctime);
	sqlite3_bind_int(st, i++, op->old.mode);
	sqlite3_bind_int64(st, i++, op->old.uid);
	sqlite3_bind_int64(st, i++, op->old.gid);
	if (op->kind == OP_META)
		bind_meta(st, &i, &op->want);
	return db_step(a->s->db, st, err);
}

int journal_placed(struct apply *a, uint32_t n, uint64_t ino, struct err *err)
{
	return db_run(a->s->db, err, "UPDATE apply_op SET now_ino = ? WHERE run = ? AND n = ?",
		      "iii", (int64_t)ino, a->run.id, (int64_t)n);
}

int journal_path(struct apply *a, uint32_t n, char dst[LIMIT_PATH + 1], uint64_t *ret_ino,
		 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(a->s->db, "SELECT path, now_ino FROM apply_op WHERE run = ? AND n = ?",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ii", a->run.id, (int64_t)n);
	if (rc == 0)
		rc = db_step(a->s->db, st, err);
	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, RC_INTERNAL, "operation %u is missing", n);
	snprintf(dst, LIMIT_PATH + 1, "%s", db_text(st, 0));
	*ret_ino = (uint64_t)db_i64(st, 1);
	return 0;
}

int journal_moved(struct apply *a, const char *path, uint32_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(a->s->db, err, &n,
			"SELECT n FROM apply_op WHERE run = ? AND path = ? AND kind IN (1, 2)",
			"it", a->run.id, path);

	*ret = (uint32_t)n;
	return rc;
}

int journal_count(struct apply *a, uint32_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(a->s->db, err, &n, "SELECT count(*) FROM apply_op WHERE run = ?", "i",
			a->run.id);

	*ret = (uint32_t)n;
	return rc < 0 ? rc : 0;
}

/* Many lines in one row: a hundred million rows would make the journal larger than the payload. */
static int lines_write(struct apply *a, struct err *err)
{
	OWNED(freep) uint8_t *p = malloc(LINE_CHUNK * LINE_BYTES);

	if (p == NULL)
		return err_memory(err);
	for (uint64_t first = 0; first < a->list.lines; first += LINE_CHUNK) {
		uint64_t n = a->list.lines - first;

		if (n > LINE_CHUNK)
			n = LINE_CHUNK;
		for (uint64_t i = 0; i < n; i++) {
			p[i * LINE_BYTES] = a->line[first + i].action;
			put_u32(p + i * LINE_BYTES + 1, a->line[first + i].op);
			put_u64(p + i * LINE_BYTES + 5, a->line[first + i].ino);
		}
		if (db_run(a->s->db, err, "INSERT INTO apply_lines VALUES (?, ?, ?)", "iiB",
			   a->run.id, (int64_t)first,
			   (struct bytes){p, (size_t)n * LINE_BYTES}) < 0)
			return err->rc;
	}
	return 0;
}

int journal_staged(struct apply *a, struct err *err)
{
	for (uint64_t i = 0; i < a->list.lines; i++)
		/* New directories have theirs already. */
		if (a->line[i].action == LINE_PLACE && a->line[i].ino != 0 &&
		    journal_placed(a, a->line[i].op, a->line[i].ino, err) < 0)
			return err->rc;
	if (lines_write(a, err) < 0)
		return err->rc;
	a->run.state = RUN_COMMITTING;
	return db_run(a->s->db, err,
		      "UPDATE apply_run SET state = ?, inside = ?, area = ? WHERE id = ?", "iiti",
		      (int64_t)RUN_COMMITTING, (int64_t)a->stage.inside, a->stage.name, a->run.id);
}

bool journal_void(struct apply *a)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct db *db = a->s->db;
	struct err quiet = {0};

	/* The same pages again, so that what is written now lies over what was written before. */
	return db_tx_begin(&tx, db, &quiet) == 0 && journal_begin(a, &quiet) == 0 &&
	       db_run(db, &quiet, "DELETE FROM apply_run WHERE id = ?", "i", a->run.id) == 0 &&
	       db_tx_commit(&tx, &quiet) == 0;
}

static void read_seen(sqlite3_stmt *st, int i, struct seen *s)
{
	s->kind = (uint8_t)db_i64(st, i);
	s->ino = (uint64_t)db_i64(st, i + 1);
	s->size = (uint64_t)db_i64(st, i + 2);
	s->mtime = db_i64(st, i + 3);
	s->known = db_digest(st, i + 4, &s->digest);
}

static int read_op(sqlite3_stmt *st, struct op *op, struct err *err)
{
	const char *path = db_text(st, 3);
	size_t n = strlen(path);

	memset(op, 0, offsetof(struct op, path));
	if (n > LIMIT_PATH)
		return err_set(err, RC_STATE, "the journal has a path that is too long");
	memcpy(op->path, path, n + 1);
	op->n = (uint32_t)db_i64(st, 0);
	op->kind = (enum op_kind)db_i64(st, 1);
	op->keep = db_i64(st, 2) != 0;
	read_seen(st, 4, &op->now);
	read_seen(st, 9, &op->old);
	op->old.ctime = db_i64(st, 14);
	op->old.mode = (uint16_t)db_i64(st, 15);
	op->old.uid = (uint32_t)db_i64(st, 16);
	op->old.gid = (uint32_t)db_i64(st, 17);
	op->want.mode = (uint16_t)db_i64(st, 18);
	op->want.uid = (uint32_t)db_i64(st, 19);
	op->want.gid = (uint32_t)db_i64(st, 20);
	op->want.mtime = db_i64(st, 21);
	return 0;
}

#define OP_COLUMNS                                                                           \
	"n, kind, keep, path, now_kind, now_ino, now_size, now_mtime, now_digest, old_kind," \
	" old_ino, old_size, old_mtime, old_digest, old_ctime, old_mode, old_uid, old_gid,"  \
	" want_mode, want_uid, want_gid, want_mtime"

int journal_each(struct apply *a, unsigned kinds, bool down,
		 int (*each)(struct apply *a, const struct op *op, struct err *err),
		 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	OWNED(freep) struct op *op = malloc(sizeof(*op));
	uint64_t done = 0;
	int rc;

	if (op == NULL)
		return err_memory(err);
	rc = db_query(a->s->db,
		      down ? "SELECT " OP_COLUMNS " FROM apply_op WHERE run = ?"
			     " AND (1 << kind) & ? ORDER BY n DESC"
			   : "SELECT " OP_COLUMNS " FROM apply_op WHERE run = ?"
			     " AND (1 << kind) & ? ORDER BY n",
		      &st, err);
	if (rc < 0 || db_bind(st, err, "ii", a->run.id, (int64_t)kinds) < 0)
		return err->rc;
	while ((rc = db_step(a->s->db, st, err)) > 0) {
		if (read_op(st, op, err) < 0 || each(a, op, err) < 0)
			return err->rc;
		if (a->run.state != RUN_PLANNED)
			reporter_progress(a->s->reporter, "moving", 0, 0, ++done, a->ops);
	}
	return rc;
}

int journal_keep(struct apply *a, uint32_t n, struct err *err)
{
	return db_run(a->s->db, err, "UPDATE apply_op SET keep = 1 WHERE run = ? AND n = ?", "ii",
		      a->run.id, (int64_t)n);
}

int journal_find(struct station *s, const char *tree, struct run *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct run run = {0};
	int rc =
	    db_query(s->db,
		     "SELECT id, epoch, generation, digest, changes, local, state, inside, area,"
		     " salt FROM apply_run WHERE tree = ?",
		     &st, err);

	if (rc < 0 || db_bind(st, err, "t", tree) < 0)
		return err->rc;
	rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	run.id = db_i64(st, 0);
	run.epoch = (uint64_t)db_i64(st, 1);
	run.generation = (uint64_t)db_i64(st, 2);
	if (!db_digest(st, 3, &run.tree) || !db_digest(st, 4, &run.changes))
		return err_set(err, RC_STATE, "the journal of %s is damaged", tree);
	run.local = (enum local_answer)db_i64(st, 5);
	run.state = (enum run_state)db_i64(st, 6);
	run.inside = db_i64(st, 7) != 0;
	snprintf(run.area, sizeof(run.area), "%s", db_text(st, 8));
	if (!db_digest(st, 9, &run.salt))
		run.salt = (struct digest){{0}};
	*ret = run;
	return 1;
}

int journal_lines(struct apply *a, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	uint64_t seen = 0;
	int rc =
	    db_query(a->s->db, "SELECT first, lines FROM apply_lines WHERE run = ? ORDER BY first",
		     &st, err);

	if (rc < 0 || db_bind(st, err, "i", a->run.id) < 0)
		return err->rc;
	while ((rc = db_step(a->s->db, st, err)) > 0) {
		struct bytes b = db_bytes(st, 1);

		if ((uint64_t)db_i64(st, 0) != seen || b.n / LINE_BYTES > a->list.lines - seen)
			return err_set(err, RC_STATE, "the journal of %s is damaged", a->t->tree);
		for (size_t i = 0; i + LINE_BYTES <= b.n; i += LINE_BYTES)
			a->line[seen++] = (struct line){.action = b.p[i],
							.op = get_u32(b.p + i + 1),
							.ino = get_u64(b.p + i + 5)};
	}
	if (rc == 0 && seen != a->list.lines)
		return err_set(err, RC_STATE, "the journal of %s is damaged", a->t->tree);
	return rc;
}

int journal_end(struct apply *a, bool all, struct err *err)
{
	struct db *db = a->s->db;
	int64_t id = a->run.id, left = 0;

	if (db_run(db, err, "DELETE FROM apply_lines WHERE run = ?", "i", id) < 0 ||
	    db_run(db, err, "DELETE FROM apply_op WHERE run = ? AND (? OR NOT keep)", "ii", id,
		   (int64_t)all) < 0 ||
	    db_int(db, err, &left, "SELECT count(*) FROM apply_op WHERE run = ?", "i", id) < 0)
		return err->rc;
	a->run.state = RUN_KEEPING;
	if (left > 0)
		return db_run(db, err, "UPDATE apply_run SET state = ? WHERE id = ?", "ii",
			      (int64_t)RUN_KEEPING, id);
	return db_run(db, err, "DELETE FROM apply_run WHERE id = ?", "i", id);
}

#define RUNS_OF "(SELECT id FROM apply_run WHERE tree = ?1)"

int apply_forget(struct station *s, const char *tree, struct err *err)
{
	static const char *const sql[] = {
	    "DELETE FROM apply_lines WHERE ?1 IS NULL OR run IN " RUNS_OF,
	    "DELETE FROM apply_op WHERE ?1 IS NULL OR run IN " RUNS_OF,
	    "DELETE FROM apply_run WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM apply_mark WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM apply_holds WHERE ?1 IS NULL OR tree = ?1",
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sql); i++)
		rc = db_run(s->db, err, sql[i], "t", tree);
	return rc;
}

int apply_interrupted(struct station *s, const char *tree, struct err *err)
{
	struct run run;

	return journal_find(s, tree, &run, err);
}

int journal_area(struct apply *a, struct err *err)
{
	return db_run(a->s->db, err, "UPDATE apply_run SET inside = ?, area = ? WHERE id = ?",
		      "iti", (int64_t)a->stage.inside, a->stage.name, a->run.id);
}
