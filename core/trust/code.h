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
int activation_make(const struct digest *site, int64_t good_until, struct activation *ret,
		    struct err *err);
void activation_text(char dst[ACTIVATION_TEXT + 1], const struct activation *in);
/** activation_parse(text, ret, err): RC_USAGE, as invite_parse. */
int activation_parse(const char *text, struct activation *ret, struct err *err);
bool activation_fits(const struct activation *in, const struct digest *site);
/** activation_id: what a request names; it tells nothing of the secret.  activation_proof: that the
 * workstation with the key ${sign} knows the secret, and for which Unix account. */
void activation_id(char dst[17], uint64_t secret);
struct digest activation_proof(uint64_t secret, const struct digest *site,
			       const struct key_public *sign, const char *account);

/*
 * A confirmation code: a receipt that is read aloud.  It names the workstation and the receipt by
 * some of their bits, and carries some bits of a MAC over what is held (confirm_statement in
 * core/format/confirm.h).  With 54 bits, somebody who may try a hundred codes an hour needs ten
 * thousand million years.
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
void confirm_text(char dst[CONFIRM_TEXT + 1], const struct confirm *in);
int confirm_parse(const char *text, struct confirm *ret, struct err *err);
/** confirm_make(own, station, collect, id, receipt, statement, ret, err): ${own} is the secret half
 * of ${station} on the workstation, of ${collect} on the server: both get the same. */
int confirm_make(const struct key_secret *own, const struct key_public *station,
		 const struct key_public *collect, const char *id, uint64_t receipt,
		 struct bytes statement, struct confirm *ret, struct err *err);
/** confirm_names(in, id): can this code be of the workstation ${id}? */
bool confirm_names(const struct confirm *in, const char *id);

#endif
