/*
 * Enrolment on the server: invitations, held requests, approval, revocation; and the private
 * channels compiled from what is enrolled and subscribed.
 */
#ifndef SATCHEL_BUNDLER_ENROLMENT_H
#define SATCHEL_BUNDLER_ENROLMENT_H

#include "bundler/site.h"
#include "core/trust/code.h"

/** enrolment_invite(s, name, days, dst, err): a new code for the workstation called ${name}; its
 * document is made when there is none. */
int enrolment_invite(struct site *s, const char *name, unsigned days, char dst[INVITE_TEXT + 1],
		     struct err *err);
/** enrolment_request(s, r, err): a request that collect has opened and whose own signature is good:
 * approved by its proof, held for a person, or refused (RC_EXPIRED, RC_REPLAY, RC_UNTRUSTED) with
 * an event. The same keys again change nothing. */
int enrolment_request(struct site *s, const struct request *r, struct err *err);
/** enrolment_approve(s, id_prefix, name, err): a held request, by at least 8 digits of its id (the
 * fingerprint the workstation shows). */
int enrolment_approve(struct site *s, const char *id_prefix, const char *name, struct err *err);
int enrolment_revoke(struct site *s, const char *name, struct err *err);
/** enrolment_compile(s, dry_run, ret_changed, err): private channels of the workstations whose
 * inputs changed (private_publish). */
int enrolment_compile(struct site *s, bool dry_run, uint64_t *ret_changed, struct err *err);

#endif
