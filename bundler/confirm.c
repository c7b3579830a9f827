#include "bundler/confirm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundler/confirm_internal.h"
#include "bundler/registry.h"
#include "bundler/site_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

void confirmed_clear(struct confirmed *c)
{
	free(c->channel);
	*c = (struct confirmed){.channel = NULL};
}

/* The secret collect keys, oldest first.  Old ones count: a workstation that has not seen a
 * rotation yet shares a key with the one it knows. */
struct collect_keys {
	int dirfd;
	struct key_secret *key[LIMIT_KEYS]; /* owned */
	size_t n;
};

static void keys_clear(struct collect_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		key_free(k->key[i]);
	fd_closep(&k->dirfd);
}

static int key_load(void *arg, const char *name, struct err *err)
{
	struct collect_keys *k = arg;
	int rc;

	if (k->n == ARRAY_LEN(k->key))
		return err_set(err, RC_LIMIT, "more than %zu collect keys", ARRAY_LEN(k->key));
	rc = key_read(k->dirfd, name, NULL, &k->key[k->n], err);
	if (rc == 0)
		k->n++;
	return rc;
}

static int keys_load(struct site *s, struct collect_keys *ret, struct err *err)
{
	ret->dirfd = beneath_dir(s->statefd, SITE_KEYS, err);
	if (ret->dirfd < 0)
		return ret->dirfd;
	return site_keys_each(ret->dirfd, ROLE_COLLECT, key_load, ret, err);
}

/* Wrong codes */

/* tries_check(s, err): a clock that was set back makes what lies ahead of it happen now, so that
 * nobody waits longer than the span. */
static int tries_check(struct site *s, struct err *err)
{
	int64_t now = clock_now(), oldest = 0;
	char again[CLOCK_TEXT + 1];
	int rc;

	rc = db_run(s->db, err, "UPDATE confirm_try SET at = ?1 WHERE at > ?1", "i", now);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM confirm_try WHERE at <= ?1", "i",
			    now - CONFIRM_SPAN);
	if (rc == 0)
		rc = db_int(s->db, err, &oldest,
			    "SELECT at FROM confirm_try ORDER BY at DESC LIMIT 1 OFFSET ?1", "i",
			    (int64_t)CONFIRM_TRIES - 1);
	if (rc <= 0)
		return rc;
	clock_format(again, oldest + CONFIRM_SPAN);
	return err_set(err, RC_AGAIN,
		       "%d wrong confirmation codes were typed within an hour: try again after %s",
		       CONFIRM_TRIES, again);
}

/* wrong(s, about, err, text): one more wrong code, about ${about}. */
static int wrong(struct site *s, const char *about, struct err *err, const char *text)
{
	int rc = db_begin(s->db, err);

	if (rc == 0)
		rc = db_run(s->db, err, "INSERT INTO confirm_try(at) VALUES(?1)", "i", clock_now());
	if (rc == 0)
		rc = registry_eventf_many(s->db, err, "confirm-wrong", about,
					  "a confirmation code was refused: %s", text);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0) {
		db_rollback(s->db);
		return rc;
	}
	return err_set(err, RC_UNTRUSTED, "%s", text);
}

/* Matching */

/* One workstation whose code it may be. */
struct candidate {
	char id[WORKSTATION_ID + 1];
	char name[WORKSTATION_NAME];
	struct key_public seal;
	uint64_t recorded, confirmed; /* newest receipt, newest code; 0: none */
};

struct match {
	const struct confirm *code;        /* borrowed */
	const struct collect_keys *keys;   /* borrowed */
	const struct candidate *candidate; /* borrowed */
	uint64_t receipt;                  /* the number that fits */
	struct confirm_moment moment;      /* owned; what fits */
};

/* key_fits(g, key, number, statement, err): 1 when the code is the MAC of it. */
static int key_fits(const struct match *g, const struct key_secret *key, uint64_t number,
		    struct bytes statement, struct err *err)
{
	struct key_public collect = key_public_of(key);
	struct confirm is;
	int rc;

	rc = confirm_make(key, &g->candidate->seal, &collect, g->candidate->id, number, statement,
			  &is, err);
	if (rc < 0)
		return rc;
	return sodium_memcmp(&is.mac, &g->code->mac, sizeof(is.mac)) == 0;
}

static int number_fits(const struct match *g, struct confirm_moment *m, uint64_t number,
		       struct err *err)
{
	OWNED(buf_clear) struct buf statement = BUF_INIT;
	int rc;

	m->holds.sequence = number;
	rc = confirm_statement(&m->holds, &statement, err);
	for (size_t i = g->keys->n; rc == 0 && i > 0; i--)
		rc = key_fits(g, g->keys->key[i - 1], number, bytes_in(&statement), err);
	return rc;
}

/* numbers_fit(arg, m, err): the number that is known or comes next, some rounds above it, and one
 * below, which is an old code. */
