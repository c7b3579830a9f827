/* SPDX-License-Identifier: ISC */
/*
 * Fields of the frames between depot.c and its helper.  Both ends are the same program, but one of
 * them has read hostile directories: lengths are checked against the frame before use.
 */
#include <string.h>

#include "core/depot/wire/wire.h"

int pack_number(struct buf *b, uint64_t v, struct err *err)
{
	uint8_t raw[8];

	put_u64(raw, v);
	return buf_add(b, raw, sizeof(raw), err);
}

int pack_text(struct buf *b, const char *text, struct err *err)
{
	int rc = pack_number(b, strlen(text), err);

	return rc < 0 ? rc : buf_text(b, text, err);
}

bool field_number(struct bytes *in, uint64_t *ret)
{
	if (in->n < 8)
		return false;
	*ret = get_u64(in->p);
	in->p += 8;
	in->n -= 8;
	return true;
}

bool field_text(struct bytes *in, char ret[LIMIT_PATH + 1])
{
	uint64_t n;

	if (!field_number(in, &n) || n > LIMIT_PATH || n > in->n || memchr(in->p, 0, (size_t)n))
		return false;
	memcpy(ret, in->p, (size_t)n);
	ret[n] = '\0';
	in->p += n;
	in->n -= (size_t)n;
	return true;
}
