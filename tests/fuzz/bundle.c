/* SPDX-License-Identifier: ISC */
/*
 * The beginning of a bundle.  Odd inputs are read step by step as a stranger's file; even ones say
 * how a good prefix is made and where one byte of it is changed, which must be noticed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/bundle/bundle.h"

/* Blocks of the payloads that are tried: bounds time, not what is tested. */
#define PAYLOAD_MAX (64ull * BLOCK_BYTES)

/* The steps of a reader; the digest of the blocks is what they are, so that all steps are taken. */
static int read_steps(struct bytes in, uint64_t payload)
{
	struct manifest m = {.payload = payload};
	struct bytes blocks = {NULL, 0};
	struct err err = {0};
	size_t doc, size, listed;

	if (in.n < TAR_RECORD || bundle_manifest_size(in.p, &doc, &err) < 0 ||
	    bundle_prefix_size(doc, payload, &size, &err) < 0)
		return err.rc;
	listed = 2 * (size_t)TAR_RECORD + doc + tar_padding(doc);
	if (listed + bundle_blocks(payload) * DIGEST_BYTES <= in.n)
		m.blocks = digest_of(
		    (struct bytes){in.p + listed, (size_t)bundle_blocks(payload) * DIGEST_BYTES});
	return bundle_prefix_check(in, doc, &m, &blocks, &err);
}

/* The form, as somebody without keys reads it: step by step, never asking for less than before. */
static int form_steps(struct bytes in, uint64_t *ret_payload)
{
	struct bundle_form form;
	struct bytes seen = {in.p, 0};
	size_t need = 0, before = 0;
	int rc = 0;

	while (rc == 0) {
		rc = bundle_form(seen, &need, &form, ERR_IGNORED);
		if (rc == 0 && need <= before)
			abort();
		if (rc != 0 || need > in.n)
			break;
		before = seen.n = need;
	}
	if (rc == 1 && (form.manifest.n == 0 || need > in.n ||
			form.blocks.n != bundle_blocks(form.payload) * DIGEST_BYTES))
		abort();
	if (rc == 1)
		*ret_payload = form.payload;
	return rc;
}

static void change_one(const uint8_t *p, size_t n)
{
	OWNED(buf_clear) struct buf blocks = BUF_INIT;
	OWNED(buf_clear) struct buf prefix = BUF_INIT;
	uint64_t payload = get_u64(p) % PAYLOAD_MAX, seen = 0;
	struct bytes doc = {p + 12, n - 12};
	struct err err = {0};
	size_t at;

	if (doc.n == 0 || doc.n > LIMIT_MANIFEST || payload == 0)
		return;
	if (tar_zeros((size_t)bundle_blocks(payload) * DIGEST_BYTES, &blocks, &err) < 0 ||
	    bundle_prefix_make(doc, bytes_in(&blocks), payload, &prefix, &err) < 0 ||
	    read_steps(bytes_in(&prefix), payload) != 0)
		abort();
	if (form_steps(bytes_in(&prefix), &seen) != 1 || seen != payload)
		abort();
	at = get_u32(p + 8) % prefix.n;
	/* The document is the signature's to protect, and the blocks' digest is made to fit here.
	 */
	if (at >= TAR_RECORD && at < TAR_RECORD + doc.n)
		return;
	if (at >= 2 * (size_t)TAR_RECORD + doc.n + tar_padding(doc.n) &&
	    at < prefix.n - TAR_RECORD - tar_padding(blocks.n))
		return;
	prefix.p[at] ^= (uint8_t)(p[11] | 1);
	if (read_steps(bytes_in(&prefix), payload) == 0)
		abort();
	/* Another length may make another prefix, but not the same one. */
	if (form_steps(bytes_in(&prefix), &seen) == 1 && seen == payload)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint64_t payload;

	if (n < 14)
		return 0;
	if (p[0] & 1)
		form_steps((struct bytes){p + 9, n - 9}, &payload);
	if (p[0] & 1)
		read_steps((struct bytes){p + 9, n - 9}, get_u64(p + 1) % PAYLOAD_MAX);
	else
		change_one(p + 1, n - 1);
	return 0;
}
