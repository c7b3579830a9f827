/* SPDX-License-Identifier: ISC */
/*
 * The payload of a sealed channel.  The content store keeps packs as they are; what goes into a
 * depot is made twice, when it is signed and when it is posted, and is the same both times.
 */
#ifndef SATCHEL_BUNDLER_OUTBOX_BUNDLE_SEAL_H
#define SATCHEL_BUNDLER_OUTBOX_BUNDLE_SEAL_H

#include "bundler/published/published.h"
#include "core/depot/depot.h"
#include "core/format/bundle/content.h"

/** bundle_pread(fd, piece, at, dst, n, err): ${n} bytes of a payload from ${at} on, which may lie
 * in several pieces of the pack ${fd}.  RC_IO, RC_INCOMPLETE: the pack is short. */
int bundle_pread(int fd, const struct depot_piece piece[BUNDLE_PIECES], uint64_t at, uint8_t *dst,
		 size_t n, struct err *err);
/** bundle_plain(piece): bytes of the payload that the pieces are. */
uint64_t bundle_plain(const struct depot_piece piece[BUNDLE_PIECES]);
/** bundle_sealed(plain): bytes of a payload of ${plain} bytes when it is sealed. */
uint64_t bundle_sealed(uint64_t plain);

/** bundle_seal(fd, piece, key, each, arg, err): the blocks of the sealed payload, in order, each
 * valid during the call.  RC_IO, RC_INCOMPLETE; what ${each} returns when it is not 0. */
int bundle_seal(int fd, const struct depot_piece piece[BUNDLE_PIECES], struct content_key *key,
		int (*each)(void *arg, struct bytes block, struct err *err), void *arg,
		struct err *err);
/** bundle_seal_digests(fd, piece, key, ret, err): append the digests of these blocks. */
int bundle_seal_digests(int fd, const struct depot_piece piece[BUNDLE_PIECES],
			struct content_key *key, struct buf *ret, struct err *err);

/** bundle_seal_post(d, file, fd, secret, reporter, err): post a bundle of a sealed channel, whose
 * pack is ${fd}; ${secret} is the content key of number file->key.  RC_STATE: the pack is not any
 * more what was signed; those of depot_stream_begin. */
int bundle_seal_post(struct depot *d, const struct published_file *file, int fd,
		     struct bytes secret, struct reporter *reporter, struct err *err);

#endif
