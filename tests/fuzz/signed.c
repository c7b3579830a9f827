/* SPDX-License-Identifier: ISC */
/*
 * Signed documents: what comes apart goes together again byte for byte, layer by layer, so there is
 * one encoding.  And signature files, sealed documents.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/trust/signed.h"

#define COMMENT "untrusted comment: satchel signed document\n"

/* A layer from its parts, without signed.c. */
static void rebuild(const struct signature *s, struct buf *ret)
{
	uint8_t raw[74] = {'E', 'd'};
	char line[102];

	put_u64(raw + 2, s->number);
	memcpy(raw + 10, s->sig, 64);
	base64_encode(line, 101, raw, sizeof(raw));
	if (buf_text(ret, COMMENT, ERR_IGNORED) < 0 || buf_text(ret, line, ERR_IGNORED) < 0 ||
	    buf_text(ret, "\n", ERR_IGNORED) < 0 ||
	    buf_add(ret, s->message.p, s->message.n, ERR_IGNORED) < 0)
		abort();
}

static void split(struct bytes in, size_t max)
{
	struct key_public key = {.kind = KEY_SIGN, .b = {1}};
	struct bytes outer = in;
	struct signed_doc d;
	struct err err;

	if (signed_split(in, max, &d, &err) < 0)
		return;
	if (d.layers < 1 || d.layers > max || d.layers > LIMIT_LAYERS)
		abort();
	for (size_t i = 0; i < d.layers; i++) {
		OWNED(buf_clear) struct buf again = BUF_INIT;

		rebuild(&d.layer[i], &again);
		if (!bytes_equal(bytes_in(&again), outer))
			abort();
		outer = d.layer[i].message;
		key.number = d.layer[i].number;
		if (signed_by(&d, &key))
			abort(); /* nothing verifies under the identity */
	}
	if (!bytes_equal(outer, d.inner))
		abort();
	signed_type(d.inner, "head/1");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	OWNED(buf_clear) struct buf ret = BUF_INIT;
	struct key_public key = {.kind = KEY_SIGN};
	struct bytes in = {p, n};
	char id[17];

	split(in, 1);
	split(in, 3);
	split(in, LIMIT_LAYERS);
	if (signed_import(bytes_of("x"), in, &key, &ret, ERR_IGNORED) == 0)
		abort();
	if (sealed_recipient(in, id) && (strlen(id) != 16 || n < 34))
		abort();
	return 0;
}
