#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "applier/handout.h"
#include "applier/outbox.h"
#include "applier/policy.h"
#include "applier/report_internal.h"
#include "applier/station_internal.h"
#include "applier/sync_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/durable.h"

/* With nothing new, one receipt a day says that this machine is alive. */
#define RECEIPT_EVERY 86400
/* Our own receipts that stay in a depot. */
#define RECEIPTS_KEPT 8
/* Bytes of events in a receipt; the rest is for channels and users. */
#define RECEIPT_SAYS (44u << 10)

static int channel_add(void *arg, const struct station_channel *c, struct err *err)
{
	struct receipt *r = arg;
	struct receipt_channel *grown, *to;

	if (c->name[0] == '\0') {
		r->private_epoch = c->epoch;
		r->private_generation = c->generation;
		r->private_tree = c->tree;
		return 0;
	}
	grown = reallocarray(r->channel, r->channels + 1, sizeof(*grown));
	if (grown == NULL)
		return err_memory(err);
	r->channel = grown;
	to = memset(&grown[r->channels++], 0, sizeof(*to));
	memcpy(to->name, c->name, sizeof(to->name));
	memcpy(to->result, c->result, sizeof(to->result));
	memcpy(to->reason, c->reason, sizeof(to->reason));
	to->epoch = c->epoch;
	to->generation = c->generation;
	to->tree = c->tree;
	to->wanted = c->wanted;
	to->deviations = c->deviations;
	to->adaptations = c->adaptations;
	to->drift = c->drift;
	to->at = c->at;
	to->milliseconds = c->milliseconds;
	return 0;
}

static int user_add(void *arg, const struct receipt_user *u, struct err *err)
{
	struct receipt *r = arg;
	struct receipt_user *grown = reallocarray(r->user, r->users + 1, sizeof(*grown));

	if (grown == NULL)
		return err_memory(err);
	r->user = grown;
	r->user[r->users++] = *u;
	return 0;
}

static int event_add(void *arg, const struct receipt_event *e, struct err *err)
{
	struct receipt *r = arg;
	struct receipt_event *grown = reallocarray(r->event, r->events + 1, sizeof(*grown));

	if (grown == NULL)
		return err_memory(err);
	r->event = grown;
	r->event[r->events++] = *e;
	return 0;
}

/* Bytes that an event takes, generously. */
static size_t event_bytes(const struct receipt_event *e)
{
	return 200 + 2 * strlen(e->text);
}

static bool event_said(const struct receipt_event *e)
{
	return e->about[0] != '\0' || strcmp(e->kind, "report") == 0;
}

/*
 * What people said goes along in every receipt until it is acknowledged: there is room for all of
 * it (SAID_WAITING).  Of what satchel noticed by itself the oldest gives way.
 */
static void events_choose(struct receipt *r)
{
	size_t sum = 0, kept = 0;

	for (size_t i = 0; i < r->events; i++)
		sum += event_bytes(&r->event[i]);
	for (size_t i = 0; i < r->events; i++) {
		if (sum > RECEIPT_SAYS && !event_said(&r->event[i])) {
			sum -= event_bytes(&r->event[i]);
			continue;
		}
		if (kept != i)
			r->event[kept] = r->event[i];
		kept++;
	}
	r->events = kept;
}

/* The private channel is wiped, or on its way: what it was is the last that is held of it. */
static int held_last(struct station *s, struct receipt *r, struct err *err)
{
	OWNED(buf_clear) struct buf held = BUF_INIT;
	int rc = station_fact_get(s, "decommission", &held, err);

	if (rc <= 0 || held.n != STATION_HELD)
		return rc < 0 ? rc : 0;
	r->private_epoch = get_u64(held.p);
	r->private_generation = get_u64(held.p + 8);
	memcpy(r->private_tree.b, held.p + 16, DIGEST_BYTES);
	return 0;
}

int report_fill(struct station *s, struct receipt *r, struct err *err)
{
	OWNED(station_policy_clear) struct station_policy policy = {0};
	int rc;

	r->site = s->site;
	memcpy(r->workstation, s->id, sizeof(r->workstation));
	r->trust = s->trust.version;
	snprintf(r->version, sizeof(r->version), "%s", SATCHEL_VERSION);
	r->formats = 1;
	rc = station_channels(s, channel_add, r, err);
	if (rc == 0 && s->end != STATION_STAYS)
		rc = held_last(s, r, err);
	if (rc == 0)
		rc = handout_users(s, user_add, r, err);
	/* Told already when it cannot be followed, or not as a whole. */
	if (rc == 0 && station_policy(s, &policy, NULL) == 0 && !policy.local_refused)
		r->policy = policy.digest;
	if (rc == 0)
		rc = station_events(s, false, event_add, r, err);
	if (rc == 0)
		events_choose(r);
	return rc;
}

/* What does not fit is left out by the encoder, the oldest events first.  Which were written is
 * read back: what was left out is not acknowledged with the rest. */
