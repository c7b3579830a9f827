#include "applier/follow_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

#define TAR_RECORD 512

void follow_bundle_clear(struct follow_bundle *b)
{
	buf_clear(&b->prefix);
	memset(b, 0, sizeof(*b));
}

/* Bring the prefix up to ${size} bytes; each byte of the file is read once. */
static int prefix_fetch(struct depot *d, const char *path, size_t size, struct buf *prefix,
			struct err *err)
{
	size_t more = size - prefix->n;
	int rc = buf_reserve(prefix, more, err);

	if (rc == 0)
		rc = depot_fetch(d, path, prefix->n, prefix->p + prefix->n, more, err);
	if (rc == 0)
		prefix->n = size;
	return rc;
}

static int torn(const struct expected *x, struct depot *d, struct err *err)
{
	return err_set(err, RC_INCOMPLETE,
		       "%s in the depot %s is not whole: the copy is torn or "
		       "altered",
		       x->what, depot_path(d));
}

/* The manifest: read, identified, verified, and only then parsed. */
static int manifest_check(struct depot *d, const struct trust *t, const struct expected *x,
			  struct bytes raw, struct manifest *ret, struct err *err)
{
	struct signed_doc doc;
	int rc = signed_split(raw, 1, &doc, err);

	if (x->identity != NULL && (rc < 0 || !digest_equal(&doc.identity, x->identity)))
		return torn(x, d, err);
	if (rc == 0 && !signed_type(doc.inner, "manifest/1"))
		rc = err_set(err, RC_MALFORMED, "%s is not of a format known here", x->what);
	if (rc == 0)
		rc = x->identity != NULL ? trust_role_named(t, ROLE_PUBLISH, &doc, x->what, err)
					 : trust_role(t, ROLE_PUBLISH, &doc, x->what, err);
	if (rc == 0)
		rc = manifest_decode(doc.inner, ret, err);
	if (rc < 0)
		return rc;
	if (!digest_equal(&ret->site, &t->site))
		return err_set(err, RC_ADDRESSEE, "%s is made for another site", x->what);
	if (ret->minimum > 1)
		return err_set(err, RC_MALFORMED,
			       "%s needs a satchel that reads format %" PRIu64
			       "; this one reads 1: update satchel first",
			       x->what, ret->minimum);
	return 0;
}

/* Is every byte there, and none after?  Its blocks are verified when they are read. */
static int size_check(struct depot *d, const char *path, const struct expected *x,
		      const struct follow_bundle *b, struct err *err)
{
	uint64_t size = 0, should = bundle_size(b->prefix.n, b->manifest.payload);
	int rc = depot_size(d, path, &size, err);

	if (rc < 0)
		return rc;
	if (size < should)
		return err_set(err, RC_INCOMPLETE,
			       "%s in the depot %s has %" PRIu64 " of %" PRIu64
			       " bytes: the rest has not arrived",
			       x->what, depot_path(d), size, should);
	if (size > should)
		return err_set(err, RC_MALFORMED,
			       "%s in the depot %s has %" PRIu64 " bytes after its end", x->what,
			       depot_path(d), size - should);
	return 0;
}

static int tail_check(struct depot *d, const char *path, const struct expected *x,
		      const struct follow_bundle *b, struct err *err)
{
	size_t tail = bundle_tail(b->manifest.payload);
	OWNED(buf_clear) struct buf end = BUF_INIT;
	int rc = buf_reserve(&end, tail, err);

	if (rc == 0)
		rc =
		    depot_fetch(d, path, b->payload_offset + b->manifest.payload, end.p, tail, err);
	for (size_t i = 0; rc == 0 && i < tail; i++)
		if (end.p[i] != 0)
			rc = err_set(err, RC_MALFORMED, "%s in the depot %s has a wrong end",
				     x->what, depot_path(d));
	return rc;
}

static bool prefix_fits(const char *path, const struct expected *x, const struct buf *prefix)
{
	struct digest digest = digest_of(bytes_in(prefix));
	char text[DIGEST_NAME + 1];
	struct name name;

	if (x->prefix != NULL)
		return digest_equal(&digest, x->prefix);
	if (name_parse(path, &name) != NAME_BUNDLE && name.kind != NAME_PRIVATE &&
	    name.kind != NAME_PART)
		return true; /* by hand, under any name */
	digest_name(text, &digest);
	return strcmp(text, name.digest) == 0;
}

int bundle_prefix_read(struct depot *d, const char *path, const struct trust *t,
		       const struct expected *x, struct follow_bundle *b, struct err *err)
{
	size_t doc = 0, size = 0;
	int rc = prefix_fetch(d, path, TAR_RECORD, &b->prefix, err);

	if (rc == RC_IO && errno == ENOENT)
		return err_set(err, RC_INCOMPLETE, "%s has not arrived in the depot %s", x->what,
			       depot_path(d));
	if (rc == 0 && (rc = bundle_manifest_size(b->prefix.p, &doc, err)) < 0 &&
	    x->identity != NULL)
		rc = torn(x, d, err);
	if (rc == 0)
		rc = prefix_fetch(d, path, TAR_RECORD + doc + tar_padding(doc), &b->prefix, err);
	if (rc == 0)
		rc = manifest_check(d, t, x, (struct bytes){b->prefix.p + TAR_RECORD, doc},
				    &b->manifest, err);
	if (rc == 0)
		rc = bundle_prefix_size(doc, b->manifest.payload, &size, err);
	if (rc == 0)
		rc = prefix_fetch(d, path, size, &b->prefix, err);
	if (rc == 0 && !prefix_fits(path, x, &b->prefix))
		rc = torn(x, d, err);
	if (rc == 0)
		rc = bundle_prefix_check(bytes_in(&b->prefix), doc, &b->manifest, &b->blocks, err);
	b->payload_offset = b->prefix.n;
	return rc;
}

