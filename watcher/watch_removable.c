/* SPDX-License-Identifier: ISC */
/*
 * Media that people plug in: found among the mounts, searched for a depot of ours, synced, and told
 * about when they may be pulled.  Nothing here touches them: that is done in children.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "watcher/watch_internal.h"

const char *removable_state_text(const struct removable *s)
{
	static const char *const words[] = {
	    "found",
	    "searched",
	    "a depot of this site; not done yet, leave it plugged in",
	    "safe to remove",
	    "not everything worked; it may be removed, and what is missing stays queued",
	    "no depot of this site",
	};

	return words[s->state];
}

static void removable_clear(struct removable *s)
{
	free(s->point);
	free(s->depot);
	memset(s, 0, sizeof(*s));
}

/* Its place is given to the last one; a search that goes on is of another index then. */
static void removable_remove(struct watch *w, size_t i)
{
	if (w->side_going && w->side_what == RUN_SEARCH) {
		run_stop(&w->side);
		w->side_going = false;
		if (w->side_removable != i)
			w->removable[w->side_removable].state = REMOVABLE_NEW;
	}
	removable_clear(&w->removable[i]);
	w->removable[i] = w->removable[--w->removables];
	memset(&w->removable[w->removables], 0, sizeof(w->removable[0]));
	w->run_removable = 0; /* they are told about by number: those of this run are done again */
	w->dirty = true;
}

static void removable_gone(struct watch *w, size_t i)
{
	const struct removable *s = &w->removable[i];

	if (s->state == REMOVABLE_OURS)
		reporter_warning(
		    w->reporter,
		    "%s was removed before it was done; nothing is lost, and the next medium "
		    "continues from there",
		    s->point);
	else if (s->state == REMOVABLE_SAFE || s->state == REMOVABLE_FAILED)
		reporter_info(w->reporter, "%s was removed", s->point);
	removable_remove(w, i);
}

static bool removable_known(const struct watch *w, const struct mount *m)
{
	for (size_t i = 0; i < w->removables; i++)
		if (w->removable[i].id == m->id && strcmp(w->removable[i].point, m->point) == 0)
			return true;
	return false;
}

static void removable_add(struct watch *w, const struct mount *m)
{
	char *point;

	if (w->removables == REMOVABLES_MAX || removable_known(w, m))
		return;
	point = strdup(m->point);
	if (point == NULL)
		return;
	w->removable[w->removables++] = (struct removable){m->id, point, NULL, REMOVABLE_NEW};
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

void removables_mounts(struct watch *w, int64_t now)
{
	OWNED(mounts_clear) struct mounts m = {NULL, 0};
	struct err err = {0};

	if (mounts_read(w->mountfd, &m, &err) < 0) {
		reporter_warning(w->reporter, "%s", err.text);
		return;
	}
	if (w->early == NULL && early_keep(w, &m) < 0)
		return;
	early_prune(w, &m);
	for (size_t i = w->removables; i > 0; i--)
		if (!mounts_has(&m, w->removable[i - 1].id, w->removable[i - 1].point))
			removable_gone(w, i - 1);
	for (size_t i = 0; w->plan.sticks && i < m.n; i++)
		if (mount_may_be_removable(&m.mount[i], mount_old(w, m.mount[i].id)))
			removable_add(w, &m.mount[i]);
	points_retry(w, now);
}

void removables_found(struct watch *w, size_t i, const struct run_result *r)
{
	struct removable *s = &w->removable[i];

	if (i >= w->removables)
		return;
	s->state = REMOVABLE_OTHER;
	if (r->rc == RC_ADDRESSEE)
		reporter_info(w->reporter, "%s has a depot of another site, which is ignored",
			      s->point);
	else if (r->rc < 0)
		reporter_debug(w->reporter, "%s", r->text);
	else
		s->depot = strdup(r->text);
	if (s->depot == NULL)
		return;
	s->state = REMOVABLE_OURS;
	reporter_info(w->reporter, "%s has a depot of this site; leave it plugged in", s->point);
	notify_status(&w->notify, "a stick is being read and written; leave it plugged in");
	watch_want(w, RUN_REMOVABLE, 0);
}

/* The run names media by their place among those that were in it. */
void removables_done(struct watch *w, const struct run_result *r)
{
	uint64_t bit = 1;

	for (size_t i = 0; i < w->removables; i++) {
		struct removable *s = &w->removable[i];
		bool was_safe = s->state == REMOVABLE_SAFE;

		if (!(w->run_removable & (1ull << i)))
			continue;
		s->state = r->safe & bit ? REMOVABLE_SAFE : REMOVABLE_FAILED;
		bit <<= 1;
		if (s->state == REMOVABLE_FAILED)
			reporter_warning(w->reporter, "%s: %s", s->point, removable_state_text(s));
		else if (!was_safe)
			reporter_info(w->reporter, "%s is done: safe to remove", s->point);
	}
	w->run_removable = 0;
	for (size_t i = 0; i < w->removables; i++)
		if (w->removable[i].state == REMOVABLE_OURS)
			watch_want(w, RUN_REMOVABLE, 0);
}

void removables_behind(struct watch *w)
{
	for (size_t i = 0; i < w->removables; i++) {
		struct removable *s = &w->removable[i];

		if (s->state != REMOVABLE_SAFE)
			continue;
		s->state = REMOVABLE_OURS;
		reporter_info(w->reporter, "%s is behind; leave it plugged in", s->point);
		watch_want(w, RUN_REMOVABLE, 0);
	}
}

void removables_clear(struct watch *w)
{
	for (size_t i = 0; i < w->removables; i++)
		removable_clear(&w->removable[i]);
	w->removables = 0;
	free(w->early);
	w->early = NULL;
}
