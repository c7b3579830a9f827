/* SPDX-License-Identifier: ISC */
/*
 * Anybody may write into a depot, and names say what they like.  A reader that tries them in an
 * order that is known beforehand can be kept from the true one for ever.
 */
#include "core/depot/candidates.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/bytes.h"

unsigned candidates_tries(unsigned most)
{
	const char *set = secure_getenv("SATCHEL_SEARCH_TRIES");
	int64_t tries;

	if (set == NULL || number_i64(set, strlen(set), &tries, ERR_IGNORED) < 0 || tries < 0 ||
	    tries > most)
		return most;
	return (unsigned)tries;
}

size_t candidates_random(size_t below)
{
	size_t n = 0;

	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
		n = 0;
	return n % below;
}

static void shuffle(uint32_t *row, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t other = candidates_random(i);
		uint32_t last = row[i - 1];

		row[i - 1] = row[other];
		row[other] = last;
	}
}

int candidates_order(size_t n, uint32_t **ret, struct err *err)
{
	uint32_t *order = calloc(n + 1, sizeof(*order));

	if (order == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	shuffle(order, n);
	*ret = order;
	return 0;
}

void candidates_clear(struct candidates *c)
{
	free(c->taken);
	memset(c, 0, sizeof(*c));
}

int candidates_begin(size_t n, struct candidates *ret, struct err *err)
{
	*ret = (struct candidates){.last = n, .taken = calloc(n + 1, 1)};
	return ret->taken == NULL ? err_memory(err) : 0;
}

void candidates_until(struct candidates *c, size_t last)
{
	if (c->last > last)
		c->last = last;
	if (c->first > c->last)
		c->first = c->last;
}

bool candidates_next(struct candidates *c, size_t *ret)
{
	while (c->first < c->last && c->taken[c->first])
		c->first++;
	while (c->first < c->last && c->taken[c->last - 1])
		c->last--;
	if (c->first == c->last)
		return false;
	*ret = c->turn % 3 == 0   ? c->first
	       : c->turn % 3 == 1 ? c->last - 1
				  : c->first + candidates_random(c->last - c->first);
	c->turn++;
	if (c->taken[*ret])
		*ret = c->first;
	c->taken[*ret] = 1;
	return true;
}
