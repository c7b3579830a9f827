/* SPDX-License-Identifier: ISC */
/*
 * The command `publish`: channel by channel, then private channels, then the beat, then the
 * depot.  A channel that fails does not keep the others back, but the beat must come last: it is
 * what makes all of it visible at once.
 */
#include "bundler/publish/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/decommission.h"
#include "bundler/entitlement/people.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/outbox/site_missing.h"
#include "bundler/outbox/site_post.h"
#include "bundler/outbox/site_verify.h"
#include "bundler/pack/store.h"
#include "bundler/private/compile.h"
#include "bundler/private/private.h"
#include "bundler/private/private_history.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/recover/recover.h"
#include "bundler/registry/registry.h"
#include "bundler/trust/site_keys.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static const char publish_tables[] =
    /* hashed: ns; a file that stat calls older was not changed after it was hashed */
    "CREATE TABLE scanned(channel TEXT PRIMARY KEY, hashed INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const publish_steps[] = {publish_tables};
const struct db_schema publish_schema = DB_SCHEMA("publish", publish_steps);

struct publish_run {
	struct site *s;
	const char *const *only;
	size_t n;
	enum publish_flags flags;
	void (*each)(void *arg, const char *channel, const struct publish_counts *counts);
	void *arg;
	bool made;              /* some generation */
	struct strings missing; /* owned: files that the depot had lost */
	int rc;                 /* the first failure */
};

static void run_clear(struct publish_run *r)
{
	strings_clear(&r->missing);
}

static bool wanted(const struct publish_run *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->only[i], name) == 0)
			return true;
	return r->n == 0 && !(r->flags & PUBLISH_NO_CHANNELS);
}

static int names_check(const struct publish_run *r, struct err *err)
{
	if (r->n > 0 && r->s->unread.rc < 0)
		return err_set(err, r->s->unread.rc, "%s", r->s->unread.text);
	for (size_t i = 0; i < r->n; i++)
		if (site_channel(r->s, r->only[i]) == NULL)
			return err_set(err, RC_USAGE,
				       "there is no channel %s: `satchel channel list` shows them",
				       r->only[i]);
	return 0;
}

/* Seconds: long enough to fetch a root key that lies in a safe. */
#define TRUST_NEAR (60 * 86400)

/* Past that day workstations take nothing new, so it is said while there is time. */
static void trust_warn(struct site *s)
{
	char day[CLOCK_TEXT + 1];

	if (clock_now() < s->trust.expires - TRUST_NEAR)
		return;
	clock_format(day, s->trust.expires);
	reporter_warning(
	    s->reporter,
	    clock_now() < s->trust.expires
		? "the trust document is good until %.10s, and then workstations apply "
		  "nothing new: run satchel trust renew"
		: "the trust document was good until %.10s: workstations apply nothing "
		  "new until you run satchel trust renew and publish",
	    day);
}

/* A server that is taken over must not be able to change whom the workstations trust. */
static void root_warn(struct site *s)
{
	char name[64];

	if (site_keys_root(s, name, ERR_IGNORED) == 1)
		reporter_warning(
		    s->reporter,
		    "a root key lies on this server without a passphrase: move %s/keys/%s to a "
		    "stick that you keep elsewhere, and sign changes of trust there with "
		    "satchel trust sign",
		    s->state, name);
}

static void licences_warn(struct site *s)
{
	char why[PEOPLE_WHY];

	for (size_t i = 0; i < s->licences; i++) {
		if (people_licence_warning(s, &s->licence[i], clock_now(), why))
			reporter_warning(s->reporter, "%s", why);
	}
}

/* They came, or were added, after the channel was sealed. */
static void unready_warn(struct site *s)
{
	for (size_t i = 0; i < s->channels; i++) {
		OWNED(strings_clear) struct strings names = {0};
		char text[PUBLISH_NAMES];

		if (!s->channel[i].sealed ||
		    publish_unready(s, s->channel[i].name, false, &names, ERR_IGNORED) < 0 ||
		    names.n == 0)
			continue;
		publish_names(&names, text);
		reporter_warning(
		    s->reporter,
		    "channel %s is sealed, which satchel cannot read on %s: update it there",
		    s->channel[i].name, text);
	}
}

/* The first failure is what the command ends with; the others are said on the way. */
static void failed(struct publish_run *r, const struct err *e, struct err *err)
{
	if (r->rc == 0) {
		r->rc = e->rc;
		*err = *e;
	} else {
		reporter_warning(r->s->reporter, "%s", e->text);
	}
}

/* Nobody may take what workstations have for what the source says.  ${b->why} "": it is. */
static void blocked_note(struct publish_run *r, const char *channel, struct published_blocked *b,
			 struct err *err)
{
	struct db *db = r->s->db;
	struct err e = {0};
	int rc;

