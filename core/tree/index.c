#include "core/tree/index.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/tree/index_internal.h"

/*
 * Names are blobs, for a file name is bytes and blobs compare as bytes.  What is the usual case
 * takes no room: an owner "-" and a disk_mtime equal to mtime are NULL.  `content` is the beginning
 * of a file's digest, for index_find.
 */
const char index_schema_sql[] =
    "CREATE TABLE tree (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest BLOB) STRICT;"
    "CREATE TABLE tree_entry ("
    "  tree INTEGER NOT NULL, dir INTEGER NOT NULL, name BLOB NOT NULL, kind INTEGER NOT NULL,"
    "  mode INTEGER NOT NULL, owner TEXT, size INTEGER NOT NULL, mtime INTEGER NOT NULL,"
    "  digest BLOB, number INTEGER, target BLOB,"
    "  dev INTEGER NOT NULL, ino INTEGER NOT NULL, disk_mtime INTEGER, ctime INTEGER NOT NULL,"
    "  content INTEGER,"
    "  PRIMARY KEY (tree, dir, name)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX tree_entry_content ON tree_entry (tree, content) WHERE content IS NOT NULL;"
    "CREATE TABLE tree_directory ("
    "  number INTEGER PRIMARY KEY, tree INTEGER NOT NULL, parent INTEGER NOT NULL,"
    "  name BLOB NOT NULL, depth INTEGER NOT NULL, dirty INTEGER NOT NULL) STRICT;"
    "CREATE INDEX tree_directory_tree ON tree_directory (tree);"
    "CREATE INDEX tree_directory_dirty ON tree_directory (tree, depth) WHERE dirty = 1;";

/* Opening */

static void index_forget(struct index *x)
{
	x->depth = 0;
	x->level[0] = (struct index_level){.number = INDEX_ROOT};
	x->path[0] = '\0';
}

int index_open(struct db *db, const char *tree, struct index **ret, struct err *err)
{
	static const char find[] = "SELECT id FROM tree WHERE name = ?1";
	struct index *x;
	int64_t id = 0;
	int rc = db_int(db, err, &id, find, "t", tree);

	if (rc == 0) {
		rc = db_run(db, err, "INSERT INTO tree (name) VALUES (?1)", "t", tree);
		if (rc == 0)
			rc = db_int(db, err, &id, find, "t", tree);
	}
	if (rc < 0)
		return rc;
	x = malloc(sizeof(*x));
	if (x == NULL)
		return err_memory(err);
	x->db = db;
	x->tree = id;
	index_forget(x);
	*ret = x;
	return 0;
}

struct index *index_free(struct index *x)
{
	free(x);
	return NULL;
}

void index_freep(struct index **x)
{
	*x = index_free(*x);
}

/* Directories */

/* Is the directory at ${level} the one of these ${n} bytes of path, or above it? */
static bool level_fits(const struct index *x, size_t level, const char *path, size_t n)
{
	size_t end = x->level[level].end;

	return level == 0 ||
	       (end <= n && (end == n || path[end] == '/') && memcmp(path, x->path, end) == 0);
}

/* The number of the directory called ${name} in directory ${dir}: 1 found, 0 none. */
static int number_find(struct index *x, int64_t dir, struct bytes name, int64_t *ret,
		       struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->db,
			  "SELECT number FROM tree_entry WHERE tree = ?1 AND dir = ?2 "
			  "AND name = ?3 AND number IS NOT NULL",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "iiB", x->tree, dir, name);
	if (rc == 0)
		rc = db_step(x->db, st, err);
	if (rc == 1)
		*ret = db_i64(st, 0);
	return rc;
}

/*
 * Callers go in order of path, so the directory is mostly the cached one, or one step from it.
 */
