/*
 * Knocking: workstations whose timer is an hour look within seconds, because the newest beat, which
 * they see, names them.  Kept as counters "knock:ID" whose value is until when beats repeat it.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/publish_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Whoever sees the depot by polling looks at least once a minute. */
#define KNOCK_SECONDS 600
#define KNOCK_ALL     "knock:all"
#define KNOCK_PREFIX  6 /* "knock:" */

int publish_knocks(struct site *s, struct beat *b, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_run(s->db, err, "DELETE FROM counter WHERE name GLOB 'knock:*' AND value <= ?1",
			"i", b->issued);

	if (rc == 0)
		rc = db_query(s->db,
			      "SELECT name FROM counter WHERE name GLOB 'knock:*' ORDER BY name",
			      &st, err);
	while (rc == 0 && (rc = db_step(s->db, st, err)) > 0) {
		const char *name = db_text(st, 0);

		rc = 0;
		if (strcmp(name, KNOCK_ALL) == 0 || b->knocks == BEAT_KNOCKS)
			b->knock_all = true;
		else
			snprintf(b->knock[b->knocks++], sizeof(b->knock[0]), "%s",
				 name + KNOCK_PREFIX);
	}
	if (b->knock_all)
		b->knocks = 0;
	return rc;
}

/* The counter of one workstation, by the name that people know. */
static int knock_keep(struct site *s, const char *name, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	char counter[KNOCK_PREFIX + WORKSTATION_ID + 1] = KNOCK_ALL;
	int rc;

	if (strcmp(name, "all") != 0) {
		rc = db_query(
		    s->db,
		    "SELECT id FROM workstation WHERE name = ?1 AND state IN ('enrolled', 'leaving')",
		    &st, err);
		if (rc == 0)
			rc = db_bind(st, err, "t", name);
		if (rc == 0)
			rc = db_step(s->db, st, err);
		if (rc == 0)
			return err_set(err, RC_USAGE,
				       "there is no enrolled workstation %s; satchel workstation "
				       "list shows them",
				       name);
		if (rc < 0)
			return rc;
		snprintf(counter, sizeof(counter), "knock:%s", db_text(st, 0));
	}
	return db_run(s->db, err,
		      "INSERT INTO counter(name, value) VALUES(?1, ?2)"
		      " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
		      "ti", counter, clock_now() + KNOCK_SECONDS);
}

int publish_knock(struct site *s, const char *const *names, size_t n, struct err *err)
{
	int rc = db_begin(s->db, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = knock_keep(s, names[i], err);
	if (rc == 0)
		rc = publish_beat(s, BEAT_ANYWAY, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0) {
		db_rollback(s->db);
		return rc;
	}
	return publish_post(s, err);
}
