/* SPDX-License-Identifier: ISC */
/*
 * The content store: what was published is kept, so that a bundle from any kept generation to the
 * latest can be made without the source.  A pack is the very run of zstd frames that a bundle's
 * payload carries (tar members `files/...`), written once while publishing and copied or reflinked
 * into bundles; rows of the registry say in which frame of which pack a content lies.
 *
 *   store/<number>.pack = member frames of one publish, then the frames of its `changes`, then the
 *                         end-mark frame
 */
#ifndef SATCHEL_BUNDLER_PACK_STORE_H
#define SATCHEL_BUNDLER_PACK_STORE_H
#include "bundler/documents/site_model.h"

extern const struct db_schema store_schema;

struct pack;

struct store_where {
	uint64_t pack;  /* number; from 1 */
	uint64_t frame; /* offset of the first frame in the pack, bytes */
	uint64_t skip;  /* bytes of the unpacked frames before the content */
	uint64_t size;  /* bytes of content */
};

#define STORE_NAME 32 /* of a pack file, with NUL */
/** store_name(dst, pack): the file name of a pack: "7.pack". */
void store_name(char dst[STORE_NAME], uint64_t pack);

/** store_dir(s, err): the directory of packs, made when it is not there; the caller's to close. */
int store_dir(struct site *s, struct err *err);

/** store_open(s, pack, err): a pack for reading; the caller's to close. */
int store_open(struct site *s, uint64_t pack, struct err *err);

/** store_find(db, digest, ret, err): 1 found, 0 not kept. */
int store_find(struct db *db, const struct digest *digest, struct store_where *ret,
	       struct err *err);

/** store_frame(db, pack, at, ret_length, ret_unpacked, err): the frame that begins there. 1, 0. */
int store_frame(struct db *db, uint64_t pack, uint64_t at, uint64_t *ret_length,
		uint64_t *ret_unpacked, struct err *err);

/* A finished pack. */
struct store_pack {
	uint64_t number;
	const char *channel; /* borrowed */
	uint64_t epoch, base, generation;
	uint64_t size; /* bytes */
};

/** store_add(db, row, pack, err): the rows of a pack, of its frames and of its contents. */
int store_add(struct db *db, const struct store_pack *row, const struct pack *pack,
	      struct err *err);

/** store_sweep(s, err): remove what a killed run has left: packs that the registry does not know.
 */
int store_sweep(struct site *s, struct err *err);

/** store_knows(db, pack, err): is there a row of the pack?  1, 0. */
int store_knows(struct db *db, uint64_t pack, struct err *err);

/** store_lost(s, ret, err): how many packs there are whose files are gone or cut off.
 * store_forget_lost(s, ret, err): and they are forgotten, so that what was in them is read
 * elsewhere; in the caller's transaction. */
int store_lost(struct site *s, uint64_t *ret, struct err *err);
int store_forget_lost(struct site *s, uint64_t *ret, struct err *err);

/** store_forget_channel(s, channel, err): every pack of it is forgotten, in the caller's
 * transaction; the files go at the next store_sweep. */
int store_forget_channel(struct site *s, const char *channel, struct err *err);

/** store_prune(s, err): remove packs that no kept generation needs. */
int store_prune(struct site *s, struct err *err);

#endif
