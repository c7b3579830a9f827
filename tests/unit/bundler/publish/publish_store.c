/* SPDX-License-Identifier: ISC */
/* What the content store keeps of a channel. */

#include <criterion/criterion.h>
#include <string.h>

#include "bundler/pack/store.h"
#include "bundler/publish/publish.h"
#include "tests/support/channel.h"

TestSuite(store, .init = source_make, .fini = server_teardown);

static int stored(struct site *s, const char *text)
{
	struct digest d = digest_of(bytes_of(text));
	struct store_where where;
	struct err err = {0};
	int rc = store_find(s->db, &d, &where, &err);

	must(rc);
	return rc;
}

Test(store, keeps_the_generations_that_the_channel_wants_and_no_more)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	/* Every generation replaces most of the tree, so that each has a full bundle. */
	change("rm source/noise");
	for (int i = 1; i <= 5; i++) {
		struct err err = {0};
		char command[96];

		snprintf(command, sizeof(command), "echo three%d > source/three", i);
		change(command);
		must(publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &err));
		published_check(s, CHANNEL);
		published_store_check(s, CHANNEL);
	}
	cr_assert_eq(stored(s, "three5\n"), 1);
	cr_assert_eq(stored(s, "three4\n"), 1, "keep is 2");
	cr_assert_eq(stored(s, "three1\n"), 0);
	cr_assert_eq(stored(s, "one\n"), 1, "unchanged since generation 1");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM frame WHERE pack NOT IN"
				      " (SELECT number FROM pack)"),
		     0);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM pack WHERE base = 0 AND generation < 4"), 0);
}

static int refuse(void *arg, struct bytes piece, struct err *err)
{
	return err_set(err, RC_POLICY, "not this");
}

Test(store, hands_out_only_what_fits_its_digest)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct digest one = digest_of(bytes_of("one\n")), none = digest_of(bytes_of("none"));
	struct err err = {0};

	run(s);
	must(store_read(s, &one, published_stored, NULL, &err));
	cr_assert_eq(store_read(s, &one, refuse, NULL, &err), RC_POLICY);
	cr_assert_eq(store_read(s, &none, published_stored, NULL, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "is not in the content store"));
	must(db_exec(s->db, "UPDATE content SET skip = skip + 1", &err));
	cr_assert_eq(store_read(s, &one, published_stored, NULL, &err), RC_STATE);
	must(db_exec(s->db, "UPDATE content SET skip = 100000000", &err));
	cr_assert_eq(store_read(s, &one, published_stored, NULL, &err), RC_STATE);
	must(db_exec(s->db, "UPDATE frame SET unpacked = 1 << 40", &err));
	cr_assert_eq(store_read(s, &one, published_stored, NULL, &err), RC_STATE);
	change("rm site.state/store/1.pack");
	cr_assert_lt(store_read(s, &one, published_stored, NULL, &err), 0);
}
