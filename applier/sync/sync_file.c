/* SPDX-License-Identifier: ISC */
/*
 * One bundle by hand.  No beat says that it is the newest, so only what is older than what is
 * applied is refused as a replay, and the receipt says that freshness is unknown.
 */
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "applier/report/event.h"
#include "applier/station/station_state.h"
#include "applier/sync/sync_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct by_hand {
	struct sync *y;
	struct depot *depot;     /* owned */
	struct follow_bundle b;  /* owned */
	struct content_key *key; /* owned */
	struct tree_place place; /* owned */
	struct apply_target target;
	struct applied now;
	struct sync_outcome o;
};

static void by_hand_clear(struct by_hand *h)
{
	depot_free(h->depot);
	follow_bundle_clear(&h->b);
	content_key_free(h->key);
	tree_place_clear(&h->place);
}

static int file_open(struct by_hand *h, const char *path, struct err *err)
{
	OWNED(freep) char *dir = strdup(path);
	OWNED(freep) char *name = strdup(path);
	int rc;

	if (dir == NULL || name == NULL)
		return err_memory(err);
	rc = depot_open(dirname(dir), 0, LIMIT_DEPOT_SILENCE, &h->depot, err);
	if (rc == 0)
		rc = follow_prefix(h->depot, basename(name), &h->y->s->trust, &h->b, err);
	return rc;
}

/* Made for us, and not older than what is applied?  1: applied already. */
static int order_check(struct by_hand *h, struct err *err)
{
	const struct manifest *m = &h->b.manifest;
	const struct applied offered = {.epoch = m->epoch, .generation = m->generation};
	struct station *s = h->y->s;
	const uint64_t epoch =
	    trust_epoch(&s->trust, m->private_channel ? ROLE_PRIVATE : ROLE_PUBLISH);

	if (m->epoch > epoch)
		return err_set(err, RC_UNTRUSTED,
			       "epoch %" PRIu64 " is not one that the trust document allows",
			       m->epoch);
	/* No beat vouches for it, so the epoch is the only floor under a machine that has nothing
	 * of the channel yet. */
	if (m->epoch < epoch)
		return err_set(err, RC_REPLAY,
			       "the bundle is of epoch %" PRIu64
			       ", and the trust document has begun epoch %" PRIu64
			       ": only a beat of the site can bring it",
			       m->epoch, epoch);
	if (applied_later(&h->now, &offered))
		return err_set(err, RC_REPLAY,
			       "the bundle leads to generation %" PRIu64 ", %" PRIu64
			       " is applied already",
			       m->generation, h->now.generation);
	if (applied_later(&offered, &h->now))
		return 0;
	if (!digest_equal(&m->tree, &h->now.tree))
		return err_set(err, RC_FORK,
			       "the bundle leads to another generation %" PRIu64
			       " than the one that is applied",
			       m->generation);
	return 1;
}

static int private_prepare(struct by_hand *h, struct err *err)
{
	struct station *s = h->y->s;

	if (strcmp(h->b.manifest.recipient, s->id) != 0)
		return err_set(err, RC_ADDRESSEE,
			       "it is the private channel of another workstation");
	h->target = tree_private_target(s);
	return sync_seal_open(h->y, &h->b.manifest, &h->key, err);
}

static int channel_place(struct by_hand *h, const struct sync_wanted *p, struct err *err)
{
	const char *name = h->b.manifest.channel;
	struct station *s = h->y->s;
	const struct subscription *sub = NULL;
	size_t i;
	int rc;

	for (i = 0; i < p->subs && sub == NULL; i++)
		if (strcmp(p->sub[i].name, name) == 0)
			sub = &p->sub[i];
	if (sub == NULL)
		return err_set(err, RC_ADDRESSEE, "channel %s is not for this workstation", name);
	i--;
	if (p->refused[i].rc < 0) {
		*err = p->refused[i];
		return err->rc;
	}
	rc = tree_place_load(s, name, &h->place, err);
	if (rc == 1 && strcmp(h->place.path, p->target[i]) != 0)
		return err_set(err, RC_AGAIN, "the channel has moved to %s: run satchel sync first",
			       p->target[i]);
	if (rc == 0 && (h->place.path = strdup(p->target[i])) == NULL)
		rc = err_memory(err);
	if (rc < 0)
		return rc;
	h->place.owners = sub->owners && s->owners;
	h->place.special_modes = sub->special_modes && s->special_modes;
	h->place.remove = strcmp(sub->on_leave, "remove") == 0;
	rc = tree_place_target(s, &h->place, &h->target, err);
	if (rc == 0 && !(h->y->flags & SYNC_DRY_RUN))
		rc = tree_place_put(s, &h->place, err);
	return rc;
}

static int channel_prepare(struct by_hand *h, struct err *err)
{
	uint64_t generation;
	int rc = private_generation(h->y->s, &generation, err);

	if (rc == 0 && generation == 0)
		rc =
		    err_set(err, RC_AGAIN,
			    "the private channel, which says what is for this workstation, has not "
			    "arrived: run satchel sync first");
	if (rc == 0)
		rc = sync_wanted_read(h->y, err);
	if (rc == 0)
		rc = sync_targets(h->y, err);
	return rc < 0 ? rc : channel_place(h, &h->y->wanted, err);
}

/* By hand as well the owner's hooks say whether it stays. */
static int file_health(struct by_hand *h, const struct sync_update *update, struct err *err)
{
	int rc = sync_update_end(h->y, update, err);

	if (rc == RC_ROLLED_BACK) {
		h->o.out.after = h->now.generation;
		h->o.out.epoch = h->now.epoch;
	}
	return rc;
}

