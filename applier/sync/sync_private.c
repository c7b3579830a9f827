/* SPDX-License-Identifier: ISC */
/*
 * The private channel: brought up to what the shard names before anything else, because it says
 * what this workstation subscribes to.  And what it says of that, read.
 */
#include "applier/sync/sync_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station/station_state.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static int sub_read(struct private_tree *t, const char *name, struct subscription *ret,
		    struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char path[LIMIT_NAME + 16];
	size_t stem = strlen(name) - 5;
	int rc;

	snprintf(path, sizeof(path), "channels/%s", name);
	rc = private_read(t, path, &text, err);
	if (rc == 0)
		rc = subscription_decode(bytes_in(&text), path, ret, err);
	if (rc < 0)
		return rc;
	if (strlen(ret->name) != stem || memcmp(ret->name, name, stem) != 0)
		return err_set(err, RC_MALFORMED, "%s names the channel %s", path, ret->name);
	return 0;
}

static int subs_alloc(struct sync_wanted *p, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	p->sub = calloc(n, sizeof(*p->sub));
	p->target = calloc(n, sizeof(*p->target));
	p->refused = calloc(n, sizeof(*p->refused));
	return p->sub == NULL || p->target == NULL || p->refused == NULL ? err_memory(err) : 0;
}

static int subs_read(struct private_tree *t, struct sync_wanted *p, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	int rc = private_files(t, "channels", ".yaml", &names, err);

	if (rc == 0)
		rc = subs_alloc(p, names.n, err);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		rc = sub_read(t, names.items[i], &p->sub[i], err);
		p->subs += rc == 0;
	}
	return rc;
}

void sync_wanted_drop(struct sync *y)
{
	struct sync_wanted *p = &y->wanted;

	for (size_t i = 0; i < p->subs; i++)
		free(p->target[i]);
	free(p->sub);
	free(p->target);
	free(p->refused);
	memset(p, 0, sizeof(*p));
}

int sync_wanted_read(struct sync *y, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	int rc;

	if (y->wanted.read)
		return 0;
	rc = private_open(y->s, &t, err);
	if (rc == 0)
		rc = private_membership(&t, &y->wanted.membership, err);
	if (rc == 0)
		rc = subs_read(&t, &y->wanted, err);
	if (rc < 0)
		sync_wanted_drop(y);
	else
		y->wanted.read = true;
	return rc;
}

static int private_try(struct sync *y, struct follow *f, const struct shard_workstation *row,
		       struct sync_outcome *o, struct err *err)
{
	struct apply_target target = tree_private_target(y->s);
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	OWNED(content_key_freep) struct content_key *key = NULL;
	int rc = follow_private_bundle(f, row, &b, err);

	if (rc == 0)
		rc = sync_seal_open(y, &b.manifest, &key, err);
	if (rc == 0) {
		struct apply_bundle bundle = {.depot = f->depot,
					      .path = b.path,
					      .manifest = &b.manifest,
					      .blocks = b.blocks,
					      .payload_offset = b.payload_offset,
					      .key = key};

		rc =
		    apply_bundle(y->s, &bundle, &target,
				 y->flags & SYNC_DRY_RUN ? APPLY_DRY_RUN : 0, &o->out.preview, err);
	}
	return rc;
}

static void private_apply(struct sync *y, const struct shard_workstation *row,
			  struct sync_outcome *o)
{
	int64_t began = clock_monotonic_ms();
	struct err bad = {0};
	int rc = sync_refused(y, &bad);

	if (rc == 0) {
		rc = err_set(&bad, RC_AGAIN, "no depot is at hand");
		for (size_t i = 0; rc < 0 && i < y->depot.n; i++)
			rc = private_try(y, &y->depot.items[i], row, o, &bad);
	}
	sync_wanted_drop(y);
	o->milliseconds = (uint64_t)(clock_monotonic_ms() - began);
	o->out.rc = rc;
	if (rc < 0) {
		snprintf(o->out.reason, sizeof(o->out.reason), "%.500s", bad.text);
		return;
	}
	o->applied = !(y->flags & SYNC_DRY_RUN);
	if (!o->applied)
		return;
	o->out.after = row->generation;
	o->out.epoch = row->epoch;
}

/* The documents say what the server wants of this machine; changed ones are put right first. */
static bool private_good(struct station *s, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;

	return private_open(s, &t, err) == 0 && private_intact(&t, err) == 0;
}

/* Newer than what the shard names: by hand, ahead of the beat, or the site went back. */
static int private_offered_older(struct station *s, const struct shard_workstation *row,
				 uint64_t generation, struct sync_outcome *o, struct err *err)
{
	int rc = station_property_set(s, PROPERTY_PRIVATE_BY_HAND, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	o->out.rc = RC_REPLAY;
	snprintf(o->out.reason, sizeof(o->out.reason),
		 "generation %" PRIu64 " is offered, %" PRIu64 " is applied already",
		 row->generation, generation);
	return 0;
}

/* An epoch above that of the trust document would be one that no later document could raise. */
static bool row_refused(const struct station *s, const struct shard_workstation *row,
			struct err *err)
{
	if (row->generation == 0)
		return err_set(err, RC_AGAIN, "the server has not made it yet") < 0;
	if (row->epoch > trust_epoch(&s->trust, ROLE_PRIVATE))
		return err_set(err, RC_UNTRUSTED,
			       "epoch %" PRIu64 " is not one that the trust document allows",
			       row->epoch) < 0;
	return false;
}

int sync_private(struct sync *y, const struct shard_workstation *row, struct err *err)
{
	struct sync_outcome o = {.tree = TREE_PRIVATE};
	struct station *s = y->s;
	const struct applied offered = {.epoch = row->epoch, .generation = row->generation};
	struct applied now;
	struct err bad = {0};
	int rc = applied_load(s, TREE_PRIVATE, &now, err);

	if (rc < 0)
		return rc;
	o.out.before = o.out.after = now.generation;
	o.out.epoch_before = o.out.epoch = now.epoch;
	o.out.wanted = row->generation;
	if (row_refused(s, row, &bad)) {
		o.out.rc = bad.rc;
		snprintf(o.out.reason, sizeof(o.out.reason), "%.500s", bad.text);
	} else if (applied_later(&now, &offered)) {
		rc = private_offered_older(s, row, now.generation, &o, err);
	} else if (applied_later(&offered, &now))
		private_apply(y, row, &o);
	else if ((rc = station_property_drop(s, PROPERTY_PRIVATE_BY_HAND, err)) == 0 &&
		 !private_good(s, &bad)) {
		reporter_warning(s->reporter, "%s: applying the private channel again", bad.text);
		private_apply(y, row, &o);
	}
	if (rc == 0)
		rc = sync_outcome(y, &o, err);
	if (rc == 0 && o.applied)
		rc = sync_seal_settle(y, err);
	/* What is applied counts while something newer does not arrive. */
	return rc < 0 ? rc : o.out.after > 0;
}
