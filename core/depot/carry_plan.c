/*
 * From names to moves.  What is whole on one side and not on the other goes there, unless it is
 * older than what is kept, unsigned, or not asked for.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry_internal.h"

void carry_refuse(struct run *r, const struct err *why)
{
	r->result->refused++;
	if (r->odd.rc == 0)
		r->odd = *why;
}

void carry_lack(struct run *r, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->result->incomplete++;
	if (r->lacking.rc == 0)
		err_set(&r->lacking, RC_INCOMPLETE, "%s", text);
}

bool carry_fatal(int rc)
{
	return rc == RC_TIMEOUT || rc == RC_MEMORY || rc == RC_INTERNAL;
}

int carry_move(struct run *r, enum move_how how, enum at to, const char *path, enum name_kind kind,
	       uint64_t size, struct err *err)
{
	uint32_t at = (uint32_t)r->paths.n;
	int rc;

	if (r->paths.n > UINT32_MAX - DEPOT_NAME)
		return err_set(err, RC_LIMIT, "more files than one carry moves; carry again");
	if (r->moves == r->moves_room) {
		size_t room = r->moves_room == 0 ? 256 : 2 * r->moves_room;
		struct move *more = reallocarray(r->move, room, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		r->move = more;
		r->moves_room = room;
	}
	rc = buf_add(&r->paths, path, strlen(path) + 1, err);
	if (rc == 0)
		r->move[r->moves++] =
		    (struct move){at, (uint8_t)kind, (uint8_t)how, (uint8_t)to, size};
	return rc;
}

/* Trust and inbox go everywhere; the rest of TO is the caller's choice, and a volume takes back
 * nothing but what belongs into an inbox. */
static bool wanted(const struct run *r, enum at to, const char *path, const struct name *name)
{
	bool making = to == AT_TO && (r->c->flags & CARRY_VOLUME);

	if (name->kind == NAME_RECEIPT || name->kind == NAME_REQUEST)
		return !making || r->c->wants(r->c->arg, path, name);
	if (r->volume[to] && !making)
		return false;
	return to == AT_FROM || name->kind == NAME_TRUST || r->c->wants == NULL ||
	       r->c->wants(r->c->arg, path, name);
}

int carry_plan_to(struct run *r, enum at to, const char *path, const struct name *name,
		  uint64_t size, struct err *err)
{
	if (wanted(r, to, path, name))
		return carry_move(r, MOVE_COPY, to, path, name->kind, size, err);
	r->result->unwanted++;
	return 0;
}

int carry_plan_document(struct run *r, const struct document *d, struct err *err)
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

int carry_plan_stale(struct run *r, const char *path, const struct name *name,
		     const struct listed *row, struct err *err)
{
	r->result->stale++;
	if ((r->c->flags & CARRY_PRUNE) == 0 || !row->there[AT_TO])
		return 0;
	return carry_move(r, MOVE_REMOVE, AT_TO, path, name->kind, 0, err);
}

/* What strangers sealed: nobody but the server can open it, so it has to look like one. */
static bool inbox_form(const struct document *d)
{
	char recipient[17];

	return sealed_recipient(bytes_in(&d->content), recipient);
}

static int inbox_row(struct run *r, const char *path, const struct listed *row, struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	struct err bad = {0};
	struct name name;
	int rc;

	if (name_parse(path, &name) != NAME_RECEIPT && name.kind != NAME_REQUEST)
		return 0;
	if (verdict_inbox(r, &name) == VERDICT_STALE)
		return carry_plan_stale(r, path, &name, row, err);
	if (row->there[AT_FROM] && row->there[AT_TO] && row->size[AT_FROM] == row->size[AT_TO] &&
	    (r->c->flags & CARRY_CHECK) == 0) {
		r->result->there++;
		return 0;
	}
	rc = carry_document(r, path, row, name.kind == NAME_RECEIPT ? LIMIT_RECEIPT : LIMIT_REQUEST,
			    &d, err);
	if (rc == 0)
		carry_lack(r, "%s is not whole", path);
	if (rc <= 0)
		return rc;
	if (inbox_form(&d))
		return carry_plan_document(r, &d, err);
	err_set(&bad, RC_MALFORMED, "%s is not sealed", path);
	carry_refuse(r, &bad);
	return 0;
}

static int carry_inbox(struct run *r, const char *dir, struct err *err)
{
	OWNED(both_clear) struct both l = {0};
	int rc = carry_list(r, dir, &l, err);

	for (size_t i = 0; rc == 0 && i < l.rows; i++) {
		char path[DEPOT_NAME];

		snprintf(path, sizeof(path), "%.20s/%.200s", dir, listed_name(&l, &l.row[i]));
		rc = inbox_row(r, path, &l.row[i], err);
		say_progress(r->c->say, "looking", 0, 0, i, l.rows);
	}
	return rc;
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
	int (*plan)(struct run *r, const char *dir, struct err *err);
} areas[] = {
    {"inbox", is_hex_pair, carry_inbox},
    {"workstations", is_hex_pair, carry_private},
    {"channels", is_channel, carry_channel},
};

static int area_plan(struct run *r, const struct area *a, struct err *err)
{
	OWNED(both_clear) struct both l = {0};
	int rc = carry_dirs(r, a->dir, &l, err);

	for (size_t i = 0; rc == 0 && i < l.rows; i++) {
		const char *name = listed_name(&l, &l.row[i]);
		char dir[DEPOT_NAME];

		snprintf(dir, sizeof(dir), "%s/%.64s", a->dir, name);
		if (a->fits(name))
			rc = a->plan(r, dir, err);
	}
	return rc;
}

int carry_plan(struct run *r, struct err *err)
{
	int rc = carry_known_trust(r, err);

	r->result->verified = r->known.chain;
	if (rc == 0)
		rc = carry_known_beats(r, err);
	if (rc == 0)
		rc = carry_known_shards(r, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(areas); i++)
		rc = area_plan(r, &areas[i], err);
	return rc;
}
