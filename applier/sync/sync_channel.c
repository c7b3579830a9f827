/* SPDX-License-Identifier: ISC */
/*
 * Channels: each on its way from what is applied to what the shard names, by the cheapest bundles
 * that can be had from any depot.
 */
#include "applier/sync/sync_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "applier/station/station_config.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/tree/index.h"

/* One channel on its way. */
struct channel_job {
	struct sync *y;
	const struct subscription *sub; /* borrowed */
	struct tree_place place;        /* owned */
	struct apply_target target;
	struct applied now;
	struct undo_floor floor; /* all zero: what is applied is the highest that was accepted */
	const struct shard_channel *row; /* borrowed; NULL while nothing was published */
	struct shard_channel ceiling;    /* what ${row} is, when this machine is offered more */
	struct follow_head h;            /* owned; bundles that cannot be had are taken out */
	struct err missing;              /* why the last one could not be had */
	bool attempt;                    /* what is tried now is not what is told */
	struct sync_outcome o;
};

static void job_clear(struct channel_job *j)
{
	tree_place_clear(&j->place);
	follow_head_clear(&j->h);
}

/* What the shard names. */
static struct applied row_generation(const struct channel_job *j)
{
	return (struct applied){.epoch = j->row->epoch, .generation = j->row->generation};
}

/* The highest generation that was ever accepted: above what is applied after a rollback. */
static struct applied highest(const struct channel_job *j)
{
	const struct undo_generation *a = &j->floor.accepted;
	struct applied accepted = {a->epoch, a->generation, a->tree};

	return applied_later(&accepted, &j->now) ? accepted : j->now;
}

/* In a ring, the private channel says more than the shard, which is for everybody. */
static void row_offered(struct channel_job *j)
{
	const struct subscription_ceiling *c = &j->sub->ceiling;
	const struct applied ceiling = {.epoch = c->epoch, .generation = c->generation};
	struct applied all = {.generation = 0};

	if (j->row != NULL)
		all = row_generation(j);
	if (c->generation == 0 || !applied_later(&ceiling, &all))
		return;
	j->ceiling =
	    (struct shard_channel){.epoch = c->epoch, .generation = c->generation, .head = c->head};
	snprintf(j->ceiling.name, sizeof(j->ceiling.name), "%s", j->sub->name);
	j->row = &j->ceiling;
}

static int row_find(struct channel_job *j, struct err *err)
{
	const struct shard *shard;
	struct applied offered, floor = highest(j);
	int rc = sync_shard_of(j->y, j->sub->name, &shard, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < shard->channels; i++)
		if (strcmp(shard->channel[i].name, j->sub->name) == 0)
			j->row = &shard->channel[i];
	row_offered(j);
	if (j->row == NULL)
		return 0;
	j->o.out.wanted = j->row->generation;
	if (j->row->epoch > j->y->s->trust.epoch[ROLE_PUBLISH])
		return err_set(err, RC_UNTRUSTED,
			       "epoch %" PRIu64 " is not one that the trust document allows",
			       j->row->epoch);
	/* What no head has confirmed yet came by hand, ahead of the beat: that is no replay. */
	offered = row_generation(j);
	if (applied_later(&floor, &offered) && !digest_is_zero(&j->place.head))
		return err_set(
		    err, RC_REPLAY, "generation %" PRIu64 " is offered, %" PRIu64 " is %s already",
		    j->row->generation, floor.generation, j->floor.at > 0 ? "known" : "applied");
	return 0;
}

/*
 * Only the private channel says that a workstation leaves a channel.  One that came by a shard and
 * is in none any more: the site gave it up and could not tell this workstation yet, or whoever has
 * the key of beats keeps back what is new.  Silence would look like nothing new.
 */
static int row_missing(const struct channel_job *j, struct err *err)
{
	if (j->now.generation == 0 || digest_is_zero(&j->place.head))
		return 0;
	return err_set(err, RC_ADDRESSEE,
		       "the site does not list it any more, though this workstation is to have it: "
		       "what is here stays as it is");
}

