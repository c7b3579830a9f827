/* SPDX-License-Identifier: ISC */
/*
 * Removal: a workstation or a user leaves the site for good.  Each room forgets what it knows; what
 * may stay, and why, is listed in tests/unit/bundler/removal/removal.c.
 */
#ifndef SATCHEL_BUNDLER_REMOVAL_REMOVAL_H
#define SATCHEL_BUNDLER_REMOVAL_REMOVAL_H

#include "bundler/documents/site_model.h"

/**
 * removal_workstation(s, name, err):
 * Forget a name of which nothing is enrolled: its document, its invitations, and what is known of
 * every machine that had it.  RC_CONFLICT: one is enrolled or leaving; RC_USAGE: there is no such
 * workstation.
 */
int removal_workstation(struct site *s, const char *name, struct err *err);
/** removal_user(s, email, err): the user's document, activations and codes.  Workstations that have
 * something of theirs are told with the next generation of their private channels, and what is
 * known of that is forgotten once they have confirmed it.  RC_USAGE: there is no such user. */
int removal_user(struct site *s, const char *email, struct err *err);

#endif
