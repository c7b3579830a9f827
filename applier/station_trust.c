#include "applier/station_internal.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/own.h"

/*
 * A trust document may be parsed once it is known whose it is: version 1 by the digest that the
 * site id is, every later one by the signatures of its predecessor's root keys.
 */
static int trust_split(struct bytes raw, struct signed_doc *ret, struct err *err)
{
	int rc = signed_split(raw, LIMIT_LAYERS, ret, err);

	if (rc < 0)
		return rc;
	if (!signed_type(ret->inner, "trust/1"))
		return err_set(err, RC_MALFORMED, "not a trust document of a format known here");
	return 0;
}

int station_trust_first(struct bytes raw, const struct digest *site, struct trust *ret,
			struct err *err)
{
	struct trust first = {0};
	struct signed_doc doc;
	int rc = trust_split(raw, &doc, err);

	if (rc < 0)
		return rc;
	if (!digest_equal(&doc.identity, site))
		return err_set(err, RC_ADDRESSEE, "trust version 1 of another site");
	rc = trustdoc_decode(doc.inner, &first, err);
	if (rc == 0)
		rc = trust_first(&first, &doc, site, err);
	if (rc < 0)
		return rc;
	first.site = *site;
	*ret = first;
	return 0;
}

int station_trust_next(const struct trust *cur, struct bytes raw, struct trust *ret,
		       struct err *err)
{
	struct trust next = {0};
	struct signed_doc doc;
	int rc = trust_split(raw, &doc, err);

	if (rc == 0)
		rc = trust_role(cur, ROLE_ROOT, &doc, "trust document", err);
	if (rc == 0)
		rc = trustdoc_decode(doc.inner, &next, err);
	if (rc < 0)
		return rc;
	next.site = cur->site;
	rc = trust_next(cur, &next, &doc, err);
	if (rc < 0)
		return rc;
	*ret = next;
	return 0;
}

static int trust_load_rows(struct station *s, sqlite3_stmt *st, struct trust *ret, struct err *err)
{
	struct trust cur = {0};
	uint64_t version = 0;
	int rc;

	while ((rc = db_step(s->db, st, err)) == 1) {
		struct trust next;
		struct bytes raw = db_bytes(st, 1);

		version++;
		if (db_i64(st, 0) != (int64_t)version)
			return err_set(err, RC_STATE,
				       "the database holds no trust version %" PRIu64
				       ": restore it, or move %s away and enrol anew",
				       version, s->state);
		rc = version == 1 ? station_trust_first(raw, &s->site, &next, err)
				  : station_trust_next(&cur, raw, &next, err);
		if (rc < 0)
			return err_set(err, RC_STATE,
				       "trust version %" PRIu64
				       " in the database does not verify: restore %s/state.db, or "
				       "move %s away and enrol anew",
				       version, s->state, s->state);
		cur = next;
	}
	if (rc < 0)
		return rc;
	if (version == 0)
		return err_set(err, RC_STATE,
			       "the database holds no trust document: restore %s/state.db, or move "
			       "%s away and enrol anew",
			       s->state, s->state);
	*ret = cur;
	return 0;
}

int station_trust_load(struct station *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT version, document FROM trust ORDER BY version", &st, err);

	return rc < 0 ? rc : trust_load_rows(s, st, &s->trust, err);
}

int station_trust_keep(struct station *s, uint64_t version, struct bytes raw, struct err *err)
{
	return db_run(s->db, err, "INSERT INTO trust (version, document) VALUES (?, ?)", "ib",
		      (int64_t)version, raw);
}
