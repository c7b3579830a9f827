#include "applier/drift.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/station_internal.h"
#include "applier/sync_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/tree/scan.h"

#define READ_BYTES (1u << 20)

struct drift {
	const char *channel;
	int dirfd; /* borrowed; the target */
	bool owners;
	uint8_t *room; /* owned; READ_BYTES */
	uint64_t found;
	char **known; /* owned; paths of local changes that were kept, ascending */
	bool *still;  /* owned; for each: it differs as before */
	size_t knowns;
	int (*each)(void *arg, const struct drift_item *item, struct err *err);
	void *arg;
};

/* 1: the very content that the index says. */
static int content_same(struct drift *d, const char *path, const struct digest *want,
			struct err *err)
{
	OWNED(fd_closep) int fd = beneath_open(d->dirfd, path, O_RDONLY | O_NONBLOCK, 0, err);
	struct digest_stream hash;
	struct digest digest;
	size_t n = 0;

	if (fd < 0)
		return fd;
	digest_start(&hash);
	do {
		if (fd_read(fd, d->room, READ_BYTES, &n, err) < 0)
			return err->rc;
		digest_more(&hash, d->room, n);
	} while (n == READ_BYTES);
	digest = digest_end(&hash);
	return digest_equal(&digest, want);
}

/* NULL: what stat says has changed makes no difference to what was published. */
static const char *change_word(struct drift *d, const struct scan_item *item)
{
	const struct entry *old = item->old;
	struct err ignored = {0};
	int rc = 1;

	if (item->kind != old->kind)
		return "replaced";
	if (item->kind == ENTRY_LINK)
		rc = strcmp(item->target, old->target) == 0;
	else if (item->kind == ENTRY_FILE)
		rc = (uint64_t)item->st->st_size == old->size
			 ? content_same(d, item->path, &old->digest, &ignored)
			 : 0;
	if (rc < 0)
		return "unreadable";
	if (rc == 0)
		return "changed";
	if (item->kind != ENTRY_LINK && (item->st->st_mode & 07777) != old->mode)
		return "metadata";
	/* What we did not place there ourselves is right when it is as it was published. */
	if ((int64_t)item->st->st_mtim.tv_sec * 1000000000 + item->st->st_mtim.tv_nsec !=
		(old->ino != 0 ? old->disk_mtime : old->mtime) &&
	    item->kind != ENTRY_DIRECTORY)
		return "metadata";
	return NULL;
}

/* A local change that was kept is a deviation, and not drift as well. */
static void known_mark(struct drift *d, const char *path)
{
	for (size_t from = 0, to = d->knowns; from < to;) {
		size_t i = from + (to - from) / 2;
		int order = strcmp(path, d->known[i]);

		if (order == 0)
			d->still[i] = true;
		if (order <= 0)
			to = i;
		else
			from = i + 1;
	}
}

static int known_load(struct station *s, struct drift *d, const char *tree, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT path FROM apply_deviation WHERE tree = ? ORDER BY path",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = station_list_add(&d->known, &d->knowns, db_text(st, 0), err);
	if (rc < 0)
		return rc;
	d->still = calloc(d->knowns + 1, sizeof(*d->still));
	return d->still == NULL ? err_memory(err) : 0;
}

static void known_clear(struct drift *d)
{
	station_list_free(&d->known, &d->knowns);
	free(d->still);
	d->still = NULL;
}

/* What was found: one that is again as it was published deviates no more. */
static int found_keep(struct station *s, struct drift *d, const char *tree, struct err *err)
{
	uint64_t kept = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < d->knowns; i++) {
		kept += d->still[i];
		if (!d->still[i])
			rc = db_run(s->db, err,
				    "DELETE FROM apply_deviation WHERE tree = ? AND path = ?", "tt",
				    tree, d->known[i]);
	}
	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "UPDATE outcome SET drift = ?, deviations = ? WHERE tree = ?", "iit",
			       (int64_t)(d->found - kept), (int64_t)kept, tree);
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

static int drift_scan(struct station *s, struct drift *d, struct sync_place *p, struct err *err)
{
	struct scan_options options = {.flags = SCAN_DISK_TIMES | (p->owners ? SCAN_OWNERS : 0),
				       .racy_after = INT64_MAX};
	OWNED(index_freep) struct index *x = NULL;
	OWNED(fd_closep) int dir = -1;
	struct scan_counts counts;
	struct apply_target target;
	int rc = sync_place_target(s, p, &target, err);

	if (rc < 0)
		return rc;
	d->dirfd = dir = beneath_dir(target.rootfd, *target.path == '\0' ? "." : target.path, err);
	if (dir < 0 && errno != ENOENT)
		return dir;
	rc = index_open(s->db, p->tree, &x, err);
	if (rc == 0 && dir < 0)
		return index_walk(x, missing_each, d, err);
	return rc < 0 ? rc : scan_tree(dir, x, &options, drift_each, d, &counts, err);
}

static int drift_channel(struct station *s, const char *tree, struct drift *d, struct err *err)
{
	OWNED(sync_place_clear) struct sync_place p = {.rootfd = -1};
	uint64_t epoch = 0, generation = 0;
	struct digest digest;
	int rc = sync_place_load(s, tree, &p, err);

	if (rc == 1)
		rc = apply_held(s, tree, &epoch, &generation, &digest, err);
	if (rc < 0 || generation == 0)
		return rc;
	d->channel = tree;
	d->found = 0;
	rc = known_load(s, d, tree, err);
	if (rc == 0)
		rc = drift_scan(s, d, &p, err);
	if (rc == 0)
		rc = found_keep(s, d, tree, err);
	known_clear(d);
	return rc < 0 ? err_prefix(err, "channel %s", tree) : 0;
}

int drift_again(struct station *s, const char *tree, struct err *err)
{
	OWNED(freep) uint8_t *room = NULL;
	struct drift d = {0};
	int64_t known = 0;
	int rc = db_int(s->db, err, &known, "SELECT drift + deviations FROM outcome WHERE tree = ?",
			"t", tree);

	if (rc < 0 || known == 0)
		return rc < 0 ? rc : 0;
	d.room = room = malloc(READ_BYTES);
	return room == NULL ? err_memory(err) : drift_channel(s, tree, &d, err);
}

int station_drift(struct station *s,
		  int (*each)(void *arg, const struct drift_item *item, struct err *err), void *arg,
		  uint64_t *ret, struct err *err)
{
	OWNED(freep) uint8_t *room = malloc(READ_BYTES);
	struct drift d = {.room = room, .each = each, .arg = arg};
	struct err first = {0};
	char **tree = NULL;
	size_t trees = 0;
	uint64_t sum = 0;
	int rc = room == NULL ? err_memory(err) : sync_trees(s, &tree, &trees, err);

	for (size_t i = 0; rc == 0 && i < trees; i++) {
		struct err bad = {0};

		if (drift_channel(s, tree[i], &d, &bad) < 0 && first.rc == 0)
			first = bad;
		sum += d.found;
	}
	station_list_free(&tree, &trees);
	if (rc == 0 && first.rc < 0) {
		*err = first;
		rc = first.rc;
	}
	if (rc == 0)
		*ret = sum;
	return rc;
}
