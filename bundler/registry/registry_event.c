/* SPDX-License-Identifier: ISC */
/*
 * Events: what a person should know later.  They are counted and bounded, because what goes wrong
 * once goes wrong a thousand times.
 */
#include <stdarg.h>
#include <stdio.h>

#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/*
 * Events older than the newest so many are dropped: what nobody looked at for that long is in the
 * journal or lost, and a flood must not fill the server's disk.
 */
#define EVENTS_KEPT 20000
/* Seconds within which a flood joins the event that reported it first. */
#define EVENT_JOINS 86400

static int event_insert(struct db *db, const char *kind, const char *about, const char *text,
			const char *claim, uint64_t count, struct err *err)
{
	int rc;

	rc = db_run(db, err,
		    "INSERT INTO event(at, first, kind, about, text, count, claim)"
		    " VALUES(?1, ?1, ?2, ?3, ?4, ?5, ?6)",
		    "itttit", clock_now(), kind, about, text, (int64_t)count, claim);
	if (rc < 0)
		return rc;
	return db_run(db, err,
		      "DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?1", "i",
		      (int64_t)EVENTS_KEPT);
}

/* event_join(...): add ${count} to event ${number}; its words become the newest ones. */
static int event_join(struct db *db, int64_t number, const char *text, const char *claim,
		      uint64_t count, struct err *err)
{
	return db_run(db, err,
		      "UPDATE event SET at = ?1, text = ?2, claim = ?5, count = count + ?3"
		      " WHERE number = ?4",
		      "itiit", clock_now(), text, (int64_t)count, number, claim);
}

static int event_put(struct db *db, const char *kind, const char *about, const char *text,
		     struct err *err)
{
	int64_t number = 0;
	int rc;

	rc = db_int(db, err, &number,
		    "SELECT number FROM event WHERE text = ?3 AND number ="
		    " (SELECT max(number) FROM event WHERE kind = ?1 AND about = ?2)",
		    "ttt", kind, about, text);
	if (rc < 0)
		return rc;
	if (rc == 1)
		return event_join(db, number, text, "", 1, err);
	return event_insert(db, kind, about, text, "", 1, err);
}

int registry_event_many(struct db *db, const char *kind, const char *about, const char *text,
			const char *claim, uint64_t count, struct err *err)
{
	int64_t number = 0;
	int rc;

	rc = db_int(db, err, &number,
		    "SELECT number FROM event WHERE first > ?3 AND number ="
		    " (SELECT max(number) FROM event WHERE kind = ?1 AND about = ?2)",
		    "tti", kind, about, clock_now() - EVENT_JOINS);
	if (rc < 0)
		return rc;
	if (rc == 1)
		return event_join(db, number, text, claim, count, err);
	return event_insert(db, kind, about, text, claim, count, err);
}

int registry_eventf(struct db *db, struct err *err, const char *kind, const char *about,
		    const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return event_put(db, kind, about, text, err);
}

int registry_eventf_many(struct db *db, struct err *err, const char *kind, const char *about,
			 const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return registry_event_many(db, kind, about, text, "", 1, err);
}

int registry_event_count(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM event", "");

	if (rc < 0)
		return rc;
	*ret = (uint64_t)n;
	return 0;
}
