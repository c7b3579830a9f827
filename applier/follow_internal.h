/*
 * What the files of follow share.
 */
#ifndef SATCHEL_APPLIER_FOLLOW_INTERNAL_H
#define SATCHEL_APPLIER_FOLLOW_INTERNAL_H

#include "applier/follow.h"

/* Files of one kind in one directory of a depot: what their names claim, 32 bytes each, because
 * a directory may hold millions. */
struct listing {
	struct listed {
		uint64_t epoch, number;
		uint8_t digest[DIGEST_NAME / 2];
	} * row; /* owned; descending by (epoch, number) */
	size_t rows, room;
};

struct listing_filter {
	enum name_kind kind;
	const char *id;        /* NAME_PRIVATE: whose */
	uint64_t epoch, above; /* heads and private bundles: exactly this epoch */
	uint64_t until;        /* numbers above ${above} up to this */
	uint8_t xx;            /* NAME_SHARD: which */
};

int listing_read(struct depot *d, const char *dir, const struct listing_filter *f,
		 struct listing *ret, struct err *err);
void listing_clear(struct listing *l);
/** listed_digest(row): its first half, for the name_* makers. */
struct digest listed_digest(const struct listed *row);

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
struct search search_begin(void);
/** search_try(s): may one more document be read? */
bool search_try(struct search *s);

/* What is known of a bundle before it is read. */
struct expected {
	const char *what;              /* for messages */
	const struct digest *identity; /* of the manifest; NULL: by hand, nothing names it */
	const struct digest *prefix;   /* of the prefix; NULL: the name's half of it */
};
/** bundle_prefix_read(d, path, t, x, b, err): the prefix of the file ${path}, a bundle or a part of
 * one, into ${b}; what follows it is not looked at. */
int bundle_prefix_read(struct depot *d, const char *path, const struct trust *t,
		       const struct expected *x, struct follow_bundle *b, struct err *err);
/** follow_parts(f, path, x, ret, err): the bundle ${path} when only parts of it are here.  1 when
 * all of one cut are; 0: there is none; RC_INCOMPLETE says which are missing. */
int follow_parts(struct follow *f, const char *path, const struct expected *x,
		 struct follow_bundle *ret, struct err *err);

/** follow_fatal(rc): would going on with the next file of this depot be of no use? */
bool follow_fatal(int rc);

#endif
