/*
 * The content store: what was published is kept, so that a bundle from any kept generation to the
 * latest can be made without the source.  A pack is the very run of zstd frames that a bundle's
 * payload carries (tar members `files/...`), written once while publishing and copied or reflinked
 * into bundles; rows of the registry say in which frame of which pack a content lies.
 *
 *   store/<number>.pack = member frames of one publish, then the frames of its `changes`, then the
 *                         end-mark frame
 */
#ifndef SATCHEL_BUNDLER_STORE_H
#define SATCHEL_BUNDLER_STORE_H

#include "bundler/site.h"

extern const char store_schema_sql[];

struct store_where {
	uint64_t pack;  /* number; from 1 */
	uint64_t frame; /* offset of the first frame in the pack, bytes */
	uint64_t skip;  /* bytes of the unpacked frames before the content */
	uint64_t size;  /* bytes of content */
};

#define STORE_NAME 32 /* of a pack file, with NUL */
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

/** store_read(s, digest, each, arg, err): the content in pieces, verified against its digest at the
 * end. */
int store_read(struct site *s, const struct digest *digest,
	       int (*each)(void *arg, struct bytes piece, struct err *err), void *arg,
	       struct err *err);

/** store_sweep(s, err): remove what a killed run has left: packs that the registry does not know.
 */
int store_sweep(struct site *s, struct err *err);

/** store_prune(s, err): remove packs that no kept generation needs. */
int store_prune(struct site *s, struct err *err);

#endif
