/* SPDX-License-Identifier: ISC */
/* What tells one of our secrets from its first bytes. */
#include "core/trust/secret_sign.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/base/own.h"
#include "core/trust/key.h"
#include "tests/support/scratch.h"

TestSuite(secret_sign, .init = scratch_setup, .fini = scratch_teardown);

static void key_make(enum key_kind kind, const char *name)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	struct err err = {0};

	cr_assert_eq(key_generate(kind, &k, &err), 0);
	cr_assert_eq(key_write(scratch_fd, name, k, &err), 0);
}

static void is(const char *name, const char *what)
{
	const char *sign = secret_sign_file(scratch_fd, name);

	if (what == NULL)
		cr_expect_null(sign, "%s: %s", name, sign);
	else
		cr_expect_str_eq(sign == NULL ? "nothing" : sign, what, "%s", name);
}

Test(secret_sign, keys_are_known_by_our_comment_or_by_our_algorithm)
{
	key_make(KEY_SIGN, "sign.key");
	key_make(KEY_SEAL, "seal.key");
	cr_assert_eq(scratch_run(scratch,
				 "sed 's/^untrusted comment: .*/untrusted comment: x/' sign.key > "
				 "foreign; sed 's/^untrusted comment: .*/untrusted comment: x/' "
				 "seal.key > renamed; head -c 100 sign.key > cut; head -n 1 "
				 "sign.key > comment; tail -n 1 sign.key > line; : > empty"),
		     0);
	is("sign.key", "a secret key of satchel");
	is("seal.key", "a secret key of satchel");
	is("renamed", "a secret key of satchel");
	is("foreign", NULL); /* minisign's would look the same */
	is("cut", NULL);
	is("comment", NULL);
	is("line", NULL);
	is("empty", NULL);
	is("absent", NULL);
	is(".", NULL);
}

Test(secret_sign, databases_are_known_by_their_application)
{
	uint8_t head[100] = "SQLite format 3";

	cr_expect_null(secret_sign((struct bytes){head, sizeof(head)}));
	memcpy(head + 68, "SARC", 4);
	cr_expect_str_eq(secret_sign((struct bytes){head, sizeof(head)}),
			 "the registry of a server");
	cr_expect_null(secret_sign((struct bytes){head, sizeof(head) - 1}));
	memcpy(head + 68, "SATW", 4);
	cr_expect_str_eq(secret_sign((struct bytes){head, sizeof(head)}),
			 "the database of a workstation");
	head[0] = 's';
	cr_expect_null(secret_sign((struct bytes){head, sizeof(head)}));
}
