/* SPDX-License-Identifier: ISC */
/*
 * The one run, and the one question beside it.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/own.h"
#include "watcher/watch_internal.h"

/* Another command holds the lock: it is rarely long. */
#define BUSY_LEAST_MS 500
#define BUSY_MOST_MS  15000
/* A search or a page of messages. */
#define SIDE_MS 60000
/* Reasons for which a run does everything, not only what is new. */
#define FULL_REASONS (RUN_TIMER | RUN_ASKED | RUN_REMOVABLE | RUN_AGAIN | RUN_NEWS)

/*
 * What a run warns of, the next one mostly warns of again: a share that is away for a week would be
 * in the journal every few minutes.  A warning that the run before this one had is told only when
 * somebody looks for more.
 */
static uint64_t warning_hash(const char *text)
{
	struct digest d = digest_of(bytes_of(text));

	return get_u64(d.b);
}

static bool heard_has(const uint64_t *list, size_t n, uint64_t hash)
{
	for (size_t i = 0; i < n && i < HEARD_MAX; i++)
		if (list[i] == hash)
			return true;
	return false;
}

static bool heard_says(const struct heard *h, const char *text)
{
	return heard_has(h->now, h->n, warning_hash(text));
}

static void heard_line(struct reporter *reporter, enum reporter_level level, const char *text)
{
	struct heard *h = (struct heard *)reporter;
	uint64_t hash = warning_hash(text);
	bool known;

	if (level != REPORTER_WARNING) {
		h->to->line(h->to, level, text);
		return;
	}
	known = heard_has(h->now, h->n, hash) || heard_has(h->before, h->before_n, hash);
	if (!heard_has(h->now, h->n, hash))
		h->now[h->n++ % HEARD_MAX] = hash;
	h->to->line(h->to, known ? REPORTER_DEBUG : level, text);
}

static void heard_progress(struct reporter *reporter, const char *phase, uint64_t done,
			   uint64_t total, uint64_t items, uint64_t items_total)
{
	struct heard *h = (struct heard *)reporter;

	h->to->progress(h->to, phase, done, total, items, items_total);
}

/* A run begins: what the one before warned of is known, unless somebody asks. */
static void heard_begin(struct heard *h, struct reporter *to, bool asked)
{
	h->reporter = (struct reporter){heard_line, heard_progress};
	h->to = to;
	memcpy(h->before, h->now, sizeof(h->before));
	h->before_n = asked ? 0 : h->n;
	h->n = 0;
}

/* The control socket's answers to those who asked for a sync. */
static void clients_tell(struct watch *w, const struct run_result *r)
{
	char text[1200], shown[4 * sizeof(r->text)];
	int n;

	err_escape(shown, sizeof(shown), r->text);
	n = snprintf(text, sizeof(text), "%d %s\n", (int)rc_class(r->rc), shown);
	if ((size_t)n >= sizeof(text))
		text[sizeof(text) - 2] = '\n';
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *k = &w->control.client[i];

		if (k->fd >= 0 && k->asked && k->verb == CONTROL_SYNC && k->joined)
			control_answer(k, bytes_of(text));
	}
}

/* Those who asked before the run began are told by it. */
static void clients_join(struct watch *w)
{
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *k = &w->control.client[i];

		if (k->fd >= 0 && k->asked && k->verb == CONTROL_SYNC)
			k->joined = true;
	}
}

/* What the run is to look at besides its depots. */
struct run_lists {
	const char *removable[REMOVABLES_MAX], *dead[PLAN_PLACES], *channel[PLAN_PLACES];
	size_t removables, deads, channels;
};

static void lists_fill(struct watch *w, struct run_lists *l)
{
	w->run_removable = 0;
	for (size_t i = 0; i < w->removables; i++)
		if (w->removable[i].depot != NULL) {
			l->removable[l->removables++] = w->removable[i].depot;
			w->run_removable |= 1ull << i;
		}
	for (size_t i = 0; i < w->points; i++) {
		struct point *s = &w->point[i];

		/* One that does not answer now would hold up all the others. */
		if (s->place.kind == PLACE_DEPOT &&
		    (s->how == HOW_SILENT || s->poller.child.pid != 0)) {
			l->dead[l->deads++] = s->place.path;
			s->returned = true;
		}
		if (s->changed)
			l->channel[l->channels++] = s->place.name;
		s->changed = false;
	}
}

static bool news_is_shared(const struct watch *w)
{
	for (size_t i = 0; i < w->points; i++)
		if (w->point[i].how == HOW_POLLED)
			return true;
	return false;
}

