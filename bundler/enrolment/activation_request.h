/* SPDX-License-Identifier: ISC */
/*
 * Requests of workstations to make a user active there.
 */
#ifndef SATCHEL_BUNDLER_ENROLMENT_ACTIVATION_REQUEST_H
#define SATCHEL_BUNDLER_ENROLMENT_ACTIVATION_REQUEST_H

#include "bundler/documents/site_model.h"

/**
 * activation_request(s, sign, r, err): a request whose signature by ${sign}, the key of the
 * enrolled workstation r->workstation, is good.
 * 1: the user is active now; 0: nothing new, the request came before.  Negative: refused
 * (RC_ADDRESSEE, RC_UNTRUSTED, RC_EXPIRED, RC_REPLAY, RC_MALFORMED, RC_POLICY, RC_LIMIT), which
 * made an event and a message that tells the people there; the caller's transaction is to be
 * committed also then.  Anything else: it failed.
 */
int activation_request(struct site *s, const struct key_public *sign, const struct request *r,
		       struct err *err);

#endif
