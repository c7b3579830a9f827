/* SPDX-License-Identifier: ISC */
/*
 * Everything that the plan asks for, made in the staging area: directories and links here, contents
 * by the threads of the pool, in the order in which the stream brings them.
 */
#include "applier/apply/apply_fill.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/own.h"
#include "core/os/beneath.h"

void fill_done(struct fill *f, uint64_t bytes)
{
	f->files++;
	f->bytes += bytes;
	reporter_progress(f->a->s->reporter, "stage", f->bytes, f->a->preview.bytes, f->files,
			  f->a->files);
}

/** Have ${n} bytes of the stream in a row, in one arena. */
static int stream_need(struct fill *f, size_t n, struct err *err)
{
	while (f->to - f->from < n) {
		ssize_t got;

		if (f->arena->cap - f->from < n) {
			struct arena *next;

			if (pool_flush(f->pool, err) < 0)
				return err->rc;
			next = pool_arena(f->pool, err);
			if (next == NULL)
				return err->rc;
			memcpy(next->p, f->arena->p + f->from, f->to - f->from);
			pool_arena_put(f->pool, f->arena);
			f->arena = next;
			f->to -= f->from;
			f->from = 0;
		}
		got = reader_read(f->r, f->arena->p + f->to, f->arena->cap - f->to, err);
		if (got < 0)
			return (int)got;
		if (got == 0) {
			int rc = reader_end(f->r, err);

			return rc < 0 ? rc
				      : err_set(err, RC_MALFORMED,
						"the bundle ends before its list of changes does");
		}
		f->to += (size_t)got;
	}
	return 0;
}

int fill_header(struct fill *f, struct err *err)
{
	OWNED(buf_clear) struct buf name = BUF_INIT;
	const uint8_t *p;
	uint32_t n;

	if (buf_text(&name, "files/", err) < 0 || text_encode(f->c->path, &name, err) < 0 ||
	    stream_need(f, MEMBER_HEADER, err) < 0)
		return err->rc;
	n = get_u32(f->arena->p + f->from);
	if (n == name.n && stream_need(f, MEMBER_HEADER + n, err) < 0)
		return err->rc;
	p = f->arena->p + f->from;
	if (n != name.n || memcmp(p + MEMBER_HEADER, name.p, n) != 0 ||
	    get_u64(p + 4) != f->c->size)
		return err_set(err, RC_MALFORMED, "%s: the payload has another member in its place",
			       f->c->path);
	f->from += MEMBER_HEADER + n;
	return 0;
}

int fill_want(struct fill *f, struct file_spec *ret, struct err *err)
{
	const struct change *c = f->c;

	*ret = (struct file_spec){.size = c->size,
				  .digest = c->digest,
				  .line = &f->a->line[f->line],
				  .op = f->a->line[f->line].op};
	ret->skip =
	    ret->line->action == LINE_TREE ? (uint32_t)strlen(f->root) : (uint32_t)strlen(c->path);
	return meta_of(f->a, c->path, c->mode, c->owner, c->mtime, &ret->meta, err);
}

int fill_skip(struct fill *f, struct err *err)
{
	uint64_t left = f->c->size;

	while (left > 0) {
		size_t n;

		if (f->from == f->to && stream_need(f, 1, err) < 0)
			return err->rc;
		n = f->to - f->from < left ? f->to - f->from : (size_t)left;
		f->from += n;
		left -= n;
	}
	return 0;
}

static int content_large(struct fill *f, const struct file_spec *w, struct err *err)
{
	uint64_t left = w->size;

	if (pool_large(f->pool, f->c->path, w, err) < 0)
		return err->rc;
	while (left > 0) {
		size_t n;

		/* Whole arenas, so that a thread is not woken for every read. */
		if (stream_need(f, left < f->arena->cap / 2 ? (size_t)left : f->arena->cap / 2,
				err) < 0)
			return err->rc;
		n = f->to - f->from < left ? f->to - f->from : (size_t)left;
		if (pool_piece(f->pool, f->arena, (struct bytes){f->arena->p + f->from, n}, err) <
		    0)
			return err->rc;
		f->from += n;
		left -= n;
		f->bytes += n;
		reporter_progress(f->a->s->reporter, "stage", f->bytes, f->a->preview.bytes,
				  f->files, f->a->files);
	}
	fill_done(f, 0);
	return 0;
}

/** The parent of something staged below a new directory; made when no line makes it. */
static int tree_parent(struct fill *f, const char *staged, struct err *err)
{
	size_t n = (size_t)(strrchr(staged, '/') - staged);
	int fd = dirs_open(&f->dirs, staged, n, err);

	if (fd < 0) {
		char parent[LIMIT_PATH + 32];

		memcpy(parent, staged, n);
		parent[n] = '\0';
		if (beneath_mkdirs(f->a->stage.fd, parent, 0700, err) < 0)
			return err->rc;
		fd = dirs_open(&f->dirs, staged, n, err);
	}
	return fd;
}

