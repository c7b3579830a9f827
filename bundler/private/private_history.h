/* SPDX-License-Identifier: ISC */
/*
 * What each workstation was to hold since when: what a confirmation code is compared with.
 */
#ifndef SATCHEL_BUNDLER_PRIVATE_PRIVATE_HISTORY_H
#define SATCHEL_BUNDLER_PRIVATE_PRIVATE_HISTORY_H

#include "bundler/private/private.h"
#include "core/format/documents/confirm.h"

/* States that a code is compared with, from the newest back: what the workstation was to hold
 * differs from one to the next.  Whoever is further behind than that brings a receipt. */
#define PUBLISHED_STATES_MOST 64u
/* Private generations of one workstation that are kept behind the one it has confirmed. */
#define HISTORY_BEHIND 8

/**
 * published_states(s, id, each, arg, err):
 * What beats led to for this workstation, from the newest back: the newest PUBLISHED_STATES_MOST
 * that differ.  Each is handed on as a receipt that says so: site, workstation, private channel,
 * channels (result "current") and users (result "handed-out"); its number and times are zero.
 * ${each} may take it over and leave it empty.  Stops when ${each} does not return 0, and returns
 * that.
 */
int published_states(struct site *s, const char *id,
		     int (*each)(void *arg, struct receipt *holds, struct err *err), void *arg,
		     struct err *err);

/** private_history_add(s, id, epoch, generation, tree, content, err): what this private generation
 * says, in the transaction that makes it. */
int private_history_add(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
			const struct digest *tree, const struct private_content *content,
			struct err *err);

#endif