int index_directory(struct index *x, const char *path, size_t n, int64_t *ret, struct err *err)
{
	if (n > LIMIT_PATH)
		return err_set(err, RC_PATH, "a path of %zu bytes; the limit is %d", n, LIMIT_PATH);
	while (!level_fits(x, x->depth, path, n))
		x->depth--;
	while (x->level[x->depth].end < n) {
		size_t end = x->level[x->depth].end, start = end == 0 ? 0 : end + 1;
		const char *slash = memchr(path + start, '/', n - start);
		size_t stop = slash == NULL ? n : (size_t)(slash - path);
		struct bytes name = {(const uint8_t *)path + start, stop - start};
		int64_t number;
		int rc;

		if (x->depth == LIMIT_DEPTH)
			return err_set(err, RC_PATH, "more than %d directories in a path",
				       LIMIT_DEPTH);
		rc = number_find(x, x->level[x->depth].number, name, &number, err);
		if (rc <= 0)
			return rc;
		memcpy(x->path + end, path + end, stop - end);
		x->level[++x->depth] = (struct index_level){.number = number, .end = stop};
	}
	*ret = x->level[x->depth].number;
	return 1;
}

/* The cached directory and all above it: their digests are out of date from now on. */
static int mark_dirty(struct index *x, struct err *err)
{
	for (size_t i = x->depth + 1; i-- > 0 && !x->level[i].dirty;) {
		int rc = i == 0 ? db_run(x->db, err, "UPDATE tree SET digest = NULL WHERE id = ?1",
					 "i", x->tree)
				: db_run(x->db, err,
					 "UPDATE tree_directory SET dirty = 1 "
					 "WHERE number = ?1 AND dirty = 0",
					 "i", x->level[i].number);

		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i <= x->depth; i++)
		x->level[i].dirty = true;
	return 0;
}

/* Where an entry stands. */
struct place {
	int64_t dir; /* number of its directory, which is the cached one */
	struct bytes name;
};

static int place_find(struct index *x, const char *path, struct place *ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;

	ret->name = bytes_of(name);
	if (ret->name.n == 0 || ret->name.n > LIMIT_NAME)
		return err_set(err, RC_PATH, "a name of %zu bytes", ret->name.n);
	return index_directory(x, path, slash == NULL ? 0 : (size_t)(slash - path), &ret->dir, err);
}

/* Rows */

int row_entry(sqlite3_stmt *st, struct entry *ret, struct err *err)
{
	struct bytes owner = {(const uint8_t *)sqlite3_column_text(st, 3),
			      (size_t)sqlite3_column_bytes(st, 3)};
	struct bytes target = db_bytes(st, 8);

	if (owner.n >= sizeof(ret->owner) || target.n >= sizeof(ret->target))
		return err_set(err, RC_STATE, "a row of the index is damaged");
	ret->kind = (enum entry_kind)db_i64(st, 1);
	ret->mode = (uint16_t)db_i64(st, 2);
	if (owner.p == NULL)
		owner = (struct bytes){(const uint8_t *)"-", 1};
	memcpy(ret->owner, owner.p, owner.n);
	ret->owner[owner.n] = '\0';
	ret->size = (uint64_t)db_i64(st, 4);
	ret->mtime = db_i64(st, 5);
	if (!db_digest(st, 6, &ret->digest))
		memset(&ret->digest, 0, sizeof(ret->digest)); /* a directory before its seal */
	if (target.n > 0)
		memcpy(ret->target, target.p, target.n);
	ret->target[target.n] = '\0';
	ret->dev = (uint64_t)db_i64(st, 9);
	ret->ino = (uint64_t)db_i64(st, 10);
	ret->ctime = db_i64(st, 12);
	ret->disk_mtime = sqlite3_column_type(st, 11) != SQLITE_NULL ? db_i64(st, 11) : ret->mtime;
	return 0;
}

int index_get(struct index *x, const char *path, struct entry *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct place at;
	int rc = place_find(x, path, &at, err);

	if (rc <= 0)
		return rc;
	rc = db_query(x->db,
		      "SELECT " ENTRY_COLUMNS " FROM tree_entry "
		      "WHERE tree = ?1 AND dir = ?2 AND name = ?3",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "iiB", x->tree, at.dir, at.name);
	if (rc == 0)
		rc = db_step(x->db, st, err);
	if (rc == 1 && row_entry(st, ret, err) < 0)
		rc = RC_STATE;
	return rc;
}

