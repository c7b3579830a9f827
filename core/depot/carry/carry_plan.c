/* SPDX-License-Identifier: ISC */
/*
 * From names to moves.  What is whole on one side and not on the other goes there, unless it is
 * older than what is kept, unsigned, or not asked for.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"

int carry_refuse(struct carry_run *r, const struct err *why, struct err *err)
{
	if (carry_fatal(why->rc)) { /* ours, and no fault of the file */
		*err = *why;
		return why->rc;
	}
	r->result->refused++;
	if (r->refused.rc == 0)
		r->refused = *why;
	return 0;
}

void carry_lack(struct carry_run *r, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->result->incomplete++;
	if (r->missing.rc == 0)
		err_set(&r->missing, RC_INCOMPLETE, "%s", text);
}

bool carry_enough(struct carry_run *r, const char *dir)
{
	for (enum at at = 0; at < ATS; at++) {
		struct depot *d = r->depot[at];

		if (d == NULL || (r->tries > 0 && depot_left(d) >= r->floor))
			continue;
		if (r->unreadable.rc == 0)
			err_set(
			    &r->unreadable, RC_AGAIN,
			    "%s of the depot \"%s\" is too slow, or too full of what is not the "
			    "site's: not all of it was compared, and that is left as it is; carry "
			    "again",
			    dir, depot_path(d));
		r->uncertain = r->uncertain || r->floor >= FLOOR_SHARDS;
		return true;
	}
	return false;
}

void carry_read(struct carry_run *r, const struct document *d)
{
	for (enum at at = 0; at < ATS; at++)
		if (d->state[at] == WHOLE)
			depot_credit(r->depot[at], 1, d->content.n);
}

bool carry_fatal(int rc)
{
	return rc == RC_TIMEOUT || rc == RC_MEMORY || rc == RC_INTERNAL;
}

int carry_move(struct carry_run *r, enum move_how how, enum at to, const char *path,
	       enum name_kind kind, uint64_t size, struct err *err)
{
	uint32_t at = (uint32_t)r->paths.n;
	int rc;

	if (r->paths.n > UINT32_MAX - DEPOT_NAME)
		return err_set(err, RC_LIMIT, "more files than one carry moves; carry again");
	rc = items_reserve(r->move, r->moves, r->moves_room, 1, err);
	if (rc == 0)
		rc = buf_add(&r->paths, path, strlen(path) + 1, err);
	if (rc == 0)
		r->move[r->moves++] =
		    (struct move){at, (uint8_t)kind, (uint8_t)how, (uint8_t)to, size};
	return rc;
}

/* Trust and inbox go everywhere; the rest of TO is the caller's choice. */
static bool wanted(const struct carry_run *r, enum at to, const char *path, const struct name *name)
{
	if (name->kind == NAME_RECEIPT || name->kind == NAME_REQUEST)
		return to == AT_FROM || (r->c->flags & CARRY_VOLUME) == 0 ||
		       r->c->wants(r->c->arg, path, name);
	return to == AT_FROM || name->kind == NAME_TRUST || r->c->wants == NULL ||
	       r->c->wants(r->c->arg, path, name);
}

int carry_plan_to(struct carry_run *r, enum at to, const char *path, const struct name *name,
		  uint64_t size, struct err *err)
{
	bool inbox = name->kind == NAME_RECEIPT || name->kind == NAME_REQUEST;
	bool wants = wanted(r, to, path, name), kept = wants && r->volume[to] && !inbox;

	if (wants && !kept)
		return carry_move(r, MOVE_COPY, to, path, name->kind, size, err);
	r->result->unwanted++;
	r->withheld += kept && to == AT_TO;
	/* Every volume has these, as of when it was made. */
	if (kept && (name->kind == NAME_BEAT || name->kind == NAME_TRUST))
		r->newer[to] = true;
	return 0;
}

int carry_plan_document(struct carry_run *r, const struct document *d, struct err *err)
{
	int rc = 0;

	if (d->state[AT_FROM] == WHOLE && d->state[AT_TO] == WHOLE) {
		r->result->there++;
		return 0;
	}
	for (enum at to = 0; to < ATS && rc == 0; to++)
		if (d->state[to] != WHOLE && d->state[!to] == WHOLE)
			rc = carry_plan_to(r, to, d->path, &d->name, d->content.n, err);
	return rc;
}

int carry_plan_stale(struct carry_run *r, const char *path, const struct name *name,
		     const struct listed *row, struct err *err)
{
	r->result->stale++;
	if ((r->c->flags & CARRY_PRUNE) == 0 || !row->there[AT_TO] || r->uncertain)
		return 0;
	return carry_move(r, MOVE_REMOVE, AT_TO, path, name->kind, 0, err);
}

static bool is_hex_pair(const char *name)
{
	return strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2;
}

static bool is_channel(const char *name)
{
	return strlen(name) < CHANNEL_NAME && name[0] != '-' && name[0] != '_' &&
	       strchr(name, '.') == NULL;
}

/* The directories whose files could be ours, by the one above them. */
static const struct area {
	const char *dir;
	bool (*fits)(const char *name);
	int (*plan)(struct carry_run *r, const char *dir, struct err *err);
	enum carry_floor floor;
} areas[] = {
    {"inbox", is_hex_pair, carry_inbox, FLOOR_INBOX},
    {"workstations", is_hex_pair, carry_private, FLOOR_PRIVATE},
    {"channels", is_channel, carry_channel, FLOOR_CHANNELS},
};

static int area_plan(struct carry_run *r, const struct area *a, struct err *err)
{
	OWNED(merged_listing_clear) struct merged_listing l = {0};
	OWNED(freep) uint32_t *order = NULL;
	int rc;

	r->tries = candidates_tries(CARRY_TRIES);
	r->floor = a->floor;
	rc = carry_dirs(r, a->dir, a->fits, &l, err);
	if (rc == 0)
		rc = candidates_order(l.rows, &order, err);
	for (size_t i = 0; rc == 0 && i < l.rows && !carry_enough(r, a->dir); i++) {
		char dir[DEPOT_NAME];

		snprintf(dir, sizeof(dir), "%s/%.64s", a->dir, listed_name(&l, &l.row[order[i]]));
		rc = a->plan(r, dir, err);
	}
	return rc;
}

int carry_plan(struct carry_run *r, struct err *err)
{
	int rc = carry_known_trust(r, err);

	r->result->verified = r->known.chain;
	if (rc == 0)
		rc = carry_known_beats(r, err);
	if (rc == 0)
		rc = carry_known_shards(r, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(areas); i++)
		rc = area_plan(r, &areas[i], err);
	r->tries = CARRY_TRIES;
	r->floor = FLOOR_MOVES;
	return rc;
}
