/* SPDX-License-Identifier: ISC */
/*
 * The master key of the key store: where it lies or who knows it, and how it is replaced by
 * another. The new file is there before the transaction that seals everything under it, and the old
 * one stays: whenever that is interrupted, the registry and one of the files fit.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/keystore/keystore_internal.h"
#include "bundler/trust/site_keys.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

#define STORE_KEY "store.key"
/* Master key files side by side: each is one change of the master key that nobody cleaned up. */
#define STORE_FILES 1000u

static int lock_damaged(struct err *err)
{
	return err_set(err, RC_STATE, "the registry is damaged: the lock of the key store");
}

/* The row of the master key. */
struct keystore_lock {
	struct vault_lock lock;
	char file[KEYSTORE_PATH]; /* a name in keys/, or absolute; "" of a passphrase */
};

/* How the master key is locked: 1, or 0 while there is none. */
static int lock_read(struct site *s, struct keystore_lock *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes salt, proof;
	int rc;

	rc = db_query(s->db, "SELECT kind, file, salt, passes, memory, proof FROM vault", &st, err);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	memset(ret, 0, sizeof(*ret));
	salt = db_bytes(st, 2);
	proof = db_bytes(st, 5);
	if (salt.n != sizeof(ret->lock.salt) || proof.n != sizeof(ret->lock.proof) ||
	    strlen(db_text(st, 1)) >= sizeof(ret->file))
		return lock_damaged(err);
	ret->lock.kind = strcmp(db_text(st, 0), "file") == 0 ? VAULT_FILE : VAULT_PASSPHRASE;
	snprintf(ret->file, sizeof(ret->file), "%s", db_text(st, 1));
	memcpy(ret->lock.salt, salt.p, salt.n);
	memcpy(ret->lock.proof, proof.p, proof.n);
	ret->lock.passes = (uint64_t)db_i64(st, 3);
	ret->lock.memory = (uint64_t)db_i64(st, 4);
	return 1;
}

static int lock_write(struct site *s, const struct keystore_lock *l, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT INTO vault(one, kind, file, salt, passes, memory, proof)"
		      " VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(one) DO UPDATE SET"
		      " kind = excluded.kind, file = excluded.file, salt = excluded.salt,"
		      " passes = excluded.passes, memory = excluded.memory,"
		      " proof = excluded.proof",
		      "ttbiib", l->lock.kind == VAULT_FILE ? "file" : "passphrase", l->file,
		      (struct bytes){l->lock.salt, sizeof(l->lock.salt)}, (int64_t)l->lock.passes,
		      (int64_t)l->lock.memory,
		      (struct bytes){l->lock.proof, sizeof(l->lock.proof)});
}

/* file_dir(s, file, ret_name, err): the directory of a master key file, and its name there. */
static int file_dir(struct site *s, const char *file, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(file, '/');
	char dir[KEYSTORE_PATH];
	int fd;

	if (slash == NULL) {
		*ret_name = file;
		fd = beneath_dir(s->statefd, SITE_KEYS, err);
	} else {
		*ret_name = slash + 1;
		snprintf(dir, sizeof(dir), "%.*s", slash > file ? (int)(slash - file) : 1, file);
		fd = os_open_dir(dir, err);
	}
	if (fd < 0)
		err_prefix(err, "the master key of the key store");
	return fd;
}

static void file_path(struct site *s, const char *file, char dst[KEYSTORE_PATH])
{
	if (file[0] == '\0' || file[0] == '/')
		snprintf(dst, KEYSTORE_PATH, "%s", file);
	else
		snprintf(dst, KEYSTORE_PATH, "%s/" SITE_KEYS "/%s", s->state, file);
}

/* Opening */

static int master_from_file(struct keystore *k, const struct keystore_lock *l, struct err *err)
{
	const char *name = NULL;
	char path[KEYSTORE_PATH];
	OWNED(fd_closep) int dirfd = file_dir(k->s, l->file, &name, err);
	int rc;

	if (dirfd < 0)
		return dirfd;
	file_path(k->s, l->file, path);
	rc = vault_open_file(dirfd, name, &l->lock, &k->vault, err);
	if (rc == RC_ABSENT)
		return err_set(err, RC_STATE,
			       "the master key of the key store is not there: put %s back from "
			       "your backup; without it no key can be read",
			       path);
	return rc < 0 ? err_prefix(err, "the master key of the key store, %s", path) : 0;
}

/*
 * Asked once in a run: a wrong passphrase, or a medium that is not there, would else be asked for
 * again for every workstation that is compiled.
 */
static int master_open(struct keystore *k, const struct keystore_lock *l, struct err *err)
{
	int rc;

	if (k->fault.rc != 0)
		return err_set(err, k->fault.rc, "%s", k->fault.text);
	rc = l->lock.kind == VAULT_FILE
		 ? master_from_file(k, l, err)
		 : vault_open_passphrase(k->s->ask, &l->lock, &k->vault, err);
	if (rc < 0)
		k->fault = *err;
	return rc;
}

