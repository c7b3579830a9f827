/* SPDX-License-Identifier: ISC */
/*
 * The plan: one decision for each line, from what the index says and what lies on the disk, and the
 * operations that follow.  Nothing is written outside the open transaction.
 *
 * The lines come in ascending order of path, so the directories above the present one are a stack.
 * A directory is decided when its line comes, except one that should vanish (deleted, or replaced
 * by something else): that is decided when all below it was, because a local change that stays
 * below it keeps it alive.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

enum where {
	WHERE_DISK,    /* it is there */
	WHERE_MISSING, /* the index knows it, the disk does not: made if something goes into it */
	WHERE_STAGE,   /* it is new: staged, and placed as a whole */
	WHERE_BLOCKED, /* something local stays in its place: nothing below is done */
};

struct level {
	size_t len; /* of its path; 0 for the target itself */
	enum where where;
	bool ours;        /* its metadata is known: a line of the bundle or a row of the index */
	bool foreign;     /* but it is somebody else's: its metadata is left alone */
	bool touched;     /* an entry of it comes or goes, which changes its times */
	bool kept;        /* something local stays below it */
	bool others;      /* it holds what no channel manages, and stays for that */
	bool leaving;     /* OUT or PLACE when it is left, unless something was kept */
	struct op *going; /* owned; that operation */
	bool lined;       /* it has a line of its own: */
	uint64_t line;
	enum change_op change;
	uint32_t op; /* STAGE: the operation that places it */
	struct meta want;
	struct seen old;
	bool old_keep; /* that is somebody's, and is kept */
};

struct plan {
	struct apply *a;
	struct level level[LIMIT_DEPTH + 2];
	size_t depth;              /* of the last level; level[0] is the target */
	char path[LIMIT_PATH + 1]; /* of the last level */
	struct op op;              /* being made */
	struct entry row;          /* of the index, for the present line */
	bool have_row;
	bool misspelled; /* what answers to the name of the present line is called otherwise */
	struct strings mine, theirs; /* owned; conflicts that were answered */
	uint64_t open;               /* those that were not */
};

static struct level *top(struct plan *p)
{
	return &p->level[p->depth];
}

static struct line *line_of(struct plan *p, uint64_t line)
{
	return &p->a->line[line];
}

static int op_start(struct plan *p, enum op_kind kind, const char *path)
{
	memset(&p->op, 0, offsetof(struct op, path));
	p->op.kind = kind;
	memcpy(p->op.path, path, strlen(path) + 1);
	return 0;
}

/* A local change is in the way: what now? */

enum answer { ANSWER_GO, ANSWER_KEEP };

static void conflict_open(struct plan *p, const char *path)
{
	struct apply *a = p->a;

	p->open++;
	/* The sentence counts those for which there is no room, or no memory. */
	if (a->conflict.n < CONFLICTS_MAX && strings_add(&a->conflict, path, ERR_IGNORED) == 0 &&
	    strings_add(&a->conflict_why,
			p->have_row ? "it was changed here"
				    : "something that no channel manages is in its place",
			ERR_IGNORED) < 0)
		free(a->conflict.items[--a->conflict.n]);
}

/** What was answered to this one counts, else what the owner says in general. */
static enum answer conflict(struct plan *p, const char *path)
{
	p->a->preview.conflicts++;
	if (strings_has_sorted(&p->mine, path))
		return ANSWER_KEEP;
	if (strings_has_sorted(&p->theirs, path))
		return ANSWER_GO;
	if (p->a->run.local == LOCAL_FAIL)
		conflict_open(p, path);
	return p->a->run.local == LOCAL_KEEP ? ANSWER_KEEP : ANSWER_GO;
}

/** The same, at one of the directories above. */
static enum answer conflict_at(struct plan *p, size_t len)
{
	char path[LIMIT_PATH + 1];

	memcpy(path, p->path, len);
	path[len] = '\0';
	return conflict(p, path);
}

