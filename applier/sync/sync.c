/* SPDX-License-Identifier: ISC */
/*
 * The run: depots are opened and followed, the private channel and the channels applied, and the
 * receipt written last.  One thing that fails is told and does not stop the others; the worst of a
 * run is its result.
 */
#include "applier/enrol/enrol.h"
#include "applier/sync/sync_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "applier/follow/follow_internal.h"
#include "applier/follow/incomplete.h"
#include "applier/report/event.h"
#include "applier/report/outbox.h"
#include "applier/station/station_config.h"
#include "applier/station/station_state.h"
#include "applier/trees/drift.h"
#include "applier/verify/verify.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Of several things that went wrong in one run, the worst gives the exit class: what can wait
 * counts least, what makes everything else doubtful counts most. */
static int severity(int rc)
{
	static const int order[EXIT_CLASSES] = {
	    [EXIT_CLASS_DONE] = 0,      [EXIT_CLASS_AGAIN] = 1,     [EXIT_CLASS_CONFLICT] = 2,
	    [EXIT_CLASS_POLICY] = 3,    [EXIT_CLASS_REPLAY] = 4,    [EXIT_CLASS_USAGE] = 5,
	    [EXIT_CLASS_MALFORMED] = 6, [EXIT_CLASS_UNTRUSTED] = 7, [EXIT_CLASS_INTERNAL] = 8,
	    [EXIT_CLASS_STATE] = 9};

	return order[rc_class(rc)];
}

void sync_note(struct sync *y, const struct err *bad)
{
	if (severity(bad->rc) > severity(y->worst.rc))
		y->worst = *bad;
}

void sync_tell(struct sync *y, const struct err *bad)
{
	reporter_warning(y->s->reporter, "%s", bad->text);
	sync_note(y, bad);
}

int sync_event(struct sync *y, const struct err *bad, struct err *err)
{
	sync_tell(y, bad);
	return sync_record(y, bad, err);
}

int sync_record(struct sync *y, const struct err *bad, struct err *err)
{
	sync_note(y, bad);
	if (rc_class(bad->rc) == EXIT_CLASS_AGAIN || (y->flags & SYNC_DRY_RUN))
		return 0;
	return station_event(y->s, rc_slug(bad->rc), bad->text, err);
}

/* Sticks that are not plugged in are normal; a depot that a person named is not.  Of one that is
 * there and cannot be opened somebody must hear why, when no other serves instead. */
static int depot_add(struct sync *y, const char *path, struct err *err)
{
	struct err bad = {0};
	int rc = list_reserve(&y->depot, 1, err);

	if (rc < 0)
		return rc;
	rc = follow_open(y->s, path, &y->depot.items[y->depot.n], &bad);
	if (rc == 0) {
		y->depot.n++;
		return 0;
	}
	if (y->by_hand) {
		*err = bad;
		return rc;
	}
	if (rc != RC_ABSENT && y->unopened.rc == 0)
		y->unopened = bad;
	if (rc == RC_TIMEOUT)
		sync_tell(y, &bad);
	else
		reporter_debug(y->s->reporter, "%s", bad.text);
	return 0;
}

int sync_open(struct sync *y, const char *only, struct err *err)
{
	int rc = 0;

	if (only != NULL) {
		OWNED(freep) char *path = NULL;

		y->by_hand = true;
		rc = station_absolute(only, &path, err);
		return rc < 0 ? rc : depot_add(y, path, err);
	}
	for (size_t i = 0; rc == 0 && i < y->s->depots.n; i++)
		rc = depot_add(y, y->s->depots.items[i], err);
	return rc;
}

/* A depot that does not answer any more is left out of the rest of the run. */
static void depot_drop(struct sync *y, size_t i)
{
	follow_close(&y->depot.items[i]);
	y->depot.n--;
	memmove(&y->depot.items[i], &y->depot.items[i + 1],
		(y->depot.n - i) * sizeof(*y->depot.items));
}

static bool any_current(const struct sync *y)
{
	for (size_t i = 0; i < y->depot.n; i++)
		if (y->depot.items[i].current)
			return true;
	return false;
}

/* Seconds that something may be on its way before the server is told of it. */
#define TOLD_AFTER 3600

/* What may be only on its way is told to the server when it stays the same, word for word. */
static int waiting_event(struct sync *y, const struct err *bad, struct err *err)
{
	int64_t seconds = 0;
	int rc;

	if (y->flags & SYNC_DRY_RUN)
		return 0;
	rc = incomplete_seen(y->s, bad->text, &seconds, err);
	if (rc < 0 || seconds < TOLD_AFTER)
		return rc;
	return station_event(y->s, rc_slug(bad->rc), bad->text, err);
}

