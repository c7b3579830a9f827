/* SPDX-License-Identifier: ISC */
/*
 * The index's new rows.  The same walk over the lines is done twice: before anything is renamed, in
 * a transaction that is rolled back, to see that the tree would be the one that was signed; and
 * after everything is in place, with what stat says about the inodes that were hashed.
 *
 * A line that makes a directory vanish comes before the lines for what was in it, so such lines
 * wait until the list has left the directory.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define NS 1000000000ll

struct waiting {
	char *path;      /* owned */
	struct entry *e; /* owned; NULL: removed */
};

struct rows {
	struct apply *a;
	bool final; /* the lines are on the disk */
	struct waiting waiting[LIMIT_DEPTH + 2];
	size_t depth;
	struct entry e;              /* being made */
	struct entry old;            /* what the base has at the path */
	bool have_old;               /* in settle(): it has */
	char parent[LIMIT_PATH + 1]; /* known to be a directory */
	bool parent_known;
};

static int waiting_end(struct rows *r, struct err *err)
{
	struct waiting *w = &r->waiting[--r->depth];
	int rc = w->e == NULL ? index_remove(r->a->index, w->path, err)
			      : index_put(r->a->index, w->path, w->e, err);

	if (rc < 0 && !r->final)
		rc = err_set(err, RC_MALFORMED,
			     "%s: the directory is deleted, but not what is in it", w->path);
	free(w->path);
	free(w->e);
	return rc;
}

static int waiting_add(struct rows *r, const char *path, const struct entry *e, struct err *err)
{
	struct waiting *w = &r->waiting[r->depth];

	if (r->depth + 1 >= ARRAY_LEN(r->waiting))
		return err_set(err, RC_LIMIT, "%s: too deep", path);
	*w = (struct waiting){.path = strdup(path)};
	r->depth++;
	if (w->path == NULL)
		return err_memory(err);
	if (e == NULL)
		return 0;
	w->e = malloc(sizeof(*e));
	if (w->e == NULL)
		return err_memory(err);
	*w->e = *e;
	return 0;
}

/** Every parent of a path is a directory of the resulting tree. */
static int parent_check(struct rows *r, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);
	int rc;

	if (n == 0 || (r->parent_known && strncmp(r->parent, path, n) == 0 && r->parent[n] == '\0'))
		return 0;
	memcpy(r->parent, path, n);
	r->parent[n] = '\0';
	rc = index_get(r->a->index, r->parent, &r->old, err);
	if (rc < 0)
		return rc;
	/* A directory that vanishes is still there while its lines wait. */
	for (size_t i = 0; rc > 0 && i < r->depth; i++)
		if (path_below(r->parent, r->waiting[i].path))
			rc = 0;
	if (rc == 0 || r->old.kind != ENTRY_DIRECTORY)
		return err_set(err, RC_MALFORMED, "%s: there is no directory to put it in", path);
	r->parent_known = true;
	return 0;
}

static void entry_of(struct entry *e, const struct change *c)
{
	e->kind = c->kind;
	e->mode = c->kind == ENTRY_LINK ? 0 : c->mode;
	memcpy(e->owner, c->owner, strlen(c->owner) + 1);
	e->mtime = c->mtime;
	e->size = c->kind == ENTRY_FILE ? c->size : 0;
	e->target[0] = '\0';
	if (c->kind == ENTRY_FILE)
		e->digest = c->digest;
	if (c->kind == ENTRY_LINK) {
		e->size = strlen(c->target);
		memcpy(e->target, c->target, e->size + 1);
		e->digest = digest_of(bytes_of(c->target));
	}
	e->dev = e->ino = 0;
	e->disk_mtime = e->ctime = 0;
}

/**
 * What the file system made of owner, mode and time: named, not refused.  False when it could hold
 * them and has others: then somebody set them, or whose they are did not let us.
 */
static bool adapt(struct apply *a, const char *path, const struct entry *e, const struct seen *s)
{
	struct meta want;
	unsigned differs;

	if (meta_of(a, path, e->mode, e->owner, e->mtime, &want, ERR_IGNORED) < 0 ||
	    meta_off(a, (uint8_t)e->kind, s, &want))
		return false;
	differs = meta_differs((uint8_t)e->kind, s, &want);
	a->far_times |= clock_far(e->mtime);
	a->no_times |= s->mtime != e->mtime;
	a->no_modes |= e->kind != ENTRY_LINK && want.mode != e->mode;
	a->no_modes |= (differs & HOLDS_MODES) != 0;
	a->no_owner |= (differs & HOLDS_OWNERS) != 0;
	return true;
}