static int bundle_read(struct depot *d, const char *path, const struct trust *t,
		       const struct expected *x, struct follow_bundle *b, struct err *err)
{
	int rc = bundle_prefix_read(d, path, t, x, b, err);

	if (rc < 0)
		return rc;
	rc = size_check(d, path, x, b, err);
	return rc < 0 ? rc : tail_check(d, path, x, b, err);
}

static int bundle_take(struct depot *d, const char *path, const struct trust *t,
		       const struct expected *x, struct follow_bundle *ret, struct err *err)
{
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	int rc;

	snprintf(b.path, sizeof(b.path), "%s", path);
	rc = bundle_read(d, path, t, x, &b, err);
	if (rc < 0)
		return rc;
	*ret = b;
	memset(&b, 0, sizeof(b));
	return 0;
}

int follow_prefix(struct depot *depot, const char *path, const struct trust *trust,
		  struct follow_bundle *ret, struct err *err)
{
	struct expected x = {.what = path};

	return bundle_take(depot, path, trust, &x, ret, err);
}

int follow_channel_bundle(struct follow *f, const struct head *head, size_t i,
			  struct follow_bundle *ret, struct err *err)
{
	const struct head_bundle *row = &head->bundle[i];
	char what[160], path[DEPOT_NAME];
	struct expected x = {what, &row->manifest, &row->prefix};
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	const struct manifest *m = &b.manifest;
	int rc;

	snprintf(what, sizeof(what), "bundle %" PRIu64 "-%" PRIu64 " of channel %s", row->base,
		 row->generation, head->channel);
	name_bundle(path, head->channel, head->epoch, row->base, row->generation, &row->prefix);
	rc = bundle_take(f->depot, path, &f->s->trust, &x, &b, err);
	if (rc == RC_INCOMPLETE) {
		struct err parts = {0};
		int found = follow_parts(f, path, &x, &b, &parts);

		if (found < 0)
			*err = parts;
		rc = found == 0 ? rc : found;
	}
	if (rc < 0)
		return rc;
	if (m->private_channel || strcmp(m->channel, head->channel) != 0 ||
	    m->epoch != head->epoch || m->base != row->base || m->generation != row->generation)
		return err_set(err, RC_ADDRESSEE,
			       "%s is made for another channel or generation than its head says",
			       what);
	if (m->generation == head->generation && !digest_equal(&m->tree, &head->tree))
		return err_set(err, RC_FORK, "%s leads to another tree than its head says", what);
	*ret = b;
	memset(&b, 0, sizeof(b));
	return 0;
}

static int private_check(const struct follow *f, const struct shard_workstation *row,
			 const struct manifest *m, struct err *err)
{
	if (!m->private_channel || strcmp(m->recipient, f->s->id) != 0 || m->epoch != row->epoch ||
	    m->generation != row->generation || m->base != 0)
		return err_set(err, RC_ADDRESSEE,
			       "the private bundle %" PRIu64
			       " is made for another workstation or generation",
			       row->generation);
	return 0;
}

int follow_private_bundle(struct follow *f, const struct shard_workstation *row,
			  struct follow_bundle *ret, struct err *err)
{
	struct listing_filter filter = {.kind = NAME_PRIVATE,
					.id = f->s->id,
					.epoch = row->epoch,
					.above = row->generation - 1,
					.until = row->generation};
	OWNED(listing_clear) struct listing l = {0};
	char dir[32], what[64];
	struct expected x = {what, &row->manifest, NULL};
	struct search budget = search_begin();
	int rc;

	snprintf(dir, sizeof(dir), "workstations/%02x", shard_of(f->s->id));
	snprintf(what, sizeof(what), "the private bundle %" PRIu64, row->generation);
	rc = listing_read(f->depot, dir, &filter, &l, err);
	if (rc < 0)
		return rc;
	err_set(err, RC_INCOMPLETE, "%s has not arrived whole in the depot %s", what,
		depot_path(f->depot));
	for (size_t i = 0; i < l.rows && search_try(&budget); i++) {
		OWNED(follow_bundle_clear) struct follow_bundle b = {0};
		struct digest digest = listed_digest(&l.row[i]);
		struct err bad = {0};
		char path[DEPOT_NAME];

		name_private(path, f->s->id, l.row[i].epoch, l.row[i].number, &digest);
		rc = bundle_take(f->depot, path, &f->s->trust, &x, &b, &bad);
		if (rc == 0)
			rc = private_check(f, row, &b.manifest, &bad);
		if (follow_fatal(rc)) {
			*err = bad;
			return rc;
		}
		if (rc < 0) {
			if (err->rc == RC_INCOMPLETE)
				*err = bad;
			continue;
		}
		*ret = b;
		memset(&b, 0, sizeof(b));
		return 0;
	}
	return err->rc;
}
