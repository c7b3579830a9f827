/* SPDX-License-Identifier: ISC */
/* The runs that are cut off, and what must be true after the next one. */
#ifndef SATCHEL_TESTS_CRASH_CASES_H
#define SATCHEL_TESTS_CRASH_CASES_H

#include "tests/sim/life.h"

struct crash_case {
	const char *name;
	void (*prepare)(struct world *w); /* all but the run; may be NULL */
	int (*run)(struct world *w);
	int (*next)(struct world *w);   /* the next run; NULL: the same again */
	void (*after)(struct world *w); /* what follows until everything is as wanted */
};
extern const struct crash_case crash_cases[];
extern const size_t crash_cases_n;

/** case_check(w, c, usual): the next run and what follows; world_fail() when something is wrong.
 * ${usual} has the names that may be there at the end; NULL: they are only collected. */
void case_check(struct world *w, const struct crash_case *c, const struct strings *usual);
/** case_names(w, ret): every name that could be left behind, sorted. */
void case_names(struct world *w, struct strings *ret);

#endif
