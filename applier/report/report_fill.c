/* SPDX-License-Identifier: ISC */
/*
 * The content of a receipt: gathered from the rooms that know it, and compared with what the last
 * one said.
 */
#include <stdio.h>
#include <string.h>

#include "applier/apply/apply.h"
#include "applier/apply/conflict.h"
#include "applier/handout/handout.h"
#include "applier/report/event.h"
#include "applier/report/report_internal.h"
#include "applier/station/station_state.h"
#include "applier/trees/outcome.h"
#include "applier/verify/verify.h"
#include "core/base/list.h"
#include "core/base/own.h"

/* Bytes of events in a receipt; the rest is for channels and users. */
#define RECEIPT_SAYS (44u << 10)

/* A receipt that grows. */
struct filling {
	struct station *s;              /* borrowed */
	struct receipt *r;              /* borrowed */
	size_t channels, users, events; /* room in its lists */
};

/* Paths in the way, as many as there is room for. */
static int conflict_add(void *arg, const struct conflict *c, struct err *err)
{
	struct receipt_channel *to = arg;
	char text[LIMIT_PATH + 1];
	size_t used = strlen(to->conflicts);

	(void)err;
	if (c->answer[0] != '\0')
		return 0;
	err_escape(text, sizeof(text), c->path);
	if (used + strlen(text) + sizeof(", and more") + 2 > sizeof(to->conflicts)) {
		snprintf(to->conflicts + used, sizeof(to->conflicts) - used, ", and more");
		return 1;
	}
	snprintf(to->conflicts + used, sizeof(to->conflicts) - used, "%s%s", used > 0 ? ", " : "",
		 text);
	return 0;
}

static int channel_notes(struct station *s, struct receipt_channel *to, struct err *err)
{
	OWNED(buf_clear) struct buf words = BUF_INIT;
	int rc;

	to->file_system[0] = to->conflicts[0] = '\0';
	memset(to->lacks, 0, sizeof(to->lacks));
	rc = apply_lacks(s, to->name, to->file_system, &words, err);

	if (rc == 1 && words.n > 0 && words.n < sizeof(to->lacks))
		memcpy(to->lacks, words.p, words.n);
	return rc < 0 ? rc : conflict_each(s, to->name, conflict_add, to, err);
}

static int channel_add(void *arg, const struct station_channel *c, struct err *err)
{
	struct filling *f = arg;
	struct receipt *r = f->r;
	struct receipt_channel *to;
	int rc;

	if (c->name[0] == '\0') {
		r->private_epoch = c->applied.epoch;
		r->private_generation = c->applied.generation;
		r->private_tree = c->applied.tree;
		return 0;
	}
	if (items_reserve(r->channel, r->channels, f->channels, 1, err) < 0)
		return err->rc;
	to = &r->channel[r->channels++];
	memcpy(to->name, c->name, sizeof(to->name));
	snprintf(to->result, sizeof(to->result), "%s", tree_result_text(c->result));
	memcpy(to->reason, c->reason, sizeof(to->reason));
	to->epoch = c->applied.epoch;
	to->generation = c->applied.generation;
	to->tree = c->applied.tree;
	to->wanted = c->wanted;
	to->deviations = c->deviations;
	to->adaptations = c->adaptations;
	to->drift = c->drift;
	to->at = c->at;
	to->milliseconds = c->milliseconds;
	rc = channel_notes(f->s, to, err);
	return rc < 0 ? rc : 0;
}

static int user_add(void *arg, const struct receipt_user *u, struct err *err)
{
	struct filling *f = arg;
	struct receipt *r = f->r;

	if (items_reserve(r->user, r->users, f->users, 1, err) < 0)
		return err->rc;
	r->user[r->users++] = *u;
	return 0;
}

