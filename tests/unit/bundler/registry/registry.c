/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "bundler/site/site_internal.h"
#include "core/base/limits.h"
#include "tests/support/server.h"

TestSuite(registry, .init = server_make, .fini = server_teardown);

Test(registry, counts_an_event_that_repeats_and_keeps_others_apart)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err = {0};

	must(registry_eventf(s->db, &err, "kind", "a", "%s", "text"));
	must(registry_eventf(s->db, &err, "kind", "a", "%s", "text"));
	must(registry_eventf(s->db, &err, "kind", "b", "%s", "text"));
	must(registry_eventf(s->db, &err, "kind", "a", "%s", "else"));
	must(registry_eventf(s->db, &err, "kind", "a", "%s", "text"));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event"), 4);
	cr_assert_eq(server_events(s, "kind"), 5);
}

Test(registry, joins_a_flood_to_one_event_a_day)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err = {0};

	must(registry_event_many(s->db, "flood", "a", "1", "", 10, &err));
	clock_set(SERVER_NOW + 86399);
	must(registry_event_many(s->db, "flood", "a", "2", "says", 5, &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event"), 1);
	cr_assert_eq(server_number(s, "SELECT count FROM event WHERE text = '2' AND claim = "
				      "'says'"),
		     15);
	clock_set(SERVER_NOW + 86400);
	must(registry_event_many(s->db, "flood", "a", "3", "", 1, &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event"), 2);
}

Test(registry, forgets_the_oldest_events)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err = {0};

	must(registry_eventf(s->db, &err, "first", "", "%s", ""));
	must(db_exec(s->db, "UPDATE sqlite_sequence SET seq = 20000 WHERE name = 'event'", &err));
	must(registry_eventf(s->db, &err, "second", "", "%s", ""));
	cr_assert_eq(server_events(s, "first"), 0);
	cr_assert_eq(server_events(s, "second"), 1);
}

Test(registry, counts_up_and_stops_where_documents_end)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err = {0};
	uint64_t n = 7;

	must(registry_last(s->db, "beat", &n, &err));
	cr_assert_eq(n, 0);
	must(registry_next(s->db, "beat", &n, &err));
	cr_assert_eq(n, 1);
	must(registry_next(s->db, "beat", &n, &err));
	cr_assert_eq(n, 2);
	must(db_run(s->db, &err, "UPDATE counter SET value = ?1", "i", (int64_t)LIMIT_NUMBER - 1));
	must(registry_next(s->db, "beat", &n, &err));
	cr_assert_eq(n, LIMIT_NUMBER);
	cr_assert_eq(registry_next(s->db, "beat", &n, &err), RC_LIMIT);
	cr_assert_eq(n, LIMIT_NUMBER);
}

Test(registry, posts_the_same_document_once_and_a_changed_one_again)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err = {0};

	must(registry_document(s->db, "x", bytes_of("one"), &err));
	must(db_exec(s->db, "UPDATE outbox SET posted = 5", &err));
	must(registry_document(s->db, "x", bytes_of("one"), &err));
	cr_assert_eq(server_number(s, "SELECT posted FROM outbox WHERE path = 'x'"), 5);
	must(registry_document(s->db, "x", bytes_of("two"), &err));
	cr_assert_eq(server_number(s, "SELECT posted FROM outbox WHERE path = 'x'"), 0);
}

Test(registry, refuses_a_database_that_is_not_one)
{
	char path[SCRATCH_PATH + 32];
	OWNED(db_freep) struct db *db = NULL;
	struct err err = {0};

	snprintf(path, sizeof(path), "%s/x.db", dir);
	cr_assert_eq(scratch_run(dir, "head -c 8192 /dev/urandom > x.db"), 0);
	cr_assert_eq(registry_open(path, &db, &err), RC_STATE);
	cr_assert_null(db);
}