/* The run goes on without it. */
static int depot_lost(struct sync *y, size_t i, const struct err *bad, struct err *err)
{
	sync_tell(y, bad);
	depot_drop(y, i);
	return waiting_event(y, bad, err);
}

/*
 * One kind of document from every depot, again while any of them brings something: one depot may
 * hold what another's next document stands on.  What failed counts as it is in the last pass.
 */
static int depots_pass(struct sync *y, int (*step)(struct follow *f, struct err *err),
		       struct err *err)
{
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < y->depot.n; i++) {
			struct follow *f = &y->depot.items[i];
			int rc;

			f->err = (struct err){0};
			rc = step(f, &f->err);
			if (rc >= 0)
				f->err.rc = 0;
			if (rc == RC_TIMEOUT) {
				struct err bad = f->err;

				rc = depot_lost(y, i--, &bad, err);
				if (rc < 0)
					return rc;
			} else if (rc < 0 && follow_fatal(rc)) {
				*err = f->err;
				return rc;
			}
			more = more || rc > 0;
		}
	}
	return 0;
}

/* What is incomplete or late in one depot does not matter while another one is up to date. */
static int depot_error(struct sync *y, const struct follow *f, struct err *err)
{
	if (f->refused.rc < 0 && f->err.rc == 0) {
		if (f->refused.rc == RC_IO)
			sync_tell(y, &f->refused);
		else
			reporter_warning(y->s->reporter, "%s", f->refused.text);
		if (waiting_event(y, &f->refused, err) < 0)
			return err->rc;
	}
	if (f->err.rc == 0)
		return 0;
	if (rc_class(f->err.rc) != EXIT_CLASS_AGAIN)
		return sync_event(y, &f->err, err);
	if (any_current(y)) {
		reporter_debug(y->s->reporter, "%s", f->err.text);
		return 0;
	}
	sync_tell(y, &f->err);
	return waiting_event(y, &f->err, err);
}

/* Those that were given up after their beat was read; what they lack was looked for elsewhere. */
static int depots_over(struct sync *y, struct err *err)
{
	struct err bad = {0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < y->depot.n; i++)
		if (depot_over(y->depot.items[i].depot, &bad))
			rc = depot_lost(y, i--, &bad, err);
	return rc;
}

static int depots_errors(struct sync *y, struct err *err)
{
	for (size_t i = 0; i < y->depot.n; i++) {
		int rc = depot_error(y, &y->depot.items[i], err);

		if (rc < 0)
			return rc;
		y->depot.items[i].err.rc = y->depot.items[i].refused.rc = 0;
	}
	return 0;
}

static int beat_take(struct sync *y, struct err *err)
{
	struct digest identity;
	struct err bad = {0};
	int rc = station_beat_current(y->s, &y->beat, &identity, err);

	if (rc == 1 && y->depot.n > 0)
		return 1;
	if (rc == 0)
		memset(&y->beat, 0, sizeof(y->beat));
	if (rc < 0 || y->worst.rc != 0)
		return rc < 0 ? rc : 0; /* told already */
	if (y->depot.n == 0 && y->unopened.rc < 0)
		bad = y->unopened;
	else if (y->depot.n == 0)
		err_set(&bad, RC_AGAIN,
			"no depot is at hand: plug one in, or name it in depots: of %s",
			y->s->config);
	else if (y->s->beat > 0)
		err_set(&bad, RC_AGAIN,
			"the newest beat was signed with a key that is no longer trusted: waiting "
			"for the next one");
	else
		err_set(&bad, RC_INCOMPLETE,
			"no depot at hand has a beat of the site %s yet: has the server "
			"published?",
			y->s->trust.name);
	sync_tell(y, &bad);
	return 0;
}

/* A mount point without its share, or the depot of somebody else, is not a depot of ours: nothing
 * is read there and no receipt is left. */
static int strangers_drop(struct sync *y, struct err *err)
{
	for (size_t i = 0; i < y->depot.n; i++) {
		const char *path = depot_path(y->depot.items[i].depot);

		if (y->depot.items[i].ours)
			continue;
		if (y->by_hand)
			return err_set(err, RC_INCOMPLETE,
				       "%s has nothing of the site %s: is it the right directory, "
				       "and has everything arrived there?",
				       path, y->s->trust.name);
		reporter_debug(y->s->reporter, "%s has nothing of the site %s", path,
			       y->s->trust.name);
		depot_drop(y, i--);
	}
	return 0;
}

int sync_depots(struct sync *y, struct err *err)
{
	int rc = sync_open(y, NULL, err);

	if (rc == 0)
		rc = depots_pass(y, follow_trust, err);
	if (rc == 0)
		rc = depots_errors(y, err);
	return rc < 0 ? rc : strangers_drop(y, err);
}

