/*
 * A bundle that lies in parts, because the medium takes no large files.  Each part begins with the
 * whole prefix, so that any of them says what the bundle is, and how many there must be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/apply.h"
#include "applier/follow_internal.h"
#include "core/base/own.h"

/* Parts of one bundle that are looked at; more than apply reads. */
#define PARTS_MAX 4096u
/* Numbers of missing parts that are told. */
#define TOLD 8u

struct part {
	uint32_t number, blocks;
	uint64_t size; /* bytes, as the listing said */
};

struct parts {
	const char *dir, *bundle;
	struct part *part; /* owned */
	size_t n;
};

static void parts_clear(struct parts *p)
{
	free(p->part);
}

static int part_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct parts *p = arg;
	size_t n = strlen(p->bundle);
	char path[DEPOT_NAME];
	struct name name;

	if (p->n == PARTS_MAX ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", p->dir, file) >= sizeof(path) ||
	    strncmp(path, p->bundle, n) != 0 || name_parse(path, &name) != NAME_PART)
		return 0;
	if (p->part == NULL && (p->part = calloc(PARTS_MAX, sizeof(*p->part))) == NULL)
		return err_memory(err);
	p->part[p->n++] = (struct part){name.part, name.blocks, size};
	return 0;
}

static uint64_t part_size(const struct follow_bundle *b, uint64_t number, uint32_t blocks)
{
	uint64_t first = (number - 1) * blocks * BLOCK_BYTES;
	uint64_t left = b->manifest.payload - first;

	return b->payload_offset +
	       (left < (uint64_t)blocks * BLOCK_BYTES ? left : (uint64_t)blocks * BLOCK_BYTES);
}

static bool part_there(const struct parts *p, const struct follow_bundle *b, uint64_t number,
		       uint32_t blocks)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->part[i].number == number && p->part[i].blocks == blocks &&
		    p->part[i].size == part_size(b, number, blocks))
			return true;
	return false;
}

/* 1: all parts of this cut are here; else the sentence that names those that are missing. */
static int cut_check(const struct parts *p, const struct follow_bundle *b, uint32_t blocks,
		     const char *what, const char *depot, struct err *err)
{
	uint64_t of = (bundle_blocks(b->manifest.payload) + blocks - 1) / blocks, missing = 0;
	char text[160] = "";
	size_t used = 0;

	for (uint64_t n = 1; n <= of && n <= PARTS_MAX; n++)
		if (!part_there(p, b, n, blocks) && missing++ < TOLD)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRIu64,
						 used > 0 ? ", " : "", n);
	if (missing > 0 || of > PARTS_MAX)
		return err_set(err, RC_INCOMPLETE,
			       "%s lies in the depot %s in parts, of %" PRIu64 ": missing %s %s%s",
			       what, depot, of, missing == 1 ? "is part" : "are parts", text,
			       missing > TOLD ? " and more" : "");
	if (of > APPLY_PARTS)
		return err_set(err, RC_INCOMPLETE,
			       "%s lies in the depot %s in %" PRIu64
			       " parts; satchel carry joins them into another depot",
			       what, depot, of);
	return 1;
}

static int part_read(struct follow *f, const struct parts *p, size_t i, const struct expected *x,
		     struct follow_bundle *b, struct err *err)
{
	char path[DEPOT_NAME];

	follow_bundle_clear(b);
	name_part(path, p->bundle, p->part[i].number, p->part[i].blocks);
	return bundle_prefix_read(f->depot, path, &f->s->trust, x, b, err);
}

int follow_parts(struct follow *f, const char *path, const struct expected *x,
		 struct follow_bundle *ret, struct err *err)
{
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	char dir[DEPOT_NAME];
	OWNED(parts_clear) struct parts p = {.dir = dir, .bundle = path};
	struct search budget = search_begin();
	int rc;

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	rc = depot_list(f->depot, dir, part_each, &p, err);
	if (rc < 0 || p.n == 0)
		return rc;
	/* The first whose beginning is good says what there must be; then each cut is tried. */
	for (size_t i = 0; i < p.n && search_try(&budget); i++) {
		rc = part_read(f, &p, i, x, &b, err);
		if (rc < 0 && rc != RC_INCOMPLETE)
			return rc;
		if (rc == 0)
			rc =
			    cut_check(&p, &b, p.part[i].blocks, x->what, depot_path(f->depot), err);
		if (rc != 1)
			continue;
		snprintf(b.path, sizeof(b.path), "%s", path);
		b.part_blocks = p.part[i].blocks;
		follow_bundle_clear(ret);
		*ret = b;
		memset(&b, 0, sizeof(b));
		return 1;
	}
	return RC_INCOMPLETE;
}
