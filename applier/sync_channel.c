#include "applier/sync_internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "applier/station_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/tree/index.h"

/* One channel on its way from what is held to what the shard names. */
struct job {
	struct sync *y;
	const struct subscription *sub; /* borrowed */
	struct sync_place place;        /* owned */
	struct apply_target target;
	uint64_t epoch, generation; /* held */
	struct digest tree;
	const struct shard_channel *row; /* borrowed; NULL while nothing was published */
	struct head head;                /* owned; bundles that cannot be had are taken out */
	struct err missing;              /* why the last one could not be had */
	struct sync_outcome o;
};

static void job_clear(struct job *j)
{
	sync_place_clear(&j->place);
	head_clear(&j->head);
}

static int row_find(struct job *j, struct err *err)
{
	const struct shard *shard;
	int rc = sync_shard_of(j->y, j->sub->name, &shard, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < shard->channels; i++)
		if (strcmp(shard->channel[i].name, j->sub->name) == 0)
			j->row = &shard->channel[i];
	if (j->row == NULL)
		return 0;
	j->o.out.wanted = j->row->generation;
	if (j->row->epoch > j->y->s->trust.epoch[ROLE_PUBLISH])
		return err_set(err, RC_UNTRUSTED,
			       "epoch %" PRIu64 " is not one that the trust document allows",
			       j->row->epoch);
	/* What no head has confirmed yet came by hand, ahead of the beat: that is no replay. */
	if (sync_later(j->epoch, j->generation, j->row->epoch, j->row->generation) &&
	    !digest_is_zero(&j->place.head))
		return err_set(err, RC_REPLAY,
			       "generation %" PRIu64 " is offered, %" PRIu64 " is held",
			       j->row->generation, j->generation);
	return 0;
}

static int head_find(struct job *j, struct err *err)
{
	int rc =
	    err_set(err, RC_INCOMPLETE, "head %" PRIu64 " has not arrived: no depot is at hand",
		    j->row->generation);

	for (size_t i = 0; rc < 0 && i < j->y->depots; i++)
		rc = follow_head(&j->y->depot[i], j->row, &j->head, err);
	return rc;
}

/* The generation that is held, under another head: the same tree, or a fork? */
static int held_check(struct job *j, struct err *err)
{
	int rc;

	if (j->generation == 0 || digest_equal(&j->place.head, &j->row->head))
		return 0;
	rc = head_find(j, err);
	if (rc < 0)
		return rc == RC_INCOMPLETE ? 0 : rc;
	if (!digest_equal(&j->head.tree, &j->tree))
		return err_set(err, RC_FORK,
			       "generation %" PRIu64 " is offered with another tree than the one "
			       "that was applied here",
			       j->generation);
	if (j->y->flags & SYNC_DRY_RUN)
		return 0;
	j->place.head = j->row->head;
	return sync_place_keep(j->y->s, &j->place, err);
}

/* Is another depot, or another path through the bundles, worth a try? */
static bool worth_another(int rc)
{
	return rc == RC_AGAIN || rc == RC_INCOMPLETE || rc == RC_IO || rc == RC_TIMEOUT ||
	       rc == RC_MALFORMED || rc == RC_UNTRUSTED || rc == RC_ADDRESSEE || rc == RC_FORK ||
	       rc == RC_TYPE;
}

static int bundle_try(struct job *j, struct follow *f, size_t i, struct apply_preview *ret,
		      struct err *err)
{
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	int rc = follow_channel_bundle(f, &j->head, i, &b, err);

	if (rc == 0 && b.manifest.recipient[0] != '\0')
		rc = err_set(err, RC_MALFORMED,
			     "the channel is sealed, which this satchel cannot open: update it");
	if (rc == 0) {
		struct apply_bundle bundle = {f->depot,         b.path, &b.manifest,  b.blocks,
					      b.payload_offset, NULL,   b.part_blocks};

		rc = apply_bundle(j->y->s, &bundle, &j->target,
				  j->y->flags & SYNC_DRY_RUN ? APPLY_DRY_RUN : 0, ret, err);
	}
	return rc;
}

