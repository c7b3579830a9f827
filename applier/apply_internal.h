/*
 * Apply, inside.  What its files share: the list of changes on disk , what is decided for
 * each of its lines, the operations of the journal, the staging area, and the reader process.
 *
 *   apply.c          the order of things, what is held
 *   apply_reader.c   the confined process that turns a bundle into bytes
 *   apply_list.c    the list of changes in a file, read line by line
 *   apply_check.c    lines against the manifest; deletions that a full bundle implies
 *   apply_plan.c     one decision for each line, from index and disk
 *   apply_disk.c     what lies at a path; is it what the index says
 *   apply_stage.c    the staging area; apply_fill.c, apply_copy.c, apply_seal.c: what is made in it
 *   apply_pool.c     threads that hash and write contents; apply_sink.c: one file
 *   apply_journal.c  rows of run, operations, lines
 *   apply_commit.c   renames in phases; apply_undo.c: the way back
 *   apply_index.c    the new rows of the index, before (is the tree the signed one) and after
 *   apply_recover.c  what a killed run left
 */
#ifndef SATCHEL_APPLIER_APPLY_INTERNAL_H
#define SATCHEL_APPLIER_APPLY_INTERNAL_H

#include <sys/stat.h>

#include "applier/apply.h"
#include "core/os/child.h"
#include "core/tree/index.h"

/* Names that no payload may use: our own directories beside or inside a target. */
#define STAGE_INSIDE ".satchel-stage"
#define KEPT_NAME    ".satchel-kept"

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

struct feed {
	const struct changelist *list; /* borrowed */
	uint64_t offset;               /* of the bytes after what is buffered */
	uint8_t *p;                    /* owned */
	size_t from, to;               /* unread part of it */
	uint64_t line;                 /* number of the line that comes next */
	size_t step;                   /* bytes read at a time */
};
int feed_open(const struct changelist *s, struct feed *ret, struct err *err);
void feed_clear(struct feed *c);
/** feed_next(c, ret, err): 1 a line, 0 the end.  feed_raw: the line itself, valid until the
 * next call. */
int feed_next(struct feed *c, struct change *ret, struct err *err);
int feed_raw(struct feed *c, struct bytes *ret, struct err *err);
/** feed_next_of(c, words, ret, err): the next line that begins with one of these, NULL at their
 * end; the others are not taken apart. */
int feed_next_of(struct feed *c, const char *const *words, struct change *ret, struct err *err);
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
	uint16_t mode;
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

struct run {
	int64_t id;
	uint64_t epoch, generation;
	struct digest tree;    /* after it */
	struct digest changes; /* of the list */
	enum local_answer local;
	enum run_state state;
	bool inside; /* where the staging area is */
};

struct stage {
	int fd;       /* owned; -1 while there is none */
	int holderfd; /* owned; directory that holds it */
	char name[96];
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
	enum apply_flags flags;
	struct run run;
	struct index *index; /* owned */
	bool fresh;          /* the index is empty */
	int targetfd;        /* owned; -1 while there is none */
	bool made_target;    /* by this run */
	struct dirs dirs;    /* below the target */
	struct changelist list;
	struct line *line; /* owned; a mapping of lines + 1 elements, one for each line */
	struct stage stage;
	struct apply_preview preview;
	uint32_t ops;            /* operations so far */
	uint64_t files;          /* contents to stage */
	uint64_t trees;          /* directories to stage */
	bool no_exchange;        /* the file system has none */
	bool sync_each;          /* few files: each is flushed by itself */
	bool no_owner;           /* owners could not be set: not root */
	bool no_times, no_modes; /* the file system does not hold them */
	char owner[OWNER_MAX];   /* resolved last */
	uint32_t uid, gid;       /* what it is here */
};

int apply_open(struct apply *a, struct station *s, const struct apply_target *t, struct err *err);
void apply_clear(struct apply *a);
/** apply_lines(a, err): the mapping for the list's lines. */
int apply_lines(struct apply *a, struct err *err);

/* Disk */

/** dirs_parent(d, path, ret_name, err): descriptor of the directory that holds ${path}; borrowed.
 */
int dirs_parent(struct dirs *d, const char *path, const char **ret_name, struct err *err);
/** dirs_open(d, path, err): of the directory ${path} itself; borrowed. */
int dirs_open(struct dirs *d, const char *path, size_t len, struct err *err);
void dirs_clear(struct dirs *d);
/** seen_at(dirfd, name, ret, err): 1 something is there, 0 nothing, negative; the root of another
 * mount is RC_POLICY. */
