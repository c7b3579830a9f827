/* SPDX-License-Identifier: ISC */
/*
 * Apply, inside.  What its files share: the list of changes on disk, what is decided for
 * each of its lines, the operations of the journal, the staging area, and the reader process.
 *
 *   apply.c          the order of things
 *   apply_reader.c   the confined process that turns a bundle into bytes
 *   apply_list.c     the list of changes in a file, read line by line
 *   apply_check.c    lines against the manifest; deletions that a full bundle implies
 *   apply_join.c     several bundles as one
 *   apply_plan.c     one decision for each line, from index and disk
 *   apply_holds.c    what the target's file system can hold; apply_names.c: which names it cannot
 *   apply_disk.c     what lies at a path; is it what the index says
 *   apply_judge.c    the same, for who only looks
 *   apply_area.c     directories of our own where others may write: told, cleared, removed
 *   apply_stage.c    the staging area; apply_fill.c, apply_copy.c: what is made in it
 *   apply_pool.c     threads that hash and write contents; apply_sink.c: one file
 *   apply_journal.c  rows of run, operations, lines; applied.c: rows about what is applied
 *   apply_move.c     renames where a file system has not all of them
 *   apply_commit.c   renames in phases; apply_undo.c: the way back
 *   apply_index.c    the new rows of the index, before (is the tree the signed one) and after
 *   apply_past.c     what a run takes out is kept, so that it can be undone later
 *   apply_local.c    a list of changes that was made here: back, or repair
 *   apply_extract.c  single contents out of a bundle
 *   apply_leave.c    the way out: what the tree brought is removed
 *   apply_meta.c     modes, owners and times
 */
#ifndef SATCHEL_APPLIER_APPLY_APPLY_INTERNAL_H
#define SATCHEL_APPLIER_APPLY_APPLY_INTERNAL_H

#include "applier/apply/applied.h"
#include "applier/apply/apply.h"
#include "applier/apply/conflict.h"
#include "applier/undo/undo.h"
#include "core/base/list.h"
#include "core/os/child.h"
#include "core/tree/index.h"

/* Names that no payload may use: our own directories beside or inside a target. */
#define STAGE_INSIDE ".satchel-stage"
#define KEPT_NAME    ".satchel-kept"
#define TRIAL_NAME   PATH_RESERVED "trial-" /* and a random number; empty, for a moment */

/** target_name(t): for sentences. */
static inline const char *target_name(const struct apply_target *t)
{
	return t->shown != NULL ? t->shown : t->path;
}

/* The list of changes, whose digest was compared before a line of it is read. */

#define CHANGELIST_MARK 32 /* lines from one mark to the next */

struct changelist {
	int fd;         /* owned; a file in the state directory, without a name until it is kept */
	uint64_t size;  /* bytes */
	uint64_t lines; /* counted by changelist_mark */
	uint64_t *mark; /* owned; offset of every CHANGELIST_MARK-th line, for changelist_find */
	size_t marks;
};

#define CHANGELIST_INIT           \
	{                         \
		-1, 0, 0, NULL, 0 \
	}

/**
 * changelist_new(statefd, ret, err): an empty list in a nameless file of the state directory.
 * RC_IO.
 * changelist_add(s, piece, err): append a piece; marks are set afterwards.  RC_IO, RC_SPACE.
 * changelist_clear(s): close and release; a name that it was given stays.
 */
int changelist_new(int statefd, struct changelist *ret, struct err *err);
void changelist_clear(struct changelist *s);
int changelist_add(struct changelist *s, struct bytes piece, struct err *err);
/** changelist_mark(s, err): count the lines and set the marks. */
int changelist_mark(struct changelist *s, struct err *err);
/** changelist_digest(s, ret, err): of its bytes as they lie there. */
int changelist_digest(const struct changelist *s, struct digest *ret, struct err *err);
/** changelist_keep(s, statefd, tree, err): give it its name, durably, so that recovery finds it.
 * changelist_reopen(statefd, tree, digest, ret, err): RC_STATE when it is not there or not the one.
 * changelist_drop(statefd, tree): remove the name. */
int changelist_keep(struct changelist *s, int statefd, const char *tree, struct err *err);
int changelist_reopen(int statefd, const char *tree, const struct digest *digest,
		      struct changelist *ret, struct err *err);
void changelist_drop(int statefd, const char *tree);

struct line_reader {
	const struct changelist *list; /* borrowed */
	uint64_t offset;               /* of the bytes after what is buffered */
	uint8_t *p;                    /* owned */
	size_t from, to;               /* unread part of it */
	uint64_t line;                 /* number of the line that comes next */
	size_t step;                   /* bytes read at a time */
};
/**
 * line_reader_open(s, ret, err): before the first line of ${s}, which is borrowed.  RC_MEMORY.
 * line_reader_clear(c): release its buffer; for OWNED.
 */
