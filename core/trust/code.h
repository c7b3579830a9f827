/*
 * Codes that people type: base32 without look-alikes, with check characters.
 * Source: Crockford's base32; docs/FORMAT.md section 9.
 */
#ifndef SATCHEL_TRUST_CODE_H
#define SATCHEL_TRUST_CODE_H

#include "core/trust/key.h"

#define INVITE_TEXT (40 + 7) /* characters with separators, without the NUL */

struct invite {
	uint8_t
	    site[13]; /* the first 100 bits of the site id; the low 4 bits of the last byte are 0 */
	uint32_t trust_floor; /* 0 to 4095 */
	int64_t last_day;     /* seconds since 1970 UTC: the first second after the last good day */
	uint64_t secret;      /* 60 bits */
};

int invite_make(const struct digest *site, uint64_t trust_version, int64_t good_until,
		struct invite *ret, struct err *err);
void invite_text(char dst[INVITE_TEXT + 1], const struct invite *in);
/** invite_parse(text, ret, err): RC_USAGE with what is wrong: length, a character, the check
 * ("mistyped"). */
int invite_parse(const char *text, struct invite *ret, struct err *err);
/** invite_fits(in, site): do the 100 bits match this site id? */
bool invite_fits(const struct invite *in, const struct digest *site);
void invite_id(char dst[17], uint64_t secret);
struct digest invite_proof(uint64_t secret, const struct digest *site,
			   const struct key_public *sign, const struct key_public *seal);

#endif
