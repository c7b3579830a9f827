/*
 * The staging area: a directory on the target's file system, private to us, in which everything new
 * is made under numbers.
 *
 *   n<k>   what operation k places; after an exchange what it took out
 *   o<k>   what operation k moved aside
 *
 * It lies beside the target, or inside it when that is another mount, a quota's border or not ours
 * to write.
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

void stage_slot(char dst[16], char letter, uint32_t n)
{
	snprintf(dst, 16, "%c%u", letter, n);
}

void stage_path(char dst[LIMIT_PATH + 32], uint32_t op, const char *path, size_t skip)
{
	snprintf(dst, LIMIT_PATH + 32, "n%u%s", op, path + skip);
}

/* Where it is */

static uint64_t mount_of(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
		return 0;
	return st.stx_mnt_id;
}

static int stage_enter(struct stage *s, bool make, struct err *err)
{
	struct stat st;

	if (make && (beneath_remove_tree(s->holderfd, s->name, err) < 0 ||
		     (mkdirat(s->holderfd, s->name, 0700) < 0 &&
		      err_sys(err, RC_IO, "cannot make the staging area %s", s->name) < 0)))
		return err->rc;
	s->fd = beneath_dir(s->holderfd, s->name, err);
	if (s->fd < 0)
		return err_prefix(err, "the staging area");
	if (fstat(s->fd, &st) < 0 || st.st_uid != geteuid())
		return err_set(err, RC_POLICY, "the staging area %s belongs to somebody else",
			       s->name);
	return 0;
}

/** Can an entry go from here to the target?  Quotas and overlays have borders that no stat shows.
 */
static bool stage_reaches(const struct apply *a)
{
	const struct stage *s = &a->stage;
	struct timespec times[2];
	struct stat st;
	bool good;

	if (mount_of(s->holderfd) != mount_of(a->targetfd) || fstat(a->targetfd, &st) < 0 ||
	    mkdirat(s->fd, "t", 0700) < 0)
		return false;
	good = renameat(s->fd, "t", a->targetfd, STAGE_INSIDE) == 0;
	unlinkat(good ? a->targetfd : s->fd, good ? STAGE_INSIDE : "t", AT_REMOVEDIR);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	futimens(a->targetfd, times);
	return good;
}

static int stage_beside(struct apply *a, bool make, struct err *err)
{
	const char *name;

	snprintf(a->stage.name, sizeof(a->stage.name), STAGE_INSIDE "-%s", a->t->tree);
	a->stage.inside = false;
	a->stage.holderfd = beneath_parent(a->t->rootfd, a->t->path, &name, err);
	return a->stage.holderfd < 0 ? a->stage.holderfd : stage_enter(&a->stage, make, err);
}

static int stage_within(struct apply *a, bool make, struct err *err)
{
	snprintf(a->stage.name, sizeof(a->stage.name), STAGE_INSIDE);
	a->stage.inside = true;
	a->stage.holderfd = beneath_dir(a->targetfd, ".", err);
	return a->stage.holderfd < 0 ? a->stage.holderfd : stage_enter(&a->stage, make, err);
}

int stage_open(struct apply *a, struct err *err)
{
	if (a->t->path[0] != '\0') {
		if (stage_beside(a, true, err) == 0 && stage_reaches(a))
			return 0;
		stage_remove(a);
	}
	return stage_within(a, true, err);
}

int stage_find(struct apply *a, struct err *err)
{
	return a->run.inside ? stage_within(a, false, err) : stage_beside(a, false, err);
}

void stage_remove(struct apply *a)
{
	struct stage *s = &a->stage;

	if (s->fd >= 0 && beneath_remove_tree(s->holderfd, s->name, NULL) < 0)
		say_warning(a->s->say,
			    "the staging area %s could not be removed; the next run tries again",
			    s->name);
	fd_closep(&s->fd);
	fd_closep(&s->holderfd);
}

void stage_sweep(struct apply *a)
{
	char beside[sizeof(a->stage.name)];
	const char *name;

	snprintf(beside, sizeof(beside), STAGE_INSIDE "-%s", a->t->tree);
	if (a->t->path[0] != '\0') {
		OWNED(fd_closep) int fd = beneath_parent(a->t->rootfd, a->t->path, &name, NULL);

		if (fd >= 0)
			beneath_remove_tree(fd, beside, NULL);
	}
	if (a->targetfd >= 0)
		beneath_remove_tree(a->targetfd, STAGE_INSIDE, NULL);
	changelist_drop(a->s->statefd, a->t->tree);
}

/* What is made in it */

