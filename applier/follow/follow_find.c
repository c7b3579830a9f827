/* SPDX-License-Identifier: ISC */
/*
 * Finding a document that is named by its identity.  A file name carries half of a digest only, so
 * several files may claim to be the one; each is read until one fits, as far as the search's
 * budget goes.
 */
#include "applier/follow/follow_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/documents/trusted.h"

int follow_open(struct station *s, const char *path, struct follow *ret, struct err *err)
{
	struct depot *depot = NULL;
	int rc = depot_open(path, DEPOT_WRITE | DEPOT_VERIFY, LIMIT_DEPOT_SILENCE, &depot, err);

	if (rc < 0)
		return rc;
	memset(ret, 0, sizeof(*ret));
	ret->s = s;
	ret->depot = depot;
	return 0;
}

void follow_close(struct follow *f)
{
	f->depot = depot_free(f->depot);
}

void follow_head_clear(struct follow_head *h)
{
	head_clear(&h->head);
	release_clear(&h->release);
}

/* A document that another one names by its identity. */
struct sought {
	const char *what; /* for messages: "shard 4f", "head 7 of channel office" */
	const char *type;
	enum role role;
	const char *newer; /* heads: the next format, and who signs that */
	enum role newer_role;
	const struct digest *identity;
	void (*path)(char dst[DEPOT_NAME], const struct sought *w, const struct listing_row *row);
	uint8_t xx;          /* shards */
	const char *channel; /* heads */
};

static void shard_path(char dst[DEPOT_NAME], const struct sought *w, const struct listing_row *row)
{
	struct digest digest = listed_digest(row);

	name_shard(dst, w->xx, &digest);
}

static void head_path_name(char dst[DEPOT_NAME], const struct sought *w,
			   const struct listing_row *row)
{
	struct digest digest = listed_digest(row);

	name_head(dst, w->channel, row->epoch, row->number, &digest);
}

/*
 * The identity says which of the files it is; the signature is checked all the same, since what was
 * named may have been signed with a key that was revoked since.  A head needs a current key: that
 * the beat's shard names it must not bring a retired publish key back.  (A shard and the beat have
 * the same role, so a retired key gains nothing there.)
 */
static int wanted_check(const struct follow *f, const struct sought *w, struct bytes raw,
			struct signed_doc *ret, struct err *err)
{
	enum role role = w->role;

	if (signed_split(raw, 1, ret, ERR_IGNORED) < 0 ||
	    !digest_equal(&ret->identity, w->identity))
		return 0;
	if (w->newer != NULL && signed_type(ret->inner, w->newer))
		role = w->newer_role;
	else if (!signed_type(ret->inner, w->type))
		return err_set(err, RC_MALFORMED,
			       "%s is in a format that this satchel does not read", w->what);
	if (trust_role_named(&f->s->trust, role, ret, w->what, err) < 0)
		return err->rc;
	if (role != ROLE_BEAT && trust_role(&f->s->trust, role, ret, w->what, ERR_IGNORED) < 0)
		return follow_retired(w->what, f->depot, err);
	return 1;
}

/* Fills ${ret_raw}, which ${ret} borrows from.  Anybody can put the same bytes under another
 * signature, so a bad one does not end the search. */
static int wanted_find(struct follow *f, const struct listing *l, const struct sought *w,
		       struct buf *ret_raw, struct signed_doc *ret, struct err *err)
{
	struct search budget = search_begin();

	err_set(err, RC_INCOMPLETE, "%s has not arrived whole in the depot %s", w->what,
		depot_path(f->depot));
	for (size_t i = 0; i < l->n && search_try(&budget); i++) {
		char path[DEPOT_NAME];
		struct err bad = {0};
		int rc;

		w->path(path, w, &l->items[i]);
		buf_reset(ret_raw);
		rc = depot_read(f->depot, path, LIMIT_DOCUMENT, ret_raw, &bad);
		if (follow_fatal(rc)) {
			*err = bad;
			return rc;
		}
		if (rc == 0)
			rc = wanted_check(f, w, bytes_in(ret_raw), ret, &bad);
		if (rc == 1)
			return 0;
		if (bad.rc == RC_INCOMPLETE && err->rc == RC_INCOMPLETE)
			*err = bad;
		if (rc_class(rc) == EXIT_CLASS_MALFORMED || rc_class(rc) == EXIT_CLASS_UNTRUSTED)
			*err = bad;
	}
	return err->rc;
}

