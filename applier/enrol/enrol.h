/* SPDX-License-Identifier: ISC */
/*
 * Joining a site.
 */
#ifndef SATCHEL_APPLIER_ENROL_ENROL_H
#define SATCHEL_APPLIER_ENROL_ENROL_H

#include "applier/station/station.h"

/** station_enrol(s, code, depot, name, err): find and check the trust chain by the code, make keys,
 * write the sealed request; remembers the depot in workstation.yaml when it is not there.
 * ${code} is an invitation, or the 64 digits of the digest of a trust document that the chain must
 * go through: then nobody invited this machine, and it waits for approval by its fingerprint.
 * ${name} NULL: the host's name.  1: it is enrolled there already, and only the depot is
 * remembered. */
int station_enrol(struct station *s, const char *code, const char *depot, const char *name,
		  struct err *err);

/** enrol_again(s, err): the site does not list this workstation.  When it says in its beat that it
 * lost what it knew, ask once to be enrolled with the keys that are here, under the name that it
 * had; an administrator approves it there. */
int enrol_again(struct station *s, struct err *err);

/** enrol_forget(s, site, err): a decommissioned workstation joins ${site}: every room forgets, in
 * the caller's transaction.  What stays: counters, the last receipt while it waits, and of the same
 * site trust chain and beat. */
int enrol_forget(struct station *s, const struct digest *site, struct err *err);

#endif
