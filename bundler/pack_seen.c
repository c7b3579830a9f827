#include <stdlib.h>

#include "bundler/pack_internal.h"

/*
 * The contents of this pack by digest, in 8 bytes each: 24 bits of the digest and 40 bits of where
 * its item lies in the spool (plus one, so that 0 is a free slot).  The slot comes from other bits
 * of the digest; what looks equal is compared with the whole digest in the spool.  A million
 * contents take 16 MiB, whatever their paths.
 */
#define SEEN_OFFSET_BITS 40
#define SEEN_OFFSET_MASK ((1ull << SEEN_OFFSET_BITS) - 1)

struct pack_seen {
	uint64_t *slot; /* owned */
	uint64_t mask;  /* slots - 1 */
	uint64_t used;
};

int pack_seen_new(uint64_t files, struct pack_seen **ret, struct err *err)
{
	struct pack_seen *s = calloc(1, sizeof(*s));
	uint64_t slots = 1024;

	if (s == NULL)
		return err_memory(err);
	while (slots < files + files / 2)
		slots *= 2;
	s->slot = calloc(slots, sizeof(*s->slot));
	s->mask = slots - 1;
	if (s->slot == NULL) {
		free(s);
		return err_memory(err);
	}
	*ret = s;
	return 0;
}

struct pack_seen *pack_seen_free(struct pack_seen *s)
{
	if (s != NULL)
		free(s->slot);
	free(s);
	return NULL;
}

static uint64_t seen_mark(const struct digest *digest)
{
	return (get_u64(digest->b + 8) << SEEN_OFFSET_BITS);
}

int pack_seen_find(struct pack_seen *s, const struct digest *digest, struct item_reader *reader,
		   struct pack_item *ret, struct err *err)
{
	uint64_t mark = seen_mark(digest);

	for (uint64_t i = get_u64(digest->b) & s->mask; s->slot[i] != 0; i = (i + 1) & s->mask) {
		int rc;

		if ((s->slot[i] & ~SEEN_OFFSET_MASK) != mark)
			continue;
		rc = item_at(reader, (s->slot[i] & SEEN_OFFSET_MASK) - 1, ret, err);
		if (rc < 0)
			return rc;
		if (digest_equal(&ret->now.digest, digest))
			return 1;
	}
	return 0;
}

static void seen_place(struct pack_seen *s, const struct digest *digest, uint64_t value)
{
	uint64_t i = get_u64(digest->b) & s->mask;

	while (s->slot[i] != 0)
		i = (i + 1) & s->mask;
	s->slot[i] = value;
}

/* More files than were announced: their digests are read from the spool again. */
static int seen_grow(struct pack_seen *s, struct item_reader *reader, struct err *err)
{
	struct pack_seen bigger = {.mask = s->mask * 2 + 1, .used = s->used};

	bigger.slot = calloc(bigger.mask + 1, sizeof(*bigger.slot));
	if (bigger.slot == NULL)
		return err_memory(err);
	for (uint64_t i = 0; i <= s->mask; i++) {
		struct pack_item it;
		int rc;

		if (s->slot[i] == 0)
			continue;
		rc = item_at(reader, (s->slot[i] & SEEN_OFFSET_MASK) - 1, &it, err);
		if (rc < 0) {
			free(bigger.slot);
			return rc;
		}
		seen_place(&bigger, &it.now.digest, s->slot[i]);
	}
	free(s->slot);
	*s = bigger;
	return 0;
}

int pack_seen_add(struct pack_seen *s, const struct digest *digest, uint64_t offset,
		  struct item_reader *reader, struct err *err)
{
	int rc;

	if (offset >= SEEN_OFFSET_MASK)
		return err_set(err, RC_LIMIT, "more changes than one bundle can hold");
	if (s->used >= s->mask - s->mask / 4) {
		rc = seen_grow(s, reader, err);
		if (rc < 0)
			return rc;
	}
	seen_place(s, digest, seen_mark(digest) | (offset + 1));
	s->used++;
	return 0;
}
