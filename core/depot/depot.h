/* SPDX-License-Identifier: ISC */
/*
 * A depot: a directory that both sides can reach and that anybody may write.  Everything in it is
 * hostile.  All calls run in a helper process that owns no lock and is abandoned when it is silent
 * for too long, because a dead share hangs stat(2) as well. Source: docs/FORMAT.md section 3.
 */
#ifndef SATCHEL_CORE_DEPOT_DEPOT_H
#define SATCHEL_CORE_DEPOT_DEPOT_H

#include "core/base/digest.h"
#include "core/base/limits.h"
#include "core/base/reporter.h"

struct depot; /* owned: the helper and what it told */

enum depot_flags {
	DEPOT_WRITE = 1 << 0,
	DEPOT_VERIFY = 1 << 1,  /* read back past the page cache after writing */
	DEPOT_CREATE = 1 << 2,  /* make the directory (not its parents) when it is absent */
	DEPOT_NO_LINK = 1 << 3, /* RC_PATH when it is a symbolic link: on a medium it is whoever
				   owns that who says where it leads */
};

/**
 * depot_open(path, flags, silence_s, ret, err): start the helper and let it open the directory.
 * The marker is a hint: it is neither looked at nor made here.
 * Every call on a depot may fail with RC_TIMEOUT, after ${silence_s} (0: LIMIT_DEPOT_SILENCE)
 * without a sign of life; the helper is killed then, and every later call fails at once.  Sentences
 * begin with the depot's path.  Paths are of names that depot_list gives; others are RC_PATH.
 * It also fails with RC_TIMEOUT once the depot has cost more than its budget (below).
 * Forks: only while the process has one thread.
 */
int depot_open(const char *path, enum depot_flags flags, int silence_s, struct depot **ret,
	       struct err *err);
/**
 * depot_free(d), depot_freep(d): let the helper end, and kill it after a second; errno may
 * change.  NULL is fine; depot_free returns NULL.
 * depot_path(d): as it was given to depot_open; borrowed.
 */
struct depot *depot_free(struct depot *d);
void depot_freep(struct depot **d);
const char *depot_path(const struct depot *d);

/*
 * What a depot may cost from its opening to its end: LIMIT_DEPOT_SECONDS of waiting for it,
 * LIMIT_DEPOT_ENTRIES listed and LIMIT_DEPOT_BYTES read.  Only waiting counts, not what the caller
 * does in between.  A depot that answers a little at a time is never silent, and would hold the run
 * and its lock for ever.  What proved good wins time, entries and bytes back, at LIMIT_DEPOT_RATE,
 * but never more than there was at the beginning: a large bundle may take hours, junk may not, and
 * nothing can be saved up for later.  Once it is over, every call fails at once with the same
 * sentence.
 */
/**
 * depot_hurry(d, seconds): only ${seconds} of waiting, for a medium that may be anybody's.  It
 * never adds any. depot_credit(d, files, bytes): so many documents and bytes of what came proved
 * good.  What is written counts by itself. depot_waiting(d): milliseconds that the caller may wait
 * for the depot by itself, on a descriptor from depot_fd; depot_waited(d, since, err): it has
 * waited since ${since} (clock_monotonic_ms). RC_TIMEOUT: the budget is over. depot_over(d, ret):
 * was it given up for its silence or its budget?  ${ret} says how. depot_left(d): percent of the
 * budget that are left, of what is scarcest.
 */
void depot_hurry(struct depot *d, int seconds);
void depot_credit(struct depot *d, uint64_t files, uint64_t bytes);
int depot_waiting(const struct depot *d);
int depot_waited(struct depot *d, int64_t since, struct err *err);
bool depot_over(const struct depot *d, struct err *ret);
unsigned depot_left(const struct depot *d);

/**
 * depot_list(d, dir, each, arg, err): the regular files of one directory ("." for the top) whose
 * names could be ours ([a-z0-9._-], no dot first), in no order; size is what stat said.  An absent
 * directory is an empty one.  RC_LIMIT after LIMIT_DEPOT_FILES entries of any kind, which ${each}
 * has seen by then; RC_TYPE when it is no directory.
 * ${each} runs in this process and may call everything here (8 listings within each other); what it
 * returns below 0 ends the listing and is returned.
 */