	if (r->flags & PUBLISH_DRY_RUN)
		return;
	b->since = clock_now();
	rc = b->why[0] == '\0' ? published_blocked_clear(db, channel, &e)
			       : published_blocked_set(db, channel, b, &e);
	if (rc > 0)
		rc = registry_eventf(db, &e, "blocked", channel, "%s", b->why);
	if (rc < 0)
		failed(r, &e, err);
}

static void channels_publish(struct publish_run *r, struct err *err)
{
	for (size_t i = 0; i < r->s->channels; i++) {
		const struct site_channel *c = &r->s->channel[i];
		struct published_blocked b = {0};
		struct publish_counts counts = {0};
		struct err e = {0};

		if (!wanted(r, c->name))
			continue;
		if (publish_channel(r->s, c, r->flags, &counts, &e) < 0) {
			failed(r, &e, err);
			snprintf(b.why, sizeof(b.why), "%s", e.text);
			blocked_note(r, c->name, &b, err);
			continue;
		}
		if (counts.held > 0)
			reporter_warning(r->s->reporter, "channel %s: %s", c->name,
					 counts.held_why);
		snprintf(b.why, sizeof(b.why), "%s", counts.held_why);
		b.held = counts.held;
		blocked_note(r, c->name, &b, err);
		r->made = r->made || counts.made;
		if (r->each != NULL)
			r->each(r->arg, c->name, &counts);
	}
}

/* A channel whose document is gone: its files leave the depot.  Its numbers are kept, so that one
 * that comes back under the same name goes on above them. */
static int channel_forget(void *arg, const char *name, struct err *err)
{
	struct publish_run *r = arg;
	struct site *s = r->s;
	int rc;

	if (site_channel(s, name) != NULL)
		return 0;
	r->made = true;
	rc = published_offers_drop(s->db, name, 0, err);
	if (rc == 0)
		rc = published_bundles_take(s->db, name, EPOCHS_ALL, publish_path_retire, s, err);
	if (rc == 0)
		rc = published_heads_take(s->db, name, EPOCHS_ALL, publish_path_retire, s, err);
	if (rc == 0)
		rc = published_release_drop(s->db, name, err);
	return rc < 0 ? rc : index_drop(s->db, name, err);
}

static int blocked_forget(void *arg, const char *name, struct err *err)
{
	struct publish_run *r = arg;

	return site_channel(r->s, name) != NULL ? 0 : published_blocked_clear(r->s->db, name, err);
}

static int channels_forget(struct publish_run *r, struct err *err)
{
	int rc = published_channels(r->s->db, channel_forget, r, err);

	return rc < 0 ? rc : published_blocked_each(r->s->db, blocked_forget, r, err);
}

/* One step of a run in a transaction of its own; its failure is noted, and the run goes on. */
static void step_commit(struct publish_run *r, int (*step)(struct publish_run *r, struct err *err),
			struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct err e = {0};
	int rc = db_tx_begin(&tx, r->s->db, &e);

	if (rc == 0)
		rc = step(r, &e);
	if (rc == 0)
		rc = db_tx_commit(&tx, &e);
	if (rc < 0)
		failed(r, &e, err);
}

static int beat_step(struct publish_run *r, struct err *err)
{
	int rc = decommission_sweep(r->s, err);

	return rc < 0 ? rc : publish_beat(r->s, r->flags & PUBLISH_PURGE ? BEAT_ALL_NEW : 0, err);
}

/* As many as a confirmation code is compared with, and some more. */
#define GENERATIONS_KEPT (2 * PUBLISHED_STATES_MOST)

static int generations_step(struct publish_run *r, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->s->channels; i++)
		rc = published_generations_prune(r->s->db, r->s->channel[i].name, GENERATIONS_KEPT,
						 err);
	return rc;
}

static int readers_step(struct publish_run *r, struct err *err)
{
	return publish_readers(r->s, err);
}

/* Before the channels: who has left decides on the keys that they are sealed with. */
static void keys_change(struct publish_run *r, struct err *err)
{
	struct err e = {0};

	step_commit(r, readers_step, err);
	if (publish_rekey(r->s, &e) < 0)
		failed(r, &e, err);
}

/* What documents and sources ask for. */
static void documents_publish(struct publish_run *r, struct err *err)
{
	struct err e = {0};
	uint64_t changed;

	licences_warn(r->s);
	unready_warn(r->s);
	if (!(r->flags & PUBLISH_DRY_RUN))
		keys_change(r, err);
	channels_publish(r, err);
	if (r->flags & PUBLISH_DRY_RUN)
		return;
	if (publish_rollout(r->s, &e) < 0)
		failed(r, &e, err);
	step_commit(r, channels_forget, err);
	e = (struct err){0};
	if (compile_site(r->s, 0, &changed, &e) < 0)
		failed(r, &e, err);
}

