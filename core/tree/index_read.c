/* SPDX-License-Identifier: ISC */
/*
 * Reading an index in order: the cursor that the scan and the seal move as well, walks over all
 * entries, and the search for a file with known content.
 */
#include <string.h>

#include "core/base/own.h"
#include "core/tree/index_internal.h"

/* Cursor */

int cursor_open(struct cursor *c, struct index *x, struct err *err)
{
	int rc;

	c->x = x;
	c->st = c->held = NULL;
	c->row = false;
	/* A row that is looked at all the while: without it SQLite would take and give back its
	 * locks on the file with every directory. */
	rc = db_query(x->db, "SELECT 1 FROM tree", &c->held, err);
	if (rc == 0)
		rc = db_step(x->db, c->held, err);
	if (rc < 0)
		return rc;
	return db_query(x->db,
			"SELECT " ENTRY_COLUMNS " FROM tree_entry "
			"WHERE tree = ?1 AND dir = ?2 AND name > ?3 ORDER BY name",
			&c->st, err);
}

void cursor_close(struct cursor *c)
{
	db_done(&c->st);
	db_done(&c->held);
}

int cursor_seek(struct cursor *c, int64_t dir, const char *after, struct err *err)
{
	int rc;

	sqlite3_reset(c->st);
	rc = db_bind(c->st, err, "iib", c->x->tree, dir, bytes_of(after));
	return rc < 0 ? rc : cursor_next(c, err);
}

int cursor_next(struct cursor *c, struct err *err)
{
	struct bytes name;
	int rc = db_step(c->x->db, c->st, err);

	c->row = rc == 1;
	if (rc <= 0)
		return rc;
	name = db_bytes(c->st, 0);
	if (name.n == 0 || name.n > LIMIT_NAME)
		return err_set(err, RC_STATE, "a row of the index is damaged");
	memcpy(c->name, name.p, name.n);
	c->name[name.n] = '\0';
	c->name_n = name.n;
	return row_read(c->st, &c->e, &c->number, &c->sealed, err);
}

/* Reading */

int index_children(struct index *x, const char *dir,
		   int (*each)(void *arg, const char *name, const struct entry *e, struct err *err),
		   void *arg, struct err *err)
{
	OWNED(cursor_close) struct cursor c;
	int64_t number;
	int rc = cursor_open(&c, x, err);

	if (rc < 0)
		return rc;
	rc = index_directory(x, dir, strlen(dir), &number, err);
	if (rc == 0)
		return err_set(err, RC_STATE, "directory \"%s\" is not in the index", dir);
	if (rc > 0)
		rc = cursor_seek(&c, number, "", err);
	while (rc == 0 && c.row) {
		rc = each(arg, c.name, &c.e, err);
		if (rc == 0)
			rc = cursor_next(&c, err);
	}
	return rc;
}

/* The way from the root to the directory that a walk is in. */
struct index_walk {
	struct cursor c;
	size_t depth;
	struct index_level level[LIMIT_DEPTH + 1];
	char path[LIMIT_PATH + 1]; /* of the current entry */
};

static void walk_close(struct index_walk *w)
{
	cursor_close(&w->c);
}

static int walk_enter(struct index_walk *w, size_t end, struct err *err)
{
	if (w->depth == LIMIT_DEPTH)
		return err_set(err, RC_STATE, "the index is deeper than %d directories",
			       LIMIT_DEPTH);
	w->level[++w->depth] = (struct index_level){.number = w->c.number, .end = end};
	return cursor_seek(&w->c, w->c.number, "", err);
}

/* Up one directory, and on after it. */
static int walk_leave(struct index_walk *w, struct err *err)
{
	size_t above = w->level[--w->depth].end;

	w->path[w->level[w->depth + 1].end] = '\0';
	return cursor_seek(&w->c, w->level[w->depth].number, w->path + (above == 0 ? 0 : above + 1),
			   err);
}

int index_walk(struct index *x,
	       int (*each)(void *arg, const char *path, const struct entry *e, struct err *err),
	       void *arg, struct err *err)
{
	OWNED(walk_close) struct index_walk w;
	int rc = cursor_open(&w.c, x, err);

	w.depth = 0;
	w.level[0] = (struct index_level){.number = INDEX_ROOT};
	if (rc == 0)
		rc = cursor_seek(&w.c, INDEX_ROOT, "", err);
	while (rc == 0) {
		size_t end = w.level[w.depth].end;

		if (!w.c.row) {
			if (w.depth == 0)
				break;
			rc = walk_leave(&w, err);
			continue;
		}
		if (end > 0)
			w.path[end++] = '/';
		if (end + w.c.name_n > LIMIT_PATH)
			return err_set(err, RC_STATE, "a path of the index is too long");
		memcpy(w.path + end, w.c.name, w.c.name_n + 1);
		rc = each(arg, w.path, &w.c.e, err);
		if (rc == 0)
			rc = w.c.e.kind == ENTRY_DIRECTORY ? walk_enter(&w, end + w.c.name_n, err)
							   : cursor_next(&w.c, err);
	}
	return rc;
}