int follow_shard(struct follow *f, uint8_t xx, const struct digest *identity, struct shard *ret,
		 struct err *err)
{
	struct listing_filter filter = {.kind = NAME_SHARD, .xx = xx};
	OWNED(listing_clear) struct listing l = {0};
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct signed_doc doc;
	struct shard shard = {0};
	char what[32];
	struct sought w = {.what = what,
			   .type = "shard/1",
			   .role = ROLE_BEAT,
			   .identity = identity,
			   .path = shard_path,
			   .xx = xx};
	int rc = listing_read(f->depot, "shards", &filter, &l, err);

	snprintf(what, sizeof(what), "shard %02x", xx);
	if (rc == 0)
		rc = wanted_find(f, &l, &w, &raw, &doc, err);
	if (rc == 0)
		rc = shard_decode(doc.inner, &shard, err);
	if (rc < 0)
		return rc;
	if (!digest_equal(&shard.site, &f->s->site) || shard.xx != xx) {
		shard_clear(&shard);
		return err_set(err, RC_ADDRESSEE, "%s is made for another site or place", what);
	}
	*ret = shard;
	return 0;
}

/* A release by keys that are not enough any more is what a depot that is behind has. */
static int head_take(const struct follow *f, const struct signed_doc *doc, const char *what,
		     struct follow_head *ret, struct err *err)
{
	int rc = trusted_head(&f->s->trust, doc, what, &ret->head, &ret->release, err);
	struct head old = {0};

	if (rc == RC_UNTRUSTED && head_decode(doc->inner, &old, ERR_IGNORED) == 0 &&
	    trusted_release_before(&f->s->trust, &old))
		rc =
		    err_set(err, RC_INCOMPLETE,
			    "%s in the depot %s was released before the publish keys changed: wait "
			    "until it has arrived as they have signed it anew",
			    what, depot_path(f->depot));
	head_clear(&old);
	return rc;
}

int follow_head(struct follow *f, const struct shard_channel *row, struct follow_head *ret,
		struct err *err)
{
	struct listing_filter filter = {.kind = NAME_HEAD,
					.epoch = row->epoch,
					.above = row->generation - 1,
					.until = row->generation};
	OWNED(listing_clear) struct listing l = {0};
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	char dir[DEPOT_NAME], what[128];
	struct signed_doc doc;
	OWNED(follow_head_clear) struct follow_head h = {0};
	struct sought w = {.what = what,
			   .type = "head/1",
			   .role = ROLE_PUBLISH,
			   .newer = "head/2",
			   .newer_role = ROLE_PRIVATE,
			   .identity = &row->head,
			   .path = head_path_name,
			   .channel = row->name};
	int rc;

	snprintf(dir, sizeof(dir), "channels/%s", row->name);
	snprintf(what, sizeof(what), "head %" PRIu64 " of channel %s", row->generation, row->name);
	rc = listing_read(f->depot, dir, &filter, &l, err);
	if (rc == 0)
		rc = wanted_find(f, &l, &w, &raw, &doc, err);
	if (rc == 0)
		rc = head_take(f, &doc, what, &h, err);
	if (rc < 0)
		return rc;
	if (!digest_equal(&h.head.site, &f->s->site) || strcmp(h.head.channel, row->name) != 0 ||
	    h.head.epoch != row->epoch || h.head.generation != row->generation)
		return err_set(err, RC_ADDRESSEE,
			       "%s is made for another site, channel or generation", what);
	*ret = h;
	memset(&h, 0, sizeof(h));
	return 0;
}
