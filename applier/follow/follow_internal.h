/* SPDX-License-Identifier: ISC */
/*
 * What the files of follow share.
 */
#ifndef SATCHEL_APPLIER_FOLLOW_FOLLOW_INTERNAL_H
#define SATCHEL_APPLIER_FOLLOW_FOLLOW_INTERNAL_H

#include "applier/follow/follow.h"
#include "core/base/list.h"

/* What a name in a depot claims: 32 bytes each, because a directory may hold millions. */
struct listing_row {
	uint64_t epoch, number;
	uint8_t digest[DIGEST_NAME / 2];
};

/* Files of one kind in one directory of a depot; descending by (epoch, number). */
struct listing LIST_MEMBERS(struct listing_row);

struct listing_filter {
	enum name_kind kind;
	const char *id;        /* NAME_PRIVATE: whose */
	uint64_t epoch, above; /* heads and private bundles: exactly this epoch */
	uint64_t until;        /* numbers above ${above} up to this */
	uint8_t xx;            /* NAME_SHARD: which */
};

/**
 * listing_read(d, dir, f, ret, err): the names of ${dir} that ${f} wants, descending; equal numbers
 * in a random order.  ${*ret} is the caller's (listing_clear).  Errors: those of depot_list;
 * RC_MEMORY.
 * listing_clear(l): release the rows; for OWNED.
 */
int listing_read(struct depot *d, const char *dir, const struct listing_filter *f,
		 struct listing *ret, struct err *err);
void listing_clear(struct listing *l);
/** listed_digest(row): its first half, for the name_* makers. */
struct digest listed_digest(const struct listing_row *row);

/*
 * What one search for a good document may cost: a flood of well-named junk in front of it must not
 * hide it, and must not hold a sync for ever.
 */
#define SEARCH_TRIES 300000u
#define SEARCH_MS    60000

struct search {
	unsigned tries; /* left */
	int64_t until;  /* clock_monotonic_ms */
};
/** search_begin(): a new budget, counted from now. */
struct search search_begin(void);
/** search_try(s): may one more document be read? */
bool search_try(struct search *s);

/** follow_retired(what, d, err): ${what} is signed by a retired publish key, which no current
 * document vouches for: RC_INCOMPLETE, because a depot that is behind looks like that. */
int follow_retired(const char *what, struct depot *d, struct err *err);

/** follow_fatal(rc): would going on with the next file of this depot be of no use? */
bool follow_fatal(int rc);

#endif
