/* SPDX-License-Identifier: ISC */
/*
 * Bundles as bytes.  The name commits to the prefix, the prefix to every block: so a file, a part
 * of it and any collection of parts are verified without a key, block by block, before a byte of
 * them is written elsewhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/carry/carry_internal.h"

void source_clear(struct carry_source *s)
{
	buf_clear(&s->prefix);
	memset(s, 0, sizeof(*s));
}

static int incomplete(const struct carry_run *r, const struct carry_source *s, const char *what,
		      struct err *err)
{
	return err_set(err, RC_INCOMPLETE, "%s in the depot %s is not whole: %s", s->path,
		       depot_path(r->depot[s->at]), what);
}

/* An absent or unreadable file is as good as a torn one; a depot that hangs is not. */
static int fetch(struct carry_run *r, const struct carry_source *s, uint64_t offset, uint8_t *dst,
		 size_t n, struct err *err)
{
	struct err bad = {0};
	int rc = depot_fetch(r->depot[s->at], s->path, offset, dst, n, &bad);

	if (rc == 0)
		return 0;
	if (carry_fatal(rc)) {
		*err = bad;
		return rc;
	}
	return err_set(err, RC_INCOMPLETE, "%s", bad.text);
}

static int prefix_read(struct carry_run *r, struct carry_source *s, struct err *err)
{
	size_t need = 0;
	int rc;

	for (;;) {
		rc = bundle_form(bytes_in(&s->prefix), &need, &s->form, err);
		if (rc != 0)
			break;
		rc = buf_reserve(&s->prefix, need - s->prefix.n, err);
		if (rc == 0)
			rc = fetch(r, s, s->prefix.n, s->prefix.p + s->prefix.n, need - s->prefix.n,
				   err);
		if (rc < 0)
			return rc;
		s->prefix.n = need;
	}
	if (rc == RC_MALFORMED || rc == RC_LIMIT)
		return incomplete(r, s, "it does not begin as a bundle", err);
	return rc < 0 ? rc : 0;
}

static int prefix_check(struct carry_run *r, struct carry_source *s, struct err *err)
{
	char text[DIGEST_NAME + 1];
	struct digest d = digest_of(bytes_in(&s->prefix));
	struct document doc = {0};
	int rc;

	digest_name(text, &d);
	if (strcmp(text, s->name.digest) != 0)
		return incomplete(r, s, "its beginning does not match its name", err);
	/*
	 * Without a chain of trust nobody can be judged here; that the bytes fit their name is all
	 * there is to prove.
	 */
	if (!r->known.chain)
		return 0;
	snprintf(doc.path, sizeof(doc.path), "%s", s->path);
	rc = buf_add(&doc.content, s->form.manifest.p, s->form.manifest.n, err);
	if (rc == 0)
		rc = carry_signed(r, &doc, "manifest", ROLE_PRIVATE, err);
	document_clear(&doc);
	return rc == RC_MALFORMED ? err_set(err, RC_UNTRUSTED, "%s has no signed manifest", s->path)
				  : rc;
}

static uint64_t payload_of(const struct carry_source *s, uint64_t block)
{
	uint64_t at = block * BLOCK_BYTES;

	return at < s->form.payload ? at : s->form.payload;
}

static int extent(struct carry_run *r, struct carry_source *s, struct err *err)
{
	uint64_t blocks = bundle_blocks(s->form.payload), there = 0;
	int rc;

	s->count = blocks;
	if (s->name.kind == NAME_PART) {
		s->first = (uint64_t)(s->name.part - 1) * s->name.blocks;
		if (s->first >= blocks)
			return incomplete(r, s, "the bundle has fewer parts", err);
		s->count = blocks - s->first < s->name.blocks ? blocks - s->first : s->name.blocks;
	}
	s->offset = s->prefix.n;
	s->size = s->offset + payload_of(s, s->first + s->count) - payload_of(s, s->first);
	if (s->name.kind != NAME_PART)
		s->size += bundle_tail(s->form.payload);
	rc = depot_size(r->depot[s->at], s->path, &there, err);
	if (rc < 0)
		return carry_fatal(rc) ? rc : incomplete(r, s, "it cannot be read", err);
	if (there != s->size)
		return err_set(err, RC_INCOMPLETE,
			       "%s in the depot %s has %" PRIu64 " of %" PRIu64 " bytes", s->path,
			       depot_path(r->depot[s->at]), there, s->size);
	return 0;
}

int source_open(struct carry_run *r, enum at at, const char *path, struct carry_source *ret,
		struct err *err)
{
	OWNED(source_clear) struct carry_source s = {.at = at};
	int rc;

	snprintf(s.path, sizeof(s.path), "%s", path);
	name_parse(path, &s.name);
	rc = prefix_read(r, &s, err);
	if (rc == 0)
		rc = prefix_check(r, &s, err);
	if (rc == 0)
		rc = extent(r, &s, err);
	if (rc < 0)
		return rc;
	*ret = s;
	memset(&s, 0, sizeof(s));
	return 0;
}

