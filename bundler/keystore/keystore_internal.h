/* SPDX-License-Identifier: ISC */
/*
 * Between the files of the key store: the master key, what was opened, who holds what.
 */
#ifndef SATCHEL_BUNDLER_KEYSTORE_KEYSTORE_INTERNAL_H
#define SATCHEL_BUNDLER_KEYSTORE_KEYSTORE_INTERNAL_H

#include "bundler/keystore/keystore.h"

/* A secret that was opened. */
struct opened_secret {
	struct key_version of;
	struct vault_secret *secret; /* owned */
};

struct keystore {
	struct site *s;      /* borrowed */
	struct vault *vault; /* owned; NULL until it is needed */
	struct err fault;    /* why it cannot be had: nobody is asked twice */
	struct opened_list
	    LIST_MEMBERS(struct opened_secret) opened; /* ascending by name and version */
};

/* keystore.c */
/** key_version_state_of(text): the state that a row names; its table checks that it is one. */
enum key_version_state key_version_state_of(const char *text);

/* keystore_lock.c */
/** keystore_master(k, err): open the master key, once.  RC_STATE: the store is empty.
 * keystore_master_or_new(k, err): likewise, and one is made while the store has none. */
int keystore_master(struct keystore *k, struct err *err);
int keystore_master_or_new(struct keystore *k, struct err *err);

#endif
