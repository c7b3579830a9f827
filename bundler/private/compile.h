/* SPDX-License-Identifier: ISC */
/*
 * Compile: the private channel of every workstation, out of the documents, who is active there, the
 * key store and the messages.  A workstation gets a new generation only when something that goes in
 * has changed; whether it has is found by reading all that goes in once, side by side, and opens no
 * secret and writes no document.  Source: docs/MODEL.md, "The tree of a private channel".
 */
#ifndef SATCHEL_BUNDLER_PRIVATE_COMPILE_H
#define SATCHEL_BUNDLER_PRIVATE_COMPILE_H
#include "bundler/documents/site_model.h"
#include "bundler/published/published.h"
#include "bundler/receipts/receipts.h"

enum compile_flags { COMPILE_DRY_RUN = 1 << 0 };

/**
 * compile_site(s, flags, ret_changed, err): private channels of the workstations whose inputs
 * changed (private_publish), in batches, each one all or nothing.  One that cannot be made does not
 * keep the others waiting: its fault is what is returned, the first of several.  ${ret_changed} is
 * written also then.  RC_POLICY: documents that do not fit each other; nothing is made.
 */
int compile_site(struct site *s, enum compile_flags flags, uint64_t *ret_changed, struct err *err);

/** compile_changed(s, each, arg, err): the ids of the workstations that compile_site would make a
 * generation for now, ascending; stops when ${each} does not return 0, and returns that. */
int compile_changed(struct site *s, int (*each)(void *arg, const char *id, struct err *err),
		    void *arg, struct err *err);

/* A workstation that is to read a sealed channel. */
struct compile_reader {
	const char *channel, *id, *name; /* borrowed */
};
/** compile_readers(s, each, arg, err): all of them, as the documents are now, by id. */
int compile_readers(struct site *s,
		    int (*each)(void *arg, const struct compile_reader *r, struct err *err),
		    void *arg, struct err *err);

/* A workstation that is to get a channel with rings. */
struct compile_ringed {
	const struct site_channel *channel; /* borrowed, as all of it */
	const char *id, *name;
	uint64_t ring;                       /* 0: in none, or it does not read what rings need */
	const struct receipts_held *held;    /* NULL: it has sent no receipt */
	const struct published_offer *offer; /* ahead of all; NULL: what everybody is offered */
};
/** compile_ringed(s, each, arg, err): all of them, by id and channel. */
int compile_ringed(struct site *s,
		   int (*each)(void *arg, const struct compile_ringed *r, struct err *err),
		   void *arg, struct err *err);

#endif