static int numbers_fit(void *arg, struct confirm_moment *m, struct err *err)
{
	struct match *g = arg;
	const struct candidate *c = g->candidate;
	uint64_t known = c->recorded > c->confirmed ? c->recorded : c->confirmed;
	uint64_t below = known - (known + CONFIRM_RECEIPTS - g->code->receipt) % CONFIRM_RECEIPTS;
	int rc = 0;

	if (known < g->code->receipt) /* the first round: there is nothing below */
		below = g->code->receipt - (uint64_t)CONFIRM_RECEIPTS;
	for (unsigned i = 0; rc == 0 && i <= CONFIRM_ROUNDS; i++) {
		uint64_t number = below + i * (uint64_t)CONFIRM_RECEIPTS;

		if (number == 0 || number > LIMIT_NUMBER)
			continue;
		rc = number_fits(g, m, number, err);
		if (rc == 1)
			g->receipt = number;
	}
	if (rc == 1) { /* taken over: the walk ends here */
		g->moment = *m;
		*m = (struct confirm_moment){.people = NULL};
	}
	return rc;
}

static int candidate_read(sqlite3_stmt *st, struct candidate *ret, struct err *err)
{
	struct bytes seal = db_bytes(st, 2);

	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 1));
	ret->recorded = (uint64_t)db_i64(st, 3);
	ret->confirmed = (uint64_t)db_i64(st, 4);
	ret->seal = (struct key_public){.kind = KEY_SEAL};
	if (seal.n != KEY_PUBLIC_BYTES)
		return err_set(err, RC_STATE, "the registry is damaged: key of workstation %s",
			       ret->id);
	memcpy(ret->seal.b, seal.p, KEY_PUBLIC_BYTES);
	return 0;
}

/* candidates_query(s, code, ret, err): ids that begin as the code says. */
static int candidates_query(struct site *s, const struct confirm *code, sqlite3_stmt **ret,
			    struct err *err)
{
	char from[CONFIRM_WORKSTATION_BITS / 4 + 1];
	int rc;

	snprintf(from, sizeof(from), "%0*" PRIx32, CONFIRM_WORKSTATION_BITS / 4, code->workstation);
	rc =
	    db_query(s->db,
		     "SELECT w.id, w.name, w.seal, ifnull(r.sequence, 0), ifnull(c.sequence, 0)"
		     " FROM workstation w LEFT JOIN receipt r ON r.id = w.id"
		     " LEFT JOIN confirmation c ON c.id = w.id"
		     " WHERE w.state IN ('enrolled', 'leaving') AND w.id >= ?1 AND w.id < ?1 || 'g'"
		     " ORDER BY w.id",
		     ret, err);
	return rc < 0 ? rc : db_bind(*ret, err, "t", from);
}

/* match_find(s, g, candidate, err): 1 and whose code it is; 0, and ${candidate} is the last one
 * that it could have been. */
static int match_find(struct site *s, struct match *g, struct candidate *candidate, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = candidates_query(s, g->code, &st, err);

	g->candidate = candidate;
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		rc = candidate_read(st, candidate, err);
		if (rc == 0)
			rc = confirm_moments(s, candidate->id, numbers_fit, g, err);
		if (rc == 1)
			break;
	}
	return rc;
}

/* Recording */

static int receipt_state(struct site *s, const struct receipt *r, struct err *err)
{
	int64_t now = clock_now();
	int rc;

	rc =
	    db_run(s->db, err,
		   "INSERT INTO receipt(id, sequence, recorded, written, beat_epoch, beat, trust,"
		   " private_epoch, private_generation, private_tree, free_bytes, version, formats,"
		   " last_event) VALUES(?1, 0, ?2, 0, 0, 0, 0, ?3, ?4, ?5, 0, '', 0, 0)"
		   " ON CONFLICT(id) DO UPDATE SET recorded = excluded.recorded,"
		   " private_epoch = excluded.private_epoch,"
		   " private_generation = excluded.private_generation,"
		   " private_tree = excluded.private_tree",
		   "tiiid", r->workstation, now, (int64_t)r->private_epoch,
		   (int64_t)r->private_generation, &r->private_tree);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM receipt_channel WHERE id = ?1", "t",
			    r->workstation);
	for (size_t i = 0; rc == 0 && i < r->channels; i++) {
		const struct receipt_channel *c = &r->channel[i];

		rc = db_run(
		    s->db, err,
		    "INSERT INTO receipt_channel(id, channel, epoch, generation, tree,"
		    " result, reason, wanted, deviations, adaptations, drift, at,"
		    " milliseconds) VALUES(?1, ?2, ?3, ?4, ?5, 'current', '', 0, 0, 0, 0, ?6,"
		    " 0)",
		    "ttiidi", r->workstation, c->name, (int64_t)c->epoch, (int64_t)c->generation,
		    &c->tree, now);
	}
	return rc;
}

