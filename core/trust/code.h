/* SPDX-License-Identifier: ISC */
/*
 * Codes that people type: base32 without look-alikes, with check characters.
 * Source: Crockford's base32; docs/FORMAT.md section 9.
 */
#ifndef SATCHEL_CORE_TRUST_CODE_H
#define SATCHEL_CORE_TRUST_CODE_H

#include "core/trust/key.h"

#define INVITE_TEXT       (40 + 7) /* characters with separators, without the NUL */
#define INVITE_TRUST_MOST 4095     /* the largest trust version that a code can say */

struct invite {
	uint8_t pin[13];        /* the first 100 bits of a keyed digest of the identity of the trust
				   document that was current; the low 4 bits of the last byte are 0 */
	uint32_t trust_version; /* of that document: 0 to 4095; 4095 also stands for more */
	int64_t last_day; /* seconds since 1970 UTC: the first second after the last good day */
	uint64_t secret;  /* 60 bits */
};

/**
 * invite_make(trust, trust_version, good_until, ret, err): a new invitation with a random secret.
 * ${trust} is the identity of the current trust document and ${trust_version} its number: a
 * workstation accepts only a chain of trust that goes through this document.  ${good_until} is
 * seconds since 1970, rounded up to the end of its day.  Errors: RC_USAGE: a day outside of
 * 2020-01-01 to 2064-11-08; RC_INTERNAL.
 * invite_text(dst, in): as people read it: lower case, groups of five with '-'.
 */
int invite_make(const struct digest *trust, uint64_t trust_version, int64_t good_until,
		struct invite *ret, struct err *err);
void invite_text(char dst[INVITE_TEXT + 1], const struct invite *in);
/**
 * invite_parse(text, ret, err): any case, blanks and '-' anywhere, o as 0, i and l as 1.  ${ret}
 * is untouched on failure.  Errors: RC_USAGE with what is wrong: length, a character, the check
 * ("mistyped"), a code made by satchel 0.1, which pinned version 1 only.
 */
int invite_parse(const char *text, struct invite *ret, struct err *err);
/** invite_pins(in, trust): is the trust document with this identity the one that was current when
 * the code was made? */
bool invite_pins(const struct invite *in, const struct digest *trust);
/**
 * invite_id(dst, secret): what a request names, 16 hexadecimal digits; it tells nothing of the
 * secret.
 * invite_proof(secret, site, sign, seal): that the holder of the keys ${sign} and ${seal} knows
 * the secret: a keyed BLAKE2b over the site and both keys, so that nobody on the way can put
 * other keys into a request.  Source: docs/FORMAT.md section 9.
 */
void invite_id(char dst[17], uint64_t secret);
struct digest invite_proof(uint64_t secret, const struct digest *site,
			   const struct key_public *sign, const struct key_public *seal);

/*
 * An activation code makes one user active on a workstation: 32 bits of the site id, so that a code
 * for another site is recognised, a day, and a secret.  Whom it is for only the server knows.
 */
#define ACTIVATION_TEXT (25 + 4)

struct activation {
	uint32_t site;    /* the first 32 bits of the site id */
	int64_t last_day; /* as in an invitation */
	uint64_t secret;  /* 60 bits */
};
/**
 * activation_make(site, good_until, ret, err), activation_text(dst, in): as invite_make and
 * invite_text; any time of the last day is good.  Errors: RC_USAGE, RC_INTERNAL.
 */
int activation_make(const struct digest *site, int64_t good_until, struct activation *ret,
		    struct err *err);
void activation_text(char dst[ACTIVATION_TEXT + 1], const struct activation *in);
/** activation_parse(text, ret, err): RC_USAGE, as invite_parse. */
int activation_parse(const char *text, struct activation *ret, struct err *err);
/**
 * activation_fits(in, site): do the 32 bits match this site id?  For a better sentence only: they
 * prove nothing.
 */
bool activation_fits(const struct activation *in, const struct digest *site);
/**
 * activation_id(dst, secret): what a request names, 16 hexadecimal digits; it tells nothing of the
 * secret.
 * activation_proof(secret, site, sign, account): that the workstation with the key ${sign} knows
 * the secret, and for which Unix account: a keyed BLAKE2b.  Source: docs/FORMAT.md section 9.
 */
void activation_id(char dst[17], uint64_t secret);
struct digest activation_proof(uint64_t secret, const struct digest *site,
			       const struct key_public *sign, const char *account);

/*
 * A confirmation code: a receipt that is read aloud.  It names the workstation and the receipt by
 * some of their bits, and carries some bits of a MAC over what is held (confirm_statement in
 * core/format/documents/confirm.h).  With 54 bits, somebody who may try a hundred codes an hour
 * needs ten thousand million years.
 */
#define CONFIRM_TEXT             (20 + 3)
#define CONFIRM_WORKSTATION_BITS 20
#define CONFIRM_RECEIPTS         4096u /* the receipt's number is known modulo this */
#define CONFIRM_MAC_BITS         54

struct confirm {
	uint32_t workstation; /* the first bits of its id */
	uint32_t receipt;     /* number of its newest receipt, modulo CONFIRM_RECEIPTS */
	uint64_t mac;
};
/**
 * confirm_text(dst, in): as people read it: lower case, groups of five with '-'.
 * confirm_parse(text, ret, err): as invite_parse; that the code is well-formed says nothing about
 * its MAC.  Errors: RC_USAGE.
 */
void confirm_text(char dst[CONFIRM_TEXT + 1], const struct confirm *in);
int confirm_parse(const char *text, struct confirm *ret, struct err *err);
/** confirm_make(own, station, collect, id, receipt, statement, ret, err): ${own} is the secret half
 * of ${station} on the workstation, of ${collect} on the server: both get the same. */
int confirm_make(const struct key_secret *own, const struct key_public *station,
		 const struct key_public *collect, const char *id, uint64_t receipt,
		 struct bytes statement, struct confirm *ret, struct err *err);

#endif