/*
 * What the depot has lost is to be posted again.  Before the channels, since a bundle whose bytes
 * are nowhere any more is made anew there.  What cannot be compared keeps nothing back, and is told
 * when all the rest was tried.
 */
static int depot_compare(struct publish_run *r, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct err e = {0};
	int open, rc = r->flags & PUBLISH_REFILL ? site_depot_refill(r->s, err) : 0;

	if (rc < 0 || (r->flags & PUBLISH_NO_COMPARE))
		return rc;
	open = site_depot_open(r->s, &d, err);
	if (open < 0)
		return open;
	rc = site_missing_mark(r->s, d, &r->missing, &e);
	if (rc == 0 && !(r->flags & PUBLISH_REFILL))
		rc = site_verify(r->s, d, &r->missing, &e);
	/* A file with wrong bytes and the right length shows only when it is compared. */
	if ((r->flags & PUBLISH_REFILL) && site_post_again(r->s, rc < 0 ? ERR_IGNORED : &e) < 0)
		rc = rc < 0 ? rc : e.rc;
	if (rc < 0)
		*err = e;
	return rc < 0 ? rc : open > 0 ? err->rc : 0;
}

/* Before any number is given out that somebody may hold already.  A depot that is not there says
 * nothing, and is told where it is compared and posted to. */
static int notice(struct site *s, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;

	if (depot_open(s->depot, 0, LIMIT_DEPOT_SILENCE, &d, ERR_IGNORED) < 0)
		d = NULL;
	return recover_notice(s, d, err);
}

/* Only what came back is said: a bundle that was lost for good has got another one in its place. */
static int post(struct publish_run *r, struct err *err)
{
	uint64_t back = 0;
	int rc = site_post(r->s, err);

	if (rc == 0 && (r->flags & PUBLISH_REFILL))
		reporter_info(r->s->reporter, "every file in the depot was compared with what was "
					      "posted; what differed was posted again");
	if (site_missing_back(r->s, &r->missing, &back, ERR_IGNORED) < 0 || back == 0)
		return rc;
	reporter_warning(r->s->reporter,
			 "posted %" PRIu64 " %s again that %s missing from the depot, or not whole",
			 back, back == 1 ? "file" : "files", back == 1 ? "was" : "were");
	return rc;
}

/* Somebody asks for new full bundles: they are made of what the content store has, and else of the
 * sources. */
static int store_step(struct publish_run *r, struct err *err)
{
	uint64_t lost;

	return store_forget_lost(r->s, &lost, err);
}

int publish_site(struct site *s, const char *const *only, size_t n, enum publish_flags flags,
		 void (*each)(void *arg, const char *channel, const struct publish_counts *counts),
		 void *arg, struct err *err)
{
	OWNED(run_clear)
	struct publish_run r = {
	    .s = s, .only = only, .n = n, .flags = flags, .each = each, .arg = arg};
	struct err depot = {0};
	int compared = 0;
	struct err e = {0};
	int rc = names_check(&r, err);

	if (rc < 0)
		return rc;
	rc = flags & PUBLISH_DRY_RUN ? 0 : notice(s, err);
	if (rc < 0)
		return rc;
	if (!(flags & PUBLISH_DRY_RUN))
		compared = depot_compare(&r, &depot);
	if (flags & PUBLISH_FULL && !(flags & PUBLISH_DRY_RUN))
		step_commit(&r, store_step, err);
	trust_warn(s);
	if (!(flags & PUBLISH_NO_COMPARE)) /* not at every file that somebody saves */
		root_warn(s);
	/* A mistake in a document keeps what is new back, and lets what is current stay believed.
	 */
	if (site_references_check(s, &e) < 0)
		failed(&r, &e, err);
	else
		documents_publish(&r, err);
	if (flags & PUBLISH_DRY_RUN)
		return r.rc;
	/* What is committed is posted, whatever else failed. */
	if (publish_resign(s, &e) < 0)
		failed(&r, &e, err);
	if (private_sign_again(s, &e) < 0)
		failed(&r, &e, err);
	if (publish_releases(s, &e) < 0)
		failed(&r, &e, err);
	step_commit(&r, beat_step, err);
	if (r.made)
		step_commit(&r, generations_step, err);
	rc = post(&r, &e);
	/* A depot that is too slow to be compared can still be posted to.  When it cannot, the
	 * fault is the same, or that of the post is the nearer one. */
	if (rc == 0 && compared < 0)
		failed(&r, &depot, err);
	if (rc == 0 && r.made)
		rc = store_prune(s, &e);
	if (rc == 0 && (flags & PUBLISH_PURGE))
		rc = store_sweep(s, &e);
	if (rc < 0)
		failed(&r, &e, err);
	return r.rc;
}
