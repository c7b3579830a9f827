/* SPDX-License-Identifier: ISC */
/*
 * Codes typed in by a person.  A code is a guess that fits one published state or none, so tries
 * are counted; a mistyped code is told by its check characters and costs nothing.
 */
#include "bundler/collect/confirm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundler/private/private_history.h"
#include "bundler/receipts/receipts.h"
#include "bundler/registry/registry.h"
#include "bundler/trust/site_keys.h"
#include "bundler/workstations/workstations.h"
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

	if (k->n == ARRAY_LEN(k->key)) { /* the oldest one falls out */
		key_free(k->key[0]);
		memmove(k->key, k->key + 1, --k->n * sizeof(k->key[0]));
	}
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
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = db_run(s->db, err, "INSERT INTO confirm_try(at) VALUES(?1)", "i", clock_now());
	if (rc == 0)
		rc = registry_eventf_many(s->db, err, "confirm-wrong", about,
					  "a confirmation code was refused: %s", text);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	return rc < 0 ? rc : err_set(err, RC_UNTRUSTED, "%s", text);
}

/* Matching */

/* One workstation whose code it may be. */
struct candidate {
	struct workstation w;
	struct receipts_known known;
};

/* The newest number that is known, of a receipt or a code. */
static uint64_t newest(const struct candidate *c)
{
	return c->known.sequence > c->known.confirmed ? c->known.sequence : c->known.confirmed;
}

struct match {
	struct site *s;                  /* borrowed */
	const struct confirm *code;      /* borrowed */
	const struct collect_keys *keys; /* borrowed */
	struct candidate *candidate;     /* borrowed: the one in hand */
	struct receipt holds;            /* owned; what fits */
};

/* own_fits(g, key, own, number, statement, err): 1 when the code is the MAC of it, by the
 * workstation's key ${own}. */
static int own_fits(const struct match *g, const struct key_secret *key,
		    const struct key_public *own, uint64_t number, struct bytes statement,
		    struct err *err)
{
	struct key_public collect = key_public_of(key);
	struct confirm is;
	int rc;

	if (key_absent(own))
		return 0;
	rc = confirm_make(key, own, &collect, g->candidate->w.id, number, statement, &is, err);
	if (rc < 0)
		return rc;
	return sodium_memcmp(&is.mac, &g->code->mac, sizeof(is.mac)) == 0;
}

/* A workstation that has not read yet that its key of codes is known uses the one that it enrolled
 * with. */
static int key_fits(const struct match *g, const struct key_secret *key, uint64_t number,
		    struct bytes statement, struct err *err)
{
	const struct workstation *w = &g->candidate->w;
	int rc = own_fits(g, key, &w->codes, number, statement, err);

	if (rc != 0)
		return rc;
	return own_fits(g, key, key_absent(&w->enrolled_seal) ? &w->seal : &w->enrolled_seal,
			number, statement, err);
}

static int number_fits(const struct match *g, struct receipt *holds, uint64_t number,
		       struct err *err)
{
	OWNED(buf_clear) struct buf statement = BUF_INIT;
	int rc;

	holds->sequence = number;
	rc = confirm_statement(holds, &statement, err);
	for (size_t i = g->keys->n; rc == 0 && i > 0; i--)
		rc = key_fits(g, g->keys->key[i - 1], number, bytes_in(&statement), err);
	return rc;
}

/* numbers_fit(arg, holds, err): the number that is known or comes next, some rounds above it, and
 * one below, which is an old code. */
static int numbers_fit(void *arg, struct receipt *holds, struct err *err)
{
	struct match *g = arg;
	const struct candidate *c = g->candidate;
	uint64_t known = newest(c);
	uint64_t below = known - (known + CONFIRM_RECEIPTS - g->code->receipt) % CONFIRM_RECEIPTS;
	int rc = 0;

	if (known < g->code->receipt) /* the first round: there is nothing below */
		below = g->code->receipt - (uint64_t)CONFIRM_RECEIPTS;
	for (unsigned i = 0; rc == 0 && i <= CONFIRM_ROUNDS; i++) {
		uint64_t number = below + i * (uint64_t)CONFIRM_RECEIPTS;

		if (number == 0 || number > LIMIT_NUMBER)
			continue;
		rc = number_fits(g, holds, number, err);
	}
	if (rc == 1) { /* taken over: the walk ends here */
		g->holds = *holds;
		*holds = (struct receipt){.sequence = 0};
	}
	return rc;
}