static void keep_itself(struct plan *p, uint64_t line)
{
	if (line_of(p, line)->action != LINE_KEEP)
		p->a->preview.deviations++;
	line_of(p, line)->action = LINE_KEEP;
}

/** The same, and all directories above it stay. */
static void keep_line(struct plan *p, uint64_t line)
{
	keep_itself(p, line);
	for (size_t i = 0; i <= p->depth; i++)
		p->level[i].kept = true;
}

/** What a line leads to on the disk. */
static void decide(struct plan *p, enum change_op change, uint64_t line, enum line_action action,
		   uint32_t op)
{
	line_of(p, line)->action = (uint8_t)action;
	line_of(p, line)->op = op;
	p->a->preview.count[change]++;
	p->a->preview.deletions += action == LINE_OUT;
}

/* Directories */

/** Who a row says owns it, on this machine. */
static bool row_owner_is(struct plan *p, const struct seen *s)
{
	struct meta m;

	return meta_of(p->a, p->path, 0, p->row.owner, 0, &m, ERR_IGNORED) == 0 && m.uid == s->uid;
}

/*
 * A directory that lies at a path of ours may be anybody's: who may write to the one above it can
 * rename it there, and root would open it to others, or give it to them.  It is ours when it is the
 * very one that the index knows and belongs to whom it should; any other one with the right
 * owner gets its metadata as long as that lets nobody in who could not enter before.  People's own
 * files are in it, so unlike a file it is never taken out.
 */
static bool directory_ours(struct plan *p, const struct seen *s, const struct meta *want)
{
	bool mine = s->uid == geteuid(), wanted = s->uid == want->uid && s->gid == want->gid;

	if (geteuid() != 0 && !mine)
		return false;
	if (p->have_row && p->row.kind == ENTRY_DIRECTORY && p->row.ino == s->ino &&
	    (mine || s->uid == want->uid || row_owner_is(p, s)))
		return true;
	if ((mine || wanted) && (want->mode & ~s->mode & 0077) == 0)
		return true;
	return geteuid() == 0 && !disk_holds(p->a, HOLDS_OWNERS);
}

/** Times and mode of a directory on disk, when the line asks for it or when its entries change. */
static int leave_disk(struct plan *p, struct level *l, struct err *err)
{
	if (!l->ours || (!l->touched && meta_fits(ENTRY_DIRECTORY, &l->old, &l->want)))
		return 0;
	if (l->foreign)
		return 0;
	op_start(p, OP_META, p->path);
	p->op.old = l->old;
	p->op.want = l->want;
	if (journal_add(p->a, &p->op, err) < 0)
		return err->rc;
	if (l->lined && !meta_fits(ENTRY_DIRECTORY, &l->old, &l->want))
		decide(p, l->change, l->line, LINE_META, p->op.n);
	return 0;
}

static int leave_going(struct plan *p, struct level *l, struct err *err)
{
	if (l->others && !l->kept)
		return 0;
	if (l->kept) {
		keep_line(p, l->line);
		if (l->going->kind == OP_OUT)
			return 0;
		l->going->kind = OP_SPARE; /* another line may copy it */
	}
	if (journal_add(p->a, l->going, err) < 0)
		return err->rc;
	line_of(p, l->line)->op = l->going->n;
	if (l->kept)
		return 0;
	decide(p, l->change, l->line, l->going->kind == OP_OUT ? LINE_OUT : LINE_PLACE,
	       l->going->n);
	p->level[p->depth - 1].touched = true;
	return 0;
}

static int leave(struct plan *p, struct err *err)
{
	struct level *l = top(p);
	int rc = 0;

	if (l->leaving)
		rc = leave_going(p, l, err);
	else if (l->where == WHERE_DISK)
		rc = leave_disk(p, l, err);
	else if (l->where == WHERE_STAGE && l->ours) {
		op_start(p, OP_META, p->path);
		p->op.now.kind = ENTRY_DIRECTORY;
		p->op.now.size = l->op; /* by which it is told from what takes its name later */
		p->op.want = l->want;
		rc = journal_add(p->a, &p->op, err);
	}
	free(TAKE(l->going));
	p->depth--;
	p->path[p->level[p->depth].len] = '\0';
	return rc;
}

