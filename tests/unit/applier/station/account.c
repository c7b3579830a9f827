/* SPDX-License-Identifier: ISC */
/*
 * Users and groups by name, with a name service that is slow to answer, answers at length, or not
 * at all: that there is no such user is one thing, that nobody can tell another.
 */
#include "applier/station/account.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>

/* The name service */

static char ann[] = "ann", staff[] = "staff";

static struct {
	int error;   /* of every answer */
	size_t room; /* that an answer takes */
	bool there;
	int asked;
} service;

static int answer(size_t n)
{
	service.asked++;
	if (service.error != 0)
		return service.error;
	return service.there && n < service.room ? ERANGE : 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
int getpwnam_r(const char *name, struct passwd *entry, char *room, size_t n, struct passwd **ret)
{
	int rc = answer(n);

	*entry = (struct passwd){.pw_name = ann, .pw_uid = 4711};
	*ret = rc == 0 && service.there ? entry : NULL;
	return rc;
}

int getgrnam_r(const char *name, struct group *entry, char *room, size_t n, struct group **ret)
{
	int rc = answer(n);

	*entry = (struct group){.gr_name = staff, .gr_gid = 4712};
	*ret = rc == 0 && service.there ? entry : NULL;
	return rc;
}
#pragma GCC diagnostic pop

static void both(int expect, uint32_t user, uint32_t group)
{
	uint32_t uid = 7, gid = 7;
	struct err err = {0};

	cr_expect_eq(account_user("ann", &uid, &err), expect, "%s", err.text);
	cr_expect_eq(account_group("staff", &gid, &err), expect, "%s", err.text);
	cr_expect_eq(uid, user);
	cr_expect_eq(gid, group);
}

Test(account, a_name_that_is_known_is_found_however_long_the_answer_is)
{
	service.there = true;
	both(1, 4711, 4712);
	service.room = 1 << 20; /* a group that everybody is in */
	both(1, 4711, 4712);
}

Test(account, a_name_that_nobody_has_is_not_there)
{
	static const int none[] = {0, ENOENT, ESRCH};

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		service.error = none[i];
		both(0, 7, 7);
	}
}

Test(account, no_answer_is_not_the_same_as_nobody)
{
	static const int failed[] = {EIO, EMFILE, EAGAIN, ETIMEDOUT};

	for (size_t i = 0; i < sizeof(failed) / sizeof(*failed); i++) {
		service.error = failed[i];
		both(RC_IO, 7, 7);
	}
}

Test(account, an_answer_without_end_is_no_answer)
{
	service.there = true;
	service.room = SIZE_MAX;
	both(RC_IO, 7, 7);
	cr_expect_lt(service.asked, 30);
}