static void run_begin(struct watch *w, int64_t now)
{
	struct run_lists *l = calloc(1, sizeof(*l));
	struct run_order order = {.what = RUN_SYNC, .reasons = w->wants};
	struct err err = {0};

	if (l == NULL)
		return;
	order.cheap = !w->want_full && !(w->wants & FULL_REASONS);
	order.spread = news_is_shared(w);
	lists_fill(w, l);
	order.removable = l->removable;
	order.removables = order.cheap ? 0 : l->removables;
	order.dead = l->dead;
	order.deads = l->deads;
	order.channel = l->channel;
	order.channels = l->channels;
	if (order.cheap)
		w->run_removable = 0;
	clients_join(w);
	heard_begin(&w->heard, w->reporter, (w->wants & RUN_ASKED) != 0);
	if (run_start(&w->o->work, &order, &w->run, &err) < 0) {
		reporter_warning(w->reporter, "%s", err.text);
		w->want_at = now + BUSY_MOST_MS;
		free(l);
		return;
	}
	free(l);
	w->run_going = true;
	w->run_cheap = order.cheap;
	w->run_until = now + w->t->silence;
	w->wants = 0;
	w->polled = false;
	w->want_full = false;
	w->dirty = true;
	notify_status(&w->notify, "at work");
}

static bool depot_at_hand(const struct watch *w)
{
	for (size_t i = 0; i < w->removables; i++)
		if (w->removable[i].depot != NULL)
			return true;
	for (size_t i = 0; i < w->points; i++)
		if ((w->point[i].place.kind == PLACE_DEPOT ||
		     w->point[i].place.kind == PLACE_INBOX) &&
		    (w->point[i].how == HOW_WATCHED || w->point[i].how == HOW_POLLED))
			return true;
	return false;
}

/* Did the run do what it could?  Then nothing is owed; else it is tried again, later each time. */
static void run_again(struct watch *w, const struct run_result *r, int64_t now)
{
	if (r->rc == RC_BUSY) {
		w->busy = timer_back_off(w->busy, false, BUSY_LEAST_MS, BUSY_MOST_MS);
		w->want_full = w->want_full || !w->run_cheap;
		watch_want(w, w->run.reasons, now + w->busy);
		return;
	}
	w->busy = 0;
	if (r->later) {
		int64_t span =
		    timer_earlier(w->plan.interval_ms / 100 * w->plan.jitter, w->t->spread);

		watch_want(w, RUN_NEWS, now + timer_spread(span, w->o->seed, (uint64_t)now));
	}
	/* With no depot at hand there is nothing to try: one that returns makes a run. */
	if ((rc_class(r->rc) == EXIT_CLASS_AGAIN && depot_at_hand(w)) || r->rc == RC_INTERNAL) {
		w->again = timer_back_off(w->again, false, w->t->again_least, w->t->again_most);
		watch_want(w, RUN_AGAIN,
			   now + w->again + timer_spread(w->again / 4, w->o->seed, (uint64_t)now));
	} else {
		w->again = 0;
	}
}

/* One line that a person understands; the same failure again is not told again. */
static void run_tell(struct watch *w, const struct run_result *r)
{
	char why[256];
	bool asked = (w->run.reasons & ~(unsigned)RUN_AGAIN) != 0;
	bool same = r->rc == w->result.rc && strcmp(r->text, w->result.text) == 0;

	run_reasons(why, sizeof(why), w->run.reasons);
	if (r->rc == RC_BUSY || r->later || (r->nothing && r->rc == 0) || (same && !asked) ||
	    heard_says(&w->heard, r->text))
		reporter_debug(w->reporter, "%s (%s)", r->text, why);
	else if (r->rc < 0 && rc_class(r->rc) != EXIT_CLASS_AGAIN)
		reporter_warning(w->reporter, "%s (%s)", r->text, why);
	else
		reporter_info(w->reporter, "%s (%s)", r->text, why);
}

static void run_ended(struct watch *w, const struct run_result *r, int64_t now)
{
	run_tell(w, r);
	w->run_going = false;
	w->last_end = now;
	run_again(w, r, now);
	if (r->rc != RC_BUSY) {
		w->last = clock_now();
		w->last_reasons = w->run.reasons;
		w->result = *r;
		if (!w->run_cheap || !r->nothing)
			w->last_full = now;
		clients_tell(w, r);
		removables_done(w, r);
		if (w->run_cheap && !r->nothing)
			removables_behind(w);
	}
	plan_use(w, &w->run_plan, now);
	if (r->rc == 0 && !r->nothing && !r->later)
		points_quicken(w);
	points_poll(w, POLLER_ALL);
	w->dirty = true;
	notify_status(&w->notify, r->text);
}

