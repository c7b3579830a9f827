/* SPDX-License-Identifier: ISC */
/*
 * The helper: a child of depot.c that touches the directory and answers its questions, so that a
 * dead share hangs a process that can be given up.
 */
#ifndef SATCHEL_CORE_DEPOT_HELPER_HELPER_H
#define SATCHEL_CORE_DEPOT_HELPER_HELPER_H

#include <dirent.h>

#include "core/base/digest.h"
#include "core/depot/wire/wire.h"
#include "core/os/child.h"
#include "core/os/durable.h"

/* Descriptors of directories that may be listed within each other. */
#define LISTINGS 8

struct helper_start {
	const char *path;
	bool create, no_link, write;
};

/**
 * helper_main(arg, fd): the whole life of the helper, for child_start; ${arg} is a struct
 * helper_start.  Answers questions until the other end closes, then removes what was begun.
 * Returns its exit status.
 */
int helper_main(void *arg, int fd);

struct helper_listing {
	DIR *dir; /* owned; NULL when the place is free */
	bool dirs;
	uint64_t seen, most;
};

/* A file that comes in pieces (helper_stream.c). */
struct stream {
	bool begun, verify;
	char path[LIMIT_PATH + 1];
	const char *name; /* in path */
	int dir;          /* owned */
	struct durable file;
	uint64_t size, given, pushed; /* bytes */
	struct digest_stream digest;  /* of what was given */
};

struct helper {
	int fd;   /* to depot.c; borrowed */
	int root; /* of the depot; owned */
	struct helper_listing listings[LISTINGS];
	char fetched[LIMIT_PATH + 1]; /* what ${fetch_fd} is, "" for nothing */
	int fetch_fd;                 /* owned */
	ino_t swept;                  /* directory of the last post; 0: none yet */
	uint8_t *chunk;               /* owned, BLOCK_BYTES */
	struct stream stream;
};

/** One of them for each question; ${passed} is the descriptor that came with it, or -1 (borrowed).
 * 0 when the answer is out. */
typedef int helper_answer(struct helper *h, struct bytes in, int passed, struct err *err);
helper_answer helper_list, helper_next, helper_stop, helper_post;
helper_answer helper_begin, helper_more, helper_commit, helper_abort;
helper_answer helper_probe, helper_try, helper_above, helper_marker;
/**
 * helper_done(h, body, err): TELL_DONE with ${body}.
 * helper_alive(h, phase, done, err): TELL_ALIVE, so that long work is not taken for silence;
 * ${done} is bytes.
 */
int helper_done(struct helper *h, const struct buf *body, struct err *err);
int helper_alive(struct helper *h, enum phase phase, uint64_t done, struct err *err);
/** helper_parent(h, path, ret_name, err): its directory, made when it is missing; a descriptor. */
int helper_parent(struct helper *h, const char *path, const char **ret_name, struct err *err);
/** helper_no_space(path, size, bytes, err): the sentence, with numbers. */
int helper_no_space(const char *path, uint64_t size, uint64_t bytes, struct err *err);
/** helper_write(fd, path, size, p, n, err): as fd_write, with a sentence for a file that is too
 * large for the file system. */
int helper_write(int fd, const char *path, uint64_t size, const void *p, size_t n, struct err *err);
/** helper_taken(path, rc): was it taken out of an inbox before it was read back (${rc})?  Who reads
 * an inbox empties it, and may be that quick; then it has arrived. */
bool helper_taken(const char *path, int rc);
/** helper_push(fd, given, pushed): what was written goes to the medium in windows, so that the
 * flush at the end is short enough for the deadline of silence, also on a stick of 1 MB/s. */
void helper_push(int fd, uint64_t given, uint64_t *pushed);
/**
 * helper_free_bytes(h, ret, err): bytes that we may still write; UINT64_MAX: no limit is known.
 * RC_IO.
 */
int helper_free_bytes(struct helper *h, uint64_t *ret, struct err *err);
/** helper_malformed(err): a question that is not in the form above. */
int helper_malformed(struct err *err);

#endif
