/* SPDX-License-Identifier: ISC */
/*
 * The list of changes: what is accepted is written again byte for byte, and the size of the pieces
 * makes no difference.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/bundle/changes.h"

static int again(void *arg, const struct change *c, struct err *err)
{
	return change_format(c, arg, err);
}

/* The first byte says how large the pieces are. */
static int read_pieces(const uint8_t *p, size_t n, size_t piece, struct buf *ret)
{
	OWNED(changes_reader_freep) struct changes_reader *r = NULL;
	struct err err;
	int rc = 0;

	if (changes_reader_new(again, ret, &r, &err) < 0)
		abort();
	for (size_t at = 0; at < n && rc == 0; at += piece)
		rc = changes_add_bytes(r, (struct bytes){p + at, n - at < piece ? n - at : piece},
				       &err);
	return rc < 0 ? rc : changes_end(r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	OWNED(buf_clear) struct buf whole = BUF_INIT;
	OWNED(buf_clear) struct buf pieces = BUF_INIT;
	int rc, rc_pieces;

	if (n == 0)
		return 0;
	rc = read_pieces(p + 1, n - 1, n, &whole);
	rc_pieces = read_pieces(p + 1, n - 1, (size_t)p[0] + 1, &pieces);
	if (rc != rc_pieces || !bytes_equal(bytes_in(&whole), bytes_in(&pieces)))
		abort();
	if (rc == 0 && !bytes_equal(bytes_in(&whole), (struct bytes){p + 1, n - 1}))
		abort();
	return 0;
}