int line_reader_open(const struct changelist *s, struct line_reader *ret, struct err *err);
void line_reader_clear(struct line_reader *c);
/**
 * line_reader_next(c, ret, err): 1 a line, 0 the end.  Errors: those of change_parse.
 * line_reader_raw(c, ret, err): the line itself without its newline, borrowed until the next call;
 * 1, 0.  RC_MALFORMED: the last line has no end.
 */
int line_reader_next(struct line_reader *c, struct change *ret, struct err *err);
int line_reader_raw(struct line_reader *c, struct bytes *ret, struct err *err);
/** line_reader_next_of(c, words, ret, err): the next line that begins with one of these, NULL at
 * their end; the others are not taken apart. */
int line_reader_next_of(struct line_reader *c, const char *const *words, struct change *ret,
			struct err *err);
/** changelist_find(s, path, ret, ret_line, err): the line of ${path}: 1 found, 0 none. */
int changelist_find(const struct changelist *s, const char *path, struct change *ret,
		    uint64_t *ret_line, struct err *err);

/* What is decided for a line. */

enum line_action {
	LINE_NONE,  /* nothing to do on disk: it is as it should be, or gone already */
	LINE_TREE,  /* staged within a new directory, placed together with it */
	LINE_PLACE, /* staged by itself */
	LINE_OUT,   /* removed */
	LINE_META,  /* only metadata */
	LINE_KEEP,  /* a local change stays: a deviation */
};

struct line {
	uint64_t ino;   /* of what was staged; 0: nothing was */
	uint32_t op;    /* its operation, or that of the directory it is staged in; 0: none */
	uint8_t action; /* enum line_action */
};

/* Operations: what the journal holds, one row each. */

enum op_kind { OP_OUT = 1, OP_PLACE, OP_META, OP_SPARE };

struct seen {
	uint8_t kind; /* enum entry_kind, '?' for anything else, 0 for nothing */
	bool known;   /* digest is */
	bool fixed;   /* immutable or append-only: not even root changes it */
	uint16_t mode;
	uint32_t links; /* names that it has; not in the journal */
	uint32_t uid, gid;
	uint64_t ino, size;
	int64_t mtime, ctime;
	struct digest digest; /* of a file's content */
};

struct meta {
	uint16_t mode;
	uint32_t uid, gid;
	int64_t mtime;
};

struct op {
	uint32_t n; /* from 1; also its name in the staging area */
	enum op_kind kind;
	bool keep;        /* what is taken out is a local change, and is kept */
	struct seen now;  /* PLACE: what was staged */
	struct seen old;  /* expected at the path; kind 0: nothing */
	struct meta want; /* META */
	char path[LIMIT_PATH + 1];
};

enum run_state { RUN_PLANNED = 0, RUN_COMMITTING = 1, RUN_KEEPING = 2 };

#define AREA_NAME   96 /* ".satchel-stage-TREE-RANDOM", with NUL */
#define AREA_SUFFIX 9  /* bytes of "-RANDOM" */

struct run {
	int64_t id;
	uint64_t epoch, generation;
	struct digest tree;    /* after it */
	struct digest salt;    /* keys that digest; all zero: nothing */
	struct digest changes; /* of the list */
	enum local_answer local;
	enum run_state state;
	bool inside;          /* where the staging area is */
	char area[AREA_NAME]; /* and its name; "": that of a version without marks */
};

struct stage {
	int fd;       /* owned; -1 while there is none */
	int holderfd; /* owned; directory that holds it */
	char name[AREA_NAME];
	bool inside; /* the target */
};

/** The last directory that was opened, because neighbours come one after the other. */
struct dirs {
	int rootfd; /* borrowed */
	int fd;     /* owned; -1 while none is open */
	char path[LIMIT_PATH + 1];
};

