/* SPDX-License-Identifier: ISC */
/*
 * What a workstation's watcher does when it is time.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/follow/follow.h"
#include "applier/messages/messages.h"
#include "applier/open/open.h"
#include "applier/private/policy.h"
#include "applier/report/outbox.h"
#include "applier/sync/sync.h"
#include "bundler/outbox/site_post.h"
#include "cli/ask/ask.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "cli/watch/watch.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/control.h"

int watch_station_who(struct watch_who *w, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	char shown[WORKSTATION_ID + 8], site[4 * sizeof(((struct trust *)0)->name)];
	struct digest seed;
	int rc = station_open(w->cli->station, 0, w->cli->reporter, &s, err);

	if (rc < 0)
		return rc;
	if (!s->enrolled)
		return err_set(
		    err, RC_STATE,
		    "this workstation is not enrolled; join a site with satchel enrol CODE --depot "
		    "DIR");
	fingerprint_text(shown, s->id);
	err_escape(site, sizeof(site), s->trust.name);
	seed = digest_of(bytes_of(s->id));
	w->seed = get_u64(seed.b);
	if (asprintf(&w->words, "workstation %s of site %s", shown, site) < 0) {
		w->words = NULL;
		return err_memory(err);
	}
	return 0;
}

/* A window of the policy that is shorter than the interval must not be missed. */
static int64_t check_seconds(const struct policy_settings *p)
{
	int64_t every = (int64_t)p->sync_minutes * 60, opens = policy_opens(p);

	return opens > 0 && opens < every ? opens : every;
}

static int64_t check_next(struct station *s)
{
	OWNED(station_policy_clear) struct station_policy policy = {0};

	station_policy(s, &policy, ERR_IGNORED);
	return clock_now() + check_seconds(&policy.effective.policy.settings);
}

/* After a run, so that what it brought counts already. */
static void plan_fill(struct station *s, struct watch_plan *plan)
{
	OWNED(station_policy_clear) struct station_policy policy = {0};
	const struct policy_settings *set = &policy.effective.policy.settings;

	station_policy(s, &policy, ERR_IGNORED); /* on failure what satchel does by itself */
	plan->interval_ms = check_seconds(set) * 1000;
	plan->jitter = (unsigned)set->jitter_percent;
	plan->poll_ms = (int64_t)set->poll_seconds * 1000;
	plan->sticks = s->sticks;
	for (size_t i = 0; i < s->depots.n; i++)
		if (watch_plan_add(plan, PLACE_DEPOT, s->depots.items[i], "", ERR_IGNORED) < 0)
			return;
}

/* The depots of this run: those of the configuration that answer, and those on media. */
static int depots_choose(struct station *s, const struct run_order *o, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->depots.n; i++) {
		bool out = false;

		for (size_t d = 0; d < o->deads; d++)
			out = out || strcmp(s->depots.items[i], o->dead[d]) == 0;
		if (out)
			free(s->depots.items[i]);
		else
			s->depots.items[kept++] = s->depots.items[i];
	}
	s->depots.n = kept;
	for (size_t i = 0; i < o->removables; i++)
		if (!strings_has(&s->depots, o->removable[i]) &&
		    strings_add(&s->depots, o->removable[i], err) < 0)
			return err->rc;
	return 0;
}

static void channel_said(void *arg, const struct sync_channel *c)
{
	struct run_result *ret = arg;
	const char *name = c->name[0] != '\0' ? c->name : "private channel";

	if (c->rc < 0)
		watch_said(ret, "%s stays at generation %llu: %s", name,
			   (unsigned long long)c->after, c->reason);
	else if (c->after != c->before || c->epoch != c->epoch_before)
		watch_said(ret, "%s: generation %llu -> %llu", name, (unsigned long long)c->before,
			   (unsigned long long)c->after);
}

/* Everything that waits is on the medium, as the medium itself has it: posting it again compares.
 */
