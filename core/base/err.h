/*
 * Errors are values: a code, one sentence that a person can act on, and nothing else.
 *
 * A function that can fail returns 0 or a negative enum rc and takes a `struct err *` as its last
 * parameter.  The sentence is written where the fault is seen (err_set, err_sys), may be prefixed
 * by callers who know more (err_prefix), and is printed once, at the top.  Libraries never print.
 *
 * The exit classes are one table, shared by the program, satchel(1), and the receipts.
 */
#ifndef SATCHEL_BASE_ERR_H
#define SATCHEL_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* code, exit class, slug (used in receipts and --json), what the class means */
#define RC_TABLE(X)                                                                      \
	X(RC_INTERNAL, 1, "internal", "internal error")                                  \
	X(RC_MEMORY, 1, "memory", "out of memory")                                       \
	X(RC_USAGE, 2, "usage", "the command was not understood")                        \
	X(RC_MALFORMED, 3, "malformed", "not in the form that the format asks for")      \
	X(RC_UNTRUSTED, 4, "untrusted", "signature, key or role is not good")            \
	X(RC_REPLAY, 5, "replay", "older than what is known already")                    \
	X(RC_EXPIRED, 5, "expired", "past the time until which it may be believed")      \
	X(RC_ADDRESSEE, 5, "addressee", "made for another site, channel or workstation") \
	X(RC_FORK, 5, "fork", "the same number with other content")                      \
	X(RC_POLICY, 6, "policy", "not allowed here")                                    \
	X(RC_PATH, 6, "path", "a name or path that is not allowed")                      \
	X(RC_TYPE, 6, "type", "a kind of file that is not allowed")                      \
	X(RC_LIMIT, 6, "limit", "larger, deeper or more than the limits allow")          \
	X(RC_AGAIN, 7, "again", "try again later")                                       \
	X(RC_INCOMPLETE, 7, "incomplete", "not all of it has arrived")                   \
	X(RC_IO, 7, "io", "the medium or the system refused")                            \
	X(RC_SPACE, 7, "space", "not enough space")                                      \
	X(RC_TIMEOUT, 7, "timeout", "no answer in time")                                 \
	X(RC_CONFLICT, 8, "conflict", "a local change is in the way")                    \
	X(RC_BUSY, 8, "busy", "another run is at work")                                  \
	X(RC_STATE, 9, "state", "the own database is missing, older or damaged")

enum rc {
	RC_OK = 0,
#define X(code, status, slug, text) code##_POSITIVE,
	RC_TABLE(X)
#undef X
#define X(code, status, slug, text) code = -code##_POSITIVE,
	    RC_TABLE(X)
#undef X
};

#define ERR_TEXT_MAX 1024

struct err {
	int rc; /* enum rc; 0 while nothing failed */
	char
	    text[ERR_TEXT_MAX]; /* one sentence, no newline, no full stop; may hold foreign bytes */
};

/**
 * err_set(err, rc, fmt, ...):
 * Record ${rc} and a sentence, replacing what was there.  ${err} may be NULL.
 * Returns ${rc}, so that `return err_set(...)` reads well.
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

/** rc_status(rc): the exit status of the class (0 to 9).  rc_slug(rc): its word.  rc_text(rc): its
 * meaning. */
int rc_status(int rc);
const char *rc_slug(int rc);
const char *rc_text(int rc);

/** rc_from_slug(slug): the code of a slug, or RC_INTERNAL when there is none. */
int rc_from_slug(const char *slug);

/** err_escape(dst, size, src): copy ${src}, bytes that could move a cursor or hide text as \xNN. */
void err_escape(char *dst, size_t size, const char *src);

#endif