/* One more row, or another in its place; a directory that stands there stays as it is. */
#define ROW_PUT                                                                                 \
	"INSERT INTO tree_entry (tree, dir, name, kind, mode, owner, size, mtime, digest, "     \
	"number, target, dev, ino, disk_mtime, ctime, content) "                                \
	"VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, '-'), ?7, ?8, ?9, ?10, ?11, ?12, ?13, "         \
	"nullif(?14, ?8), ?15, ?16) "                                                           \
	"ON CONFLICT (tree, dir, name) DO UPDATE SET kind = excluded.kind, "                    \
	"mode = excluded.mode, owner = excluded.owner, size = excluded.size, "                  \
	"mtime = excluded.mtime, digest = excluded.digest, number = excluded.number, "          \
	"target = excluded.target, dev = excluded.dev, ino = excluded.ino, "                    \
	"disk_mtime = excluded.disk_mtime, ctime = excluded.ctime, content = excluded.content " \
	"WHERE number IS NULL"

static int row_bind(sqlite3_stmt *st, const struct index *x, const struct place *at,
		    const struct entry *e, int64_t number, struct err *err)
{
	int64_t kind = e->kind, mode = e->mode, dev = (int64_t)e->dev, ino = (int64_t)e->ino;
	struct bytes target;
	struct digest digest;

	switch (e->kind) {
	case ENTRY_FILE:
		return db_bind(st, err, "iiBiitiidnniiiii", x->tree, at->dir, at->name, kind, mode,
			       e->owner, (int64_t)e->size, e->mtime, &e->digest, dev, ino,
			       e->disk_mtime, e->ctime, (int64_t)get_u64(e->digest.b));
	case ENTRY_LINK:
		target = bytes_of(e->target);
		digest = digest_of(target);
		return db_bind(st, err, "iiBiitiidnBiiiin", x->tree, at->dir, at->name, kind,
			       (int64_t)0, e->owner, (int64_t)target.n, e->mtime, &digest, target,
			       dev, ino, e->disk_mtime, e->ctime);
	case ENTRY_DIRECTORY:
		return db_bind(st, err, "iiBiitiininiiiin", x->tree, at->dir, at->name, kind, mode,
			       e->owner, (int64_t)0, e->mtime, number, dev, ino, e->disk_mtime,
			       e->ctime);
	}
	return err_set(err, RC_INTERNAL, "an entry of kind %d", (int)e->kind);
}

/* 1 done, 0 when a directory stands there. */
static int row_put(struct index *x, const struct place *at, const struct entry *e, int64_t number,
		   struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->db, ROW_PUT, &st, err);

	if (rc == 0)
		rc = row_bind(st, x, at, e, number, err);
	if (rc == 0)
		rc = db_step(x->db, st, err);
	return rc < 0 ? rc : sqlite3_changes(db_handle(x->db)) > 0;
}

static int row_remove(struct index *x, const struct place *at, struct err *err)
{
	int rc =
	    db_run(x->db, err, "DELETE FROM tree_entry WHERE tree = ?1 AND dir = ?2 AND name = ?3",
		   "iiB", x->tree, at->dir, at->name);

	return rc < 0 ? rc : sqlite3_changes(db_handle(x->db)) > 0;
}

/* Directories as entries */

/* What only a directory has goes away; it must be empty. */
static int directory_drop(struct index *x, const char *path, int64_t number, struct err *err)
{
	int64_t one;
	int rc = db_int(x->db, err, &one,
			"SELECT 1 FROM tree_entry WHERE tree = ?1 AND dir = ?2 LIMIT 1", "ii",
			x->tree, number);

	if (rc == 1)
		return err_set(err, RC_STATE, "directory \"%s\" is not empty in the index", path);
	if (rc < 0)
		return rc;
	return db_run(x->db, err, "DELETE FROM tree_directory WHERE number = ?1", "i", number);
}