/* One block, by its number in the bundle, into ${dst}; verified. */
static int block_read(struct carry_run *r, const struct carry_source *s,
		      const struct bundle_form *form, uint64_t block, uint8_t *dst, size_t *ret_n,
		      struct err *err)
{
	uint64_t at = payload_of(s, block), end = payload_of(s, block + 1);
	size_t n = (size_t)(end - at);
	struct digest d;
	int rc = fetch(r, s, s->offset + at - payload_of(s, s->first), dst, n, err);

	if (rc < 0)
		return rc;
	d = digest_of((struct bytes){dst, n});
	if (memcmp(d.b, form->blocks.p + block * DIGEST_BYTES, DIGEST_BYTES) != 0)
		return err_set(err, RC_INCOMPLETE,
			       "%s in the depot %s is not whole: block %" PRIu64 " of %" PRIu64
			       " is damaged or altered",
			       s->path, depot_path(r->depot[s->at]), block + 1,
			       bundle_blocks(s->form.payload));
	depot_credit(r->depot[s->at], 0, n);
	*ret_n = n;
	return 0;
}

/* No digest covers the end: only zeros may stand there, else it would carry what nobody signed. */
static int tail_check(struct carry_run *r, const struct carry_source *s, struct err *err)
{
	uint8_t end[TAR_RECORD + TAR_END];
	size_t tail = bundle_tail(s->form.payload);
	int rc = fetch(r, s, s->size - tail, end, tail, err);

	for (size_t i = 0; rc == 0 && i < tail; i++)
		if (end[i] != 0)
			rc = incomplete(r, s, "its end is not what it should be", err);
	return rc;
}

int source_check(struct carry_run *r, const struct carry_source *s, bool all, struct err *err)
{
	OWNED(freep) uint8_t *block = malloc(BLOCK_BYTES);
	size_t n;
	int rc = block == NULL ? err_memory(err) : 0;

	/*
	 * A copy that was interrupted lacks its end, or has holes there: unless all is asked for,
	 * the last block speaks for the others.
	 */
	for (uint64_t i = all ? 0 : s->count - 1; rc == 0 && i < s->count; i++) {
		rc = block_read(r, s, &s->form, s->first + i, block, &n, err);
		if (all)
			reporter_progress(r->c->reporter, "checking", i * BLOCK_BYTES,
					  s->count * BLOCK_BYTES, 0, 0);
	}
	return rc == 0 && s->name.kind != NAME_PART ? tail_check(r, s, err) : rc;
}

uint32_t part_blocks(uint64_t max, size_t prefix)
{
	uint64_t blocks = max > prefix ? (max - prefix) / BLOCK_BYTES : 0;

	return (uint32_t)(blocks < LIMIT_BLOCKS ? blocks : LIMIT_BLOCKS);
}

/* Where the blocks of one bundle can be had. */
struct supply {
	struct carry_run *r;
	const char *bundle; /* path of the whole */
	char dir[DEPOT_NAME];
	struct carry_source *source; /* owned */
	size_t n, room;
};

static void supply_clear(struct supply *s)
{
	for (size_t i = 0; i < s->n; i++)
		source_clear(&s->source[i]);
	free(s->source);
}

/* One that is not good is left out. */
static int supply_add(struct supply *s, enum at at, const char *path, struct err *err)
{
	int rc = items_reserve(s->source, s->n, s->room, 1, err);

	if (rc < 0)
		return rc;
	rc = source_open(s->r, at, path, &s->source[s->n], err);
	if (rc == 0)
		s->n++;
	if (rc == 0 && s->n > 1) /* one prefix is enough */
		buf_clear(&s->source[s->n - 1].prefix);
	return carry_fatal(rc) ? rc : 0;
}

static int supply_parts(struct supply *s, struct err *err)
{
	OWNED(merged_listing_clear) struct merged_listing l = {0};
	size_t n = strlen(s->bundle);
	int rc = carry_list(s->r, s->dir, &l, err);

	for (size_t i = 0; rc == 0 && i < l.rows; i++) {
		char path[DEPOT_NAME];

		snprintf(path, sizeof(path), "%.80s/%.170s", s->dir, listed_name(&l, &l.row[i]));
		if (strncmp(path, s->bundle, n) != 0 || path[n] != '.')
			continue;
		for (enum at at = 0; rc == 0 && at < ATS; at++)
			if (l.row[i].there[at])
				rc = supply_add(s, at, path, err);
	}
	return rc;
}

/*
 * The cheapest source first: the whole one over there, then this very part, and only then whatever
 * parts lie on both sides.
 */