int keystore_master(struct keystore *k, struct err *err)
{
	OWNED(freep) struct keystore_lock *l = NULL;
	int rc;

	if (k->vault != NULL)
		return 0;
	l = malloc(sizeof(*l));
	if (l == NULL)
		return err_memory(err);
	rc = lock_read(k->s, l, err);
	if (rc == 0)
		rc = err_set(err, RC_STATE, "the key store is empty");
	return rc < 0 ? rc : master_open(k, l, err);
}

/* The first master key, in the file of its own that needs nobody to be there. */
static int master_first(struct keystore *k, struct err *err)
{
	struct keystore_lock l = {.file = STORE_KEY};
	OWNED(vault_freep) struct vault *v = NULL;
	const char *name = NULL;
	OWNED(fd_closep) int dirfd = file_dir(k->s, l.file, &name, err);
	struct stat st;
	bool left;
	int rc;

	if (dirfd < 0)
		return dirfd;
	/*
	 * A run that was killed between the file and its row left a master key that seals nothing
	 * yet; it is taken, since no second file may be made under the name.
	 */
	left = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	rc = left ? vault_take_file(dirfd, name, &l.lock, &v, err)
		  : vault_make_file(dirfd, name, &l.lock, &v, err);
	if (rc < 0)
		return err_prefix(err, "the master key of the key store");
	rc = lock_write(k->s, &l, err);
	if (rc == 0)
		k->vault = TAKE(v);
	return rc;
}

int keystore_master_or_new(struct keystore *k, struct err *err)
{
	OWNED(freep) struct keystore_lock *l = NULL;
	int rc;

	if (k->vault != NULL)
		return 0;
	l = malloc(sizeof(*l));
	if (l == NULL)
		return err_memory(err);
	rc = lock_read(k->s, l, err);
	if (rc < 0)
		return rc;
	return rc == 1 ? master_open(k, l, err) : master_first(k, err);
}

int keystore_lock_path(struct site *s, char dst[KEYSTORE_PATH], struct err *err)
{
	OWNED(freep) struct keystore_lock *l = malloc(sizeof(*l));
	int rc;

	dst[0] = '\0';
	if (l == NULL)
		return err_memory(err);
	rc = lock_read(s, l, err);
	if (rc <= 0 || l->lock.kind != VAULT_FILE)
		return rc < 0 ? rc : 0;
	file_path(s, l->file, dst);
	return 1;
}

int keystore_lock_text(struct site *s, char dst[KEYSTORE_PATH + 64], struct err *err)
{
	OWNED(freep) struct keystore_lock *l = malloc(sizeof(*l));
	char path[KEYSTORE_PATH];
	int rc;

	if (l == NULL)
		return err_memory(err);
	rc = lock_read(s, l, err);
	if (rc < 0)
		return rc;
	file_path(s, rc == 1 ? l->file : STORE_KEY, path);
	if (rc == 0)
		snprintf(dst, KEYSTORE_PATH + 64, "none yet; the first key makes %s", path);
	else if (l->lock.kind == VAULT_FILE)
		snprintf(dst, KEYSTORE_PATH + 64, "file %s", path);
	else
		snprintf(dst, KEYSTORE_PATH + 64, "passphrase");
	return 0;
}

int keystore_check(struct site *s, struct err *err)
{
	OWNED(keystore_freep) struct keystore *k = NULL;
	OWNED(freep) struct keystore_lock *l = malloc(sizeof(*l));
	int rc;

	if (l == NULL)
		return err_memory(err);
	rc = lock_read(s, l, err);
	if (rc <= 0 || l->lock.kind == VAULT_PASSPHRASE)
		return rc < 0 ? rc : 0;
	rc = keystore_new(s, &k, err);
	if (rc == 0)
		rc = keystore_master(k, err);
	return rc < 0 ? rc : 1;
}

/* Another master key */

/*
 * Opened under the old master key and sealed under the new one; it is never in a file or in the
 * database in between.
 */
static int secret_reseal(struct keystore *k, const struct vault *to, const struct key_version *of,
			 struct bytes sealed, struct err *err)
{
	OWNED(vault_secret_freep) struct vault_secret *secret = NULL;
	uint8_t again[VAULT_SEALED_BYTES];
	int rc = vault_open(k->vault, of->name, of->version, sealed, &secret, err);

	if (rc == 0)
		rc = vault_seal(to, of->name, of->version, secret, again, err);
	if (rc < 0)
		return rc;
	return db_run(k->s->db, err,
		      "UPDATE secret SET sealed = ?3 WHERE name = ?1 AND version = ?2", "tib",
		      of->name, (int64_t)of->version, (struct bytes){again, sizeof(again)});
}

