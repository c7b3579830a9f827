/* SPDX-License-Identifier: ISC */
/*
 * Findings: what an examination says, check by check: how it is, in a sentence, and what to do
 * about it.  An examination changes nothing and never stops at the first fault.
 */
#ifndef SATCHEL_CORE_BASE_FINDING_H
#define SATCHEL_CORE_BASE_FINDING_H

#include "core/base/err.h"

enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_WRONG, FINDING_LEVELS };
extern const char *const finding_levels[FINDING_LEVELS]; /* "ok", "warning", "wrong" */

struct finding {
	const char *check; /* its name */
	enum finding_level level;
	int rc;                    /* enum rc of what is wrong, else 0 */
	char text[ERR_TEXT_MAX];   /* one sentence; may hold foreign bytes */
	char remedy[ERR_TEXT_MAX]; /* what to do, "" when the sentence says it or nothing is to be
				      done */
};

struct findings {
	void (*each)(void *arg, const struct finding *one);
	void *arg;
	const char *check; /* the one that runs */
	unsigned count[FINDING_LEVELS];
	int worst;  /* the code with the highest exit class of what is wrong; 0: nothing is */
	bool waits; /* ${last} is not told yet: its remedy may follow */
	struct finding last;
};

/**
 * found_ok(f, fmt, ...), found_warning(f, fmt, ...): one finding of the check that runs; ${fmt}
 * makes its sentence.
 * found_wrong(f, rc, fmt, ...): what is wrong; ${rc} is kept in ${f->worst} when its exit class is
 * the highest so far.
 */
void found_ok(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void found_warning(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void found_wrong(struct findings *f, int rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** found_err(f, err): found_wrong() with the code and the sentence of ${err}. */
void found_err(struct findings *f, const struct err *err);
/**
 * found_remedy(f, fmt, ...): what to do about the last finding; must follow it within the same
 * check.
 */
void found_remedy(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/**
 * found(f, level, rc, fmt, ...): the same with the level as a value; ${rc} counts for
 * FINDING_WRONG only.
 */
void found(struct findings *f, enum finding_level level, int rc, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A row of a table of checks. */
struct check {
	const char *name;
	void (*run)(void *subject, struct findings *f);
};
/** checks_run(rows, n, subject, f): each in turn; everything found is told when it returns. */
void checks_run(const struct check *rows, size_t n, void *subject, struct findings *f);
/** finding_only(f, check, err): one finding outside any table: what there was to look at could not
 * be opened. */
void finding_only(struct findings *f, const char *check, const struct err *err);

#endif