/** Does a write from now on show in the ctime?  Not within the tick of the clock in which that was
 * set ("racy git"). */
static bool time_passed(struct apply *a, const struct seen *s)
{
	int64_t tick = s->ctime % NS == 0 ? COARSE_S * NS : 0; /* whole seconds alone are kept */
	struct timespec now;

	for (;;) {
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
		if (clock_ns(now.tv_sec, now.tv_nsec) - tick > s->ctime)
			return true;
		if (!patience_step(a))
			return false;
	}
}

/**
 * Is the content certain: 1, 0 it is another one, -1 nobody can tell.  It was hashed when it was
 * staged or judged; since then whoever may write to it can have done so and set its time back, and
 * a row with today's ctime would call that untouched for ever.
 */
static int content_held(struct rows *r, int dirfd, const char *name, const struct entry *e,
			const struct seen *seen)
{
	bool held = meta_time_held(e->mtime, seen->mtime), passed;
	struct seen s = *seen;

	if (e->kind == ENTRY_LINK)
		return 1;
	if (e->kind == ENTRY_DIRECTORY)
		return held ? 1 : -1; /* anybody may put something into it */
	/* Another time than the one that was set: somebody wrote to it, or the file system does
	 * not hold times at all. */
	if (held && !seen_exposed(&s))
		return 1;
	if (r->have_old && row_certain(&r->old, &s) && digest_equal(&r->old.digest, &e->digest))
		return 1;
	passed = time_passed(r->a, &s);
	if (!seen_holds(r->a, dirfd, name, &s, &e->digest))
		return 0;
	return passed ? 1 : -1;
}

/** Is it what was staged, or judged?  By its inode; where the numbers of those do not last, by its
 * content. */
static bool is_the_one(struct rows *r, int dirfd, const char *name, const struct line *l,
		       const struct entry *e, const struct seen *seen)
{
	char target[LIMIT_LINK + 1];
	struct seen s = *seen;
	ssize_t n;

	if (e->kind == ENTRY_DIRECTORY || (l->ino != 0 && l->ino == s.ino))
		return true;
	if (disk_holds(r->a, HOLDS_INODES))
		return false;
	if (e->kind == ENTRY_FILE)
		return s.size == e->size && seen_holds(r->a, dirfd, name, &s, &e->digest);
	n = readlinkat(dirfd, name, target, sizeof(target));
	return n >= 0 && (size_t)n == strlen(e->target) &&
	       memcmp(target, e->target, (size_t)n) == 0;
}

/** Stat the path; its row gets what was seen only if it is the inode that was hashed, with the
 * metadata that was published.  1 it is, 0 it is not, -1 nobody can tell (a directory above that
 * even its owner may not look into). */
static int entry_seen(struct rows *r, const char *path, const struct line *l, struct entry *e)
{
	struct apply *a = r->a;
	const char *name;
	struct err quiet;
	struct stat st;
	struct seen s;
	int fd = dirs_parent(&a->dirs, path, &name, &quiet), held;

	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == EACCES ? -1 : 0;
	s = seen_of(&st);
	if (s.kind != (uint8_t)e->kind || !is_the_one(r, fd, name, l, e, &s))
		return 0;
	if ((e->kind == ENTRY_FILE && s.size != e->size) || !adapt(a, path, e, &s))
		return 0;
	held = content_held(r, fd, name, e, &s);
	if (held <= 0)
		return held;
	e->dev = st.st_dev;
	e->ino = s.ino;
	e->disk_mtime = s.mtime;
	e->ctime = s.ctime;
	return 1;
}

/** A local change that was put back where it should have gone. */
static bool still_there(struct rows *r, const char *path)
{
	const char *name;
	struct seen s;
	int fd = dirs_parent(&r->a->dirs, path, &name, ERR_IGNORED);

	return fd >= 0 && seen_at(fd, name, &s, ERR_IGNORED) > 0;
}

static int settle(struct rows *r, const struct change *c, const struct line *l, struct entry *e,
		  struct err *err)
{
	const char *tree = r->a->t->tree;
	struct station *s = r->a->s;

