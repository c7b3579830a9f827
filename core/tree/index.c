/* SPDX-License-Identifier: ISC */
/*
 * Rows of the index: finding, putting and removing one entry, and keeping account of which
 * directories need their digest again.  A scan reads every row of a tree, so the way to the last
 * directory is kept and a row is one packed blob.
 */
#include "core/tree/index.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/tree/index_internal.h"

/*
 * Names are blobs, for a file name is bytes and blobs compare as bytes.  What the index never asks
 * SQL about is packed into one blob (struct entry, see entry_pack): a scan reads every row, and
 * taking a row apart column by column costs more than the stat(2) that it is compared with.
 */
static const char tree_tables[] =
    "CREATE TABLE tree ("
    "  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sealed BLOB,"
    "  content INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE tree_entry ("
    "  tree INTEGER NOT NULL, dir INTEGER NOT NULL, name BLOB NOT NULL,"
    "  number INTEGER, sealed BLOB, entry BLOB NOT NULL,"
    "  PRIMARY KEY (tree, dir, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tree_content ("
    "  tree INTEGER NOT NULL, content BLOB NOT NULL, dir INTEGER NOT NULL, name BLOB NOT NULL,"
    "  PRIMARY KEY (tree, content, dir, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tree_directory ("
    "  number INTEGER PRIMARY KEY, tree INTEGER NOT NULL, parent INTEGER NOT NULL,"
    "  name BLOB NOT NULL, depth INTEGER NOT NULL, dirty INTEGER NOT NULL) STRICT;"
    "CREATE INDEX tree_directory_tree ON tree_directory (tree);"
    "CREATE INDEX tree_directory_dirty ON tree_directory (tree, depth) WHERE dirty = 1;";
/* What keys the digest of the whole tree; NULL: nothing. */
static const char tree_salts[] = "ALTER TABLE tree ADD COLUMN salt BLOB;";
static const char *const tree_steps[] = {tree_tables, tree_salts};
const struct db_schema index_schema = DB_SCHEMA("tree", tree_steps);

/* Opening */

static void index_forget(struct index *x)
{
	x->depth = 0;
	x->level[0] = (struct index_level){.number = INDEX_ROOT};
	x->path[0] = '\0';
}

/* The row of the tree: 1 there, 0 not. */
static int tree_find(struct db *db, const char *tree, int64_t *ret_id, bool *ret_content,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, "SELECT id, content FROM tree WHERE name = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc == 1) {
		*ret_id = db_i64(st, 0);
		*ret_content = db_i64(st, 1) != 0;
	}
	return rc;
}

