/* SPDX-License-Identifier: ISC */
/*
 * A registry that is older than what it published: it was restored from a backup, or a copy of the
 * server goes on somewhere else.  Then its next numbers are those of something that workstations
 * hold already, and what it does not know of would be taken from them.
 *
 * Noticing compares it with the signed documents of a depot, and with what receipts say. Recovering
 * takes over what is signed (trust, beat, heads, private channels), and goes on above it.  A
 * receipt is only the word of one machine: it raises a number by a bounded step, and beyond that it
 * is named.
 */
#ifndef SATCHEL_BUNDLER_RECOVER_RECOVER_H
#define SATCHEL_BUNDLER_RECOVER_RECOVER_H

#include "bundler/documents/site_model.h"
#include "core/base/list.h"

struct depot;

/* What one receipt may claim above the highest that is signed: beats of a year, once an hour. */
#define RECOVER_STEP 10000u

/**
 * recover_notice(s, d, err): is the registry older than what ${d} (NULL: no depot is at hand) or
 * the receipts say?  0: no.  RC_STATE: yes, and the sentence says what was found, and the remedy.
 */
int recover_notice(struct site *s, struct depot *d, struct err *err);

/* What was found, and what was done about it. */
struct recover_report {
	uint64_t trust_was, trust; /* versions */
	uint64_t beat_was, beat;   /* sequences: the last one here, and the highest found */
	bool forked;               /* two beats have one number */
	struct strings channel;    /* owned: channels whose numbers were raised */
	struct strings apart;      /* owned: names of workstations that are held apart */
	struct strings revoked;    /* owned: names of those that the newest beat does not list */
	uint64_t unknown;          /* workstations that are listed, and are not in the registry */
	uint64_t shards_lost;      /* shards of the newest beat that no depot has */
	struct strings missing;    /* owned: roles whose key is not in the state */
};
/** recover_report_clear(r): for OWNED. */
void recover_report_clear(struct recover_report *r);

/* What was taken over from a workstation. */
struct recover_accepted {
	struct strings user; /* owned: who is active there, by e-mail address */
	struct strings key;  /* owned: versions of keys, "NAME.VERSION" */
};
/** recover_accepted_clear(a): for OWNED. */
void recover_accepted_clear(struct recover_accepted *a);
/**
 * recover_accept(s, name, ret, err): the workstation ${name} is held apart no more: users who are
 * active there and have a document, and versions of keys that have one, are taken over from what it
 * says.  1, or 0 when it was not held apart.  Errors: RC_USAGE: there is none of that name;
 * RC_CONFLICT: it has said nothing since, or has another secret under a number that is here.
 */
int recover_accept(struct site *s, const char *name, struct recover_accepted *ret, struct err *err);

enum recover_flags { RECOVER_DRY_RUN = 1 << 0 };
/**
 * recover_site(s, depots, n, flags, ret, err):
 * Compare with the home depot and with the depots at the paths ${depots}, and go on above what they
 * have, in one transaction.  1 when there was something to take over, 0 when the registry is as new
 * as all of them.  ${*ret} is the caller's.  Errors: RC_CONFLICT: a receipt claims more than
 * RECOVER_STEP above what is signed; RC_UNTRUSTED: two trust documents of one version; those of the
 * home depot.
 */
int recover_site(struct site *s, const char *const *depots, size_t n, enum recover_flags flags,
		 struct recover_report *ret, struct err *err);

#endif
