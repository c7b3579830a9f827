/*
 * What people can ask for later.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/watch_internal.h"
#include "watcher/watchfile.h"

static int places_fill(const struct watch *w, struct watchfile *f, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->spots; i++) {
		const struct spot *s = &w->spot[i];
		char how[160];

		spot_how_text(s, how);
		rc = watchfile_add(&f->place, &f->places, place_kinds[s->place.kind], s->place.path,
				   s->place.name, how, err);
	}
	for (size_t i = 0; rc == 0 && i < w->sticks; i++)
		if (w->stick[i].depot != NULL)
			rc = watchfile_add(&f->stick, &f->sticks, "", w->stick[i].point, "",
					   stick_state_text(&w->stick[i]), err);
	return rc;
}

int status_text(struct watch *w, struct buf *ret, struct err *err)
{
	OWNED(watchfile_clear) struct watchfile f = {0};
	int64_t now = clock_monotonic_ms();
	int rc;

	f.process = w->ending && !w->run_going ? 0 : (uint64_t)getpid();
	f.started = w->started;
	f.interval = (uint64_t)(w->plan.interval_ms / 1000);
	f.jitter = w->plan.jitter;
	if (w->run_going)
		run_reasons(f.running, sizeof(f.running), w->run.reasons);
	f.last = w->last;
	if (w->last_reasons != 0) {
		run_reasons(f.reason, sizeof(f.reason), w->last_reasons);
		snprintf(f.result, sizeof(f.result), "%s",
			 w->result.rc == 0 ? "done" : rc_slug(w->result.rc));
		snprintf(f.text, sizeof(f.text), "%s", w->result.text);
	}
	if (w->due != NEVER)
		f.next = clock_now() + (w->due > now ? (w->due - now) / 1000 : 0);
	rc = places_fill(w, &f, err);
	return rc < 0 ? rc : watchfile_encode(&f, ret, err);
}

void status_write(struct watch *w)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};

	w->dirty = false;
	if (status_text(w, &text, &err) < 0 ||
	    watchfile_write(w->statefd, bytes_in(&text), &err) < 0)
		say_debug(w->say, "the status file: %s", err.text);
}

int64_t status_last(struct watch *w)
{
	OWNED(watchfile_clear) struct watchfile f = {0};
	struct err err;

	return watchfile_read(w->statefd, &f, &err) == 1 ? f.last : 0;
}
