/*
 * What a workstation remembers of people: added to its database when it learned of them.
 */
#include "applier/station_internal.h"

#include <string.h>

#include "core/base/own.h"

const char station_model_sql[] =
    /* What people said, and what is about a message, is never said twice the same, nor dropped. */
    "ALTER TABLE event ADD COLUMN about TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE event ADD COLUMN user TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE event ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE activation (" /* asked for, and not answered yet */
    " id TEXT PRIMARY KEY,"
    " account TEXT NOT NULL,"
    " people TEXT NOT NULL,"     /* who had that account when it was asked for */
    " receipt INTEGER NOT NULL," /* the newest one then */
    " collect TEXT NOT NULL,"    /* the collect key that it is sealed to */
    " path TEXT NOT NULL,"       /* of the request, in the outbox */
    " until INTEGER NOT NULL)"   /* no server will take it any more */
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE handed (" /* of each user who is active here: how the last hand-out came out */
    " email TEXT PRIMARY KEY,"
    " account TEXT NOT NULL,"
    " result TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE message (" /* what became of those that are in the private channel */
    " id TEXT PRIMARY KEY,"
    " read INTEGER NOT NULL DEFAULT 0," /* when; 0: not yet */
    " answered INTEGER NOT NULL DEFAULT 0,"
    " done INTEGER NOT NULL DEFAULT 0)" /* a command: when it was carried out or refused */
    " STRICT, WITHOUT ROWID;";

static int fact_there(struct station *s, const char *name, struct err *err)
{
	OWNED(buf_clear) struct buf value = BUF_INIT;

	return station_fact_get(s, name, &value, err);
}

int station_end_load(struct station *s, struct err *err)
{
	int rc = fact_there(s, "wiped", err);

	s->end = rc == 1 ? STATION_WIPED : STATION_STAYS;
	if (rc == 0) {
		rc = fact_there(s, "decommission", err);
		s->end = rc == 1 ? STATION_ENDS : STATION_STAYS;
	}
	return rc < 0 ? rc : 0;
}

/* Of the same site the trust chain and the floor under beats stay. */
int station_end_forget(struct station *s, const struct digest *site, struct err *err)
{
	static const char *const sql[] = {"DELETE FROM fact", "DELETE FROM membership",
					  "DELETE FROM event", "DELETE FROM outcome",
					  "DELETE FROM torn"};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sql); i++)
		rc = db_run(s->db, err, sql[i], "");
	s->end = STATION_STAYS;
	if (rc < 0 || digest_equal(site, &s->site))
		return rc;
	rc = db_run(s->db, err, "DELETE FROM trust", "");
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM beat", "");
	memset(&s->trust, 0, sizeof(s->trust));
	s->beat_epoch = s->beat = 0;
	s->beat_issued = s->beat_expires = s->beat_arrived = 0;
	/* Before the commit: a floor that is too low says nothing, one that is too high locks out.
	 */
	return rc < 0 ? rc : station_floor_write(s, err);
}