static int file_apply(struct by_hand *h, struct err *err)
{
	const struct manifest *m = &h->b.manifest;
	bool dry = h->y->flags & SYNC_DRY_RUN;
	struct apply_bundle bundle = {.depot = h->depot,
				      .path = h->b.path,
				      .manifest = m,
				      .blocks = h->b.blocks,
				      .payload_offset = h->b.payload_offset,
				      .part_blocks = h->b.part_blocks};
	struct sync_update update;
	int rc = applied_load(h->y->s, h->o.tree, &h->now, err);

	if (rc < 0)
		return rc;
	h->o.out.before = h->o.out.after = h->now.generation;
	h->o.out.epoch_before = h->o.out.epoch = h->now.epoch;
	h->o.out.wanted = m->generation;
	rc = order_check(h, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = m->private_channel ? sync_refused(h->y, err) : sync_waits(h->y, err);
	if (rc < 0)
		return rc;
	rc = m->private_channel ? private_prepare(h, err) : channel_prepare(h, err);
	if (rc == 0 && m->key > 0)
		rc = private_channel_key(h->y->s, m, &h->key, err);
	if (rc < 0)
		return rc;
	bundle.key = h->key;
	update = (struct sync_update){h->o.tree, h->place.path, h->now.generation, m->generation};
	if (!m->private_channel)
		rc = sync_update_begin(h->y, &update, &h->now, err);
	if (rc < 0)
		return rc;
	rc = apply_bundle(h->y->s, &bundle, &h->target, dry ? APPLY_DRY_RUN : 0, &h->o.out.preview,
			  err);
	if (rc < 0 || dry)
		return rc;
	h->o.applied = true;
	h->o.out.after = m->generation;
	h->o.out.epoch = m->epoch;
	/* No head has confirmed it yet. */
	memset(&h->place.head, 0, sizeof(h->place.head));
	if (m->private_channel)
		return sync_seal_settle(h->y, err);
	rc = tree_place_put(h->y->s, &h->place, err);
	return rc < 0 ? rc : file_health(h, &update, err);
}

static int freshness_unknown(struct by_hand *h, struct err *err)
{
	char text[256];
	int rc = station_property_put(h->y->s, PROPERTY_BY_HAND, bytes_of("1"), err);

	if (rc == 0 && h->b.manifest.private_channel)
		rc = station_property_put(h->y->s, PROPERTY_PRIVATE_BY_HAND, bytes_of("1"), err);
	snprintf(text, sizeof(text),
		 "%s%s, generation %" PRIu64
		 ", was applied by hand: whether it is the newest is not "
		 "known",
		 h->o.out.name[0] == '\0' ? "the private channel" : "channel ", h->o.out.name,
		 h->o.out.after);
	return rc < 0 ? rc : station_event(h->y->s, "freshness", text, err);
}

static int file_run(struct sync *y, const char *path, struct err *err)
{
	OWNED(by_hand_clear) struct by_hand h = {.y = y, .place.rootfd = -1, .o.by_hand = true};
	int64_t began = clock_monotonic_ms();
	bool dry = y->flags & SYNC_DRY_RUN;
	struct err bad = {0};
	int rc = dry ? 0 : sync_recover(y, err);

	if (rc == 0 && y->s->end != STATION_STAYS)
		return err_set(err, RC_STATE,
			       "this workstation was decommissioned by the site %s: nothing is "
			       "applied any more",
			       y->s->trust.name);
	if (rc == 0)
		rc = sync_policy_load(y, err);
	if (rc == 0)
		rc = sync_policy_refuses(y, err);
	if (rc < 0)
		return rc;
	if (file_open(&h, path, &bad) < 0) {
		err_prefix(&bad, "%s", path);
		rc = sync_event(y, &bad, err);
	} else {
		const struct manifest *m = &h.b.manifest;

		h.o.tree = h.place.tree = m->private_channel ? TREE_PRIVATE : m->channel;
		snprintf(h.o.out.name, sizeof(h.o.out.name), "%s", m->channel);
		h.o.out.rc = file_apply(&h, &bad);
		if (h.o.out.rc < 0)
			snprintf(h.o.out.reason, sizeof(h.o.out.reason), "%.511s", bad.text);
		h.o.milliseconds = (uint64_t)(clock_monotonic_ms() - began);
		rc = sync_outcome(y, &h.o, err);
		if (rc == 0 && h.o.applied)
			rc = freshness_unknown(&h, err);
	}
	if (rc < 0 || dry)
		return rc;
	rc = sync_policy_load(y, err); /* it may have brought another one */
	if (rc == 0)
		rc = sync_depots(y, err);
	if (rc == 0)
		rc = sync_people(y, err);
	if (rc == 0 && y->s->end != STATION_STAYS)
		return sync_last_post(y, err);
	return rc < 0 ? rc : sync_report(y, err);
}

/* Asked by a child, because a dead share hangs whoever asks.  1, or 0: perhaps a file. */
static int is_directory(const char *path, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	int rc = depot_open(path, 0, LIMIT_DEPOT_SILENCE, &d, err);

	return rc == 0 ? 1 : rc == RC_IO && errno == ENOTDIR ? 0 : rc;
}

int sync_file(struct station *s, const char *path, enum sync_flags flags,
	      void (*each)(void *arg, const struct sync_channel *c), void *arg, struct err *err)
{
	struct sync *y = NULL;
	int rc;

	rc = is_directory(path, err);
	if (rc == 1)
		return sync_station(s, path, flags, each, arg, err);
	if (rc == 0)
		rc = sync_begin(s, flags, each, arg, &y, err);
	return rc < 0 ? rc : sync_end(y, file_run(y, path, err), err);
}
