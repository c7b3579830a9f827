/*
 * What workstations and users are read with.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/status_internal.h"
#include "core/base/own.h"

int rows_room(void *list, size_t n, size_t *cap, size_t size, struct err *err)
{
	size_t more = *cap == 0 ? 16 : *cap * 2;
	void *p;

	if (n < *cap)
		return 0;
	p = reallocarray(*(void **)list, more, size);
	if (p == NULL)
		return err_memory(err);
	*(void **)list = p;
	*cap = more;
	return 0;
}

int rows_step(struct db *db, struct rows *c, struct err *err)
{
	int rc = db_step(db, c->st, err);

	if (rc >= 0)
		c->name = rc == 1 ? db_text(c->st, 0) : NULL;
	return rc < 0 ? rc : 0;
}

int rows_open(struct db *db, struct rows *c, const char *sql, int64_t now, struct err *err)
{
	int rc = db_query(db, sql, &c->st, err);

	if (rc == 0 && sqlite3_bind_parameter_count(c->st) > 0)
		rc = db_bind(c->st, err, "i", now);
	return rc < 0 ? rc : rows_step(db, c, err);
}

bool rows_at(const struct rows *c, const char *name)
{
	return c->name != NULL && strcmp(c->name, name) == 0;
}

int status_beat_posted(struct site *s, int64_t *ret, struct err *err)
{
	int rc = db_int(s->db, err, ret,
			"SELECT ifnull(max(o.posted), 0) FROM beat b"
			" JOIN outbox o ON o.path = b.path",
			"");

	return rc < 0 ? rc : 0;
}

int64_t status_posted(int64_t beat_posted, int64_t at)
{
	return beat_posted >= at ? at : 0;
}

bool private_standing_read(sqlite3_stmt *st, int column, int64_t beat_posted,
			   struct private_standing *ret, int64_t *ret_heard)
{
	struct wanted *w = &ret->wanted;

	w->epoch = (uint64_t)db_i64(st, column);
	w->generation = (uint64_t)db_i64(st, column + 1);
	w->posted = status_posted(beat_posted, db_i64(st, column + 3));
	*ret_heard = db_i64(st, column + 4);
	ret->epoch = (uint64_t)db_i64(st, column + 5);
	ret->generation = (uint64_t)db_i64(st, column + 6);
	return (w->generation == 0 || db_digest(st, column + 2, &w->tree)) &&
	       (*ret_heard == 0 || db_digest(st, column + 7, &ret->tree));
}

void changed_clear(struct changed *l)
{
	free(l->id);
	l->id = NULL;
	l->n = l->cap = 0;
}

static int changed_add(void *arg, const char *id, struct err *err)
{
	struct changed *l = arg;
	int rc = rows_room(&l->id, l->n, &l->cap, sizeof(*l->id), err);

	if (rc == 0)
		snprintf(l->id[l->n++], sizeof(*l->id), "%s", id);
	return rc;
}

int changed_load(struct site *s, struct changed *ret, struct err *err)
{
	return compile_changed(s, changed_add, ret, err);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool changed_has(const struct changed *l, const char *id)
{
	return l->n > 0 && bsearch(id, l->id, l->n, sizeof(*l->id), by_id) != NULL;
}
