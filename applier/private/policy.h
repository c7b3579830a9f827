/* SPDX-License-Identifier: ISC */
/*
 * The policy in force on this workstation: what the server says in the private channel, as far as
 * the owner of the machine and what satchel knows of time let it.
 */
#ifndef SATCHEL_APPLIER_PRIVATE_POLICY_H
#define SATCHEL_APPLIER_PRIVATE_POLICY_H

#include "applier/station/station.h"
#include "core/format/policy/policy.h"

struct station_policy {
	struct effective effective; /* its settings are in force; origins of what policies say */
	struct digest digest;       /* of policy.yaml; zero: the server says nothing */
	enum local_answer local;    /* to local changes: as the policy chose, when the owner allows
				       that, else the owner's */
	bool local_refused;         /* it chose what the owner does not allow */
};

/**
 * station_policy(s, ret, err):
 * Read it from the private channel; what nobody says is what satchel does by itself, also before
 * there is a private channel.  Errors: RC_STATE (the private channel was changed on this machine),
 * RC_MALFORMED.  ${ret} is the caller's (station_policy_clear), and on failure what satchel does by
 * itself, so that whoever must go on can.
 */
int station_policy(struct station *s, struct station_policy *ret, struct err *err);
/** station_policy_file(s, ret, err): the digest of policy.yaml, by which a policy that was read is
 * known to be the one that is applied still; 1, or 0 and zeros when there is none. */
int station_policy_file(struct station *s, struct digest *ret, struct err *err);
/** station_policy_clear(p). */
void station_policy_clear(struct station_policy *p);

/** policy_open(p, err): may channels be applied now, by the local clock?  RC_AGAIN names the
 * windows. */
int policy_open(const struct policy_settings *p, struct err *err);

/** policy_opens(p): seconds until they may; 0: now. */
int64_t policy_opens(const struct policy_settings *p);

#endif