static int receipt_text(struct receipt *r, struct buf *ret, struct err *err)
{
	OWNED(receipt_clear) struct receipt again = {0};
	int rc = receipt_encode(r, ret, err);

	if (rc == 0)
		rc = receipt_decode(bytes_in(ret), &again, err);
	if (rc == 0 && again.events < r->events) {
		memmove(r->event, r->event + (r->events - again.events),
			again.events * sizeof(*r->event));
		r->events = again.events;
	}
	return rc;
}

/*
 * What a receipt says apart from when and how often it is said.  Of the events the newest number
 * ever counts, so that an acknowledgement, which takes events out, is not itself news.
 */
static int receipt_content(struct station *s, const struct receipt *r, struct digest *ret,
			   struct err *err)
{
	OWNED(freep) struct receipt_channel *channel = calloc(r->channels + 1, sizeof(*channel));
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct receipt bare = *r;
	int64_t events = 0;
	int rc;

	if (channel == NULL)
		return err_memory(err);
	if (r->channels > 0)
		memcpy(channel, r->channel, r->channels * sizeof(*channel));
	for (size_t i = 0; i < r->channels; i++)
		channel[i].milliseconds = 0;
	bare.channel = channel;
	bare.sequence = 1;
	bare.written = 0;
	bare.free_bytes = bare.beat_epoch = bare.beat = 0;
	bare.events = 0;
	rc = receipt_encode(&bare, &text, err);
	if (rc == 0)
		rc = db_int(s->db, err, &events, "SELECT value FROM counter WHERE name = 'event'",
			    "");
	if (rc >= 0)
		rc = buf_printf(&text, err, "%" PRId64, events);
	if (rc == 0)
		*ret = digest_of(bytes_in(&text));
	return rc;
}

/* 1: nothing changed, and the last one is younger than a day. */
static int receipt_fresh(struct station *s, const struct digest *content, int64_t now,
			 struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	int64_t written;
	int rc = station_fact_get(s, "receipt", &was, err);

	if (rc <= 0 || was.n != DIGEST_BYTES + 8)
		return rc < 0 ? rc : 0;
	written = (int64_t)get_u64(was.p + DIGEST_BYTES);
	return memcmp(was.p, content->b, DIGEST_BYTES) == 0 && now - written < RECEIPT_EVERY &&
	       written - now < RECEIPT_EVERY;
}

static int receipt_times(struct station *s, struct receipt *r, int64_t now, struct err *err)
{
	struct statvfs vfs;
	OWNED(buf_clear) struct buf by_hand = BUF_INIT;
	int rc = station_fact_get(s, "by-hand", &by_hand, err);

	r->written = now;
	r->next_check = s->next_check;
	if (rc == 0) { /* else freshness is unknown */
		r->beat_epoch = s->beat_epoch;
		r->beat = s->beat;
	}
	if (rc >= 0)
		rc = station_next(s, "receipt", &r->sequence, err);
	if (fstatvfs(s->statefd, &vfs) == 0)
		r->free_bytes = space_free(&vfs);
	if (r->free_bytes > LIMIT_NUMBER)
		r->free_bytes = LIMIT_NUMBER;
	return rc;
}

/* An event counts as told when the first of an unbroken row of receipts that carried it is
 * acknowledged. */
static int events_carried(struct station *s, const struct receipt *r, struct err *err)
{
	int rc = db_run(s->db, err, "UPDATE event SET receipt = -receipt WHERE done = 0", "");

	for (size_t i = 0; rc == 0 && i < r->events; i++)
		rc = db_run(s->db, err,
			    "UPDATE event SET receipt = iif(receipt < 0, -receipt, ?) "
			    "WHERE number = ?",
			    "ii", (int64_t)r->sequence, (int64_t)r->event[i].number);
	return rc < 0 ? rc
		      : db_run(s->db, err, "UPDATE event SET receipt = 0 WHERE receipt < 0", "");
}

/* Number, content, events carried and outbox change together or not at all. */
static int receipt_put(struct station *s, struct receipt *r, const struct digest *content,
		       const struct key_secret *sign, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	uint8_t fact[DIGEST_BYTES + 8];
	struct digest statement;
	int64_t now = clock_now();
	int rc = receipt_times(s, r, now, err);

	if (rc == 0)
		rc = receipt_text(r, &text, err);
	if (rc == 0)
		rc = outbox_put(s, r->wiped ? OUTBOX_LAST : OUTBOX_RECEIPT, r->sequence,
				bytes_in(&text), sign, s->id, trust_collect(&s->trust), err);
	memcpy(fact, content->b, DIGEST_BYTES);
	put_u64(fact + DIGEST_BYTES, (uint64_t)now);
	if (rc == 0)
		rc = station_fact_put(s, "receipt", (struct bytes){fact, sizeof(fact)}, err);
	if (rc == 0)
		rc = report_statement(r, &statement, err);
	if (rc == 0)
		rc = station_fact_put(s, "statement", (struct bytes){statement.b, DIGEST_BYTES},
				      err);
	return rc < 0 ? rc : events_carried(s, r, err);
}

static int receipt_commit(struct station *s, struct receipt *r, const struct digest *content,
			  struct err *err)
{
	OWNED(key_freep) struct key_secret *sign = NULL;
	int rc;