struct apply {
	struct station *s;            /* borrowed */
	const struct apply_target *t; /* borrowed */
	const struct apply_bundle *b; /* borrowed; NULL in recovery */
	struct join *join; /* owned; several bundles that are applied as one; else NULL */
	enum apply_flags flags;
	struct run run;
	struct db_tx tx;     /* open from the check until the journal is written, and to finish */
	struct index *index; /* owned */
	bool fresh;          /* the index is empty */
	int targetfd;        /* owned; -1 while there is none */
	bool made_target;    /* by this run */
	struct dirs dirs;    /* below the target */
	struct changelist list;
	struct line *line; /* owned; a mapping of lines + 1 elements, one for each line */
	struct stage stage;
	struct apply_preview preview;
	char mark[48];           /* name of what tells our directories; "" while there is none */
	int keptfd;              /* owned; where local changes are kept; -1 while not open */
	char kept[AREA_NAME];    /* its name beside the staging area */
	struct strings conflict; /* owned; paths that nobody has answered */
	struct strings conflict_why; /* owned; of each */
	uint64_t keeps;              /* operations that keep what they take out */
	uint32_t ops;                /* operations so far */
	uint64_t files;              /* contents to stage */
	uint64_t renewed;            /* of them, those of the base that get another owner or mode */
	unsigned patience;           /* milliseconds left to wait for files that somebody holds */
	uint64_t compared;           /* bytes of files that were hashed to see what they are */
	unsigned holds;              /* enum holds, once disk_holds was asked */
	struct timespec target_time; /* of the target, before something was tried in it */
	uint64_t trees;              /* directories to stage */
	bool no_exchange;            /* the file system has none */
	bool sync_each;              /* few files: each is flushed by itself */
	bool no_owner;               /* owners could not be set: not root */
	bool no_times, no_modes;     /* the file system does not hold them */
	bool far_times;              /* times that nobody can write */
	const struct apply_local *local; /* borrowed; NULL: a bundle */
	LIST(struct past_area {
		int64_t step;
		int fd; /* owned; -1: it is not there */
	})
	past;                  /* owned; old contents that were looked into */
	char owner[OWNER_MAX]; /* resolved last */
	uint32_t uid, gid;     /* what it is here */
};

/**
 * apply_open(a, s, t, err): ${a} is all zero; what it borrows, and the target when it is there.
 * apply_clear(a): close and release all of it; fine after an apply_open that failed.
 */
int apply_open(struct apply *a, struct station *s, const struct apply_target *t, struct err *err);
void apply_clear(struct apply *a);

/** apply_list(a, err): a->list, which was made here: verified, planned, staged, committed. */
int apply_list(struct apply *a, struct err *err);

/* Disk */

#define PATIENCE 3000 /* ms in a run for leases: file servers let go of theirs much sooner */

/** dirs_parent(d, path, ret_name, err): descriptor of the directory that holds ${path}; borrowed.
 */
int dirs_parent(struct dirs *d, const char *path, const char **ret_name, struct err *err);
/**
 * dirs_open(d, path, len, err): the directory of the first ${len} bytes of ${path} ("" is the
 * root); borrowed until the next call.  RC_POLICY: a link or a mount is in the way.
 * dirs_clear(d): close what is open.
 */
int dirs_open(struct dirs *d, const char *path, size_t len, struct err *err);
void dirs_clear(struct dirs *d);
/** seen_at(dirfd, name, ret, err): 1 something is there, 0 nothing, negative; the root of another
 * mount is RC_POLICY. */
int seen_at(int dirfd, const char *name, struct seen *ret, struct err *err);
/**
 * fd_digest(a, fd, size, ret): the digest of the file of an O_PATH descriptor, which was seen to
 * have ${size} bytes: 1, or 0 when it has not any more.  RC_IO: it cannot be read, or somebody
 * holds a lease on it for longer than this run waits.  A signed size bounds what is read.
 * seen_digest(a, dirfd, name, s): hash the file, when that was not done yet: 1, or 0 when nobody
 * can tell its content: it is another one by now, or fd_digest cannot.
 * seen_holds(a, dirfd, name, s, want): is it this content, for certain?
 */
int fd_digest(struct apply *a, int fd, uint64_t size, struct digest *ret);
int seen_digest(struct apply *a, int dirfd, const char *name, struct seen *s);
bool seen_holds(struct apply *a, int dirfd, const char *name, struct seen *s,
		const struct digest *want);
/** seen_of(st): what stat said of it.  seen_exposed(s): a file that others than us may write:
 * they can set its time back, so only its content and its ctime tell whether they did. */
struct seen seen_of(const struct stat *st);
bool seen_exposed(const struct seen *s);
/** patience_step(a): wait a little for what somebody holds; false when this run has waited enough.
 */
bool patience_step(struct apply *a);
/** seen_same(a, b): the same inode, with the same content as far as stat tells. */
bool seen_same(const struct seen *a, const struct seen *b);

enum found {
	FOUND_NOTHING,
	FOUND_BASE,   /* what the index says */
	FOUND_WANTED, /* what the change asks for, already */
	FOUND_LOCAL   /* something else: a person's, or a program's */
};
/**
 * disk_judge(a, c, e, dirfd, name, s): ${s} is what is there, ${e} the index's row or NULL.  A
 * file is read only when its size fits and stat does not settle it; its digest is then in ${s}.
 * What cannot be judged is FOUND_LOCAL.
 */
