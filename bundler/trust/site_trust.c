/* SPDX-License-Identifier: ISC */
/*
 * The chain of trust in the registry.  It is verified anew each time it is loaded: a database that
 * somebody changed must not make a key trusted.
 */
#include <inttypes.h>

#include "bundler/registry/registry.h"
#include "bundler/trust/site_trust.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/format/documents/trustchain.h"

static const char trust_tables[] =
    /* every trust document, as signed; verified again from version 1 whenever it is loaded */
    "CREATE TABLE trust(version INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;"
    /* the next one while it lacks signatures of offline root keys */
    "CREATE TABLE trust_pending(one INTEGER PRIMARY KEY CHECK(one = 1), content BLOB NOT NULL,"
    " layers INTEGER NOT NULL) STRICT;";
static const char *const trust_steps[] = {trust_tables};
const struct db_schema trust_schema = DB_SCHEMA("trust", trust_steps);

/* trust_step(id, raw, t, err): the first version, or the one after ${t}. */
static int trust_step(const struct digest *id, struct bytes raw, struct trust *t, struct err *err)
{
	struct signed_doc doc;
	struct trust next = {0};
	int rc;

	if (t->version > 0) {
		rc = trustchain_next(t, raw, &next, err);
	} else if (id != NULL) {
		rc = trustchain_first(raw, id, &next, err);
	} else {
		rc = signed_split(raw, LIMIT_LAYERS, &doc, err);
		if (rc == 0)
			rc = trustchain_first(raw, &doc.identity, &next, err);
	}
	if (rc == 0)
		*t = next;
	return rc;
}

int site_trust_load(struct db *db, const struct digest *id, struct trust *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct trust t = {0};
	int rc;

	rc = db_query(db, "SELECT version, content FROM trust ORDER BY version", &st, err);
	if (rc < 0)
		return rc;
	while ((rc = db_step(db, st, err)) == 1) {
		if (db_i64(st, 0) != (int64_t)t.version + 1)
			return err_set(err, RC_STATE,
				       "the registry lacks trust version %" PRIu64
				       ": restore it from your backup",
				       t.version + 1);
		rc = trust_step(id, db_bytes(st, 1), &t, err);
		if (rc < 0)
			return err_prefix(err, "trust version %" PRIi64 " in the registry",
					  db_i64(st, 0));
	}
	if (rc < 0)
		return rc;
	if (t.version == 0)
		return err_set(err, RC_STATE,
			       "the registry holds no trust document: restore it from your backup");
	*ret = t;
	return 0;
}

int site_trust_add(struct db *db, const struct trust *t, struct bytes raw, struct err *err)
{
	struct digest d = digest_of(raw);
	char path[DEPOT_NAME];
	int rc;

	name_trust(path, t->version, &d);
	rc = db_run(db, err, "INSERT INTO trust(version, content) VALUES(?1, ?2)", "iB",
		    (int64_t)t->version, raw);
	if (rc < 0)
		return rc;
	return registry_document(db, path, raw, err);
}