/* Ascending, so that a row that was written is not met again. */
static int all_reseal(struct keystore *k, const struct vault *to, struct err *err)
{
	struct key_version at = {.version = 0};
	int rc;

	do {
		OWNED(db_done) sqlite3_stmt *st = NULL;
		struct bytes sealed;

		rc = db_query(k->s->db,
			      "SELECT name, version, sealed FROM secret"
			      " WHERE (name, version) > (?1, ?2) ORDER BY name, version LIMIT 1",
			      &st, err);
		if (rc == 0)
			rc = db_bind(st, err, "ti", at.name, (int64_t)at.version);
		if (rc == 0)
			rc = db_step(k->s->db, st, err);
		if (rc <= 0)
			return rc;
		snprintf(at.name, sizeof(at.name), "%s", db_text(st, 0));
		at.version = (uint64_t)db_i64(st, 1);
		sealed = db_bytes(st, 2);
		rc = secret_reseal(k, to, &at, sealed, err);
	} while (rc == 0);
	return rc;
}

/* master_change(k, v, l, ret_old, err): seal everything under ${v}, all or nothing. */
static int master_change(struct keystore *k, struct vault *v, const struct keystore_lock *l,
			 char ret_old[KEYSTORE_PATH], struct err *err)
{
	OWNED(freep) struct keystore_lock *old = malloc(sizeof(*old));
	OWNED(db_tx_end) struct db_tx tx = {0};
	int had, rc;

	if (old == NULL)
		return err_memory(err);
	rc = db_tx_join(&tx, k->s->db, err);
	if (rc < 0)
		return rc;
	had = rc = lock_read(k->s, old, err);
	if (rc == 1)
		rc = keystore_master(k, err);
	if (rc == 0 && had == 1)
		rc = all_reseal(k, v, err);
	if (rc == 0)
		rc = lock_write(k->s, l, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc == 0)
		file_path(k->s, had == 1 ? old->file : "", ret_old);
	return rc;
}

/* What is open stays: secrets do not depend on the key that they lie under. */
static void master_replace(struct keystore *k, struct vault **v)
{
	vault_freep(&k->vault);
	k->vault = TAKE(*v);
	k->fault = (struct err){0};
}

/* The next name in keys/ that nothing has. */
static int name_next(struct site *s, char dst[KEYSTORE_PATH], struct err *err)
{
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	struct stat st;

	if (keysfd < 0)
		return keysfd;
	snprintf(dst, KEYSTORE_PATH, STORE_KEY);
	for (unsigned i = 2; i <= STORE_FILES; i++) {
		if (fstatat(keysfd, dst, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : err_sys(err, RC_IO, SITE_KEYS "/%s", dst);
		snprintf(dst, KEYSTORE_PATH, "store-%u.key", i);
	}
	return err_set(err, RC_LIMIT,
		       "%s/" SITE_KEYS " holds %u old master keys: remove those that no backup "
		       "needs",
		       s->state, STORE_FILES);
}

int keystore_lock_file(struct keystore *k, const char *path, char ret_old[KEYSTORE_PATH],
		       struct err *err)
{
	OWNED(freep) struct keystore_lock *l = calloc(1, sizeof(*l));
	OWNED(vault_freep) struct vault *v = NULL;
	OWNED(fd_closep) int dirfd = -1;
	const char *name = NULL;
	int rc = 0;

	if (l == NULL)
		return err_memory(err);
	if (path != NULL && (path[0] != '/' || strlen(path) >= sizeof(l->file)))
		return err_set(err, RC_USAGE, "the path of a master key begins with /: %s", path);
	if (path == NULL)
		rc = name_next(k->s, l->file, err);
	else
		snprintf(l->file, sizeof(l->file), "%s", path);
	if (rc == 0)
		rc = dirfd = file_dir(k->s, l->file, &name, err);
	if (rc < 0)
		return rc;
	rc = vault_make_file(dirfd, name, &l->lock, &v, err);
	if (rc < 0)
		return err_prefix(err, "a new master key");
	rc = master_change(k, v, l, ret_old, err);
	/*
	 * The file was made before the transaction, because the rows must not point to a key that
	 * is not on the disk yet.  When they still point to the old one, the new file is of no use.
	 */
	if (rc < 0) {
		unlinkat(dirfd, name, 0);
		return rc;
	}
	master_replace(k, &v);
	return 0;
}

int keystore_lock_passphrase(struct keystore *k, struct key_ask *ask, char ret_old[KEYSTORE_PATH],
			     struct err *err)
{
	OWNED(freep) struct keystore_lock *l = calloc(1, sizeof(*l));
	OWNED(vault_freep) struct vault *v = NULL;
	int rc;

	if (l == NULL)
		return err_memory(err);
	rc = vault_make_passphrase(ask, &l->lock, &v, err);
	if (rc == 0)
		rc = master_change(k, v, l, ret_old, err);
	if (rc == 0)
		master_replace(k, &v);
	return rc;
}