enum found disk_judge(struct apply *a, const struct change *c, const struct entry *e, int dirfd,
		      const char *name, struct seen *s);
/** row_certain(e, s): stat says that it is the very file of the row, untouched. */
bool row_certain(const struct entry *e, const struct seen *s);

/* What the target's file system can hold. */
enum holds {
	HOLDS_ASKED = 1 << 0,
	HOLDS_OWNERS = 1 << 1, /* new files are ours, and root can give them away */
	HOLDS_MODES = 1 << 2,
	HOLDS_TRIED = 1 << 3,    /* what follows was */
	HOLDS_TIMES = 1 << 4,    /* to the nanosecond */
	HOLDS_INODES = 1 << 5,   /* numbers that last */
	HOLDS_EXCHANGE = 1 << 6, /* renames that exchange */
	HOLDS_CASE = 1 << 7,     /* names that differ in case alone */
	HOLDS_LINKS = 1 << 8,    /* symbolic links */
	HOLDS_SIGNS = 1 << 9,    /* names with : * ? and control characters */
	HOLDS_ENDS = 1 << 10,    /* names that end with a dot or space, or mean a device */
	HOLDS_BYTES = 1 << 11,   /* names that are not UTF-8 */
	HOLDS_LONG = 1 << 12,    /* names of 255 bytes */
	HOLDS_MOVES = 1 << 13,   /* what is in a directory that is renamed */
	HOLDS_TABLE = (1 << 14) - (1 << 4),
};
#define HOLDS_KEY 96
/**
 * holds_try(a, err): the table, once for each mount; needs the target.  Leaves nothing there.
 * holds_sweep(fd): what a trial that was killed left in its directory.
 * name_held(dirfd, name): can ${name} be made there, and is it called so?
 */
int holds_try(struct apply *a, struct err *err);
void holds_sweep(int fd);
bool name_held(int dirfd, const char *name);
/** names_check(a, err): can the target hold every name that the plan makes?  In the staging area.
 * RC_PATH, RC_TYPE: it cannot; RC_POLICY: it cannot hold anything safely.  names_fold(a, b): could
 * these be one where case does not count? */
int names_check(struct apply *a, struct err *err);
bool names_fold(const char *a, const char *b);
/** name_spelled(a, dirfd, name, found, err): 1 when what answers to ${name} is called exactly so;
 * else 0, and ${found} (may be NULL) is how it is spelled, "" when nobody knows. */
int name_spelled(struct apply *a, int dirfd, const char *name, char found[LIMIT_NAME + 1],
		 struct err *err);
/** disk_holds(a, what): any of these (enum holds)?  Owners and modes are tried in every run, on a
 * nameless file in the target; what was not tried is taken for held. */
bool disk_holds(struct apply *a, unsigned what);

/**
 * meta_of(a, path, mode, owner, mtime, ret, err): owner names resolved to numbers of this machine;
 * without root, ours instead, noted in a->no_owner.  Errors: RC_POLICY: not known here;
 * RC_IO: nobody can tell at the moment; RC_MALFORMED.
 */
int meta_of(struct apply *a, const char *path, uint16_t mode, const char *owner, int64_t mtime,
	    struct meta *ret, struct err *err);
#define COARSE_S 2 /* seconds: the coarsest file times in use, FAT's */
/** meta_time_held(want, is): is this the time that was asked for, as far as a file system can hold
 * it? */
bool meta_time_held(int64_t want, int64_t is);
/** meta_fits(kind, s, m): does the disk say so already?  Groups count only for root.
 * meta_differs(kind, s, m): which of owner and mode do not, as bits of enum holds, whatever the
 * time. meta_off(a, kind, s, m): do they differ, though this file system could hold what was
 * published? Then somebody set them, or whose they are did not let us. */
bool meta_fits(uint8_t kind, const struct seen *s, const struct meta *m);
unsigned meta_differs(uint8_t kind, const struct seen *s, const struct meta *m);
bool meta_off(struct apply *a, uint8_t kind, const struct seen *s, const struct meta *m);
/**
 * meta_in_place(kind, s, m): may ${m} be set on the file or link that was seen?  Another owner,
 * set-id bits, or less permission to write are only for a fresh copy, which nobody has open.
 */
bool meta_in_place(uint8_t kind, const struct seen *s, const struct meta *m);
/**
 * meta_set(a, dirfd, name, was, m, err): set ${m} on what the plan judged, ${was}, and on nothing
 * else: 1 done, 0 that is not there any more (or is another content, or got another name).
 * meta_set_dir(a, fd, was, m, err): the same of an open directory; fd may be O_PATH.
 */
int meta_set(struct apply *a, int dirfd, const char *name, const struct seen *was,
	     const struct meta *m, struct err *err);
