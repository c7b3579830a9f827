#include "applier/follow_internal.h"

#include <inttypes.h>
#include <string.h>

#include "applier/station_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Read, verified by the beat role, then parsed: of our site and of the epoch that the trust
 * document gives. */
static int beat_read(struct depot *d, const struct trust *t, const struct listed *row,
		     struct beat *ret, struct digest *ret_identity, struct buf *ret_raw,
		     struct err *err)
{
	struct digest digest = listed_digest(row);
	struct signed_doc doc;
	char path[DEPOT_NAME];
	int rc;

	name_beat(path, row->number, &digest);
	buf_reset(ret_raw);
	rc = depot_read(d, path, LIMIT_DOCUMENT, ret_raw, err);
	if (rc == 0)
		rc = signed_split(bytes_in(ret_raw), 1, &doc, err);
	if (rc == 0 && !signed_type(doc.inner, "beat/1"))
		rc = err_set(err, RC_MALFORMED, "not a beat of a format known here");
	if (rc == 0 && trust_role(t, ROLE_BEAT, &doc, "beat", err) < 0)
		rc =
		    trust_role_named(t, ROLE_BEAT, &doc, "beat", NULL) == 0
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

/* Worse reasons replace lesser ones: a torn copy is told only when nothing else is wrong. */
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
	struct err why; /* why something that claims to be newer is not taken */
};

/* Newest name first; names are hints, so the first good one is only as new as it says itself. */
static int beat_search(struct depot *d, const struct trust *t, const struct listing *l,
		       uint64_t above, struct beat_search *ret, struct err *err)
{
	struct search budget = search_begin();

	for (size_t i = 0; i < l->rows && l->row[i].number > above; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct digest identity;
		struct err bad = {0};
		struct beat beat;
		int rc;

		if (ret->found && l->row[i].number <= ret->best.sequence)
			break;
		if (!search_try(&budget))
			return err_set(err, RC_LIMIT, "the depot %s holds too many false beats",
				       depot_path(d));
		rc = beat_read(d, t, &l->row[i], &beat, &identity, &raw, &bad);
		if (follow_fatal(rc)) {
			*err = bad;
			return rc;
		}
		if (rc < 0) {
			why_note(&ret->why, &bad);
			continue;
		}
		if (beat.sequence <= above || (ret->found && beat.sequence <= ret->best.sequence))
			continue;
		ret->best = beat;
		ret->identity = identity;
		buf_clear(&ret->raw);
		ret->raw = raw;
		raw = (struct buf)BUF_INIT;
		ret->found = true;
	}
	return 0;
}

static void beat_search_clear(struct beat_search *b)
{
	buf_clear(&b->raw);
}

/* The number that is held: the same document, or another one by the same key? */
static int beat_compare(struct follow *f, const struct listing *l, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct search budget = search_begin();
	struct digest held_file, held;
	int rc = db_query(f->s->db, "SELECT document, identity FROM beat", &st, err);

	if (rc == 0)
		rc = db_step(f->s->db, st, err);
	if (rc <= 0 || !db_digest(st, 1, &held))
		return rc < 0 ? rc : 0;
	held_file = digest_of(db_bytes(st, 0));
	f->behind = l->rows > 0 || f->ours;
	for (size_t i = 0; i < l->rows; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct digest identity;
		struct beat beat;

		if (l->row[i].number != f->s->beat)
			continue;
		if (memcmp(l->row[i].digest, held_file.b, sizeof(l->row[i].digest)) == 0) {
			f->current = true;
			f->behind = false;
			continue;
		}
		if (!search_try(&budget))
			break;
		rc = beat_read(f->depot, &f->s->trust, &l->row[i], &beat, &identity, &raw, err);
		if (follow_fatal(rc))
			return rc;
		if (rc == 0 && beat.sequence == f->s->beat && beat.epoch == f->s->beat_epoch &&
		    !digest_equal(&identity, &held))
			return err_set(err, RC_FORK,
				       "the depot %s holds another beat %" PRIu64
				       " than the one known here: two servers write for this site, "
				       "or one was restored from an old backup",
				       depot_path(f->depot), beat.sequence);
	}
	return 0;
}

static int beat_accept(struct follow *f, const struct beat_search *b, struct err *err)
{
	struct station *s = f->s;
	int rc;

	if (b->best.trust > s->trust.version)
		return err_set(err, RC_INCOMPLETE,
			       "the depot %s: beat %" PRIu64 " stands on trust version %" PRIu64
			       ", which has not arrived (%" PRIu64 " is known here)",
			       depot_path(f->depot), b->best.sequence, b->best.trust,
			       s->trust.version);
	rc = db_begin(s->db, err);
	if (rc == 0)
		rc = station_beat_keep(s, &b->best, &b->identity, bytes_in(&b->raw), err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0) {
		db_rollback(s->db);
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
	if (b.why.rc == RC_UNTRUSTED && f->torn) /* its key may be in what has not arrived */
		err_set(&b.why, RC_INCOMPLETE,
			"the depot %s: trust version %" PRIu64 " has not arrived whole",
			depot_path(f->depot), s->trust.version + 1);
	f->odd.rc = 0;
	if (rc_status(b.why.rc) == 3 || rc_status(b.why.rc) == 4)
		f->odd = b.why;
	if (b.found)
		return beat_accept(f, &b, err);
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
	if (b.found)
		return now >= b.best.issued && now < b.best.expires;
	return now >= trust->created && now < trust->expires;
}