/* users_state(...): a code is shown only when every user has what is theirs. */
static int users_state(struct site *s, const struct confirm_moment *m, struct err *err)
{
	const char *id = m->holds.workstation;
	int rc = db_run(s->db, err, "DELETE FROM receipt_user WHERE id = ?1", "t", id);

	for (char *at = m->people; rc == 0 && at != NULL && *at != '\0';) {
		char *line = strsep(&at, "\n");
		char *account = strchr(line, ' ');

		if (account == NULL)
			return err_set(err, RC_STATE, "the registry is damaged: users of %s", id);
		*account++ = '\0';
		rc =
		    db_run(s->db, err,
			   "INSERT OR REPLACE INTO receipt_user(id, email, account, result, reason,"
			   " at) VALUES(?1, ?2, ?3, 'handed-out', '', ?4)",
			   "ttti", id, line, account, clock_now());
	}
	return rc;
}

static int match_record(struct site *s, struct match *g, struct err *err)
{
	const struct candidate *c = g->candidate;
	const struct receipt *r = &g->moment.holds;
	int rc = db_begin(s->db, err);

	if (rc == 0)
		rc = receipt_state(s, r, err);
	if (rc == 0)
		rc = users_state(s, &g->moment, err);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT OR REPLACE INTO confirmation(id, sequence, recorded)"
			    " VALUES(?1, ?2, ?3)",
			    "tii", c->id, (int64_t)g->receipt, clock_now());
	if (rc == 0)
		rc = confirm_past_prune(s, c->id, r->private_epoch, r->private_generation, err);
	if (rc == 0)
		rc = registry_eventf(s->db, err, "confirmed", c->name,
				     "a confirmation code stands for receipt %" PRIu64
				     " of %s: private generation %" PRIu64 " and %zu %s",
				     g->receipt, c->name, r->private_generation, r->channels,
				     r->channels == 1 ? "channel" : "channels");
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

/* match_tell(g, ret, err): what the code says, to whom asked. */
static int match_tell(const struct match *g, struct confirmed *ret, struct err *err)
{
	const struct receipt *r = &g->moment.holds;
	struct confirmed c = {.receipt = g->receipt,
			      .epoch = r->private_epoch,
			      .generation = r->private_generation,
			      .channels = r->channels};

	c.channel = calloc(r->channels + 1, sizeof(*c.channel));
	if (c.channel == NULL)
		return err_memory(err);
	for (size_t i = 0; i < r->channels; i++) {
		memcpy(c.channel[i].name, r->channel[i].name, sizeof(c.channel[i].name));
		c.channel[i].epoch = r->channel[i].epoch;
		c.channel[i].generation = r->channel[i].generation;
	}
	memcpy(c.id, g->candidate->id, sizeof(c.id));
	memcpy(c.workstation, g->candidate->name, sizeof(c.workstation));
	*ret = c;
	return 0;
}

/* match_judge(s, g, ret, err): authentic; is it news? */
static int match_judge(struct site *s, struct match *g, struct confirmed *ret, struct err *err)
{
	const struct candidate *c = g->candidate;
	uint64_t known = c->recorded > c->confirmed ? c->recorded : c->confirmed;
	int rc = 0;

	if (g->receipt < known) {
		rc = registry_eventf_many(s->db, err, "confirm-replay", c->name,
					  "an old confirmation code of %s was typed", c->name);
		return rc < 0
			   ? rc
			   : err_set(err, RC_REPLAY,
				     "the code is of receipt %" PRIu64 " of %s, and number %" PRIu64
				     " is known already: read the newest one",
				     g->receipt, c->name, known);
	}
	if (g->receipt > known)
		rc = match_record(s, g, err);
	if (rc == 0)
		rc = match_tell(g, ret, err);
	if (rc == 0)
		ret->again = g->receipt == known;
	return rc;
}

static void match_clear(struct match *g)
{
	confirm_moment_clear(&g->moment);
}

int confirm_code(struct site *s, const char *text, struct confirmed *ret, struct err *err)
{
	OWNED(keys_clear) struct collect_keys keys = {.dirfd = -1};
	OWNED(match_clear) struct match g = {.keys = &keys};
	struct candidate candidate = {.name = ""};
	struct confirm code;
	char why[256];
	int rc = confirm_parse(text, &code, err);

	if (rc == 0)
		rc = tries_check(s, err);
	if (rc == 0)
		rc = keys_load(s, &keys, err);
	if (rc < 0)
		return rc;
	g.code = &code;
	rc = match_find(s, &g, &candidate, err);
	if (rc == 1)
		return match_judge(s, &g, ret, err);
	if (rc < 0)
		return rc;
	if (candidate.id[0] == '\0')
		return wrong(s, "strangers", err,
			     "the code is of no workstation that is enrolled here");
	snprintf(why, sizeof(why),
		 "the code fits nothing that was published for %s: read it again, from a receipt "
		 "that is at least as new as the newest known here",
		 candidate.name);
	return wrong(s, candidate.name, err, why);
}
