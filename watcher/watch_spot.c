/*
 * Places: which are watched how, and what their hints and looks mean.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/watch_internal.h"

static bool spot_is_depot(const struct spot *s)
{
	return s->place.kind == PLACE_DEPOT || s->place.kind == PLACE_INBOX;
}

void spot_how_text(const struct spot *s, char dst[160])
{
	static const char *const words[HOWS] = {"starting", "inotify", "poll",
						"timer",    "absent",  "silent"};
	const char *blind = hint_blind(s->type);

	if (s->how != HOW_POLLED && s->how != HOW_TIMED)
		snprintf(dst, 160, "%s", words[s->how]);
	else if (blind != NULL)
		snprintf(dst, 160, "%s, for inotify does not see what other machines do on %s",
			 words[s->how], blind);
	else
		snprintf(dst, 160, "%s, for the kernel's limit of inotify watches is reached",
			 words[s->how]);
}

/* Once for each way a place is, so that a share that comes and goes does not fill the journal. */
static void spot_tell(struct watch *w, struct spot *s)
{
	char how[160];

	w->dirty = true;
	if (s->said == s->how)
		return;
	s->said = s->how;
	spot_how_text(s, how);
	switch (s->how) {
	case HOW_POLLED:
		say_info(w->say, "%s %s: looked at by %s", place_kinds[s->place.kind],
			 s->place.path, how);
		break;
	case HOW_TIMED:
		say_warning(w->say, "%s %s: changes are found by the %s",
			    place_kinds[s->place.kind], s->place.path, how);
		break;
	case HOW_SILENT:
		say_warning(w->say, "%s %s does not answer: it is left out until it does",
			    place_kinds[s->place.kind], s->place.path);
		break;
	case HOW_ABSENT:
		say_debug(w->say, "%s %s is not there", place_kinds[s->place.kind], s->place.path);
		break;
	default:
		say_debug(w->say, "%s %s: %s", place_kinds[s->place.kind], s->place.path, how);
	}
}

/* The next try at a place that cannot be watched now, a little apart from everybody else's. */
static void spot_later(struct watch *w, struct spot *s, bool changed, int64_t now)
{
	int64_t most = w->plan.poll_ms > 0 ? w->plan.poll_ms : w->t->poll_most;

	s->retry_at = timer_poll(now, &s->wait, changed, w->t->poll_least, most, w->o->seed);
}

static void spot_is(struct watch *w, struct spot *s, enum spot_how how, int64_t now)
{
	s->how = how;
	if (how == HOW_ABSENT || how == HOW_SILENT) {
		hint_stop(&s->hint);
		look_stop(&s->look);
		s->look_wanted = false;
		s->returned = true;
		/* Whoever hangs may stay: one that does not answer is not asked often. */
		if (how == HOW_SILENT)
			s->retry_at = timer_poll(now, &s->wait, false, w->t->silent_least,
						 w->t->silent_most, w->o->seed);
		else
			spot_later(w, s, false, now);
	}
	spot_tell(w, s);
}

static void spot_start(struct watch *w, struct spot *s, int64_t now)
{
	struct err err = {0};

	hint_stop(&s->hint);
	if (hint_start(s->place.path, place_scope(s->place.kind), &s->hint, &err) < 0) {
		say_warning(w->say, "%s", err.text);
		spot_later(w, s, false, now);
		return;
	}
	s->hint_until = now + w->t->answer;
	s->retry_at = NEVER;
}

/* It can be looked at, from the start or again. */
static void spot_begins(struct watch *w, struct spot *s, enum spot_how how, int64_t now)
{
	s->how = how;
	s->hint_until = NEVER;
	s->wait = 0;
	if (spot_is_depot(s))
		s->look_wanted = true;
	else if (s->returned || w->last_reasons != 0) /* it may have changed unseen */
		s->hinted = s->hinted_first = now;
	s->returned = s->returned && spot_is_depot(s);
	if (how == HOW_POLLED)
		spot_later(w, s, true, now);
	spot_tell(w, s);
}

void spot_hinted(struct watch *w, struct spot *s, int64_t now)
{
	bool depot = spot_is_depot(s);

	switch (hint_read(&s->hint, &s->type)) {
	case HINT_READY:
		spot_begins(w, s, HOW_WATCHED, now);
		break;
	case HINT_CHANGED:
	case HINT_LOST:
		s->hinted = now;
		if (s->hinted_first == NEVER)
			s->hinted_first = now;
		break;
	case HINT_BLIND:
	case HINT_FULL:
		hint_stop(&s->hint);
		spot_begins(w, s, depot ? HOW_POLLED : HOW_TIMED, now);
		break;
	case HINT_ABSENT:
	case HINT_GONE:
		spot_is(w, s, HOW_ABSENT, now);
		break;
	case HINT_NONE:
		hint_stop(&s->hint);
		spot_later(w, s, false, now);
		break;
	}
}

