/* SPDX-License-Identifier: ISC */
/*
 * What differs is found as drift finds it, and put right as a bundle would: a list of changes for
 * these paths alone, onto the generation that is held, which stays the same.
 */
#include "applier/repair/repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/apply/applied.h"
#include "applier/trees/drift.h"
#include "applier/trees/tree.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/tree/index.h"

void repair_clear(struct repair *r)
{
	for (size_t i = 0; i < r->item.n; i++)
		free(r->item.items[i].path);
	list_clear(&r->item);
}

/* Found */

struct finding {
	struct repair *r;
	uint64_t missing;
};

static bool is_asked(const struct repair *r, const char *path)
{
	for (size_t i = 0; i < r->onlys; i++)
		if (path_below(path, r->only[i]))
			return true;
	return r->onlys == 0;
}

static int finding_each(void *arg, const struct drift_item *item, struct err *err)
{
	struct finding *f = arg;
	struct repair_item *to;

	f->missing += strcmp(item->what, "missing") == 0;
	if (!is_asked(f->r, item->path))
		return 0;
	to = list_add(&f->r->item, err);
	if (to == NULL)
		return err->rc;
	to->meta = strcmp(item->what, "metadata") == 0;
	to->path = strdup(item->path);
	return to->path != NULL ? 0 : err_memory(err);
}

/** Nothing at all is there, but the directory: perhaps what is mounted there is absent. */
static int mount_check(struct station *s, struct tree_place *p, uint64_t missing, struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	OWNED(fd_closep) int fd = -1;
	struct apply_target target;
	uint64_t entries = 0, bytes;

	if (missing == 0 || index_open(s->db, p->tree, &x, err) < 0 ||
	    index_counts(x, &entries, &bytes, err) < 0)
		return missing == 0 ? 0 : err->rc;
	if (missing < entries || tree_place_target(s, p, &target, err) < 0)
		return missing < entries ? 0 : err->rc;
	fd = beneath_dir(target.rootfd, *target.path == '\0' ? "." : target.path, ERR_IGNORED);
	return fd < 0 ? 0
		      : err_set(err, RC_IO,
				"%s is empty: mount what belongs there, or remove the empty "
				"directory to have everything made again",
				p->path);
}

int repair_find(struct station *s, const char *tree, const char *const *only, size_t onlys,
		struct repair *ret, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place place = TREE_PLACE_INIT;
	struct finding f = {.r = ret};
	uint64_t n;
	int rc = tree_place_load(s, tree, &place, err);

	if (rc == 0)
		return err_set(err, RC_USAGE,
			       "there is no channel %s on this workstation; satchel status shows "
			       "which there are",
			       tree);
	*ret = (struct repair){.tree = tree, .only = only, .onlys = onlys};
	if (rc > 0)
		rc = tree_recover(s, tree, err);
	if (rc >= 0)
		rc = applied_load(s, tree, &ret->now, err);
	if (rc == 0)
		rc = drift_tree(s, tree, finding_each, &f, &n, err);
	return rc < 0 ? rc : mount_check(s, &place, f.missing, err);
}

/* The list of changes */

static void change_of(struct change *c, const struct repair_item *item, const struct entry *e)
{
	memset(c, 0, sizeof(*c));
	c->op = item->meta && e->kind != ENTRY_DIRECTORY ? CHANGE_META
		: e->kind == ENTRY_FILE                  ? CHANGE_COPY
		: e->kind == ENTRY_LINK                  ? CHANGE_LINK
							 : CHANGE_DIRECTORY;
	c->kind = e->kind;
	c->mode = e->mode;
	snprintf(c->owner, sizeof(c->owner), "%s", e->owner);
	c->mtime = e->mtime;
	snprintf(c->path, sizeof(c->path), "%s", item->path);
	if (c->op == CHANGE_COPY) {
		c->size = e->size;
		c->digest = e->digest;
		snprintf(c->source, sizeof(c->source), "%s", item->path);
	} else if (c->op == CHANGE_LINK) {
		snprintf(c->target, sizeof(c->target), "%s", e->target);
	}
}

static int repair_lines(void *arg, struct index *now,
			int (*add)(void *to, const struct change *c, struct err *err), void *to,
			struct err *err)
{
	const struct repair *r = arg;
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	int rc = e == NULL || c == NULL ? err_memory(err) : 0;

	for (size_t i = 0; rc == 0 && i < r->item.n; i++) {
		rc = index_get(now, r->item.items[i].path, e, err);
		if (rc <= 0)
			continue; /* of no channel any more */
		change_of(c, &r->item.items[i], e);
		rc = add(to, c, err);
	}
	return rc;
}

static int salt_of(struct station *s, const char *tree, struct digest *ret, struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;

	return index_open(s->db, tree, &x, err) < 0 ? err->rc : index_salted(x, ret, err);
}

int repair_apply(struct station *s, const struct repair *r, int contentfd, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place place = TREE_PLACE_INIT;
	struct apply_target target;
	struct repair *borrowed;
	struct apply_local l = {.epoch = r->now.epoch,
				.generation = r->now.generation,
				.tree = r->now.tree,
				.intent = UNDO_REPAIR,
				.why = "",
				.lines = repair_lines,
				.contentfd = contentfd};
	int rc = tree_place_load(s, r->tree, &place, err);

	memcpy(&borrowed, &r, sizeof(borrowed)); /* it is only read */
	l.arg = borrowed;
	if (rc >= 0)
		rc = tree_place_target(s, &place, &target, err);
	if (rc == 0)
		rc = salt_of(s, r->tree, &l.salt, err);
	if (rc < 0)
		return rc;
	target.local = LOCAL_REPLACE; /* that is what was asked for */
	return apply_local(s, &l, &target, NULL, err);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

int repair_contents(struct station *s, const struct repair *r, struct digest **ret, size_t *ret_n,
		    struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	OWNED(freep) struct digest *list = calloc(r->item.n + 1, sizeof(*list));
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	size_t n = 0, kept = 0;
	int rc = list == NULL || e == NULL ? err_memory(err) : index_open(s->db, r->tree, &x, err);

	for (size_t i = 0; rc >= 0 && i < r->item.n; i++) {
		rc = index_get(x, r->item.items[i].path, e, err);
		if (rc > 0 && e->kind == ENTRY_FILE && !r->item.items[i].meta)
			list[n++] = e->digest;
	}
	if (rc < 0)
		return rc;
	qsort(list, n, sizeof(*list), by_bytes);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !digest_equal(&list[kept - 1], &list[i]))
			list[kept++] = list[i];
	*ret = TAKE(list);
	*ret_n = kept;
	return 0;
}

static bool is_listed(const struct repair *r, const char *path)
{
	for (size_t i = 0; i < r->item.n; i++)
		if (strcmp(r->item.items[i].path, path) == 0)
			return true;
	return false;
}

int repair_elsewhere(struct station *s, const struct repair *r, const struct digest *content,
		     struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	OWNED(freep) char *path = malloc(LIMIT_PATH + 1);
	struct undo_step step;
	uint32_t op;
	int rc = path == NULL ? err_memory(err) : index_open(s->db, r->tree, &x, err);

	for (unsigned n = 0; rc >= 0 && (rc = index_find_next(x, content, n, path, err)) > 0; n++)
		if (!is_listed(r, path))
			return 1;
	return rc < 0 ? rc : undo_content(s, r->tree, content, 0, &step, &op, err);
}