struct fill {
	struct apply *a;
	struct reader *r;
	struct pool *pool;
	struct arena *arena;
	size_t from, to; /* bytes of the stream in the arena that were not used yet */
	struct feed feed;
	struct change *c;
	uint64_t line;
	struct dirs dirs;          /* of the staging area */
	char root[LIMIT_PATH + 1]; /* path of the new directory that the lines are below */
	uint32_t root_op;
	uint64_t files, bytes;
};

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

/** The header of the member that belongs to the present line. */
static int member_header(struct fill *f, struct err *err)
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
		return err_set(err, RC_MALFORMED,
			       "%s: the payload holds another member in its place", f->c->path);
	f->from += MEMBER_HEADER + n;
	return 0;
}

static int want_of(struct fill *f, struct want *ret, struct err *err)
{
	const struct change *c = f->c;

	*ret = (struct want){.size = c->size,
			     .digest = c->digest,
			     .line = &f->a->line[f->line],
			     .op = f->a->line[f->line].op};
	ret->skip =
	    ret->line->action == LINE_TREE ? (uint32_t)strlen(f->root) : (uint32_t)strlen(c->path);
	return meta_of(f->a, c->path, c->mode, c->owner, c->mtime, &ret->meta, err);
}

/** A content that nobody asked for, or the rest of one. */
static int content_skip(struct fill *f, struct err *err)
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

static int content_large(struct fill *f, const struct want *w, struct err *err)
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
		say_progress(f->a->s->say, "stage", f->bytes, f->a->preview.bytes, f->files,
			     f->a->files);
	}
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

static int place_of(struct fill *f, char staged[LIMIT_PATH + 32], const char **ret_name,
		    struct err *err)
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

static int fill_put(struct fill *f, struct err *err)
{
	char staged[LIMIT_PATH + 32];
	const char *name;
	struct want w;

	if (member_header(f, err) < 0)
		return err->rc;
	if (f->a->line[f->line].action == LINE_NONE || f->a->line[f->line].action == LINE_META ||
	    f->a->line[f->line].op == 0)
		return content_skip(f, err);
	if (want_of(f, &w, err) < 0 || place_of(f, staged, &name, err) < 0)
		return err->rc;
	f->files++;
	if (w.size > SMALL_FILE)
		return content_large(f, &w, err);
	if (stream_need(f, (size_t)w.size, err) < 0 ||
	    pool_small(f->pool, f->arena, (struct bytes){f->arena->p + f->from, (size_t)w.size},
		       f->c->path, &w, err) < 0)
		return err->rc;
	f->from += w.size;
	f->bytes += w.size;
	say_progress(f->a->s->say, "stage", f->bytes, f->a->preview.bytes, f->files, f->a->files);
	return 0;
}

static int fill_link(struct fill *f, struct err *err)
{
	char staged[LIMIT_PATH + 32];
	const char *name;
	struct meta m;
	struct seen s;
	int fd = place_of(f, staged, &name, err);

	if (fd < 0 || meta_of(f->a, f->c->path, 0777, f->c->owner, f->c->mtime, &m, err) < 0)
		return err->rc;
	if (symlinkat(f->c->target, fd, name) < 0)
		return err_sys(err, RC_IO, "%s: cannot make the link", f->c->path);
	if (meta_set(fd, name, ENTRY_LINK, &m, err) < 0 || seen_at(fd, name, &s, err) < 0)
		return err->rc;
	f->a->line[f->line].ino = s.ino;
	f->files++;
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
		return 0; /* made already, see stage_roots */
	}
	fd = place_of(f, staged, &name, err);
	if (fd < 0)
		return fd;
	if (mkdirat(fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, RC_IO, "%s: cannot make the directory", f->c->path);
	return 0;
}

/** Which new directory is this line below?  Its path is in the journal only if no line names it. */
static int root_of(struct fill *f, struct err *err)
{
	const struct line *l = &f->a->line[f->line];
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	if (l->action != LINE_TREE || l->op == f->root_op)
		return 0;
	rc = db_query(f->a->s->db, "SELECT path FROM apply_op WHERE run = ? AND n = ?", &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ii", f->a->run.id, (int64_t)l->op);
	if (rc == 0)
		rc = db_step(f->a->s->db, st, err);
	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, RC_INTERNAL, "operation %u is missing", l->op);
	snprintf(f->root, sizeof(f->root), "%s", db_text(st, 0));
	f->root_op = l->op;
	return 0;
}

