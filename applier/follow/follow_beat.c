/* SPDX-License-Identifier: ISC */
/*
 * Beats: the newest good one of a depot, and whether the depot is behind what is known already.
 */
#include "applier/follow/follow_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "applier/station/station_state.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"

/* Read, verified by the beat role, then parsed: of our site and of the epoch that the trust
 * document gives. */
static int beat_read(struct depot *d, const struct trust *t, const struct listing_row *row,
		     struct beat *ret, struct digest *ret_identity, struct buf *ret_raw,
		     struct err *err)
{
	struct digest digest = listed_digest(row);
	struct signed_doc doc;
	char path[DEPOT_NAME];
	int rc;

	name_beat(path, row->number, &digest);
	buf_reset(ret_raw);
	rc = depot_read(d, path, LIMIT_BEAT, ret_raw, err);
	if (rc == 0)
		rc = signed_split(bytes_in(ret_raw), 1, &doc, err);
	if (rc == 0 && !signed_type(doc.inner, "beat/1"))
		rc = err_set(err, RC_MALFORMED, "not a beat in a format that this satchel reads");
	if (rc == 0 && trust_role(t, ROLE_BEAT, &doc, "beat", err) < 0)
		rc =
		    trust_role_named(t, ROLE_BEAT, &doc, "beat", ERR_IGNORED) == 0
			? err_set(err, RC_REPLAY, "a beat signed with a key that was retired since")
			: err->rc;
	if (rc == 0)
		rc = beat_decode(doc.inner, ret, err);
	if (rc < 0)
		return err_prefix(err, "%s in the depot %s", path, depot_path(d));
	if (!digest_equal(&ret->site, &t->site))
		return err_set(err, RC_ADDRESSEE, "%s in the depot %s is of another site", path,
			       depot_path(d));
	if (ret->epoch != t->epoch[ROLE_BEAT])
		return err_set(err, RC_REPLAY,
			       "%s in the depot %s is of epoch %" PRIu64
			       ", the trust document says %" PRIu64,
			       path, depot_path(d), ret->epoch, t->epoch[ROLE_BEAT]);
	*ret_identity = doc.identity;
	return 0;
}

/* Worse reasons replace lesser ones: an incomplete copy is told only when nothing else is wrong. */
static void why_note(struct err *why, const struct err *bad)
{
	if (why->rc == 0 || why->rc == RC_INCOMPLETE || why->rc == RC_REPLAY)
		*why = *bad;
}

struct beat_search {
	struct beat best;
	struct digest identity;
	struct buf raw; /* owned */
	bool found;
	struct err why;  /* why something that claims to be newer is not taken */
	struct err full; /* so much junk claims it that not all of it was read */
};

/* What is not newer than the best is of no use any more. */
static void candidates_narrow(struct candidates *c, const struct listing *l,
			      const struct beat_search *b)
{
	size_t n = c->last;

	while (b->found && n > 0 && l->items[n - 1].number <= b->best.sequence)
		n--;
	candidates_until(c, n);
}

/* Names that claim more than what is known, descending. */
static int candidates_above(const struct listing *l, uint64_t above, struct candidates *ret,
			    struct err *err)
{
	size_t n = 0;

	while (n < l->n && l->items[n].number > above)
		n++;
	return candidates_begin(n, ret, err);
}

/* One of them; negative only when the search cannot go on. */
static int beat_try(struct depot *d, const struct trust *t, const struct listing_row *row,
		    uint64_t above, struct beat_search *ret, struct err *err)
{
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct digest identity;
	struct err bad = {0};
	struct beat beat;
	int rc = beat_read(d, t, row, &beat, &identity, &raw, &bad);

	if (follow_fatal(rc)) {
		*err = bad;
		return rc;
	}
	if (rc < 0)
		why_note(&ret->why, &bad);
	if (rc < 0 || beat.sequence <= above || (ret->found && beat.sequence <= ret->best.sequence))
		return 0;
	ret->best = beat;
	ret->identity = identity;
	buf_clear(&ret->raw);
	ret->raw = raw;
	raw = (struct buf)BUF_INIT;
	ret->found = true;
	return 0;
}

/* Names are hints, so the first good one is only as new as it says itself. */
static int beat_search(struct depot *d, const struct trust *t, const struct listing *l,
		       uint64_t above, struct beat_search *ret, struct err *err)
{
	OWNED(candidates_clear) struct candidates c = {0};
	struct search budget = search_begin();
	int rc = candidates_above(l, above, &c, err);
	size_t i = 0;

	while (rc == 0 && candidates_next(&c, &i)) {
		if (!search_try(&budget)) {
			err_set(&ret->full, RC_LIMIT,
				"the depot %s has too many false beats, and not all of them were "
				"read: find out who may write there, and remove them",
				depot_path(d));
			break;
		}
		rc = beat_try(d, t, &l->items[i], above, ret, err);
		candidates_narrow(&c, l, ret);
	}
	return rc;
}

static void beat_search_clear(struct beat_search *b)
{
	buf_clear(&b->raw);
}

