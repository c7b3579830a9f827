/* SPDX-License-Identifier: ISC */
/*
 * What the site signs: documents, and the beginning of a bundle, its manifest and block digests.
 */
#ifndef SATCHEL_BUNDLER_OUTBOX_BUNDLE_SIGN_H
#define SATCHEL_BUNDLER_OUTBOX_BUNDLE_SIGN_H

#include "bundler/documents/site_model.h"
#include "bundler/published/published.h"
#include "core/depot/depot.h"

/**
 * block_digests_start(fd, piece, ret, err): begin to hash the blocks of a payload, in other
 * threads.  ${fd} is borrowed until block_digests_end.  ${*ret} is owned by the caller also after
 * a failure.  RC_MEMORY.
 * block_digests_end(b, ret, err): help, wait, and hand out the list of digests, which lives as
 * long as ${b}.  RC_IO, RC_INCOMPLETE: the pack is short.
 * block_digests_freep(at): wait for the threads and release.  NULL is fine.
 */
struct block_digests; /* owned, also after a failed start */
int block_digests_start(int fd, const struct depot_piece piece[BUNDLE_PIECES],
			struct block_digests **ret, struct err *err);
int block_digests_end(struct block_digests *b, struct bytes *ret, struct err *err);
void block_digests_freep(struct block_digests **at);
/** manifest_sign(s, m, blocks, ret_prefix, ret_identity, err): sign ${m} (its digest of blocks
 * is filled in) and make the prefix of the file. */
int manifest_sign(struct site *s, struct manifest *m, struct bytes blocks, struct buf *ret_prefix,
		  struct digest *ret_identity, struct err *err);
/** document_sign(s, role, inner, what, ret, ret_identity, err): a signed document, verified by the
 * site's own trust before anybody else sees it. */
int document_sign(struct site *s, enum role role, struct bytes inner, const char *what,
		  struct buf *ret, struct digest *ret_identity, struct err *err);
/** empty_tree(): the digest of a tree that holds nothing, from which generation 1 begins. */
struct digest empty_tree(void);

#endif
