/* SPDX-License-Identifier: ISC */
/*
 * Repair of channels: with what this machine has, else with what lies in the depots at hand, else
 * the server is asked for it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/repair/repair.h"
#include "applier/report/outbox.h"
#include "applier/sync/sync_internal.h"
#include "applier/trees/drift.h"
#include "applier/trees/tree.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

#define FETCHED "fetched" /* directory in the state directory; gone when a repair ends */

/* Contents that are opened for in bundles. */
struct fetch {
	struct sync *y;
	const struct repair *r; /* borrowed */
	struct digest *wanted;  /* owned; ascending */
	bool *have;             /* owned; of each */
	size_t n;
	int dirfd;         /* owned */
	struct err denied; /* why a bundle could not be read */
};

static void fetch_clear(struct fetch *f)
{
	free(f->wanted);
	free(f->have);
	fd_closep(&f->dirfd);
}

static size_t fetch_left(const struct fetch *f)
{
	size_t left = 0;

	for (size_t i = 0; i < f->n; i++)
		left += !f->have[i];
	return left;
}

/* A bundle that a head names, by its size: the smallest that has it is read. */
struct candidate {
	size_t i; /* in the head */
	uint64_t bytes;
};

static int by_size(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;

	return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int fetch_bundle(struct fetch *f, struct follow *depot, const struct follow_head *h,
			size_t i, struct err *err)
{
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	OWNED(content_key_freep) struct content_key *key = NULL;
	struct apply_bundle as;
	int rc = follow_channel_bundle(depot, h, i, &b, err);

	if (rc == 0 && b.manifest.key > 0)
		rc = private_channel_key(f->y->s, &b.manifest, &key, err);
	if (rc < 0)
		return rc;
	as = (struct apply_bundle){.depot = depot->depot,
				   .path = b.path,
				   .manifest = &b.manifest,
				   .blocks = b.blocks,
				   .payload_offset = b.payload_offset,
				   .key = key,
				   .part_blocks = b.part_blocks};
	return apply_extract(f->y->s, &as, f->wanted, f->n, f->have, f->dirfd, err);
}

static int candidates(struct follow *depot, const struct follow_head *h, struct candidate **ret,
		      size_t *ret_n, struct err *err)
{
	OWNED(freep) struct candidate *list = calloc(h->head.bundles + 1, sizeof(*list));
	size_t n = 0;

	if (list == NULL)
		return err_memory(err);
	for (size_t i = 0; i < h->head.bundles; i++) {
		OWNED(follow_bundle_clear) struct follow_bundle b = {0};

		if (follow_channel_bundle(depot, h, i, &b, ERR_IGNORED) < 0)
			continue; /* not here */
		list[n++] = (struct candidate){i, b.manifest.payload};
	}
	qsort(list, n, sizeof(*list), by_size);
	*ret = TAKE(list);
	*ret_n = n;
	return 0;
}

/* What cannot be read in one depot may be in the next one. */
static void fetch_depot(struct fetch *f, struct follow *depot, const struct shard_channel *row)
{
	OWNED(follow_head_clear) struct follow_head h = {0};
	OWNED(freep) struct candidate *list = NULL;
	struct err bad = {0};
	size_t n = 0;
	int rc = follow_head(depot, row, &h, &bad);

	if (rc == 0)
		rc = candidates(depot, &h, &list, &n, &bad);
	for (size_t i = 0; rc >= 0 && i < n && fetch_left(f) > 0; i++)
		if (fetch_bundle(f, depot, &h, list[i].i, &bad) < 0)
			f->denied = bad;
	if (rc < 0)
		f->denied = bad;
}

static void fetch_rows(struct fetch *f)
{
	const struct shard *shard;
	int rc = sync_shard_of(f->y, f->r->tree, &shard, &f->denied);

	for (size_t k = 0; rc == 0 && k < shard->channels; k++) {
		if (strcmp(shard->channel[k].name, f->r->tree) != 0)
			continue;
		for (size_t i = 0; i < f->y->depot.n && fetch_left(f) > 0; i++)
			fetch_depot(f, &f->y->depot.items[i], &shard->channel[k]);
	}
}

static int fetch_begin(struct fetch *f, struct err *err)
{
	struct station *s = f->y->s;

	if (beneath_remove_tree(s->statefd, FETCHED, err) < 0)
		return err->rc;
	if (mkdirat(s->statefd, FETCHED, 0700) < 0)
		return err_sys(err, RC_IO, "cannot make a directory for what is fetched");
	f->dirfd = beneath_dir(s->statefd, FETCHED, err);
	if (f->dirfd < 0 || repair_contents(s, f->r, &f->wanted, &f->n, err) < 0)
		return err->rc;
	f->have = calloc(f->n + 1, sizeof(*f->have));
	return f->have == NULL ? err_memory(err) : 0;
}

/* The server is asked for what is neither here nor in a depot. */
static int fetch_ask(struct fetch *f, struct err *err)
{
	struct digest ask[REQUEST_CONTENTS];
	size_t n = 0;

	for (size_t i = 0; i < f->n && n < REQUEST_CONTENTS; i++) {
		int here = f->have[i] ? 1 : repair_elsewhere(f->y->s, f->r, &f->wanted[i], err);

		if (here < 0)
			return here;
		if (here == 0)
			ask[n++] = f->wanted[i];
	}
	for (size_t i = 0; n == 0 && i < f->n && i < REQUEST_CONTENTS; i++)
		ask[i] = f->wanted[i]; /* what is here is no good */
	if (n == 0)
		n = f->n < REQUEST_CONTENTS ? f->n : REQUEST_CONTENTS;
	return report_resend(f->y->s, f->r->tree, f->r->now.generation, ask, n, err);
}

/* A repair under way. */
struct repairing {
	struct sync *y;
	const struct repair_asked *asked; /* borrowed */
	bool opened;                      /* the depots at hand were opened */
};

/* Only when something is wanted of them: without one, what is here is repaired all the same. */
static int depots_open(struct repairing *w, struct err *err)
{
	int rc = w->opened ? 0 : sync_open(w->y, NULL, err);

	if (rc == 0 && !w->opened)
		rc = sync_follow(w->y, err);
	w->opened = true;
	return rc < 0 ? rc : 0;
}

/* With what the depots at hand have. */
static int repair_fetched(struct repairing *w, const struct repair *r, struct err *err)
{
	OWNED(fetch_clear) struct fetch f = {.y = w->y, .r = r, .dirfd = -1};
	const struct err why = *err;
	int rc = depots_open(w, err);

	if (rc == 0)
		rc = fetch_begin(&f, err);
	if (rc < 0)
		return rc;
	if (w->y->beat.sequence > 0 && w->y->depot.n > 0)
		fetch_rows(&f);
	rc = repair_apply(w->y->s, r, f.dirfd, err);
	if (rc != RC_ABSENT)
		return rc;
	if (fetch_ask(&f, err) < 0)
		return err->rc;
	return err_set(err, RC_ABSENT,
		       "%.400s, and no bundle at hand has it%s%.300s; the server is asked for it, "
		       "and a depot that it fills for this workstation brings it: satchel repair "
		       "then goes on",
		       why.text, f.denied.rc < 0 ? ": " : "", f.denied.rc < 0 ? f.denied.text : "");
}

static int repair_one(struct repairing *w, const char *tree, struct repair_done *done,
		      struct err *err)
{
	OWNED(repair_clear) struct repair r = {.tree = tree};
	struct station *s = w->y->s;
	int rc = repair_find(s, tree, w->asked->path, w->asked->paths, &r, err);

	done->channel = tree;
	done->entries = r.item.n;
	if (rc < 0 || r.item.n == 0)
		return rc;
	rc = repair_apply(s, &r, -1, err);
	if (rc == RC_ABSENT) {
		rc = repair_fetched(w, &r, err);
		beneath_remove_tree(s->statefd, FETCHED, ERR_IGNORED);
	}
	return rc < 0 ? rc : drift_check(s, tree, &done->left, err);
}

static int repair_trees(struct repairing *w, struct err *err)
{
	OWNED(strings_clear) struct strings trees = {0};
	int rc = w->asked->channel != NULL ? strings_add(&trees, w->asked->channel, err)
					   : tree_list(w->y->s, &trees, err);

	/* What a repair left that was cut off, and was finished without it. */
	beneath_remove_tree(w->y->s->statefd, FETCHED, ERR_IGNORED);
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		struct repair_done done = {.entries = 0};
		struct err bad = {0};

		done.rc = repair_one(w, trees.items[i], &done, &bad);
		done.why = bad.text;
		w->asked->each(w->asked->arg, &done);
		if (done.rc < 0)
			sync_note(w->y, &bad);
	}
	return rc;
}

static int repair_run(struct repairing *w, struct err *err)
{
	int rc = sync_recover(w->y, err);

	if (rc == 0)
		rc = sync_policy_load(w->y, err);
	if (rc == 0) /* what is missing still is asked for anew */
		rc = outbox_drop(w->y->s, OUTBOX_RESEND, err);
	if (rc == 0)
		rc = repair_trees(w, err);
	if (rc == 0 && !w->opened)
		rc = sync_depots(w->y, err);
	return rc < 0 ? rc : sync_report(w->y, err);
}

int sync_repair(struct station *s, const struct repair_asked *asked, struct err *err)
{
	struct repairing w = {.asked = asked};
	int rc = sync_begin(s, 0, NULL, NULL, &w.y, err);

	return rc < 0 ? rc : sync_end(w.y, repair_run(&w, err), err);
}
