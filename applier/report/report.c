/* SPDX-License-Identifier: ISC */
/*
 * A receipt on its way: filled once, written when it says something new, signed into the outbox,
 * and brought to depots, which keep only the last few of ours.
 */
#include "applier/report/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "applier/report/event.h"
#include "applier/report/outbox.h"
#include "applier/report/report_internal.h"
#include "applier/station/station_state.h"
#include "applier/trees/outcome.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/durable.h"

/* With nothing new, one receipt a day says that this machine is alive. */
#define RECEIPT_EVERY 86400
/* Our own receipts that stay in a depot. */
#define RECEIPTS_KEPT 8

/* A shard that is signed with a stolen key must not run the numbers up to their end: more than this
 * is not believed.  One receipt a minute for two thousand years. */
#define RECEIPTS_JUMP 1000000000u
/* The server may have more receipts than it has acknowledged: so many numbers are left out. */
#define RECEIPTS_APART 1000u

/* PROPERTY_RECEIPT: digest of what it says, when it was written. */
#define NEWEST_BYTES (DIGEST_BYTES + 8)

static int newest_put(struct station *s, const struct digest *content, int64_t written,
		      struct err *err)
{
	uint8_t raw[NEWEST_BYTES];

	memcpy(raw, content->b, DIGEST_BYTES);
	put_u64(raw + DIGEST_BYTES, (uint64_t)written);
	return station_property_put(s, PROPERTY_RECEIPT, (struct bytes){raw, sizeof(raw)}, err);
}

/* 1, or 0 when none was written. */
static int newest_get(struct station *s, struct digest *ret, int64_t *ret_written, struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	int rc = station_property_get(s, PROPERTY_RECEIPT, &was, err);

	if (rc <= 0 || was.n != NEWEST_BYTES)
		return rc < 0 ? rc : 0;
	memcpy(ret->b, was.p, DIGEST_BYTES);
	*ret_written = (int64_t)get_u64(was.p + DIGEST_BYTES);
	return 1;
}

int report_newest(struct station *s, int64_t *ret, struct err *err)
{
	struct digest content;

	return newest_get(s, &content, ret, err);
}

/* 1: nothing changed, and the last one is younger than a day. */
static int receipt_fresh(struct station *s, const struct digest *content, int64_t now,
			 struct err *err)
{
	struct digest was;
	int64_t written = 0;
	int rc = newest_get(s, &was, &written, err);

	if (rc <= 0)
		return rc;
	return digest_equal(&was, content) && now - written < RECEIPT_EVERY &&
	       written - now < RECEIPT_EVERY;
}

static int receipt_times(struct station *s, struct receipt *r, int64_t now, struct err *err)
{
	struct statvfs vfs;
	int rc = station_property_set(s, PROPERTY_BY_HAND, err);

	r->written = now;
	r->next_check = s->next_check;
	if (rc == 0) { /* else freshness is unknown */
		r->beat_epoch = s->beat_epoch;
		r->beat = s->beat;
	}
	if (rc >= 0)
		rc = station_next(s, COUNTER_RECEIPT, &r->sequence, err);
	if (rc == 0)
		rc = station_property_digest(s, PROPERTY_PREVIOUS, &r->previous, err);
	if (fstatvfs(s->statefd, &vfs) == 0)
		r->free_bytes = space_free(&vfs);
	if (r->free_bytes > LIMIT_NUMBER)
		r->free_bytes = LIMIT_NUMBER;
	return rc < 0 ? rc : 0;
}

/* What had to be left out is not acknowledged with the rest: it goes along in a later receipt. */
static int receipt_text(struct station *s, struct receipt *r, struct buf *ret, struct err *err)
{
	struct receipt_cut cut;
	int rc = receipt_encode(r, &cut, ret, err);

	if (rc < 0)
		return rc;
	if (cut.events > 0) {
		memmove(r->event, r->event + cut.events,
			(r->events - cut.events) * sizeof(*r->event));
		r->events -= cut.events;
		reporter_warning(
		    s->reporter,
		    "the receipt is full: the oldest events (%zu) wait for a later one",
		    cut.events);
	}
	if (cut.reasons)
		reporter_warning(s->reporter, "the receipt is full: its reasons are shortened");
	return 0;
}