static int bundle_apply(struct job *j, size_t i, struct apply_preview *ret, struct err *err)
{
	int rc = err_set(err, RC_AGAIN, "no depot is at hand");

	for (size_t d = 0; d < j->y->depots; d++) {
		struct err bad = {0};

		rc = bundle_try(j, &j->y->depot[d], i, ret, &bad);
		if (rc == 0)
			return 0;
		/* Of several depots the one that says more than "not here" is told. */
		if (d == 0 || rc_status(err->rc) == 7)
			*err = bad;
		if (!worth_another(rc))
			break;
	}
	return err->rc;
}

static void preview_add(struct apply_preview *sum, const struct apply_preview *one)
{
	for (size_t i = 0; i < ARRAY_LEN(sum->count); i++)
		sum->count[i] += one->count[i];
	sum->bytes += one->bytes;
	sum->deletions += one->deletions;
	sum->conflicts += one->conflicts;
	if (one->space_needed > sum->space_needed)
		sum->space_needed = one->space_needed;
	if (one->inodes_needed > sum->inodes_needed)
		sum->inodes_needed = one->inodes_needed;
	sum->space_free = one->space_free;
	sum->inodes_free = one->inodes_free;
	sum->deviations = one->deviations;
	sum->adaptations = one->adaptations;
}

/* Which bundle comes next: the cheapest way from what is held, else from nothing. */
static int bundle_next(const struct job *j, uint64_t from, size_t *ret, size_t *ret_n,
		       struct err *err)
{
	size_t path[LIMIT_HEAD_BUNDLES];
	int rc = head_path(&j->head, from, path, ret_n, err);

	if (rc < 0 && from > 0)
		rc = head_path(&j->head, 0, path, ret_n, err);
	if (rc == 0)
		*ret = path[0];
	return rc;
}

static void bundle_drop(struct job *j, size_t i, const struct err *why)
{
	struct head *h = &j->head;

	j->missing = *why;
	h->bundles--;
	memmove(&h->bundle[i], &h->bundle[i + 1], (h->bundles - i) * sizeof(*h->bundle));
}

/* The index must not be ahead of where recovery looks, so the place is kept first. */
static int job_place_keep(struct job *j, struct err *err)
{
	return j->y->flags & SYNC_DRY_RUN ? 0 : sync_place_keep(j->y->s, &j->place, err);
}

static int job_applied(struct job *j, uint64_t generation, struct err *err)
{
	j->o.applied = true;
	j->o.out.after = generation;
	j->o.out.epoch = j->row->epoch;
	if (generation != j->head.generation)
		return 0;
	j->place.head = j->row->head;
	return job_place_keep(j, err);
}

/* Every bundle of the way, each applied or not at all; what cannot be had is gone round. */
static int job_walk(struct job *j, struct err *err)
{
	uint64_t from = j->epoch == j->row->epoch ? j->generation : 0;
	bool dry = j->y->flags & SYNC_DRY_RUN;
	int rc = job_place_keep(j, err);

	while (rc == 0 && from != j->head.generation) {
		struct apply_preview preview = {0};
		struct err bad = {0};
		uint64_t generation;
		size_t i = 0, n = 0;

		if (bundle_next(j, from, &i, &n, &bad) < 0) {
			*err = j->missing.rc < 0 ? j->missing : bad;
			return err->rc;
		}
		generation = j->head.bundle[i].generation;
		rc = bundle_apply(j, i, &preview, err);
		if (worth_another(rc)) {
			bundle_drop(j, i, err);
			rc = 0;
			continue;
		}
		if (rc < 0)
			return rc;
		preview_add(&j->o.out.preview, &preview);
		if (dry) /* what comes after stands on what was not applied */
			return 0;
		from = generation;
		rc = job_applied(j, generation, err);
	}
	return rc;
}

