/* SPDX-License-Identifier: ISC */
/*
 * What workstations say that they have seen, beyond anything that is signed: the depots that were
 * posted to last are gone.  Each is the word of one machine, so it raises a number by a bounded
 * step; a machine that claims more is named, and a person decides.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/private/private.h"
#include "bundler/published/published.h"
#include "bundler/receipts/receipts.h"
#include "bundler/recover/recover_internal.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct claim {
	char name[WORKSTATION_NAME], id[WORKSTATION_ID + 1];
	char channel[CHANNEL_NAME]; /* "": the beat, or the private channel */
	uint64_t epoch, number;
};
struct claims LIST_MEMBERS(struct claim);

static void claims_clear(struct claims *l)
{
	list_clear(l);
}

/* Copied out, because what follows writes the tables that are read. */
static int claims_load(struct db *db, const char *sql, uint64_t epoch, struct claims *ret,
		       struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)epoch);
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		struct claim *c = list_add(ret, err);

		if (c == NULL)
			return err->rc;
		snprintf(c->name, sizeof(c->name), "%s", db_text(st, 0));
		snprintf(c->id, sizeof(c->id), "%s", db_text(st, 1));
		snprintf(c->channel, sizeof(c->channel), "%s", db_text(st, 2));
		c->epoch = epoch;
		c->number = (uint64_t)db_i64(st, 3);
		rc = 0;
	}
	return rc;
}

static int too_much(const struct claim *c, const char *what, uint64_t known, struct err *err)
{
	return err_set(
	    err, RC_CONFLICT,
	    "workstation %s says that it has seen %s %" PRIu64
	    ", and the highest that is signed is %" PRIu64
	    ": bring the depot or stick that it got it from (satchel recover --depot DIR), or, when "
	    "it cannot be trusted, satchel workstation revoke %s",
	    c->name, what, c->number, known, c->name);
}

static int beat_claims(struct site *s, struct recover_report *r, struct err *err)
{
	OWNED(claims_clear) struct claims l = {.n = 0};
	int rc = claims_load(s->db,
			     "SELECT w.name, w.id, '', r.beat FROM workstation_member w"
			     " JOIN receipt_newest r ON r.id = w.id WHERE r.beat_epoch = ?1"
			     " ORDER BY r.beat DESC LIMIT 1",
			     s->trust.epoch[ROLE_BEAT], &l, err);

	if (rc < 0 || l.n == 0 || l.items[0].number <= r->beat)
		return rc;
	if (l.items[0].number - r->beat > RECOVER_STEP)
		return too_much(&l.items[0], "beat", r->beat, err);
	r->beat = l.items[0].number;
	return 0;
}

/* A number without a head: nothing leads to it, and the next generation is above it. */
static int channel_raise(struct site *s, struct recover_report *r, const struct claim *c,
			 struct err *err)
{
	struct published_generation last = {.generation = 0};
	char what[CHANNEL_NAME + 32];
	int rc = published_latest_in(s->db, c->channel, c->epoch, &last, err);

	if (rc < 0 || last.generation >= c->number)
		return rc < 0 ? rc : 0;
	snprintf(what, sizeof(what), "generation of channel %s number", c->channel);
	if (c->number - last.generation > RECOVER_STEP)
		return too_much(c, what, last.generation, err);
	last = (struct published_generation){
	    .epoch = c->epoch, .generation = c->number, .created = clock_now()};
	rc = published_generation_add(s->db, c->channel, &last, err);
	return rc < 0 ? rc : strings_add(&r->channel, c->channel, err);
}

static int channel_claims(struct site *s, struct recover_report *r, struct err *err)
{
	OWNED(claims_clear) struct claims l = {.n = 0};
	int rc =
	    claims_load(s->db,
			"SELECT w.name, w.id, c.channel, max(c.generation)"
			" FROM workstation_member w JOIN receipt_newest_channel c ON c.id = w.id"
			" WHERE c.epoch = ?1 GROUP BY c.channel ORDER BY c.channel",
			s->trust.epoch[ROLE_PUBLISH], &l, err);

	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = channel_raise(s, r, &l.items[i], err);
	return rc;
}

static int private_raise(struct site *s, struct recover_report *r, const struct claim *c,
			 struct err *err)
{
	int64_t known = 0;
	int rc = db_int(s->db, err, &known,
			"SELECT generation FROM private_newest WHERE id = ?1 AND epoch = ?2", "ti",
			c->id, (int64_t)c->epoch);

	if (rc < 0 || (uint64_t)known >= c->number)
		return rc < 0 ? rc : 0;
	if (c->number - (uint64_t)known > RECOVER_STEP)
		return too_much(c, "its private channel number", (uint64_t)known, err);
	rc = private_raised(s->db, c->id, c->epoch, c->number, clock_now(), err);
	return rc < 0 ? rc : strings_add(&r->apart, c->name, err);
}

static int private_claims(struct site *s, struct recover_report *r, struct err *err)
{
	OWNED(claims_clear) struct claims l = {.n = 0};
	int rc = claims_load(s->db,
			     "SELECT w.name, w.id, '', r.private_generation FROM"
			     " workstation_member w JOIN receipt_newest r ON r.id = w.id"
			     " WHERE r.private_epoch = ?1 ORDER BY w.name",
			     trust_epoch(&s->trust, ROLE_PRIVATE), &l, err);

	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = private_raise(s, r, &l.items[i], err);
	return rc;
}

int recover_claims(struct site *s, struct recover_report *r, struct err *err)
{
	int rc = beat_claims(s, r, err);

	if (rc == 0)
		rc = channel_claims(s, r, err);
	return rc < 0 ? rc : private_claims(s, r, err);
}
