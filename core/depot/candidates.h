/* SPDX-License-Identifier: ISC */
/*
 * In which order names are tried that anybody may have made up.
 */
#ifndef SATCHEL_CORE_DEPOT_CANDIDATES_H
#define SATCHEL_CORE_DEPOT_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* Rows of a list by their index, the most wanted first. */
struct candidates {
	size_t first, last; /* those that were not taken lie in [first, last) */
	uint8_t *taken;     /* owned */
	unsigned turn;
};
/**
 * candidates_begin(n, ret, err): ${n} of them; the caller clears ${ret}.  Errors: RC_MEMORY.
 * candidates_next(c, ret): the first, the last, and any, in turn.  Junk can have the highest
 * numbers, the lowest, or that of the true one, and any digests; but wherever it lies, it cannot be
 * everywhere first, and what it hides from one run another one finds.  Without junk the first is
 * the one.  false: none is left.
 * candidates_until(c, last): those from ${last} on are of no use any more.
 * candidates_clear(c): release; for OWNED.
 */
int candidates_begin(size_t n, struct candidates *ret, struct err *err);
bool candidates_next(struct candidates *c, size_t *ret);
void candidates_until(struct candidates *c, size_t last);
void candidates_clear(struct candidates *c);

/**
 * candidates_tries(most): how many may be tried; tests cannot make 100,000 files, so
 * SATCHEL_SEARCH_TRIES takes from ${most} and never adds to it.
 * candidates_random(below): a number that nobody can foresee; ${below} is not 0.
 * candidates_order(n, ret, err): the numbers below ${n} in an order that nobody can foresee:
 * whoever fills a directory must not choose what is read first.  ${*ret} is the caller's.
 * Errors: RC_MEMORY.
 */
unsigned candidates_tries(unsigned most);
size_t candidates_random(size_t below);
int candidates_order(size_t n, uint32_t **ret, struct err *err);

#endif