/* The channel moved: what it left behind is left as if it had been unsubscribed. */
static int job_move(struct job *j, const char *path, struct err *err)
{
	int rc;

	if (j->place.path != NULL && strcmp(j->place.path, path) != 0) {
		say_info(j->y->s->say, "channel %s goes to %s: its files in %s %s", j->sub->name,
			 path, j->place.path,
			 strcmp(j->place.on_leave, "remove") == 0 ? "are removed" : "stay");
		if (j->y->flags & SYNC_DRY_RUN)
			return 0;
		rc = sync_leave(j->y->s, &j->place, err);
		if (rc < 0)
			return rc;
		sync_place_clear(&j->place);
		j->epoch = j->generation = j->o.out.before = j->o.out.after = 0;
		memset(&j->tree, 0, sizeof(j->tree));
	}
	if (j->place.path == NULL)
		j->place.path = strdup(path);
	return j->place.path == NULL ? err_memory(err) : 0;
}

static int job_prepare(struct job *j, const char *path, struct err *err)
{
	struct station *s = j->y->s;
	int rc = sync_place_load(s, j->sub->name, &j->place, err);

	if (rc >= 0)
		rc = job_move(j, path, err);
	if (rc < 0)
		return rc;
	j->place.owners = j->sub->owners && s->owners;
	j->place.special_modes = j->sub->special_modes && s->special_modes;
	snprintf(j->place.on_leave, sizeof(j->place.on_leave), "%s", j->sub->on_leave);
	return sync_place_target(s, &j->place, &j->target, err);
}

/* 1: the directory holds nothing but what is ours, or (*gone) it is not there. */
static int target_bare(struct job *j, bool *gone, struct err *err)
{
	struct apply_target *t = &j->target;
	int fd = beneath_dir(t->rootfd, *t->path == '\0' ? "." : t->path, err);
	struct dirent *d;
	bool bare = true;
	DIR *dir;

	*gone = fd < 0 && errno == ENOENT;
	if (fd < 0)
		return *gone ? 1 : fd;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(err, RC_IO, "cannot read %s", j->place.path);
	}
	while (bare && (d = readdir(dir)) != NULL)
		bare = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		       strncmp(d->d_name, ".satchel-", 9) == 0;
	closedir(dir);
	return bare;
}

static int held_entries(struct job *j, uint64_t *ret, struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	uint64_t bytes;
	int rc = index_open(j->y->s->db, j->place.tree, &x, err);

	return rc < 0 ? rc : index_counts(x, ret, &bytes, err);
}

/*
 * A bundle of changes on top of a tree that is not there would make something that nobody
 * published.  A directory that was removed is made again from nothing; one that is empty may be
 * the mount point of a file system that is absent, so a person decides.
 */
static int job_lost(struct job *j, struct err *err)
{
	uint64_t entries = 0;
	bool gone = false;
	int rc = j->generation == 0 ? 0 : target_bare(j, &gone, err);

	if (rc == 1)
		rc = held_entries(j, &entries, err);
	if (rc < 0 || entries == 0)
		return rc;
	if (!gone)
		return err_set(err, RC_IO,
			       "%s is empty, but generation %" PRIu64
			       " was applied there: mount what belongs there, or remove the empty "
			       "directory to have everything applied again",
			       j->place.path, j->generation);
	rc = sync_waits(j->y, err);
	if (rc < 0)
		return rc;
	say_warning(j->y->s->say, "%s is gone: channel %s is applied again from nothing",
		    j->place.path, j->sub->name);
	if (j->y->flags & SYNC_DRY_RUN)
		return 0;
	rc = sync_forget(j->y->s, j->place.tree, err);
	j->epoch = j->generation = j->o.out.before = j->o.out.after = 0;
	memset(&j->tree, 0, sizeof(j->tree));
	memset(&j->place.head, 0, sizeof(j->place.head));
	return rc;
}

