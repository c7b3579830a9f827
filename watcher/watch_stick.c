/*
 * Media that people plug in: found among the mounts, searched for a depot of ours, synced, and told
 * about when they may be pulled.  Nothing here touches them: that is done in children.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "watcher/watch_internal.h"

const char *stick_state_text(const struct stick *s)
{
	static const char *const words[] = {
	    "found",
	    "looked at",
	    "a depot of this site: not done yet, leave it plugged in",
	    "safe to remove",
	    "not everything could be done; it may be removed, what is missing stays queued",
	    "no depot of this site",
	};

	return words[s->state];
}

static void stick_clear(struct stick *s)
{
	free(s->point);
	free(s->depot);
	memset(s, 0, sizeof(*s));
}

/* Its place is given to the last one; a search that goes on is of another index then. */
static void stick_remove(struct watch *w, size_t i)
{
	if (w->side_going && w->side_what == RUN_SEARCH) {
		run_stop(&w->side);
		w->side_going = false;
		if (w->side_stick != i)
			w->stick[w->side_stick].state = STICK_NEW;
	}
	stick_clear(&w->stick[i]);
	w->stick[i] = w->stick[--w->sticks];
	memset(&w->stick[w->sticks], 0, sizeof(w->stick[0]));
	w->run_sticks = 0; /* they are told about by number: those of this run are done again */
	w->dirty = true;
}

static void stick_gone(struct watch *w, size_t i)
{
	const struct stick *s = &w->stick[i];

	if (s->state == STICK_OURS)
		say_warning(w->say,
			    "%s was removed before it was done: nothing is lost, and the next "
			    "medium goes on from there",
			    s->point);
	else if (s->state == STICK_SAFE || s->state == STICK_FAILED)
		say_info(w->say, "%s was removed", s->point);
	stick_remove(w, i);
}

static bool stick_known(const struct watch *w, const struct mount *m)
{
	for (size_t i = 0; i < w->sticks; i++)
		if (w->stick[i].id == m->id && strcmp(w->stick[i].point, m->point) == 0)
			return true;
	return false;
}

static void stick_add(struct watch *w, const struct mount *m)
{
	char *point;

	if (w->sticks == STICKS_MAX || stick_known(w, m))
		return;
	point = strdup(m->point);
	if (point == NULL)
		return;
	w->stick[w->sticks++] = (struct stick){m->id, point, NULL, STICK_NEW};
}

/* What was there at the start and lies outside of the usual places is part of the machine. */
static bool mount_old(const struct watch *w, uint64_t id)
{
	for (size_t i = 0; i < w->early_n; i++)
		if (w->early[i] == id)
			return true;
	return false;
}

/* A number that is free is given to the next mount. */
static void early_prune(struct watch *w, const struct mounts *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->early_n; i++)
		for (size_t k = 0; k < m->n; k++)
			if (m->mount[k].id == w->early[i]) {
				w->early[kept++] = w->early[i];
				break;
			}
	w->early_n = kept;
}

static int early_keep(struct watch *w, const struct mounts *m)
{
	w->early = calloc(m->n + 1, sizeof(*w->early));
	if (w->early == NULL)
		return RC_MEMORY;
	for (size_t i = 0; i < m->n; i++)
		w->early[w->early_n++] = m->mount[i].id;
	return 0;
}

void sticks_mounts(struct watch *w, int64_t now)
{
	OWNED(mounts_clear) struct mounts m = {NULL, 0};
	struct err err = {0};

	if (mounts_read(w->mountfd, &m, &err) < 0) {
		say_warning(w->say, "%s", err.text);
		return;
	}
	if (w->early == NULL && early_keep(w, &m) < 0)
		return;
	early_prune(w, &m);
	for (size_t i = w->sticks; i > 0; i--)
		if (!mounts_has(&m, w->stick[i - 1].id, w->stick[i - 1].point))
			stick_gone(w, i - 1);
	for (size_t i = 0; w->plan.sticks && i < m.n; i++)
		if (mount_may_be_stick(&m.mount[i], mount_old(w, m.mount[i].id)))
			stick_add(w, &m.mount[i]);
	spots_retry(w, now);
}

void sticks_found(struct watch *w, size_t i, const struct run_result *r)
{
	struct stick *s = &w->stick[i];

	if (i >= w->sticks)
		return;
	s->state = STICK_OTHER;
	if (r->rc == RC_ADDRESSEE)
		say_info(w->say, "%s holds a depot of another site: left alone", s->point);
	else if (r->rc < 0)
		say_debug(w->say, "%s", r->text);
	else
		s->depot = strdup(r->text);
	if (s->depot == NULL)
		return;
	s->state = STICK_OURS;
	say_info(w->say, "%s holds a depot of this site: leave it plugged in", s->point);
	notify_status(&w->notify, "a stick is being read and written: leave it plugged in");
	watch_want(w, RUN_STICK, 0);
}

/* The run names media by their place among those that were in it. */
void sticks_done(struct watch *w, const struct run_result *r)
{
	uint64_t bit = 1;

	for (size_t i = 0; i < w->sticks; i++) {
		struct stick *s = &w->stick[i];
		bool was_safe = s->state == STICK_SAFE;

		if (!(w->run_sticks & (1ull << i)))
			continue;
		s->state = r->safe & bit ? STICK_SAFE : STICK_FAILED;
		bit <<= 1;
		if (s->state == STICK_FAILED)
			say_warning(w->say, "%s: %s", s->point, stick_state_text(s));
		else if (!was_safe)
			say_info(w->say, "%s is done: safe to remove", s->point);
	}
	w->run_sticks = 0;
	for (size_t i = 0; i < w->sticks; i++)
		if (w->stick[i].state == STICK_OURS)
			watch_want(w, RUN_STICK, 0);
}

void sticks_clear(struct watch *w)
{
	for (size_t i = 0; i < w->sticks; i++)
		stick_clear(&w->stick[i]);
	w->sticks = 0;
	free(w->early);
	w->early = NULL;
}
