/* SPDX-License-Identifier: ISC */
/*
 * Bundles: which are needed, and in what form.  A bundle lies in a depot whole or in parts; whoever
 * has it in one form needs no other, and parts on both sides make a whole one together.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"

/* Parts of one bundle that are looked at; a channel's largest has 263 of 4 GB. */
#define GROUP_PARTS 4096u

/* One bundle: its file and its parts, on both sides. */
struct group {
	struct carry_run *r;
	char path[DEPOT_NAME]; /* of the whole */
	struct name name;
	enum state whole[ATS];
	struct group_part {
		struct name name;
		enum state state[ATS];
		uint64_t size; /* bytes */
	} * part;              /* owned */
	size_t parts, parts_room;
	uint64_t size, blocks; /* of the whole; 0: not known, for nothing of it is whole */
	size_t prefix;         /* bytes */
	struct err why;        /* the last that was not good */
};

static void group_clear(struct group *g)
{
	free(g->part);
}

/* Is this file good?  Also learns how large the bundle is. */
static int file_state(struct group *g, enum at at, const char *path, bool check, enum state *ret,
		      uint64_t *ret_size, struct err *err)
{
	OWNED(source_clear) struct carry_source s = {0};
	bool all = (g->r->c->flags & CARRY_CHECK) != 0;
	struct err bad = {0};
	int rc = source_open(g->r, at, path, &s, &bad);

	*ret = INCOMPLETE;
	if (rc == 0 && (check || all))
		rc = source_check(g->r, &s, all, &bad);
	if (carry_fatal(rc)) {
		*err = bad;
		return rc;
	}
	if (rc < 0) {
		/*
		 * A torn copy is the weakest reason: one that the site did not sign must not be
		 * hidden by it.
		 */
		if (g->why.rc == 0 || g->why.rc == RC_INCOMPLETE)
			g->why = bad;
		return 0;
	}
	if (g->r->known.chain)
		depot_credit(g->r->depot[at], 1, s.prefix.n);
	*ret = WHOLE;
	*ret_size = s.size;
	g->prefix = s.prefix.n;
	g->blocks = bundle_blocks(s.form.payload);
	g->size = bundle_size(s.prefix.n, s.form.payload);
	return 0;
}

/*
 * Names beyond the limit are not looked at: whoever floods a depot with parts costs a bounded
 * time, and which parts count then is chance.
 */
static int part_row(struct group *g, const char *path, const struct listed *row, struct err *err)
{
	struct group_part *p;
	int rc = 0;

	if (g->parts == GROUP_PARTS)
		return 0;
	rc = items_reserve(g->part, g->parts, g->parts_room, 1, err);
	if (rc < 0)
		return rc;
	p = &g->part[g->parts++];
	name_parse(path, &p->name);
	for (enum at at = 0; at < ATS && rc == 0; at++)
		if (row->there[at])
			rc = file_state(g, at, path, true, &p->state[at], &p->size, err);
	return rc;
}

static int group_row(struct group *g, const char *path, const struct listed *row, struct err *err)
{
	struct name name;
	uint64_t size;
	int rc = 0;

	if (name_parse(path, &name) == NAME_PART)
		return part_row(g, path, row, err);
	/* Private bundles are many and small: what both have with one size is taken for whole. */
	if (name.kind == NAME_PRIVATE && (g->r->c->flags & CARRY_CHECK) == 0 &&
	    row->there[AT_FROM] && row->there[AT_TO] && row->size[AT_FROM] == row->size[AT_TO]) {
		g->whole[AT_FROM] = g->whole[AT_TO] = WHOLE;
		return 0;
	}
	for (enum at at = 0; at < ATS && rc == 0; at++)
		if (row->there[at])
			rc = file_state(g, at, path, true, &g->whole[at], &size, err);
	return rc;
}

/*
 * Do the whole parts of these sides (bits) hold every block?  The parts may come from several
 * sticks, cut to different sizes, and lie in no useful order: go round until a round reaches
 * nothing more.
 */
static bool covers(const struct group *g, unsigned sides)
{
	uint64_t at = 0, before;

	if (g->blocks == 0)
		return false;
	do {
		before = at;
		for (size_t i = 0; i < g->parts; i++) {
			const struct group_part *p = &g->part[i];
			uint64_t first = (uint64_t)(p->name.part - 1) * p->name.blocks;
			bool good = ((sides & 1u << AT_FROM) && p->state[AT_FROM] == WHOLE) ||
				    ((sides & 1u << AT_TO) && p->state[AT_TO] == WHOLE);

			if (good && first <= at && first + p->name.blocks > at)
				at = first + p->name.blocks;
		}
	} while (at > before && at < g->blocks);
	return at >= g->blocks;
}

static enum state part_state(const struct group *g, const char *path, enum at at)
{
	struct name name;