	if (!r->final)
		return 0;
	if (!r->a->fresh && l->action != LINE_KEEP && deviation_drop(s, tree, c->path, err) < 0)
		return err->rc;
	if (l->action == LINE_KEEP || (l->action == LINE_OUT && still_there(r, c->path))) {
		reporter_warning(s->reporter, "%s was changed here, and stays as it is", c->path);
		return deviation_put(s, tree, c->path, "a local change was kept", err);
	}
	if (e == NULL && l->action == LINE_NONE && c->kind == ENTRY_DIRECTORY &&
	    still_there(r, c->path)) {
		reporter_warning(s->reporter,
				 "%s is published no more, and stays for the files in it that no "
				 "channel manages",
				 c->path);
		r->a->preview.stays++;
	}
	if (e != NULL && entry_seen(r, c->path, l, e) == 0)
		return deviation_put(s, tree, c->path,
				     "it is not as it was published: changed or removed here", err);
	return 0;
}

static int row_delete(struct rows *r, const struct change *c, const struct line *l, struct err *err)
{
	int rc = index_get(r->a->index, c->path, &r->old, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || r->old.kind != c->kind)
		return err_set(err, RC_MALFORMED, "%s: deletes what the base does not have",
			       c->path);
	if (settle(r, c, l, NULL, err) < 0)
		return err->rc;
	return c->kind == ENTRY_DIRECTORY ? waiting_add(r, c->path, NULL, err)
					  : index_remove(r->a->index, c->path, err);
}

static int row_meta(struct rows *r, const struct change *c, const struct line *l, struct err *err)
{
	int rc = index_get(r->a->index, c->path, &r->old, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || r->old.kind != c->kind)
		return err_set(err, RC_MALFORMED,
			       "%s: changes the metadata of what the base does not have", c->path);
	r->have_old = true;
	r->e = r->old;
	r->e.mode = c->kind == ENTRY_LINK ? 0 : c->mode;
	memcpy(r->e.owner, c->owner, strlen(c->owner) + 1);
	r->e.mtime = c->mtime;
	r->e.dev = r->e.ino = 0;
	r->e.disk_mtime = r->e.ctime = 0;
	if (settle(r, c, l, &r->e, err) < 0)
		return err->rc;
	return index_put(r->a->index, c->path, &r->e, err);
}

static int row_put(struct rows *r, const struct change *c, const struct line *l, struct err *err)
{
	int rc = r->a->fresh ? 0 : index_get(r->a->index, c->path, &r->old, err);

	if (rc < 0)
		return rc;
	r->have_old = rc > 0;
	entry_of(&r->e, c);
	if (settle(r, c, l, &r->e, err) < 0)
		return err->rc;
	if (rc > 0 && r->old.kind == ENTRY_DIRECTORY && c->kind != ENTRY_DIRECTORY)
		return waiting_add(r, c->path, &r->e, err);
	return index_put(r->a->index, c->path, &r->e, err);
}

static int row_line(struct rows *r, const struct change *c, const struct line *l, struct err *err)
{
	int rc;

	while (r->depth > 0 && !path_below(c->path, r->waiting[r->depth - 1].path)) {
		r->parent_known = false;
		if (waiting_end(r, err) < 0)
			return err->rc;
	}
	if (c->op == CHANGE_DELETE)
		return row_delete(r, c, l, err);
	if (parent_check(r, c->path, err) < 0)
		return err->rc;
	rc = c->op == CHANGE_META ? row_meta(r, c, l, err) : row_put(r, c, l, err);
	/* A copy names content of the base: what it names must be there. */
	if (rc == 0 && !r->final && c->op == CHANGE_COPY && !c->source_new) {
		rc = index_get(r->a->index, c->source, &r->old, err);
		rc = rc < 0 ? rc : 0;
	}
	return rc;
}

static int rows_walk(struct rows *r, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader line_reader = {0};
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	static const struct line none;
	int rc;

	if (c == NULL)
		return err_memory(err);
	if (line_reader_open(&r->a->list, &line_reader, err) < 0)
		return err->rc;
	while ((rc = line_reader_next(&line_reader, c, err)) > 0)
		if (row_line(r, c, r->final ? &r->a->line[line_reader.line - 1] : &none, err) < 0)
			return err->rc;
	while (rc == 0 && r->depth > 0)
		rc = waiting_end(r, err);
	return rc;
}

