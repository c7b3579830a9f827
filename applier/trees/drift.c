/* SPDX-License-Identifier: ISC */
/*
 * Looking for what changed on disk behind our back.  The scan tells what differs by stat; only
 * then is content read, so looking at a large tree costs little more than listing it.
 */
#include "applier/trees/drift.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/apply/applied.h"
#include "applier/trees/outcome.h"
#include "applier/trees/tree.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/tree/scan.h"

struct drift {
	const char *channel;
	struct apply *judge; /* owned by drift_scan; the target */
	uint64_t found;
	struct strings known; /* paths of local changes that were kept, ascending */
	bool *still;          /* owned; for each: it differs as before */
	int (*each)(void *arg, const struct drift_item *item, struct err *err);
	void *arg;
};

/* NULL: what stat says has changed makes no difference to what was published. */
static const char *change_word(struct drift *d, const struct scan_item *item)
{
	const struct entry *old = item->old;
	int rc = 1;

	if (item->kind != old->kind)
		return "replaced";
	if (item->kind == ENTRY_LINK)
		rc = strcmp(item->target, old->target) == 0;
	else if (item->kind == ENTRY_FILE)
		rc = apply_judge_file(d->judge, item->path, old);
	if (rc <= 0)
		return rc < 0 ? "unreadable" : "changed";
	return apply_judge_meta(d->judge, item->path, old, item->st) ? NULL : "metadata";
}

static int by_path(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

/* A local change that was kept is a deviation, and not drift as well. */
static void known_mark(struct drift *d, const char *path)
{
	char **known = list_find(&d->known, path, by_path);

	if (known != NULL)
		d->still[known - d->known.items] = true;
}

static int known_add(void *arg, const char *path, struct err *err)
{
	struct drift *d = arg;

	return strings_add(&d->known, path, err);
}

static int known_load(struct station *s, struct drift *d, const char *tree, struct err *err)
{
	int rc = deviation_each(s, tree, known_add, d, err);

	if (rc < 0)
		return rc;
	d->still = calloc(d->known.n + 1, sizeof(*d->still));
	return d->still == NULL ? err_memory(err) : 0;
}

static void known_release(struct drift *d)
{
	strings_clear(&d->known);
	free(d->still);
	d->still = NULL;
}

static int differing_put(struct station *s, const char *tree, uint64_t drift, uint64_t deviations,
			 struct err *err)
{
	return db_run(s->db, err, "UPDATE outcome SET drift = ?, deviations = ? WHERE tree = ?",
		      "iit", (int64_t)drift, (int64_t)deviations, tree);
}

/* What was found: one that is again as it was published deviates no more. */
static int found_put(struct station *s, struct drift *d, const char *tree, struct err *err)
{
	uint64_t kept = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < d->known.n; i++) {
		kept += d->still[i];
		if (!d->still[i])
			rc = deviation_drop(s, tree, d->known.items[i], err);
	}
	return rc < 0 ? rc : differing_put(s, tree, d->found - kept, kept, err);
}

static int drift_each(void *arg, const struct scan_item *item, struct err *err)
{
	struct drift *d = arg;
	struct drift_item found = {.channel = d->channel, .path = item->path};

	switch (item->what) {
	case SCAN_GONE:
		found.what = "missing";
		break;
	case SCAN_CHANGED:
		found.what = change_word(d, item);
		break;
	case SCAN_NEW:     /* files that no channel manages are nobody's business */
	case SCAN_SKIPPED: /* what should be in its place is reported as gone */
		break;
	}
	if (found.what == NULL)
		return 0;
	d->found++;
	known_mark(d, item->path);
	return d->each != NULL ? d->each(d->arg, &found, err) : 0;
}

/* The target itself is gone. */
static int missing_each(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct drift *d = arg;
	struct drift_item found = {.channel = d->channel, .path = path, .what = "missing"};

	(void)e;
	d->found++;
	known_mark(d, path);
	return d->each != NULL ? d->each(d->arg, &found, err) : 0;
}

static int drift_scan(struct station *s, struct drift *d, struct tree_place *p, struct err *err)
{
	struct scan_options options = {.flags = SCAN_DISK_TIMES, .racy_after = INT64_MAX};
	OWNED(index_freep) struct index *x = NULL;
	OWNED(apply_judge_freep) struct apply *judge = NULL;
	OWNED(fd_closep) int dir = -1;
	struct scan_counts counts;
	struct apply_target target;
	int rc = tree_place_target(s, p, &target, err);

	if (rc < 0)
		return rc;
	dir = beneath_dir(target.rootfd, *target.path == '\0' ? "." : target.path, err);
	if (dir < 0 && dir != RC_ABSENT)
		return dir;
	rc = index_open(s->db, p->tree, &x, err);
	if (rc == 0 && dir < 0)
		return index_walk(x, missing_each, d, err);
	if (rc == 0)
		rc = apply_judge_new(s, dir, &judge, err);
	if (rc < 0)
		return rc;
	d->judge = judge;
	/* A directory says only by its owner that it is somebody else's. */
	if (p->owners || apply_judge_owners(judge))
		options.flags |= SCAN_OWNERS;
	return scan_tree(dir, x, &options, drift_each, d, &counts, err);
}

static int drift_channel(struct station *s, const char *tree, struct drift *d, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place p = TREE_PLACE_INIT;
	struct applied now = {0};
	int rc = tree_place_load(s, tree, &p, err);

	if (rc == 1)
		rc = applied_load(s, tree, &now, err);
	if (rc < 0 || now.generation == 0)
		return rc;
	d->channel = tree;
	d->found = 0;
	rc = known_load(s, d, tree, err);
	if (rc == 0)
		rc = drift_scan(s, d, &p, err);
	if (rc == 0)
		rc = found_put(s, d, tree, err);
	known_release(d);
	return rc < 0 ? err_prefix(err, "channel %s", tree) : 0;
}

/* Entries that the last look found to differ. */
static int differing_known(struct station *s, const char *tree, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(s->db, err, &n, "SELECT drift + deviations FROM outcome WHERE tree = ?",
			"t", tree);

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

int drift_check(struct station *s, const char *tree, uint64_t *ret, struct err *err)
{
	struct drift d = {0};
	int rc = drift_channel(s, tree, &d, err);

	*ret = d.found;
	return rc;
}

int drift_tree(struct station *s, const char *tree,
	       int (*each)(void *arg, const struct drift_item *item, struct err *err), void *arg,
	       uint64_t *ret, struct err *err)
{
	struct drift d = {.each = each, .arg = arg};
	int rc = drift_channel(s, tree, &d, err);

	*ret = d.found;
	return rc;
}

int drift_again(struct station *s, const char *tree, struct err *err)
{
	struct drift d = {0};
	uint64_t known = 0;
	int rc = differing_known(s, tree, &known, err);

	return rc < 0 || known == 0 ? rc : drift_channel(s, tree, &d, err);
}

int station_drift(struct station *s,
		  int (*each)(void *arg, const struct drift_item *item, struct err *err), void *arg,
		  uint64_t *ret, struct err *err)
{
	struct drift d = {.each = each, .arg = arg};
	struct err first = {0};
	OWNED(strings_clear) struct strings trees = {0};
	uint64_t sum = 0;
	int rc = tree_list(s, &trees, err);

	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		struct err bad = {0};

		if (drift_channel(s, trees.items[i], &d, &bad) < 0 && first.rc == 0)
			first = bad;
		sum += d.found;
	}
	if (rc == 0 && first.rc < 0) {
		*err = first;
		rc = first.rc;
	}
	if (rc == 0)
		*ret = sum;
	return rc;
}
