/* SPDX-License-Identifier: ISC */
/*
 * The two keys of a workstation: sign.key signs what it sends, seal.key opens what is sealed to it.
 * They are made once, when it joins a site, and never leave STATE/keys.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "applier/station/station_state.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

static int key_make(int dirfd, const char *name, enum key_kind kind, struct err *err)
{
	OWNED(key_freep) struct key_secret *fresh = NULL;
	int rc = key_generate(kind, &fresh, err);

	return rc < 0 ? rc : key_write(dirfd, name, fresh, err);
}

/* A key that is there is kept, also by STATION_KEYS_CREATE. */
static int key_have(struct station *s, int dirfd, const char *name, enum key_kind kind,
		    enum station_keys_flags flags, struct key_secret **ret, struct err *err)
{
	struct stat st;
	int rc = 0;

	if (ret == NULL)
		return 0;
	if ((flags & STATION_KEYS_CREATE) && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT)
		rc = key_make(dirfd, name, kind, err);
	if (rc == 0)
		rc = key_read(dirfd, name, NULL, ret, err);
	return rc < 0 ? err_prefix(err, "%s/keys/%s", s->state, name) : 0;
}

int station_keys(struct station *s, enum station_keys_flags flags, struct key_secret **ret_sign,
		 struct key_secret **ret_seal, struct err *err)
{
	OWNED(fd_closep) int dir = -1;
	int rc;

	if ((flags & STATION_KEYS_CREATE) && mkdirat(s->statefd, "keys", 0700) < 0 &&
	    errno != EEXIST)
		return err_sys(err, RC_IO, "cannot make %s/keys", s->state);
	dir = beneath_dir(s->statefd, "keys", err);
	if (dir < 0)
		return err_set(err, RC_STATE,
			       "the keys in %s/keys are missing: restore them, or move %s away "
			       "and enrol anew",
			       s->state, s->state);
	rc = key_have(s, dir, "sign.key", KEY_SIGN, flags, ret_sign, err);
	return rc < 0 ? rc : key_have(s, dir, "seal.key", KEY_SEAL, flags, ret_seal, err);
}
