/* SPDX-License-Identifier: ISC */
/*
 * Inside of the pack: jobs, and the stages they go through.
 */
#ifndef SATCHEL_BUNDLER_PACK_PACK_INTERNAL_H
#define SATCHEL_BUNDLER_PACK_PACK_INTERNAL_H

#include <sys/stat.h>
#include <zstd.h>

#include "bundler/pack/pack.h"
#include "core/base/list.h"
#include "core/format/bundle/tar.h"
#include "core/os/workers.h"

#define PACK_THREADS_MAX 8
/*
 * zstd's level 3 with a window of a whole frame and smaller tables: they stay in a core's cache
 * when all cores pack at once.  Measured on source and on /usr/share: no larger, and a quarter
 * faster.
 */
#define PACK_LEVEL  3
#define PACK_WINDOW 22 /* log2 of bytes */
#define PACK_HASH   16 /* log2 of entries: long matches */
#define PACK_CHAIN  14 /* short ones */
/* Items of one job, and the strings of its items: bounds the memory of a job of tiny files. */
#define PACK_JOB_ITEMS   2048
#define PACK_JOB_STRINGS (512u << 10)
/* A file that changes while it is read is read again this often. */
#define PACK_TRIES 3

/*
 * A job: the items of one frame, or one piece of a large file.  Its state moves forward only, each
 * step taken by whichever thread is free; DECIDED and after READ, FREE and after PACKED, happen in
 * the order of the tickets.
 */
enum pack_state {
	JOB_FREE,    /* the dispatcher may fill it */
	JOB_FILLED,  /* items are known; a thread may read */
	JOB_READING, /* a thread reads and hashes */
	JOB_READ,    /* digests are known; to be decided in order */
	JOB_DECIDED, /* it is known which members are packed */
	JOB_PACKING, /* a thread compresses */
	JOB_PACKED   /* to be written in order */
};

/* Where an item's member lies in the job's tar. */
struct pack_member {
	size_t at, header, length; /* length: header, content, padding */
	bool put;                  /* decided: it is packed */
};

/* A file that is larger than a job: what its pieces share. */
struct pack_large {
	struct pack_large *next;   /* of struct pack */
	int fd;                    /* owned; -1: its pieces come from the store */
	struct stat st;            /* before the first piece was read; from the store: its size */
	bool sparse;               /* it has holes: worth asking where */
	bool incomplete;           /* a piece ended early */
	struct digest_stream hash; /* advanced in the decide step */
	struct digest digest;      /* after its last piece */
	size_t header;             /* bytes of its member's header */
	/* Where its first piece was written. */
	bool started;
	uint64_t frame, unpacked;
	size_t frames;
};

struct pack_job {
	enum pack_state state;
	uint64_t ticket;
	struct pack_item *item;     /* owned; PACK_JOB_ITEMS */
	struct pack_member *member; /* owned; likewise */
	size_t items;
	char *strings; /* owned; PACK_JOB_STRINGS */
	size_t strings_n;
	size_t estimate;         /* bytes that its members will take */
	struct store_where from; /* of the last item, while it is filled */
	struct buf tar;          /* owned */
	struct buf out;          /* owned: the frame */
	size_t whole; /* bytes of tar that `out` holds already, copied from the store; or 0 */
	/* A piece of a large file; NULL for an ordinary job. */
	struct pack_large *large;
	uint64_t offset; /* of the piece's content */
	size_t length;
	bool last;
	bool incomplete; /* the file ended within the piece */
	bool redo; /* last: the file changed; to be read again when everything before is written */
	bool unwanted; /* last: the content is not needed; its frames are taken back */
	bool written;  /* last: redo has written the whole file */
};

/* What a thread keeps to itself. */
struct pack_worker {
	struct pack *pack;
	ZSTD_CCtx *zstd;        /* owned */
	struct tar_writer *tar; /* owned */
	struct buf name;        /* owned: of a member */
	/* The directory of the last file, so that its neighbours are opened by name. */
	int dirfd; /* owned */
	char dir[LIMIT_PATH + 1];
	/* The frame of the store that the last content came from, as it lies there and unpacked. */
	int packfd; /* owned */
	uint64_t packfd_number;
	uint64_t frame_pack, frame_at; /* 0: none */
	struct buf packed, frame;      /* owned */
	ZSTD_DCtx *unzstd;             /* owned */
};

struct pack_seen; /* contents that this pack holds: pack_decide.c */

struct pack {
	struct pack_options o; /* o.name points to ${name} */
	char name[STORE_NAME];
	size_t job_bytes;         /* input of one frame */
	size_t slots;             /* jobs */
	struct pack_job *job;     /* owned; the job with ticket t is job[t % slots] */
	struct pack_job *filling; /* the dispatcher's; NULL: none */

	/* Its lock is that of what follows, up to `large`, and of the states of jobs. */
	struct workers pool;
	uint64_t next;                /* ticket of the job that is being filled */
	uint64_t decide_at, write_at; /* tickets */
	bool deciding, writing;       /* a thread is at it */
	bool closed;                  /* no more jobs come */
	uint64_t done;                /* bytes of content that were read */
	struct pack_large *large;     /* owned */

	/* Used by the thread that decides, and after pack_finish. */
	struct spool *items; /* owned */
	struct spool *lines; /* owned: `changes` */
	struct digest_stream lines_hash;
	struct buf line;
	struct change *change; /* owned: scratch */
	struct pack_seen *seen;
	struct item_reader seen_reader;
	uint64_t count[CHANGE_OPS], content;

	/* Used by the thread that writes, and after pack_finish. */
	int fd; /* owned; -1 until something is written */
	uint64_t at, unpacked;
	struct spool *contents; /* owned */
	LIST(struct pack_frame) frame;
};

