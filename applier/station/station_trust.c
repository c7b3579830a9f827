/* SPDX-License-Identifier: ISC */
/*
 * The trust chain as this workstation accepted it.  It is verified anew in every run, so that a
 * database which somebody changed is noticed before anything is believed because of it.
 */
#include "applier/station/station_state.h"

#include <inttypes.h>

#include "core/base/own.h"
#include "core/format/documents/trustchain.h"

static int trust_load_rows(struct station *s, sqlite3_stmt *st, struct trust *ret, struct err *err)
{
	struct trust cur = {0};
	uint64_t version = 0;
	int rc;

	while ((rc = db_step(s->db, st, err)) == 1) {
		struct trust next;
		struct bytes raw = db_bytes(st, 1);

		version++;
		if (db_i64(st, 0) != (int64_t)version)
			return err_set(err, RC_STATE,
				       "trust version %" PRIu64
				       " is missing in %s/state.db: restore it, or move %s away "
				       "and enrol anew",
				       version, s->state, s->state);
		rc = version == 1 ? trustchain_first(raw, &s->site, &next, err)
				  : trustchain_next(&cur, raw, &next, err);
		if (rc < 0)
			return err_set(err, RC_STATE,
				       "trust version %" PRIu64
				       " in the database does not verify: restore %s/state.db, or "
				       "move %s away and enrol anew",
				       version, s->state, s->state);
		cur = next;
	}
	if (rc < 0)
		return rc;
	if (version == 0)
		return err_set(err, RC_STATE,
			       "the database has no trust document: restore %s/state.db, or move "
			       "%s away and enrol anew",
			       s->state, s->state);
	*ret = cur;
	return 0;
}

int station_trust_load(struct station *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT version, document FROM trust ORDER BY version", &st, err);

	return rc < 0 ? rc : trust_load_rows(s, st, &s->trust, err);
}

int station_trust_put(struct station *s, uint64_t version, struct bytes raw, struct err *err)
{
	return db_run(s->db, err, "INSERT INTO trust (version, document) VALUES (?, ?)", "ib",
		      (int64_t)version, raw);
}

int station_trust_each(struct station *s,
		       int (*each)(void *arg, uint64_t version, struct bytes raw, struct err *err),
		       void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT version, document FROM trust ORDER BY version", &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		rc = each(arg, (uint64_t)db_i64(st, 0), db_bytes(st, 1), err);
		if (rc != 0)
			return rc;
	}
	return rc;
}
