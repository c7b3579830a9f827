/* SPDX-License-Identifier: ISC */
/*
 * Places: which are watched how, and what their hints and looks mean.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/watch_internal.h"

static bool point_is_depot(const struct point *s)
{
	return s->place.kind == PLACE_DEPOT || s->place.kind == PLACE_INBOX;
}

void point_how_text(const struct point *s, char dst[160])
{
	static const char *const words[HOWS] = {"starting", "inotify", "poll",
						"timer",    "absent",  "silent"};
	const char *polled = hint_polled(s->type);

	if (s->how != HOW_POLLED && s->how != HOW_TIMED)
		snprintf(dst, 160, "%s", words[s->how]);
	else if (polled != NULL)
		snprintf(dst, 160, "%s, because inotify does not see what other machines do on %s",
			 words[s->how], polled);
	else
		snprintf(dst, 160, "%s, because the kernel's limit of inotify watches is reached",
			 words[s->how]);
}

/* Once for each way a place is, so that a share that comes and goes does not fill the journal. */
static void point_tell(struct watch *w, struct point *s)
{
	char how[160];

	w->dirty = true;
	if (s->said == s->how)
		return;
	s->said = s->how;
	point_how_text(s, how);
	switch (s->how) {
	case HOW_POLLED:
		reporter_info(w->reporter, "%s %s: checked by %s", place_kinds[s->place.kind],
			      s->place.path, how);
		break;
	case HOW_TIMED:
		reporter_warning(w->reporter, "%s %s: changes are found by the %s",
				 place_kinds[s->place.kind], s->place.path, how);
		break;
	case HOW_SILENT:
		reporter_warning(w->reporter, "%s %s does not answer; it is skipped until it does",
				 place_kinds[s->place.kind], s->place.path);
		break;
	case HOW_ABSENT:
		reporter_debug(w->reporter, "%s %s does not exist", place_kinds[s->place.kind],
			       s->place.path);
		break;
	default:
		reporter_debug(w->reporter, "%s %s: %s", place_kinds[s->place.kind], s->place.path,
			       how);
	}
}

/* The next try at a place that cannot be watched now, a little apart from everybody else's. */
static void point_later(struct watch *w, struct point *s, bool changed, int64_t now)
{
	int64_t most = w->plan.poll_ms > 0 ? w->plan.poll_ms : w->t->poll_most;

	s->retry_at = timer_poll(now, &s->wait, changed, w->t->poll_least, most, w->o->seed);
}

static void point_is(struct watch *w, struct point *s, enum point_how how, int64_t now)
{
	s->how = how;
	if (how == HOW_ABSENT || how == HOW_SILENT) {
		hint_stop(&s->hint);
		poller_stop(&s->poller);
		s->poller_wanted = false;
		s->returned = true;
		/* Whoever hangs may stay: one that does not answer is not asked often. */
		if (how == HOW_SILENT)
			s->retry_at = timer_poll(now, &s->wait, false, w->t->silent_least,
						 w->t->silent_most, w->o->seed);
		else
			point_later(w, s, false, now);
	}
	point_tell(w, s);
}

static void point_start(struct watch *w, struct point *s, int64_t now)
{
	struct err err = {0};

	hint_stop(&s->hint);
	if (hint_start(s->place.path, place_scope(s->place.kind), &s->hint, &err) < 0) {
		reporter_warning(w->reporter, "%s", err.text);
		point_later(w, s, false, now);
		return;
	}
	s->hint_until = now + w->t->answer;
	s->retry_at = NEVER;
}

/* It can be looked at, from the start or again. */
static void point_begins(struct watch *w, struct point *s, enum point_how how, int64_t now)
{
	s->how = how;
	s->hint_until = NEVER;
	s->wait = 0;
	if (point_is_depot(s))
		s->poller_wanted = true;
	else if (s->returned || w->last_reasons != 0) /* it may have changed unseen */
		s->hinted = s->hinted_first = now;
	s->returned = s->returned && point_is_depot(s);
	if (how == HOW_POLLED)
		point_later(w, s, true, now);
	point_tell(w, s);
}

void point_hinted(struct watch *w, struct point *s, int64_t now)
{
	bool depot = point_is_depot(s);

	switch (hint_read(&s->hint, &s->type)) {
	case HINT_READY:
		point_begins(w, s, HOW_WATCHED, now);
		break;
	case HINT_CHANGED:
	case HINT_LOST:
		s->hinted = now;
		if (s->hinted_first == NEVER)
			s->hinted_first = now;
		break;
	case HINT_POLLED:
	case HINT_FULL:
		hint_stop(&s->hint);
		point_begins(w, s, depot ? HOW_POLLED : HOW_TIMED, now);
		break;
	case HINT_ABSENT:
	case HINT_GONE:
		point_is(w, s, HOW_ABSENT, now);
		break;
	case HINT_NONE:
		hint_stop(&s->hint);
		point_later(w, s, false, now);
		break;
	}
}

void point_polled(struct watch *w, struct point *s, int64_t now)
{
	OWNED(poller_names_clear) struct poller_names seen = {NULL, 0, false};
	struct err err;
	bool news;
	int rc = poller_read(&s->poller, &seen, &err);

	poller_stop(&s->poller);
	s->poller_until = NEVER;
	if (rc < 0 || !seen.there) {
		point_is(w, s, HOW_ABSENT, now);
		return;
	}
	news = !s->known || poller_names_news(&seen, &s->seen);
	poller_names_clear(&s->seen);
	s->seen = seen;
	seen = (struct poller_names){NULL, 0, false};
	s->known = true;
	if (s->how == HOW_POLLED)
		point_later(w, s, false, now);
	if (s->returned) /* what waits here can be left there now */
		w->want_full = true;
	if (news || s->returned)
		watch_want(w, RUN_DEPOT, now);
	s->returned = false;
}

