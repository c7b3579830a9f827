/* SPDX-License-Identifier: ISC */
/*
 * What the collector's child does with a file of the inbox: bytes as they lie there, bytes that
 * were sealed to the site, and contents that somebody signed and sealed.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/collect/collect_internal.h"
#include "core/base/own.h"

static struct key_secret *collect, *sign;

static void keys_make(void)
{
	struct err err;

	if (key_generate(KEY_SEAL, &collect, &err) < 0 || key_generate(KEY_SIGN, &sign, &err) < 0)
		abort();
}

/* The first byte says how deep the rest lies. */
static int wrap(uint8_t depth, struct bytes in, struct buf *ret)
{
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct key_public to = key_public_of(collect);
	struct err err;
	int rc;

	if (depth == 0)
		rc = buf_add(ret, in.p, in.n, &err);
	else if (depth == 1)
		rc = sealed_make(&to, in, ret, &err);
	else if ((rc = signed_make(sign, in, &doc, &err)) == 0)
		rc = sealed_make(&to, bytes_in(&doc), ret, &err);
	return rc; /* signed_make does not sign what nobody could take apart again */
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	OWNED(opened_clear) struct opened o = {0};
	OWNED(buf_clear) struct buf file = BUF_INIT;

	if (collect == NULL)
		keys_make();
	if (n == 0 || n > LIMIT_RECEIPT)
		return 0;
	if (wrap(p[0] % 3, (struct bytes){p + 1, n - 1}, &file) < 0)
		return 0;
	unsealer_serve(&collect, 1, bytes_in(&file), &o);
	if (o.rc < 0 && o.why[0] == '\0')
		abort();
	return 0;
}
