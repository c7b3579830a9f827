/* SPDX-License-Identifier: ISC */
/*
 * A file that only a passphrase, or one secret sealing key, opens: XChaCha20-Poly1305 in a
 * secretstream, under a random key that is sealed in front of it.  What was cut off, exchanged or
 * put behind it does not open.  Whoever knows a public sealing key can make one as well: it hides,
 * and does not prove where it is from.
 *
 *   "satchel envelope 1\n", 1 byte: 1 passphrase, 2 key
 *   passphrase: 16 bytes of salt, passes and bytes of memory (64 bits each, little endian)
 *   key: 80 bytes, crypto_box_seal of the 32 bytes of the key
 *   24 bytes: header of the stream; messages of 65536 bytes and 17 more, the last one shorter
 */
#ifndef SATCHEL_CORE_TRUST_ENVELOPE_H
#define SATCHEL_CORE_TRUST_ENVELOPE_H

#include "core/base/bytes.h"
#include "core/trust/key.h"

/* Plain bytes of one message. */
#define ENVELOPE_MESSAGE 65536u

struct envelope; /* owned: the key of the stream, and a message */

/**
 * envelope_make(fd, ask, to, ret, err): begin one in ${fd} (borrowed), for a passphrase that
 * ${ask} gives, or, when ${to} is not NULL, for the secret key of ${to}.
 * envelope_put(e, data, err): more of the content.
 * envelope_end(e, err): the last message; the file is whole then, and is the caller's to flush.
 * Errors: RC_POLICY: a passphrase that is too short; RC_MEMORY, RC_IO, RC_SPACE.
 */
int envelope_make(int fd, struct key_ask *ask, const struct key_public *to, struct envelope **ret,
		  struct err *err);
int envelope_put(struct envelope *e, struct bytes data, struct err *err);
int envelope_end(struct envelope *e, struct err *err);

/**
 * envelope_open(fd, ask, key, ret, err): read one, with the passphrase that ${ask} gives or with
 * the secret key ${key}, whichever it wants.  RC_MALFORMED: it is none; RC_UNTRUSTED: the wrong
 * passphrase or key; RC_USAGE: the other one is needed.
 * envelope_get(e, dst, n, err): exactly ${n} bytes of the content.  RC_UNTRUSTED: it was changed;
 * RC_INCOMPLETE: it ends before.
 */
int envelope_open(int fd, struct key_ask *ask, const struct key_secret *key, struct envelope **ret,
		  struct err *err);
int envelope_get(struct envelope *e, void *dst, size_t n, struct err *err);

/** envelope_freep(e): wipe and release; the descriptor stays open.  NULL is fine. */
void envelope_freep(struct envelope **e);

#endif
