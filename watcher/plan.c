/* SPDX-License-Identifier: ISC */
/*
 * A plan as a struct, and as the bytes in which a run sends it to the watcher.
 */
#include "watcher/plan.h"

#include <string.h>

#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/base/own.h"

const char *const place_kinds[PLACE_KINDS] = {"depot", "inbox", "source", "documents"};

bool place_equal(const struct plan_place *a, const struct plan_place *b)
{
	return a->kind == b->kind && strcmp(a->path, b->path) == 0 && strcmp(a->name, b->name) == 0;
}

enum hint_scope place_scope(enum place_kind kind)
{
	static const enum hint_scope scopes[PLACE_KINDS] = {HINT_BEATS, HINT_INBOX, HINT_TREE,
							    HINT_DOCUMENTS};

	return scopes[kind];
}

static void place_clear(struct plan_place *p)
{
	free(p->path);
	free(p->name);
}

int watch_plan_add(struct watch_plan *p, enum place_kind kind, const char *path, const char *name,
		   struct err *err)
{
	struct plan_place add = {kind, strdup(path), strdup(name)};
	int rc = 0;

	for (size_t i = 0; add.path != NULL && add.name != NULL && i < p->places; i++)
		if (place_equal(&p->place[i], &add)) {
			place_clear(&add);
			return 0;
		}
	if (p->places == PLAN_PLACES) {
		place_clear(&add);
		return err_set(err, RC_LIMIT, "more than %u places to watch", PLAN_PLACES);
	}
	if (add.path == NULL || add.name == NULL)
		rc = err_memory(err);
	if (rc == 0)
		rc = items_reserve(p->place, p->places, p->places_room, 1, err);
	if (rc < 0) {
		place_clear(&add);
		return rc;
	}
	p->place[p->places++] = add;
	return 0;
}

void watch_plan_clear(struct watch_plan *p)
{
	for (size_t i = 0; i < p->places; i++)
		place_clear(&p->place[i]);
	free(p->place);
	memset(p, 0, sizeof(*p));
}

static int number_add(struct buf *b, uint64_t v, struct err *err)
{
	uint8_t raw[8];

	put_u64(raw, v);
	return buf_add(b, raw, sizeof(raw), err);
}

/* With its NUL, so that it is read as it lies there. */
static int text_add(struct buf *b, const char *text, struct err *err)
{
	return buf_add(b, text, strlen(text) + 1, err);
}

int watch_plan_pack(const struct watch_plan *p, struct buf *ret, struct err *err)
{
	const uint64_t head[] = {(uint64_t)p->interval_ms, (uint64_t)p->poll_ms, p->jitter,
				 p->sticks};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(head); i++)
		rc = number_add(ret, head[i], err);
	for (size_t i = 0; rc == 0 && i < p->places; i++) {
		rc = number_add(ret, p->place[i].kind, err);
		if (rc == 0)
			rc = text_add(ret, p->place[i].path, err);
		if (rc == 0)
			rc = text_add(ret, p->place[i].name, err);
	}
	return rc;
}

static bool number_take(struct bytes *in, uint64_t *ret)
{
	if (in->n < 8)
		return false;
	*ret = get_u64(in->p);
	in->p += 8;
	in->n -= 8;
	return true;
}

static bool text_take(struct bytes *in, const char **ret)
{
	const uint8_t *nul = memchr(in->p, '\0', in->n < LIMIT_PATH ? in->n : LIMIT_PATH);

	if (nul == NULL)
		return false;
	*ret = (const char *)in->p;
	in->n -= (size_t)(nul + 1 - in->p);
	in->p = nul + 1;
	return true;
}

int watch_plan_unpack(struct bytes in, struct watch_plan *ret, struct err *err)
{
	OWNED(watch_plan_clear) struct watch_plan p = {0};
	uint64_t interval, poll, jitter, sticks, kind;
	const char *path, *name;

	if (!number_take(&in, &interval) || !number_take(&in, &poll) ||
	    !number_take(&in, &jitter) || !number_take(&in, &sticks) || interval == 0 ||
	    interval > INT64_MAX / 1000 || poll > INT64_MAX / 1000 || jitter > 100)
		return err_set(err, RC_MALFORMED, "the plan is malformed");
	p.interval_ms = (int64_t)interval;
	p.poll_ms = (int64_t)poll;
	p.jitter = (unsigned)jitter;
	p.sticks = sticks != 0;
	while (in.n > 0) {
		int rc;

		if (!number_take(&in, &kind) || kind >= PLACE_KINDS || !text_take(&in, &path) ||
		    !text_take(&in, &name))
			return err_set(err, RC_MALFORMED, "the plan is malformed");
		rc = watch_plan_add(&p, (enum place_kind)kind, path, name, err);
		if (rc < 0)
			return rc;
	}
	*ret = p;
	memset(&p, 0, sizeof(p));
	return 0;
}
