/* SPDX-License-Identifier: ISC */
/*
 * The payload, signed as it is: the digests of blocks and of `changes` are made to fit, so that
 * hostile bytes come as far as zstd and the tar reader.  The first byte says whether the rest is
 * the payload itself, or a tar that is put into frames here; the next three how.  What is accepted
 * must be what our own writer makes of the same members.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "core/base/own.h"
#include "core/format/bundle/bundle.h"

struct events {
	struct bytes payload;
	struct buf changes; /* pieces so far */
	struct buf again;   /* the tar as our writer makes it */
	uint64_t left;      /* of the current member */
	struct tar_writer *writer;
};

static int on_block(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err)
{
	struct events *e = arg;

	if (i * BLOCK_BYTES + n > e->payload.n)
		abort();
	memcpy(dst, e->payload.p + i * BLOCK_BYTES, n);
	return 0;
}

static int on_changes(void *arg, struct bytes piece, struct err *err)
{
	struct events *e = arg;
	int rc;

	if (piece.p != NULL)
		return buf_add(&e->changes, piece.p, piece.n, err);
	rc = tar_writer_member(e->writer, "changes", bytes_in(&e->changes), &e->again, err);
	return rc;
}

static int on_member(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct events *e = arg;

	if (e->left != 0)
		abort();
	e->left = size;
	if (tar_zeros(tar_padding(e->again.n), &e->again, err) < 0)
		return RC_MEMORY;
	return tar_writer_header(e->writer, name, size, &e->again, err);
}

static int on_data(void *arg, struct bytes piece, struct err *err)
{
	struct events *e = arg;

	if (piece.n > e->left)
		abort();
	e->left -= piece.n;
	return buf_add(&e->again, piece.p, piece.n, err);
}

static int read_once(const struct manifest *m, struct bytes blocks, struct events *e)
{
	const struct payload_events ev = {e, on_block, on_changes, on_member, on_data};
	struct err err = {0};
	int rc;

	buf_reset(&e->changes);
	buf_reset(&e->again);
	e->left = 0;
	rc = payload_read(m, blocks, NULL, &ev, &err);
	if (rc != 0 && (rc > 0 || err.text[0] == '\0'))
		abort();
	if (rc == 0 && (e->left != 0 || tar_zeros(tar_padding(e->again.n), &e->again, &err) < 0 ||
			e->again.n + TAR_END != m->unpacked))
		abort();
	return rc;
}

static void read_payload(struct bytes payload, uint64_t unpacked, uint64_t changes)
{
	struct manifest m = {.unpacked = unpacked, .payload = payload.n, .changes_size = changes};
	OWNED(tar_writer_freep) struct tar_writer *w = NULL;
	OWNED(buf_clear) struct buf blocks = BUF_INIT;
	struct events e = {.payload = payload};
	struct err err = {0};

	if (tar_writer_new(&w, &err) < 0)
		abort();
	e.writer = w;
	for (size_t at = 0; at < payload.n; at += BLOCK_BYTES) {
		size_t n = payload.n - at < BLOCK_BYTES ? payload.n - at : BLOCK_BYTES;
		struct digest d = digest_of((struct bytes){payload.p + at, n});

		if (buf_add(&blocks, d.b, DIGEST_BYTES, &err) < 0)
			abort();
	}
	/* Once to learn what `changes` holds, once with its digest. */
	if (read_once(&m, bytes_in(&blocks), &e) == 0)
		abort();
	m.changes = digest_of(bytes_in(&e.changes));
	read_once(&m, bytes_in(&blocks), &e);
	buf_clear(&e.changes);
	buf_clear(&e.again);
}

/* Good checksums in whatever looks like a header, so that more than the checksum is tried. */
static void sums_fix(uint8_t *p, size_t n)
{
	for (; n >= TAR_RECORD; p += TAR_RECORD, n -= TAR_RECORD) {
		unsigned sum = 0;
		char digits[8];

		if (memcmp(p + 257, "ustar", 5) != 0)
			continue;
		memset(p + 148, ' ', 8);
		for (size_t i = 0; i < TAR_RECORD; i++)
			sum += p[i];
		snprintf(digits, sizeof(digits), "%06o", sum);
		memcpy(p + 148, digits, 7);
	}
}

static void read_tar(struct bytes in, size_t frame, uint64_t changes)
{
	OWNED(buf_clear) struct buf payload = BUF_INIT;
	OWNED(buf_clear) struct buf copy = BUF_INIT;
	struct err err = {0};
	struct bytes tar;

	if (buf_add(&copy, in.p, in.n, &err) < 0)
		abort();
	sums_fix(copy.p, copy.n);
	tar = bytes_in(&copy);
	for (size_t at = 0; at < tar.n; at += frame) {
		size_t n = tar.n - at < frame ? tar.n - at : frame, got;

		if (buf_reserve(&payload, ZSTD_compressBound(n), &err) < 0)
			abort();
		got = ZSTD_compress(payload.p + payload.n, ZSTD_compressBound(n), tar.p + at, n, 1);
		if (ZSTD_isError(got))
			abort();
		payload.n += got;
	}
	read_payload(bytes_in(&payload), tar.n, changes);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 5)
		return 0;
	if (p[0] & 1)
		read_payload((struct bytes){p + 4, n - 4}, (uint64_t)get_u16(p + 2) * TAR_RECORD,
			     p[1]);
	else
		read_tar((struct bytes){p + 4, n - 4}, ((size_t)get_u16(p + 2) | 511) + 1, p[1]);
	return 0;
}