	if (trust_collect(&s->trust) == NULL)
		return err_set(err, RC_MALFORMED, "the site %s has no collect key", s->trust.name);
	rc = station_keys(s, 0, &sign, NULL, err);
	if (rc == 0)
		rc = db_begin(s->db, err);
	if (rc == 0)
		rc = receipt_put(s, r, content, sign, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

int report_write(struct station *s, struct err *err)
{
	OWNED(receipt_clear) struct receipt r = {0};
	struct digest content;
	int rc = report_fill(s, &r, err);

	/* Before the private channel is here the server does not know who would be speaking. */
	if (rc < 0 || r.private_generation == 0)
		return rc;
	rc = receipt_content(s, &r, &content, err);
	if (rc == 0)
		rc = receipt_fresh(s, &content, clock_now(), err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return receipt_commit(s, &r, &content, err);
}

static int last_put(struct station *s, struct receipt *r, const struct digest *content,
		    const struct key_secret *sign, struct err *err)
{
	int rc = receipt_put(s, r, content, sign, err);

	if (rc == 0)
		rc = outbox_drop(s, OUTBOX_RECEIPT, err);
	return rc < 0 ? rc : station_fact_put(s, "wiped", bytes_of("1"), err);
}

int report_last(struct station *s, struct err *err)
{
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(receipt_clear) struct receipt r = {.wiped = true};
	struct digest content;
	int rc = report_fill(s, &r, err);

	if (rc == 0)
		rc = receipt_content(s, &r, &content, err);
	if (rc == 0)
		rc = station_keys(s, 0, &sign, NULL, err);
	if (rc == 0)
		rc = db_begin(s->db, err);
	if (rc < 0)
		return rc;
	rc = last_put(s, &r, &content, sign, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	else
		s->end = STATION_WIPED;
	return rc;
}

int report_acknowledge(struct station *s, uint64_t sequence, struct err *err)
{
	uint8_t fact[8];
	int64_t last = 0;
	int rc = db_run(s->db, err,
			"UPDATE event SET done = 1 WHERE done = 0 AND receipt > 0 AND receipt <= ?",
			"i", (int64_t)sequence);

	if (rc == 0)
		rc = db_int(s->db, err, &last, "SELECT value FROM counter WHERE name = 'receipt'",
			    "");
	put_u64(fact, sequence);
	if (rc >= 0)
		rc = station_fact_put(s, "acknowledged", (struct bytes){fact, sizeof(fact)}, err);
	/* The server has recorded it: posting it again would only be work for both sides. */
	if (rc == 0 || rc == 1)
		rc = db_run(s->db, err,
			    "DELETE FROM outbox WHERE kind = 'receipt' AND sequence <= ?", "i",
			    (int64_t)sequence);
	/* What was left has been told. */
	if (rc >= 0 && last > 0 && (uint64_t)last <= sequence)
		rc = db_run(s->db, err, "DELETE FROM outcome WHERE result = 'left'", "");
	return rc < 0 ? rc : 0;
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

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", p->dir, file) >= sizeof(path))
		return 0;
	name_parse(path, &name);
	if (!(name.kind == NAME_RECEIPT && name.number <= p->receipts) &&
	    !(name.kind == NAME_REQUEST && name.number <= p->requests))
		return 0;
	if (strcmp(name.id, p->s->id) != 0)
		return 0;
	if (name.kind == NAME_REQUEST && (rc = outbox_has(p->s, path, err)) != 0)
		return rc < 0 ? rc : 0;
	/* One that cannot be removed (a read-only depot, somebody else's file) does no harm. */
	depot_remove(p->depot, path, NULL);
	return 0;
}

/* Requests are of no use once the private channel, which answers them, is here; activations that
 * wait for their answer are in the outbox. */
static int prune_until(struct prune *p, struct err *err)
{
	int64_t receipts = 0, requests = 0, waiting = 0;
	int rc = db_int(p->s->db, err, &receipts,
			"SELECT value FROM counter WHERE name = 'receipt'", "");

	if (rc >= 0)
		rc = db_int(p->s->db, err, &requests,
			    "SELECT value FROM counter WHERE name = 'request'", "");
	if (rc >= 0)
		rc = db_int(p->s->db, err, &waiting,
			    "SELECT count(*) FROM outbox WHERE kind = 'request'", "");
	if (rc < 0)
		return rc;
	p->receipts = receipts > RECEIPTS_KEPT ? (uint64_t)receipts - RECEIPTS_KEPT : 0;
	p->requests = waiting > 0 ? 0 : (uint64_t)requests;
	return 0;
}

int report_post(struct station *s, struct depot *depot, struct err *err)
{
	struct prune p = {.s = s, .depot = depot};
	int rc = outbox_post(s, depot, err);

	if (rc >= 0)
		rc = prune_until(&p, err);
	if (rc < 0 || (p.receipts == 0 && p.requests == 0))
		return rc;
	snprintf(p.dir, sizeof(p.dir), "inbox/%02x", shard_of(s->id));
	return depot_list(depot, p.dir, prune_each, &p, err);
}