static int candidate_try(void *arg, const struct workstation *w, struct err *err)
{
	struct match *g = arg;
	struct candidate c = {.w = *w};
	int rc = receipts_known(g->s->db, w->id, &c.known, err);

	*g->candidate = c;
	return rc < 0 ? rc : published_states(g->s, w->id, numbers_fit, g, err);
}

/* match_find(g, err): 1 and whose code it is; 0, and ${g->candidate} is the last one that it could
 * have been. */
static int match_find(struct match *g, struct err *err)
{
	char begin[CONFIRM_WORKSTATION_BITS / 4 + 1];

	snprintf(begin, sizeof(begin), "%0*" PRIx32, CONFIRM_WORKSTATION_BITS / 4,
		 g->code->workstation);
	return workstations_beginning(g->s->db, begin, candidate_try, g, err);
}

/* Recording */

static int match_put(struct site *s, struct match *g, struct err *err)
{
	struct receipt *r = &g->holds;
	int64_t now = clock_now();
	int rc;

	for (size_t i = 0; i < r->channels; i++)
		r->channel[i].at = now;
	for (size_t i = 0; i < r->users; i++)
		r->user[i].at = now;
	rc = receipts_put_code(s->db, r, now, err);
	if (rc == 0)
		rc = private_confirmed(s->db, r->workstation, r->private_epoch,
				       r->private_generation, err);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "confirmed", g->candidate->w.name,
					"a confirmation code stands for receipt %" PRIu64
					" of %s: private generation %" PRIu64 " and %zu %s",
					r->sequence, g->candidate->w.name, r->private_generation,
					r->channels, r->channels == 1 ? "channel" : "channels");
}

static int match_record(struct site *s, struct match *g, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = match_put(s, g, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

/* match_tell(g, ret, err): what the code says, to whom asked. */
static int match_tell(const struct match *g, struct confirmed *ret, struct err *err)
{
	const struct receipt *r = &g->holds;
	struct confirmed c = {.receipt = r->sequence,
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
	memcpy(c.id, g->candidate->w.id, sizeof(c.id));
	memcpy(c.workstation, g->candidate->w.name, sizeof(c.workstation));
	*ret = c;
	return 0;
}

/* match_judge(s, g, ret, err): authentic; is it news? */
static int match_judge(struct site *s, struct match *g, struct confirmed *ret, struct err *err)
{
	const struct candidate *c = g->candidate;
	uint64_t known = newest(c);
	int rc = 0;

	if (g->holds.sequence < known) {
		rc = registry_eventf_many(s->db, err, "confirm-replay", c->w.name,
					  "an old confirmation code of %s was typed", c->w.name);
		return rc < 0
			   ? rc
			   : err_set(err, RC_REPLAY,
				     "the code is of receipt %" PRIu64 " of %s, and number %" PRIu64
				     " is known already: read the newest one",
				     g->holds.sequence, c->w.name, known);
	}
	if (g->holds.sequence > known)
		rc = match_record(s, g, err);
	if (rc == 0)
		rc = match_tell(g, ret, err);
	if (rc == 0)
		ret->again = g->holds.sequence == known;
	return rc;
}

static void match_clear(struct match *g)
{
	receipt_clear(&g->holds);
}

int confirm_code(struct site *s, const char *text, struct confirmed *ret, struct err *err)
{
	OWNED(keys_clear) struct collect_keys keys = {.dirfd = -1};
	struct candidate candidate = {.w = {.id = ""}};
	OWNED(match_clear) struct match g = {.s = s, .keys = &keys, .candidate = &candidate};
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
	rc = match_find(&g, err);
	if (rc == 1)
		return match_judge(s, &g, ret, err);
	if (rc < 0)
		return rc;
	if (candidate.w.id[0] == '\0')
		return wrong(s, "strangers", err,
			     "the code belongs to no workstation that is enrolled here");
	snprintf(why, sizeof(why),
		 "the code matches nothing that was published for %s: read it again, from a "
		 "receipt "
		 "that is at least as new as the newest known here",
		 candidate.w.name);
	return wrong(s, candidate.w.name, err, why);
}
