/* SPDX-License-Identifier: ISC */
/*
 * Rows of events.  A receipt carries the whole row of those that are not acknowledged, and the
 * server takes one whose number is not above the last for old; so what satchel noticed by itself
 * may be merged and dropped, and what people said may not.
 */
#include "applier/report/event.h"

#include <stdio.h>

#include "applier/station/station_state.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* An event that is said again within this time is the same event. */
#define EVENT_REPEAT (7 * 86400)
/* Events that are kept at most; the oldest go first. */
#define EVENTS_KEPT "256"

static const char event_tables[] =
    "CREATE TABLE event ("
    " number INTEGER PRIMARY KEY," /* COUNTER_EVENT */
    " at INTEGER NOT NULL,"        /* seconds since 1970 */
    " last INTEGER NOT NULL,"      /* when it was last seen */
    " kind TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " about TEXT NOT NULL DEFAULT '',"     /* the message that it is about */
    " user TEXT NOT NULL DEFAULT '',"      /* who said it */
    " said INTEGER NOT NULL DEFAULT 0,"    /* 1: event_of_person */
    " receipt INTEGER NOT NULL DEFAULT 0," /* first of those in a row that carried it; 0: none */
    " acknowledged INTEGER NOT NULL DEFAULT 0) STRICT;";
static const char *const event_steps[] = {event_tables};
const struct db_schema station_event_schema = DB_SCHEMA("event", event_steps);

int station_event(struct station *s, const char *kind, const char *text, struct err *err)
{
	char clean[512];
	int64_t now = clock_now(), number = 0;
	uint64_t next;
	int rc;

	err_escape(clean, sizeof(clean), text);
	rc = db_int(s->db, err, &number,
		    "UPDATE event SET last = ?1 WHERE kind = ?2 AND text = ?3 AND "
		    "said = 0 AND (acknowledged = 0 OR abs(?1 - last) < ?4) RETURNING number",
		    "itti", now, kind, clean, (int64_t)EVENT_REPEAT);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = station_next(s, COUNTER_EVENT, &next, err);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT INTO event (number, at, last, kind, text) "
			    "VALUES (?1, ?2, ?2, ?3, ?4)",
			    "iitt", (int64_t)next, now, kind, clean);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "DELETE FROM event WHERE (said = 0 OR acknowledged = 1) AND "
			    "number NOT IN (SELECT number FROM event "
			    "ORDER BY number DESC LIMIT " EVENTS_KEPT ")",
			    "");
	return rc;
}

int event_room(struct station *s, struct err *err)
{
	int64_t waiting = 0;
	int rc = db_int(s->db, err, &waiting,
			"SELECT count(*) FROM event WHERE said = 1 AND acknowledged = 0", "");

	if (rc < 0 || waiting < EVENTS_SAID)
		return rc < 0 ? rc : 0;
	return err_set(err, RC_AGAIN,
		       "%d answers and reports wait for the server already: when it has collected "
		       "them and published, and this workstation has synced, there is room again",
		       EVENTS_SAID);
}

int event_of_person(struct station *s, const char *kind, const char *text, const char *about,
		    const char *user, struct err *err)
{
	uint64_t number = 0;
	int rc = event_room(s, err);

	if (rc == 0)
		rc = station_next(s, COUNTER_EVENT, &number, err);
	if (rc < 0)
		return rc;
	return db_run(s->db, err,
		      "INSERT INTO event (number, at, last, kind, text, about, user, said) "
		      "VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, 1)",
		      "iitttt", (int64_t)number, clock_now(), kind, text, about, user);
}

int station_events(struct station *s, bool all,
		   int (*each)(void *arg, const struct receipt_event *e, struct err *err),
		   void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT number, at, kind, text, about, user FROM event "
			  "WHERE acknowledged = 0 OR ? ORDER BY number",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)all);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct receipt_event e = {.number = (uint64_t)db_i64(st, 0), .at = db_i64(st, 1)};

		snprintf(e.kind, sizeof(e.kind), "%s", db_text(st, 2));
		snprintf(e.text, sizeof(e.text), "%s", db_text(st, 3));
		snprintf(e.about, sizeof(e.about), "%s", db_text(st, 4));
		snprintf(e.user, sizeof(e.user), "%s", db_text(st, 5));
		rc = each(arg, &e, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

/* The number that acknowledges an event is that of the first of an unbroken row of receipts that
 * carried it: one that a receipt leaves out begins anew. */
int event_sent(struct station *s, const struct receipt *r, struct err *err)
{
	int rc =
	    db_run(s->db, err, "UPDATE event SET receipt = -receipt WHERE acknowledged = 0", "");

	for (size_t i = 0; rc == 0 && i < r->events; i++)
		rc = db_run(s->db, err,
			    "UPDATE event SET receipt = iif(receipt < 0, -receipt, ?) "
			    "WHERE number = ?",
			    "ii", (int64_t)r->sequence, (int64_t)r->event[i].number);
	return rc < 0 ? rc
		      : db_run(s->db, err, "UPDATE event SET receipt = 0 WHERE receipt < 0", "");
}

int event_acknowledge(struct station *s, uint64_t sequence, struct err *err)
{
	return db_run(s->db, err,
		      "UPDATE event SET acknowledged = 1 "
		      "WHERE acknowledged = 0 AND receipt > 0 AND receipt <= ?",
		      "i", (int64_t)sequence);
}

int event_renumber(struct station *s, uint64_t by, struct err *err)
{
	uint64_t last = 0;
	int rc = station_last(s, COUNTER_EVENT, &last, err);

	if (rc == 0)
		rc = station_raise(s, COUNTER_EVENT, last + by, err);
	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "UPDATE event SET number = number + ?, receipt = 0"
			       " WHERE acknowledged = 0",
			       "i", (int64_t)by);
}

int event_forget(struct station *s, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM event", "");
}