static int head_find(struct channel_job *j, struct err *err)
{
	int rc =
	    err_set(err, RC_INCOMPLETE, "head %" PRIu64 " has not arrived: no depot is at hand",
		    j->row->generation);

	for (size_t i = 0; rc < 0 && i < j->y->depot.n; i++)
		rc = follow_head(&j->y->depot.items[i], j->row, &j->h, err);
	return rc;
}

/* The generation that is applied, under another head: the same tree, or a fork? */
static int head_check(struct channel_job *j, struct err *err)
{
	int rc;

	if (j->now.generation == 0 || digest_equal(&j->place.head, &j->row->head))
		return 0;
	rc = head_find(j, err);
	if (rc < 0)
		return rc == RC_INCOMPLETE ? 0 : rc;
	if (!digest_equal(&j->h.head.tree, &j->now.tree))
		return err_set(err, RC_FORK,
			       "generation %" PRIu64 " is offered with another tree than the one "
			       "that was applied here",
			       j->now.generation);
	if (j->y->flags & SYNC_DRY_RUN)
		return 0;
	j->place.head = j->row->head;
	return tree_place_put(j->y->s, &j->place, err);
}

/* Is another depot, or another path through the bundles, worth a try? */
static bool worth_another(int rc)
{
	/* Not when it is this machine that cannot: the same would happen again. */
	return rc < 0 && rc != RC_SPACE && rc != RC_POLICY && rc != RC_CONFLICT && rc != RC_STATE &&
	       rc != RC_MEMORY && rc != RC_BUSY && rc != RC_EXPIRED && rc != RC_REPLAY &&
	       rc != RC_INTERNAL && rc != RC_USAGE;
}

/* Bundles of one route, each with its key. */
struct route {
	size_t n;
	struct follow_bundle *b;  /* owned; n of them */
	struct content_key **key; /* owned, with what they point to; NULL: not sealed */
	struct apply_bundle *as;  /* owned; as apply wants them */
};

static void route_clear(struct route *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->b != NULL)
			follow_bundle_clear(&w->b[i]);
		if (w->key != NULL)
			content_key_free(w->key[i]);
	}
	free(w->b);
	free(w->key);
	free(w->as);
	*w = (struct route){0};
}

static int route_begin(size_t n, struct route *ret, struct err *err)
{
	ret->n = n;
	ret->b = calloc(n, sizeof(*ret->b));
	ret->key = calloc(n, sizeof(struct content_key *));
	ret->as = calloc(n, sizeof(*ret->as));
	return ret->b == NULL || ret->key == NULL || ret->as == NULL ? err_memory(err) : 0;
}

/* The bundle ${i} of the head, as the ${at}-th of the route. */
static int route_add(struct channel_job *j, struct follow *f, size_t i, struct route *w, size_t at,
		     struct err *err)
{
	struct follow_bundle *b = &w->b[at];
	int rc = follow_channel_bundle(f, &j->h, i, b, err);

	if (rc == 0 && b->manifest.recipient[0] != '\0')
		rc = err_set(err, RC_ADDRESSEE, "the bundle is sealed to a workstation by itself");
	if (rc == 0 && b->manifest.key > 0)
		rc = private_channel_key(j->y->s, &b->manifest, &w->key[at], err);
	w->as[at] = (struct apply_bundle){.depot = f->depot,
					  .path = b->path,
					  .manifest = &b->manifest,
					  .blocks = b->blocks,
					  .payload_offset = b->payload_offset,
					  .key = w->key[at],
					  .part_blocks = b->part_blocks};
	return rc;
}