static bool removable_whole(struct station *s, const char *path, struct reporter *reporter)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};

	if (depot_open(path, DEPOT_WRITE | DEPOT_VERIFY | DEPOT_NO_LINK, 0, &d, &err) == 0 &&
	    outbox_post(s, d, &err) >= 0)
		return true;
	reporter_warning(reporter, "%s", err.text);
	return false;
}

/* Is there anything to do?  1 yes, 0 no, and ${ret} says why. */
static int poll_first(struct station *s, const struct run_order *o, struct run_result *ret,
		      struct err *err)
{
	struct sync_news n = {0};
	int rc = sync_poll(s, &n, err);

	if (rc < 0)
		return rc;
	if (!n.ours && !n.knocked) {
		ret->nothing = true;
		watch_said(ret, "beat %llu: nothing new for this workstation",
			   (unsigned long long)n.beat);
		return 0;
	}
	if (o->spread && !n.knocked) {
		ret->later = true;
		watch_said(ret, "beat %llu has news for this workstation; it waits for its turn",
			   (unsigned long long)n.beat);
		return 0;
	}
	if (n.knocked)
		watch_said(ret, "the server knocked");
	return 1;
}

static int station_sync(struct station *s, const struct run_order *o, struct reporter *reporter,
			struct run_result *ret, struct err *err)
{
	int rc = depots_choose(s, o, err);

	s->next_check = check_next(s);
	if (rc == 0 && o->cheap) {
		rc = poll_first(s, o, ret, err);
		if (rc <= 0)
			return rc;
	}
	if (rc >= 0)
		rc = sync_station(s, NULL, 0, channel_said, ret, err);
	for (size_t i = 0; i < o->removables; i++)
		if (removable_whole(s, o->removable[i], reporter))
			ret->safe |= 1ull << i;
	return rc;
}

/* As the configuration has it: the run itself left out depots and took in others. */
static void plan_read(struct cli *cli, struct reporter *reporter, struct watch_plan *plan)
{
	OWNED(station_freep) struct station *s = NULL;

	if (station_open(cli->station, 0, reporter, &s, ERR_IGNORED) == 0)
		plan_fill(s, plan);
}

static void sync_run(struct cli *cli, const struct run_order *o, struct reporter *reporter,
		     struct watch_plan *plan, struct run_result *ret)
{
	OWNED(station_freep) struct station *s = NULL;
	struct err err = {0};
	int rc = station_open(cli->station, STATION_LOCK, reporter, &s, &err);

	if (rc == 0) {
		rc = station_sync(s, o, reporter, ret, &err);
		plan_read(cli, reporter, plan);
	}
	s = station_free(s); /* a medium that hangs from here on holds no lock */
	for (size_t i = 0; i < o->removables; i++) {
		struct err bad = {0};

		if (!(ret->safe & (1ull << i)) || watch_flush(o->removable[i], &bad) == 0)
			continue;
		ret->safe &= ~(1ull << i);
		reporter_warning(reporter, "%s", bad.text);
	}
	if (rc < 0)
		watch_failed(ret, &err);
	else if (ret->text[0] == '\0') {
		ret->nothing = !(o->reasons & (RUN_ASKED | RUN_START));
		watch_said(ret, "everything is current");
	}
}

static void search_run(struct cli *cli, const struct run_order *o, struct reporter *reporter,
		       struct run_result *ret)
{
	OWNED(station_freep) struct station *s = NULL;
	struct err err = {0};
	char found[4096];
	int rc = station_open(cli->station, 0, reporter, &s, &err);

	if (rc == 0)
		rc = watch_search(o->removable[0], &s->site, found, &err);
	if (rc < 0)
		watch_failed(ret, &err);
	else if ((size_t)snprintf(ret->text, sizeof(ret->text), "%s", found) >= sizeof(ret->text))
		ret->rc = RC_LIMIT;
}

/* For a medium that somebody plugged in; one of ours needs a second or two. */
#define SEARCH_SECONDS 30