	name_parse(path, &name);
	for (size_t i = 0; i < g->parts; i++)
		if (g->part[i].name.part == name.part && g->part[i].name.blocks == name.blocks)
			return g->part[i].state[at];
	return ABSENT;
}

/* A whole bundle into parts of ${blocks} blocks. */
static int group_cut(struct group *g, enum at to, uint32_t blocks, struct err *err)
{
	uint64_t payload = 0;
	int rc = 0;

	for (uint32_t n = 1; rc == 0 && (uint64_t)(n - 1) * blocks < g->blocks; n++) {
		uint64_t left = g->blocks - (uint64_t)(n - 1) * blocks;
		char path[DEPOT_NAME];
		struct name name;

		name_part(path, g->path, n, blocks);
		name_parse(path, &name);
		payload = (left < blocks ? left : blocks) * BLOCK_BYTES;
		if (part_state(g, path, to) != WHOLE)
			rc = carry_plan_to(g->r, to, path, &name, g->prefix + payload, err);
	}
	return rc;
}

/* What is in parts over there and cannot be joined here. */
static int group_parts(struct group *g, enum at to, uint64_t max, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < g->parts; i++) {
		const struct group_part *p = &g->part[i];
		char path[DEPOT_NAME];

		if (p->state[to] == WHOLE || p->state[!to] != WHOLE)
			continue;
		name_part(path, g->path, p->name.part, p->name.blocks);
		if (max > 0 && p->size > max)
			reporter_warning(
			    g->r->c->reporter,
			    "%s is larger than --max-file; carry it to a depot without "
			    "that limit first",
			    path);
		else
			rc = carry_plan_to(g->r, to, path, &p->name, p->size, err);
	}
	return rc;
}

/* FROM keeps the form that it has begun with: a stick that holds parts cannot hold the whole. */
static uint32_t cut_of(const struct group *g, enum at to, bool *ret_too_small)
{
	uint64_t max = to == AT_TO ? g->r->c->max_file : 0;

	if (max > 0 && g->size > max) {
		uint32_t blocks = part_blocks(max, g->prefix);

		*ret_too_small = blocks == 0;
		return blocks;
	}
	for (size_t i = 0; to == AT_FROM && i < g->parts; i++)
		if (g->part[i].state[AT_FROM] == WHOLE)
			return g->part[i].name.blocks;
	return 0;
}

static int group_to(struct group *g, enum at to, struct err *err)
{
	uint64_t max = to == AT_TO ? g->r->c->max_file : 0;
	bool too_small = false;
	uint32_t cut;
	int rc;

	if (g->whole[to] == WHOLE || covers(g, 1u << to))
		return 0;
	cut = cut_of(g, to, &too_small);
	if (too_small) {
		carry_lack(g->r, "--max-file is too small for %s", g->path);
		return 0;
	}
	/*
	 * From here on ${to} lacks it: best is a whole one from over there, next the parts of both
	 * sides joined here, and last the parts that are over there, which wait here for the
	 * others.
	 */
	if (g->whole[!to] == WHOLE)
		return cut > 0 && g->name.kind == NAME_BUNDLE
			   ? group_cut(g, to, cut, err)
			   : carry_plan_to(g->r, to, g->path, &g->name, g->size, err);
	if (cut > 0 || !covers(g, 1u << AT_FROM | 1u << AT_TO))
		return group_parts(g, to, max, err);
	rc = carry_plan_to(g->r, to, g->path, &g->name, g->size, err);
	/* The parts that waited here for the others have done their service. */
	for (size_t i = 0; rc == 0 && to == AT_TO && i < g->parts; i++) {
		char path[DEPOT_NAME];

		name_part(path, g->path, g->part[i].name.part, g->part[i].name.blocks);
		if (g->part[i].state[to] != ABSENT)
			rc = carry_move(g->r, MOVE_REMOVE, to, path, NAME_PART, 0, err);
	}
	return rc;
}

/* "in parts, of 4: part 2 is missing" */
static void parts_report(struct group *g)
{
	uint32_t blocks = g->part[0].name.blocks;
	uint64_t of = (g->blocks + blocks - 1) / blocks;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	unsigned named = 0;

	for (uint32_t n = 1; n <= of && named < 8; n++) {
		char path[DEPOT_NAME];

		name_part(path, g->path, n, blocks);
		if (part_state(g, path, AT_FROM) == WHOLE || part_state(g, path, AT_TO) == WHOLE)
			continue;
		if (buf_printf(&text, ERR_IGNORED, "%s%" PRIu32, named++ > 0 ? ", " : "", n) < 0)
			return;
	}
	g->r->result->parts_missing++;
	carry_lack(g->r, "%s is here in parts, of %" PRIu64 ": missing %s%s", g->path, of,
		   named == 1 ? "is part " : "are parts ", text.p != NULL ? (char *)text.p : "?");
}

