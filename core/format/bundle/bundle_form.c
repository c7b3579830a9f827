/* SPDX-License-Identifier: ISC */
/*
 * The form of a prefix, for who has no keys: headers are made again and compared, so that the one
 * thing that is taken from them is three lengths.
 */
#include <string.h>

#include "core/base/own.h"
#include "core/format/bundle/bundle.h"

#define SIZE_OFFSET 124
#define SIZE_DIGITS 11
#define TYPE_OFFSET 156

static int not_a_prefix(struct err *err)
{
	return err_set(err, RC_MALFORMED, "the file does not begin as a bundle");
}

static int octal(const uint8_t *header, uint64_t *ret, struct err *err)
{
	uint64_t size = 0;

	for (size_t i = 0; i < SIZE_DIGITS; i++) {
		uint8_t digit = header[SIZE_OFFSET + i];

		if (digit < '0' || digit > '7')
			return not_a_prefix(err);
		size = size * 8 + (digit - '0');
	}
	*ret = size;
	return 0;
}

/* The text of a pax header: "<length> size=<bytes>\n". */
static int pax_size(const uint8_t *text, uint64_t *ret, struct err *err)
{
	size_t n = strnlen((const char *)text, TAR_RECORD);
	const uint8_t *at = memchr(text, '=', n);
	const uint8_t *end = at == NULL ? NULL : memchr(at, '\n', n - (size_t)(at - text));

	if (end == NULL)
		return not_a_prefix(err);
	return number_u64((const char *)at + 1, (size_t)(end - at - 1), LIMIT_PAYLOAD, ret, err);
}

/* Needed and not there: more is asked for. */
static bool lacks(struct bytes in, size_t need, size_t *ret_need)
{
	*ret_need = need;
	return in.n < need;
}

int bundle_form(struct bytes in, size_t *ret_need, struct bundle_form *ret, struct err *err)
{
	OWNED(buf_clear) struct buf made = BUF_INIT;
	struct bundle_form f;
	uint64_t blocks = 0;
	size_t at = TAR_RECORD, doc = 0;
	int rc;

	if (lacks(in, at, ret_need))
		return 0;
	rc = bundle_manifest_size(in.p, &doc, err);
	if (rc < 0)
		return rc;
	f.manifest = (struct bytes){in.p + at, doc};
	at += doc + tar_padding(doc);
	if (lacks(in, at + TAR_RECORD, ret_need))
		return 0;
	rc = octal(in.p + at, &blocks, err);
	if (rc < 0)
		return rc;
	if (blocks == 0 || blocks % DIGEST_BYTES != 0 || blocks / DIGEST_BYTES > LIMIT_BLOCKS)
		return not_a_prefix(err);
	at += TAR_RECORD;
	f.blocks = (struct bytes){in.p + at, (size_t)blocks};
	at += (size_t)blocks + tar_padding(blocks);
	if (lacks(in, at + TAR_RECORD, ret_need))
		return 0;
	if (in.p[at + TYPE_OFFSET] != 'x')
		rc = octal(in.p + at, &f.payload, err);
	else if (lacks(in, at + 3 * (size_t)TAR_RECORD, ret_need))
		return 0;
	else
		rc = pax_size(in.p + at + TAR_RECORD, &f.payload, err);
	if (rc == 0)
		rc = bundle_prefix_make(f.manifest, f.blocks, f.payload, &made, err);
	if (rc < 0)
		return rc;
	if (made.n > in.n || memcmp(made.p, in.p, made.n) != 0)
		return not_a_prefix(err);
	*ret_need = made.n;
	*ret = f;
	return 1;
}