int watch_search(const char *mount, const struct digest *site, char ret[4096], struct err *err)
{
	static const char *const below[] = {"", "/depot", "/satchel"};
	const struct trust_pin pin = {.identity = site};
	int worst = RC_INCOMPLETE;

	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		OWNED(follow_chain_clear) struct follow_chain chain = {0};
		OWNED(depot_freep) struct depot *d = NULL;
		int rc;

		if ((size_t)snprintf(ret, 4096, "%s%s", mount, below[i]) >= 4096)
			continue;
		rc = depot_open(ret, DEPOT_NO_LINK, 10, &d, err);
		if (rc == 0) {
			depot_hurry(d, SEARCH_SECONDS);
			rc = follow_first(d, &pin, &chain, err);
		}
		if (rc == 0)
			return 0;
		if (rc == RC_ADDRESSEE)
			worst = rc;
	}
	return err_set(err, worst, "%s has no depot of this site", mount);
}

/* What the one who asks may see: the kernel said who that is. */
static void reader_of(const struct private_people *people, uint32_t uid, struct message_reader *r)
{
	const struct passwd *pw = getpwuid(uid);

	memset(r, 0, sizeof(*r));
	r->all = uid == 0;
	if (pw == NULL)
		return;
	snprintf(r->account, sizeof(r->account), "%s", pw->pw_name);
	for (size_t i = 0; i < people->persons; i++)
		if (strcmp(people->person[i].account, r->account) == 0)
			memcpy(r->email, people->person[i].email, sizeof(r->email));
}

static int message_text(void *arg, const struct message_item *item, struct err *err)
{
	const struct message *m = item->message;
	char when[CLOCK_TEXT + 1], shown[4 * 512];
	struct buf *to = arg;
	int rc;

	clock_format(when, m->at);
	err_escape(shown, sizeof(shown), m->subject);
	rc = buf_printf(to, err, "%s  %s  %s  %s\n", m->id, when, m->kind, shown);
	for (const char *p = m->text; rc == 0 && p != NULL && *p != '\0';) {
		char line[512];
		size_t n = strcspn(p, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)(n < 511 ? n : 511), p);
		err_escape(shown, sizeof(shown), line);
		rc = buf_printf(to, err, "    %s\n", shown);
		p += n + (p[n] == '\n');
	}
	return rc < 0 || to->n < CONTROL_TEXT ? rc : err_set(err, RC_LIMIT, "and more");
}

static void messages_run(struct cli *cli, const struct run_order *o, struct reporter *reporter,
			 struct buf *answer, struct run_result *ret)
{
	OWNED(station_freep) struct station *s = NULL;
	OWNED(people_clear) struct private_people people = {0};
	struct message_reader reader;
	struct err err = {0};
	int rc = station_open(cli->station, 0, reporter, &s, &err);

	if (rc == 0)
		rc = messages_open(s, &people, &reader, &err);
	if (rc == 0) {
		reader_of(&people, o->uid, &reader);
		rc = messages_each(s, &people, &reader, message_text, answer, &err);
	}
	if (rc < 0 && rc != RC_LIMIT)
		watch_failed(ret, &err);
	else if (answer->n == 0)
		watch_said(ret, "no messages");
}

void watch_station(void *arg, const struct run_order *order, struct reporter *reporter,
		   struct watch_plan *plan, struct buf *answer, struct run_result *ret)
{
	struct watch_who *w = arg;
	OWNED(station_freep) struct station *s = NULL;
	struct err err = {0};

	switch (order->what) {
	case RUN_SYNC:
		sync_run(w->cli, order, reporter, plan, ret);
		return;
	case RUN_SEARCH:
		search_run(w->cli, order, reporter, ret);
		return;
	case RUN_PLAN:
		if (station_open(w->cli->station, 0, reporter, &s, &err) < 0)
			watch_failed(ret, &err);
		else
			plan_fill(s, plan);
		return;
	case RUN_MESSAGES:
		messages_run(w->cli, order, reporter, answer, ret);
		return;
	}
}
