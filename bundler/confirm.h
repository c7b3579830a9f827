/*
 * Confirmation codes: a receipt that a person reads aloud, for places that let nothing out.  A code
 * says little and proves much: it is compared with what this site published for the workstation,
 * moment by moment, and counts for exactly the one that fits.
 */
#ifndef SATCHEL_BUNDLER_CONFIRM_H
#define SATCHEL_BUNDLER_CONFIRM_H

#include "bundler/publish.h"
#include "core/trust/code.h"

/* Moments that a code is compared with, from the newest back: what the workstation was to hold
 * differs from one to the next.  Whoever is further behind than that brings a receipt. */
#define CONFIRM_MOMENTS 64u
/* How far the number of its newest receipt may be above the newest that is known: four rounds of
 * the 12 bits that a code has of it, which is a new receipt every hour for almost two years. */
#define CONFIRM_ROUNDS 4u
/* Wrong codes in an hour; with 54 bits of proof nobody guesses one in the lifetime of a star. */
#define CONFIRM_TRIES 10
#define CONFIRM_SPAN  3600 /* seconds */
/* Private generations of one workstation that are remembered behind the one it has confirmed. */
#define CONFIRM_BEHIND 8

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
void confirmed_clear(struct confirmed *c);

/**
 * confirm_code(s, text, ret, err): what was typed, of an enrolled workstation.  Errors: RC_USAGE
 * (mistyped; does not count as a try), RC_UNTRUSTED (of nobody, or of nothing that was published
 * for them), RC_REPLAY (a receipt or a code of later is known), RC_AGAIN (too many wrong ones).
 * The site is locked.
 */
int confirm_code(struct site *s, const char *text, struct confirmed *ret, struct err *err);

/** confirm_past_add(s, id, epoch, generation, tree, files, n, err): remember what this private
 * generation says, in the transaction that makes it.  confirm_past_prune: a receipt says that it is
 * held.  confirm_forget: all that is known of a workstation that is gone. */
int confirm_past_add(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
		     const struct digest *tree, const struct private_file *files, size_t n,
		     struct err *err);
int confirm_past_prune(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
		       struct err *err);
int confirm_forget(struct site *s, const char *id, struct err *err);

#endif