int seen_at(int dirfd, const char *name, struct seen *ret, struct err *err);
/** seen_digest(dirfd, name, s, err): read the file and hash it, when that was not done yet. */
int seen_digest(int dirfd, const char *name, struct seen *s, struct err *err);
/** seen_same(a, b): the same inode, with the same content as far as stat tells. */
bool seen_same(const struct seen *a, const struct seen *b);
/** dir_empty(dirfd, name, err): 1 yes, 0 no. */
int dir_empty(int dirfd, const char *name, struct err *err);

enum found {
	FOUND_NOTHING,
	FOUND_BASE,   /* what the index says */
	FOUND_WANTED, /* what the change asks for, already */
	FOUND_LOCAL   /* something else: a person's, or a program's */
};
/** disk_judge(a, c, e, dirfd, name, s, ret, err): ${s} is what is there, ${e} the index's row or
 * NULL. */
int disk_judge(const struct change *c, const struct entry *e, int dirfd, const char *name,
	       struct seen *s, enum found *ret, struct err *err);

/** meta_of(a, c, ret, err): owner names resolved: RC_POLICY when they are not allowed or not known.
 */
int meta_of(struct apply *a, const char *path, uint16_t mode, const char *owner, int64_t mtime,
	    struct meta *ret, struct err *err);
/** meta_fits(a, kind, s, m): does the disk say so already? */
bool meta_fits(uint8_t kind, const struct seen *s, const struct meta *m);
/** meta_set(dirfd, name, what, m, err): on ${what} was seen there, and nothing that took its place:
 * a link, or a file that has other names elsewhere. */
int meta_set(int dirfd, const char *name, const struct seen *what, const struct meta *m,
	     struct err *err);
/** meta_set_fd(fd, m, err): of an open file or directory; meta_set_new: that was looked at. */
int meta_set_fd(int fd, const struct meta *m, struct err *err);
int meta_set_new(int fd, const struct stat *st, const struct meta *m, struct err *err);

/* Check and plan */

int check_lines(struct apply *a, struct err *err);
/** check_merge(a, err): a bundle from 0 onto a tree that holds something: deletions of what it does
 * not name are added to the list. */
int check_merge(struct apply *a, struct err *err);
int plan_run(struct apply *a, struct err *err);
/** plan_space(a, err): free space and inodes into the preview; RC_SPACE. */
int plan_space(struct apply *a, struct err *err);

/* Reader */

struct reader {
	struct child child;
	int pipe; /* owned */
};
#define READER_INIT            \
	{                      \
		CHILD_INIT, -1 \
	}
int reader_start(const struct apply_bundle *b, struct reader *ret, struct err *err);
void reader_stop(struct reader *r);
/** reader_read(r, p, max, err): bytes, 0 at the end of the stream; RC_TIMEOUT. */
ssize_t reader_read(struct reader *r, uint8_t *p, size_t max, struct err *err);
/** reader_changes(r, m, s, err): the list into a file, its digest compared. */
int reader_changes(struct reader *r, const struct manifest *m, struct changelist *s,
		   struct err *err);
/** reader_end(r, err): what the reader says at its end; 0 when everything was read and good. */
int reader_end(struct reader *r, struct err *err);

/* Header of a member in the stream: LE 32-bit length of the name, LE 64-bit size, then the name. */
#define MEMBER_HEADER 12
#define MEMBER_NAME   (3 * LIMIT_PATH + 64)

/* Stage */

int stage_open(struct apply *a, struct err *err);
/** stage_find(a, err): that of an interrupted run. */
int stage_find(struct apply *a, struct err *err);
void stage_remove(struct apply *a);
/** stage_sweep(a): what a run left that could not clear away behind it, or was killed before its
 * journal was written. */
void stage_sweep(struct apply *a);
/** stage_fill(a, r, err): everything that the plan asks for; inodes into the lines. */
int stage_fill(struct apply *a, struct reader *r, struct err *err);
int stage_flush(struct apply *a, struct err *err);
/** stage_path(dst, op, path, skip): where ${path} is staged: op's name and what follows
 * ${skip} bytes. */
void stage_path(char dst[LIMIT_PATH + 32], uint32_t op, const char *path, size_t skip);
/** stage_slot(dst, letter, n): "n12": staged, or taken out by exchange; "o12": moved aside. */
void stage_slot(char dst[16], char letter, uint32_t n);

/* Pool */

