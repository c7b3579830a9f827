#include "bundler/consignment.h"

#include "bundler/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

const char consignment_schema_sql[] =
    /* some: whether only the workstations of consigned; else all that are enrolled */
    "CREATE TABLE consignment(depot TEXT PRIMARY KEY, at INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " beat INTEGER NOT NULL, audience TEXT NOT NULL, some INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE consigned(depot TEXT NOT NULL REFERENCES consignment(depot) ON DELETE CASCADE,"
    " id TEXT NOT NULL, PRIMARY KEY(depot, id)) STRICT, WITHOUT ROWID;";

static int audience_text(char *const *who, size_t n, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "", err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = buf_printf(ret, err, "%s%s", i > 0 ? ", " : "", who[i]);
	return rc;
}

static int note(struct site *s, const char *depot, const struct selection *sel,
		const char *audience, uint64_t beat, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM consignment WHERE depot = ?1", "t", depot);

	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT INTO consignment(depot, at, epoch, beat, audience, some)"
			    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			    "tiiiti", depot, clock_now(), (int64_t)s->trust.epoch[ROLE_BEAT],
			    (int64_t)beat, audience, (int64_t)(sel != NULL));
	for (size_t i = 0; rc == 0 && sel != NULL && i < sel->ids; i++)
		rc = db_run(s->db, err, "INSERT INTO consigned(depot, id) VALUES(?1, ?2)", "tt",
			    depot, sel->id[i]);
	return rc;
}

int consignment_note(struct site *s, const char *depot, const struct selection *sel,
		     char *const *who, size_t n, uint64_t beat, struct err *err)
{
	OWNED(buf_clear) struct buf audience = BUF_INIT;
	int rc = audience_text(who, n, &audience, err);

	if (rc == 0)
		rc = db_begin(s->db, err);
	if (rc < 0)
		return rc;
	rc = note(s, depot, sel, (const char *)audience.p, beat, err);
	if (rc == 0)
		return db_commit(s->db, err);
	db_rollback(s->db);
	return rc;
}

int consignment_revert(struct site *s, const char *depot, struct err *err)
{
	int64_t n = 0;
	int rc =
	    db_int(s->db, err, &n, "SELECT count(*) FROM consignment WHERE depot = ?1", "t", depot);

	if (rc < 0)
		return rc;
	if (n == 0)
		return err_set(err, RC_USAGE,
			       "nothing is on the way by %s; satchel depot list shows what is",
			       depot);
	return db_run(s->db, err, "DELETE FROM consignment WHERE depot = ?1", "t", depot);
}

/* A receipt confirms with the beat that its writer knew. */
static const char list_sql[] =
    "SELECT c.depot, c.audience, c.at, c.beat,"
    " coalesce((SELECT value FROM counter WHERE name = 'beat'), 0) - c.beat,"
    " (SELECT count(*) FROM workstation w WHERE w.state IN ('enrolled', 'leaving') AND (c.some = 0"
    "  OR EXISTS(SELECT 1 FROM consigned x WHERE x.depot = c.depot AND x.id = w.id))),"
    " (SELECT count(*) FROM workstation w JOIN receipt r ON r.id = w.id"
    "  WHERE w.state IN ('enrolled', 'leaving') AND (c.some = 0"
    "  OR EXISTS(SELECT 1 FROM consigned x WHERE x.depot = c.depot AND x.id = w.id))"
    "  AND (r.beat_epoch > c.epoch OR (r.beat_epoch = c.epoch AND r.beat >= c.beat)))"
    " FROM consignment c ORDER BY c.depot";

int consignments(struct site *s,
		 int (*each)(void *arg, const struct consignment *c, struct err *err), void *arg,
		 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, list_sql, &st, err);

	while (rc == 0 && (rc = db_step(s->db, st, err)) > 0) {
		int64_t behind = db_i64(st, 4);
		struct consignment c = {.depot = db_text(st, 0),
					.audience = db_text(st, 1),
					.at = db_i64(st, 2),
					.beat = (uint64_t)db_i64(st, 3),
					.behind = behind > 0 ? (uint64_t)behind : 0,
					.machines = (uint64_t)db_i64(st, 5),
					.confirmed = (uint64_t)db_i64(st, 6)};

		rc = each(arg, &c, err);
	}
	return rc;
}