/* Number, content, events sent and outbox change together or not at all. */
static int receipt_put(struct station *s, struct receipt *r, const struct digest *content,
		       const struct key_secret *sign, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct digest statement, identity;
	int64_t now = clock_now();
	int rc = receipt_times(s, r, now, err);

	if (rc == 0)
		rc = receipt_text(s, r, &text, err);
	if (rc == 0)
		rc = outbox_put(s, r->wiped ? OUTBOX_LAST : OUTBOX_RECEIPT, r->sequence,
				bytes_in(&text), sign, s->id, trust_collect(&s->trust), err);
	if (rc == 0)
		rc = newest_put(s, content, now, err);
	if (rc == 0) {
		identity = digest_of(bytes_in(&text));
		rc = station_property_put_digest(s, PROPERTY_PREVIOUS, &identity, err);
	}
	if (rc == 0)
		rc = report_statement(r, &statement, err);
	if (rc == 0)
		rc = station_property_put_digest(s, PROPERTY_STATEMENT, &statement, err);
	return rc < 0 ? rc : event_sent(s, r, err);
}

/* After a last receipt an ordinary one says nothing any more. */
static int last_put(struct station *s, struct receipt *r, const struct digest *content,
		    const struct key_secret *sign, struct err *err)
{
	int rc = receipt_put(s, r, content, sign, err);

	if (rc == 0)
		rc = outbox_drop(s, OUTBOX_RECEIPT, err);
	return rc < 0 ? rc : station_property_put(s, PROPERTY_WIPED, bytes_of("1"), err);
}

static int receipt_commit(struct station *s, struct receipt *r, const struct digest *content,
			  struct err *err)
{
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc;

