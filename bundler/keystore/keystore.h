/* SPDX-License-Identifier: ISC */
/*
 * The key store: every version of the keys that users are entrusted with, sealed in the registry
 * (core/trust/vault.h); which workstation was sent which of them; and what is to be rotated.
 *
 *   current    handed out, and used from now on; one of each key
 *   retiring   handed out as well, because data may still need it
 *   withdrawn  handed out to nobody any more; kept sealed, so that it can be handed out again
 *
 * The master key is a file keys/store.key of the state directory, made with the first key, unless
 * somebody chose another file or a passphrase.  It is opened only when a secret is needed.
 */
#ifndef SATCHEL_BUNDLER_KEYSTORE_KEYSTORE_H
#define SATCHEL_BUNDLER_KEYSTORE_KEYSTORE_H

#include "bundler/documents/site_model.h"
#include "core/base/list.h"
#include "core/trust/vault.h"

extern const struct db_schema keystore_schema;

/* Versions of one key that are handed out at a time (schemas/person.yaml: 100 older ones). */
#define KEYSTORE_VERSIONS 100u

/* The master key and the secrets that one run has opened: owned, wiped when freed. */
struct keystore;
/** keystore_new(s, ret, err): opens nothing yet.  Borrows the site. */
int keystore_new(struct site *s, struct keystore **ret, struct err *err);
/** keystore_freep(k): wipe and release; what keystore_secret gave ends.  NULL is fine. */
void keystore_freep(struct keystore **k);
/** keystore_secret(k, name, version, ret, err): its 32 bytes, which live as long as ${k}.
 * RC_STATE: not in the store; RC_UNTRUSTED, RC_POLICY, RC_IO: the master key cannot be had. */
int keystore_secret(struct keystore *k, const char *name, uint64_t version, struct bytes *ret,
		    struct err *err);

/** keystore_db(k): the registry of its site; borrowed. */
struct db *keystore_db(const struct keystore *k);
/** keystore_drop(db, name, below, err): the versions with lower numbers, the current one apart, are
 * gone for good.  For keys that no data needs any more. */
int keystore_drop(struct db *db, const char *name, uint64_t below, struct err *err);

/** keystore_rest(k): close what is open when it is more than KEYSTORE_OPENED (each takes pages of
 * locked memory); what keystore_secret gave is void then. */
#define KEYSTORE_OPENED 1000u
void keystore_rest(struct keystore *k);

/**
 * keystore_make(k, name, err): the first version: 1 when it was made, 0 when the key has versions
 * already.  keystore_rotate(k, name, ret_version, err): a new current version; the one before is
 * retiring from now on, and marks are cleared.  Each in the caller's transaction, or its own.
 */
int keystore_make(struct keystore *k, const char *name, struct err *err);
int keystore_rotate(struct keystore *k, const char *name, uint64_t *ret_version, struct err *err);

/**
 * keystore_take(k, name, version, secret, err): a version that the store has lost, and a
 * workstation has kept: 1, or 0 when it is here.  It is the current one when no other is newer.
 * RC_CONFLICT: another secret is here under that number.
 * keystore_lose(s, err): versions may have been made that the store knows nothing of: the next ones
 * get numbers that are far above.
 */
int keystore_take(struct keystore *k, const char *name, uint64_t version, struct bytes secret,
		  struct err *err);
int keystore_lose(struct site *s, struct err *err);

/**
 * keystore_withdraw(s, name, version, flags, err): hand out a retiring version no more; ${version}
 * 0: all of them.  RC_CONFLICT: not every holder has confirmed the current one, or nobody has said
 * that data may need it; the sentence says who, and what it means.
 * keystore_restore(s, name, version, err): a withdrawn version is retiring again.
 * Both: RC_USAGE: the store has no such key or version.
 */
enum keystore_flags { KEYSTORE_DATA_MAY_NEED_IT = 1 << 0 };
int keystore_withdraw(struct site *s, const char *name, uint64_t version, enum keystore_flags flags,
		      struct err *err);
int keystore_restore(struct site *s, const char *name, uint64_t version, struct err *err);

/**
 * keystore_lock_file(k, path, ret_old, err): another master key, in a new file (${path}, absolute;
 * NULL: the next name in keys/); keystore_lock_passphrase(k, ask, ret_old, err): out of what ${ask}
 * gives.  All secrets are sealed again, or none.  ${ret_old}: the file that opens nothing any more
 * but old backups of the registry, "" when there was none; KEYSTORE_PATH bytes.
 */