int index_open(struct db *db, const char *tree, struct index **ret, struct err *err)
{
	struct index *x;
	bool content = false;
	int64_t id = 0;
	int rc = tree_find(db, tree, &id, &content, err);

	if (rc == 0) {
		rc = db_run(db, err, "INSERT INTO tree (name) VALUES (?1)", "t", tree);
		if (rc == 0)
			rc = tree_find(db, tree, &id, &content, err);
	}
	if (rc < 0)
		return rc;
	x = malloc(sizeof(*x));
	if (x == NULL)
		return err_memory(err);
	x->db = db;
	x->tree = id;
	x->content = content;
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

/*
 * The cached directory and all above it: their digests are out of date from now on.  Upwards until
 * one that is marked already: above a dirty directory all are dirty, so a run of changes in one
 * directory costs one update.
 */
static int mark_dirty(struct index *x, struct err *err)
{
	for (size_t i = x->depth + 1; i-- > 0 && !x->level[i].dirty;) {
		int rc = i == 0 ? db_run(x->db, err, "UPDATE tree SET sealed = NULL WHERE id = ?1",
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
struct index_place {
	int64_t dir; /* number of its directory, which is the cached one */
	struct bytes name;
};

static int place_find(struct index *x, const char *path, struct index_place *ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;

	ret->name = bytes_of(name);
	if (ret->name.n == 0 || ret->name.n > LIMIT_NAME)
		return err_set(err, RC_PATH, "a name of %zu bytes", ret->name.n);
	return index_directory(x, path, slash == NULL ? 0 : (size_t)(slash - path), &ret->dir, err);
}

/* Rows */

/*
 * struct entry as it is kept: kind, length of the owner (0 for "-"), mode, size, mtime, digest,
 * dev, ino, disk_mtime, ctime; then the owner, and the rest is a link's target.  A directory's
 * digest stands in `sealed`.
 */
enum {
	AT_KIND = 0,
	AT_OWNER = 1,
	AT_MODE = 2,
	AT_SIZE = 4,
	AT_MTIME = 12,
	AT_DIGEST = ENTRY_DIGEST_AT,
	AT_DEV = 52,
	AT_INO = 60,
	AT_DISK_MTIME = 68,
	AT_CTIME = 76,
	AT_REST = 84
};
#define PACKED_MAX (AT_REST + OWNER_MAX + LIMIT_LINK)

static size_t entry_pack(uint8_t p[PACKED_MAX], const struct entry *e)
{
	size_t owner = strcmp(e->owner, "-") == 0 ? 0 : strlen(e->owner), target = 0;
	struct digest digest = e->digest;
	uint64_t size = e->kind == ENTRY_FILE ? e->size : 0;

	if (e->kind == ENTRY_LINK) {
		size = target = strlen(e->target);
		digest = digest_of((struct bytes){(const uint8_t *)e->target, target});
	} else if (e->kind == ENTRY_DIRECTORY)
		memset(&digest, 0, sizeof(digest));
	p[AT_KIND] = (uint8_t)e->kind;
	p[AT_OWNER] = (uint8_t)owner;
	put_u16(p + AT_MODE, e->kind == ENTRY_LINK ? 0 : e->mode);
	put_u64(p + AT_SIZE, size);
	put_u64(p + AT_MTIME, (uint64_t)e->mtime);
	memcpy(p + AT_DIGEST, digest.b, DIGEST_BYTES);
	put_u64(p + AT_DEV, e->dev);
	put_u64(p + AT_INO, e->ino);
	put_u64(p + AT_DISK_MTIME, (uint64_t)e->disk_mtime);
	put_u64(p + AT_CTIME, (uint64_t)e->ctime);
	memcpy(p + AT_REST, e->owner, owner);
	memcpy(p + AT_REST + owner, e->target, target);
	return AT_REST + owner + target;
}

/*
 * Every length is checked: the database may be a damaged one, and a row must not read past its
 * end.
 */
static int entry_unpack(struct bytes b, struct entry *ret, struct err *err)
{
	const uint8_t *p = b.p;
	size_t owner = b.n < AT_REST ? 0 : p[AT_OWNER];

	if (b.n < AT_REST || owner >= OWNER_MAX || b.n - AT_REST < owner ||
	    b.n - AT_REST - owner > LIMIT_LINK)
		return err_set(err, RC_STATE, "a row of the index is damaged");
	ret->kind = (enum entry_kind)p[AT_KIND];
	ret->mode = get_u16(p + AT_MODE);
	ret->size = get_u64(p + AT_SIZE);
	ret->mtime = (int64_t)get_u64(p + AT_MTIME);
	memcpy(ret->digest.b, p + AT_DIGEST, DIGEST_BYTES);
	ret->dev = get_u64(p + AT_DEV);
	ret->ino = get_u64(p + AT_INO);
	ret->disk_mtime = (int64_t)get_u64(p + AT_DISK_MTIME);
	ret->ctime = (int64_t)get_u64(p + AT_CTIME);
	memcpy(ret->owner, owner == 0 ? (const uint8_t *)"-" : p + AT_REST, owner == 0 ? 1 : owner);
	ret->owner[owner == 0 ? 1 : owner] = '\0';
	memcpy(ret->target, p + AT_REST + owner, b.n - AT_REST - owner);
	ret->target[b.n - AT_REST - owner] = '\0';
	return 0;
}

void sealed_pack(uint8_t p[SEALED_BYTES], const struct sealed *s)
{
	memcpy(p, s->digest.b, DIGEST_BYTES);
	put_u64(p + DIGEST_BYTES, s->entries);
	put_u64(p + DIGEST_BYTES + 8, s->bytes);
}

bool sealed_unpack(struct bytes b, struct sealed *ret)
{
	*ret = (struct sealed){.entries = 0};
	if (b.n != SEALED_BYTES)
		return false;
	memcpy(ret->digest.b, b.p, DIGEST_BYTES);
	ret->entries = get_u64(b.p + DIGEST_BYTES);
	ret->bytes = get_u64(b.p + DIGEST_BYTES + 8);
	return true;
}

int row_read(sqlite3_stmt *st, struct entry *ret, int64_t *ret_number, struct sealed *ret_sealed,
	     struct err *err)
{
	int rc = entry_unpack(db_bytes(st, 1), ret, err);

	*ret_number = INDEX_ROOT;
	if (rc < 0 || ret->kind != ENTRY_DIRECTORY)
		return rc;
	*ret_number = db_i64(st, 2);
	sealed_unpack(db_bytes(st, 3), ret_sealed);
	ret->digest = ret_sealed->digest;
	return 0;
}

int index_get(struct index *x, const char *path, struct entry *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct sealed sealed;
	struct index_place at;
	int64_t number;
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
	if (rc == 1 && row_read(st, ret, &number, &sealed, err) < 0)
		rc = RC_STATE;
	return rc;
}

/*
 * Contents, for index_find.  They are listed when somebody asks for the first time, sorted, which
 * costs less than keeping the list while the tree is filled, and kept from then on; `content` of
 * the tree's row says so.
 */
static int content_drop(struct index *x, const struct index_place *at, struct err *err)
{
	if (!x->content)
		return 0;
	return db_run(x->db, err,
		      "DELETE FROM tree_content WHERE tree = ?1 AND dir = ?2 AND name = ?3 AND "
		      "content = (SELECT " ENTRY_CONTENT " FROM tree_entry "
		      "WHERE tree = ?1 AND dir = ?2 AND name = ?3)",
		      "iiB", x->tree, at->dir, at->name);
}

static int content_add(struct index *x, const struct index_place *at, const struct entry *e,
		       struct err *err)
{
	struct bytes content = {e->digest.b, CONTENT_KEY};

	if (!x->content || e->kind != ENTRY_FILE)
		return 0;
	return db_run(x->db, err,
		      "INSERT OR REPLACE INTO tree_content (tree, content, dir, name) "
		      "VALUES (?1, ?2, ?3, ?4)",
		      "iBiB", x->tree, content, at->dir, at->name);
}

/* One more row, or another in its place: 1 done, 0 when a directory stands there. */
static int row_put(struct index *x, const struct index_place *at, const struct entry *e,
		   int64_t number, struct err *err)
{
	static const char put[] =
	    "INSERT INTO tree_entry (tree, dir, name, entry, number) "
	    "VALUES (?1, ?2, ?3, ?4, nullif(?5, 0)) "
	    "ON CONFLICT (tree, dir, name) DO UPDATE SET entry = excluded.entry, "
	    "number = excluded.number WHERE number IS NULL";
	uint8_t packed[PACKED_MAX];
	struct bytes entry = {packed, entry_pack(packed, e)};
	int rc = content_drop(x, at, err);

	if (rc == 0)
		rc = db_run(x->db, err, put, "iiBBi", x->tree, at->dir, at->name, entry, number);
	if (rc < 0 || sqlite3_changes(db_handle(x->db)) == 0)
		return rc;
	rc = content_add(x, at, e, err);
	return rc < 0 ? rc : 1;
}

static int row_remove(struct index *x, const struct index_place *at, struct err *err)
{
	int rc = content_drop(x, at, err);

	if (rc == 0)
		rc = db_run(x->db, err,
			    "DELETE FROM tree_entry WHERE tree = ?1 AND dir = ?2 AND name = ?3",
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

static int directory_new(struct index *x, const struct index_place *at, const struct entry *e,
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
static int directory_again(struct index *x, const struct index_place *at, const struct entry *e,
			   struct err *err)
{
	uint8_t packed[PACKED_MAX];
	struct bytes entry = {packed, entry_pack(packed, e)};

	return db_run(x->db, err,
		      "UPDATE tree_entry SET entry = ?4 WHERE tree = ?1 AND dir = ?2 AND name = ?3",
		      "iiBB", x->tree, at->dir, at->name, entry);
}

int index_put(struct index *x, const char *path, const struct entry *e, struct err *err)
{
	struct index_place at;
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
	struct index_place at;
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
		rc = db_run(db, err, "DELETE FROM tree_content WHERE tree = ?1", "i", tree);
	if (rc == 0)
		rc = db_run(db, err, "DELETE FROM tree_directory WHERE tree = ?1", "i", tree);
	return rc;
}

int index_clear(struct index *x, struct err *err)
{
	int rc = db_run(x->db, err,
			"UPDATE tree SET sealed = NULL, content = 0, salt = NULL WHERE id = ?1",
			"i", x->tree);

	index_forget(x);
	x->content = false;
	return rc < 0 ? rc : rows_clear(x->db, x->tree, err);
}

int index_drop(struct db *db, const char *tree, struct err *err)
{
	bool content;
	int64_t id;
	int rc = tree_find(db, tree, &id, &content, err);

	if (rc <= 0)
		return rc;
	rc = rows_clear(db, id, err);
	return rc < 0 ? rc : db_run(db, err, "DELETE FROM tree WHERE id = ?1", "i", id);
}

int index_drop_all(struct db *db, struct err *err)
{
	static const char *const sql[] = {"DELETE FROM tree_entry", "DELETE FROM tree_content",
					  "DELETE FROM tree_directory", "DELETE FROM tree"};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sql); i++)
		rc = db_run(db, err, sql[i], "");
	return rc;
}