int depot_list(struct depot *d, const char *dir,
	       int (*each)(void *arg, const char *name, uint64_t size, struct err *err), void *arg,
	       struct err *err);
/** depot_list_most(d, dir, most, each, arg, err): likewise, with RC_LIMIT after ${most} entries:
 * for who can do without the rest. */
int depot_list_most(struct depot *d, const char *dir, uint64_t most,
		    int (*each)(void *arg, const char *name, uint64_t size, struct err *err),
		    void *arg, struct err *err);
/** depot_dirs(d, dir, each, arg, err): its sub-directories, likewise. */
int depot_dirs(struct depot *d, const char *dir,
	       int (*each)(void *arg, const char *name, struct err *err), void *arg,
	       struct err *err);

/**
 * depot_read(d, path, max, ret, err): the whole of a small file, read once.  When the name carries
 * a digest it is compared: RC_INCOMPLETE when it does not fit.  RC_TYPE for what is not a regular
 * file, RC_LIMIT, RC_IO (absent: errno ENOENT).
 */
int depot_read(struct depot *d, const char *path, size_t max, struct buf *ret, struct err *err);

/** depot_fetch(d, path, offset, dst, n, err): exactly ${n} bytes of a large file, for a reader that
 * verifies each block itself. RC_INCOMPLETE when it ends early. */
int depot_fetch(struct depot *d, const char *path, uint64_t offset, uint8_t *dst, size_t n,
		struct err *err);
/** depot_size(d, path, ret, err): bytes of a regular file. */
int depot_size(struct depot *d, const char *path, uint64_t *ret, struct err *err);
/** depot_fd(d, path, err): a read-only descriptor of a regular file, opened by the helper and
 * handed over, for a confined reader process that can be abandoned as well. */
int depot_fd(struct depot *d, const char *path, struct err *err);

/**
 * depot_post(d, path, content, err): write a new file durably (dot-name, fsync, rename, fsync);
 * directories are made, as open as the depot itself. When the name has the same bytes already
 * (compared, past the page cache) nothing is written; anything else under the name is torn and
 * replaced, a directory apart (RC_TYPE).  RC_SPACE with needed and free bytes.
 */
int depot_post(struct depot *d, const char *path, struct bytes content, struct err *err);
/**
 * depot_post_file(d, path, prefix, fd, pieces, n, tail, reporter, err): as depot_post, for a
 * bundle: ${prefix}, then the pieces of ${fd} (borrowed; -1: there are none) in order, then
 * ${tail} zero bytes.  ${reporter} (may be NULL) is told how far it is.
 */
struct depot_piece {
	uint64_t offset, length;
};
int depot_post_file(struct depot *d, const char *path, struct bytes prefix, int fd,
		    const struct depot_piece *pieces, size_t n, size_t tail,
		    struct reporter *reporter, struct err *err);
/**
 * A file in pieces, for content that is verified on its way.  One file at a time; other questions
 * may come in between.
 * depot_stream_begin(d, path, size, sweep, err): make a dot-name for a file of ${size} bytes;
 * ${sweep}: remove first what killed writers of the same name have left.  Errors: RC_SPACE with
 * numbers; RC_TYPE: a directory has the name.
 * depot_stream_more(d, piece, err): append.  It does not wait: a piece that could not be written
 * is told by the next call.
 * depot_stream_flush(d, err): wait until what was given is written.
 * depot_stream_commit(d, err): flush and name it, replacing what had the name, and read it back
 * with DEPOT_VERIFY.
 * depot_stream_abort(d): remove what was begun; fine at any time; errno stays.
 */
int depot_stream_begin(struct depot *d, const char *path, uint64_t size, bool sweep,
		       struct err *err);
int depot_stream_more(struct depot *d, struct bytes piece, struct err *err);
int depot_stream_flush(struct depot *d, struct err *err);
int depot_stream_commit(struct depot *d, struct err *err);
void depot_stream_abort(struct depot *d);
/** depot_remove(d, path, err): absent is fine. */
int depot_remove(struct depot *d, const char *path, struct err *err);
/** depot_where(d, ret, err): the path of the directory itself, without links. */
int depot_where(struct depot *d, struct buf *ret, struct err *err);
/** depot_above(d, ret, err): which directory it is, and which lie above it, up to the root; the
 * list is the caller's to clear, also after a failure. */
