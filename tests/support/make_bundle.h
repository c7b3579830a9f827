/* SPDX-License-Identifier: ISC */
/*
 * Bundles for tests, made without the server: a list of changes and contents becomes a bundle file
 * in a directory, and a model (an index in a database of its own) says what tree it leads to.
 */
#ifndef SATCHEL_TESTS_SUPPORT_MAKE_BUNDLE_H
#define SATCHEL_TESTS_SUPPORT_MAKE_BUNDLE_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "applier/apply/applied.h"
#include "applier/apply/apply.h"
#include "applier/trees/outcome.h"
#include "applier/trees/tree.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/os/durable.h"
#include "core/tree/index.h"
#include "tests/support/scratch.h"

#define T0 1700000000123456789ll /* a time with nanoseconds */

struct made_change {
	struct change c;
	struct buf content; /* of a put */
};

/** What a bundle is made of. */
struct maker {
	struct made_change **list; /* owned */
	size_t n;
};

/** A workstation in a scratch directory, a place for bundles, and the model. */
struct world {
	char dir[SCRATCH_PATH];
	struct station s;
	struct db *model;
	uint64_t epoch, generation;
	struct digest tree;
	int rootfd;
	struct apply_target target;
	struct apply_preview preview;
	struct err err;
};

#define OK(w, call)                                                       \
	do {                                                              \
		int ok_rc_ = (call);                                      \
		cr_assert_geq(ok_rc_, 0, "%s: %s", #call, (w)->err.text); \
	} while (0)

static inline struct change *maker_add(struct maker *m, enum change_op op, enum entry_kind kind,
				       const char *path, unsigned mode, int64_t mtime)
{
	struct made_change *c = calloc(1, sizeof(*c));

	m->list = realloc(m->list, (m->n + 1) * sizeof(*m->list));
	m->list[m->n++] = c;
	c->c.op = op;
	c->c.kind = kind;
	c->c.mode = (uint16_t)mode;
	c->c.mtime = mtime;
	strcpy(c->c.owner, "-");
	strcpy(c->c.path, path);
	return &c->c;
}

static inline struct change *make_put_bytes(struct maker *m, const char *path, unsigned mode,
					    int64_t mtime, struct bytes content)
{
	struct change *c = maker_add(m, CHANGE_PUT, ENTRY_FILE, path, mode, mtime);

	c->size = content.n;
	c->digest = digest_of(content);
	buf_add(&m->list[m->n - 1]->content, content.p, content.n, ERR_IGNORED);
	return c;
}

static inline struct change *make_put(struct maker *m, const char *path, const char *content)
{
	return make_put_bytes(m, path, 0644, T0, bytes_of(content));
}

static inline struct change *make_directory(struct maker *m, const char *path)
{
	return maker_add(m, CHANGE_DIRECTORY, ENTRY_DIRECTORY, path, 0755, T0 + 1);
}

static inline struct change *make_link(struct maker *m, const char *path, const char *target)
{
	struct change *c = maker_add(m, CHANGE_LINK, ENTRY_LINK, path, 0, T0 + 2);

	strcpy(c->target, target);
	return c;
}

static inline struct change *make_delete(struct maker *m, enum entry_kind kind, const char *path)
{
	return maker_add(m, CHANGE_DELETE, kind, path, 0, 0);
}

static inline struct change *make_meta(struct maker *m, enum entry_kind kind, const char *path,
				       unsigned mode, int64_t mtime)
{
	return maker_add(m, CHANGE_META, kind, path, mode, mtime);
}

static inline struct change *make_copy(struct maker *m, const char *path, bool from_new,
				       const char *source, const char *content)
{
	struct change *c = maker_add(m, CHANGE_COPY, ENTRY_FILE, path, 0600, T0 + 3);

	c->source_new = from_new;
	strcpy(c->source, source);
	c->size = strlen(content);
	c->digest = digest_of(bytes_of(content));
	return c;
}

/** Not ${path} after all. */
static inline void maker_drop(struct maker *m, const char *path)
{
	size_t i = 0;

	while (strcmp(m->list[i]->c.path, path) != 0)
		i++;
	buf_clear(&m->list[i]->content);
	free(m->list[i]);
	m->list[i] = m->list[--m->n];
}

static inline void maker_clear(struct maker *m)
{
	for (size_t i = 0; i < m->n; i++) {
		buf_clear(&m->list[i]->content);
		free(m->list[i]);
	}
	free(m->list);
	*m = (struct maker){0};
}

static inline int maker_order(const void *a, const void *b)
{
	return path_compare((*(struct made_change *const *)a)->c.path,
			    (*(struct made_change *const *)b)->c.path);
}

/* The world */

/** world_layout(): of the workstation's database in a world, also for those who open it again. */
static inline const struct db_layout *world_layout(void)
{
	static const struct db_schema *const rooms[] = {
	    &index_schema,           &undo_schema,         &apply_schema,
	    &station_applied_schema, &station_tree_schema, &station_outcome_schema};
	static const struct db_layout layout = {
	    .application_id = STATION_APPLICATION_ID, .room = rooms, .rooms = ARRAY_LEN(rooms)};

	return &layout;
}

static inline void world_make(struct world *w)
{
	static const struct db_schema *const rooms[] = {&index_schema};
	static const struct db_layout model = {.application_id = 1, .room = rooms, .rooms = 1};
	char path[SCRATCH_PATH + 32];

	*w = (struct world){.epoch = 1};
	scratch_make(w->dir);
	scratch_directory(w->dir, "state");
	scratch_directory(w->dir, "root");
	scratch_directory(w->dir, "root/srv");
	scratch_directory(w->dir, "depot");
	snprintf(path, sizeof(path), "%s/state/state.db", w->dir);
	OK(w, db_open(path, world_layout(), &w->s.db, &w->err));
	snprintf(path, sizeof(path), "%s/model.db", w->dir);
	OK(w, db_open(path, &model, &w->model, &w->err));
	OK(w, db_exec(w->model, "PRAGMA synchronous = OFF", &w->err));
	snprintf(path, sizeof(path), "%s/state", w->dir);
	w->s.statefd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/root", w->dir);
	w->rootfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w->target = (struct apply_target){
	    .tree = "office", .rootfd = w->rootfd, .path = "srv/office", .local = LOCAL_FAIL};
}

static inline void world_clear(struct world *w)
{
	w->s.db = db_free(w->s.db);
	w->model = db_free(w->model);
	close(w->s.statefd);
	close(w->rootfd);
	scratch_remove(w->dir);
}

static inline void model_entry(struct entry *e, const struct change *c)
{
	*e = (struct entry){.kind = c->kind, .mode = c->mode, .mtime = c->mtime};
	strcpy(e->owner, c->owner);
	if (c->kind == ENTRY_FILE) {
		e->size = c->size;
		e->digest = c->digest;
	} else if (c->kind == ENTRY_LINK) {
		e->size = strlen(c->target);
		strcpy(e->target, c->target);
		e->digest = digest_of(bytes_of(c->target));
	}
}

/** The changes onto the model; a bundle from 0 begins with an empty one. */
static inline struct digest model_apply(struct world *w, const struct maker *m, uint64_t base)
{
	struct index *x;
	struct digest d;
	struct entry *e = malloc(sizeof(*e)), *old = malloc(sizeof(*old));

	OK(w, db_begin(w->model, &w->err));
	OK(w, index_open(w->model, "model", &x, &w->err));
	if (base == 0)
		OK(w, index_clear(x, &w->err));
	for (size_t i = m->n; i-- > 0;)
		if (m->list[i]->c.op == CHANGE_DELETE)
			OK(w, index_remove(x, m->list[i]->c.path, &w->err));
	for (size_t i = 0; i < m->n; i++) {
		const struct change *c = &m->list[i]->c;

		if (c->op == CHANGE_DELETE)
			continue;
		model_entry(e, c);
		if (c->op == CHANGE_META) {
			OK(w, index_get(x, c->path, old, &w->err));
			old->mode = e->mode;
			old->mtime = e->mtime;
			*e = *old;
		}
		OK(w, index_put(x, c->path, e, &w->err));
	}
	OK(w, index_seal(x, &d, &w->err));
	index_free(x);
	OK(w, db_commit(w->model, &w->err));
	free(e);
	free(old);
	return d;
}

/* The file */

struct made_bundle {
	struct manifest m;
	struct buf blocks; /* owned */
	char path[64];     /* below the depot */
	uint64_t payload_offset;
};

static inline void frames_of(struct buf *to, struct bytes tar, size_t frame)
{
	for (size_t at = 0; at < tar.n; at += frame) {
		size_t n = tar.n - at < frame ? tar.n - at : frame;

		cr_assert_eq(buf_reserve(to, ZSTD_compressBound(n), ERR_IGNORED), 0);
		to->n += ZSTD_compress(to->p + to->n, ZSTD_compressBound(n), tar.p + at, n, 1);
	}
}

static inline void tar_of(const struct maker *m, struct made_bundle *b, struct buf *tar)
{
	OWNED(buf_clear) struct buf changes = BUF_INIT;
	OWNED(tar_writer_freep) struct tar_writer *t = NULL;
	struct err err = {0};

	for (size_t i = 0; i < m->n; i++) {
		const struct change *c = &m->list[i]->c;

		cr_assert_eq(change_format(c, &changes, &err), 0, "%s", err.text);
		b->m.count[c->op]++;
		if (c->op == CHANGE_PUT || c->op == CHANGE_COPY)
			b->m.content += c->size;
	}
	b->m.changes = digest_of(bytes_in(&changes));
	b->m.changes_size = changes.n;
	cr_assert_eq(tar_writer_new(&t, &err), 0);
	cr_assert_eq(tar_writer_member(t, "changes", bytes_in(&changes), tar, &err), 0);
	for (size_t i = 0; i < m->n; i++) {
		OWNED(buf_clear) struct buf name = BUF_INIT;

		if (m->list[i]->c.op != CHANGE_PUT)
			continue;
		buf_text(&name, "files/", ERR_IGNORED);
		text_encode(m->list[i]->c.path, &name, ERR_IGNORED);
		cr_assert_eq(
		    tar_writer_member(t, (char *)name.p, bytes_in(&m->list[i]->content), tar, &err),
		    0);
	}
	tar_zeros(TAR_END, tar, ERR_IGNORED);
}

/** The maker's changes as a bundle file of the depot, with a tree digest of the caller's. */
static inline void bundle_make_as(struct world *w, struct maker *m, uint64_t base,
				  uint64_t generation, struct made_bundle *b,
				  const struct digest *tree)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	OWNED(buf_clear) struct buf file = BUF_INIT;
	OWNED(buf_clear) struct buf payload = BUF_INIT;
	char dir[SCRATCH_PATH + 16];
	int dirfd;

	*b = (struct made_bundle){.m = {.epoch = w->epoch, .base = base, .generation = generation}};
	strcpy(b->m.channel, "office");
	b->m.base_tree = w->tree;
	b->m.tree = *tree;
	qsort(m->list, m->n, sizeof(*m->list), maker_order);
	tar_of(m, b, &tar);
	b->m.unpacked = tar.n;
	frames_of(&payload, bytes_in(&tar), 100000);
	b->m.payload = payload.n;
	for (size_t at = 0; at < payload.n; at += BLOCK_BYTES) {
		size_t n = payload.n - at < BLOCK_BYTES ? payload.n - at : BLOCK_BYTES;
		struct digest d = digest_of((struct bytes){payload.p + at, n});

		buf_add(&b->blocks, d.b, DIGEST_BYTES, ERR_IGNORED);
	}
	b->m.blocks = digest_of(bytes_in(&b->blocks));
	/* Who applies has verified the prefix already: here it is only a gap before the payload. */
	b->payload_offset = 4096;
	tar_zeros(b->payload_offset, &file, ERR_IGNORED);
	buf_add(&file, payload.p, payload.n, ERR_IGNORED);
	snprintf(b->path, sizeof(b->path), "%llu-%llu.bundle", (unsigned long long)base,
		 (unsigned long long)generation);
	snprintf(dir, sizeof(dir), "%s/depot", w->dir);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	OK(w, durable_write(dirfd, b->path, bytes_in(&file), 0644, DURABLE_REPLACE, &w->err));
	close(dirfd);
	maker_clear(m);
}

