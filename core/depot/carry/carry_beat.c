/* SPDX-License-Identifier: ISC */
/*
 * The newest beats that verify.  Anybody can write names with higher numbers, and any number of
 * them, so they are tried in an order that junk cannot occupy; and what was not read is older only
 * than what was.  A beat that is taken for stale goes with --prune, and with the last one a depot
 * says nothing any more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"

enum beat_found {
	BEAT_UNREAD,
	BEAT_KEPT,
	BEAT_OLD,     /* of before a rotation, or there are eight that are newer */
	BEAT_NEWER,   /* signed, and of a newer format */
	BEAT_REFUSED, /* not by the site */
	BEAT_INCOMPLETE,
};

/* By number, the highest first. */
struct beats {
	struct beat_row {
		uint64_t number;
		const struct listed *row;
		enum beat_found found;
		enum state state[ATS];
		size_t size; /* bytes */
	} * row;             /* owned */
	size_t rows;
	struct beat_kept {
		struct beat *beat; /* owned */
		size_t row;
	} kept[CARRY_BEATS]; /* descending by sequence */
	size_t n;
	struct err refused; /* the first */
};

static void beats_clear(struct beats *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->kept[i].beat);
	free(b->row);
}

static int by_number(const void *va, const void *vb)
{
	const struct beat_row *a = va, *b = vb;

	return a->number < b->number ? 1 : a->number > b->number ? -1 : 0;
}

static void beat_path(const struct merged_listing *l, const struct listed *row,
		      char dst[DEPOT_NAME])
{
	snprintf(dst, DEPOT_NAME, "beats/%.200s", listed_name(l, row));
}

static int beats_sort(const struct merged_listing *l, struct beats *b, struct err *err)
{
	b->row = calloc(l->rows + 1, sizeof(*b->row));
	if (b->row == NULL)
		return err_memory(err);
	for (size_t i = 0; i < l->rows; i++) {
		char path[DEPOT_NAME];
		struct name n;

		beat_path(l, &l->row[i], path);
		if (name_parse(path, &n) == NAME_BEAT)
			b->row[b->rows++] =
			    (struct beat_row){.number = n.number, .row = &l->row[i]};
	}
	qsort(b->row, b->rows, sizeof(*b->row), by_number);
	return 0;
}

/* 1 with the beat; 0: signed, and of a newer format; RC_REPLAY: from before a rotation. */
static int beat_judge(struct carry_run *r, struct document *d, struct beat *ret, struct err *err)
{
	const struct trust *t = &r->known.trust;
	int rc = carry_signed(r, d, "beat", ROLE_BEAT, err);

	if (rc < 0)
		return rc;
	if (trust_role(t, ROLE_BEAT, &d->doc, "it", ERR_IGNORED) < 0)
		return err_set(err, RC_REPLAY, "%s: signed with a retired key", d->path);
	if (!signed_type(d->doc.inner, "beat/1"))
		return 0;
	rc = beat_decode(d->doc.inner, ret, err);
	if (rc < 0)
		return err_prefix(err, "%s", d->path);
	if (!digest_equal(&ret->site, &t->site) || ret->sequence != d->name.number)
		return err_set(err, RC_UNTRUSTED, "%s is not the beat that its name says", d->path);
	if (ret->epoch != t->epoch[ROLE_BEAT])
		return err_set(err, RC_REPLAY, "%s is of another epoch", d->path);
	return 1;
}

/* One more that is good: the oldest of more than CARRY_BEATS falls out. */
static void beat_keep(struct beats *b, size_t row, struct beat *beat)
{
	size_t at = b->n;

	if (b->n == CARRY_BEATS) {
		at--;
		b->row[b->kept[at].row].found = BEAT_OLD;
		free(b->kept[at].beat);
	} else {
		b->n++;
	}
	for (; at > 0 && b->kept[at - 1].beat->sequence < beat->sequence; at--)
		b->kept[at] = b->kept[at - 1];
	b->kept[at] = (struct beat_kept){beat, row};
	b->row[row].found = BEAT_KEPT;
}

static int beat_take(struct carry_run *r, struct beats *b, size_t row, struct document *d,
		     struct err *err)
{
	struct beat *beat = calloc(1, sizeof(*beat));
	struct err bad = {0};
	int rc;

	if (beat == NULL)
		return err_memory(err);
	rc = beat_judge(r, d, beat, &bad);
	if (rc == 1) {
		beat_keep(b, row, beat);
		return 0;
	}
	free(beat);
	if (carry_fatal(rc)) {
		*err = bad;
		return rc;
	}
	b->row[row].found = rc == 0 ? BEAT_NEWER : rc == RC_REPLAY ? BEAT_OLD : BEAT_REFUSED;
	if (b->row[row].found == BEAT_REFUSED && b->refused.rc == 0)
		b->refused = bad;
	return 0;
}

