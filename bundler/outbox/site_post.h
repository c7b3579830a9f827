/* SPDX-License-Identifier: ISC */
/*
 * The outbox: what is committed in the registry and goes to the home depot, and what leaves it.
 */
#ifndef SATCHEL_BUNDLER_OUTBOX_SITE_POST_H
#define SATCHEL_BUNDLER_OUTBOX_SITE_POST_H

#include "bundler/outbox/bundle_sign.h"

extern const struct db_schema outbox_schema;

/** site_post_retire(s, path, err): remove a file from the depot when no kept beat leads to it. */
int site_post_retire(struct site *s, const char *path, struct err *err);
/** site_post_retire_after(s, path, beat, err): remove it when no beat up to number ${beat} is kept.
 */
int site_post_retire_after(struct site *s, const char *path, uint64_t beat, struct err *err);
/** site_post_needed(s, path, err): it is not to be removed after all: the same content may come
 * back (a channel is reverted, a bundle is made anew), and with it the path. site_post_document(s,
 * path, content, err): registry_document, and it is needed. */
int site_post_needed(struct site *s, const char *path, struct err *err);
int site_post_document(struct site *s, const char *path, struct bytes content, struct err *err);

/** site_post_again(s, err): nothing counts as posted any more, so the next site_post compares every
 * file in the depot with what it is to be; bundles whose bytes only the depot has still count. */
int site_post_again(struct site *s, struct err *err);

/** site_unposted(s, ret, err): how many documents and bundles are made and not posted. */
int site_unposted(struct site *s, uint64_t *ret, struct err *err);

/** site_post(s, err): everything committed and not yet posted, to the home depot: bundles,
 * heads, shards, trust, then the beat last.  After all the rest was posted: RC_STATE, the bytes of
 * a bundle are gone from the content store; RC_TYPE, RC_PATH, RC_IO, something is in the way of a
 * file.  */
int site_post(struct site *s, struct err *err);
/** site_pack_open(s, file, err): the pack that a bundle is made of; a descriptor.  RC_ABSENT: there
 * is none, or only a part. */
int site_pack_open(struct site *s, const struct published_file *file, struct err *err);

#endif
