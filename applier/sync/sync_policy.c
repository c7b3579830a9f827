/* SPDX-License-Identifier: ISC */
/*
 * What the policy makes of a run: is the newest beat still to be believed, and may channels be
 * applied now?
 */
#include <inttypes.h>
#include <string.h>

#include "applier/report/event.h"
#include "applier/station/station_config.h"
#include "applier/station/station_state.h"
#include "applier/sync/sync_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* A clock this much behind the site's newest word is told: less is how clocks are. */
#define CLOCK_DOUBT 300

static int local_refused(struct sync *y, struct err *err)
{
	struct err bad = {0};

	err_set(&bad, RC_POLICY,
		"the policy chooses an answer to local changes that local-changes-allowed: in %s "
		"does not allow: it stays at %s",
		y->s->config, local_answer_text(y->policy.local));
	reporter_warning(y->s->reporter, "%s", bad.text);
	return y->flags & SYNC_DRY_RUN ? 0 : station_event(y->s, "policy", bad.text, err);
}

int sync_policy_load(struct sync *y, struct err *err)
{
	struct digest file;
	struct err bad = {0};
	int rc = station_policy_file(y->s, &file, &bad);

	if (rc >= 0 && y->policy_loaded && digest_equal(&file, &y->policy_file))
		return 0;
	station_policy_clear(&y->policy);
	rc = station_policy(y->s, &y->policy, &bad);
	y->policy_loaded = rc != RC_STATE && rc != RC_IO;
	y->policy_file = file;
	y->s->local = y->policy.local;
	y->s->undo_keep = (unsigned)y->policy.effective.policy.settings.undo_generations;
	y->s->verify_days = y->policy.effective.policy.settings.verify_days;
	y->s->undo_bytes = y->policy.effective.policy.settings.undo_megabytes << 20;
	if (rc == RC_STATE || rc == RC_IO || rc == RC_ABSENT) /* put right by this very run */
		reporter_debug(y->s->reporter, "%s", bad.text);
	else if (rc < 0)
		return sync_event(y, &bad, err);
	return y->policy.local_refused ? local_refused(y, err) : 0;
}

const struct digest *sync_policy_digest(const struct sync *y)
{
	static const struct digest none;

	return y->policy.local_refused ? &none : &y->policy.digest;
}

static int clock_check(struct sync *y, struct err *err)
{
	struct err bad = {0};
	char day[CLOCK_TEXT + 1];

	if (clock_now() >= y->beat.issued - CLOCK_DOUBT)
		return 0;
	clock_format(day, y->beat.issued);
	err_set(&bad, RC_EXPIRED,
		"this machine's clock is behind: the site's newest beat (beat %" PRIu64
		") was issued at %s",
		y->beat.sequence, day);
	reporter_warning(y->s->reporter, "%s", bad.text);
	return y->flags & SYNC_DRY_RUN ? 0 : station_event(y->s, "clock", bad.text, err);
}

/* The beat that a whole run has followed: what it names was applied, however old it was when it
 * came, because a courier may take longer than any policy thinks. */
static int followed(struct sync *y, struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	int rc = station_property_get(y->s, PROPERTY_BEAT_FOLLOWED, &was, err);

	return rc <= 0 ? rc
		       : was.n == 16 && get_u64(was.p) == y->s->beat_epoch &&
			     get_u64(was.p + 8) == y->s->beat;
}

int sync_beat_followed(struct sync *y, struct err *err)
{
	uint8_t is[16];

	put_u64(is, y->beat.epoch);
	put_u64(is + 8, y->beat.sequence);
	return station_property_put(y->s, PROPERTY_BEAT_FOLLOWED, (struct bytes){is, sizeof(is)},
				    err);
}

/* Until when the newest beat may be believed: its own word, or earlier when nothing newer has
 * arrived for stale-hours; 0: there is none. */
static int64_t policy_expires(const struct station *s, const struct policy_settings *p)
{
	int64_t stale = (int64_t)p->stale_hours * 3600;

	if (s->beat_expires == 0 || p->stale_hours == 0)
		return s->beat_expires;
	return s->beat_arrived + stale < s->beat_expires ? s->beat_arrived + stale
							 : s->beat_expires;
}

/* Sequence decides order, time only staleness; the floor for now is the newest beat's issue. */
int sync_freshness(struct sync *y, struct err *err)
{
	const struct policy_settings *p = &y->policy.effective.policy.settings;
	struct station *s = y->s;
	char day[CLOCK_TEXT + 1];
	struct err bad = {0};
	int64_t until;
	int rc;

	if (y->beat.sequence == 0)
		return 0;
	if (clock_check(y, err) < 0)
		return err->rc;
	until = policy_expires(s, p);
	if (station_now(s) < until)
		return 0;
	clock_format(day, until);
	err_set(&bad, RC_EXPIRED,
		"nothing newer than beat %" PRIu64
		" has arrived, and that was good until %s: what the depots offer may be old",
		y->beat.sequence, day);
	reporter_warning(s->reporter, "%s", bad.text);
	if (y->worst.rc == 0)
		y->worst = bad;
	rc = sync_policy_refuses(y, err);
	if (rc < 0 || (y->flags & SYNC_DRY_RUN))
		return rc < 0 ? rc : 0;
	return station_event(s, "stale", bad.text, err);
}

int sync_policy_refuses(struct sync *y, struct err *err)
{
	const struct policy_settings *p = &y->policy.effective.policy.settings;
	int rc;

	if (p->expiry != POLICY_EXPIRY_REFUSE || station_now(y->s) < policy_expires(y->s, p))
		return 0;
	rc = followed(y, err);
	y->refusing = rc == 1;
	return rc < 0 ? rc : 0;
}

/*
 * Keys that nobody has vouched for again in time bring in nothing new.  A clock that is far ahead
 * stops updates in this way until it is right again, and what is here keeps working; a later trust
 * document is taken at any time, from any depot, so nobody has to visit the machine.
 */
static int trust_expired(const struct station *s, struct err *err)
{
	char day[CLOCK_TEXT + 1], today[CLOCK_TEXT + 1];

	if (station_now(s) < s->trust.expires)
		return 0;
	clock_format(day, s->trust.expires);
	clock_format(today, station_now(s));
	return err_set(
	    err, RC_EXPIRED,
	    "trust version %" PRIu64 " of site %.80s was good until %.10s, and it is %.10s "
	    "here: nothing new is applied, and what is here keeps working; if this clock "
	    "is right, on the server: satchel trust renew, then satchel publish",
	    s->trust.version, s->trust.name, day, today);
}

int sync_refused(const struct sync *y, struct err *err)
{
	int rc = trust_expired(y->s, err);

	if (rc < 0)
		return rc;
	if (!y->refusing)
		return 0;
	return err_set(err, RC_EXPIRED,
		       "the policy lets nothing be applied until something newer than beat %" PRIu64
		       " arrives",
		       y->s->beat);
}

int sync_waits(const struct sync *y, struct err *err)
{
	int rc = sync_refused(y, err);

	return rc < 0 || (y->flags & SYNC_NOW)
		   ? rc
		   : policy_open(&y->policy.effective.policy.settings, err);
}
