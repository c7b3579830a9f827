/* SPDX-License-Identifier: ISC */
/*
 * Trust documents: the chain is walked on from the version that is accepted, or from nothing when a
 * workstation joins.
 */
#include "applier/follow/follow_internal.h"

#include <inttypes.h>
#include <string.h>

#include "applier/station/station_state.h"
#include "core/base/own.h"
#include "core/format/documents/trustchain.h"

void follow_chain_clear(struct follow_chain *c)
{
	for (size_t i = 0; i < c->doc.n; i++)
		buf_clear(&c->doc.items[i]);
	list_clear(&c->doc);
	memset(c, 0, sizeof(*c));
}

static int chain_add(struct follow_chain *c, struct buf *doc, const struct trust *t,
		     struct err *err)
{
	if (list_push(&c->doc, *doc, err) < 0)
		return err->rc;
	*doc = (struct buf)BUF_INIT;
	c->trust = *t;
	return 0;
}

static int trust_read(struct depot *d, const struct listing_row *row, struct buf *ret,
		      struct err *err)
{
	struct digest digest = listed_digest(row);
	char path[DEPOT_NAME];

	name_trust(path, row->number, &digest);
	buf_reset(ret);
	return depot_read(d, path, LIMIT_DOCUMENT, ret, err);
}

/* Why the chain does not go on. */
struct chain_end {
	struct err why;   /* rc 0: nothing claims to be the next version */
	bool root_signed; /* what is refused was signed by the root keys that are trusted */
};

/*
 * Anybody can put a bad file under the name of the next version, and that is litter.  One that the
 * site's own root keys signed and this program cannot take is another matter: without it nothing
 * that is newer will be believed here, so a person must hear of it.
 */
static bool root_signed(const struct trust *t, struct bytes raw)
{
	struct signed_doc doc;

	return signed_split(raw, LIMIT_LAYERS, &doc, ERR_IGNORED) == 0 &&
	       trust_role(t, ROLE_ROOT, &doc, "trust", ERR_IGNORED) == 0;
}

/*
 * One step: 1 when a file that claims to be version ${chain}+1 is good, 0 when none is.  The
 * weightiest reason why one is not is left in ${end}: an incomplete copy waits, a forged one is
 * told.
 */
static int chain_step(struct depot *d, const struct listing *l, struct follow_chain *c,
		      struct search *budget, struct chain_end *end, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct err bad = {0};
		struct trust next;
		int rc;

		if (l->items[i].number != c->trust.version + 1)
			continue;
		if (!search_try(budget))
			return err_set(err, RC_LIMIT,
				       "the depot %s has too many false trust documents",
				       depot_path(d));
		rc = trust_read(d, &l->items[i], &raw, &bad);
		if (rc == 0)
			rc = trustchain_next(&c->trust, bytes_in(&raw), &next, &bad);
		if (rc == 0) {
			rc = chain_add(c, &raw, &next, err);
			return rc < 0 ? rc : 1;
		}
		if (follow_fatal(rc)) {
			*err = bad;
			return rc;
		}
		/* Older and later versions under this name are litter, whoever signed them. */
		if (rc != RC_INCOMPLETE && rc != RC_REPLAY &&
		    root_signed(&c->trust, bytes_in(&raw)))
			*end = (struct chain_end){bad, true};
		else if (!end->root_signed && (end->why.rc == 0 || end->why.rc == RC_INCOMPLETE))
			end->why = bad;
	}
	return 0;
}

static int chain_walk(struct depot *d, const struct listing *l, struct follow_chain *c,
		      struct search *budget, struct chain_end *end, struct err *err)
{
	for (int i = 0; i < LIMIT_TRUST_CHAIN; i++) {
		int rc = chain_step(d, l, c, budget, end, err);

		if (rc <= 0)
			return rc;
		*end = (struct chain_end){0};
	}
	return 0;
}

/* In a sentence of its own, whichever way it was met. */
static int chain_refused(struct depot *d, uint64_t version, const struct chain_end *end,
			 struct err *err)
{
	return err_set(
	    err, end->why.rc,
	    "trust version %" PRIu64 " in the depot %s is signed by the site's root keys "
	    "and is refused: %s; nothing newer is believed here until that is settled, tell "
	    "the site's administrator",
	    version, depot_path(d), end->why.text);
}

