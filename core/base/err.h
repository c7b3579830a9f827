/* SPDX-License-Identifier: ISC */
/*
 * Errors are values: a code, one sentence that a person can act on, and nothing else.
 *
 * A function that can fail returns 0 or a negative enum rc and takes a `struct err *` as its last
 * parameter.  The sentence is written where the fault is seen (err_set, err_sys), may be prefixed
 * by callers who know more (err_prefix), and is printed once, at the top.  Libraries never print.
 *
 * The codes are one table, shared by the program, satchel(1), and the receipts.
 */
#ifndef SATCHEL_CORE_BASE_ERR_H
#define SATCHEL_CORE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* What the program exits with, as satchel(1) lists it; the numbers never change. */
enum exit_class {
	EXIT_CLASS_DONE = 0,      /* also when there was nothing to do */
	EXIT_CLASS_INTERNAL = 1,  /* a fault of the program, or no memory */
	EXIT_CLASS_USAGE = 2,     /* the command line */
	EXIT_CLASS_MALFORMED = 3, /* the form of what was read */
	EXIT_CLASS_UNTRUSTED = 4, /* signature, key or role */
	EXIT_CLASS_REPLAY = 5,    /* old, expired, not for us */
	EXIT_CLASS_POLICY = 6,    /* path, type or limit */
	EXIT_CLASS_AGAIN = 7,     /* try again: incomplete, medium, disk */
	EXIT_CLASS_CONFLICT = 8,  /* a local change is in the way, or another run is at work */
	EXIT_CLASS_STATE = 9,     /* the own database */
	EXIT_CLASSES
};

/* code, exit class, slug (used in receipts and --json), what the code means.  A new one is added at
 * the end: the order gives the numbers, which a helper process and its parent tell each other. */
#define RC_TABLE(X)                                                                             \
	X(RC_INTERNAL, EXIT_CLASS_INTERNAL, "internal", "internal error")                       \
	X(RC_MEMORY, EXIT_CLASS_INTERNAL, "memory", "out of memory")                            \
	X(RC_USAGE, EXIT_CLASS_USAGE, "usage", "the command was not understood")                \
	X(RC_MALFORMED, EXIT_CLASS_MALFORMED, "malformed",                                      \
	  "not in the form that the format asks for")                                           \
	X(RC_UNTRUSTED, EXIT_CLASS_UNTRUSTED, "untrusted",                                      \
	  "the signature, key or role is not valid")                                            \
	X(RC_REPLAY, EXIT_CLASS_REPLAY, "replay", "older than what is known already")           \
	X(RC_EXPIRED, EXIT_CLASS_REPLAY, "expired",                                             \
	  "past the time until which it may be believed")                                       \
	X(RC_ADDRESSEE, EXIT_CLASS_REPLAY, "addressee",                                         \
	  "made for another site, channel or workstation")                                      \
	X(RC_FORK, EXIT_CLASS_REPLAY, "fork", "the same number with other content")             \
	X(RC_POLICY, EXIT_CLASS_POLICY, "policy", "not allowed here")                           \
	X(RC_PATH, EXIT_CLASS_POLICY, "path", "a name or path that is not allowed")             \
	X(RC_TYPE, EXIT_CLASS_POLICY, "type", "a kind of file that is not allowed")             \
	X(RC_LIMIT, EXIT_CLASS_POLICY, "limit", "larger, deeper or more than the limits allow") \
	X(RC_AGAIN, EXIT_CLASS_AGAIN, "again", "try again later")                               \
	X(RC_INCOMPLETE, EXIT_CLASS_AGAIN, "incomplete", "not all of it has arrived")           \
	X(RC_IO, EXIT_CLASS_AGAIN, "io", "the medium or the system refused")                    \
	X(RC_SPACE, EXIT_CLASS_AGAIN, "space", "not enough space")                              \
	X(RC_TIMEOUT, EXIT_CLASS_AGAIN, "timeout", "no answer in time")                         \
	X(RC_CONFLICT, EXIT_CLASS_CONFLICT, "conflict", "a local change is in the way")         \
	X(RC_BUSY, EXIT_CLASS_CONFLICT, "busy", "another run is at work")                       \
	X(RC_STATE, EXIT_CLASS_STATE, "state",                                                  \
	  "satchel's own database is missing, older or damaged")                                \
	X(RC_ABSENT, EXIT_CLASS_AGAIN, "absent", "what was asked for is not there")             \
	X(RC_ROLLED_BACK, EXIT_CLASS_CONFLICT, "rolled-back",                                   \
	  "a generation was left again for the one before it")                                  \
	X(RC_UNHEALTHY, EXIT_CLASS_CONFLICT, "unhealthy",                                       \
	  "what was applied failed the check of this machine's owner")

enum rc {
	RC_OK = 0,
#define X(code, class, slug, text) code##_POSITIVE,
	RC_TABLE(X)
#undef X
#define X(code, class, slug, text) code = -code##_POSITIVE,
	    RC_TABLE(X)
#undef X
};

#define ERR_TEXT_MAX 1024

struct err {
	int rc; /* enum rc; 0 while nothing failed */
	char
	    text[ERR_TEXT_MAX]; /* one sentence, no newline, no full stop; may hold foreign bytes */
};

/*
 * What a caller passes who does not want the sentence: the code that is returned says enough.  It
 * is a fresh one each time and lives to the end of the block.
 */
#define ERR_IGNORED (&(struct err){0})

/**
 * err_set(err, rc, fmt, ...):
 * Record ${rc} and a sentence, replacing what was there.  ${err} is never NULL, here and wherever
 * this program has a parameter of that name: ERR_IGNORED is for those who do not care.  Returns
 * ${rc}, so that `return err_set(...)` reads well.
 */
int err_set(struct err *err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * err_sys(err, rc, fmt, ...):
 * As err_set, with ": " and the text of errno appended.  ENOSPC, EDQUOT become RC_SPACE and ENOMEM
 * becomes RC_MEMORY whatever ${rc} says, because the remedy differs.
 */
int err_sys(struct err *err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * err_prefix(err, fmt, ...):
 * Put "text: " before the sentence that is there.  Returns the code that is there.
 */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** err_memory(err): RC_MEMORY with its sentence. */
int err_memory(struct err *err);

/** rc_class(rc): the exit class, which is the program's exit status.  rc_slug(rc): its word in
 * receipts and --json.  rc_text(rc): its meaning.  All take 0 and any negative code; one that is
 * not in the table counts as RC_INTERNAL.  The texts are static. */
enum exit_class rc_class(int rc);
const char *rc_slug(int rc);
const char *rc_text(int rc);

/** rc_from_slug(slug): the code of a slug; RC_INTERNAL when there is none.  rc_of_class(class): the
 * code that stands for a class, the first of it in the table. */
int rc_from_slug(const char *slug);
int rc_of_class(enum exit_class class);

/** err_escape(dst, size, src): copy ${src}, bytes that could move a cursor or hide text as \xNN. */
void err_escape(char *dst, size_t size, const char *src);

#endif