static int supply_find(struct supply *s, enum at to, const char *path, struct err *err)
{
	struct err none = {0};
	int rc;

	snprintf(s->dir, sizeof(s->dir), "%s", s->bundle);
	*strrchr(s->dir, '/') = '\0';
	rc = supply_add(s, !to, s->bundle, err);
	if (rc == 0 && s->n == 0 && strcmp(path, s->bundle) != 0)
		rc = supply_add(s, !to, path, err);
	if (rc == 0 && s->n == 0)
		rc = supply_parts(s, &none);
	if (rc == 0 && s->n == 0)
		return err->rc < 0 ? err->rc : err_set(err, RC_INCOMPLETE, "%s is gone", path);
	if (rc < 0 && none.rc < 0)
		*err = none;
	return rc;
}

/* A block from whichever source has it good. */
static int supply_block(struct supply *s, uint64_t block, uint8_t *dst, size_t *ret_n,
			struct err *err)
{
	err_set(err, RC_INCOMPLETE, "%s: block %" PRIu64 " is in none of the parts that are here",
		s->bundle, block + 1);
	for (size_t i = 0; i < s->n; i++) {
		const struct carry_source *from = &s->source[i];
		int rc;

		if (block < from->first || block >= from->first + from->count)
			continue;
		rc = block_read(s->r, from, &s->source[0].form, block, dst, ret_n, err);
		if (rc == 0 || carry_fatal(rc))
			return rc;
	}
	return err->rc;
}

struct bundle_copy {
	struct carry_run *r;
	struct depot *to;
	struct supply supply; /* owned */
	uint8_t *block;       /* owned */
	uint64_t first, count, size;
	bool whole;
	bool own; /* some of the parts lie in ${to} itself */
};

static int copy_prefix(struct bundle_copy *c, struct err *err)
{
	struct bytes left = bytes_in(&c->supply.source[0].prefix);
	int rc = 0;

	while (rc == 0 && left.n > 0) {
		size_t n = left.n < BLOCK_BYTES ? left.n : BLOCK_BYTES;

		rc = depot_stream_more(c->to, (struct bytes){left.p, n}, err);
		left.p += n;
		left.n -= n;
	}
	return rc;
}

static int copy_blocks(struct bundle_copy *c, struct err *err)
{
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < c->count; i++) {
		size_t n = 0;

		rc = supply_block(&c->supply, c->first + i, c->block, &n, err);
		if (rc == 0)
			rc = depot_stream_more(c->to, (struct bytes){c->block, n}, err);
		/* A write that failed must not be taken for a part that cannot be read. */
		if (rc == 0 && c->own)
			rc = depot_stream_flush(c->to, err);
		carry_progress(c->r, n);
	}
	return rc;
}

static int copy_write(struct bundle_copy *c, const char *path, struct err *err)
{
	static const uint8_t zeros[TAR_RECORD + TAR_END];
	int rc = depot_stream_begin(c->to, path, c->size, true, err);

	if (rc == 0)
		rc = copy_prefix(c, err);
	if (rc == 0)
		rc = copy_blocks(c, err);
	if (rc == 0 && c->whole)
		rc = depot_stream_more(
		    c->to, (struct bytes){zeros, bundle_tail(c->supply.source[0].form.payload)},
		    err);
	if (rc == 0)
		rc = depot_stream_commit(c->to, err);
	if (rc < 0)
		depot_stream_abort(c->to);
	return rc;
}

/* Which blocks the new file has, and how many bytes. */
static void copy_extent(struct bundle_copy *c, const struct name *name)
{
	const struct carry_source *s = &c->supply.source[0];
	uint64_t blocks = bundle_blocks(s->form.payload);

	c->whole = name->kind != NAME_PART;
	c->count = blocks;
	if (!c->whole) {
		c->first = (uint64_t)(name->part - 1) * name->blocks;
		c->count = c->first >= blocks                 ? 0
			   : blocks - c->first < name->blocks ? blocks - c->first
							      : name->blocks;
	}
	c->size = s->prefix.n + payload_of(s, c->first + c->count) - payload_of(s, c->first) +
		  (c->whole ? bundle_tail(s->form.payload) : 0);
}

static void copy_clear(struct bundle_copy *c)
{
	supply_clear(&c->supply);
	free(c->block);
}

int carry_bundle(struct carry_run *r, enum at to, const char *path, struct err *err)
{
	OWNED(copy_clear) struct bundle_copy c = {.r = r, .to = r->depot[to], .supply.r = r};
	char bundle[DEPOT_NAME];
	struct name name;
	int rc;

	snprintf(bundle, sizeof(bundle), "%s", path);
	if (name_parse(path, &name) == NAME_PART)
		*strrchr(bundle, '.') = '\0';
	c.supply.bundle = bundle;
	c.block = malloc(BLOCK_BYTES);
	if (c.block == NULL)
		return err_memory(err);
	rc = supply_find(&c.supply, to, path, err);
	if (rc < 0)
		return rc;
	copy_extent(&c, &name);
	for (size_t i = 0; i < c.supply.n; i++)
		c.own = c.own || c.supply.source[i].at == to;
	return copy_write(&c, path, err);
}
