/* SPDX-License-Identifier: ISC */
/*
 * Commands: what their file needs of the others'.
 */
#ifndef SATCHEL_APPLIER_MESSAGES_MESSAGES_INTERNAL_H
#define SATCHEL_APPLIER_MESSAGES_MESSAGES_INTERNAL_H

#include "applier/messages/messages.h"

/** messages_begin(s, m, ret, err): 1: the command is to be carried out now, and that is remembered
 * before it is; ${*ret}: when an interrupted run began it, or 0.  0: it is done, or waits. */
int messages_begin(struct station *s, const struct message *m, int64_t *ret, struct err *err);

/** messages_done(s, id, kind, text, err): it is, and what came of it ("report", "refusal"). */
int messages_done(struct station *s, const char *id, const char *kind, const char *text,
		  struct err *err);

#endif