int fill_place(struct fill *f, char staged[LIMIT_PATH + 32], const char **ret_name, struct err *err)
{
	const struct line *l = &f->a->line[f->line];

	if (l->action != LINE_TREE) {
		stage_path(staged, l->op, "", 0);
		*ret_name = staged;
		return f->a->stage.fd;
	}
	stage_path(staged, l->op, f->c->path, strlen(f->root));
	*ret_name = strrchr(staged, '/') + 1;
	return tree_parent(f, staged, err);
}

int fill_content(struct fill *f, struct err *err)
{
	char staged[LIMIT_PATH + 32];
	const char *name;
	struct file_spec w;

	if (f->a->line[f->line].action == LINE_NONE || f->a->line[f->line].action == LINE_META ||
	    f->a->line[f->line].op == 0)
		return fill_skip(f, err);
	if (fill_want(f, &w, err) < 0 || fill_place(f, staged, &name, err) < 0)
		return err->rc;
	if (w.size > SMALL_FILE)
		return content_large(f, &w, err);
	if (stream_need(f, (size_t)w.size, err) < 0 ||
	    pool_small(f->pool, f->arena, (struct bytes){f->arena->p + f->from, (size_t)w.size},
		       f->c->path, &w, err) < 0)
		return err->rc;
	f->from += w.size;
	fill_done(f, w.size);
	return 0;
}

static int fill_link(struct fill *f, struct err *err)
{
	char staged[LIMIT_PATH + 32];
	const char *name;
	struct meta m;
	struct seen s;
	int fd = fill_place(f, staged, &name, err);

	if (fd < 0 || meta_of(f->a, f->c->path, 0777, f->c->owner, f->c->mtime, &m, err) < 0)
		return err->rc;
	if (symlinkat(f->c->target, fd, name) < 0)
		return err_sys(err, RC_IO, "%s: cannot make the link", f->c->path);
	if (meta_set_made(fd, name, &m, err) < 0 || seen_at(fd, name, &s, err) < 0)
		return err->rc;
	f->a->line[f->line].ino = s.ino;
	fill_done(f, 0);
	return 0;
}

int base_of(struct fill *f, struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	int rc = e == NULL ? err_memory(err) : index_get(f->a->index, f->c->path, e, err);

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, RC_INTERNAL, "%s: no such row", f->c->path);
	f->c->size = e->size;
	f->c->digest = e->digest;
	memcpy(f->c->target, e->target, strlen(e->target) + 1);
	return 0;
}