static int job_run(struct job *j, const char *path, struct err *err)
{
	int rc = job_prepare(j, path, err);

	if (rc == 0)
		rc = job_lost(j, err);
	if (rc == 0)
		rc = row_find(j, err);
	if (rc < 0 || j->row == NULL)
		return rc;
	if (sync_later(j->epoch, j->generation, j->row->epoch, j->row->generation))
		return 0;
	if (!sync_later(j->row->epoch, j->row->generation, j->epoch, j->generation))
		return held_check(j, err);
	rc = sync_waits(j->y, err);
	if (rc == 0)
		rc = head_find(j, err);
	return rc < 0 ? rc : job_walk(j, err);
}

static int channel_one(struct sync *y, const struct sync_policy *p, size_t i, struct err *err)
{
	OWNED(freep) struct job *j = calloc(1, sizeof(*j));
	int64_t began = clock_monotonic_ms();
	struct err bad = p->refused[i];
	int rc;

	if (j == NULL)
		return err_memory(err);
	if (apply_held(y->s, p->sub[i].name, &j->epoch, &j->generation, &j->tree, err) < 0)
		return err->rc;
	j->y = y;
	j->sub = &p->sub[i];
	j->place.rootfd = -1;
	j->place.tree = j->o.tree = j->sub->name;
	j->o.out.before = j->o.out.after = j->generation;
	j->o.out.epoch_before = j->o.out.epoch = j->epoch;
	snprintf(j->o.out.name, sizeof(j->o.out.name), "%s", j->sub->name);
	rc = bad.rc == 0 ? job_run(j, p->target[i], &bad) : bad.rc;
	if (rc < 0)
		snprintf(j->o.out.reason, sizeof(j->o.out.reason), "%.511s", bad.text);
	j->o.out.rc = rc;
	j->o.milliseconds = (uint64_t)(clock_monotonic_ms() - began);
	rc = sync_outcome(y, &j->o, err);
	job_clear(j);
	return rc;
}

/* Two trees in one place would undo each other; the one that is there already stays. */
static bool yields_to(const struct sync_policy *p, const bool *held, size_t i, size_t other)
{
	const char *a = p->target[i], *b = p->target[other];

	if (!station_within(a, b) && !station_within(b, a))
		return false;
	return held[other] != held[i] ? held[other] : other < i;
}

static int held_at(struct station *s, const char *tree, const char *path, bool *ret,
		   struct err *err)
{
	OWNED(sync_place_clear) struct sync_place place = {.rootfd = -1};
	int rc = sync_place_load(s, tree, &place, err);

	*ret = rc == 1 && strcmp(place.path, path) == 0;
	return rc < 0 ? rc : 0;
}

int sync_targets(struct sync *y, struct sync_policy *p, struct err *err)
{
	OWNED(freep) bool *held = calloc(p->subs + 1, sizeof(*held));

	if (held == NULL)
		return err_memory(err);
	for (size_t i = 0; i < p->subs; i++) {
		if (station_target(y->s, p->sub[i].target, &p->target[i], &p->refused[i]) < 0)
			continue;
		if (held_at(y->s, p->sub[i].name, p->target[i], &held[i], err) < 0)
			return err->rc;
	}
	for (size_t i = 0; i < p->subs; i++)
		for (size_t k = 0; p->target[i] != NULL && k < p->subs; k++)
			if (k != i && p->target[k] != NULL && yields_to(p, held, i, k))
				err_set(&p->refused[i], RC_POLICY,
					"its target %s and that of channel %s, %s, are not apart",
					p->target[i], p->sub[k].name, p->target[k]);
	return 0;
}

int sync_channels(struct sync *y, struct sync_policy *p, struct err *err)
{
	int rc = sync_targets(y, p, err);

	if (rc == 0) /* first, so that a place that is given up is free */
		rc = sync_leave_others(y, p, err);
	for (size_t i = 0; rc == 0 && i < p->subs; i++)
		rc = channel_one(y, p, i, err);
	return rc;
}