static int directory_new(struct index *x, const struct place *at, const struct entry *e,
			 struct err *err)
{
	int rc = db_run(x->db, err,
			"INSERT INTO tree_directory (tree, parent, name, depth, dirty) "
			"VALUES (?1, ?2, ?3, ?4, 1)",
			"iiBi", x->tree, at->dir, at->name, (int64_t)x->depth + 1);

	if (rc == 0)
		rc = row_put(x, at, e, sqlite3_last_insert_rowid(db_handle(x->db)), err);
	return rc < 0 ? rc : 0;
}

/* The same directory again: its children stay, and so its digest. */
static int directory_again(struct index *x, const struct place *at, const struct entry *e,
			   struct err *err)
{
	return db_run(x->db, err,
		      "UPDATE tree_entry SET mode = ?4, owner = nullif(?5, '-'), mtime = ?6, "
		      "dev = ?7, ino = ?8, disk_mtime = nullif(?9, ?6), ctime = ?10 "
		      "WHERE tree = ?1 AND dir = ?2 AND name = ?3",
		      "iiBitiiiii", x->tree, at->dir, at->name, (int64_t)e->mode, e->owner,
		      e->mtime, (int64_t)e->dev, (int64_t)e->ino, e->disk_mtime, e->ctime);
}

int index_put(struct index *x, const char *path, const struct entry *e, struct err *err)
{
	struct place at;
	int64_t number;
	int rc = place_find(x, path, &at, err);

	if (rc == 0)
		rc = err_set(err, RC_STATE, "the directory above \"%s\" is not in the index", path);
	if (rc > 0)
		rc = mark_dirty(x, err);
	if (rc < 0)
		return rc;
	if (e->kind == ENTRY_DIRECTORY) {
		rc = number_find(x, at.dir, at.name, &number, err);
		if (rc == 0)
			return directory_new(x, &at, e, err);
		return rc < 0 ? rc : directory_again(x, &at, e, err);
	}
	rc = row_put(x, &at, e, INDEX_ROOT, err);
	if (rc == 0) {
		rc = number_find(x, at.dir, at.name, &number, err);
		if (rc >= 0)
			rc = directory_drop(x, path, number, err);
		if (rc == 0)
			rc = row_remove(x, &at, err);
		if (rc > 0)
			rc = row_put(x, &at, e, INDEX_ROOT, err);
	}
	return rc < 0 ? rc : 0;
}

int index_remove(struct index *x, const char *path, struct err *err)
{
	struct place at;
	int64_t number;
	int rc = place_find(x, path, &at, err);

	if (rc > 0) {
		rc = mark_dirty(x, err);
		if (rc == 0)
			rc = number_find(x, at.dir, at.name, &number, err);
		if (rc > 0)
			rc = directory_drop(x, path, number, err);
		if (rc == 0)
			rc = row_remove(x, &at, err);
	}
	if (rc == 0)
		return err_set(err, RC_STATE, "\"%s\" is not in the index", path);
	return rc < 0 ? rc : 0;
}

/* Whole trees */

static int rows_clear(struct db *db, int64_t tree, struct err *err)
{
	int rc = db_run(db, err, "DELETE FROM tree_entry WHERE tree = ?1", "i", tree);

	if (rc == 0)
		rc = db_run(db, err, "DELETE FROM tree_directory WHERE tree = ?1", "i", tree);
	return rc;
}

int index_clear(struct index *x, struct err *err)
{
	int rc;

	index_forget(x);
	rc = mark_dirty(x, err);
	return rc < 0 ? rc : rows_clear(x->db, x->tree, err);
}

int index_drop(struct db *db, const char *tree, struct err *err)
{
	int64_t id;
	int rc = db_int(db, err, &id, "SELECT id FROM tree WHERE name = ?1", "t", tree);

	if (rc <= 0)
		return rc;
	rc = rows_clear(db, id, err);
	return rc < 0 ? rc : db_run(db, err, "DELETE FROM tree WHERE id = ?1", "i", id);
}