static int fill_directory(struct fill *f, struct err *err)
{
	char staged[LIMIT_PATH + 32];
	const struct line *l = &f->a->line[f->line];
	const char *name;
	int fd;

	if (l->action == LINE_PLACE) {
		memcpy(f->root, f->c->path, strlen(f->c->path) + 1);
		f->root_op = l->op;
		return 0; /* made already, with the other roots */
	}
	fd = fill_place(f, staged, &name, err);
	if (fd < 0)
		return fd;
	if (mkdirat(fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, RC_IO, "%s: cannot make the directory", f->c->path);
	return 0;
}

int fill_root(struct fill *f, const struct line *l, struct err *err)
{
	uint64_t ino;

	if (l->action != LINE_TREE || l->op == f->root_op)
		return 0;
	/* Its path is only in the journal when no line names it. */
	if (journal_path(f->a, l->op, f->root, &ino, err) < 0)
		return err->rc;
	f->root_op = l->op;
	return 0;
}

static int fill_line(struct fill *f, struct err *err)
{
	uint8_t action = f->a->line[f->line].action;

	if (fill_root(f, &f->a->line[f->line], err) < 0)
		return err->rc;
	if (f->c->op == CHANGE_PUT)
		return f->a->join != NULL        ? 0 /* the bundles have another order */
		       : fill_header(f, err) < 0 ? err->rc
						 : fill_content(f, err);
	if (action != LINE_TREE && action != LINE_PLACE)
		return 0;
	if (f->c->op == CHANGE_LINK)
		return fill_link(f, err);
	if (f->c->op == CHANGE_META && f->c->kind == ENTRY_LINK)
		return base_of(f, err) < 0 ? err->rc : fill_link(f, err);
	if (f->c->kind == ENTRY_DIRECTORY && f->c->op != CHANGE_DELETE)
		return fill_directory(f, err);
	return 0;
}

int fill_each(struct fill *f, const char *const *words,
	      int (*each)(struct fill *f, struct err *err), struct err *err)
{
	int rc;

	line_reader_clear(&f->line_reader);
	f->root_op = 0;
	if (line_reader_open(&f->a->list, &f->line_reader, err) < 0)
		return err->rc;
	while ((rc = words != NULL ? line_reader_next_of(&f->line_reader, words, f->c, err)
				   : line_reader_next(&f->line_reader, f->c, err)) > 0) {
		f->line = f->line_reader.line - 1;
		if (each(f, err) < 0)
			return err->rc;
	}
	return rc;
}

/** The directories that get placed by an operation of their own. */
static int root_make(struct apply *a, const struct op *op, struct err *err)
{
	char slot[16];
	struct seen s;

	if (op->now.kind != ENTRY_DIRECTORY)
		return 0;
	stage_slot(slot, 'n', op->n);
	if (mkdirat(a->stage.fd, slot, 0700) < 0)
		return err_sys(err, RC_IO, "cannot make a directory in the staging area");
	if (seen_at(a->stage.fd, slot, &s, err) < 0)
		return err->rc;
	return journal_placed(a, op->n, s.ino, err);
}

/*
 * Metadata of staged directories: set when all below has its own, because a directory may forbid
 * even its owner to look inside.
 */
struct sealing {
	size_t len; /* of its path */
	uint32_t op, skip;
	struct meta meta;
};
struct seals {
	struct sealing level[LIMIT_DEPTH + 2];
	size_t depth;
	char path[LIMIT_PATH + 1];
};

static int seal_leave(struct fill *f, struct err *err)
{
	struct seals *s = f->seals;
	const struct sealing *l = &s->level[--s->depth];
	OWNED(fd_closep) int fd = -1;
	char staged[LIMIT_PATH + 32];

	stage_path(staged, l->op, s->path, l->skip);
	s->path[s->depth > 0 ? s->level[s->depth - 1].len : 0] = '\0';
	fd = beneath_dir(f->a->stage.fd, staged, err);
	return fd < 0 ? fd : meta_set_fd(fd, &l->meta, err);
}

static int seal_line(struct fill *f, struct err *err)
{
	const struct line *line = &f->a->line[f->line];
	const struct change *c = f->c;
	struct seals *s = f->seals;
	struct sealing *l;

	while (s->depth > 0 && !path_below(c->path, s->path))
		if (seal_leave(f, err) < 0)
			return err->rc;
	if (line->action != LINE_TREE)
		return 0;
	if (fill_root(f, line, err) < 0)
		return err->rc;
	l = &s->level[s->depth++];
	l->len = strlen(c->path);
	memcpy(s->path, c->path, l->len + 1);
	l->op = line->op;
	l->skip = (uint32_t)strlen(f->root);
	return meta_of(f->a, c->path, c->mode, c->owner, c->mtime, &l->meta, err);
}

static int seals_fill(struct fill *f, struct err *err)
{
	static const char *const words[] = {"directory ", "meta directory ", NULL};
	int rc;

	f->seals = calloc(1, sizeof(*f->seals));
	if (f->seals == NULL)
		return err_memory(err);
	rc = fill_each(f, words, seal_line, err);
	while (rc == 0 && f->seals->depth > 0)
		rc = seal_leave(f, err);
	return rc;
}

int fill_end(struct fill *f, struct err *err)
{
	if (f->from != f->to)
		return err_set(err, RC_MALFORMED, "the bundle has more than its list of changes");
	return f->r == NULL ? 0 : reader_end(f->r, err);
}

static int fill_run(struct fill *f, struct err *err)
{
	struct apply *a = f->a;

	if (journal_each(a, 1u << OP_PLACE, false, root_make, err) < 0 ||
	    pool_new(a->stage.fd, a->sync_each, &f->pool, err) < 0)
		return err->rc;
	f->arena = pool_arena(f->pool, err);
	if (f->arena == NULL || fill_each(f, NULL, fill_line, err) < 0)
		return err->rc;
	if ((a->join != NULL ? join_fill(f, err) : fill_end(f, err)) < 0 ||
	    pool_wait(f->pool, err) < 0)
		return err->rc;
	if (copies_fill(f, err) < 0)
		return err->rc;
	return a->trees > 0 ? seals_fill(f, err) : 0;
}

int stage_fill(struct apply *a, struct reader *r, struct err *err)
{
	struct fill *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return err_memory(err);
	f->a = a;
	f->r = r;
	f->dirs = (struct dirs){.rootfd = a->stage.fd, .fd = -1};
	f->c = malloc(sizeof(*f->c));
	rc = f->c == NULL ? err_memory(err) : fill_run(f, err);
	if (f->arena != NULL)
		pool_arena_put(f->pool, f->arena); /* to be wiped with the others */
	pool_freep(&f->pool);
	line_reader_clear(&f->line_reader);
	dirs_clear(&f->dirs);
	free(f->c);
	free(f->seals);
	free(f);
	return rc;
}
