/* SPDX-License-Identifier: ISC */
/*
 * Key files, public and secret: what is accepted is written again as the same key.  A passphrase
 * is never answered, so that no input takes scrypt's second and gigabyte.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/trust/key_internal.h"

static void public_again(struct bytes in)
{
	struct key_public k, back;
	char line[KEY_PUBLIC_LINE + 1];
	const char *given;

	if (key_public_parse(in, &k, ERR_IGNORED) < 0)
		return;
	key_public_line(line, &k);
	if (key_payload(in, KEY_PUBLIC_LINE, KEY_COMMENT_OPTIONAL, &given, ERR_IGNORED) < 0 ||
	    memcmp(line, given, KEY_PUBLIC_LINE) != 0)
		abort();
	if (key_public_parse(bytes_of(line), &back, ERR_IGNORED) < 0 || !key_same(&k, &back))
		abort();
}

static void secret_works(struct bytes in)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	struct key_public public;
	uint8_t sig[64];

	if (key_secret_parse(in, "fuzz", NULL, &k, ERR_IGNORED) < 0)
		return;
	public = key_public_of(k);
	if (public.kind == KEY_SIGN && key_sign(k, in, sig, ERR_IGNORED) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	public_again((struct bytes){p, n});
	secret_works((struct bytes){p, n});
	return 0;
}