/*
 * A burst of events is one look: when it is over, or when it does not end.  Then another one
 * follows when it is over, for the helper tells of a burst only now and then, and of its last event
 * perhaps not at all.
 */
static int64_t point_settle(struct watch *w, struct point *s, int64_t now)
{
	int64_t over = s->hinted + (point_is_depot(s) ? w->t->settle : w->t->settle_tree);
	int64_t most;

	if (s->hinted_first == NEVER)
		return NEVER;
	most = s->hinted_first + w->t->settle_most;
	if (over > now && most > now)
		return over < most ? over : most;
	s->hinted_first = over > now ? now : NEVER;
	if (point_is_depot(s)) {
		s->poller_wanted = true;
	} else {
		s->changed = s->place.kind == PLACE_SOURCE;
		watch_want(w, s->changed ? RUN_SOURCE : RUN_DOCUMENTS, now);
	}
	return over > now ? over : NEVER;
}

static void point_poll(struct watch *w, struct point *s, int64_t now)
{
	struct err err = {0};

	s->poller_wanted = false;
	if (poller_start(s->place.path, place_scope(s->place.kind), &s->poller, &err) < 0) {
		reporter_warning(w->reporter, "%s", err.text);
		return;
	}
	s->poller_until = now + w->t->answer;
}

static int64_t point_tick(struct watch *w, struct point *s, int64_t now)
{
	bool polling = s->poller.child.pid != 0;
	int64_t next;

	if (s->hint_until <= now || (polling && s->poller_until <= now)) {
		s->hint_until = NEVER;
		point_is(w, s, HOW_SILENT, now);
		polling = false;
	}
	if (s->retry_at <= now && s->how == HOW_POLLED)
		s->poller_wanted = true;
	else if (s->retry_at <= now)
		point_start(w, s, now);
	next = point_settle(w, s, now);
	if (s->poller_wanted && !polling) {
		s->retry_at = NEVER;
		point_poll(w, s, now);
		polling = s->poller.child.pid != 0;
	}
	if (polling)
		next = timer_earlier(next, s->poller_until);
	return timer_earlier(next, timer_earlier(s->hint_until, s->retry_at));
}

int64_t points_tick(struct watch *w, int64_t now)
{
	int64_t next = NEVER;

	for (size_t i = 0; i < w->points; i++)
		next = timer_earlier(next, point_tick(w, &w->point[i], now));
	return next;
}

void points_poll(struct watch *w, enum poller_which which)
{
	for (size_t i = 0; i < w->points; i++)
		if (point_is_depot(&w->point[i]) &&
		    ((w->point[i].how == HOW_WATCHED && which == POLLER_ALL) ||
		     w->point[i].how == HOW_POLLED))
			w->point[i].poller_wanted = true;
}

/* News for us: more often comes soon.  What is for others changes nothing here, or every beat for
 * one of a thousand machines would make all of them look more often. */
void points_quicken(struct watch *w)
{
	for (size_t i = 0; i < w->points; i++)
		if (w->point[i].how == HOW_POLLED)
			w->point[i].wait = 0;
}

void points_retry(struct watch *w, int64_t now)
{
	for (size_t i = 0; i < w->points; i++)
		if (w->point[i].how == HOW_ABSENT || w->point[i].how == HOW_SILENT) {
			w->point[i].retry_at = now;
			w->point[i].wait = 0;
		}
}

bool points_polling(const struct watch *w)
{
	for (size_t i = 0; i < w->points; i++)
		if (w->point[i].poller_wanted || w->point[i].poller.child.pid != 0 ||
		    w->point[i].how == HOW_STARTING)
			return true;
	return false;
}

static void point_clear(struct point *s)
{
	hint_stop(&s->hint);
	poller_stop(&s->poller);
	poller_names_clear(&s->seen);
	free(s->place.path);
	free(s->place.name);
}

static int point_new(const struct plan_place *p, struct point *ret, struct err *err)
{
	*ret = (struct point){.place = {p->kind, strdup(p->path), strdup(p->name)},
			      .hint = HINT_INIT,
			      .poller = POLLER_INIT,
			      .hint_until = NEVER,
			      .poller_until = NEVER,
			      .hinted_first = NEVER,
			      .said = HOWS};
	if (ret->place.path != NULL && ret->place.name != NULL)
		return 0;
	point_clear(ret);
	return err_memory(err);
}

/* What is watched already goes on; what the plan has no more ends. */
int points_plan(struct watch *w, struct err *err)
{
	struct point *fresh = calloc(w->plan.places + 1, sizeof(*fresh));
	size_t n = 0;
	int rc = 0;

	if (fresh == NULL)
		return err_memory(err);
	for (size_t i = 0; rc == 0 && i < w->plan.places; i++) {
		size_t was = 0;

		while (was < w->points && (w->point[was].place.path == NULL ||
					   !place_equal(&w->point[was].place, &w->plan.place[i])))
			was++;
		if (was < w->points) {
			fresh[n++] = w->point[was];
			w->point[was].place.path = NULL; /* moved */
			continue;
		}
		rc = point_new(&w->plan.place[i], &fresh[n], err);
		n += rc == 0;
	}
	for (size_t i = 0; i < w->points; i++)
		if (w->point[i].place.path != NULL)
			point_clear(&w->point[i]);
	free(w->point);
	w->point = fresh;
	w->points = n;
	w->dirty = true;
	return rc;
}

void points_clear(struct watch *w)
{
	for (size_t i = 0; i < w->points; i++)
		point_clear(&w->point[i]);
	free(w->point);
	w->point = NULL;
	w->points = 0;
}