void spot_looked(struct watch *w, struct spot *s, int64_t now)
{
	OWNED(seen_clear) struct seen seen = {NULL, 0, false};
	struct err err;
	bool news;
	int rc = look_read(&s->look, &seen, &err);

	look_stop(&s->look);
	s->look_until = NEVER;
	if (rc < 0 || !seen.there) {
		spot_is(w, s, HOW_ABSENT, now);
		return;
	}
	news = !s->known || seen_news(&seen, &s->seen);
	seen_clear(&s->seen);
	s->seen = seen;
	seen = (struct seen){NULL, 0, false};
	s->known = true;
	if (s->how == HOW_POLLED)
		spot_later(w, s, false, now);
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
static int64_t spot_settle(struct watch *w, struct spot *s, int64_t now)
{
	int64_t over = s->hinted + (spot_is_depot(s) ? w->t->settle : w->t->settle_tree);
	int64_t most;

	if (s->hinted_first == NEVER)
		return NEVER;
	most = s->hinted_first + w->t->settle_most;
	if (over > now && most > now)
		return over < most ? over : most;
	s->hinted_first = over > now ? now : NEVER;
	if (spot_is_depot(s)) {
		s->look_wanted = true;
	} else {
		s->changed = s->place.kind == PLACE_SOURCE;
		watch_want(w, s->changed ? RUN_SOURCE : RUN_DOCUMENTS, now);
	}
	return over > now ? over : NEVER;
}

static void spot_look(struct watch *w, struct spot *s, int64_t now)
{
	struct err err = {0};

	s->look_wanted = false;
	if (look_start(s->place.path, place_scope(s->place.kind), &s->look, &err) < 0) {
		say_warning(w->say, "%s", err.text);
		return;
	}
	s->look_until = now + w->t->answer;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t spot_tick(struct watch *w, struct spot *s, int64_t now)
{
	bool looking = s->look.child.pid != 0;
	int64_t next;

	if (s->hint_until <= now || (looking && s->look_until <= now)) {
		s->hint_until = NEVER;
		spot_is(w, s, HOW_SILENT, now);
		looking = false;
	}
	if (s->retry_at <= now && s->how == HOW_POLLED)
		s->look_wanted = true;
	else if (s->retry_at <= now)
		spot_start(w, s, now);
	next = spot_settle(w, s, now);
	if (s->look_wanted && !looking) {
		s->retry_at = NEVER;
		spot_look(w, s, now);
		looking = s->look.child.pid != 0;
	}
	if (looking)
		next = earlier(next, s->look_until);
	return earlier(next, earlier(s->hint_until, s->retry_at));
}

int64_t spots_tick(struct watch *w, int64_t now)
{
	int64_t next = NEVER;

	for (size_t i = 0; i < w->spots; i++)
		next = earlier(next, spot_tick(w, &w->spot[i], now));
	return next;
}

void spots_look(struct watch *w, enum look_which which)
{
	for (size_t i = 0; i < w->spots; i++)
		if (spot_is_depot(&w->spot[i]) &&
		    ((w->spot[i].how == HOW_WATCHED && which == LOOK_ALL) ||
		     w->spot[i].how == HOW_POLLED))
			w->spot[i].look_wanted = true;
}

/* News for us: more often comes soon.  What is for others changes nothing here, or every beat for
 * one of a thousand machines would make all of them look more often. */
void spots_quicken(struct watch *w)
{
	for (size_t i = 0; i < w->spots; i++)
		if (w->spot[i].how == HOW_POLLED)
			w->spot[i].wait = 0;
}

void spots_retry(struct watch *w, int64_t now)
{
	for (size_t i = 0; i < w->spots; i++)
		if (w->spot[i].how == HOW_ABSENT || w->spot[i].how == HOW_SILENT) {
			w->spot[i].retry_at = now;
			w->spot[i].wait = 0;
		}
}

bool spots_looking(const struct watch *w)
{
	for (size_t i = 0; i < w->spots; i++)
		if (w->spot[i].look_wanted || w->spot[i].look.child.pid != 0 ||
		    w->spot[i].how == HOW_STARTING)
			return true;
	return false;
}

static void spot_clear(struct spot *s)
{
	hint_stop(&s->hint);
	look_stop(&s->look);
	seen_clear(&s->seen);
	free(s->place.path);
	free(s->place.name);
}

static int spot_new(const struct place *p, struct spot *ret, struct err *err)
{
	*ret = (struct spot){.place = {p->kind, strdup(p->path), strdup(p->name)},
			     .hint = HINT_INIT,
			     .look = LOOK_INIT,
			     .hint_until = NEVER,
			     .look_until = NEVER,
			     .hinted_first = NEVER,
			     .said = HOWS};
	if (ret->place.path != NULL && ret->place.name != NULL)
		return 0;
	spot_clear(ret);
	return err_memory(err);
}

/* What is watched already goes on; what the plan has no more ends. */
int spots_plan(struct watch *w, struct err *err)
{
	struct spot *fresh = calloc(w->plan.places + 1, sizeof(*fresh));
	size_t n = 0;
	int rc = 0;

	if (fresh == NULL)
		return err_memory(err);
	for (size_t i = 0; rc == 0 && i < w->plan.places; i++) {
		size_t was = 0;

		while (was < w->spots && (w->spot[was].place.path == NULL ||
					  !place_equal(&w->spot[was].place, &w->plan.place[i])))
			was++;
		if (was < w->spots) {
			fresh[n++] = w->spot[was];
			w->spot[was].place.path = NULL; /* moved */
			continue;
		}
		rc = spot_new(&w->plan.place[i], &fresh[n], err);
		n += rc == 0;
	}
	for (size_t i = 0; i < w->spots; i++)
		if (w->spot[i].place.path != NULL)
			spot_clear(&w->spot[i]);
	free(w->spot);
	w->spot = fresh;
	w->spots = n;
	w->dirty = true;
	return rc;
}

void spots_clear(struct watch *w)
{
	for (size_t i = 0; i < w->spots; i++)
		spot_clear(&w->spot[i]);
	free(w->spot);
	w->spot = NULL;
	w->spots = 0;
}