#define KEYSTORE_PATH (LIMIT_PATH + 1)
int keystore_lock_file(struct keystore *k, const char *path, char ret_old[KEYSTORE_PATH],
		       struct err *err);
int keystore_lock_passphrase(struct keystore *k, struct key_ask *ask, char ret_old[KEYSTORE_PATH],
			     struct err *err);
/** keystore_lock_path(s, dst, err): the file of the master key, absolute; 1, or 0 (and "") when
 * there is none. */
int keystore_lock_path(struct site *s, char dst[KEYSTORE_PATH], struct err *err);
/** keystore_lock_text(s, dst, err): how the master key is come by, in words. */
int keystore_lock_text(struct site *s, char dst[KEYSTORE_PATH + 64], struct err *err);

/** keystore_check(s, err): is the master key at hand, and the right one?  1: yes; 0: the store is
 * empty, or only a person knows it (nobody is asked). */
int keystore_check(struct site *s, struct err *err);

/* Versions */

enum key_version_state { KEY_VERSION_CURRENT, KEY_VERSION_RETIRING, KEY_VERSION_WITHDRAWN };
/** key_version_state_text(state): "current", "retiring", "withdrawn". */
const char *key_version_state_text(enum key_version_state state);

/* That of a user's key, or one of satchel's own with a prefix that no such name has; with NUL. */
#define KEY_NAME (WORD_NAME + 8)
struct key_version {
	char name[KEY_NAME];
	uint64_t version;
};
/** key_version_order(a, b): as strcmp, by name, then version. */
int key_version_order(const struct key_version *a, const struct key_version *b);
/** keystore_handed_out(s, each, arg, err): every version that is current or retiring, by name and
 * version.  A negative answer of ${each} ends the walk and is returned. */
int keystore_handed_out(struct site *s,
			int (*each)(void *arg, const struct key_version *v,
				    enum key_version_state state, struct err *err),
			void *arg, struct err *err);

/* Who holds what */

/**
 * keystore_sent(s, id, v, n, epoch, generation, err): this private generation of the workstation
 * ${id} has exactly these versions, ascending by name and version.  In the caller's transaction.
 */
int keystore_sent(struct site *s, const char *id, const struct key_version *v, size_t n,
		  uint64_t epoch, uint64_t generation, struct err *err);

/** keystore_lost(s, id, name, err): the workstation was lost, or is believed no longer: whatever it
 * was sent and has not confirmed to be without is marked to be rotated. */
int keystore_lost(struct site *s, const char *id, const char *name, struct err *err);

/** keystore_forget(db, id, err): what the workstation ${id} was sent.  Marks stay, because they
 * name keys that are still to be rotated. */
int keystore_forget(struct db *db, const char *id, struct err *err);

struct key_snapshot_version {
	uint64_t version;
	enum key_version_state state;
	int64_t made;     /* seconds since 1970 UTC */
	uint64_t holders; /* workstations that were sent it and may have it */
};

/* A workstation that was lost while it held the key: the key is to be rotated. */
struct key_mark {
	char workstation[WORKSTATION_NAME];
	int64_t at; /* when it was marked, seconds since 1970 UTC */
};

/* One key at this moment.  Lists are owned (key_snapshot_clear). */
struct key_snapshot {
	char name[WORD_NAME];
	LIST(struct key_snapshot_version) version; /* ascending */
	uint64_t holders;                          /* believed workstations that hold any of them */
	uint64_t unconfirmed;       /* of these: have not confirmed the current one */
	struct strings waiting;     /* names of these, the first KEYSTORE_NAMES, ascending */
	LIST(struct key_mark) mark; /* ascending by workstation */
};
#define KEYSTORE_NAMES 100u
/** keystore_describe(s, name, ret, err): RC_USAGE when the store has no such key. */
int keystore_describe(struct site *s, const char *name, struct key_snapshot *ret, struct err *err);
/** key_snapshot_clear(k): release its lists; all zero afterwards.  For OWNED. */
void key_snapshot_clear(struct key_snapshot *k);
/** keystore_marked(s, ret, ret_first, err): how many keys are to be rotated, and the first of them
 * ("" for none). */
int keystore_marked(struct site *s, uint64_t *ret, char ret_first[WORD_NAME], struct err *err);

#endif
