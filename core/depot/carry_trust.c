/*
 * What both depots say of the site: the chain of trust documents from version 1, whose digest the
 * site id is, and the newest beats.  The names say where to look, the signatures decide.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry_internal.h"
#include "core/format/trustchain.h"

/* Signed by a key that had the role once and has it no longer: from before a rotation, no more. */
static bool signed_before(const struct trust *t, enum role role, const struct signed_doc *doc)
{
	for (size_t i = 0; i < t->keys; i++)
		if ((t->key[i].roles & 1u << role) != 0 && t->key[i].state != KEY_CURRENT &&
		    signed_by(doc, &t->key[i].key))
			return true;
	return false;
}

int carry_signed(const struct run *r, struct document *d, const char *type, enum role role,
		 struct err *err)
{
	const struct trust *t = &r->known.trust;
	char begin[32];
	int rc = signed_split(bytes_in(&d->content), 1, &d->doc, err);

	/* Of any format: a relay may be older than what it carries. */
	snprintf(begin, sizeof(begin), "satchel: %s/", type);
	if (rc == 0 && !bytes_start(d->doc.inner, begin))
		rc = err_set(err, RC_MALFORMED, "it is no %s", type);
	if (rc == 0 && trust_role_named(t, role, &d->doc, "it", err) < 0)
		rc = signed_before(t, role, &d->doc)
			 ? err_set(err, RC_REPLAY, "signed with a key that is no longer good")
			 : err->rc;
	return rc < 0 ? err_prefix(err, "%s", d->path) : 0;
}

/* One version: does it follow? */
static int trust_try(struct run *r, const struct document *d, uint64_t version, struct trust *ret,
		     struct err *err)
{
	if (version == 1)
		return trustchain_first(bytes_in(&d->content), &r->result->site, ret, err);
	return trustchain_next(&r->known.trust, bytes_in(&d->content), ret, err);
}

/* The first row whose name begins with "<version>-". */
static size_t trust_row(const struct both *l, uint64_t version, char dst[24])
{
	size_t low = 0, high = l->rows;

	snprintf(dst, 24, "%" PRIu64 "-", version);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(listed_name(l, &l->row[middle]), dst) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int trust_judge(struct run *r, const struct document *d, uint64_t version,
		       struct trust *next, bool *found, struct err *err)
{
	struct trust *t = calloc(1, sizeof(*t));
	struct err bad = {0};
	int rc = t == NULL ? err_memory(err) : 0;

	if (rc == 0 && trust_try(r, d, version, t, &bad) < 0) {
		err_prefix(&bad, "%s", d->path);
		carry_refuse(r, &bad);
	} else if (rc == 0 && *found && !digest_equal(&next->identity, &t->identity)) {
		err_set(&bad, RC_FORK,
			"%s: another trust document %" PRIu64
			" of the same site: tell its administrator",
			d->path, version);
		carry_refuse(r, &bad);
	} else if (rc == 0) {
		*next = *t;
		*found = true;
		rc = carry_plan_document(r, d, err);
	}
	free(t);
	return rc;
}

/* All documents of one version; those whose predecessor is known. */
static int trust_version(struct run *r, const struct both *l, uint64_t version, bool *found,
			 struct err *err)
{
	struct trust *next = calloc(1, sizeof(*next));
	size_t n, i;
	char begin[24];
	int rc = next == NULL ? err_memory(err) : 0;

	i = trust_row(l, version, begin);
	n = strlen(begin);
	for (; rc == 0 && i < l->rows && r->tries > 0; i++) {
		const char *name = listed_name(l, &l->row[i]);
		OWNED(document_clear) struct document d = {0};
		char path[DEPOT_NAME];

		if (strncmp(name, begin, n) != 0)
			break;
		snprintf(path, sizeof(path), "trust/%.200s", name);
		r->tries--;
		rc = carry_document(r, path, &l->row[i], LIMIT_DOCUMENT, &d, err);
		if (rc == 0)
			carry_lack(r, "%s is not whole", path);
		else if (rc == 1)
			rc = trust_judge(r, &d, version, next, found, err);
	}
	if (rc == 0 && *found)
		r->known.trust = *next;
	free(next);
	return rc;
}

/* Nobody can say whose they are: the union of what is whole. */
static int trust_all(struct run *r, const struct both *l, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < l->rows && r->tries > 0; i++) {
		OWNED(document_clear) struct document d = {0};
		char path[DEPOT_NAME];

		snprintf(path, sizeof(path), "trust/%.200s", listed_name(l, &l->row[i]));
		r->tries--;
		rc = carry_document(r, path, &l->row[i], LIMIT_DOCUMENT, &d, err);
		if (rc == 0)
			carry_lack(r, "%s is not whole", path);
		else if (rc == 1)
			rc = carry_plan_document(r, &d, err);
	}
	return rc < 0 ? rc : 0;
}

int carry_known_trust(struct run *r, struct err *err)
{
	OWNED(both_clear) struct both l = {0};
	int rc = carry_list(r, "trust", &l, err);

	r->tries = CARRY_TRIES;
	for (uint64_t version = 1; rc == 0 && version <= LIMIT_TRUST_CHAIN; version++) {
		bool found = false;

		rc = trust_version(r, &l, version, &found, err);
		if (rc < 0 || !found)
			break;
		r->known.chain = true;
	}
	if (rc == 0 && !r->known.chain)
		rc = trust_all(r, &l, err);
	return rc;
}