int meta_set_dir(struct apply *a, int fd, const struct seen *was, const struct meta *m,
		 struct err *err);
/** meta_set_made(dirfd, name, m, err): of what was just made in the staging area. */
int meta_set_made(int dirfd, const char *name, const struct meta *m, struct err *err);
/**
 * meta_set_fd(fd, m, err): of an open file or directory.  meta_set_new(fd, st, m, err): the same
 * when ${st} is known.  What the file system cannot hold is no error; it is found as an adaptation
 * later.  Set-id bits are left out where the owner could not be set.
 */
int meta_set_fd(int fd, const struct meta *m, struct err *err);
int meta_set_new(int fd, const struct stat *st, const struct meta *m, struct err *err);

/* Check and plan */

/**
 * check_lines(a, err): order, counts and bytes against the manifest, and each line against what
 * this target allows; of one of several bundles only the former.  RC_MALFORMED, RC_PATH, RC_POLICY,
 * RC_LIMIT.
 * check_allowed(a, err): the latter, when they have become one.
 */
int check_lines(struct apply *a, struct err *err);
int check_allowed(struct apply *a, struct err *err);
/** check_merge(a, err): a bundle from 0 onto a tree that holds something: deletions of what it does
 * not name are added to the list. */
int check_merge(struct apply *a, struct err *err);
/**
 * plan_run(a, err): decide every line from index and disk: actions into a->line, operations into
 * the journal, counts into the preview.  Changes nothing else.  Errors: RC_CONFLICT: local changes
 * with LOCAL_FAIL; RC_POLICY, RC_IO.
 */
int plan_run(struct apply *a, struct err *err);
/** plan_space(a, err): free space and inodes into the preview; RC_SPACE. */
int plan_space(struct apply *a, struct err *err);

/* Several bundles as one */

/**
 * join_new(a, b, n, err): ${n} bundles, borrowed, into a->join; a->b becomes the one that they are
 * together.  RC_INTERNAL: they do not follow each other.
 * join_free(j): release it; NULL is fine.
 */
int join_new(struct apply *a, const struct apply_bundle *b, size_t n, struct err *err);
void join_free(struct join *j);
/** join_read(a, err): the list of each, its form checked.
 * join_lists(a, err): one list of all into a->list, with the index of the base at hand. */
int join_read(struct apply *a, struct err *err);
int join_lists(struct apply *a, struct err *err);

/* Reader */

struct reader {
	struct child child;
	int pipe;                   /* owned */
	struct depot *depot;        /* borrowed: what is waited for */
	_Atomic uint64_t *verified; /* owned, shared with the child: bytes of the bundle */
	uint64_t credited, payload; /* of these so far; how many there can be */
};
#define READER_INIT                             \
	{                                       \
		.child = CHILD_INIT, .pipe = -1 \
	}
/**
 * reader_start(b, ret, err): open the bundle (or its parts) through the depot and start the
 * confined process that verifies, unpacks and hands its bytes over a pipe.  Errors: RC_IO,
 * RC_TIMEOUT, RC_AGAIN, RC_LIMIT: too many parts.
 * reader_stop(r): kill it and close; fine on an empty one.
 */
int reader_start(const struct apply_bundle *b, struct reader *ret, struct err *err);
void reader_stop(struct reader *r);
/** reader_read(r, p, max, err): bytes, 0 at the end of the stream; RC_TIMEOUT. */
ssize_t reader_read(struct reader *r, uint8_t *p, size_t max, struct err *err);
/** reader_changes(r, b, s, err): the list into a file, its digest compared. */
int reader_changes(struct reader *r, const struct apply_bundle *b, struct changelist *s,
		   struct err *err);
/** reader_end(r, err): what the reader says at its end; 0 when everything was read and good. */
int reader_end(struct reader *r, struct err *err);

/* Header of a member in the stream: LE 32-bit length of the name, LE 64-bit size, then the name. */
#define MEMBER_HEADER 12
#define MEMBER_NAME   (3 * LIMIT_PATH + 64)

/* Directories of our own where others may write: apply_area.c */

/** area_mark(a, make, err): the tree's mark into a->mark; ${make}: one is made and committed.
 * area_mark_renew(a, err): another one, committed; what has the old one is never touched again. */
int area_mark(struct apply *a, bool make, struct err *err);
int area_mark_renew(struct apply *a, struct err *err);
/**
 * area_make(a, holderfd, base, ret_name, err): an empty, marked directory called ${base}, or
 * another name where that is not ours; its descriptor.  RC_POLICY: none could be had; RC_IO.
 * area_open(a, holderfd, name, marked): one that is there; -1 there is none, -2 it is not ours;
 * without ${marked} an empty one is as well.  area_open_old(a, holderfd, name): of a journal of a
 * version that knew no mark; -1.
 */
