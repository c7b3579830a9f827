#include "applier/follow_internal.h"

#include <inttypes.h>
#include <string.h>

#include "applier/station_internal.h"
#include "core/base/own.h"
#include "core/format/trustchain.h"

void follow_chain_clear(struct follow_chain *c)
{
	for (size_t i = 0; i < c->docs; i++)
		buf_clear(&c->doc[i]);
	free(c->doc);
	memset(c, 0, sizeof(*c));
}

static int chain_add(struct follow_chain *c, struct buf *doc, const struct trust *t,
		     struct err *err)
{
	struct buf *grown = reallocarray(c->doc, c->docs + 1, sizeof(*grown));

	if (grown == NULL)
		return err_memory(err);
	c->doc = grown;
	c->doc[c->docs++] = *doc;
	*doc = (struct buf)BUF_INIT;
	c->trust = *t;
	return 0;
}

static int trust_read(struct depot *d, const struct listed *row, struct buf *ret, struct err *err)
{
	struct digest digest = listed_digest(row);
	char path[DEPOT_NAME];

	name_trust(path, row->number, &digest);
	buf_reset(ret);
	return depot_read(d, path, LIMIT_DOCUMENT, ret, err);
}

/*
 * One step: 1 when a file that claims to be version ${chain}+1 is good, 0 when none is.  The first
 * reason why one is not is left in ${why}: a torn copy waits, a forged one is told.
 */
static int chain_step(struct depot *d, const struct listing *l, struct follow_chain *c,
		      struct search *budget, struct err *why, struct err *err)
{
	for (size_t i = 0; i < l->rows; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct err bad = {0};
		struct trust next;
		int rc;

		if (l->row[i].number != c->trust.version + 1)
			continue;
		if (!search_try(budget))
			return err_set(err, RC_LIMIT,
				       "the depot %s holds too many false trust documents",
				       depot_path(d));
		rc = trust_read(d, &l->row[i], &raw, &bad);
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
		if (why->rc == 0 || why->rc == RC_INCOMPLETE)
			*why = bad;
	}
	return 0;
}

static int chain_walk(struct depot *d, const struct listing *l, struct follow_chain *c,
		      struct search *budget, struct err *why, struct err *err)
{
	for (int i = 0; i < LIMIT_TRUST_CHAIN; i++) {
		int rc = chain_step(d, l, c, budget, why, err);

		if (rc <= 0)
			return rc;
		why->rc = 0;
	}
	return 0;
}

