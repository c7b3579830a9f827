/* SPDX-License-Identifier: ISC */
/*
 * Rows of what is waited for, by the sentence that says it.
 */
#include "applier/follow/incomplete.h"

#include "core/base/clock.h"

static const char incomplete_tables[] = "CREATE TABLE incomplete ("
					" what TEXT PRIMARY KEY,"
					" first INTEGER NOT NULL," /* seconds since 1970 */
					" last INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const incomplete_steps[] = {incomplete_tables};
const struct db_schema station_incomplete_schema = DB_SCHEMA("incomplete", incomplete_steps);

int incomplete_seen(struct station *s, const char *what, int64_t *ret_seconds, struct err *err)
{
	int64_t now = clock_now(), first = now;
	int rc = db_run(s->db, err, "DELETE FROM incomplete WHERE abs(? - last) > 86400", "i", now);

	if (rc == 0)
		rc = db_int(s->db, err, &first,
			    "INSERT INTO incomplete (what, first, last) VALUES (?1, ?2, ?2) "
			    "ON CONFLICT (what) DO UPDATE SET last = ?2 RETURNING first",
			    "ti", what, now);
	*ret_seconds = now - first;
	return rc < 0 ? rc : 0;
}

int incomplete_forget(struct station *s, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM incomplete", "");
}