int area_make(struct apply *a, int holderfd, const char *base, char ret_name[AREA_NAME],
	      struct err *err);
int area_open(struct apply *a, int holderfd, const char *name, bool marked);
int area_open_old(struct apply *a, int holderfd, const char *name);
/** area_search(a, holderfd, each, err): every marked one, whatever its name; anything but 0 from
 * ${each} ends it. */
int area_search(struct apply *a, int holderfd,
		int (*each)(struct apply *a, int holderfd, const char *name), struct err *err);
/**
 * area_clear(a, fd, err): all of it but the mark.  area_remove(a, holderfd, name, fd, err): the
 * directory as well.  What others put into a directory that was taken out is kept, not removed.
 */
int area_clear(struct apply *a, int fd, struct err *err);
/** area_clear_entry(a, entry, err): one entry of it, which is not the mark. */
struct dir_entry;
int area_clear_entry(struct apply *a, const struct dir_entry *entry, struct err *err);
int area_remove(struct apply *a, int holderfd, const char *name, int fd, struct err *err);
/**
 * kept_open(a, err): the directory where local changes are kept, into a->keptfd and a->kept.
 * RC_POLICY: its name is taken, and every other one as well.
 * keep_slot(a, slot, path, err): move ${slot} of the staging area there, as the local version of
 * ${path}; NULL: what somebody put into a directory after it was taken out.
 */
int kept_open(struct apply *a, struct err *err);
int keep_slot(struct apply *a, const char *slot, const char *path, struct err *err);

/* Stage */

/**
 * stage_open(a, err): an empty staging area, beside the target where entries can be renamed from
 * there, else inside.  RC_IO, RC_POLICY: it belongs to somebody else.
 */
int stage_open(struct apply *a, struct err *err);
/** stage_find(a, err): that of an interrupted run: 1, or 0 when it is not where the run left it. */
int stage_find(struct apply *a, struct err *err);
/** stage_holder_open(a, inside, err): the directory that holds it: the target, or the one above. */
int stage_holder_open(struct apply *a, bool inside, struct err *err);
/**
 * stage_remove(a): with all that is in it, wiped for the private tree.  A failure is a warning:
 * the next run sweeps.
 */
void stage_remove(struct apply *a);
/** stage_sweep(a): what a run left that could not clear away behind it, or was killed before its
 * journal was written. */
void stage_sweep(struct apply *a);
/** stage_fill(a, r, err): everything that the plan asks for; inodes into the lines. */
int stage_fill(struct apply *a, struct reader *r, struct err *err);
/**
 * stage_flush(a, err): everything that was staged is on the medium: the file system as a whole, or
 * for few files the directories only (each file was flushed by itself).  RC_IO.
 */
int stage_flush(struct apply *a, struct err *err);
/** stage_path(dst, op, path, skip): where ${path} is staged: op's name and what follows
 * ${skip} bytes. */
void stage_path(char dst[LIMIT_PATH + 32], uint32_t op, const char *path, size_t skip);
/** stage_slot(dst, letter, n): "n12": staged, or taken out by exchange; "o12": moved aside. */
void stage_slot(char dst[16], char letter, uint32_t n);

/* Pool */

struct file_spec {
	struct meta meta;
	uint64_t size;
	struct digest digest;
	struct line *line; /* gets the inode */
	uint32_t op;
	uint32_t skip; /* bytes of path that op's name stands for */
};

struct pool;
struct arena {
	uint8_t *p;
	size_t cap;
	unsigned refs;
	struct arena *next;
};
#define ARENA_BYTES (1u << 20)
#define SMALL_FILE  (256u << 10) /* files up to here are written in one piece */

/**
 * pool_new(stagefd, sync_each, ret, err): start the threads; ${sync_each}: each file is flushed by
 * itself.  Owned by the caller.  RC_MEMORY, RC_IO.
 */
int pool_new(int stagefd, bool sync_each, struct pool **ret, struct err *err);
/**
 * pool_freep(p): wait for the threads; what is queued is dropped.  Arenas are wiped, since private
 * channels hold keys.  NULL is fine.
 */
void pool_freep(struct pool **p);
/**
 * pool_arena(p, err): an empty one with one reference, the caller's; waits for a thread to give
 * one back.  NULL on failure.
 * pool_arena_put(p, a): give that reference back; batches hold their own.
 */
struct arena *pool_arena(struct pool *p, struct err *err);
void pool_arena_put(struct pool *p, struct arena *a);
/** pool_small(p, a, content, path, w, err): a whole file, inside arena ${a}. */
int pool_small(struct pool *p, struct arena *a, struct bytes content, const char *path,
	       const struct file_spec *w, struct err *err);