static int chain_keep(struct station *s, const struct follow_chain *c, struct err *err)
{
	uint64_t version = s->trust.version;
	int rc = db_begin(s->db, err);

	for (size_t i = 0; rc == 0 && i < c->docs; i++)
		rc = station_trust_keep(s, ++version, bytes_in(&c->doc[i]), err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	else
		s->trust = c->trust;
	return rc;
}

/* Is the document of our own highest version here, by its name, or another one of that number? */
static int trust_same(struct follow *f, const struct listing *l, bool *ret_other, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(f->s->db, "SELECT version, document FROM trust", &st, err);

	*ret_other = false;
	while (rc >= 0 && (rc = db_step(f->s->db, st, err)) == 1) {
		uint64_t version = (uint64_t)db_i64(st, 0);
		struct digest held = digest_of(db_bytes(st, 1));

		for (size_t i = 0; i < l->rows; i++) {
			if (l->row[i].number != version)
				continue;
			if (memcmp(l->row[i].digest, held.b, sizeof(l->row[i].digest)) == 0)
				f->ours = true;
			else if (version == f->s->trust.version)
				*ret_other = true;
		}
	}
	return rc;
}

/* Another document of the version held: signed by the same root keys it is a fork, which only
 * somebody with the root keys can make; otherwise litter. */
static int trust_fork(struct follow *f, const struct listing *l, struct err *err)
{
	struct search budget = search_begin();

	for (size_t i = 0; i < l->rows; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct signed_doc doc;
		int rc;

		if (l->row[i].number != f->s->trust.version)
			continue;
		if (!search_try(&budget))
			break;
		rc = trust_read(f->depot, &l->row[i], &raw, err);
		if (follow_fatal(rc))
			return rc;
		if (rc < 0 || signed_split(bytes_in(&raw), LIMIT_LAYERS, &doc, NULL) < 0 ||
		    !signed_type(doc.inner, "trust/1") ||
		    digest_equal(&doc.identity, &f->s->trust.identity) ||
		    trust_role(&f->s->trust, ROLE_ROOT, &doc, "trust", NULL) < 0)
			continue;
		return err_set(
		    err, RC_FORK,
		    "the depot %s holds another trust version %" PRIu64
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
	struct err why = {0};
	bool other = false;
	int rc = listing_read(f->depot, "trust", &filter, &l, err);

	if (rc == 0)
		rc = trust_same(f, &l, &other, err);
	if (rc == 0)
		rc = chain_walk(f->depot, &l, &c, &budget, &why, err);
	if (rc == 0 && c.docs > 0) {
		f->ours = true;
		f->torn = why.rc == RC_INCOMPLETE;
		rc = chain_keep(f->s, &c, err);
		return rc < 0 ? rc : (int)c.docs;
	}
	if (rc == 0 && other)
		rc = trust_fork(f, &l, err);
	if (rc < 0)
		return rc;
	f->torn = why.rc == RC_INCOMPLETE;
	if (why.rc == RC_UNTRUSTED && f->ours) {
		*err = why;
		return err_prefix(err, "the depot %s, trust version %" PRIu64, depot_path(f->depot),
				  f->s->trust.version + 1);
	}
	return 0;
}

static bool first_fits(const struct invite *code, const struct digest *site,
		       const struct digest *identity)
{
	return code != NULL ? invite_fits(code, identity) : digest_equal(site, identity);
}

/* Version 1 of the site that the code names: 1 found, 0 not, counting those of other sites. */
static int first_find(struct depot *d, const struct listing *l, const struct invite *code,
		      const struct digest *site, struct follow_chain *c, unsigned *ret_others,
		      struct err *err)
{
	struct search budget = search_begin();

	for (size_t i = 0; i < l->rows; i++) {
		OWNED(buf_clear) struct buf raw = BUF_INIT;
		struct signed_doc doc;
		struct trust first;
		int rc;

		if (l->row[i].number != 1)
			continue;
		if (!search_try(&budget))
			break;
		rc = trust_read(d, &l->row[i], &raw, err);
		if (follow_fatal(rc))
			return rc;
		if (rc < 0 || signed_split(bytes_in(&raw), LIMIT_LAYERS, &doc, NULL) < 0)
			continue;
		if (!first_fits(code, site, &doc.identity)) {
			(*ret_others)++;
			continue;
		}
		if (trustchain_first(bytes_in(&raw), &doc.identity, &first, err) < 0)
			continue; /* the same bytes under a signature that is not good */
		rc = chain_add(c, &raw, &first, err);
		return rc < 0 ? rc : 1;
	}
	return 0;
}

int follow_first(struct depot *depot, const struct invite *code, const struct digest *site,
		 struct follow_chain *ret, struct err *err)
{
	struct listing_filter filter = {.kind = NAME_TRUST, .until = LIMIT_TRUST_CHAIN};
	OWNED(listing_clear) struct listing l = {0};
	OWNED(follow_chain_clear) struct follow_chain c = {0};
	struct search budget = search_begin();
	unsigned others = 0;
	struct err why = {0};
	int rc = listing_read(depot, "trust", &filter, &l, err);

	if (rc == 0)
		rc = first_find(depot, &l, code, site, &c, &others, err);
	if (rc < 0)
		return rc;
	if (rc == 0 && others > 0)
		return err_set(err, RC_ADDRESSEE,
			       "the depot %s belongs to another site than the code",
			       depot_path(depot));
	if (rc == 0)
		return err_set(err, RC_INCOMPLETE,
			       "the depot %s holds no trust document yet: is it the right "
			       "directory, and has everything arrived there?",
			       depot_path(depot));
	rc = chain_walk(depot, &l, &c, &budget, &why, err);
	if (rc < 0)
		return rc;
	*ret = c;
	memset(&c, 0, sizeof(c));
	return 0;
}