static int push(struct plan *p, const char *path, size_t len, struct level **ret, struct err *err)
{
	if (p->depth + 1 >= ARRAY_LEN(p->level))
		return err_set(err, RC_LIMIT, "%s: too deep", path);
	memcpy(p->path, path, len);
	p->path[len] = '\0';
	p->depth++;
	*ret = top(p);
	**ret = (struct level){.len = len};
	return 0;
}

/** A directory that gets staged: placed by itself when it is the first one on the way down. */
static int stage_directory(struct plan *p, size_t depth, struct err *err)
{
	struct level *l = &p->level[depth], *above = l - 1;

	l->where = WHERE_STAGE;
	p->a->trees++;
	p->a->preview.space_needed += 4096;
	p->a->preview.inodes_needed++;
	if (above->where == WHERE_STAGE) {
		l->op = above->op;
		return 0;
	}
	op_start(p, OP_PLACE, p->path);
	p->op.path[l->len] = '\0';
	p->op.now.kind = ENTRY_DIRECTORY;
	p->op.old = l->old;
	p->op.keep = l->old_keep;
	if (journal_add(p->a, &p->op, err) < 0)
		return err->rc;
	l->op = p->op.n;
	above->touched = true;
	return 0;
}

/**
 * Where case does not count, what answers to a name may be called otherwise.  When that is an entry
 * of ours, nothing is there: it goes, or names_check refuses the two.  Else somebody's is in the
 * way.  1 something is there, 0 nothing.
 */
