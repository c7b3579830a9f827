/* SPDX-License-Identifier: ISC */
/*
 * Signed documents: signify's embedded form in one canonical encoding, with layers.
 * Source: signify(1) -S -e; docs/FORMAT.md section 1.
 */
#ifndef SATCHEL_CORE_TRUST_SIGNED_H
#define SATCHEL_CORE_TRUST_SIGNED_H

#include "core/base/limits.h"
#include "core/trust/key.h"

struct signature {
	uint64_t number;      /* key number that it claims */
	uint8_t sig[64];      /* Ed25519 */
	struct bytes message; /* borrowed: what it covers */
};

struct signed_doc {
	struct signature layer[LIMIT_LAYERS]; /* outermost first */
	size_t layers;                        /* 1 to LIMIT_LAYERS */
	struct bytes inner;                   /* borrowed: the innermost bytes */
	struct digest identity;               /* of these */
};

/**
 * signed_split(in, max_layers, ret, err): take the form apart; nothing is verified and nothing
 * inside is parsed. Views borrow from ${in}.  Errors: RC_MALFORMED (any other encoding of the
 * same), RC_LIMIT.
 */
int signed_split(struct bytes in, size_t max_layers, struct signed_doc *ret, struct err *err);

/** signed_make(k, message, ret, err): one more layer around ${message}; appended to ${ret}. */
int signed_make(const struct key_secret *k, struct bytes message, struct buf *ret, struct err *err);

/**
 * signed_import(message, minisig, pub, ret, err): a layer from a signature that minisign -S -l made
 * over ${message} with an offline key.  RC_UNTRUSTED when it does not verify.
 */
int signed_import(struct bytes message, struct bytes minisig, const struct key_public *pub,
		  struct buf *ret, struct err *err);

/** signed_apart(k, message, ret, err): a signature over ${message} in a file of its own, as
 * signify -S makes it and signed_import takes it; appended to ${ret}. */
int signed_apart(const struct key_secret *k, struct bytes message, struct buf *ret,
		 struct err *err);

/** signed_by(doc, key): true when at least one layer is a good signature of ${key}. */
bool signed_by(const struct signed_doc *doc, const struct key_public *key);

/** signed_type(inner, type): true when the first line is exactly "satchel: TYPE" ("head/1"). */
bool signed_type(struct bytes inner, const char *type);

/**
 * sealed_make(to, doc, ret, err), sealed_open(key, in, ret, err): the sealed form of a signed
 * document (docs/FORMAT.md section 4). sealed_recipient(in, dst): the 16 digits of the first line;
 * false when it has none.
 */
int sealed_make(const struct key_public *to, struct bytes doc, struct buf *ret, struct err *err);
int sealed_open(const struct key_secret *key, struct bytes in, struct buf *ret, struct err *err);
bool sealed_recipient(struct bytes in, char dst[17]);

#endif
