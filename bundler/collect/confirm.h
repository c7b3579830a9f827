/* SPDX-License-Identifier: ISC */
/*
 * Confirmation codes: a receipt that a person reads aloud, for places that let nothing out.  A code
 * says little and proves much: it is compared with what this site published for the workstation,
 * state by state, and counts for exactly the one that fits.
 */
#ifndef SATCHEL_BUNDLER_COLLECT_CONFIRM_H
#define SATCHEL_BUNDLER_COLLECT_CONFIRM_H

#include "bundler/documents/site_model.h"
#include "core/trust/code.h"

/* How far the number of its newest receipt may be above the newest that is known: four rounds of
 * the 12 bits that a code has of it, which is a new receipt every hour for almost two years. */
#define CONFIRM_ROUNDS 4u
/* Wrong codes in an hour; with 54 bits of proof nobody guesses one in the lifetime of a star. */
#define CONFIRM_TRIES 10
#define CONFIRM_SPAN  3600 /* seconds */

struct confirmed {
	char id[WORKSTATION_ID + 1];
	char workstation[WORKSTATION_NAME];
	uint64_t receipt;           /* the number of the receipt that it stands for */
	bool again;                 /* that receipt is recorded already: nothing changed */
	uint64_t epoch, generation; /* of the private channel */
	struct confirmed_channel {
		char name[CHANNEL_NAME];
		uint64_t epoch, generation; /* 0: nothing of it */
	} * channel;                        /* owned; ascending by name */
	size_t channels;
};
/** confirmed_clear(c): release the channels; for OWNED. */
void confirmed_clear(struct confirmed *c);

/**
 * confirm_code(s, text, ret, err): what was typed, of an enrolled workstation.  Errors: RC_USAGE
 * (mistyped; does not count as a try), RC_UNTRUSTED (of nobody, or of nothing that was published
 * for them), RC_REPLAY (a receipt or a code of later is known), RC_AGAIN (too many wrong ones).
 * The site is locked.
 */
int confirm_code(struct site *s, const char *text, struct confirmed *ret, struct err *err);

#endif
