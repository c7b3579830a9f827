/* SPDX-License-Identifier: ISC */
/*
 * The asking side of a depot: one question at a time to the helper, which touches the directory.
 */
#ifndef SATCHEL_CORE_DEPOT_DEPOT_INTERNAL_H
#define SATCHEL_CORE_DEPOT_DEPOT_INTERNAL_H

#include "core/depot/depot.h"
#include "core/depot/wire/wire.h"
#include "core/os/child.h"

/* What is left of what a depot may cost. */
struct depot_budget {
	int64_t wait_ms, wait_most;
	int64_t winnable; /* milliseconds that the helper's word may still win back */
	uint64_t entries, bytes;
};

struct depot {
	char *path;         /* owned */
	struct child child; /* the helper */
	enum depot_flags flags;
	int silence_ms;
	bool owed;    /* the answer to an ASK_MORE is still to come */
	bool posting; /* what is in hand writes: a question, or a file in pieces */
	int dead;     /* 0, or the code that every call gives from now on */
	struct depot_budget budget;
	uint64_t streamed; /* bytes of the file that comes in pieces */
	struct err over;   /* why it is dead, when its budget is over or it was silent */
};

/**
 * budget_begin(): a whole one.
 * depot_charge(d, entries, bytes, err): what an answer brought.  RC_TIMEOUT: the budget is over,
 * and the helper is killed.
 * depot_work(d, bytes): so much is to be written now; depot_worked(d, bytes): the helper says that
 * it has written so much of it.  That wins time back as depot_credit does, but in all no more than
 * ${bytes} of depot_work are worth: a helper that was taken over says anything.
 * depot_gone(d, err): the error of a depot that was given up.
 */
struct depot_budget budget_begin(void);
int depot_charge(struct depot *d, uint64_t entries, uint64_t bytes, struct err *err);
void depot_work(struct depot *d, uint64_t bytes);
void depot_worked(struct depot *d, uint64_t bytes);
int depot_gone(const struct depot *d, struct err *err);

typedef int depot_each(void *arg, const char *name, uint64_t size, struct err *err);

/**
 * depot_talk(d, type, question, max, ret, err): question and answer, for those without anything
 * special; ${ret} is emptied first and holds at most ${max} bytes.
 * depot_send(d, type, question, err): the question only.  depot_owed(d, err): wait for its answer,
 * as the next question does by itself.
 * Errors: RC_TIMEOUT, RC_IO: the helper is given up; what the helper says; RC_LIMIT: the question
 * is above ASK_MAX.
 */
int depot_talk(struct depot *d, enum ask type, const struct buf *question, size_t max,
	       struct buf *ret, struct err *err);
int depot_send(struct depot *d, enum ask type, struct bytes question, struct err *err);
int depot_owed(struct depot *d, struct err *err);
/** depot_malformed(d, err): an answer that is not in the form above: the helper is given up. */
int depot_malformed(struct depot *d, struct err *err);
/** depot_question_path(question, path, err): a path of ours; others are RC_PATH. */
int depot_question_path(struct buf *question, const char *path, struct err *err);

#endif