struct want {
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

int pool_new(int stagefd, bool sync_each, struct pool **ret, struct err *err);
/** pool_free(p): waits for the threads; what is queued is dropped after an error. */
struct pool *pool_free(struct pool *p);
void pool_freep(struct pool **p);
/** pool_arena(p, err): an empty one; waits for a thread to give one back. */
struct arena *pool_arena(struct pool *p, struct err *err);
void pool_arena_put(struct pool *p, struct arena *a);
/** pool_small(p, a, content, path, w, err): a whole file, inside arena ${a}. */
int pool_small(struct pool *p, struct arena *a, struct bytes content, const char *path,
	       const struct want *w, struct err *err);
/** pool_copy(p, fromfd, from, path, w, err): a file from one that is there; when that is another
 * content by now, the line of ${w} stays without inode. */
int pool_copy(struct pool *p, int fromfd, const char *from, const char *path, const struct want *w,
	      struct err *err);
/** pool_flush(p, err): hand over the small files that were gathered. */
int pool_flush(struct pool *p, struct err *err);
/** pool_large, pool_piece: a large file, in pieces, in order; written when all have come. */
int pool_large(struct pool *p, const char *path, const struct want *w, struct err *err);
int pool_piece(struct pool *p, struct arena *a, struct bytes piece, struct err *err);
/** pool_wait(p, err): until everything is written; the first error. */
int pool_wait(struct pool *p, struct err *err);

/** A file being written: created, fed, compared, given its metadata. */
struct sink {
	int fd; /* owned */
	struct digest_stream hash;
	uint64_t at; /* bytes so far */
	bool holes;
};
int sink_open(struct sink *k, int dirfd, const char *name, const struct want *w, struct err *err);
int sink_write(struct sink *k, struct bytes piece, struct err *err);
/** sink_clone(k, in, w, buffer, n, err): the blocks of ${in} shared, and hashed: 1 done, 0 not on
 * this file system. */
int sink_clone(struct sink *k, int in, const struct want *w, uint8_t *buffer, size_t n,
	       struct err *err);
/** sink_fits(k, w): is what was written what is wanted? */
bool sink_fits(const struct sink *k, const struct want *w);
int sink_end(struct sink *k, const char *path, const struct want *w, bool sync, struct err *err);
void sink_clear(struct sink *k);

/* Journal */

int journal_begin(struct apply *a, struct err *err);
int journal_add(struct apply *a, struct op *op, struct err *err);
/** journal_staged(a, err): the inodes of what was staged into the operations and lines. */
int journal_staged(struct apply *a, struct err *err);
/** journal_void(a): after a commit that failed: SQLite has rolled it back, but a flush that fails
 * leaves open what the disk holds.  True when it is sure that the journal is not there. */
bool journal_void(struct apply *a);
/** journal_each(a, kinds, down, each, err): operations of these kinds (bits 1 << enum op_kind),
 * ascending or descending. */
int journal_each(struct apply *a, unsigned kinds, bool down,
		 int (*each)(struct apply *a, const struct op *op, struct err *err),
		 struct err *err);
int journal_keep(struct apply *a, uint32_t n, struct err *err);
/** journal_find(s, tree, ret, err): the run that was not finished: 1 there is one. */
int journal_find(struct station *s, const char *tree, struct run *ret, struct err *err);
int journal_lines(struct apply *a, struct err *err);
/** journal_end(a, err): every row of it, but those that say what must still be kept. */
int journal_end(struct apply *a, bool all, struct err *err);

/* Commit, undo, finish */

/** commit_forward(a, err): from wherever the disk is to where the journal wants it. */
int commit_forward(struct apply *a, struct err *err);
/** commit_flush(a, err): the target, durably. */
int commit_flush(struct apply *a, struct err *err);
int commit_undo(struct apply *a, struct err *err);
/** commit_kept(a, err): local changes that were taken out, from the staging area to where people
 * find them. */
int commit_kept(struct apply *a, struct err *err);
/** commit_finish(a, err): in the open transaction: index, generation, end of the journal; commits;
 * then clears away. */
int commit_finish(struct apply *a, struct err *err);
/** move(a, from, name, to, name, err): rename without replacing; a directory that forbids it is
 * opened up (its metadata is set again at the end). */
int move_entry(int fromfd, const char *from, int tofd, const char *to, unsigned flags);

/* Index */

/** rows_verify(a, err): would the tree be the one that was signed?  Nothing stays. */
int rows_verify(struct apply *a, struct err *err);
/** rows_finish(a, err): the rows of what lies there now. */
int rows_finish(struct apply *a, struct err *err);
/** rows_undone(a, err): after everything was put back. */
int rows_undone(struct apply *a, struct err *err);

#endif