static int spelled(struct plan *p, const char *path, int fd, const char *name, struct err *err)
{
	char other[LIMIT_PATH + 1], found[LIMIT_NAME + 1];
	OWNED(freep) struct entry *e = NULL;
	size_t n = (size_t)(name - path);
	int rc = name_spelled(p->a, fd, name, found, err);

	if (rc != 0)
		return rc;
	if (n + strlen(found) <= LIMIT_PATH && found[0] != '\0') {
		memcpy(other, path, n);
		memcpy(other + n, found, strlen(found) + 1);
		e = malloc(sizeof(*e));
		if (e == NULL)
			return err_memory(err);
		rc = index_get(p->a->index, other, e, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	p->misspelled = true;
	return 1;
}

static int disk_at(struct plan *p, const char *path, struct seen *ret, const char **ret_name,
		   int *ret_fd, struct err *err)
{
	int rc;

	*ret = (struct seen){0};
	p->misspelled = false;
	if (p->a->targetfd < 0)
		return 0;
	*ret_fd = dirs_parent(&p->a->dirs, path, ret_name, err);
	if (*ret_fd < 0)
		return *ret_fd;
	rc = seen_at(*ret_fd, *ret_name, ret, err);
	if (rc < 0)
		return err_prefix(err, "below %s", p->a->dirs.path[0] ? p->a->dirs.path : "target");
	if (rc > 0 && (rc = spelled(p, path, *ret_fd, *ret_name, err)) == 0)
		*ret = (struct seen){0};
	return rc;
}

/** Somebody else's directory is entered, and no line speaks of it. */
static int foreign_told(struct plan *p, struct err *err)
{
	p->a->preview.deviations++;
	return deviation_put(p->a->s, p->a->t->tree, p->path,
			     "a directory here has another owner or mode", err);
}

/** A directory above a line that has no line of its own: the base holds it. */
static int enter_known(struct plan *p, const char *path, size_t len, struct err *err)
{
	struct level *l;
	const char *name;
	int fd, rc;

	if (push(p, path, len, &l, err) < 0)
		return err->rc;
	rc = index_get(p->a->index, p->path, &p->row, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || p->row.kind != ENTRY_DIRECTORY)
		return err_set(err, RC_MALFORMED,
			       "%s: no directory %s, neither here nor in the bundle", path,
			       p->path);
	if (meta_of(p->a, p->path, p->row.mode, p->row.owner, p->row.mtime, &l->want, err) < 0)
		return err->rc;
	l->ours = true;
	l->where = p->level[p->depth - 1].where;
	if (l->where == WHERE_STAGE)
		return stage_directory(p, p->depth, err);
	if (l->where != WHERE_DISK)
		return 0;
	if (disk_at(p, p->path, &l->old, &name, &fd, err) < 0)
		return err->rc;
	p->have_row = true;
	if (l->old.kind != ENTRY_DIRECTORY || p->misspelled)
		l->where = WHERE_MISSING;
	else
		l->foreign = !directory_ours(p, &l->old, &l->want);
	return l->foreign && meta_off(p->a, ENTRY_DIRECTORY, &l->old, &l->want)
		   ? foreign_told(p, err)
		   : 0;
}

/** Something goes into directories that are missing: they are made again. */
static int enter_missing(struct plan *p, struct err *err)
{
	for (size_t i = 1; i <= p->depth; i++) {
		struct level *l = &p->level[i];

		if (l->where != WHERE_MISSING)
			continue;
		if (p->level[i - 1].where == WHERE_BLOCKED) {
			l->where = WHERE_BLOCKED;
			continue;
		}
		/* What lies there instead is somebody's. */
		l->old_keep = l->old.kind != 0;
		p->a->preview.holes++;
		if (l->old_keep && conflict_at(p, l->len) == ANSWER_KEEP)
			l->where = WHERE_BLOCKED;
		else if (stage_directory(p, i, err) < 0)
			return err->rc;
	}
	return 0;
}

/** Leave what is not above ${path}, enter what is. */
static int walk_to(struct plan *p, const char *path, struct err *err)
{
	const char *slash;

	while (p->depth > 0 &&
	       (strncmp(path, p->path, top(p)->len) != 0 || path[top(p)->len] != '/'))
		if (leave(p, err) < 0)
			return err->rc;
	slash = path + top(p)->len + (p->depth > 0);
	while ((slash = strchr(slash, '/')) != NULL) {
		if (enter_known(p, path, (size_t)(slash - path), err) < 0)
			return err->rc;
		slash++;
	}
	return 0;
}

struct unmanaged {
	struct plan *p;
	const char *path; /* of the directory */
	struct entry row;
};

static int unmanaged_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct unmanaged *u = arg;
	size_t n = strlen(u->path), m = strlen(entry->name);
	char child[LIMIT_PATH + 1];
	int rc;

	if (n + 1 + m > LIMIT_PATH)
		return 1;
	memcpy(child, u->path, n);
	child[n] = '/';
	memcpy(child + n + 1, entry->name, m + 1);
	rc = index_get(u->p->a->index, child, &u->row, err);
	return rc < 0 ? rc : rc == 0;
}

/* Does a directory on disk have an entry that the index does not know?  1 yes. */
static int unmanaged(struct plan *p, const char *path, struct err *err)
{
	OWNED(freep) struct unmanaged *u = malloc(sizeof(*u));

	if (u == NULL)
		return err_memory(err);
	u->p = p;
	u->path = path;
	return dir_each(p->a->targetfd, path, 0, unmanaged_each, u, err);
}

/** Nothing else is to take the place of the directory that was entered last, or of one above. */
static bool may_stay(const struct plan *p)
{
	for (size_t i = 1; i <= p->depth; i++)
		if (p->level[i].going != NULL && p->level[i].going->kind == OP_PLACE)
			return false;
	return true;
}

/**
 * It holds what no channel manages, and that is never touched: a directory that is deleted stays
 * for it, and so do those above.  Only where something else is to take its place it is in the way.
 */
static void keep_others(struct plan *p, uint64_t line)
{
	struct level *l = top(p);

	if (!may_stay(p)) {
		if (conflict(p, p->path) == ANSWER_KEEP)
			keep_line(p, line);
		else
			l->going->keep = true;
		return;
	}
	for (size_t i = 0; i <= p->depth; i++)
		p->level[i].others = true;
}

/** A directory on disk that should vanish: decided when it is left. */
static int enter_going(struct plan *p, const struct change *c, uint64_t line, enum op_kind kind,
		       const struct seen *s, struct err *err)
{
	struct level *l;
	int strange = unmanaged(p, c->path, err);

	if (strange < 0 || push(p, c->path, strlen(c->path), &l, err) < 0)
		return err->rc;
	l->where = WHERE_DISK;
	l->leaving = l->lined = true;
	l->line = line;
	l->change = c->op;
	l->old = *s;
	l->going = calloc(1, sizeof(*l->going));
	if (l->going == NULL)
		return err_memory(err);
	l->going->kind = kind;
	l->going->old = *s;
	memcpy(l->going->path, c->path, l->len + 1);
	if (strange > 0)
		keep_others(p, line);
	return 0;
}

/* Lines */

static void count_content(struct plan *p, const struct change *c)
{
	struct apply *a = p->a;

	a->preview.inodes_needed++;
	a->files++;
	if (c->kind == ENTRY_LINK)
		return;
	a->preview.bytes += c->size;
	a->preview.space_needed += (c->size + 4095) / 4096 * 4096;
}

static void now_of(struct seen *now, const struct change *c)
{
	*now = (struct seen){.kind = (uint8_t)c->kind};
	if (c->kind == ENTRY_FILE) {
		now->size = c->size;
		now->digest = c->digest;
		now->known = true;
	} else if (c->kind == ENTRY_LINK) {
		now->size = strlen(c->target);
	}
	now->mtime = c->mtime;
}

/** An operation of its own for a file or link. */
static int place(struct plan *p, const struct change *c, uint64_t line, const struct seen *old,
		 bool keep, struct err *err)
{
	op_start(p, OP_PLACE, c->path);
	now_of(&p->op.now, c);
	p->op.old = *old;
	p->op.keep = keep;
	if (journal_add(p->a, &p->op, err) < 0)
		return err->rc;
	decide(p, c->op, line, LINE_PLACE, p->op.n);
	top(p)->touched = true;
	count_content(p, c);
	return 0;
}

/** A fresh copy of what is there, with other metadata; a line that brings no content has that of
 * the base. */
static int renew(struct plan *p, const struct change *c, uint64_t line, const struct seen *s,
		 struct err *err)
{
	OWNED(freep) struct change *whole = NULL;

	line_of(p, line)->ino = 0;
	if (c->op != CHANGE_META)
		return place(p, c, line, s, false, err);
	whole = malloc(sizeof(*whole));
	if (whole == NULL)
		return err_memory(err);
	*whole = *c;
	whole->size = p->row.size;
	whole->digest = p->row.digest;
	memcpy(whole->target, p->row.target, strlen(p->row.target) + 1);
	p->a->renewed++;
	return place(p, whole, line, s, false, err);
}

/** Something of root's own making that not even root may replace. */
static int stays(struct plan *p, const struct change *c, uint64_t line)
{
	conflict(p, c->path);
	keep_line(p, line);
	return 0;
}

static int metadata(struct plan *p, const struct change *c, uint64_t line, const struct seen *s,
		    struct err *err)
{
	struct meta m;

	line_of(p, line)->ino = s->known || s->kind != ENTRY_FILE ? s->ino : 0;
	if (meta_of(p->a, c->path, c->mode, c->owner, c->mtime, &m, err) < 0)
		return err->rc;
	if (meta_fits(s->kind, s, &m))
		return 0;
	/* Where a file system has owners of its own, those of what we placed are as good as they
	 * get. */
	if (p->have_row && row_certain(&p->row, s) && strcmp(p->row.owner, c->owner) == 0 &&
	    !disk_holds(p->a, HOLDS_OWNERS))
		m.uid = s->uid, m.gid = s->gid;
	if (meta_fits(s->kind, s, &m))
		return 0;
	if (s->fixed)
		return stays(p, c, line);
	if (!meta_in_place(s->kind, s, &m))
		return renew(p, c, line, s, err);
	op_start(p, OP_META, c->path);
	p->op.old = *s;
	p->op.want = m;
	if (journal_add(p->a, &p->op, err) < 0)
		return err->rc;
	decide(p, c->op, line, LINE_META, p->op.n);
	return 0;
}

/** A content that is not placed, but that other lines may copy. */
static int spare(struct plan *p, const struct change *c, uint64_t line, struct err *err)
{
	if (c->op != CHANGE_PUT || p->a->b->manifest->count[CHANGE_COPY] == 0)
		return 0;
	op_start(p, OP_SPARE, c->path);
	now_of(&p->op.now, c);
	if (journal_add(p->a, &p->op, err) < 0)
		return err->rc;
	line_of(p, line)->op = p->op.n;
	count_content(p, c);
	return 0;
}

/** put, patch, copy, link */
static int plan_content(struct plan *p, const struct change *c, uint64_t line, struct err *err)
{
	struct level *l = top(p);
	const char *name;
	enum found found;
	struct seen s;
	int fd, rc;

	if (l->where == WHERE_BLOCKED) {
		keep_line(p, line);
		return spare(p, c, line, err);
	}
	if (l->where == WHERE_STAGE) {
		decide(p, c->op, line, LINE_TREE, l->op);
		count_content(p, c);
		return 0;
	}
	rc = disk_at(p, c->path, &s, &name, &fd, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return place(p, c, line, &s, false, err);
	found = p->misspelled ? FOUND_LOCAL
			      : disk_judge(p->a, c, p->have_row ? &p->row : NULL, fd, name, &s);
	if (found == FOUND_WANTED)
		return metadata(p, c, line, &s, err);
	if (s.fixed) {
		stays(p, c, line);
		return spare(p, c, line, err);
	}
	if (s.kind == ENTRY_DIRECTORY && found == FOUND_BASE) {
		rc = enter_going(p, c, line, OP_PLACE, &s, err);
		if (rc == 0 && top(p)->going != NULL)
			now_of(&top(p)->going->now, c), count_content(p, c);
		return rc;
	}
	if (found == FOUND_LOCAL && conflict(p, c->path) == ANSWER_KEEP) {
		keep_line(p, line);
		return spare(p, c, line, err);
	}
	return place(p, c, line, &s, found == FOUND_LOCAL, err);
}

static int plan_directory(struct plan *p, const struct change *c, uint64_t line, struct err *err)
{
	enum where above = top(p)->where;
	struct level *l;
	const char *name;
	enum found found = FOUND_LOCAL;
	struct seen s = {0};
	int fd, rc;

	if (push(p, c->path, strlen(c->path), &l, err) < 0)
		return err->rc;
	l->lined = true;
	l->line = line;
	l->change = c->op;
	l->where = above;
	if (meta_of(p->a, c->path, c->mode, c->owner, c->mtime, &l->want, err) < 0)
		return err->rc;
	if (above == WHERE_BLOCKED) {
		keep_line(p, line);
		return 0;
	}
	if (above == WHERE_DISK) {
		rc = disk_at(p, c->path, &s, &name, &fd, err);
		if (rc < 0)
			return rc;
		if (rc > 0 && !p->misspelled)
			found = disk_judge(p->a, c, p->have_row ? &p->row : NULL, fd, name, &s);
	}
	l->old = s;
	if (s.kind == ENTRY_DIRECTORY && !p->misspelled) {
		l->ours = true;
		l->foreign = s.fixed || !directory_ours(p, &s, &l->want);
		if (l->foreign && meta_off(p->a, ENTRY_DIRECTORY, &s, &l->want)) {
			conflict(p, c->path);
			keep_itself(p, line);
		}
		return 0;
	}
	if (s.kind != 0 && found == FOUND_LOCAL && conflict(p, c->path) == ANSWER_KEEP) {
		l->where = WHERE_BLOCKED;
		keep_line(p, line);
		return 0;
	}
	l->old_keep = s.kind != 0 && found == FOUND_LOCAL;
	p->a->preview.holes += above == WHERE_DISK && p->have_row && p->row.kind == ENTRY_DIRECTORY;
	if (stage_directory(p, p->depth, err) < 0)
		return err->rc;
	l->ours = above == WHERE_DISK; /* those below it get theirs in the staging area */
	decide(p, c->op, line, above == WHERE_DISK ? LINE_PLACE : LINE_TREE, l->op);
	return 0;
}

static int plan_meta(struct plan *p, const struct change *c, uint64_t line, struct err *err)
{
	const char *name;
	struct level *l;
	struct seen s;
	int fd, rc;

	if (c->kind == ENTRY_DIRECTORY)
		return plan_directory(p, c, line, err);
	l = top(p);
	if (l->where == WHERE_BLOCKED)
		keep_line(p, line);
	if (l->where != WHERE_DISK)
		return 0;
	rc = disk_at(p, c->path, &s, &name, &fd, err);
	if (rc <= 0 || p->misspelled)
		return rc < 0 ? rc : 0;
	if (s.kind == (uint8_t)c->kind &&
	    disk_judge(p->a, c, p->have_row ? &p->row : NULL, fd, name, &s) == FOUND_BASE)
		return metadata(p, c, line, &s, err);
	/*
	 * Owner and mode are for the content that they were published with, and that is not in this
	 * bundle: so what lies there stays as it is, unless that is forbidden.
	 */
	return stays(p, c, line);
}

static int plan_delete(struct plan *p, const struct change *c, uint64_t line, struct err *err)
{
	const char *name;
	enum found found;
	struct seen s;
	int fd, rc;

	if (top(p)->where != WHERE_DISK)
		return 0;
	rc = disk_at(p, c->path, &s, &name, &fd, err);
	if (rc <= 0 || p->misspelled)
		return rc < 0 ? rc : 0;
	found = disk_judge(p->a, c, &p->row, fd, name, &s);
	if (s.fixed)
		return stays(p, c, line);
	if (s.kind == ENTRY_DIRECTORY && found == FOUND_BASE)
		return enter_going(p, c, line, OP_OUT, &s, err);
	if (found == FOUND_LOCAL && conflict(p, c->path) == ANSWER_KEEP) {
		keep_line(p, line);
		return 0;
	}
	op_start(p, OP_OUT, c->path);
	p->op.old = s;
	p->op.keep = found == FOUND_LOCAL;
	if (journal_add(p->a, &p->op, err) < 0)
		return err->rc;
	decide(p, c->op, line, LINE_OUT, p->op.n);
	top(p)->touched = true;
	return 0;
}

static int plan_line(struct plan *p, const struct change *c, uint64_t line, struct err *err)
{
	int rc;

	if (walk_to(p, c->path, err) < 0)
		return err->rc;
	p->have_row = false;
	if (c->op != CHANGE_DELETE && (c->op != CHANGE_META || c->kind == ENTRY_DIRECTORY) &&
	    enter_missing(p, err) < 0)
		return err->rc;
	if (!p->a->fresh && top(p)->where != WHERE_STAGE) {
		rc = index_get(p->a->index, c->path, &p->row, err);
		if (rc < 0)
			return rc;
		p->have_row = rc > 0;
	}
	switch (c->op) {
	case CHANGE_DIRECTORY:
		return plan_directory(p, c, line, err);
	case CHANGE_META:
		return plan_meta(p, c, line, err);
	case CHANGE_DELETE:
		return plan_delete(p, c, line, err);
	default:
		return plan_content(p, c, line, err);
	}
}

static int plan_lines(struct plan *p, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader line_reader = {0};
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	int rc;

	if (c == NULL)
		return err_memory(err);
	if (line_reader_open(&p->a->list, &line_reader, err) < 0)
		return err->rc;
	while ((rc = line_reader_next(&line_reader, c, err)) > 0) {
		if (plan_line(p, c, line_reader.line - 1, err) < 0)
			return err->rc;
	}
	while (rc == 0 && p->depth > 0)
		rc = leave(p, err);
	return rc;
}

/** Names of paths in a sentence; the others are counted. */
#define CONFLICTS_TOLD 8u

static int conflicts_refuse(struct plan *p, struct err *err)
{
	const struct apply *a = p->a;
	char text[400] = "";
	size_t used = 0, n = 1;

	if (a->conflict.n == 0)
		return err_memory(err);
	while (n < a->conflict.n && n < CONFLICTS_TOLD &&
	       used + strlen(a->conflict.items[n]) + 3 < sizeof(text)) {
		used += (size_t)snprintf(text + used, sizeof(text) - used, ", %s",
					 a->conflict.items[n]);
		n++;
	}
	if (p->open > n)
		snprintf(text + used, sizeof(text) - used, " and %llu more",
			 (unsigned long long)(p->open - n));
	return err_set(err, RC_CONFLICT,
		       "%.200s: %s%s%s; nothing was done: satchel resolve %s says what to do with "
		       "each",
		       a->conflict.items[0], a->conflict_why.items[0], n > 1 ? "; likewise" : "",
		       n > 1 || p->open > n ? text + (n > 1) : "", a->t->tree);
}

int plan_run(struct apply *a, struct err *err)
{
	struct plan *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return err_memory(err);
	p->a = a;
	rc = conflicts_answered(a->s, a->t->tree, &p->mine, &p->theirs, err);
	if (rc == 0)
		rc = plan_lines(p, err);
	while (p->depth > 0)
		free(p->level[p->depth--].going);
	if (rc == 0 && p->open > 0 && (a->flags & APPLY_DRY_RUN) == 0)
		rc = conflicts_refuse(p, err);
	strings_clear(&p->mine);
	strings_clear(&p->theirs);
	free(p);
	return rc;
}

/* Space */

static int space_of(struct apply *a, struct statvfs *ret, struct err *err)
{
	OWNED(freep) char *path = strdup(a->t->path);
	int rc;

	if (path == NULL)
		return err_memory(err);
	if (a->targetfd >= 0)
		rc = fstatvfs(a->targetfd, ret);
	else
		for (;;) { /* a preview makes no directory: the nearest one above */
			OWNED(fd_closep) int fd = -1;
			char *slash = strrchr(path, '/');

			if (slash != NULL)
				*slash = '\0';
			fd = beneath_dir(a->t->rootfd, slash != NULL ? path : ".", err);
			if (fd < 0 && slash != NULL)
				continue;
			rc = fd < 0 ? -1 : fstatvfs(fd, ret);
			break;
		}
	return rc < 0
		   ? err_sys(err, RC_IO, "%s: cannot see how much space is free", target_name(a->t))
		   : 0;
}

int plan_space(struct apply *a, struct err *err)
{
	struct apply_preview *v = &a->preview;
	char needs[SIZE_TEXT], has[SIZE_TEXT];
	struct statvfs fs;

	if (space_of(a, &fs, err) < 0)
		return err->rc;
	v->space_free = space_free(&fs);
	/* File systems that make inodes as they need them say that there are none. */
	v->inodes_free = inodes_free(&fs);
	if ((a->flags & APPLY_DRY_RUN) != 0)
		return 0;
	size_text(needs, v->space_needed);
	size_text(has, v->space_free);
	if ((v->space_needed > v->space_free || v->inodes_needed > v->inodes_free) &&
	    past_release(a))
		return plan_space(a, err);
	if (v->space_needed > v->space_free)
		return err_set(err, RC_SPACE, "not enough space on %s: needs %s, has %s",
			       target_name(a->t), needs, has);
	if (v->inodes_needed > v->inodes_free)
		return err_set(err, RC_SPACE,
			       "not enough room for files on %s: needs %llu more, has %llu",
			       target_name(a->t), (unsigned long long)v->inodes_needed,
			       (unsigned long long)v->inodes_free);
	return 0;
}
