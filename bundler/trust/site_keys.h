/* SPDX-License-Identifier: ISC */
/*
 * The secret keys of the site's roles, as files of its state.
 */
#ifndef SATCHEL_BUNDLER_TRUST_SITE_KEYS_H
#define SATCHEL_BUNDLER_TRUST_SITE_KEYS_H

#include "bundler/documents/site_model.h"

#define SITE_KEYS "keys" /* their directory, in the state */

/** site_key(s, role, ret, err): the secret key of a role from keys/: the one that the trust
 * document names as current.  RC_STATE when it is not there (a root key kept offline). */
int site_key(struct site *s, enum role role, struct key_secret **ret, struct err *err);

/**
 * site_keys_release(s, channel, doc, layers, err): sign ${doc} with every current publish key that
 * keys/ holds without a passphrase and that may sign for ${channel}, each in a layer of its own;
 * ${*layers} counts them, and ${doc} is as it was when there is none.  A key that signed already
 * signs no second time.
 */
int site_keys_release(struct site *s, const char *channel, struct buf *doc, uint64_t *layers,
		      struct err *err);

/** site_keys_root(s, ret, err): does a current root key lie in keys/ without a passphrase?  Then
 * whoever has the server has the site.  1, and ${ret} is its file's name, or 0. */
int site_keys_root(struct site *s, char ret[64], struct err *err);

/** site_keys_elsewhere(s, role, err): 1 when a current key of ${role} does not lie in keys/, or 0.
 */
int site_keys_elsewhere(struct site *s, enum role role, struct err *err);

/** site_key_make(keysfd, name, kind, ret, err): a new key NAME.key 0400 and NAME.pub; one that an
 * interrupted run left is taken. */
int site_key_make(int keysfd, const char *name, enum key_kind kind, struct key_secret **ret,
		  struct err *err);
/** site_key_publish(keysfd, name, ask, err): the public file of the secret key that is there as
 * ${name}; ${ask} asks for its passphrase. */
int site_key_publish(int keysfd, const char *name, struct key_ask *ask, struct err *err);
/**
 * site_keys_each(keysfd, role, each, arg, err): the names ("publish.key", "publish-2.key") of the
 * secret key files of a role, oldest first; stops when ${each} does not return 0, and returns that.
 */
int site_keys_each(int keysfd, enum role role,
		   int (*each)(void *arg, const char *name, struct err *err), void *arg,
		   struct err *err);

/** site_key_public(keysfd, name, ret, err): what the public file beside ${name} says.  It decides
 * which secret file is opened, because one with a passphrase costs a gigabyte and a question; it is
 * no authority: what the secret file holds is compared again.  Where there is none, because a
 * rotation was interrupted, it says a key of zeros, which no trust document names. */
int site_key_public(int keysfd, const char *name, struct key_public *ret, struct err *err);

#endif
