#include <string.h>

#include "core/base/own.h"
#include "core/tree/index_internal.h"

/* Cursor */

int cursor_open(struct cursor *c, struct index *x, struct err *err)
{
	c->x = x;
	c->st = NULL;
	c->row = false;
	return db_query(x->db,
			"SELECT " ENTRY_COLUMNS " FROM tree_entry "
			"WHERE tree = ?1 AND dir = ?2 AND name > ?3 ORDER BY name",
			&c->st, err);
}

void cursor_close(struct cursor *c)
{
	db_done(&c->st);
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
	c->number = db_i64(c->st, 7);
	return row_entry(c->st, &c->e, err);
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
struct walk {
	struct cursor c;
	size_t depth;
	struct index_level level[LIMIT_DEPTH + 1];
	char path[LIMIT_PATH + 1]; /* of the current entry */
};

static void walk_close(struct walk *w)
{
	cursor_close(&w->c);
}

static int walk_enter(struct walk *w, size_t end, struct err *err)
{
	if (w->depth == LIMIT_DEPTH)
		return err_set(err, RC_STATE, "the index is deeper than %d directories",
			       LIMIT_DEPTH);
	w->level[++w->depth] = (struct index_level){.number = w->c.number, .end = end};
	return cursor_seek(&w->c, w->c.number, "", err);
}

/* Up one directory, and on after it. */
static int walk_leave(struct walk *w, struct err *err)
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
	OWNED(walk_close) struct walk w;
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

int index_find(struct index *x, const struct digest *digest, char dst[LIMIT_PATH + 1],
	       struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->db,
			  "SELECT dir, name FROM tree_entry INDEXED BY tree_entry_content "
			  "WHERE tree = ?1 AND content = ?2 AND digest = ?3 LIMIT 1",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "iid", x->tree, (int64_t)get_u64(digest->b), digest);
	if (rc == 0)
		rc = db_step(x->db, st, err);
	if (rc <= 0)
		return rc;
	rc = path_of(x, db_i64(st, 0), db_bytes(st, 1), dst, err);
	return rc < 0 ? rc : 1;
}

int index_counts(struct index *x, uint64_t *ret_entries, uint64_t *ret_bytes, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(x->db,
		     "SELECT count(*), coalesce(sum(CASE WHEN kind = ?2 THEN size ELSE 0 END), 0) "
		     "FROM tree_entry WHERE tree = ?1",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ii", x->tree, (int64_t)ENTRY_FILE);
	if (rc == 0)
		rc = db_step(x->db, st, err);
	if (rc < 0)
		return rc;
	*ret_entries = (uint64_t)db_i64(st, 0);
	*ret_bytes = (uint64_t)db_i64(st, 1);
	return 0;
}
