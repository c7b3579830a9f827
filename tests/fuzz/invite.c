/* SPDX-License-Identifier: ISC */
/* Invitation codes: what is accepted is written as the one form that is accepted as the same. */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/trust/code.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	OWNED(buf_clear) struct buf typed = BUF_INIT;
	char text[INVITE_TEXT + 1], again[INVITE_TEXT + 1];
	struct invite in = {0}, back = {0};

	/* Any 25 bytes can stand in a code: without this no input ever gets past the check. */
	if (n == 33) {
		memcpy(in.pin, p, sizeof(in.pin));
		in.pin[12] &= 0xf0;
		in.trust_version = get_u16(p + 13) & 0xfff;
		in.last_day = ((int64_t)(get_u16(p + 15) & 0x3fff) + 18263) * 86400;
		in.secret = get_u64(p + 17) >> 4;
		invite_text(text, &in);
		if (invite_parse(text, &back, ERR_IGNORED) < 0 ||
		    memcmp(in.pin, back.pin, 13) != 0 || in.trust_version != back.trust_version ||
		    in.last_day != back.last_day || in.secret != back.secret)
			abort();
	}
	if (buf_add(&typed, p, n, ERR_IGNORED) < 0)
		abort();
	if (invite_parse((const char *)typed.p, &in, ERR_IGNORED) < 0)
		return 0;
	invite_text(text, &in);
	if (invite_parse(text, &back, ERR_IGNORED) < 0)
		abort();
	invite_text(again, &back);
	if (strcmp(text, again) != 0)
		abort();
	return 0;
}