static int event_add(void *arg, const struct receipt_event *e, struct err *err)
{
	struct filling *f = arg;
	struct receipt *r = f->r;

	if (items_reserve(r->event, r->events, f->events, 1, err) < 0)
		return err->rc;
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
 * it (EVENTS_SAID).  Of what satchel noticed by itself the oldest waits for a later receipt.
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

/* The private channel is wiped, or on its way: what it was is the last that was applied of it. */
static int applied_last(struct station *s, struct receipt *r, struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	struct applied a;
	int rc = station_property_get(s, PROPERTY_DECOMMISSION, &was, err);

	if (rc <= 0 || !applied_unpack(bytes_in(&was), &a))
		return rc < 0 ? rc : 0;
	r->private_epoch = a.epoch;
	r->private_generation = a.generation;
	r->private_tree = a.tree;
	return 0;
}

/* Said in every receipt, not only when they are new: a server that was restored from a backup has
 * forgotten them. */
static int keys_tell(struct station *s, struct receipt *r, struct err *err)
{
	OWNED(key_freep) struct key_secret *codes = NULL;
	OWNED(key_freep) struct key_secret *seal = NULL;
	int rc = station_codes_key(s, &codes, err);

	if (rc == 1)
		r->codes = key_public_of(codes);
	if (rc >= 0)
		rc = station_seal_next(s, &seal, err);
	if (rc == 0)
		rc = station_keys(s, 0, NULL, &seal, err);
	if (rc < 0)
		return rc;
	r->seal = key_public_of(seal);
	return 0;
}

/* Since when all files are known to be right: no news by itself, and in every receipt. */
static int verified_add(struct station *s, struct receipt *r, struct err *err)
{
	int rc = 0;

	r->verify_days = s->verify_days;
	for (size_t i = 0; rc == 0 && s->verify_days > 0 && i < r->channels; i++)
		if (r->channel[i].generation > 0)
			rc = verify_since(s, r->channel[i].name, &r->channel[i].verified, err);
	return rc;
}

int report_fill(struct station *s, struct receipt *ret, struct err *err)
{
	struct filling f = {s, ret, ret->channels, ret->users, ret->events};
	int rc;

	ret->site = s->site;
	memcpy(ret->workstation, s->id, sizeof(ret->workstation));
	ret->trust = s->trust.version;
	snprintf(ret->version, sizeof(ret->version), "%s", SATCHEL_VERSION);
	ret->formats = FORMAT_NEWEST;
	rc = station_instance_get(s, ret->instance, err);
	if (rc >= 0)
		rc = station_property_number(s, PROPERTY_SET_BACK, &ret->set_back, err);
	if (rc >= 0)
		rc = station_channels(s, channel_add, &f, err);
	if (rc == 0 && s->end != STATION_STAYS)
		rc = applied_last(s, ret, err);
	if (rc == 0 && s->end == STATION_STAYS && !ret->wiped)
		rc = keys_tell(s, ret, err);
	if (rc == 0 && s->end == STATION_STAYS && !ret->wiped)
		rc = report_returned(s, ret, err);
	if (rc == 0)
		rc = station_property_number(s, PROPERTY_RECOVERED, &ret->recovered, err);
	if (rc >= 0)
		rc = verified_add(s, ret, err);
	if (rc == 0)
		rc = handout_users(s, user_add, &f, err);
	if (rc == 0)
		rc = station_events(s, false, event_add, &f, err);
	if (rc == 0)
		events_choose(ret);
	return rc;
}

static void add_number(struct digest_stream *d, uint64_t n)
{
	uint8_t raw[8];

	put_u64(raw, n);
	digest_more(d, raw, sizeof(raw));
}

/* With its NUL, so that two texts are not taken for two others. */
static void add_text(struct digest_stream *d, const char *text)
{
	digest_more(d, text, strlen(text) + 1);
}

static void add_digest(struct digest_stream *d, const struct digest *is)
{
	digest_more(d, is->b, DIGEST_BYTES);
}

static void add_channel(struct digest_stream *d, const struct receipt_channel *c)
{
	add_text(d, c->name);
	add_number(d, c->epoch);
	add_number(d, c->generation);
	add_digest(d, &c->tree);
	add_text(d, c->result);
	add_text(d, c->reason);
	add_number(d, c->wanted);
	add_number(d, c->deviations);
	add_number(d, c->adaptations);
	add_number(d, c->drift);
	add_number(d, (uint64_t)c->at);
	add_text(d, c->file_system);
	add_text(d, c->lacks);
	add_text(d, c->conflicts);
}

static void add_user(struct digest_stream *d, const struct receipt_user *u)
{
	add_text(d, u->email);
	add_text(d, u->account);
	add_text(d, u->result);
	add_text(d, u->reason);
	add_number(d, (uint64_t)u->at);
}

static void add_state(struct digest_stream *d, const struct receipt *r)
{
	add_digest(d, &r->site);
	add_text(d, r->workstation);
	add_number(d, r->trust);
	add_number(d, r->private_epoch);
	add_number(d, r->private_generation);
	add_digest(d, &r->private_tree);
	add_digest(d, &r->policy);
	add_number(d, r->wiped);
	add_text(d, r->version);
	add_number(d, r->formats);
	add_text(d, r->instance);
	add_number(d, r->set_back);
	add_number(d, r->recovered);
	digest_more(d, r->seal.b, KEY_PUBLIC_BYTES);
	digest_more(d, r->codes.b, KEY_PUBLIC_BYTES);
}

/*
 * Left out: number and times, the next check, the beat, free space and how long an apply took,
 * which say nothing new by themselves.  Of the events the newest number ever counts, so that an
 * acknowledgement, which takes events out, is not itself news.
 */
int report_content(struct station *s, const struct receipt *r, struct digest *ret, struct err *err)
{
	struct digest_stream d;
	uint64_t events = 0;
	int rc = station_last(s, COUNTER_EVENT, &events, err);

	if (rc < 0)
		return rc;
	digest_start(&d);
	add_state(&d, r);
	add_number(&d, r->channels);
	for (size_t i = 0; i < r->channels; i++)
		add_channel(&d, &r->channel[i]);
	add_number(&d, r->users);
	for (size_t i = 0; i < r->users; i++)
		add_user(&d, &r->user[i]);
	add_number(&d, events);
	*ret = digest_end(&d);
	return 0;
}
