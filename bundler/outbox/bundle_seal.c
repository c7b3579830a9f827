/* SPDX-License-Identifier: ISC */
/*
 * Sealing on the way out.  What was compressed for a channel serves its full bundles later, so the
 * content store has to keep it plain, and a second, sealed copy of it would cost as much disk
 * again.
 *
 * Each block is compared with the list that was signed before it is posted.  A pack that was
 * changed meanwhile would otherwise be posted for nobody to take; and two payloads under one stream
 * give away where they differ.
 */
#include "bundler/outbox/bundle_seal.h"

#include <string.h>

#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/os/durable.h"
#include "core/trust/signed.h"

int bundle_pread(int fd, const struct depot_piece piece[BUNDLE_PIECES], uint64_t at, uint8_t *dst,
		 size_t n, struct err *err)
{
	for (size_t i = 0; i < BUNDLE_PIECES && n > 0; i++) {
		size_t here;
		int rc;

		if (at >= piece[i].length) {
			at -= piece[i].length;
			continue;
		}
		here = piece[i].length - at < n ? (size_t)(piece[i].length - at) : n;
		rc = fd_pread(fd, dst, here, piece[i].offset + at, err);
		if (rc < 0)
			return err_prefix(err, "content store");
		dst += here;
		n -= here;
		at = 0;
	}
	return n == 0 ? 0 : err_set(err, RC_INTERNAL, "the pieces of a payload are too short");
}

uint64_t bundle_plain(const struct depot_piece piece[BUNDLE_PIECES])
{
	uint64_t plain = 0;

	for (size_t i = 0; i < BUNDLE_PIECES; i++)
		plain += piece[i].length;
	return plain;
}

uint64_t bundle_sealed(uint64_t plain)
{
	return plain + CONTENT_ADDS * (plain / CONTENT_BYTES + (plain % CONTENT_BYTES != 0));
}

int bundle_seal(int fd, const struct depot_piece piece[BUNDLE_PIECES], struct content_key *key,
		int (*each)(void *arg, struct bytes block, struct err *err), void *arg,
		struct err *err)
{
	OWNED(buf_clear) struct buf plain = BUF_SECRET;
	OWNED(buf_clear) struct buf block = BUF_INIT;
	uint64_t total = bundle_plain(piece);
	int rc = buf_reserve(&plain, CONTENT_BYTES, err);

	for (uint64_t at = 0; rc == 0 && at < total; at += plain.n) {
		plain.n = total - at < CONTENT_BYTES ? (size_t)(total - at) : CONTENT_BYTES;
		buf_reset(&block);
		rc = bundle_pread(fd, piece, at, plain.p, plain.n, err);
		if (rc == 0)
			rc =
			    content_seal(key, bytes_in(&plain), at + plain.n == total, &block, err);
		if (rc == 0)
			rc = each(arg, bytes_in(&block), err);
	}
	return rc;
}

static int digest_add(void *arg, struct bytes block, struct err *err)
{
	struct digest d = digest_of(block);

	return buf_add(arg, d.b, DIGEST_BYTES, err);
}

int bundle_seal_digests(int fd, const struct depot_piece piece[BUNDLE_PIECES],
			struct content_key *key, struct buf *ret, struct err *err)
{
	return bundle_seal(fd, piece, key, digest_add, ret, err);
}

/* Posting */

struct sealed_post {
	struct depot *depot;
	const struct published_file *file;
	struct reporter *reporter;
	struct bytes blocks; /* digests of those that are still to come */
	uint64_t done, total;
};

static int block_post(void *arg, struct bytes block, struct err *err)
{
	struct sealed_post *p = arg;
	struct digest d = digest_of(block);

	if (p->blocks.n < DIGEST_BYTES || memcmp(p->blocks.p, d.b, DIGEST_BYTES) != 0)
		return err_set(err, RC_STATE,
			       "%s: its pack in the content store is not any more what was signed: "
			       "satchel publish --full makes a new bundle",
			       p->file->path);
	p->blocks.p += DIGEST_BYTES;
	p->blocks.n -= DIGEST_BYTES;
	p->done += block.n;
	reporter_progress(p->reporter, "posting", 0, 0, p->done, p->total);
	return depot_stream_more(p->depot, block, err);
}

static int prefix_post(struct sealed_post *p, struct err *err)
{
	struct bytes left = p->file->prefix;
	int rc = 0;

	while (rc == 0 && left.n > 0) {
		size_t n = left.n < BLOCK_BYTES ? left.n : BLOCK_BYTES;

		rc = depot_stream_more(p->depot, (struct bytes){left.p, n}, err);
		left.p += n;
		left.n -= n;
	}
	return rc;
}

/* What the server signed itself. */
static int manifest_read(const struct published_file *file, struct bundle_form *form,
			 struct manifest *ret, struct err *err)
{
	struct signed_doc doc = {0};
	size_t need;
	int rc = bundle_form(file->prefix, &need, form, err);

	if (rc == 0)
		rc = err_set(err, RC_STATE,
			     "the registry is damaged: the prefix of a bundle is cut");
	if (rc > 0)
		rc = signed_split(form->manifest, 1, &doc, err);
	if (rc == 0)
		rc = manifest_decode(doc.inner, ret, err);
	if (rc == 0 &&
	    (ret->key != file->key || form->payload != bundle_sealed(bundle_plain(file->piece))))
		rc = err_set(err, RC_STATE, "the registry is damaged: %s is sealed in another way",
			     file->path);
	return rc;
}

int bundle_seal_post(struct depot *d, const struct published_file *file, int fd,
		     struct bytes secret, struct reporter *reporter, struct err *err)
{
	static const uint8_t zeros[TAR_RECORD + TAR_END];
	OWNED(content_key_freep) struct content_key *key = NULL;
	struct sealed_post p = {.depot = d, .file = file, .reporter = reporter};
	struct bundle_form form;
	struct manifest m;
	int rc = manifest_read(file, &form, &m, err);

	if (rc == 0)
		rc = content_channel_again(secret, &m, &key, err);
	if (rc < 0)
		return rc;
	p.blocks = form.blocks;
	p.total = form.payload;
	rc =
	    depot_stream_begin(d, file->path, bundle_size(file->prefix.n, form.payload), true, err);
	if (rc == 0)
		rc = prefix_post(&p, err);
	if (rc == 0)
		rc = bundle_seal(fd, file->piece, key, block_post, &p, err);
	if (rc == 0)
		rc = depot_stream_more(d, (struct bytes){zeros, bundle_tail(form.payload)}, err);
	if (rc == 0)
		rc = depot_stream_commit(d, err);
	if (rc < 0)
		depot_stream_abort(d);
	return rc;
}
