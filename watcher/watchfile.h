/* SPDX-License-Identifier: ISC */
/*
 * The status file: what a watcher does, did last, and does next, for people who ask later.  Written
 * by rename, so that a reader sees a whole one.
 */
#ifndef SATCHEL_WATCHER_WATCHFILE_H
#define SATCHEL_WATCHER_WATCHFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/list.h"

#define WATCHFILE "watch.yaml"
/* Four thousand places with long paths, each byte escaped as four. */
#define WATCHFILE_BYTES (64u << 20)

struct watchfile_row {
	char *kind, *path, *name, *how; /* owned; of a stick: path and how */
};

struct watchfile_rows LIST_MEMBERS(struct watchfile_row);

struct watchfile {
	uint64_t process; /* 0: it has ended */
	int64_t started;  /* seconds */
	uint64_t interval, jitter;
	char running[256]; /* why a run goes on now, or "" */
	int64_t last;      /* when the last run ended; 0: none yet */
	char reason[256], result[32];
	char text[4 * 1024];
	int64_t next; /* 0: not known */
	struct watchfile_rows place, removable;
};

/** watchfile_add(list, kind, path, name, how, err): one more row, of copies.  Errors: RC_MEMORY. */
int watchfile_add(struct watchfile_rows *list, const char *kind, const char *path, const char *name,
		  const char *how, struct err *err);
/** watchfile_clear(f): release its rows. */
void watchfile_clear(struct watchfile *f);

/** watchfile_encode(f, ret, err), watchfile_decode(in, ret, err): as a document
 * (schemas/watch.yaml); texts are escaped.  Errors: RC_MALFORMED (decode), RC_MEMORY. */
int watchfile_encode(const struct watchfile *f, struct buf *ret, struct err *err);
int watchfile_decode(struct bytes in, struct watchfile *ret, struct err *err);

/** watchfile_write(dirfd, text, err): replace the file in that directory, by rename.  Errors:
 * RC_IO. */
int watchfile_write(int dirfd, struct bytes text, struct err *err);
/** watchfile_read(dirfd, ret, err): 1: read; 0: there is none.  Errors: RC_IO, RC_MALFORMED. */
int watchfile_read(int dirfd, struct watchfile *ret, struct err *err);

/** watchfile_runs(f): is the process that wrote it still there? */
bool watchfile_runs(const struct watchfile *f);

#endif
