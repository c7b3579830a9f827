/* SPDX-License-Identifier: ISC */
/*
 * The site as a whole, its events and what waits for a person.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bundler/enrolment/pending_request.h"
#include "bundler/outbox/site_post.h"
#include "bundler/published/published.h"
#include "bundler/receipts/receipts.h"
#include "bundler/registry/registry.h"
#include "bundler/status/status.h"
#include "core/base/own.h"

static int beat_read(struct site *s, struct status_site *ret, struct err *err)
{
	struct published_beat beat;
	int rc = published_beat(s->db, &beat, err);

	if (rc <= 0)
		return rc;
	ret->beat = beat.sequence;
	ret->beat_issued = beat.issued;
	ret->beat_expires = beat.expires;
	return 0;
}

static int release_count(void *arg, const struct published_release *r, struct err *err)
{
	struct status_site *g = arg;

	(void)r;
	(void)err;
	g->releases++;
	return 0;
}

static int counts_read(struct site *s, struct status_site *ret, struct err *err)
{
	uint64_t own = 0, theirs = 0;
	int rc = registry_event_count(s->db, &own, err);

	if (rc == 0)
		rc = receipts_event_count(s->db, &theirs, err);
	if (rc == 0)
		rc = pending_requests_count(s->db, &ret->pending_requests, err);
	ret->events = own + theirs;
	if (rc == 0)
		rc = published_releases(s->db, release_count, ret, err);
	return rc < 0 ? rc : site_unposted(s, &ret->unposted, err);
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
		  int (*each)(void *arg, const struct status_event *e, struct err *err), void *arg,
		  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	/* Those of workstations by when they were recorded: their clocks may be wrong. */
	rc = db_query(
	    s->db,
	    "SELECT * FROM (SELECT at, kind, about, text, claim, 0 FROM event_list"
	    " ORDER BY at DESC, number DESC LIMIT ?1)"
	    " UNION ALL SELECT * FROM (SELECT e.recorded, e.kind, w.name, e.text, '', 1 FROM receipt_events e"
	    " JOIN workstation_known w ON w.id = e.id ORDER BY e.recorded DESC, e.number DESC LIMIT ?1) ORDER BY 1 DESC LIMIT ?1",
	    &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)max);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1)
		rc =
		    each(arg,
			 &(struct status_event){db_i64(st, 0), db_text(st, 1), db_text(st, 2),
						db_text(st, 3), db_text(st, 4), db_i64(st, 5) != 0},
			 err);
	return rc;
}