/* pack_decide.c */
/**
 * pack_seen_new(files, ret, err): room for ${files} contents without growing, at 8 to 24 bytes
 * each.  Owned by the caller.  Errors: RC_MEMORY.
 * pack_seen_free(s): NULL is fine; returns NULL.
 */
int pack_seen_new(uint64_t files, struct pack_seen **ret, struct err *err);
struct pack_seen *pack_seen_free(struct pack_seen *s);
/** pack_seen_find(s, digest, reader, ret, err): 1 and the item that holds it, or 0. */
int pack_seen_find(struct pack_seen *s, const struct digest *digest, struct item_reader *reader,
		   struct pack_item *ret, struct err *err);
/**
 * pack_seen_add(s, digest, offset, reader, err): the item at ${offset} of the spool of ${reader}
 * is the first with this content; it was not there before.  Errors: RC_LIMIT: offsets above 1 TiB;
 * RC_MEMORY, RC_IO.
 */
int pack_seen_add(struct pack_seen *s, const struct digest *digest, uint64_t offset,
		  struct item_reader *reader, struct err *err);
/**
 * pack_job_decide(p, j, err): what becomes of each item: put, copy, meta, row; lines and items are
 * written.  In the order of tickets, by one thread at a time.  Of a large file only the last piece
 * decides, and may ask for j->redo.
 */
int pack_job_decide(struct pack *p, struct pack_job *j, struct err *err);

/* pack_read.c */
/** pack_member_header(w, path, size, ret, err): append the tar header of "files/PATH". */
int pack_member_header(struct pack_worker *w, const char *path, uint64_t size, struct buf *ret,
		       struct err *err);
/**
 * pack_large_open(p, it, ret, err): open it and note its stat.  ${*ret} is owned by the caller
 * (pack_large_free).  Errors: RC_AGAIN: it is no file any more; RC_LIMIT, RC_IO.
 */
int pack_large_open(struct pack *p, const struct pack_item *it, struct pack_large **ret,
		    struct err *err);
/** pack_large_free(l): close and release.  NULL is fine; returns NULL. */
struct pack_large *pack_large_free(struct pack_large *l);
/** pack_large_reset(l, st): begin with what the file is now. */
void pack_large_reset(struct pack_large *l, const struct stat *st);
/** pack_large_changed(p, l, path, ret, err): 1 when it is not what it was at pack_large_reset. */
int pack_large_changed(struct pack *p, struct pack_large *l, const char *path, struct stat *ret,
		       struct err *err);
/** pack_large_item(p, l, it, err): what stat said and the digest, into the item. */
int pack_large_item(struct pack *p, const struct pack_large *l, struct pack_item *it,
		    struct err *err);
/** pack_large_piece(l, offset, n, ret, ret_incomplete, err): append ${n} bytes of it. */
int pack_large_piece(struct pack_large *l, uint64_t offset, size_t n, struct buf *ret,
		     bool *ret_incomplete, struct err *err);
/** pack_hold(p, it, rc): may it be held back after this error?  Then it is marked. */
bool pack_hold(const struct pack *p, struct pack_item *it, int rc);
/** pack_changed_error(p, path, err): RC_AGAIN with its sentence: it changed while it was read. */
int pack_changed_error(const struct pack *p, const char *path, struct err *err);
/**
 * pack_job_read(w, j, err): fill the tar of the job: each file with header and padding, and its
 * digest.  A file that changes while it is read is read again, and after PACK_TRIES held back.
 * Errors: RC_AGAIN when it may not be;
 * RC_STATE: the store is damaged; RC_IO.
 */
int pack_job_read(struct pack_worker *w, struct pack_job *j, struct err *err);

/* pack_thread.c */
/* What the threads of a pack do; each has a struct pack_worker.  It is done when the pack is closed
 * and all its jobs are written. */
extern const struct workers_task pack_task;
/** pack_state(p, j, state): with the lock held. */
void pack_state(struct pack *p, struct pack_job *j, enum pack_state state);
/**
 * pack_job_at(p, ticket): the job that has or will have this ticket; its state says which.
 * pack_large_drop(p, l): take ${l} out of the list and free it.  With the lock held, or without
 * threads.
 */
struct pack_job *pack_job_at(struct pack *p, uint64_t ticket);
void pack_large_drop(struct pack *p, struct pack_large *l);

/* pack_write.c */
/**
 * pack_job_compress(w, j, err): the tar without what is not packed becomes one frame in j->out;
 * empty when nothing is.
 * pack_job_write(p, j, err): append that frame and note its contents; in the order of tickets, by
 * one thread at a time.
 * pack_large_redo(w, j, err): a large file that changed: read, compress and write it once more,
 * alone, in place of its frames.  Everything before it is written.  Errors: RC_AGAIN after
 * PACK_TRIES.
 */
int pack_job_compress(struct pack_worker *w, struct pack_job *j, struct err *err);
int pack_job_write(struct pack *p, struct pack_job *j, struct err *err);
int pack_large_redo(struct pack_worker *w, struct pack_job *j, struct err *err);

/* pack_zstd.c */
/** pack_zstd_new(ret, err): a compressor with these settings. */
int pack_zstd_new(ZSTD_CCtx **ret, struct err *err);
/** pack_zstd_secret(ret, err): the same, and all memory that it worked in is wiped before it is
 * given back. */
int pack_zstd_secret(ZSTD_CCtx **ret, struct err *err);
/**
 * pack_compress(zstd, p, n, ret, err): ${n} bytes as one frame into ${ret}, which is emptied
 * first.  Errors: RC_MEMORY, RC_INTERNAL.
 */
int pack_compress(ZSTD_CCtx *zstd, const void *p, size_t n, struct buf *ret, struct err *err);

#endif