int sync_follow(struct sync *y, struct err *err)
{
	int rc = depots_pass(y, follow_trust, err);

	if (rc == 0)
		rc = depots_errors(y, err);
	if (rc == 0)
		rc = strangers_drop(y, err);
	if (rc == 0)
		rc = depots_pass(y, follow_beat, err);
	if (rc == 0)
		rc = depots_errors(y, err);
	if (rc == 0)
		rc = beat_take(y, err);
	if (rc == 1)
		rc = sync_freshness(y, err);
	return rc;
}

int sync_shard_of(struct sync *y, const char *name, const struct shard **ret, struct err *err)
{
	static const struct shard empty;
	uint8_t xx = shard_of(name);
	struct sync_shard *slot = y->shard[xx];
	const struct digest *identity = NULL;

	*ret = &empty;
	for (size_t i = 0; i < y->beat.shards; i++)
		if (y->beat.shard[i].xx == xx)
			identity = &y->beat.shard[i].digest;
	if (identity == NULL)
		return 0;
	if (slot == NULL)
		slot = y->shard[xx] = calloc(1, sizeof(*slot));
	if (slot == NULL)
		return err_memory(err);
	if (!slot->tried) {
		slot->tried = true;
		err_set(&slot->err, RC_INCOMPLETE,
			"shard %02x has not arrived: no depot is at hand", xx);
		for (size_t i = 0; slot->err.rc != 0 && i < y->depot.n; i++)
			if (follow_shard(&y->depot.items[i], xx, identity, &slot->shard,
					 &slot->err) == 0)
				slot->err.rc = 0;
	}
	if (slot->err.rc < 0) {
		*err = slot->err;
		return slot->err.rc;
	}
	*ret = &slot->shard;
	return 0;
}

/* Our own row: 1 found, 0 not listed. */
static int row_find(struct sync *y, const struct shard_workstation **ret, struct err *err)
{
	const struct shard *shard;
	int rc = sync_shard_of(y, y->s->id, &shard, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < shard->workstations; i++)
		if (strcmp(shard->workstation[i].id, y->s->id) == 0) {
			*ret = &shard->workstation[i];
			return 1;
		}
	return 0;
}

static int row_missing(struct sync *y, struct err *err)
{
	uint64_t generation;
	struct err bad = {0};
	int rc = private_generation(y->s, &generation, err);

	if (rc < 0)
		return rc;
	if (generation > 0)
		err_set(&bad, RC_ADDRESSEE,
			"the site %s does not list this workstation any more, and nothing is "
			"applied: with a new invitation it can enrol again",
			y->s->trust.name);
	else
		err_set(&bad, RC_AGAIN,
			"the site %s has not approved this workstation yet: waiting for the server "
			"to collect and publish",
			y->s->trust.name);
	if (generation > 0 && !(y->flags & SYNC_DRY_RUN) &&
	    (station_property_put(y->s, PROPERTY_UNLISTED, bytes_of("1"), err) < 0 ||
	     enrol_again(y->s, err) < 0))
		return err->rc;
	return sync_event(y, &bad, err);
}

static int sync_apply(struct sync *y, struct err *err)
{
	const struct shard_workstation *row = NULL;
	struct err bad = {0};
	int rc = row_find(y, &row, &bad);

	if (rc < 0) {
		sync_tell(y, &bad);
		return waiting_event(y, &bad, err);
	}
	if (rc == 0)
		return row_missing(y, err);
	if (!(y->flags & SYNC_DRY_RUN)) {
		rc = report_acknowledge(y->s, row->receipt, err);
		if (rc == 0)
			rc = station_property_drop(y->s, PROPERTY_UNLISTED, err);
		if (rc < 0)
			return rc;
	}
	rc = sync_private(y, row, err);
	if (rc <= 0)
		return rc;
	rc = outbox_drop(y->s, OUTBOX_REQUEST, err); /* answered */
	if (rc == 0)
		rc = outbox_drop(y->s, OUTBOX_LAST, err); /* of an earlier life */
	if (rc == 0)                                      /* it may have brought another one */
		rc = sync_policy_load(y, err);
	if (rc < 0)
		return rc;
	if (sync_wanted_read(y, &bad) < 0)
		return sync_event(y, &bad, err);
	if (y->wanted.membership.decommission) /* comes with what else it says of people */
		return 0;
	return sync_channels(y, err);
}

/* A depot that cannot take the receipt leaves it queued; that fails the run only when no depot
 * at all could take it. */