/* The number that is known: the same document, or another one by the same key? */
static int beat_compare(struct follow *f, const struct listing *l, struct err *err)
{
	struct search budget = search_begin();
	struct digest known_file, known;
	int rc = station_beat_file(f->s, &known_file, &known, err);

	if (rc <= 0)
		return rc;
	f->behind = l->n > 0 || f->ours;
	for (size_t i = 0; i < l->n; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct digest identity;
		struct beat beat;

		if (l->items[i].number != f->s->beat)
			continue;
		if (memcmp(l->items[i].digest, known_file.b, sizeof(l->items[i].digest)) == 0) {
			f->current = true;
			f->behind = false;
			continue;
		}
		if (!search_try(&budget))
			break;
		rc = beat_read(f->depot, &f->s->trust, &l->items[i], &beat, &identity, &raw, err);
		if (follow_fatal(rc))
			return rc;
		if (rc == 0 && beat.sequence == f->s->beat && beat.epoch == f->s->beat_epoch &&
		    !digest_equal(&identity, &known))
			return err_set(err, RC_FORK,
				       "the depot %s has another beat %" PRIu64
				       " than the one known here: two servers write for this site, "
				       "or one was restored from an old backup",
				       depot_path(f->depot), beat.sequence);
	}
	return 0;
}

static int beat_accept(struct follow *f, const struct beat_search *b, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct station *s = f->s;
	const uint64_t was_epoch = s->beat_epoch, was_sequence = s->beat;
	const int64_t was_issued = s->beat_issued, was_expires = s->beat_expires;
	const int64_t was_arrived = s->beat_arrived;
	int rc;

	if (b->best.trust > s->trust.version)
		return err_set(err, RC_INCOMPLETE,
			       "the depot %s: beat %" PRIu64 " needs trust version %" PRIu64
			       ", which has not arrived (%" PRIu64 " is known here)",
			       depot_path(f->depot), b->best.sequence, b->best.trust,
			       s->trust.version);
	rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = station_beat_put(s, &b->best, &b->identity, bytes_in(&b->raw), err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc < 0) {
		/* What was not kept is not known, or a receipt would say that it is. */
		s->beat_epoch = was_epoch;
		s->beat = was_sequence;
		s->beat_issued = was_issued;
		s->beat_expires = was_expires;
		s->beat_arrived = was_arrived;
		return rc;
	}
	f->current = true;
	return 1;
}

int follow_beat(struct follow *f, struct err *err)
{
	struct station *s = f->s;
	bool restart = s->trust.epoch[ROLE_BEAT] > s->beat_epoch; /* the count began anew */
	struct listing_filter filter = {.kind = NAME_BEAT, .until = LIMIT_NUMBER};
	OWNED(beat_search_clear) struct beat_search b = {0};
	OWNED(listing_clear) struct listing l = {0};
	int rc = listing_read(f->depot, "beats", &filter, &l, err);

	f->behind = f->current = false;
	if (rc == 0)
		rc = beat_search(f->depot, &s->trust, &l, restart ? 0 : s->beat, &b, err);
	if (rc < 0)
		return rc;
	if (b.why.rc == RC_UNTRUSTED && f->incomplete) /* its key may be in what has not arrived */
		err_set(&b.why, RC_INCOMPLETE,
			"the depot %s: trust version %" PRIu64 " has not arrived whole",
			depot_path(f->depot), s->trust.version + 1);
	f->refused.rc = 0;
	/* One that is there and cannot be read is newer than what is called current here. */
	if (rc_class(b.why.rc) == EXIT_CLASS_MALFORMED ||
	    rc_class(b.why.rc) == EXIT_CLASS_UNTRUSTED || b.why.rc == RC_IO)
		f->refused = b.why;
	if (b.full.rc < 0)
		f->refused = b.full;
	if (b.found)
		return beat_accept(f, &b, err);
	if (b.full.rc < 0) {
		*err = b.full;
		return b.full.rc;
	}
	if (s->beat > 0 && !restart)
		rc = beat_compare(f, &l, err);
	if (rc < 0)
		return rc;
	if (b.why.rc == RC_REPLAY) /* from before the epoch or the key changed: behind, no more */
		f->behind = !f->current;
	else if (b.why.rc < 0 && !f->current) {
		*err = b.why;
		return b.why.rc;
	}
	return 0;
}

int follow_clock(struct depot *depot, const struct trust *trust, int64_t now, struct err *err)
{
	struct listing_filter filter = {.kind = NAME_BEAT, .until = LIMIT_NUMBER};
	OWNED(beat_search_clear) struct beat_search b = {0};
	OWNED(listing_clear) struct listing l = {0};
	int rc = listing_read(depot, "beats", &filter, &l, err);

	if (rc == 0)
		rc = beat_search(depot, trust, &l, 0, &b, err);
	if (rc < 0)
		return rc;
	if (!b.found && b.full.rc < 0) {
		*err = b.full;
		return b.full.rc;
	}
	if (b.found)
		return now >= b.best.issued && now < b.best.expires;
	return now >= trust->created && now < trust->expires;
}
