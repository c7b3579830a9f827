/* SPDX-License-Identifier: ISC */
/*
 * Private channels that are newer than this registry: it was restored from a backup, and does not
 * know what is in them.  They stay in the depot as they are, and nobody makes another one, until it
 * is known that nothing would be taken away by it.
 */
#include <stdio.h>

#include "bundler/private/private.h"
#include "core/base/own.h"

static int apart_put(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
		     int64_t since, struct err *err)
{
	return db_run(db, err,
		      "INSERT OR REPLACE INTO private_apart(id, epoch, generation, since)"
		      " VALUES(?1, ?2, ?3, ?4)",
		      "tiii", id, (int64_t)epoch, (int64_t)generation, since);
}

int private_adopt(struct db *db, const struct private_adopted *a, struct err *err)
{
	int rc = db_run(
	    db, err,
	    "INSERT INTO private(id, epoch, generation, tree, manifest, path)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(id) DO UPDATE SET"
	    " epoch = excluded.epoch, generation = excluded.generation, tree = excluded.tree,"
	    " manifest = excluded.manifest, path = excluded.path, inputs = NULL, policy = NULL,"
	    " signer = NULL",
	    "tiiddt", a->id, (int64_t)a->epoch, (int64_t)a->generation, &a->tree, &a->manifest,
	    a->path);

	if (rc < 0)
		return rc;
	return apart_put(db, a->id, a->epoch, a->generation, a->since, err);
}

/* No manifest: the beat leads to none, until another generation is made. */
int private_raised(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
		   int64_t since, struct err *err)
{
	const struct private_adopted a = {
	    .id = id, .epoch = epoch, .generation = generation, .path = "", .since = since};

	return private_adopt(db, &a, err);
}

int private_is_apart(struct db *db, const char *id, struct err *err)
{
	int64_t one;

	return db_int(db, err, &one, "SELECT 1 FROM private_apart WHERE id = ?1", "t", id);
}

int private_apart_any(struct db *db, int64_t *ret_since, struct err *err)
{
	return db_int(db, err, ret_since,
		      "SELECT max(since) FROM private_apart HAVING count(*) > 0", "");
}

int private_rejoin(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "DELETE FROM private_apart WHERE id = ?1", "t", id);
}