struct dir_ids;
int depot_above(struct depot *d, struct dir_ids *ret, struct err *err);
/** depot_free_bytes(d, ret, err): free bytes for us. */
int depot_free_bytes(struct depot *d, uint64_t *ret, struct err *err);

/**
 * depot_examine(in, f): is it at hand, whose is it, may we write in ${dirs} (those that are absent
 * yet are not counted), is there room, what does inotify see, does its clock agree?  Waits
 * ${silence_s} for each answer at most, and changes nothing.  Returns enum examined.
 */
struct findings;
struct depot_examined {
	const char *path;
	const struct digest *site; /* whose it should be */
	const char *no_marker; /* remedy when it holds no marker; NULL: mount what belongs there */
	const char *const *dirs; /* that we write in */
	size_t dirs_n;
	bool needed; /* what fails is wrong; else a warning: another depot may do */
	int silence_s;
	int64_t now;
};
enum examined { EXAMINED_REACHED = 1 << 0, EXAMINED_WRITABLE = 1 << 1 };
unsigned depot_examine(const struct depot_examined *in, struct findings *f);

/* Names (core/depot/names.c).  Each maker fills at most DEPOT_NAME bytes with NUL and includes the
 * directory. */
#define DEPOT_NAME 256
/**
 * name_trust(dst, version, d), name_beat(dst, sequence, d), name_shard(dst, xx, d), name_head(dst,
 * channel, epoch, generation, d), name_bundle(dst, channel, epoch, base, generation, d),
 * name_private(dst, id, epoch, generation, d), name_inbox(dst, id, sequence, d, extension),
 * name_volume(dst, volume, of, d): the path below the depot of a document with these numbers and
 * the identity ${d}; of a bundle ${d} is the digest of its prefix.  ${extension} is "receipt" or
 * "request".  Nothing is checked: names of channels and ids are the caller's.
 * Source: docs/FORMAT.md section 3.
 */
void name_trust(char dst[DEPOT_NAME], uint64_t version, const struct digest *d);
void name_beat(char dst[DEPOT_NAME], uint64_t sequence, const struct digest *d);
void name_shard(char dst[DEPOT_NAME], uint8_t xx, const struct digest *d);
void name_head(char dst[DEPOT_NAME], const char *channel, uint64_t epoch, uint64_t generation,
	       const struct digest *d);
void name_bundle(char dst[DEPOT_NAME], const char *channel, uint64_t epoch, uint64_t base,
		 uint64_t generation, const struct digest *d);
void name_private(char dst[DEPOT_NAME], const char *id, uint64_t epoch, uint64_t generation,
		  const struct digest *d);
void name_inbox(char dst[DEPOT_NAME], const char *id, uint64_t sequence, const struct digest *d,
		const char *extension);

void name_volume(char dst[DEPOT_NAME], uint64_t volume, uint64_t of, const struct digest *d);
/** name_part(dst, bundle, part, blocks): part ${part} (from 1) of the bundle at ${bundle}, cut
 * every
 * ${blocks} blocks. */
void name_part(char dst[DEPOT_NAME], const char *bundle, uint32_t part, uint32_t blocks);

enum name_kind {
	NAME_OTHER,
	NAME_TRUST,
	NAME_BEAT,
	NAME_SHARD,
	NAME_HEAD,
	NAME_BUNDLE,
	NAME_PRIVATE,
	NAME_RECEIPT,
	NAME_REQUEST,
	NAME_PART,  /* of a channel's bundle */
	NAME_VOLUME /* base: which of several, from 1; number: how many */
};
struct name {
	enum name_kind kind;
	char channel[64];             /* head, bundle, part */
	char id[33];                  /* private, receipt, request */
	uint8_t xx;                   /* shard */
	uint64_t epoch, base, number; /* number: version, sequence, generation */
	char digest[DIGEST_NAME + 1];
	uint32_t part, blocks; /* part: which, from 1; how many blocks each of them has */
};
/** name_parse(path, ret): a path below the depot; NAME_OTHER when it is none of ours.  A name is
 * only a hint of where to look. */
enum name_kind name_parse(const char *path, struct name *ret);
/** name_fits(name, content): does the digest of ${content} begin as the name says? (not for
 * bundles) */
bool name_fits(const struct name *name, struct bytes content);

#endif
