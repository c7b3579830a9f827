/* SPDX-License-Identifier: ISC */
/*
 * The outer tar of a bundle.  It is an ordinary tar so that a person can look into it with tar(1),
 * but no tar parser ever reads it here: after the manifest is verified every header can be
 * computed, so the prefix is made again and compared byte by byte.
 */
#include "core/format/bundle/bundle.h"

#include <string.h>

#include "core/base/own.h"

#define MEMBER_MANIFEST "manifest"
#define MEMBER_BLOCKS   "blocks"
#define MEMBER_PAYLOAD  "payload.tar.zst"

/* Where the size of a member stands in its header: eleven octal digits (tar(5)). */
#define SIZE_OFFSET 124
#define SIZE_DIGITS 11

uint64_t bundle_blocks(uint64_t payload)
{
	return payload / BLOCK_BYTES + (payload % BLOCK_BYTES != 0);
}

static int payload_limit(uint64_t payload, struct err *err)
{
	if (payload == 0)
		return err_set(err, RC_MALFORMED, "the bundle says that its payload is empty");
	if (payload > LIMIT_PAYLOAD)
		return err_set(err, RC_LIMIT,
			       "the bundle says that its payload has %llu bytes; the limit is %llu",
			       (unsigned long long)payload, (unsigned long long)LIMIT_PAYLOAD);
	return 0;
}

int bundle_prefix_make(struct bytes manifest_doc, struct bytes blocks, uint64_t payload,
		       struct buf *ret, struct err *err)
{
	OWNED(tar_writer_freep) struct tar_writer *w = NULL;
	size_t before = ret->n;
	int rc = payload_limit(payload, err);

	if (rc < 0)
		return rc;
	if (manifest_doc.n == 0 || manifest_doc.n > LIMIT_MANIFEST)
		return err_set(err, RC_LIMIT, "a manifest of %zu bytes; the limit is %u",
			       manifest_doc.n, LIMIT_MANIFEST);
	if (blocks.n != bundle_blocks(payload) * DIGEST_BYTES)
		return err_set(err, RC_MALFORMED,
			       "%zu bytes of block digests for a payload of %llu", blocks.n,
			       (unsigned long long)payload);
	rc = tar_writer_new(&w, err);
	if (rc == 0)
		rc = tar_writer_member(w, MEMBER_MANIFEST, manifest_doc, ret, err);
	if (rc == 0)
		rc = tar_writer_member(w, MEMBER_BLOCKS, blocks, ret, err);
	if (rc == 0)
		rc = tar_writer_header(w, MEMBER_PAYLOAD, payload, ret, err);
	if (rc < 0)
		ret->n = before;
	return rc;
}

size_t bundle_tail(uint64_t payload)
{
	return tar_padding(payload) + TAR_END;
}

uint64_t bundle_size(size_t prefix, uint64_t payload)
{
	return prefix + payload + bundle_tail(payload);
}

int bundle_manifest_size(const uint8_t first[512], size_t *ret, struct err *err)
{
	OWNED(buf_clear) struct buf header = BUF_INIT;
	uint64_t size = 0;
	int rc;

	for (size_t i = 0; i < SIZE_DIGITS; i++) {
		uint8_t digit = first[SIZE_OFFSET + i];

		if (digit < '0' || digit > '7')
			return err_set(err, RC_MALFORMED, "the file does not begin as a bundle");
		size = size * 8 + (digit - '0');
	}
	if (size > LIMIT_MANIFEST)
		return err_set(err, RC_LIMIT,
			       "the file begins with %llu bytes; a manifest has at most %u",
			       (unsigned long long)size, LIMIT_MANIFEST);
	rc = tar_header(MEMBER_MANIFEST, size, &header, err);
	if (rc < 0)
		return rc;
	if (size == 0 || header.n != TAR_RECORD || memcmp(header.p, first, TAR_RECORD) != 0)
		return err_set(err, RC_MALFORMED, "the file does not begin as a bundle");
	*ret = (size_t)size;
	return 0;
}

int bundle_prefix_size(size_t manifest_doc, uint64_t payload, size_t *ret, struct err *err)
{
	OWNED(buf_clear) struct buf header = BUF_INIT;
	size_t blocks;
	int rc = payload_limit(payload, err);

	if (rc < 0)
		return rc;
	if (manifest_doc > LIMIT_MANIFEST)
		return err_set(err, RC_LIMIT, "a manifest of %zu bytes", manifest_doc);
	blocks = (size_t)bundle_blocks(payload) * DIGEST_BYTES;
	rc = tar_header(MEMBER_PAYLOAD, payload, &header, err);
	if (rc < 0)
		return rc;
	*ret = 2 * (size_t)TAR_RECORD + manifest_doc + tar_padding(manifest_doc) + blocks +
	       tar_padding(blocks) + header.n;
	return 0;
}

int bundle_prefix_check(struct bytes prefix, size_t manifest_doc, const struct manifest *m,
			struct bytes *ret_blocks, struct err *err)
{
	OWNED(buf_clear) struct buf made = BUF_INIT;
	struct bytes document, blocks;
	struct digest seen;
	size_t size;
	int rc = bundle_prefix_size(manifest_doc, m->payload, &size, err);

	if (rc < 0)
		return rc;
	if (prefix.n != size)
		return err_set(err, prefix.n < size ? RC_INCOMPLETE : RC_MALFORMED,
			       "the bundle's beginning has %zu bytes instead of %zu", prefix.n,
			       size);
	document = (struct bytes){prefix.p + TAR_RECORD, manifest_doc};
	blocks.p = document.p + manifest_doc + tar_padding(manifest_doc) + TAR_RECORD;
	blocks.n = (size_t)bundle_blocks(m->payload) * DIGEST_BYTES;
	seen = digest_of(blocks);
	if (!digest_equal(&seen, &m->blocks))
		return err_set(err, RC_INCOMPLETE,
			       "the bundle's list of blocks is not the one that was signed: the "
			       "copy is damaged or altered; satchel carry --check brings another, "
			       "or on the server satchel publish --refill");
	/* Everything else is made again from what was verified, and compared, not interpreted. */
	rc = bundle_prefix_make(document, blocks, m->payload, &made, err);
	if (rc < 0)
		return rc;
	if (!bytes_equal(bytes_in(&made), prefix))
		return err_set(err, RC_MALFORMED,
			       "the bundle's headers are not those that its manifest asks for");
	*ret_blocks = blocks;
	return 0;
}
