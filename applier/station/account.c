/* SPDX-License-Identifier: ISC */
/*
 * Unix accounts as the machine's name service has them.  An account's name becomes the name of a
 * directory, so it is checked like a path; a directory service that does not answer is an error,
 * and never taken for "no such account".
 */
#include "applier/station/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"

/* What one entry may take; a directory service answers with more than /etc/passwd does. */
#define ENTRY_BYTES (64u << 10)
#define ENTRY_MOST  (16u << 20)

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* The same names as in documents (schemas/person.yaml): none begins with a dot. */
static bool name_good(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < ACCOUNT_NAME && strspn(name, LETTERS) > 0 &&
	       strspn(name, LETTERS ".-") == n;
}

/* What the name service says when it has no such entry: 0; anything else is no answer. */
static int answered(int rc, struct err *err)
{
	if (rc == 0 || rc == ENOENT || rc == ESRCH)
		return 0;
	errno = rc;
	return err_sys(err, RC_IO, "cannot look up the accounts of this machine");
}

/* 1 found, 0 there is none. */
static int entry_take(int rc, const struct passwd *found, struct account *ret, struct err *err)
{
	if (found == NULL && answered(rc, err) < 0)
		return err->rc;
	if (found == NULL || strlen(found->pw_name) >= sizeof(ret->name))
		return 0;
	snprintf(ret->name, sizeof(ret->name), "%s", found->pw_name);
	ret->uid = found->pw_uid;
	ret->gid = found->pw_gid;
	return 1;
}

int account_find(const char *name, struct account *ret, struct err *err)
{
	OWNED(freep) char *room = malloc(ENTRY_BYTES);
	struct passwd entry, *found = NULL;
	char shown[4 * ACCOUNT_NAME];
	int rc;

	if (room == NULL)
		return err_memory(err);
	err_escape(shown, sizeof(shown), name);
	if (!name_good(name))
		return err_set(err, RC_PATH, "\"%s\" is not the name of an account", shown);
	rc = getpwnam_r(name, &entry, room, ENTRY_BYTES, &found);
	rc = entry_take(rc, found, ret, err);
	if (rc == 0)
		return err_set(err, RC_STATE, "there is no account %s on this machine", shown);
	return rc < 0 ? rc : 0;
}

bool account_mine(const struct account *a)
{
	return geteuid() == 0 || geteuid() == a->uid;
}

int account_caller(struct account *ret, struct err *err)
{
	OWNED(freep) char *room = malloc(ENTRY_BYTES);
	const char *sudo = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
	struct passwd entry, *found = NULL;
	int rc;

	if (room == NULL)
		return err_memory(err);
	if (sudo != NULL && sudo[0] != '\0')
		return account_find(sudo, ret, err);
	rc = getpwuid_r(geteuid(), &entry, room, ENTRY_BYTES, &found);
	rc = entry_take(rc, found, ret, err);
	if (rc == 0)
		return err_set(err, RC_STATE, "user %u has no account on this machine", geteuid());
	return rc < 0 ? rc : 0;
}

/* Numbers alone */

struct number {
	uint32_t id;
	bool found;
};

static int user_ask(const char *name, char *room, size_t n, struct number *ret)
{
	struct passwd entry, *found = NULL;
	int rc = getpwnam_r(name, &entry, room, n, &found);

	if (found != NULL)
		*ret = (struct number){found->pw_uid, true};
	return rc;
}

static int group_ask(const char *name, char *room, size_t n, struct number *ret)
{
	struct group entry, *found = NULL;
	int rc = getgrnam_r(name, &entry, room, n, &found);

	if (found != NULL)
		*ret = (struct number){found->gr_gid, true};
	return rc;
}

/* A group's entry holds the names of its members, which may be everybody. */
static int number_find(int (*ask)(const char *name, char *room, size_t n, struct number *ret),
		       const char *name, uint32_t *ret, struct err *err)
{
	struct number is = {0};
	int rc = ERANGE;

	for (size_t n = ENTRY_BYTES; rc == ERANGE && !is.found && n <= ENTRY_MOST; n *= 4) {
		OWNED(freep) char *room = malloc(n);

		if (room == NULL)
			return err_memory(err);
		rc = ask(name, room, n, &is);
	}
	if (!is.found)
		return answered(rc, err);
	*ret = is.id;
	return 1;
}

int account_user(const char *name, uint32_t *ret, struct err *err)
{
	return number_find(user_ask, name, ret, err);
}

int account_group(const char *name, uint32_t *ret, struct err *err)
{
	return number_find(group_ask, name, ret, err);
}