static int fill_line(struct fill *f, struct err *err)
{
	uint8_t action = f->a->line[f->line].action;

	if (root_of(f, err) < 0)
		return err->rc;
	if (f->c->op == CHANGE_PUT)
		return fill_put(f, err);
	if (action != LINE_TREE && action != LINE_PLACE)
		return 0;
	if (f->c->op == CHANGE_LINK)
		return fill_link(f, err);
	if (f->c->kind == ENTRY_DIRECTORY && f->c->op != CHANGE_DELETE)
		return fill_directory(f, err);
	return 0;
}

static int each_line(struct fill *f, int (*each)(struct fill *f, struct err *err), struct err *err)
{
	int rc;

	feed_clear(&f->feed);
	f->root_op = 0;
	if (feed_open(&f->a->list, &f->feed, err) < 0)
		return err->rc;
	while ((rc = feed_next(&f->feed, f->c, err)) > 0) {
		f->line = f->feed.line - 1;
		if (each(f, err) < 0)
			return err->rc;
	}
	return rc;
}

/* Copies: after all contents have come, those from the base first, because new ones may stand on
 * them. */

/** Copy ${from} (a path below ${dirfd}) to the place of the present line: 1 done, 0 it is not that
 * content. */
static int copy_from(struct fill *f, int dirfd, const char *from, struct err *err)
{
	OWNED(fd_closep) int in = beneath_open(dirfd, from, O_RDONLY | O_NONBLOCK, 0, NULL);
	OWNED(freep) uint8_t *p = malloc(ARENA_BYTES);
	OWNED(sink_clear) struct sink k = {.fd = -1};
	char staged[LIMIT_PATH + 32];
	const char *name;
	struct digest_stream hash;
	struct digest is;
	struct stat st;
	struct want w;
	size_t n;
	int fd;

	if (p == NULL)
		return err_memory(err);
	if (in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != f->c->size)
		return 0;
	fd = place_of(f, staged, &name, err);
	if (fd < 0 || want_of(f, &w, err) < 0 || sink_open(&k, fd, name, &w, err) < 0)
		return err->rc;
	do {
		if (fd_read(in, p, ARENA_BYTES, &n, err) < 0 ||
		    (n > 0 && sink_write(&k, (struct bytes){p, n}, err) < 0))
			return err->rc;
	} while (n == ARENA_BYTES);
	hash = k.hash;
	is = digest_end(&hash);
	if (k.at != w.size || !digest_equal(&is, &w.digest)) {
		if (unlinkat(fd, name, 0) < 0)
			return err_sys(err, RC_IO, "cannot remove a file in the staging area");
		return 0;
	}
	f->files++;
	f->bytes += w.size;
	say_progress(f->a->s->say, "stage", f->bytes, f->a->preview.bytes, f->files, f->a->files);
	return sink_end(&k, f->c->path, &w, f->a->sync_each, err) < 0 ? err->rc : 1;
}

/** From what this bundle brought, where it was staged. */
static int copy_new(struct fill *f, struct err *err)
{
	OWNED(freep) struct change *source = malloc(sizeof(*source));
	char staged[LIMIT_PATH + 32];
	const struct line *l;
	uint64_t line;
	int rc;

	if (source == NULL)
		return err_memory(err);
	rc = changelist_find(&f->a->list, f->c->source, source, &line, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || source->kind != ENTRY_FILE || source->op == CHANGE_DELETE ||
	    !digest_equal(&source->digest, &f->c->digest))
		return err_set(err, RC_MALFORMED, "%s: copies %s, which this bundle does not bring",
			       f->c->path, f->c->source);
	l = &f->a->line[line];
	if (l->ino == 0 || l->op == 0 || l->action == LINE_META)
		return 0;
	if (l->action != LINE_TREE) {
		stage_path(staged, l->op, "", 0);
	} else {
		OWNED(freep) char *root = strdup(f->root);
		uint32_t root_op = f->root_op;
		uint64_t mine = f->line;

		if (root == NULL)
			return err_memory(err);
		f->line = line;
		rc = root_of(f, err);
		stage_path(staged, l->op, source->path, strlen(f->root));
		f->line = mine;
		f->root_op = root_op;
		memcpy(f->root, root, strlen(root) + 1);
		if (rc < 0)
			return rc;
	}
	return copy_from(f, f->a->stage.fd, staged, err);
}

static int copy_line(struct fill *f, bool from_new, struct err *err)
{
	char other[LIMIT_PATH + 1];
	uint8_t action = f->a->line[f->line].action;
	int rc = 0;

	if (f->c->op != CHANGE_COPY || f->c->source_new != from_new)
		return 0;
	if (action != LINE_TREE && action != LINE_PLACE)
		return 0;
	if (root_of(f, err) < 0)
		return err->rc;
	if (from_new)
		rc = copy_new(f, err);
	if (rc == 0)
		rc = copy_from(f, f->a->targetfd, f->c->source, err);
	if (rc == 0) {
		rc = index_find(f->a->index, &f->c->digest, other, err);
		if (rc > 0)
			rc = copy_from(f, f->a->targetfd, other, err);
	}
	if (rc == 0)
		return err_set(
		    err, RC_AGAIN,
		    "%s: copies %s, which is not what it was any more; this needs a full bundle",
		    f->c->path, f->c->source);
	return rc < 0 ? rc : 0;
}

