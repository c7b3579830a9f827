/*
 * The site as a whole, its events and what waits for a person.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bundler/status.h"
#include "core/base/own.h"

static int beat_read(struct site *s, struct status_site *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT sequence, issued, expires FROM beat ORDER BY sequence DESC LIMIT 1",
		      &st, err);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	ret->beat = (uint64_t)db_i64(st, 0);
	ret->beat_issued = db_i64(st, 1);
	ret->beat_expires = db_i64(st, 2);
	return 0;
}

static int counts_read(struct site *s, struct status_site *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT (SELECT count(*) FROM held_request),"
		      " (SELECT count(*) FROM event) + (SELECT count(*) FROM receipt_event),"
		      " (SELECT count(*) FROM outbox WHERE posted = 0)"
		      " + (SELECT count(*) FROM bundle WHERE posted = 0)",
		      &st, err);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	ret->held_requests = (uint64_t)db_i64(st, 0);
	ret->events = (uint64_t)db_i64(st, 1);
	ret->unposted = (uint64_t)db_i64(st, 2);
	return 0;
}

int status_site(struct site *s, struct status_site *ret, struct err *err)
{
	struct status_site all = {.id = s->id, .trust = s->trust.version, .channels = s->channels};
	int rc;

	snprintf(all.name, sizeof(all.name), "%s", s->trust.name);
	rc = beat_read(s, &all, err);
	if (rc == 0)
		rc = counts_read(s, &all, err);
	if (rc == 0)
		*ret = all;
	return rc;
}

int status_events(struct site *s, unsigned max,
		  int (*each)(void *arg, int64_t at, const char *kind, const char *about,
			      const char *text, struct err *err),
		  void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	/* Those of workstations by when they were recorded: their clocks may be wrong. */
	rc = db_query(
	    s->db,
	    "SELECT * FROM (SELECT at, kind, about, CASE count WHEN 1 THEN text ELSE"
	    " text || ' (' || count || ' times)' END FROM event ORDER BY at DESC, number DESC"
	    " LIMIT ?1) UNION ALL SELECT * FROM (SELECT e.recorded, e.kind, w.name, e.text"
	    " FROM receipt_event e JOIN workstation w ON w.id = e.id ORDER BY e.recorded DESC,"
	    " e.number DESC LIMIT ?1) ORDER BY 1 DESC LIMIT ?1",
	    &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)max);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = each(arg, db_i64(st, 0), db_text(st, 1), db_text(st, 2), db_text(st, 3), err);
	return rc;
}

int status_requests(struct site *s,
		    int (*each)(void *arg, const char *id, const char *name, int64_t at,
				struct err *err),
		    void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db, "SELECT id, name, at FROM held_request ORDER BY at, id", &st, err);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = each(arg, db_text(st, 0), db_text(st, 1), db_i64(st, 2), err);
	return rc;
}