static int chain_keep(struct station *s, const struct follow_chain *c, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	uint64_t version = s->trust.version;
	int rc = db_tx_begin(&tx, s->db, err);

	for (size_t i = 0; rc == 0 && i < c->doc.n; i++)
		rc = station_trust_put(s, ++version, bytes_in(&c->doc.items[i]), err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc == 0)
		s->trust = c->trust;
	return rc;
}

struct trust_search {
	struct follow *f;
	const struct listing *l;
	bool other; /* a document with the number of our highest version, but not that one */
};

static int trust_same_each(void *arg, uint64_t version, struct bytes raw, struct err *err)
{
	struct trust_search *t = arg;
	struct digest known = digest_of(raw);

	(void)err;
	for (size_t i = 0; i < t->l->n; i++) {
		if (t->l->items[i].number != version)
			continue;
		if (memcmp(t->l->items[i].digest, known.b, sizeof(t->l->items[i].digest)) == 0)
			t->f->ours = true;
		else if (version == t->f->s->trust.version)
			t->other = true;
	}
	return 0;
}

/* Is a document of our own chain here, by its name, or another one of our highest number? */
static int trust_same(struct follow *f, const struct listing *l, bool *ret_other, struct err *err)
{
	struct trust_search t = {.f = f, .l = l};
	int rc = station_trust_each(f->s, trust_same_each, &t, err);

	*ret_other = t.other;
	return rc;
}

/* Another document of the version accepted: signed by the same root keys it is a fork, which only
 * somebody with the root keys can make; otherwise litter. */
static int trust_fork(struct follow *f, const struct listing *l, struct err *err)
{
	struct search budget = search_begin();

	for (size_t i = 0; i < l->n; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct signed_doc doc;
		int rc;

		if (l->items[i].number != f->s->trust.version)
			continue;
		if (!search_try(&budget))
			break;
		rc = trust_read(f->depot, &l->items[i], &raw, err);
		if (follow_fatal(rc))
			return rc;
		if (rc < 0 || signed_split(bytes_in(&raw), LIMIT_LAYERS, &doc, ERR_IGNORED) < 0 ||
		    (!signed_type(doc.inner, "trust/1") && !signed_type(doc.inner, "trust/2")) ||
		    digest_equal(&doc.identity, &f->s->trust.identity) ||
		    trust_role(&f->s->trust, ROLE_ROOT, &doc, "trust", ERR_IGNORED) < 0)
			continue;
		return err_set(
		    err, RC_FORK,
		    "the depot %s has another trust version %" PRIu64
		    " than the one accepted here, signed with the site's root keys: tell "
		    "the site's administrator",
		    depot_path(f->depot), f->s->trust.version);
	}
	return 0;
}

int follow_trust(struct follow *f, struct err *err)
{
	struct listing_filter filter = {.kind = NAME_TRUST,
					.until = f->s->trust.version + LIMIT_TRUST_CHAIN};
	OWNED(listing_clear) struct listing l = {0};
	OWNED(follow_chain_clear) struct follow_chain c = {.trust = f->s->trust};
	struct search budget = search_begin();
	struct chain_end end = {0};
	struct err stop = {0};
	bool other = false;
	int rc = listing_read(f->depot, "trust", &filter, &l, err);

	if (rc == 0)
		rc = trust_same(f, &l, &other, err);
	if (rc == 0)
		rc = chain_walk(f->depot, &l, &c, &budget, &end, &stop);
	/* What was found good is kept, whatever stopped the walk behind it: a revocation must not
	 * be held off by junk that claims to come next. */
	if (c.doc.n > 0) {
		f->ours = true;
		f->incomplete = end.why.rc == RC_INCOMPLETE;
		if (chain_keep(f->s, &c, err) < 0)
			return err->rc;
	}
	if (stop.rc < 0) {
		*err = stop;
		return err->rc;
	}
	if (rc == 0 && c.doc.n > 0)
		return (int)c.doc.n;
	if (rc == 0 && other)
		rc = trust_fork(f, &l, err);
	if (rc < 0)
		return rc;
	f->incomplete = end.why.rc == RC_INCOMPLETE;
	if (end.root_signed)
		return chain_refused(f->depot, f->s->trust.version + 1, &end, err);
	if (end.why.rc == RC_UNTRUSTED && f->ours) {
		*err = end.why;
		return err_prefix(err, "the depot %s, trust version %" PRIu64, depot_path(f->depot),
				  f->s->trust.version + 1);
	}
	return 0;
}