/* Beats, newest name first. */
struct beats {
	struct beat_row {
		uint64_t number;
		const struct listed *row;
	} * row; /* owned */
	size_t rows;
	struct beat *kept[CARRY_BEATS]; /* owned; descending by sequence */
	size_t n;
};

static void beats_clear(struct beats *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->kept[i]);
	free(b->row);
}

static int by_number(const void *va, const void *vb)
{
	const struct beat_row *a = va, *b = vb;

	return a->number < b->number ? 1 : a->number > b->number ? -1 : 0;
}

static int beats_sort(const struct both *l, struct beats *b, struct err *err)
{
	b->row = calloc(l->rows + 1, sizeof(*b->row));
	if (b->row == NULL)
		return err_memory(err);
	for (size_t i = 0; i < l->rows; i++) {
		char path[DEPOT_NAME];
		struct name n;

		snprintf(path, sizeof(path), "beats/%.200s", listed_name(l, &l->row[i]));
		if (name_parse(path, &n) == NAME_BEAT)
			b->row[b->rows++] = (struct beat_row){n.number, &l->row[i]};
	}
	qsort(b->row, b->rows, sizeof(*b->row), by_number);
	return 0;
}

/* 1 with the beat; 0: signed, and of a newer format; RC_REPLAY: from before a rotation. */
static int beat_judge(const struct run *r, struct document *d, struct beat *ret, struct err *err)
{
	const struct trust *t = &r->known.trust;
	int rc = carry_signed(r, d, "beat", ROLE_BEAT, err);

	if (rc < 0)
		return rc;
	if (trust_role(t, ROLE_BEAT, &d->doc, "it", NULL) < 0)
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

static int beat_take(struct run *r, struct beats *b, struct document *d, struct err *err)
{
	struct beat *beat = calloc(1, sizeof(*beat));
	struct err bad = {0};
	int rc;

	if (beat == NULL)
		return err_memory(err);
	rc = beat_judge(r, d, beat, &bad);
	if (rc == 1) {
		b->kept[b->n++] = beat;
		return carry_plan_document(r, d, err);
	}
	free(beat);
	if (rc == 0)
		return carry_plan_document(r, d, err);
	if (rc != RC_REPLAY) {
		carry_refuse(r, &bad);
		return 0;
	}
	return 2;
}

static int beat_row(struct run *r, struct beats *b, const char *path, const struct listed *row,
		    struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	struct name name;
	int rc;

	name_parse(path, &name);
	/* Names and numbers fit where the signature was good: everything below eight good ones is
	 * older, and need not be read. */
	if (r->known.chain && (b->n == CARRY_BEATS || r->tries == 0))
		return carry_plan_stale(r, path, &name, row, err);
	if (r->tries > 0)
		r->tries--;
	rc = carry_document(r, path, row, LIMIT_DOCUMENT, &d, err);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		if (b->n == 0)
			carry_lack(r, "%s is not whole", path);
		return 0;
	}
	if (!r->known.chain)
		return carry_plan_document(r, &d, err);
	rc = beat_take(r, b, &d, err);
	return rc == 2 ? carry_plan_stale(r, path, &name, row, err) : rc;
}

static void shard_name(struct known *k, const struct beat_shard *s, bool newest)
{
	for (size_t i = 0; i < k->shards; i++)
		if (k->shard[i].xx == s->xx && digest_equal(&k->shard[i].identity, &s->digest))
			return;
	k->shard[k->shards++] = (struct known_shard){s->digest, s->xx, newest, false};
}

/* Beats that follow each other mostly name the same shards. */
static int beats_keep(struct run *r, const struct beats *b, struct err *err)
{
	struct known *k = &r->known;

	if (b->n == 0)
		return 0;
	k->beat = true;
	k->sequence = r->result->beat = b->kept[0]->sequence;
	k->shard = calloc(CARRY_BEATS * 256, sizeof(*k->shard));
	if (k->shard == NULL)
		return err_memory(err);
	memset(k->seen, 1, sizeof(k->seen));
	for (size_t i = 0; i < b->n; i++)
		for (size_t j = 0; j < b->kept[i]->shards; j++) {
			shard_name(k, &b->kept[i]->shard[j], i == 0);
			if (i == 0)
				k->seen[b->kept[i]->shard[j].xx] = false;
		}
	return 0;
}

int carry_known_beats(struct run *r, struct err *err)
{
	OWNED(both_clear) struct both l = {0};
	OWNED(beats_clear) struct beats b = {0};
	int rc = carry_list(r, "beats", &l, err);

	r->tries = CARRY_TRIES;
	if (rc == 0)
		rc = beats_sort(&l, &b, err);
	for (size_t i = 0; rc == 0 && i < b.rows; i++) {
		char path[DEPOT_NAME];

		snprintf(path, sizeof(path), "beats/%.200s", listed_name(&l, b.row[i].row));
		rc = beat_row(r, &b, path, b.row[i].row, err);
	}
	return rc < 0 ? rc : beats_keep(r, &b, err);
}