/* ${n} bundles of the head from one depot, as one. */
static int route_try(struct channel_job *j, struct follow *f, const size_t *path, size_t n,
		     struct apply_preview *ret, struct err *err)
{
	OWNED(route_clear) struct route w = {0};
	int rc = route_begin(n, &w, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = route_add(j, f, path[i], &w, i, err);
	return rc < 0 ? rc
		      : apply_bundles(j->y->s, w.as, n, &j->target,
				      (j->y->flags & SYNC_DRY_RUN ? APPLY_DRY_RUN : 0) |
					  (j->attempt ? APPLY_ATTEMPT : 0),
				      ret, err);
}

static int route_apply(struct channel_job *j, const size_t *path, size_t n,
		       struct apply_preview *ret, struct err *err)
{
	int rc = err_set(err, RC_AGAIN, "no depot is at hand");

	for (size_t d = 0; d < j->y->depot.n; d++) {
		struct err bad = {0};

		rc = route_try(j, &j->y->depot.items[d], path, n, ret, &bad);
		if (rc == 0)
			return 0;
		/* Of several depots the one that says more than "not here" is told. */
		if (d == 0 || rc_class(err->rc) == EXIT_CLASS_AGAIN)
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
	sum->holes += one->holes;
	sum->stays += one->stays;
	sum->adaptations = one->adaptations;
}

/* The cheapest way from what is applied, else from nothing. */
static int route_find(const struct channel_job *j, uint64_t from, size_t path[LIMIT_HEAD_BUNDLES],
		      size_t *ret_n, struct err *err)
{
	int rc = head_path(&j->h.head, from, path, ret_n, err);

	if (rc < 0 && from > 0)
		rc = head_path(&j->h.head, 0, path, ret_n, err);
	return rc;
}

static void bundle_drop(struct channel_job *j, size_t i, const struct err *why)
{
	struct head *h = &j->h.head;

	j->missing = *why;
	h->bundles--;
	memmove(&h->bundle[i], &h->bundle[i + 1], (h->bundles - i) * sizeof(*h->bundle));
}

/* The index must not be ahead of where recovery looks, so the place is written first. */
static int job_place_put(struct channel_job *j, struct err *err)
{
	return j->y->flags & SYNC_DRY_RUN ? 0 : tree_place_put(j->y->s, &j->place, err);
}

static int job_applied(struct channel_job *j, uint64_t generation, struct err *err)
{
	j->o.applied = true;
	j->o.out.after = generation;
	j->o.out.epoch = j->row->epoch;
	if (generation != j->h.head.generation)
		return 0;
	j->place.head = j->row->head;
	return job_place_put(j, err);
}

/* Is it something about this machine, which another generation may not meet? */
static bool here_alone(int rc)
{
	return rc == RC_SPACE || rc == RC_POLICY || rc == RC_CONFLICT || rc == RC_PATH ||
	       rc == RC_TYPE || rc == RC_LIMIT || rc == RC_AGAIN || rc == RC_IO;
}

#define ENDS_TRIED 8 /* generations, from the head's downwards */

/*
 * A generation that cannot be taken is skipped: the bundles that lead to it and past it are
 * applied as one.  What is told is why the newest cannot be had.
 */
static int route_joined(struct channel_job *j, const size_t *path, size_t n,
			struct apply_preview *ret, uint64_t *ret_generation, struct err *err)
{
	int rc = err->rc;

	for (size_t end = n; end > 1 && n - end < ENDS_TRIED; end--) {
		struct err bad = {0};

		/* What was rolled back, or comes before it, never stands there again. */
		if (end < n && j->floor.at > 0)
			break;
		memset(ret, 0, sizeof(*ret));
		j->attempt = end < n;
		rc = route_apply(j, path, end, ret, &bad);
		j->attempt = false;
		*ret_generation = j->h.head.bundle[path[end - 1]].generation;
		if (rc == 0)
			return 0;
		if (end == n && here_alone(rc))
			*err = bad;
		if (!here_alone(rc))
			break;
	}
	return rc;
}

static void report_skipped(struct channel_job *j, uint64_t from, uint64_t to, const struct err *why)
{
	reporter_info(j->y->s->reporter,
		      "channel %s: what lies between generations %" PRIu64 " and %" PRIu64
		      " is skipped (%s)",
		      j->sub->name, from, to, why->text);
}

/* From what is applied, else as if nothing were: 0, or why the first one could not be had. */
static int route_around(struct channel_job *j, uint64_t from, const size_t *path, size_t n,
			struct apply_preview *ret, uint64_t *ret_generation, struct err *err)
{
	const struct err why = *err;
	size_t again[LIMIT_HEAD_BUNDLES], many = 0;
	struct err bad = {0};
	int rc;