static int rows_run(struct apply *a, bool final, struct err *err)
{
	struct rows *r = calloc(1, sizeof(*r));
	struct digest is;
	int rc;

	if (r == NULL)
		return err_memory(err);
	r->a = a;
	r->final = final;
	rc = rows_walk(r, err);
	while (r->depth > 0) {
		struct waiting *w = &r->waiting[--r->depth];

		free(w->path);
		free(w->e);
	}
	free(r);
	if (rc == 0)
		rc = index_salt(a->index, &a->run.salt, err);
	if (rc == 0)
		rc = index_seal(a->index, &is, err);
	if (rc == 0 && !digest_equal(&is, &a->run.tree))
		rc = err_set(err, final ? RC_STATE : RC_MALFORMED,
			     "generation %" PRIu64
			     " would not be the tree that was signed: the list of changes and the "
			     "tree's digest do not belong together",
			     a->run.generation);
	return rc;
}

int rows_verify(struct apply *a, struct err *err)
{
	return rows_run(a, false, err);
}

/** Directories whose entries came or went have a new ctime. */
static int touched(struct apply *a, const struct op *op, struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	struct rows r = {.a = a};
	int rc;

	if (e == NULL)
		return err_memory(err);
	if (op->old.kind != ENTRY_DIRECTORY && op->old.kind != 0)
		return 0;
	rc = index_get(a->index, op->path, e, err);
	if (rc <= 0 || e->kind != ENTRY_DIRECTORY)
		return rc < 0 ? rc : 0;
	e->dev = e->ino = 0;
	e->disk_mtime = e->ctime = 0;
	entry_seen(&r, op->path, &(struct line){0}, e);
	return index_put(a->index, op->path, e, err);
}

#define FAR_TIMES \
	"times of files that lie before 1677 or after 2262 are kept as the nearest that can be written"

static int adaptation(struct apply *a, bool is, const char *what, struct err *err)
{
	if (!is)
		return 0;
	a->preview.adaptations++;
	reporter_info(a->s->reporter, "%s: adapted: %s", a->t->tree, what);
	return adaptation_put(a->s, a->t->tree, what, err);
}

/** Local changes that stay, also those that an earlier bundle met and this one did not touch. */
static int deviations_count(struct apply *a, struct err *err)
{
	return deviation_count(a->s, a->t->tree, &a->preview.deviations, err);
}

int rows_finish(struct apply *a, struct err *err)
{
	dirs_clear(&a->dirs);
	a->preview.adaptations = 0;
	if (rows_run(a, true, err) < 0 || deviations_count(a, err) < 0 ||
	    journal_each(a, 1u << OP_META, false, touched, err) < 0 ||
	    adaptation(a, a->no_owner, "owners: only root can set them", err) < 0 ||
	    adaptation(a, a->no_times, "times: the file system keeps them coarser", err) < 0 ||
	    adaptation(a, a->no_modes, "modes: the file system does not keep them", err) < 0 ||
	    adaptation(a, a->far_times, FAR_TIMES, err) < 0)
		return err->rc;
	return index_seal(a->index, &(struct digest){0}, err);
}

/** An entry that was taken out and came back has another ctime, and is the same. */
static int came_back(struct apply *a, const struct op *op, struct err *err)
{
	OWNED(freep) struct entry *e = NULL;
	const char *name;
	struct seen s;
	int fd, rc;

	if (op->old.kind == 0)
		return 0;
	e = malloc(sizeof(*e));
	if (e == NULL)
		return err_memory(err);
	rc = index_get(a->index, op->path, e, err);
	if (rc <= 0 || e->ino != op->old.ino || e->ctime != op->old.ctime)
		return rc < 0 ? rc : 0;
	fd = dirs_parent(&a->dirs, op->path, &name, err);
	if (fd < 0 || seen_at(fd, name, &s, err) <= 0 || !seen_same(&s, &op->old))
		return 0;
	e->ctime = s.ctime;
	/* Meanwhile others may have written to it, and have set its time back. */
	if (seen_exposed(&s) && !(time_passed(a, &s) && seen_holds(a, fd, name, &s, &e->digest)))
		e->dev = e->ino = 0, e->disk_mtime = e->ctime = 0;
	return index_put(a->index, op->path, e, err);
}

int rows_undone(struct apply *a, struct err *err)
{
	struct digest d;
	int rc;

	dirs_clear(&a->dirs);
	a->index = index_free(a->index);
	rc = index_open(a->s->db, a->t->tree, &a->index, err);
	if (rc == 0)
		rc = journal_each(a, 1u << OP_OUT | 1u << OP_PLACE | 1u << OP_META, false,
				  came_back, err);
	return rc == 0 ? index_seal(a->index, &d, err) : rc;
}