static int group_plan(struct group *g, struct err *err)
{
	bool good = g->whole[AT_FROM] == WHOLE || g->whole[AT_TO] == WHOLE;
	int rc = 0;

	if (g->whole[AT_FROM] == WHOLE && g->whole[AT_TO] == WHOLE) {
		g->r->result->there++;
		return 0;
	}
	if (!good && g->why.rc == RC_UNTRUSTED)
		return carry_refuse(g->r, &g->why, err);
	if (!good && g->blocks > 0 && g->parts > 0 && !covers(g, 1u << AT_FROM | 1u << AT_TO))
		parts_report(g);
	else if (!good && g->blocks == 0)
		carry_lack(g->r, "%s is not whole", g->path);
	for (enum at to = 0; rc == 0 && to < ATS; to++)
		rc = group_to(g, to, err);
	return rc;
}

static bool same_bundle(const struct name *a, const struct name *b)
{
	return a->epoch == b->epoch && a->base == b->base && a->number == b->number &&
	       strcmp(a->digest, b->digest) == 0 && strcmp(a->id, b->id) == 0;
}

/* The rows of one bundle stand together: the whole one first, then its parts.  Returns how many. */
static size_t group_rows(const struct heads *c, size_t i, struct name *first)
{
	size_t n = 1;
	char path[DEPOT_NAME];
	struct name name;

	heads_path(c, &c->l.row[i], path);
	name_parse(path, first);
	for (; i + n < c->l.rows; n++) {
		heads_path(c, &c->l.row[i + n], path);
		if (name_parse(path, &name) != NAME_PART || !same_bundle(&name, first))
			break;
	}
	return n;
}

static void whole_path(char dst[DEPOT_NAME], const char *path, const struct name *name)
{
	snprintf(dst, DEPOT_NAME, "%s", path);
	if (name->kind == NAME_PART)
		*strrchr(dst, '.') = '\0';
}

static int group_run(struct heads *c, size_t i, size_t n, const struct name *first, struct err *err)
{
	OWNED(group_clear) struct group g = {.r = c->r};
	OWNED(freep) uint32_t *order = NULL;
	char path[DEPOT_NAME];
	int rc = 0;

	heads_path(c, &c->l.row[i], path);
	whole_path(g.path, path, first);
	name_parse(g.path, &g.name);
	if (n > GROUP_PARTS)
		rc = candidates_order(n, &order, err);
	for (size_t k = 0; rc == 0 && k < n; k++) {
		const struct listed *row = &c->l.row[i + (order != NULL ? order[k] : k)];

		heads_path(c, row, path);
		rc = group_row(&g, path, row, err);
	}
	return rc < 0 ? rc : group_plan(&g, err);
}

static int stale_rows(struct heads *c, size_t i, size_t n, struct err *err)
{
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < n; k++) {
		char path[DEPOT_NAME];
		struct name name;

		heads_path(c, &c->l.row[i + k], path);
		name_parse(path, &name);
		rc = carry_plan_stale(c->r, path, &name, &c->l.row[i + k], err);
	}
	return rc;
}

/* The bundle whose rows begin at ${i}. */
static int bundle_plan(struct heads *c, size_t i, struct err *err)
{
	struct name first;
	size_t n = group_rows(c, i, &first);
	bool stale;

	if (first.kind != NAME_BUNDLE && first.kind != NAME_PART && first.kind != NAME_PRIVATE)
		return 0;
	stale = first.kind == NAME_PRIVATE ? verdict_private(c->r, &first) == VERDICT_STALE
					   : heads_stale(c, &first);
	if (stale)
		return stale_rows(c, i, n, err);
	return carry_enough(c->r, c->dir) ? 0 : group_run(c, i, n, &first, err);
}

static int bundles(struct heads *c, struct err *err)
{
	LIST(size_t) group = {0};
	OWNED(freep) uint32_t *order = NULL;
	struct name first;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->l.rows; i += group_rows(c, i, &first))
		rc = list_push(&group, i, err);
	if (rc == 0)
		rc = candidates_order(group.n, &order, err);
	for (size_t i = 0; rc == 0 && i < group.n; i++) {
		rc = bundle_plan(c, group.items[order[i]], err);
		reporter_progress(c->r->c->reporter, "comparing", 0, 0, i, group.n);
	}
	list_clear(&group);
	return rc;
}

int carry_channel(struct carry_run *r, const char *dir, struct err *err)
{
	OWNED(heads_clear) struct heads c = {.r = r, .dir = dir};
	int rc = carry_list(r, dir, &c.l, err);

	if (rc == 0)
		rc = heads_read(&c, err);
	return rc < 0 ? rc : bundles(&c, err);
}

int carry_private(struct carry_run *r, const char *dir, struct err *err)
{
	OWNED(heads_clear) struct heads c = {.r = r, .dir = dir};
	int rc = carry_list(r, dir, &c.l, err);

	return rc < 0 ? rc : bundles(&c, err);
}
