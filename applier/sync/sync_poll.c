/* SPDX-License-Identifier: ISC */
/*
 * Is there anything for us?  A new beat is made whenever anything changed for anybody; most of the
 * time it is for others, and the shards that the beat names say so.
 */
#include <string.h>

#include "applier/station/station_state.h"
#include "applier/sync/sync_internal.h"
#include "core/base/own.h"

/* The shard of ${name} in a beat; NULL when it names none. */
static const struct digest *shard_in(const struct beat *b, const char *name)
{
	uint8_t xx = shard_of(name);

	for (size_t i = 0; i < b->shards; i++)
		if (b->shard[i].xx == xx)
			return &b->shard[i].digest;
	return NULL;
}

static bool shard_same(const struct beat *a, const struct beat *b, const char *name)
{
	const struct digest *x = shard_in(a, name), *y = shard_in(b, name);

	return x == NULL || y == NULL ? x == y : digest_equal(x, y);
}

/* Without a private channel nothing is known of what is for us. */
static int news_find(struct sync *y, const struct beat *before, struct sync_news *n,
		     struct err *err)
{
	uint64_t generation;
	int rc = private_generation(y->s, &generation, err);

	n->ours = before->sequence == 0 || before->epoch != y->beat.epoch ||
		  before->trust != y->beat.trust || generation == 0 ||
		  !shard_same(before, &y->beat, y->s->id);
	n->knocked = y->beat.knock_all;
	for (size_t i = 0; i < y->beat.knocks; i++)
		n->knocked = n->knocked || strcmp(y->beat.knock[i], y->s->id) == 0;
	if (rc < 0 || n->ours)
		return rc < 0 ? rc : 0;
	if (sync_wanted_read(y, err) < 0) {
		n->ours = true; /* a sync says what is wrong with it */
		return 0;
	}
	for (size_t i = 0; i < y->wanted.subs; i++)
		n->ours = n->ours || !shard_same(before, &y->beat, y->wanted.sub[i].name);
	return 0;
}

int sync_poll(struct station *s, struct sync_news *ret, struct err *err)
{
	struct sync_news n = {0};
	struct beat before;
	struct digest identity;
	struct sync *y = NULL;
	int rc = sync_begin(s, SYNC_DRY_RUN, NULL, NULL, &y, err);

	if (rc < 0)
		return rc;
	rc = station_beat_current(s, &before, &identity, err);
	if (rc == 0)
		memset(&before, 0, sizeof(before));
	if (rc >= 0)
		rc = sync_open(y, NULL, err);
	if (rc == 0)
		rc = sync_follow(y, err);
	n.beat = y->beat.sequence;
	n.newer = y->beat.sequence != before.sequence || y->beat.epoch != before.epoch;
	if (rc == 0 && n.newer)
		rc = news_find(y, &before, &n, err);
	rc = sync_end(y, rc, err);
	/* What is only late or stale is for the sync to say, and to try again. */
	if (rc < 0 && rc_class(rc) != EXIT_CLASS_AGAIN && rc_class(rc) != EXIT_CLASS_REPLAY)
		return rc;
	n.ours = n.ours || (rc < 0 && rc_class(rc) == EXIT_CLASS_AGAIN);
	*ret = n;
	return 0;
}
