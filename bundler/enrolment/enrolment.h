/* SPDX-License-Identifier: ISC */
/*
 * Enrolment on the server: invitations, pending requests, approval, revocation.
 */
#ifndef SATCHEL_BUNDLER_ENROLMENT_ENROLMENT_H
#define SATCHEL_BUNDLER_ENROLMENT_ENROLMENT_H

#include "bundler/documents/site_model.h"
#include "core/trust/code.h"

/*
 * View for the rooms above: invitation_open(name, expires): names with an invitation that no
 * machine has used, and until when the last one of each is good; in the order of names.
 */
extern const struct db_schema enrolment_schema;

/** enrolment_invite(s, name, days, dst, err): a new code for the workstation called ${name}, good
 * for ${days} days after today; its document is made when there is none. */
int enrolment_invite(struct site *s, const char *name, unsigned days, char dst[INVITE_TEXT + 1],
		     struct err *err);

/**
 * enrolment_request(s, r, flags, err):
 * A request that collect has opened and whose own signature is good: approved by its proof (1),
 * kept for a person (0), nothing new (0), or refused (RC_EXPIRED, RC_REPLAY, RC_UNTRUSTED,
 * RC_ADDRESSEE).  The same keys again change nothing.  ENROLMENT_EXACT: what was signed is exactly
 * what is in ${r}; only then may a request without proof wait for a person (see enrolment.c).
 * Every refusal made its event; the caller's transaction is to be committed also then.  RC_LIMIT:
 * too many requests wait; this one may be offered again.
 */
enum enrolment_flags { ENROLMENT_EXACT = 1 << 0 };
int enrolment_request(struct site *s, const struct request *r, enum enrolment_flags flags,
		      struct err *err);

/** enrolment_approve(s, id_prefix, name, err): a pending request, by at least 25 digits of its id
 * (the fingerprint the workstation shows); ${name} NULL: as it calls itself. */
int enrolment_approve(struct site *s, const char *id_prefix, const char *name, struct err *err);
/** enrolment_refuse(s, id_prefix, err): drop a pending request, by at least 8 digits of its id.
 * enrolment_refuse_all(s, ret, err): drop them all; how many there were. */
int enrolment_refuse(struct site *s, const char *id_prefix, struct err *err);
int enrolment_refuse_all(struct site *s, uint64_t *ret, struct err *err);
/** enrolment_revoke(s, name, err): receipts of this workstation count no more, it gets no new
 * private generation, and open invitations of its name are void. */
int enrolment_revoke(struct site *s, const char *name, struct err *err);

/* Invitations that a workstation used, and its pending request. */
extern const struct forget_sql enrolment_forget;
/** enrolment_forget_name(db, name, err): invitations for this name. */
int enrolment_forget_name(struct db *db, const char *name, struct err *err);

#endif
