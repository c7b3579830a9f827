/* SPDX-License-Identifier: ISC */
/*
 * What the files that see secret bytes share.  Nobody else includes this, except the fuzz target of
 * secret key files.
 */
#ifndef SATCHEL_CORE_TRUST_KEY_INTERNAL_H
#define SATCHEL_CORE_TRUST_KEY_INTERNAL_H

#include "core/trust/key.h"

#define KEY_NUMBER_BYTES 8
#define KEY_SECRET_BYTES 64   /* Ed25519: seed and public key; X25519: secret and public key */
#define KEY_COMMENT_MAX  1024 /* minisign's COMMENTMAXBYTES */

/* Lies in secret memory, read-only once it is complete. */
struct key_secret {
	enum key_kind kind;
	uint64_t number;
	uint8_t b[KEY_SECRET_BYTES];
};

/** key_algorithm(kind): "Ed" or "Ex". */
const char *key_algorithm(enum key_kind kind);

/** key_secret_new(ret, err): writable, all zero; key_secret_check closes it. */
int key_secret_new(struct key_secret **ret, struct err *err);

/** key_secret_check(k, err): the public half is the one of the secret half, so that a file edited
 * by somebody cannot make us sign with halves that do not fit.  Makes ${k} read-only. */
int key_secret_check(struct key_secret *k, struct err *err);

/**
 * key_payload(text, chars, comment, ret, err): the base64 line of a key file: an optional or needed
 * comment line, ${chars} characters, an optional newline, nothing else.  RC_MALFORMED.
 */
enum key_comment { KEY_COMMENT_OPTIONAL, KEY_COMMENT_NEEDED };
int key_payload(struct bytes text, size_t chars, enum key_comment comment, const char **ret,
		struct err *err);

/** key_secret_parse(text, name, passphrase, ret, err): the content of a secret key file; ${name}
 * is for asking and for sentences. */
int key_secret_parse(struct bytes text, const char *name, struct key_ask *passphrase,
		     struct key_secret **ret, struct err *err);

/** key_file_bytes(dirfd, name, dst, max, ret_n, err): a file that holds a secret, whole: no link, a
 * regular file, ours or root's, for nobody else (RC_PATH, RC_TYPE, RC_POLICY), at most ${max} bytes
 * (RC_LIMIT).  ${dst} may hold some of it also after an error. */
int key_file_bytes(int dirfd, const char *name, void *dst, size_t max, size_t *ret_n,
		   struct err *err);

#endif