void run_heard(struct watch *w, int64_t now)
{
	struct run_result r = {0};

	w->run_until = now + w->t->silence;
	if (run_read(&w->run, &w->heard.reporter, &w->run_plan, NULL, &r) == 1)
		run_ended(w, &r, now);
}

/* The question beside it. */

static void side_begin(struct watch *w, const struct run_order *order, int64_t now)
{
	struct err err = {0};

	buf_reset(&w->side_answer);
	if (run_start(&w->o->work, order, &w->side, &err) < 0) {
		reporter_warning(w->reporter, "%s", err.text);
		return;
	}
	w->side_going = true;
	w->side_what = order->what;
	w->side_until = now + SIDE_MS;
}

static void side_next(struct watch *w, int64_t now)
{
	struct run_order order = {.what = RUN_PLAN};
	const char *point;

	if (w->plan_wanted) {
		w->plan_wanted = false;
		side_begin(w, &order, now);
		return;
	}
	for (size_t i = 0; i < w->removables; i++) {
		if (w->removable[i].state != REMOVABLE_NEW)
			continue;
		w->removable[i].state = REMOVABLE_SEARCHED;
		point = w->removable[i].point;
		order =
		    (struct run_order){.what = RUN_SEARCH, .removable = &point, .removables = 1};
		w->side_removable = i;
		side_begin(w, &order, now);
		return;
	}
	w->side_client = control_next(&w->control, CONTROL_MESSAGES);
	if (w->side_client != NULL) {
		w->side_uid = w->side_client->uid;
		order = (struct run_order){.what = RUN_MESSAGES, .uid = w->side_uid};
		side_begin(w, &order, now);
	}
}

static void side_ended(struct watch *w, const struct run_result *r, int64_t now)
{
	w->side_going = false;
	if (w->side_what == RUN_SEARCH)
		removables_found(w, w->side_removable, r);
	if (w->side_what == RUN_PLAN) {
		if (r->rc < 0)
			reporter_warning(w->reporter, "%s", r->text);
		plan_use(w, &w->side_plan, now);
		if (w->plan.interval_ms == 0 && !w->ending) { /* nothing to go by yet */
			w->want_at = w->want_at == NEVER ? now : w->want_at;
			w->plan.interval_ms = PLAN_MINUTES * 60000;
			w->plan.jitter = PLAN_JITTER;
		}
		notify_send(&w->notify, "READY=1");
	}
	/* Who asked may have gone, and somebody else sit in their place. */
	if (w->side_what == RUN_MESSAGES && w->side_client != NULL &&
	    w->side_client == control_next(&w->control, CONTROL_MESSAGES) &&
	    w->side_client->uid == w->side_uid) {
		char line[1200];

		snprintf(line, sizeof(line), "%d %s\n", (int)rc_class(r->rc), r->text);
		if (r->rc < 0 || w->side_answer.n == 0)
			control_answer(w->side_client, bytes_of(line));
		else
			control_answer(w->side_client, bytes_in(&w->side_answer));
	}
	w->side_client = NULL;
}

void side_heard(struct watch *w, int64_t now)
{
	struct run_result r = {0};

	if (run_read(&w->side, w->reporter, &w->side_plan, &w->side_answer, &r) == 1)
		side_ended(w, &r, now);
}

static int64_t run_tick(struct watch *w, int64_t now)
{
	if (w->run_going && w->run_until <= now) {
		struct run_result r = {.rc = RC_TIMEOUT};

		run_stop(&w->run);
		snprintf(r.text, sizeof(r.text),
			 "the run made no progress for %lld seconds and was stopped",
			 (long long)(w->t->silence / 1000));
		run_ended(w, &r, now);
	}
	if (w->run_going)
		return w->run_until;
	if (w->wants == 0 || w->ending || w->plan.interval_ms == 0)
		return NEVER;
	if (w->want_at > now)
		return w->want_at;
	if (!w->polled) {
		w->polled = true;
		w->want_since = now;
		points_poll(w, POLLER_SHARED);
		return now;
	}
	if (points_polling(w) && now < w->want_since + w->t->pollers)
		return w->want_since + w->t->pollers;
	run_begin(w, now);
	return w->run_going ? w->run_until : w->want_at;
}

int64_t runs_tick(struct watch *w, int64_t now)
{
	if (w->side_going && w->side_until <= now) {
		struct run_result r = {.rc = RC_TIMEOUT, .text = "no answer in time"};

		run_stop(&w->side);
		side_ended(w, &r, now);
	}
	if (!w->side_going && !w->ending)
		side_next(w, now);
	return timer_earlier(run_tick(w, now), w->side_going ? w->side_until : NEVER);
}

void runs_stop(struct watch *w)
{
	run_stop(&w->run);
	run_stop(&w->side);
	w->run_going = w->side_going = false;
}
