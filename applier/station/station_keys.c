/* SPDX-License-Identifier: ISC */
/*
 * The keys of a workstation, in STATE/keys, which they never leave:
 *
 *   sign.key       signs what it sends; made when it joins a site, and its digest is the id
 *   codes.key      makes confirmation codes; never renewed, because where only codes come back
 *                  the site could not be told of another one
 *   seal.key       opens what is sealed to this workstation; renewed from time to time
 *   seal-next.key  the next one, told to the server in every receipt until a private bundle that
 *                  is sealed to it was applied
 *   seal-old.key   the one before, while it is wiped
 *
 * Renewing: seal-next.key is made; later seal-old.key is a second name for what seal.key is,
 * seal-next.key is renamed to seal.key, seal-old.key is wiped.  So there is a seal.key at any
 * moment, and from wherever a run was killed the same steps lead to the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "applier/station/station_state.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/os/wipe.h"

#define SIGN  "sign.key"
#define CODES "codes.key"
#define SEAL  "seal.key"
#define NEXT  "seal-next.key"
#define OLD   "seal-old.key"

static int key_make(int dirfd, const char *name, enum key_kind kind, struct err *err)
{
	OWNED(key_freep) struct key_secret *fresh = NULL;
	int rc = key_generate(kind, &fresh, err);

	return rc < 0 ? rc : key_write(dirfd, name, fresh, err);
}

static bool key_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* A key that is there is kept, also by STATION_KEYS_CREATE. */
static int key_have(struct station *s, int dirfd, const char *name, enum key_kind kind,
		    enum station_keys_flags flags, struct key_secret **ret, struct err *err)
{
	int rc = 0;

	if (ret == NULL)
		return 0;
	if ((flags & STATION_KEYS_CREATE) && !key_there(dirfd, name))
		rc = key_make(dirfd, name, kind, err);
	if (rc == 0)
		rc = key_read(dirfd, name, NULL, ret, err);
	return rc < 0 ? err_prefix(err, "%s/keys/%s", s->state, name) : 0;
}

static int keys_open(struct station *s, struct err *err)
{
	int dir = beneath_dir(s->statefd, "keys", err);

	return dir >= 0 ? dir
			: err_set(err, RC_STATE,
				  "the keys in %s/keys are missing: restore them, or move %s away "
				  "and enrol anew",
				  s->state, s->state);
}

int station_keys(struct station *s, enum station_keys_flags flags, struct key_secret **ret_sign,
		 struct key_secret **ret_seal, struct err *err)
{
	OWNED(fd_closep) int dir = -1;
	int rc;

	if ((flags & STATION_KEYS_CREATE) && mkdirat(s->statefd, "keys", 0700) < 0 &&
	    errno != EEXIST)
		return err_sys(err, RC_IO, "cannot make %s/keys", s->state);
	dir = keys_open(s, err);
	if (dir < 0)
		return dir;
	rc = key_have(s, dir, SIGN, KEY_SIGN, flags, ret_sign, err);
	return rc < 0 ? rc : key_have(s, dir, SEAL, KEY_SEAL, flags, ret_seal, err);
}

/* One key that need not be there: 1, or 0. */
static int key_maybe(struct station *s, const char *name, struct key_secret **ret, struct err *err)
{
	OWNED(fd_closep) int dir = keys_open(s, err);
	int rc;

	if (dir < 0)
		return dir;
	if (!key_there(dir, name))
		return 0;
	rc = key_have(s, dir, name, KEY_SEAL, 0, ret, err);
	return rc < 0 ? rc : 1;
}

int station_codes_key(struct station *s, struct key_secret **ret, struct err *err)
{
	return key_maybe(s, CODES, ret, err);
}

int station_codes_make(struct station *s, struct key_secret **ret, struct err *err)
{
	OWNED(fd_closep) int dir = keys_open(s, err);

	return dir < 0 ? dir : key_have(s, dir, CODES, KEY_SEAL, STATION_KEYS_CREATE, ret, err);
}

int station_seal_next(struct station *s, struct key_secret **ret, struct err *err)
{
	return key_maybe(s, NEXT, ret, err);
}

int station_seal_renew(struct station *s, struct err *err)
{
	OWNED(fd_closep) int dir = keys_open(s, err);
	int rc;

	if (dir < 0 || key_there(dir, NEXT))
		return dir < 0 ? dir : 0;
	rc = key_make(dir, NEXT, KEY_SEAL, err);
	return rc < 0 ? err_prefix(err, "%s/keys/" NEXT, s->state) : 0;
}

/* Best effort, as all wiping: without hard links the old bytes are not overwritten. */
static int next_place(int dir, struct err *err)
{
	int rc;

	if (linkat(dir, SEAL, dir, OLD, 0) < 0 && errno != EEXIST && errno != EPERM &&
	    errno != EOPNOTSUPP && errno != EMLINK)
		return err_sys(err, RC_IO, "cannot link " SEAL);
	if (renameat(dir, NEXT, dir, SEAL) < 0)
		return err_sys(err, RC_IO, "cannot rename " NEXT);
	rc = dir_sync(dir, err);
	return rc;
}

int station_seal_take(struct station *s, const char *id, struct err *err)
{
	OWNED(fd_closep) int dir = keys_open(s, err);
	OWNED(key_freep) struct key_secret *next = NULL;
	int rc = dir < 0 ? dir : station_seal_next(s, &next, err);
	struct key_public is;
	char is_id[KEY_SEAL_ID + 1] = "";

	if (rc == 1) {
		is = key_public_of(next);
		key_seal_id(is_id, &is);
		rc = 0;
		if (strcmp(is_id, id) == 0)
			rc = next_place(dir, err);
	}
	if (rc == 0)
		rc = wipe_file(dir, OLD, err);
	return rc < 0 ? err_prefix(err, "%s/keys", s->state) : 0;
}