	if (!here_alone(err->rc))
		return err->rc;
	if (route_joined(j, path, n, ret, ret_generation, err) == 0) {
		report_skipped(j, from, *ret_generation, &why);
		return 0;
	}
	if (j->h.head.bundle[path[0]].base == 0 || head_path(&j->h.head, 0, again, &many, &bad) < 0)
		return err->rc;
	memset(ret, 0, sizeof(*ret));
	*ret_generation = j->h.head.generation;
	j->attempt = true;
	rc = route_apply(j, again, many, ret, &bad);
	j->attempt = false;
	if (rc < 0)
		return err->rc;
	report_skipped(j, from, *ret_generation, &why);
	return 0;
}

/* The next step: 1 taken, 0 what cannot be had was taken out. */
static int job_step(struct channel_job *j, uint64_t from, uint64_t *ret_generation, struct err *err)
{
	size_t path[LIMIT_HEAD_BUNDLES], n = 0, past = 1;
	struct apply_preview preview = {0};
	struct err bad = {0};
	int rc;

	if (route_find(j, from, path, &n, &bad) < 0) {
		*err = j->missing.rc < 0 ? j->missing : bad;
		return err->rc;
	}
	/* What was rolled back is passed on the way, and never stands there again. */
	if (j->floor.at > 0)
		past = n;
	*ret_generation = j->h.head.bundle[path[past - 1]].generation;
	rc = route_apply(j, path, past, &preview, err);
	if (rc < 0)
		rc = route_around(j, from, path, n, &preview, ret_generation, err);
	if (worth_another(rc)) {
		bundle_drop(j, path[0], err);
		return 0;
	}
	if (rc < 0)
		return rc;
	preview_add(&j->o.out.preview, &preview);
	return 1;
}

static struct sync_update job_update(const struct channel_job *j)
{
	return (struct sync_update){j->sub->name, j->place.path, j->now.generation,
				    j->row->generation};
}

/* The owner's hooks say how it came out; what was left again is not what is held. */
static int job_end(struct channel_job *j, struct err *err)
{
	struct sync_update w = job_update(j);
	struct applied now;
	int rc = sync_update_end(j->y, &w, err);

	if (rc == RC_ROLLED_BACK && applied_load(j->y->s, j->sub->name, &now, ERR_IGNORED) == 0) {
		j->o.out.after = now.generation;
		j->o.out.epoch = now.epoch;
	}
	return rc;
}

/* Every bundle of the way, each applied or not at all; what cannot be had is gone round. */
static int job_walk(struct channel_job *j, struct err *err)
{
	uint64_t from = j->now.epoch == j->row->epoch ? j->now.generation : 0;
	struct sync_update w = job_update(j);
	int rc = job_place_put(j, err);

	if (rc == 0)
		rc = sync_update_begin(j->y, &w, &j->now, err);

	while (rc == 0 && from != j->h.head.generation) {
		uint64_t generation = 0;

		rc = job_step(j, from, &generation, err);
		if (rc <= 0)
			continue;
		if (j->y->flags &
		    SYNC_DRY_RUN) /* what comes after stands on what was not applied */
			return 0;
		from = generation;
		rc = job_applied(j, generation, err);
	}
	return rc;
}

static void job_from_nothing(struct channel_job *j)
{
	memset(&j->now, 0, sizeof(j->now));
	j->o.out.before = j->o.out.after = 0;
}

/* The channel moved: what it left behind is left as if it had been unsubscribed. */
static int job_move(struct channel_job *j, const char *path, struct err *err)
{
	int rc;

	if (j->place.path != NULL && strcmp(j->place.path, path) != 0) {
		reporter_info(j->y->s->reporter, "channel %s goes to %s: its files in %s %s",
			      j->sub->name, path, j->place.path,
			      j->place.remove ? "are removed" : "stay");
		if (j->y->flags & SYNC_DRY_RUN)
			return 0;
		rc = tree_leave(j->y->s, &j->place, err);
		if (rc < 0)
			return rc;
		tree_place_clear(&j->place);
		job_from_nothing(j);
	}
	if (j->place.path == NULL)
		j->place.path = strdup(path);
	return j->place.path == NULL ? err_memory(err) : 0;
}

static int job_prepare(struct channel_job *j, const char *path, struct err *err)
{
	struct station *s = j->y->s;
	int rc = tree_place_load(s, j->sub->name, &j->place, err);

	if (rc >= 0)
		rc = job_move(j, path, err);
	if (rc < 0)
		return rc;
	j->place.owners = j->sub->owners && s->owners;
	j->place.special_modes = j->sub->special_modes && s->special_modes;
	j->place.remove = strcmp(j->sub->on_leave, "remove") == 0;
	return tree_place_target(s, &j->place, &j->target, err);
}

static int ours_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	(void)arg;
	(void)err;
	return strncmp(entry->name, PATH_RESERVED, strlen(PATH_RESERVED)) != 0;
}

/* 1: the directory holds nothing but what is ours, or (*gone) it is not there. */
static int target_bare(struct channel_job *j, bool *gone, struct err *err)
{
	struct apply_target *t = &j->target;
	int fd = beneath_dir(t->rootfd, *t->path == '\0' ? "." : t->path, err);
	int foreign;

	*gone = fd == RC_ABSENT;
	if (fd < 0)
		return *gone ? 1 : fd;
	foreign = dir_each_fd(fd, ours_each, NULL, err);
	return foreign < 0 ? err_prefix(err, "%s", j->place.path) : !foreign;
}

static int applied_entries(struct channel_job *j, uint64_t *ret, struct err *err)
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
static int job_lost(struct channel_job *j, struct err *err)
{
	uint64_t entries = 0;
	bool gone = false;
	int rc = apply_interrupted(j->y->s, j->place.tree, err);

	if (rc != 0) /* why it could not be finished was told; applying tries again */
		return rc < 0 ? rc : 0;
	if (j->now.generation > 0)
		rc = target_bare(j, &gone, err);
	if (rc == 1)
		rc = applied_entries(j, &entries, err);
	if (rc < 0 || entries == 0)
		return rc;
	if (!gone)
		return err_set(err, RC_IO,
			       "%s is empty, but generation %" PRIu64
			       " was applied there: mount what belongs there, or remove the empty "
			       "directory to have everything applied again",
			       j->place.path, j->now.generation);
	rc = sync_waits(j->y, err);
	if (rc < 0)
		return rc;
	reporter_warning(j->y->s->reporter, "%s is gone: channel %s is applied again from nothing",
			 j->place.path, j->sub->name);
	if (j->y->flags & SYNC_DRY_RUN)
		return 0;
	tree_past_clear(j->y->s, &j->place, ERR_IGNORED);
	rc = tree_forget(j->y->s, j->place.tree, err);
	job_from_nothing(j);
	memset(&j->place.head, 0, sizeof(j->place.head));
	return rc;
}

static int floor_load(struct channel_job *j, struct err *err)
{
	int rc = undo_floor_load(j->y->s, j->sub->name, &j->floor, err);

	return rc < 0 ? rc : 0;
}

static int job_run(struct channel_job *j, const char *path, struct err *err)
{
	struct applied offered, floor;
	int rc = job_prepare(j, path, err);

	if (rc == 0)
		rc = job_lost(j, err);
	if (rc == 0)
		rc = floor_load(j, err);
	if (rc == 0)
		rc = row_find(j, err);
	if (rc == 0 && j->row == NULL)
		return row_missing(j, err);
	if (rc < 0)
		return rc;
	offered = row_generation(j);
	floor = highest(j);
	if (j->floor.at > 0 && j->floor.why[0] != '\0' && !applied_later(&offered, &floor))
		return err_set(err, RC_ROLLED_BACK, "%s", j->floor.why);
	if (applied_later(&j->now, &offered))
		return 0;
	if (!applied_later(&offered, &j->now)) {
		rc = head_check(j, err);
		return rc < 0 ? rc : job_end(j, err); /* a run that died before the verdict */
	}
	rc = sync_waits(j->y, err);
	if (rc == 0)
		rc = head_find(j, err);
	if (rc == 0)
		rc = job_walk(j, err);
	return rc < 0 ? rc : job_end(j, err);
}

static int channel_one(struct sync *y, const struct sync_wanted *p, size_t i, struct err *err)
{
	OWNED(freep) struct channel_job *j = calloc(1, sizeof(*j));
	int64_t began = clock_monotonic_ms();
	struct err bad = p->refused[i];
	int rc;

	if (j == NULL)
		return err_memory(err);
	if (applied_load(y->s, p->sub[i].name, &j->now, err) < 0)
		return err->rc;
	j->y = y;
	j->sub = &p->sub[i];
	j->place.rootfd = -1;
	j->place.tree = j->o.tree = j->sub->name;
	j->o.out.before = j->o.out.after = j->now.generation;
	j->o.out.epoch_before = j->o.out.epoch = j->now.epoch;
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
static bool yields_to(const struct sync_wanted *p, const bool *there, size_t i, size_t other)
{
	const char *a = p->target[i], *b = p->target[other];

	if (!station_within(a, b) && !station_within(b, a))
		return false;
	return there[other] != there[i] ? there[other] : other < i;
}

static int lies_at(struct station *s, const char *tree, const char *path, bool *ret,
		   struct err *err)
{
	OWNED(tree_place_clear) struct tree_place place = TREE_PLACE_INIT;
	int rc = tree_place_load(s, tree, &place, err);

	*ret = rc == 1 && strcmp(place.path, path) == 0;
	return rc < 0 ? rc : 0;
}

int sync_targets(struct sync *y, struct err *err)
{
	struct sync_wanted *p = &y->wanted;
	OWNED(freep) bool *there = calloc(p->subs + 1, sizeof(*there));

	if (there == NULL)
		return err_memory(err);
	for (size_t i = 0; i < p->subs; i++) {
		if (station_target(y->s, p->sub[i].target, &p->target[i], &p->refused[i]) < 0)
			continue;
		if (lies_at(y->s, p->sub[i].name, p->target[i], &there[i], err) < 0)
			return err->rc;
	}
	for (size_t i = 0; i < p->subs; i++)
		for (size_t k = 0; p->target[i] != NULL && k < p->subs; k++)
			if (k != i && p->target[k] != NULL && yields_to(p, there, i, k))
				err_set(&p->refused[i], RC_POLICY,
					"its target %s overlaps that of channel %s, %s",
					p->target[i], p->sub[k].name, p->target[k]);
	return 0;
}

int sync_channels(struct sync *y, struct err *err)
{
	struct sync_wanted *p = &y->wanted;
	int rc = sync_targets(y, err);

	if (rc == 0) /* first, so that a place that is given up is free */
		rc = sync_leave_others(y, p, err);
	for (size_t i = 0; rc == 0 && i < p->subs; i++)
		rc = channel_one(y, p, i, err);
	return rc;
}