/* From nothing */

/* What a person typed says which trust document the chain must go through. */
static bool pin_fits(const struct trust_pin *pin, const struct digest *identity)
{
	return pin->code != NULL ? invite_pins(pin->code, identity)
				 : digest_equal(pin->identity, identity);
}

/* Which versions can be the pinned one: a code says the number, up to what its bits can say. */
static bool pin_version(const struct trust_pin *pin, uint64_t version)
{
	if (pin->code == NULL)
		return true;
	return pin->code->trust_version < INVITE_TRUST_MOST ? version == pin->code->trust_version
							    : version >= INVITE_TRUST_MOST;
}

/* A search for one document whose identity is known before a byte of it is parsed. */
struct first_search {
	struct depot *depot;
	const struct listing *l;
	const struct trust_pin *pin;
	struct search budget;
	struct digest *identity; /* owned; [v - 1]: what the chain has at version v */
	uint64_t versions;       /* from 1 to the pinned one */
	size_t seen;     /* documents of which it is known that they are not the pinned one */
	bool incomplete; /* one that could be it is not whole */
};

static void first_search_clear(struct first_search *fs)
{
	free(fs->identity);
}

/* What is asked of one document; ${identity} NULL: the pin. */
static bool first_is(const struct first_search *fs, const struct digest *identity,
		     const struct digest *got)
{
	return identity != NULL ? digest_equal(identity, got) : pin_fits(fs->pin, got);
}

/*
 * first_read(fs, row, identity, ret, err): 1 when the file is the document; it is decoded only
 * then, because its digest makes it as good as signed.
 */
static int first_read(struct first_search *fs, const struct listing_row *row,
		      const struct digest *identity, struct trust *ret, struct err *err)
{
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct err bad = {0};
	struct signed_doc doc;
	int rc = trust_read(fs->depot, row, &raw, &bad);

	if (follow_fatal(rc)) {
		*err = bad;
		return rc;
	}
	fs->incomplete |= rc == RC_INCOMPLETE;
	if (rc < 0 || signed_split(bytes_in(&raw), LIMIT_LAYERS, &doc, ERR_IGNORED) < 0)
		return 0;
	if (!first_is(fs, identity, &doc.identity)) {
		fs->seen++;
		return 0;
	}
	rc = trustdoc_decode(doc.inner, ret, err);
	if (rc < 0)
		return rc;
	ret->identity = doc.identity;
	return ret->version == row->number;
}

/* first_find(fs, version, identity, ret, err): 1 found, 0 not; ${version} 0: any that the pin can
 * be of. */
