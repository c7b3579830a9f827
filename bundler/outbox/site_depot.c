/* SPDX-License-Identifier: ISC */
/*
 * The home depot: is it there, and is it ours?
 */
#include <string.h>

#include "bundler/outbox/site_depot.h"
#include "bundler/registry/registry.h"
#include "core/base/own.h"
#include "core/depot/marker.h"
#include "core/os/dir_id.h"

/* Which directory the depot was when it was used last: device and inode. */
#define COUNTER_DEVICE "depot-device"
#define COUNTER_INODE  "depot-inode"

/* Two sites in one depot would each take the other's documents for forgeries. */
static int marker_foreign(const struct depot *d, struct err *err)
{
	return err_set(err, RC_CONFLICT,
		       "the depot %s belongs to another site, or somebody changed its " MARKER
		       ": choose another directory, or remove " MARKER " from it",
		       depot_path(d));
}

/* What the depot says whose it is. */
enum claim { CLAIM_OURS = 0, CLAIM_OTHER, CLAIM_NONE };

/* Junk under the name says nothing, whatever it is. */
static int claim_read(struct depot *d, const struct digest *site, struct err *err)
{
	struct digest other;
	int rc = marker_read(d, &other, err);

	if (rc == MARKER_SITE)
		return digest_equal(&other, site) ? CLAIM_OURS : CLAIM_OTHER;
	if (rc >= 0 || rc == RC_MALFORMED || rc == RC_LIMIT || rc == RC_TYPE || rc == RC_PATH ||
	    rc == RC_IO)
		return CLAIM_NONE;
	return rc;
}

static int marker_replace(struct depot *d, const struct digest *site, struct err *err)
{
	int rc = marker_post(d, site, err);

	/* A directory, which may hold anything, so it is not removed unasked. */
	return rc == RC_TYPE
		   ? err_set(err, rc, "remove " MARKER " from the depot %s: a file belongs there",
			     depot_path(d))
		   : rc;
}

int site_marker_post(struct depot *d, const struct digest *site, struct err *err)
{
	int claim = claim_read(d, site, err);

	if (claim == CLAIM_OTHER)
		return marker_foreign(d, err);
	return claim == CLAIM_NONE ? marker_replace(d, site, err) : claim < 0 ? claim : 0;
}

static int depot_id(struct depot *d, struct dir_id *ret, struct err *err)
{
	struct dir_ids ids = {0};
	int rc = depot_above(d, &ids, err);

	if (rc == 0)
		*ret = ids.n > 0 ? ids.items[0] : (struct dir_id){0, 0};
	list_clear(&ids);
	return rc;
}

static int id_recorded(struct site *s, struct dir_id *ret, struct err *err)
{
	int rc = registry_last(s->db, COUNTER_DEVICE, &ret->dev, err);

	return rc < 0 ? rc : registry_last(s->db, COUNTER_INODE, &ret->ino, err);
}

/* Which directory the depot is, so that it is known when it was emptied. */
static int id_record(struct site *s, struct depot *d, struct err *err)
{
	struct dir_id last, now;
	int rc = id_recorded(s, &last, err);

	if (rc == 0)
		rc = depot_id(d, &now, err);
	if (rc < 0 || dir_id_compare(&last, &now) == 0)
		return rc;
	rc = registry_counter_set(s->db, COUNTER_DEVICE, (int64_t)now.dev, err);
	return rc < 0 ? rc : registry_counter_set(s->db, COUNTER_INODE, (int64_t)now.ino, err);
}

struct evidence {
	struct depot *depot;
	bool found;
};

static int trust_found(void *arg, const char *path, struct bytes content, struct err *err)
{
	struct evidence *e = arg;
	uint64_t size;

	(void)err;
	if (!e->found && depot_size(e->depot, path, &size, ERR_IGNORED) == 0)
		e->found = size == content.n;
	return 0;
}

static int trust_held(struct site *s, struct depot *d, struct err *err)
{
	struct evidence e = {d, false};
	int rc = registry_documents(s->db, "trust/*", trust_found, &e, err);

	return rc < 0 ? rc : e.found;
}

/*
 * Whatever lies under the name of the marker, or nothing, a depot is ours when a trust document of
 * ours is in it, and when nobody claims it, also when it is the very directory that we posted to
 * last: of two sticks each may be the same device, and its top the same inode.  Otherwise it may be
 * the directory below an absent mount: what is posted there would count as posted, and reach
 * nobody.
 */
static int is_ours(struct site *s, struct depot *d, enum claim claim, struct err *err)
{
	struct dir_id last, now;
	int rc = id_recorded(s, &last, err);

	if (rc == 0)
		rc = depot_id(d, &now, err);
	if (rc < 0)
		return rc;
	if (claim == CLAIM_NONE && dir_id_compare(&last, &now) == 0)
		return 1;
	return trust_held(s, d, err);
}

/* No marker, none that can be read, or another site's: anybody may write that file.  1: it stays as
 * it is, and ${err} says why. */
static int marker_mend(struct site *s, struct depot *d, enum claim claim, struct err *err)
{
	int rc = is_ours(s, d, claim, err);

	if (rc < 0)
		return rc;
	if (rc == 0 && claim == CLAIM_OTHER)
		return marker_foreign(d, err);
	if (rc == 0)
		return err_set(err, RC_AGAIN,
			       "the depot %s holds no " MARKER
			       ": is it mounted? If it is, and was emptied or replaced, satchel "
			       "publish --refill posts everything again",
			       s->depot);
	rc = marker_replace(d, &s->id, err);
	if (rc == 0)
		reporter_warning(s->reporter,
				 "the depot %s had lost its " MARKER ": it was posted again",
				 s->depot);
	return rc == RC_TYPE ? 1 : rc;
}

int site_depot_open(struct site *s, struct depot **ret, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	int claim, left, rc = depot_open(s->depot, DEPOT_WRITE, LIMIT_DEPOT_SILENCE, &d, err);

	if (rc == RC_ABSENT)
		return err_set(err, rc, "the depot %s is not there: is it mounted?", s->depot);
	claim = rc < 0 ? rc : claim_read(d, &s->id, err);
	left = claim <= CLAIM_OURS ? claim : marker_mend(s, d, (enum claim)claim, err);
	rc = left < 0 ? left : id_record(s, d, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(d);
	return left;
}

int site_depot_refill(struct site *s, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	int rc = depot_open(s->depot, DEPOT_WRITE, LIMIT_DEPOT_SILENCE, &d, err);
	int claim = rc < 0 ? rc : claim_read(d, &s->id, err);

	rc = claim == CLAIM_OTHER ? is_ours(s, d, CLAIM_OTHER, err) : claim;
	if (rc < 0)
		return rc;
	if (claim == CLAIM_OTHER && rc == 0)
		return marker_foreign(d, err);
	rc = claim == CLAIM_OURS ? 0 : marker_replace(d, &s->id, err);
	/* What lies in the place of the marker keeps nothing else back: whoever opens the depot
	 * next tells of it, and the directory is ours by what it is. */
	return rc < 0 && rc != RC_TYPE ? rc : id_record(s, d, err);
}

/* A dead share hangs whoever asks, so a child asks, once. */
int site_depot_where(struct site *s, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf path = BUF_INIT;
	bool found;

	if (s->depot_real != NULL)
		return 0;
	found = depot_open(s->depot, 0, LIMIT_DEPOT_SILENCE, &d, ERR_IGNORED) == 0 &&
		depot_where(d, &path, ERR_IGNORED) == 0;
	s->depot_real = strdup(found ? (const char *)path.p : "");
	return s->depot_real == NULL ? err_memory(err) : 0;
}