/** pool_copy(p, fromfd, from, path, w, err): a file from one that is there; when that is another
 * content by now, the line of ${w} stays without inode. */
int pool_copy(struct pool *p, int fromfd, const char *from, const char *path,
	      const struct file_spec *w, struct err *err);
/** pool_flush(p, err): hand over the small files that were gathered. */
int pool_flush(struct pool *p, struct err *err);
/**
 * A large file, in pieces, in order; written when all have come.
 * pool_large(p, path, w, err): begin it; ${path} and ${w} are copied, w->line is borrowed until
 * pool_wait.
 * pool_piece(p, a, piece, err): the next bytes, inside arena ${a}; together exactly w->size.
 * Errors: RC_MEMORY, or the first error of any thread.
 */
int pool_large(struct pool *p, const char *path, const struct file_spec *w, struct err *err);
int pool_piece(struct pool *p, struct arena *a, struct bytes piece, struct err *err);
/** pool_wait(p, err): until everything is written; the first error. */
int pool_wait(struct pool *p, struct err *err);

/* Sink */

/** A file being written: created, fed, compared, given its metadata. */
struct sink {
	int fd; /* owned; -1: not created yet */
	struct digest_stream hash;
	uint64_t at; /* bytes so far */
	bool holes;
};

/** A whole file to be staged. */
struct staged {
	struct file_spec want;
	struct bytes content; /* inside an arena */
	char *path;           /* owned */
	char *from;           /* owned; a copy: its source, below ${fromfd}; else NULL */
	int fromfd;           /* borrowed */
};

/** What each thread that writes has of its own. */
struct writer {
	bool sync_each;   /* each file is flushed by itself */
	struct dirs dirs; /* of the staging area */
	uint8_t *buffer;  /* owned; for copies: ARENA_BYTES, or NULL still */
};

/**
 * sink_small(f, i, err): a file whose content is at hand.
 * sink_copy(f, i, err): one that is read from another file; when that is another content by now,
 * the line of it stays without inode. sink_piece(f, k, path, w, piece, err): the next bytes of a
 * file into ${k}, which is opened with the first and ended with the last; the inode is then in
 * w->line. Errors: RC_IO, RC_SPACE, RC_POLICY; RC_MALFORMED: it is not what was signed.
 */
int sink_small(struct writer *f, const struct staged *i, struct err *err);
int sink_copy(struct writer *f, const struct staged *i, struct err *err);
int sink_piece(struct writer *f, struct sink *k, const char *path, const struct file_spec *w,
	       struct bytes piece, struct err *err);
/** sink_clear(k): close; the file stays.  For OWNED. */
void sink_clear(struct sink *k);

/* Journal */

/**
 * journal_begin(a, err): the row of the run, in the open transaction.
 * journal_add(a, op, err): one operation; it gets its number.  A dry run only counts.
 */
int journal_begin(struct apply *a, struct err *err);
int journal_add(struct apply *a, struct op *op, struct err *err);
/** journal_placed(a, n, ino, err): what operation ${n} places is the inode ${ino}.
 * journal_path(a, n, dst, ret_ino, err): the path of operation ${n}, and the inode that it places.
 * RC_INTERNAL: there is none.
 * journal_moved(a, path, ret, err): the operation that takes ${path} out or places it; 1, or 0 when
 * there is none.  journal_count(a, ret, err): operations of the run. */
int journal_placed(struct apply *a, uint32_t n, uint64_t ino, struct err *err);
int journal_path(struct apply *a, uint32_t n, char dst[LIMIT_PATH + 1], uint64_t *ret_ino,
		 struct err *err);
int journal_moved(struct apply *a, const char *path, uint32_t *ret, struct err *err);
int journal_count(struct apply *a, uint32_t *ret, struct err *err);
/** journal_staged(a, err): the inodes of what was staged into the operations and lines. */
int journal_staged(struct apply *a, struct err *err);
/** journal_area(a, err): the staging area of the run is another one now: a->stage. */
int journal_area(struct apply *a, struct err *err);
/** journal_void(a): after a commit that failed: SQLite has rolled it back, but a flush that fails
 * leaves open what the disk holds.  True when it is sure that the journal is not there. */
bool journal_void(struct apply *a);
/** journal_each(a, kinds, down, each, err): operations of these kinds (bits 1 << enum op_kind),
 * ascending or descending. */
int journal_each(struct apply *a, unsigned kinds, bool down,
		 int (*each)(struct apply *a, const struct op *op, struct err *err),
		 struct err *err);
/**
 * journal_keep(a, n, err): what operation ${n} took out was changed by a person after all, and
 * must be kept.
 */
