/* SPDX-License-Identifier: ISC */
/*
 * What workstations and users are read with.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/published/published.h"
#include "bundler/status/status_internal.h"
#include "core/base/own.h"

int rows_step(struct db *db, struct status_rows *c, struct err *err)
{
	int rc = db_step(db, c->st, err);

	if (rc >= 0)
		c->name = rc == 1 ? db_text(c->st, 0) : NULL;
	return rc < 0 ? rc : 0;
}

int rows_open(struct db *db, struct status_rows *c, const char *sql, int64_t now, struct err *err)
{
	int rc = db_query(db, sql, &c->st, err);

	if (rc == 0 && sqlite3_bind_parameter_count(c->st) > 0)
		rc = db_bind(c->st, err, "i", now);
	return rc < 0 ? rc : rows_step(db, c, err);
}

bool rows_at(const struct status_rows *c, const char *name)
{
	return c->name != NULL && strcmp(c->name, name) == 0;
}

int status_beat_posted(struct site *s, int64_t *ret, struct err *err)
{
	return published_beat_posted(s->db, ret, err);
}

int64_t status_posted(int64_t beat_posted, int64_t at)
{
	return beat_posted >= at ? at : 0;
}

bool private_snapshot_read(sqlite3_stmt *st, int column, int64_t beat_posted,
			   struct private_snapshot *ret, int64_t *ret_heard)
{
	struct wanted_generation *w = &ret->wanted;

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
	strings_clear(&l->id);
}

static int changed_add(void *arg, const char *id, struct err *err)
{
	struct changed *l = arg;

	return strings_add(&l->id, id, err);
}

int changed_load(struct site *s, struct changed *ret, struct err *err)
{
	return compile_changed(s, changed_add, ret, err);
}

bool changed_has(const struct changed *l, const char *id)
{
	return strings_has_sorted(&l->id, id);
}
