/* SPDX-License-Identifier: ISC */
/*
 * Noticing that the registry is older than what it published.  It is asked before every publish, so
 * it costs two listings, and reads a document only when a name claims more than is known here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/published/published.h"
#include "bundler/recover/recover_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define REMEDY                                                                         \
	"is this a backup, or does another server publish for this site? Nothing was " \
	"published; satchel recover compares and goes on above it"

static int older(struct err *err, const char *what)
{
	return err_set(err, RC_STATE, "the registry is older than what it published: %s; " REMEDY,
		       what);
}

static int trust_notice(struct site *s, struct depot *d, struct err *err)
{
	OWNED(found_version_clear) struct found_version v = {NULL, BUF_INIT};
	char text[256];
	int rc = found_trust(d, &s->trust, &v, err);

	if (rc <= 0)
		return rc;
	snprintf(text, sizeof(text),
		 "the depot %s has trust document %" PRIu64 ", the newest here is %" PRIu64,
		 depot_path(d), v.trust->version, s->trust.version);
	return older(err, text);
}

static int beat_notice(struct site *s, struct depot *d, uint64_t last, struct err *err)
{
	OWNED(found_document_clear) struct found_document doc = {.raw = BUF_INIT};
	struct published_beat ours;
	char text[256], at[CLOCK_TEXT + 1];
	struct beat beat;
	int rc = found_beat(d, &s->trust, last, &beat, &doc, err);

	if (rc < 0)
		return rc;
	if (rc == 1) {
		clock_format(at, beat.issued);
		snprintf(text, sizeof(text),
			 "the depot %s has beat %" PRIu64 " of %s, the newest here is %" PRIu64,
			 depot_path(d), beat.sequence, at, last);
		return older(err, text);
	}
	rc = published_beat(s->db, &ours, err);
	if (rc <= 0 || ours.sequence != last)
		return rc < 0 ? rc : 0;
	rc = found_other_beat(d, &s->trust, ours.path, last, &beat, &doc, err);
	if (rc <= 0)
		return rc;
	snprintf(text, sizeof(text),
		 "the depot %s has another beat %" PRIu64 " than the one made here", depot_path(d),
		 last);
	return older(err, text);
}

/* A machine is believed by a bounded step only: one that was stolen must not stop the site. */
static int receipts_notice(struct site *s, uint64_t last, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	char text[256];
	int rc = db_query(s->db,
			  "SELECT w.name, r.beat FROM workstation_member w JOIN receipt_newest r"
			  " ON r.id = w.id WHERE r.beat_epoch = ?1 AND r.beat > ?2"
			  " AND r.beat <= ?2 + ?3 ORDER BY r.beat DESC LIMIT 1",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "iii", (int64_t)s->trust.epoch[ROLE_BEAT], (int64_t)last,
			     (int64_t)RECOVER_STEP);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	snprintf(text, sizeof(text),
		 "workstation %s has seen beat %" PRIi64 ", the newest here is %" PRIu64,
		 db_text(st, 0), db_i64(st, 1), last);
	return older(err, text);
}

int recover_notice(struct site *s, struct depot *d, struct err *err)
{
	uint64_t last = 0;
	int rc = registry_last(s->db, "beat", &last, err);

	if (rc == 0 && d != NULL)
		rc = trust_notice(s, d, err);
	if (rc == 0 && d != NULL)
		rc = beat_notice(s, d, last, err);
	return rc < 0 ? rc : receipts_notice(s, last, err);
}