	if (trust_collect(&s->trust) == NULL)
		return err_set(err, RC_MALFORMED, "the site %s has no collect key", s->trust.name);
	rc = station_keys(s, 0, &sign, NULL, err);
	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc < 0)
		return rc;
	rc = r->wiped ? last_put(s, r, content, sign, err) : receipt_put(s, r, content, sign, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int report_write(struct station *s, const struct digest *policy, struct err *err)
{
	OWNED(receipt_clear) struct receipt r = {.policy = *policy};
	struct digest content;
	int rc = station_instance_keep(s, err);

	if (rc == 0)
		rc = report_fill(s, &r, err);
	/* Before the private channel is here the server does not know who would be speaking. */
	if (rc < 0 || r.private_generation == 0)
		return rc;
	rc = report_content(s, &r, &content, err);
	if (rc == 0)
		rc = receipt_fresh(s, &content, clock_now(), err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return receipt_commit(s, &r, &content, err);
}

int report_last(struct station *s, struct err *err)
{
	OWNED(receipt_clear) struct receipt r = {.wiped = true};
	struct digest content;
	int rc = station_instance_keep(s, err);

	if (rc == 0)
		rc = report_fill(s, &r, err);
	if (rc == 0)
		rc = report_content(s, &r, &content, err);
	if (rc == 0)
		rc = receipt_commit(s, &r, &content, err);
	if (rc == 0)
		s->end = STATION_WIPED;
	return rc;
}

/* Numbers of events go up by so many when it is not known how many were given out. */
#define EVENTS_JUMP (1u << 20)

/*
 * The server has a receipt of ours that was never written, as far as this state knows: it was
 * restored from a backup.  Numbers go on above it, or every receipt to come would be an old one;
 * and this line of receipts says what it is, so that nobody takes it for a second machine.
 */
static int sequence_catch_up(struct station *s, uint64_t last, uint64_t sequence, struct err *err)
{
	char text[160];
	int rc;

	snprintf(text, sizeof(text),
		 "the server knows receipt %" PRIu64 " of this machine, which has written %" PRIu64
		 ": its state is that of a backup; the next one is number %" PRIu64,
		 sequence, last, sequence + RECEIPTS_APART + 1);
	sequence += RECEIPTS_APART;
	reporter_warning(s->reporter, "%s", text);
	rc = station_raise(s, COUNTER_RECEIPT, sequence, err);
	if (rc == 0)
		rc = event_renumber(s, EVENTS_JUMP, err);
	if (rc == 0)
		rc = station_instance_renew(s, err);
	if (rc == 0)
		rc = station_property_put_number(s, PROPERTY_SET_BACK, sequence, err);
	return rc < 0 ? rc : station_event(s, "set-back", text, err);
}

/* Said until a receipt that says it is acknowledged. */
static int set_back_end(struct station *s, uint64_t sequence, struct err *err)
{
	uint64_t was = 0;
	int rc = station_property_number(s, PROPERTY_SET_BACK, &was, err);

	return rc == 1 && sequence > was ? station_property_drop(s, PROPERTY_SET_BACK, err)
	       : rc < 0                  ? rc
					 : 0;
}

int report_acknowledge(struct station *s, uint64_t sequence, struct err *err)
{
	uint64_t last = 0;
	int rc = station_last(s, COUNTER_RECEIPT, &last, err);

	/* What this line of receipts said was not among those that are acknowledged. */
	if (rc == 0 && sequence > last && sequence - last <= RECEIPTS_JUMP)
		rc = sequence_catch_up(s, last, sequence, err);
	else if (rc == 0)
		rc = event_acknowledge(s, sequence, err);
	if (rc == 0)
		rc = set_back_end(s, sequence, err);
	if (rc == 0)
		rc = station_property_put_number(s, PROPERTY_ACKNOWLEDGED, sequence, err);
	if (rc == 0)
		rc = outbox_acknowledge(s, sequence, err);
	if (rc == 0 && last > 0 && last <= sequence)
		rc = outcome_left_forget(s, err);
	return rc;
}

struct prune {
	struct station *s;
	struct depot *depot;
	char dir[32];
	uint64_t receipts, requests; /* up to these numbers they go */
};

static int prune_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct prune *p = arg;
	char path[DEPOT_NAME];
	struct name name;
	int rc;

	(void)size;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", p->dir, file) >= sizeof(path))
		return 0;
	name_parse(path, &name);
	if (!(name.kind == NAME_RECEIPT && name.number <= p->receipts) &&
	    !(name.kind == NAME_REQUEST && name.number <= p->requests))
		return 0;
	if (strcmp(name.id, p->s->id) != 0)
		return 0;
	if (name.kind == NAME_REQUEST && (rc = outbox_has(p->s, path, NULL, err)) != 0)
		return rc < 0 ? rc : 0;
	/* One that cannot be removed (a read-only depot, somebody else's file) does no harm. */
	depot_remove(p->depot, path, ERR_IGNORED);
	return 0;
}

/* Requests are of no use once the private channel, which answers them, is here, or when another has
 * taken their place; what waits for its answer is in the outbox. */
static int prune_until(struct prune *p, struct err *err)
{
	uint64_t receipts = 0;
	int rc = station_last(p->s, COUNTER_RECEIPT, &receipts, err);

	if (rc == 0)
		rc = station_last(p->s, COUNTER_REQUEST, &p->requests, err);
	if (rc < 0)
		return rc;
	p->receipts = receipts > RECEIPTS_KEPT ? receipts - RECEIPTS_KEPT : 0;
	return 0;
}

int report_prune(struct station *s, struct depot *depot, struct err *err)
{
	struct prune p = {.s = s, .depot = depot};
	int rc = prune_until(&p, err);

	if (rc < 0 || (p.receipts == 0 && p.requests == 0))
		return rc;
	snprintf(p.dir, sizeof(p.dir), "inbox/%02x", shard_of(s->id));
	return depot_list(depot, p.dir, prune_each, &p, err);
}

int report_post(struct station *s, struct depot *depot, struct err *err)
{
	int posted = outbox_post(s, depot, err);
	int rc = posted < 0 ? posted : report_prune(s, depot, err);

	return rc < 0 ? rc : posted;
}