int journal_keep(struct apply *a, uint32_t n, struct err *err);
/** journal_find(s, tree, ret, err): the run that was not finished: 1 there is one. */
int journal_find(struct station *s, const char *tree, struct run *ret, struct err *err);
/**
 * journal_lines(a, err): what was decided for the lines, back into a->line.  RC_STATE: it does not
 * fit the list.
 */
int journal_lines(struct apply *a, struct err *err);
/**
 * journal_end(a, all, err): every row of it; unless ${all}, those stay that say what must still be
 * kept.
 */
int journal_end(struct apply *a, bool all, struct err *err);

/* Commit, undo, finish */

/** commit_forward(a, err): from wherever the disk is to where the journal wants it. */
int commit_forward(struct apply *a, struct err *err);
/** out_expected(a, op, slot, out, doubt, err): is ${out}, which lies in ${slot}, what the plan saw?
 * 1 yes, 0 a local change; ${doubt}: stat alone does not settle it. */
int out_expected(struct apply *a, const struct op *op, const char *slot, struct seen *out,
		 bool doubt, struct err *err);
/** op_placed(a, op, s): is ${s}, which lies at the path of ${op}, what it places? */
bool op_placed(struct apply *a, const struct op *op, const struct seen *s);
/** commit_flush(a, err): the target, durably. */
int commit_flush(struct apply *a, struct err *err);
/**
 * commit_undo(a, err): from wherever the disk is back to what it was, flushed.  An old entry whose
 * place somebody else has taken is kept.  Can be cut off and run again.
 * commit_undone(a, err): 1 when everything that was there before is there again, 0 when something
 * is not.
 */
int commit_undo(struct apply *a, struct err *err);
int commit_undone(struct apply *a, struct err *err);
/** commit_kept(a, err): local changes that were taken out, from the staging area to where people
 * find them. */
int commit_kept(struct apply *a, struct err *err);
/**
 * move_entry(fromfd, from, tofd, to, flags): renameat2(2), and its errno; where the file system has
 * no RENAME_NOREPLACE it looks first.  A directory that forbids it is opened up (its metadata is
 * set again at the end).
 */
int move_entry(int fromfd, const char *from, int tofd, const char *to, unsigned flags);
/**
 * move_rest(fromfd, from, tofd, to): what is in a directory into another one, which gets its
 * metadata, and remove it: 0, or -1 and errno.
 * move_out(op, fd, name, tofd, slot): what ${op} takes out, into its slot; a directory that was
 * moved half before, the rest of it.
 * move_out_rest(op, fd, name, tofd, slot): that rest alone, when the slot is there.
 * move_back(op, fromfd, slot, fd, name): back again.
 */
int move_rest(int fromfd, const char *from, int tofd, const char *to);
int move_out(const struct op *op, int fd, const char *name, int tofd, const char *slot);
int move_out_rest(const struct op *op, int fd, const char *name, int tofd, const char *slot);
int move_back(const struct op *op, int fromfd, const char *slot, int fd, const char *name);

/* What can be undone later: apply_past.c */

/** past_record(a, err): what every line's path was before, in the transaction that ends the run,
 * while the index has its old rows still.
 * past_commit(a, before, now, err): which generation is the floor now; in the same transaction. */
int past_record(struct apply *a, struct err *err);
int past_commit(struct apply *a, const struct applied *before, const struct applied *now,
		struct err *err);
/** past_floor(a, offered, err): RC_REPLAY: a generation that was left again here. */
int past_floor(const struct apply *a, const struct applied *offered, struct err *err);
/** past_settle(a): after a run that is done, instead of stage_remove: what it took out stays, as
 * far as it is wanted.  A failure is a warning.  past_recover(a, err): the same for a run that died
 * before that. */
void past_settle(struct apply *a);
int past_recover(struct apply *a, struct err *err);
/** past_release(a): give up all that is kept, to make room; false when there is nothing. */
bool past_release(struct apply *a);
/** past_content(a, digest, n, dst, err): the n-th place, from 0, where an old content may lie: a
 * descriptor, borrowed until past_clear, of the directory that ${dst} is in; -1: none there.
 * past_clear(a): close them. */
#define PAST_PLACES 12u
int past_content(struct apply *a, const struct digest *digest, unsigned n,
		 char dst[LIMIT_PATH + 32], struct err *err);
void past_clear(struct apply *a);

/* Index */

/** rows_verify(a, err): would the tree be the one that was signed?  Nothing stays. */
int rows_verify(struct apply *a, struct err *err);
/** rows_finish(a, err): the rows of what lies there now. */
int rows_finish(struct apply *a, struct err *err);
/** rows_undone(a, err): after everything was put back. */
int rows_undone(struct apply *a, struct err *err);

#endif
