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

int changed_load(struct site *s, struct changed *ret, struct err *err)
{
	OWNED(subscriptions_clear) struct subscriptions subs = {0};
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct site_workstation spare;
	struct digest had, now;
	int rc = subscriptions_make(s, &subs, err);

	if (rc == 0)
		rc = db_query(s->db,
			      "SELECT id, name, inputs FROM workstation"
			      " WHERE state IN ('enrolled', 'leaving') ORDER BY id",
			      &st, err);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		const char *id = db_text(st, 0);

		now =
		    subscriptions_inputs(&subs, site_workstation_or(s, db_text(st, 1), &spare), id);
		rc = 0;
		if (db_digest(st, 2, &had) && digest_equal(&had, &now))
			continue;
		rc = rows_room(&ret->id, ret->n, &ret->cap, sizeof(*ret->id), err);
		if (rc == 0)
			snprintf(ret->id[ret->n++], sizeof(*ret->id), "%s", id);
	}
	return rc;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool changed_has(const struct changed *l, const char *id)
{
	return l->n > 0 && bsearch(id, l->id, l->n, sizeof(*l->id), by_id) != NULL;
}
