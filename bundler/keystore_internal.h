/*
 * Between the files of the key store: the master key, what was opened, who holds what.
 */
#ifndef SATCHEL_BUNDLER_KEYSTORE_INTERNAL_H
#define SATCHEL_BUNDLER_KEYSTORE_INTERNAL_H

#include "bundler/keystore.h"

struct keystore {
	struct site *s;      /* borrowed */
	struct vault *vault; /* owned; NULL until it is needed */
	struct err fault;    /* why it cannot be had: nobody is asked twice */
	struct opened {
		struct key_version of;
		struct vault_secret *secret; /* owned */
	} * opened;                          /* owned; ascending by name and version */
	size_t n, cap;
};

/* The row of the master key. */
struct keystore_lock {
	struct vault_lock lock;
	char file[KEYSTORE_PATH]; /* a name in keys/, or absolute; "" of a passphrase */
};

/* keystore_lock.c */
/** keystore_lock_read(s, ret, err): 1 when there is one. */
int keystore_lock_read(struct site *s, struct keystore_lock *ret, struct err *err);
/** keystore_master(k, err): open the master key.  keystore_master_or_new: made when the store has
 * none yet. */
int keystore_master(struct keystore *k, struct err *err);
int keystore_master_or_new(struct keystore *k, struct err *err);

/** keystore_begin(s, ret_own, err), keystore_end(s, own, rc, err): a transaction of its own, when
 * the caller has none. */
int keystore_begin(struct site *s, bool *ret_own, struct err *err);
int keystore_end(struct site *s, bool own, int rc, struct err *err);

#endif