int sync_report(struct sync *y, struct err *err)
{
	struct station *s = y->s;
	struct err bad = {0};
	uint64_t waiting = 0;
	int rc = sync_seal_renew(y, err);

	if (rc == 0)
		rc = report_write(s, sync_policy_digest(y), err);
	for (size_t i = 0; rc == 0 && i < y->depot.n; i++)
		if (report_post(s, y->depot.items[i].depot, &bad) < 0) {
			err_prefix(&bad, "the receipt stays queued");
			reporter_warning(s->reporter, "%s", bad.text);
		}
	if (rc == 0)
		rc = outbox_waiting(s, &waiting, err);
	if (rc < 0)
		return rc;
	if (waiting > 0 && bad.rc < 0)
		sync_note(y, &bad);
	return station_floor_write(s, err);
}

int sync_end(struct sync *y, int rc, struct err *err)
{
	if (rc == 0 && y->worst.rc < 0) {
		*err = y->worst;
		rc = y->worst.rc;
	}
	for (size_t i = 0; i < y->depot.n; i++)
		follow_close(&y->depot.items[i]);
	list_clear(&y->depot);
	for (size_t i = 0; i < ARRAY_LEN(y->shard); i++) {
		if (y->shard[i] != NULL)
			shard_clear(&y->shard[i]->shard);
		free(y->shard[i]);
	}
	station_policy_clear(&y->policy);
	sync_wanted_drop(y);
	free(y);
	return rc;
}

int sync_begin(struct station *s, enum sync_flags flags,
	       void (*each)(void *arg, const struct sync_channel *c), void *arg, struct sync **ret,
	       struct err *err)
{
	struct sync *y;

	if (!s->enrolled)
		return err_set(err, RC_STATE,
			       "this workstation has not been enrolled: join a site with "
			       "satchel enrol CODE --depot DIR");
	y = calloc(1, sizeof(*y));
	if (y == NULL)
		return err_memory(err);
	y->s = s;
	y->flags = flags;
	y->each = each;
	y->arg = arg;
	*ret = y;
	return 0;
}

/* A bundle heals only what it touches: what is known to differ is looked at until it is well. */
static int differing_check(struct sync *y, struct err *err)
{
	OWNED(strings_clear) struct strings trees = {0};
	int rc = tree_list(y->s, &trees, err);

	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		struct err bad = {0};

		if (drift_again(y->s, trees.items[i], &bad) < 0)
			sync_tell(y, &bad);
	}
	return rc;
}

static int sync_run(struct sync *y, const char *only, struct err *err)
{
	bool dry = y->flags & SYNC_DRY_RUN;
	struct err bad = {0};
	int rc = dry ? 0 : sync_recover(y, err);

	if (rc == 0 && y->s->end != STATION_STAYS)
		return dry ? 0 : sync_last(y, err);
	if (rc == 0)
		rc = sync_policy_load(y, err);
	if (rc == 0)
		rc = sync_open(y, only, err);
	if (rc == 0)
		rc = sync_follow(y, err);
	if (rc == 0 && y->beat.sequence > 0 && y->depot.n > 0)
		rc = sync_apply(y, err);
	if (rc == 0 && y->beat.sequence > 0 && y->depot.n > 0 && !dry)
		rc = sync_beat_followed(y, err);
	if (rc == 0)
		rc = depots_over(y, err);
	if (rc < 0)
		return rc;
	if (y->beat.sequence > 0 && !dry)
		rc = station_property_drop(y->s, PROPERTY_BY_HAND, err);
	if (rc < 0)
		return rc;
	if (y->by_hand && y->depot.n == 1 && y->depot.items[0].behind && !y->applied) {
		err_set(&bad, RC_REPLAY,
			"the depot %s is behind: beat %" PRIu64 " is known here already",
			depot_path(y->depot.items[0].depot), y->s->beat);
		sync_tell(y, &bad);
	}
	if (dry)
		return 0;
	rc = sync_people(y, err);
	if (rc == 0 && y->s->end != STATION_STAYS)
		return sync_last_post(y, err);
	if (rc == 0)
		rc = differing_check(y, err);
	if (rc == 0)
		rc = verify_share(y->s, y->s->verify_days, VERIFY_SECONDS, err);
	return rc < 0 ? rc : sync_report(y, err);
}

int sync_station(struct station *s, const char *only_depot, enum sync_flags flags,
		 void (*each)(void *arg, const struct sync_channel *c), void *arg, struct err *err)
{
	struct sync *y = NULL;
	int rc;

	rc = sync_begin(s, flags, each, arg, &y, err);
	return rc < 0 ? rc : sync_end(y, sync_run(y, only_depot, err), err);
}