/* Put "name/" before what stands at ${dst}[${*at}]. */
static int path_prepend(char *dst, size_t *at, struct bytes name, struct err *err)
{
	size_t need = name.n + (dst[*at] != '\0');

	if (name.n == 0 || need > *at)
		return err_set(err, RC_STATE, "a path of the index is too long");
	if (dst[*at] != '\0')
		dst[*at - 1] = '/';
	*at -= need;
	memcpy(dst + *at, name.p, name.n);
	return 0;
}

/* The path of ${name} in directory ${dir}, from the end. */
static int path_of(struct index *x, int64_t dir, struct bytes name, char dst[LIMIT_PATH + 1],
		   struct err *err)
{
	size_t at = LIMIT_PATH;
	int rc;

	dst[at] = '\0';
	rc = path_prepend(dst, &at, name, err);
	while (rc == 0 && dir != INDEX_ROOT) {
		OWNED(db_done) sqlite3_stmt *st = NULL;

		rc = db_query(x->db, "SELECT parent, name FROM tree_directory WHERE number = ?1",
			      &st, err);
		if (rc == 0)
			rc = db_bind(st, err, "i", dir);
		if (rc == 0)
			rc = db_step(x->db, st, err);
		if (rc == 0)
			return err_set(err, RC_STATE, "a directory of the index is missing");
		if (rc < 0)
			return rc;
		dir = db_i64(st, 0);
		rc = path_prepend(dst, &at, db_bytes(st, 1), err);
	}
	if (rc == 0)
		memmove(dst, dst + at, LIMIT_PATH + 1 - at);
	return rc;
}

/* The list of contents of the whole tree, unless it is kept already. */
static int content_make(struct index *x, struct err *err)
{
	int rc;

	if (x->content)
		return 0;
	rc = db_run(x->db, err, "DELETE FROM tree_content WHERE tree = ?1", "i", x->tree);
	if (rc == 0)
		rc = db_run(x->db, err,
			    "INSERT INTO tree_content (tree, content, dir, name) "
			    "SELECT tree, " ENTRY_CONTENT ", dir, name FROM tree_entry "
			    "WHERE tree = ?1 AND substr(entry, 1, 1) = CAST('f' AS BLOB) "
			    "ORDER BY 2, 3, 4",
			    "i", x->tree);
	if (rc == 0)
		rc = db_run(x->db, err, "UPDATE tree SET content = 1 WHERE id = ?1", "i", x->tree);
	if (rc == 0)
		x->content = true;
	return rc;
}

/* An empty tree has no contents, and is about to be filled: the list is better made afterwards. */
static int content_needed(struct index *x, struct err *err)
{
	int64_t one;

	if (x->content)
		return 1;
	return db_int(x->db, err, &one, "SELECT 1 FROM tree_entry WHERE tree = ?1 LIMIT 1", "i",
		      x->tree);
}

int index_find(struct index *x, const struct digest *digest, char dst[LIMIT_PATH + 1],
	       struct err *err)
{
	return index_find_next(x, digest, 0, dst, err);
}

int index_find_next(struct index *x, const struct digest *digest, unsigned n,
		    char dst[LIMIT_PATH + 1], struct err *err)
{
	static const char find[] =
	    "SELECT c.dir, c.name, e.entry FROM tree_content c JOIN tree_entry e ON "
	    "e.tree = c.tree AND e.dir = c.dir AND e.name = c.name "
	    "WHERE c.tree = ?1 AND c.content = ?2";
	struct bytes content = {digest->b, CONTENT_KEY};
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = content_needed(x, err);

	if (rc > 0)
		rc = content_make(x, err);
	else
		return rc;
	if (rc == 0)
		rc = db_query(x->db, find, &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "iB", x->tree, content);
	while (rc == 0 && (rc = db_step(x->db, st, err)) > 0) {
		struct bytes entry = db_bytes(st, 2);

		rc = 0;
		if (entry.n < ENTRY_DIGEST_AT + DIGEST_BYTES ||
		    memcmp(entry.p + ENTRY_DIGEST_AT, digest->b, DIGEST_BYTES) != 0)
			continue;
		if (n-- > 0)
			continue;
		rc = path_of(x, db_i64(st, 0), db_bytes(st, 1), dst, err);
		return rc < 0 ? rc : 1;
	}
	return rc;
}

struct counts {
	uint64_t entries, bytes;
};

static int count_entry(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct counts *c = arg;

	c->entries++;
	c->bytes += e->kind == ENTRY_FILE ? e->size : 0;
	return 0;
}

int index_counts(struct index *x, uint64_t *ret_entries, uint64_t *ret_bytes, struct err *err)
{
	struct counts c = {0, 0};
	struct sealed sealed;
	int rc = sealed_root(x, &sealed, err);

	if (rc == 0)
		rc = index_walk(x, count_entry, &c, err);
	else
		c = (struct counts){sealed.entries, sealed.bytes};
	if (rc < 0)
		return rc;
	*ret_entries = c.entries;
	*ret_bytes = c.bytes;
	return 0;
}