static int copy_old_line(struct fill *f, struct err *err)
{
	return copy_line(f, false, err);
}

static int copy_new_line(struct fill *f, struct err *err)
{
	return copy_line(f, true, err);
}

/* Metadata of staged directories: when all below has its own, because a directory may forbid even
 * its owner to look inside. */

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
	return db_run(a->s->db, err, "UPDATE apply_op SET now_ino = ? WHERE run = ? AND n = ?",
		      "iii", (int64_t)s.ino, a->run.id, (int64_t)op->n);
}

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

static int seal_leave(struct fill *f, struct seals *s, struct err *err)
{
	const struct sealing *l = &s->level[--s->depth];
	OWNED(fd_closep) int fd = -1;
	char staged[LIMIT_PATH + 32];

	s->path[l->len] = '\0';
	stage_path(staged, l->op, s->path, l->skip);
	fd = beneath_dir(f->a->stage.fd, staged, err);
	return fd < 0 ? fd : meta_set_fd(fd, &l->meta, err);
}

static int seal_line(struct fill *f, struct seals *s, struct err *err)
{
	const struct change *c = f->c;
	struct sealing *l;

	while (s->depth > 0 && !path_below(c->path, s->path))
		if (seal_leave(f, s, err) < 0)
			return err->rc;
		else if (s->depth > 0)
			s->path[s->level[s->depth - 1].len] = '\0';
	if (c->kind != ENTRY_DIRECTORY || f->a->line[f->line].action != LINE_TREE)
		return 0;
	if (root_of(f, err) < 0)
		return err->rc;
	l = &s->level[s->depth++];
	l->len = strlen(c->path);
	memcpy(s->path, c->path, l->len + 1);
	l->op = f->a->line[f->line].op;
	l->skip = (uint32_t)strlen(f->root);
	return meta_of(f->a, c->path, c->mode, c->owner, c->mtime, &l->meta, err);
}

static int seal_directories(struct fill *f, struct err *err)
{
	OWNED(freep) struct seals *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_memory(err);
	feed_clear(&f->feed);
	f->root_op = 0;
	if (feed_open(&f->a->list, &f->feed, err) < 0)
		return err->rc;
	while ((rc = feed_next(&f->feed, f->c, err)) > 0) {
		f->line = f->feed.line - 1;
		if (seal_line(f, s, err) < 0)
			return err->rc;
	}
	while (rc == 0 && s->depth > 0) {
		rc = seal_leave(f, s, err);
		if (s->depth > 0)
			s->path[s->level[s->depth - 1].len] = '\0';
	}
	return rc;
}

static int fill_run(struct fill *f, struct err *err)
{
	struct apply *a = f->a;

	if (journal_each(a, 1u << OP_PLACE, false, root_make, err) < 0 ||
	    pool_new(a->stage.fd, a->sync_each, &f->pool, err) < 0)
		return err->rc;
	f->arena = pool_arena(f->pool, err);
	if (f->arena == NULL || each_line(f, fill_line, err) < 0)
		return err->rc;
	if (f->from != f->to)
		return err_set(err, RC_MALFORMED, "the bundle holds more than its list of changes");
	if (reader_end(f->r, err) < 0 || pool_wait(f->pool, err) < 0)
		return err->rc;
	if (a->b->manifest->count[CHANGE_COPY] > 0 &&
	    (each_line(f, copy_old_line, err) < 0 || each_line(f, copy_new_line, err) < 0))
		return err->rc;
	return a->trees > 0 ? seal_directories(f, err) : 0;
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
	pool_freep(&f->pool);
	feed_clear(&f->feed);
	dirs_clear(&f->dirs);
	free(f->c);
	if (f->arena != NULL) {
		free(f->arena->p);
		free(f->arena);
	}
	free(f);
	return rc;
}

int stage_flush(struct apply *a, struct err *err)
{
	int rc = a->sync_each ? fsync(a->stage.fd) : syncfs(a->stage.fd);

	if (rc == 0 && a->sync_each) /* the staging area's own name */
		rc = fsync(a->stage.holderfd);
	return rc < 0 ? err_sys(err, RC_IO, "cannot flush the staging area") : 0;
}