/** The same, and the model follows. */
static inline void bundle_make(struct world *w, struct maker *m, uint64_t base, uint64_t generation,
			       struct made_bundle *b)
{
	struct digest tree;

	qsort(m->list, m->n, sizeof(*m->list), maker_order);
	tree = model_apply(w, m, base);
	bundle_make_as(w, m, base, generation, b, &tree);
	w->generation = generation;
	w->tree = tree;
}

static inline int world_try(struct world *w, const struct made_bundle *b, enum apply_flags flags)
{
	int rc;
	char dir[SCRATCH_PATH + 16];
	OWNED(depot_freep) struct depot *depot = NULL;
	struct apply_bundle bundle = {.path = b->path,
				      .manifest = &b->m,
				      .blocks = bytes_in(&b->blocks),
				      .payload_offset = b->payload_offset};

	snprintf(dir, sizeof(dir), "%s/depot", w->dir);
	w->err = (struct err){0};
	/* No assertion: forked children come here, where a failed one hangs. */
	rc = depot_open(dir, 0, 30, &depot, &w->err);
	if (rc < 0)
		return rc;
	bundle.depot = depot;
	return apply_bundle(&w->s, &bundle, &w->target, flags, &w->preview, &w->err);
}

/** Make the bundle and apply it, which must succeed. */
static inline void world_apply(struct world *w, struct maker *m, uint64_t base, uint64_t generation)
{
	struct made_bundle b;

	bundle_make(w, m, base, generation, &b);
	cr_assert_eq(world_try(w, &b, 0), 0, "%s", w->err.text);
	buf_clear(&b.blocks);
}

