/* SPDX-License-Identifier: ISC */
/*
 * What one depot may cost a run.  Silence ends a dead share; this ends one that answers, but brings
 * nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/depot/depot_internal.h"

/* Tests cannot wait for minutes; the environment can take from the budget and never adds to it. */
static int64_t wait_most(void)
{
	const char *set = secure_getenv("SATCHEL_DEPOT_SECONDS");
	int64_t seconds;

	if (set == NULL || number_i64(set, strlen(set), &seconds, ERR_IGNORED) < 0 || seconds < 0 ||
	    seconds > LIMIT_DEPOT_SECONDS)
		seconds = LIMIT_DEPOT_SECONDS;
	return seconds * 1000;
}

struct depot_budget budget_begin(void)
{
	int64_t most = wait_most();

	return (struct depot_budget){most, most, 0, LIMIT_DEPOT_ENTRIES, LIMIT_DEPOT_BYTES};
}

void depot_hurry(struct depot *d, int seconds)
{
	struct depot_budget *b = &d->budget;

	if (b->wait_most > (int64_t)seconds * 1000)
		b->wait_most = (int64_t)seconds * 1000;
	if (b->wait_ms > b->wait_most)
		b->wait_ms = b->wait_most;
}

void depot_credit(struct depot *d, uint64_t files, uint64_t bytes)
{
	struct depot_budget *b = &d->budget;
	uint64_t won = files * LIMIT_DEPOT_FILE_MS + bytes / (LIMIT_DEPOT_RATE / 1000);
	int64_t spent = b->wait_most - b->wait_ms;

	b->wait_ms += won < (uint64_t)spent ? (int64_t)won : spent;
	b->bytes = bytes < LIMIT_DEPOT_BYTES - b->bytes ? b->bytes + bytes : LIMIT_DEPOT_BYTES;
	b->entries =
	    files < LIMIT_DEPOT_ENTRIES - b->entries ? b->entries + files : LIMIT_DEPOT_ENTRIES;
}

static int64_t worth(uint64_t bytes)
{
	return (int64_t)(bytes / (LIMIT_DEPOT_RATE / 1000));
}

void depot_work(struct depot *d, uint64_t bytes)
{
	d->budget.winnable = worth(bytes);
}

void depot_worked(struct depot *d, uint64_t bytes)
{
	struct depot_budget *b = &d->budget;
	int64_t won = worth(bytes), spent = b->wait_most - b->wait_ms;

	won = won < spent ? won : spent;
	won = won < b->winnable ? won : b->winnable;
	b->winnable -= won;
	b->wait_ms += won;
}

int depot_waiting(const struct depot *d)
{
	return d->budget.wait_ms < d->silence_ms ? (int)d->budget.wait_ms : d->silence_ms;
}

unsigned depot_left(const struct depot *d)
{
	const struct depot_budget *b = &d->budget;
	uint64_t time = b->wait_ms > 0 && b->wait_most > 0
			    ? (uint64_t)b->wait_ms * 100 / (uint64_t)b->wait_most
			    : 0;
	uint64_t entries = b->entries * 100 / LIMIT_DEPOT_ENTRIES;
	uint64_t bytes = b->bytes * 100 / LIMIT_DEPOT_BYTES;
	uint64_t least = entries < bytes ? entries : bytes;

	return (unsigned)(time < least ? time : least);
}

int depot_gone(const struct depot *d, struct err *err)
{
	if (d->over.rc != 0 && d->over.rc != RC_IO) {
		*err = d->over;
		return err->rc;
	}
	return err_set(err, d->dead, "the depot \"%s\" was given up before", d->path);
}

bool depot_over(const struct depot *d, struct err *ret)
{
	if (d->dead == 0 || d->over.rc == 0)
		return false;
	*ret = d->over;
	return true;
}

/* ${how}: what it was too much of. */
static int spent(struct depot *d, const char *how, struct err *err)
{
	child_kill(&d->child);
	d->dead = RC_TIMEOUT;
	err_set(&d->over, RC_TIMEOUT,
		"the depot \"%s\" is too slow or too full: %s, and brought too little; it is not "
		"used again in this run",
		d->path, how);
	*err = d->over;
	return RC_TIMEOUT;
}

int depot_waited(struct depot *d, int64_t since, struct err *err)
{
	int64_t took = clock_monotonic_ms() - since;
	char how[64];

	if (d->dead != 0)
		return depot_gone(d, err);
	/* A machine that slept meanwhile did not wait. */
	d->budget.wait_ms -= took < d->silence_ms ? took : d->silence_ms;
	if (d->budget.wait_ms > 0)
		return 0;
	snprintf(how, sizeof(how), "it was waited for %lld seconds",
		 (long long)d->budget.wait_most / 1000);
	return spent(d, how, err);
}

int depot_charge(struct depot *d, uint64_t entries, uint64_t bytes, struct err *err)
{
	struct depot_budget *b = &d->budget;
	char how[64];

	b->entries -= entries < b->entries ? entries : b->entries;
	b->bytes -= bytes < b->bytes ? bytes : b->bytes;
	if (b->entries == 0)
		snprintf(how, sizeof(how), "%u files and directories were listed",
			 LIMIT_DEPOT_ENTRIES);
	else if (b->bytes == 0)
		snprintf(how, sizeof(how), "%llu bytes were read", LIMIT_DEPOT_BYTES);
	else
		return 0;
	return spent(d, how, err);
}