static int beat_read(struct carry_run *r, const struct merged_listing *l, struct beats *b,
		     size_t row, struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	struct beat_row *br = &b->row[row];
	char path[DEPOT_NAME];
	int rc;

	r->tries--;
	beat_path(l, br->row, path);
	rc = carry_document(r, path, br->row, LIMIT_BEAT, &d, err);
	if (rc < 0)
		return rc;
	br->found = BEAT_INCOMPLETE;
	memcpy(br->state, d.state, sizeof(br->state));
	br->size = d.content.n;
	if (rc == 0)
		return 0;
	/* Nobody can say whose it is: the union of what is whole. */
	br->found = BEAT_NEWER;
	return r->known.chain ? beat_take(r, b, row, &d, err) : 0;
}

/* A row at or below the oldest that is kept is older, whatever it holds: names and numbers fit
 * where the signature is good. */
static bool beat_below(const struct beats *b, uint64_t number)
{
	return b->n == CARRY_BEATS && number <= b->kept[CARRY_BEATS - 1].beat->sequence;
}

static int beats_search(struct carry_run *r, const struct merged_listing *l, struct beats *b,
			struct err *err)
{
	OWNED(candidates_clear) struct candidates c = {0};
	size_t last = b->rows, i = 0;
	int rc = candidates_begin(b->rows, &c, err);

	while (rc == 0 && candidates_next(&c, &i) && !carry_enough(r, "beats")) {
		rc = beat_read(r, l, b, i, err);
		while (last > 0 && beat_below(b, b->row[last - 1].number))
			last--;
		candidates_until(&c, last);
	}
	return rc;
}

/* What was not read and may be new stays as it is. */
static int beat_plan(struct carry_run *r, const struct merged_listing *l, const struct beats *b,
		     const struct beat_row *row, struct err *err)
{
	struct document d = {.content.n = row->size};
	enum beat_found found = row->found;

	beat_path(l, row->row, d.path);
	name_parse(d.path, &d.name);
	memcpy(d.state, row->state, sizeof(d.state));
	if (found == BEAT_KEPT || (found == BEAT_NEWER && !beat_below(b, row->number)))
		return carry_plan_document(r, &d, err);
	if (found == BEAT_OLD || beat_below(b, row->number))
		return carry_plan_stale(r, d.path, &d.name, row->row, err);
	if (found == BEAT_REFUSED)
		return carry_refuse(r, &b->refused, err);
	if (found == BEAT_INCOMPLETE && (b->n == 0 || row->number > b->kept[0].beat->sequence))
		carry_lack(r, "%s is not whole", d.path);
	return 0;
}

static void shard_name(struct carry_known *k, const struct beat_shard *s, bool newest)
{
	for (size_t i = 0; i < k->shards; i++)
		if (k->shard[i].xx == s->xx && digest_equal(&k->shard[i].identity, &s->digest))
			return;
	k->shard[k->shards++] = (struct known_shard){s->digest, s->xx, newest, false};
}

/* Beats that follow each other mostly name the same shards. */
static int beats_keep(struct carry_run *r, const struct beats *b, struct err *err)
{
	struct carry_known *k = &r->known;

	if (b->n == 0)
		return 0;
	k->beat = true;
	k->sequence = r->result->beat = b->kept[0].beat->sequence;
	k->shard = calloc(CARRY_BEATS * 256, sizeof(*k->shard));
	if (k->shard == NULL)
		return err_memory(err);
	memset(k->seen, 1, sizeof(k->seen));
	for (size_t i = 0; i < b->n; i++) {
		const struct beat *beat = b->kept[i].beat;

		for (size_t j = 0; j < beat->shards; j++) {
			shard_name(k, &beat->shard[j], i == 0);
			if (i == 0)
				k->seen[beat->shard[j].xx] = false;
		}
	}
	return 0;
}

int carry_known_beats(struct carry_run *r, struct err *err)
{
	OWNED(merged_listing_clear) struct merged_listing l = {0};
	OWNED(beats_clear) struct beats b = {0};
	int rc;

	r->tries = candidates_tries(CARRY_TRIES);
	r->floor = FLOOR_BEATS;
	rc = carry_list(r, "beats", &l, err);
	if (rc == 0)
		rc = beats_sort(&l, &b, err);
	if (rc == 0)
		rc = beats_search(r, &l, &b, err);
	for (size_t i = 0; rc == 0 && i < b.rows; i++)
		rc = beat_plan(r, &l, &b, &b.row[i], err);
	return rc < 0 ? rc : beats_keep(r, &b, err);
}
