/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "bundler/private/private_users.h"
#include "bundler/site/site.h"
#include "tests/support/server.h"

TestSuite(carried, .init = server_make, .fini = server_teardown);

static int64_t row(struct site *s, const char *email, const char *column)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct err err = {0};

	must(db_query(s->db, "SELECT gone, generation, epoch FROM private_users WHERE email = ?1",
		      &st, &err));
	must(db_bind(st, &err, "t", email));
	if (db_step(s->db, st, &err) != 1)
		return -1;
	return db_i64(st, column[0] == 'n' ? 1 : column[0] == 'e' ? 2 : 0);
}

Test(carried, remembers_the_first_generation_that_lacks_a_user)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	const char *both[] = {"eva@example.org", "max@example.org"};
	const char *id = "00112233445566778899aabbccddeeff";
	struct err err = {0};

	must(private_users_record(s->db, id, 1, 3, both, 2, &err));
	cr_assert_eq(row(s, "eva@example.org", "gone"), 0);
	must(private_users_record(s->db, id, 1, 4, both + 1, 1, &err));
	cr_assert_eq(row(s, "eva@example.org", "gone"), 1);
	cr_assert_eq(row(s, "eva@example.org", "number"), 4);
	cr_assert_eq(row(s, "max@example.org", "gone"), 0);
	must(private_users_record(s->db, id, 2, 1, both + 1, 1, &err));
	cr_assert_eq(row(s, "eva@example.org", "number"), 4,
		     "a later one does not lack them first");
	cr_assert_eq(row(s, "eva@example.org", "epoch"), 1);
	must(private_users_record(s->db, id, 2, 2, both, 2, &err));
	cr_assert_eq(row(s, "eva@example.org", "gone"), 0, "active again");
	must(private_users_record(s->db, id, 2, 3, NULL, 0, &err));
	cr_assert_eq(row(s, "eva@example.org", "number"), 3);
	cr_assert_eq(row(s, "max@example.org", "number"), 3);
	must(private_users_record(s->db, "ff112233445566778899aabbccddeeff", 1, 1, NULL, 0, &err));
	cr_assert_eq(row(s, "nobody@example.org", "gone"), -1);
}