/* Looking: the target against the model, and the station's index against the disk. */

static inline int disk_path(struct world *w, char dst[2 * LIMIT_PATH], const char *path)
{
	return snprintf(dst, 2 * LIMIT_PATH, "%s/root/%s%s%s", w->dir, w->target.path,
			path[0] != '\0' ? "/" : "", path);
}

struct comparison {
	struct world *w;
	uint64_t entries;
	char said[4096]; /* the first difference */
};

static inline struct digest file_digest(const char *path)
{
	static char piece[1 << 16];
	FILE *f = fopen(path, "r");
	struct digest_stream h;
	size_t n;

	digest_start(&h);
	while (f != NULL && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		digest_more(&h, piece, n);
	if (f != NULL)
		fclose(f);
	return digest_end(&h);
}

static inline int entry_seen(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct comparison *l = arg;
	char full[2 * LIMIT_PATH], target[LIMIT_LINK + 1];
	struct stat st;

	l->entries++;
	disk_path(l->w, full, path);
	if (l->said[0] != '\0')
		return 0;
	if (lstat(full, &st) < 0) {
		snprintf(l->said, sizeof(l->said), "%.1000s is missing", path);
		return 0;
	}
	if (st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec != e->mtime ||
	    (e->kind != ENTRY_LINK && (st.st_mode & 07777) != e->mode) ||
	    (e->kind == ENTRY_FILE) != S_ISREG(st.st_mode) ||
	    (e->kind == ENTRY_LINK) != S_ISLNK(st.st_mode) ||
	    (e->kind == ENTRY_DIRECTORY) != S_ISDIR(st.st_mode))
		snprintf(l->said, sizeof(l->said), "%.1000s: mode %o, time %lld.%09ld", path,
			 st.st_mode, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (e->kind == ENTRY_FILE) {
		struct digest d = file_digest(full);

		if (!digest_equal(&d, &e->digest))
			snprintf(l->said, sizeof(l->said), "%.1000s: other content", path);
	}
	if (e->kind == ENTRY_LINK) {
		ssize_t n = readlink(full, target, sizeof(target));

		if (n != (ssize_t)e->size || memcmp(target, e->target, e->size) != 0)
			snprintf(l->said, sizeof(l->said), "%.1000s: other target", path);
	}
	return 0;
}

/** Entries below the target, without our own. */
static inline uint64_t disk_count(struct world *w)
{
	char command[8 * SCRATCH_PATH];
	uint64_t n = 0;
	FILE *p;

	snprintf(command, sizeof(command),
		 "find '%s/root/%s' -mindepth 1 -name '.satchel-*' -prune -o -mindepth 1 -printf x",
		 w->dir, w->target.path);
	p = popen(command, "r");
	while (fgetc(p) != EOF)
		n++;
	pclose(p);
	return n;
}

/** Is the target what the model says, entry by entry, with nothing more?  NULL, or what differs. */
static inline const char *world_differs(struct world *w, struct comparison *l)
{
	struct index *x;
	uint64_t n;

	*l = (struct comparison){.w = w};
	OK(w, index_open(w->model, "model", &x, &w->err));
	OK(w, index_walk(x, entry_seen, l, &w->err));
	index_free(x);
	n = disk_count(w);
	if (l->said[0] == '\0' && n != l->entries)
		snprintf(l->said, sizeof(l->said), "%llu entries instead of %llu",
			 (unsigned long long)n, (unsigned long long)l->entries);
	return l->said[0] != '\0' ? l->said : NULL;
}

/** Every row of the station's index with a stat in it has the stat of the disk. */
static inline int row_entry_check(void *arg, const char *path, const struct entry *e,
				  struct err *err)
{
	struct comparison *l = arg;
	char full[2 * LIMIT_PATH];
	struct stat st;

	disk_path(l->w, full, path);
	if (e->ino == 0 || lstat(full, &st) < 0 || st.st_ino != e->ino ||
	    st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec != e->ctime)
		snprintf(l->said, sizeof(l->said), "the row of %.1000s has another stat", path);
	return 0;
}

/** The target, the index and what is applied agree with the model; nothing is left lying about. */
static inline void world_check(struct world *w)
{
	struct comparison *l = malloc(sizeof(*l));
	struct applied now;
	struct index *x;
	struct digest d;

	*l = (struct comparison){.w = w};
	OK(w, index_open(w->s.db, "office", &x, &w->err));
	OK(w, index_walk(x, row_entry_check, l, &w->err));
	cr_assert_str_eq(l->said, "");
	OK(w, index_seal(x, &d, &w->err));
	index_free(x);
	cr_assert(digest_equal(&d, &w->tree));
	cr_assert_null(world_differs(w, l), "%s", l->said);
	OK(w, applied_load(&w->s, "office", &now, &w->err));
	cr_assert_eq(now.epoch, w->epoch);
	cr_assert_eq(now.generation, w->generation);
	cr_assert(digest_equal(&now.tree, &w->tree));
	cr_assert_eq(scratch_run(w->dir, "! find . -name '.satchel-stage*' -o -name '.changes-*'"
					 " | grep -q ."),
		     0);
	free(l);
}

#endif