static int first_find(struct first_search *fs, uint64_t version, const struct digest *identity,
		      struct trust *ret, struct err *err)
{
	for (size_t i = 0; i < fs->l->n; i++) {
		const struct listing_row *row = &fs->l->items[i];
		int rc;

		/* Only what is read costs a try: names alone must not use the budget up. */
		if (version != 0 ? row->number != version : !pin_version(fs->pin, row->number))
			continue;
		if (!search_try(&fs->budget))
			break;
		rc = first_read(fs, row, identity, ret, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int pin_missing(const struct first_search *fs, struct err *err)
{
	const char *path = depot_path(fs->depot);
	uint64_t newest = fs->l->n > 0 ? fs->l->items[0].number : 0;
	uint64_t asked = fs->pin->code != NULL ? fs->pin->code->trust_version : 1;

	if (newest == 0)
		return err_set(err, RC_INCOMPLETE,
			       "the depot %s has no trust document yet: is it the right "
			       "directory, and has everything arrived there?",
			       path);
	if (newest < asked)
		return err_set(err, RC_INCOMPLETE,
			       "the depot %s has trust version %" PRIu64
			       ", the code asks for %" PRIu64 ": the depot is behind",
			       path, newest, asked);
	if (fs->incomplete || fs->seen == 0)
		return err_set(err, RC_INCOMPLETE,
			       "the trust document that the code names has not arrived whole in "
			       "the depot %s",
			       path);
	return err_set(err, RC_ADDRESSEE,
		       "the depot %s does not have the trust document that was typed in: it "
		       "belongs to another site, or somebody replaced what the site wrote",
		       path);
}

/*
 * Backwards from the pinned document to version 1: each names the one before it by digest, so
 * nothing that another key signed can stand between them.
 */
static int pin_walk(struct first_search *fs, struct err *err)
{
	struct trust t;
	int rc = first_find(fs, 0, NULL, &t, err);

	if (rc == 0)
		return pin_missing(fs, err);
	if (rc < 0)
		return rc;
	if (t.version > LIMIT_TRUST_CHAIN)
		return err_set(err, RC_LIMIT,
			       "trust version %" PRIu64 " is more than this satchel follows (%d)",
			       t.version, LIMIT_TRUST_CHAIN);
	fs->versions = t.version;
	fs->identity = calloc(fs->versions, sizeof(*fs->identity));
	if (fs->identity == NULL)
		return err_memory(err);
	for (uint64_t v = fs->versions;; v--) {
		struct digest previous = t.previous;

		fs->identity[v - 1] = t.identity;
		if (v == 1)
			return 0;
		rc = first_find(fs, v - 1, &previous, &t, err);
		if (rc == 0)
			return err_set(err, RC_INCOMPLETE,
				       "trust version %" PRIu64
				       " has not arrived whole in the depot %s",
				       v - 1, depot_path(fs->depot));
		if (rc < 0)
			return rc;
	}
}

/*
 * first_step(fs, c, version, err): the document of this version whose signatures are good.  The
 * same bytes can lie there under signatures of anybody.
 */
static int first_step(struct first_search *fs, struct follow_chain *c, uint64_t version,
		      struct err *err)
{
	const struct digest *identity = &fs->identity[version - 1];
	struct err why = {0};

	for (size_t i = 0; i < fs->l->n; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct signed_doc doc;
		struct trust next;
		int rc;

		if (fs->l->items[i].number != version)
			continue;
		if (!search_try(&fs->budget))
			break;
		rc = trust_read(fs->depot, &fs->l->items[i], &raw, err);
		if (follow_fatal(rc))
			return rc;
		if (rc < 0 || signed_split(bytes_in(&raw), LIMIT_LAYERS, &doc, ERR_IGNORED) < 0 ||
		    !digest_equal(&doc.identity, identity))
			continue;
		rc = version == 1 ? trustchain_first(bytes_in(&raw), identity, &next, &why)
				  : trustchain_next(&c->trust, bytes_in(&raw), &next, &why);
		if (rc == 0)
			return chain_add(c, &raw, &next, err);
	}
	if (why.rc < 0) {
		*err = why;
		return err_prefix(err, "the depot %s, trust version %" PRIu64,
				  depot_path(fs->depot), version);
	}
	return err_set(err, RC_INCOMPLETE,
		       "trust version %" PRIu64 " has not arrived whole in the depot %s", version,
		       depot_path(fs->depot));
}

int follow_first(struct depot *depot, const struct trust_pin *pin, struct follow_chain *ret,
		 struct err *err)
{
	struct listing_filter filter = {.kind = NAME_TRUST, .until = LIMIT_TRUST_CHAIN};
	OWNED(listing_clear) struct listing l = {0};
	OWNED(follow_chain_clear) struct follow_chain c = {0};
	OWNED(first_search_clear)
	struct first_search fs = {.depot = depot, .l = &l, .pin = pin, .budget = search_begin()};
	struct chain_end end = {0};
	int rc = listing_read(depot, "trust", &filter, &l, err);

	if (rc == 0)
		rc = pin_walk(&fs, err);
	for (uint64_t v = 1; rc == 0 && v <= fs.versions; v++)
		rc = first_step(&fs, &c, v, err);
	if (rc == 0)
		rc = chain_walk(depot, &l, &c, &fs.budget, &end, err);
	if (rc == 0 && end.root_signed)
		rc = chain_refused(depot, c.trust.version + 1, &end, err);
	if (rc < 0)
		return rc;
	*ret = c;
	memset(&c, 0, sizeof(c));
	return 0;
}
