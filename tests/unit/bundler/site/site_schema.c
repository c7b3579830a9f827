/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "bundler/site/site_internal.h"
#include "core/base/own.h"
#include "core/os/db.h"
#include "tests/support/registry_0_1.h"
#include "tests/support/scratch.h"

static char old_path[SCRATCH_PATH + 16], new_path[SCRATCH_PATH + 16];

static void setup(void)
{
	scratch_setup();
	snprintf(old_path, sizeof(old_path), "%s/old.db", scratch);
	snprintf(new_path, sizeof(new_path), "%s/new.db", scratch);
}

TestSuite(site_schema, .init = setup, .fini = scratch_teardown);

/* old_make(sql): a registry of 0.1.0, with what ${sql} puts into it. */
static void old_make(const char *sql)
{
	sqlite3 *handle = NULL;

	cr_assert_eq(sqlite3_open(old_path, &handle), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(handle, registry_0_1, NULL, NULL, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(handle));
	cr_assert_eq(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(handle));
	sqlite3_close(handle);
}

static struct db *opened(const char *path)
{
	struct err err = {0};
	struct db *db = NULL;

	cr_assert_eq(registry_open(path, &db, &err), 0, "%s", err.text);
	return db;
}

/* schema_text(db, ret): everything in the database by name, with its SQL without white space. */
static void schema_text(struct db *db, struct buf *ret)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct err err = {0};

	cr_assert_eq(
	    db_query(db,
		     "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema"
		     " ORDER BY type, name",
		     &st, &err),
	    0);
	cr_assert_eq(buf_text(ret, "", &err), 0);
	while (db_step(db, st, &err) > 0) {
		for (const char *c = db_text(st, 0); *c != '\0'; c++)
			if (!isspace((unsigned char)*c))
				cr_assert_eq(buf_printf(ret, &err, "%c", *c), 0);
		cr_assert_eq(buf_text(ret, "\n", &err), 0);
	}
}

static int64_t number(struct db *db, const char *sql)
{
	struct err err = {0};
	int64_t n = -1;

	cr_assert_eq(db_int(db, &err, &n, sql, ""), 1, "%s: %s", sql, err.text);
	return n;
}

Test(site_schema, a_registry_of_0_1_0_gets_the_very_tables_of_a_new_one)
{
	OWNED(db_freep) struct db *old = NULL;
	OWNED(db_freep) struct db *new = NULL;
	OWNED(buf_clear) struct buf was = BUF_INIT;
	OWNED(buf_clear) struct buf is = BUF_INIT;

	old_make("");
	old = opened(old_path);
	new = opened(new_path);
	schema_text(old, &was);
	schema_text(new, &is);
	cr_assert_str_eq((const char *)was.p, (const char *)is.p);
	cr_assert_eq(number(old, "PRAGMA user_version"), number(new, "PRAGMA user_version"));
}

/* A row of bundle holds a prefix: what is done for each bundle finds it, and what lists them reads
 * no row at all. */
Test(site_schema, no_walk_over_all_bundles_for_one_of_them)
{
	static const struct {
		const char *sql, *plan;
	} row[] = {
	    {"UPDATE bundle SET posted = 1 WHERE path = ?1", "SEARCH bundle USING %bundle_path%"},
	    {"SELECT path, size FROM bundle_sent ORDER BY path",
	     "SCAN bundle USING COVERING INDEX bundle_size"},
	    {"SELECT path FROM bundle WHERE posted = 0 AND channel = 'x' ORDER BY path",
	     "SEARCH bundle USING COVERING INDEX bundle_unposted %"},
	    {"SELECT count(*) FROM bundle WHERE posted = 0",
	     "SCAN bundle USING COVERING INDEX bundle_unposted"},
	};
	OWNED(db_freep) struct db *db = opened(new_path);

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char sql[256];
		sqlite3_stmt *st = NULL;
		bool good = false, sorted = false;

		snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", row[i].sql);
		cr_assert_eq(sqlite3_prepare_v2(db_handle(db), sql, -1, &st, NULL), SQLITE_OK,
			     "%s: %s", row[i].sql, sqlite3_errmsg(db_handle(db)));
		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *text = (const char *)sqlite3_column_text(st, 3);

			good = good || sqlite3_strlike(row[i].plan, text, 0) == 0;
			sorted = sorted || strstr(text, "B-TREE") != NULL;
		}
		sqlite3_finalize(st);
		cr_expect(good && !sorted, "%s", row[i].sql);
	}
}

Test(site_schema, what_a_registry_of_0_1_0_holds_is_there_afterwards)
{
	OWNED(db_freep) struct db *db = NULL;

	old_make("INSERT INTO counter VALUES('beat', 7);"
		 "INSERT INTO outbox(path, content, posted) VALUES('beats/x', x'01', 5);"
		 "INSERT INTO event(at, first, kind, about, text, count) VALUES"
		 "(1, 1, 'malformed', 'pc-1', 'revoke pc-1', 2), (1, 1, 'clone', 'pc-2', 'two', 1);"
		 "INSERT INTO trust VALUES(1, x'02');");
	db = opened(old_path);
	cr_assert_eq(number(db, "SELECT count FROM event WHERE claim = 'revoke pc-1' AND"
				" instr(text, 'revoke') = 0"),
		     2, "words of strangers are their claim from now on");
	cr_assert_eq(number(db, "SELECT count FROM event WHERE claim = '' AND text = 'two'"), 1);
	cr_assert_eq(number(db, "SELECT value FROM counter WHERE name = 'beat'"), 7);
	cr_assert_eq(number(db, "SELECT posted FROM outbox WHERE path = 'beats/x'"), 5);
	cr_assert_eq(number(db, "SELECT count(*) FROM trust"), 1);
	cr_assert_eq(number(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

#define ID "0123456789abcdef0123456789abcdef"

Test(site_schema, a_workstation_of_0_1_0_and_what_is_private_to_it_is_there_afterwards)
{
	OWNED(db_freep) struct db *db = NULL;

	old_make("INSERT INTO workstation VALUES('" ID "', 'pc-1', zeroblob(32), 1, zeroblob(32),"
		 " 2, 'enrolled', 100, x'aa', x'bb');"
		 "INSERT INTO receipt(id, sequence, recorded, written, beat_epoch, beat, trust,"
		 " private_epoch, private_generation, private_tree, free_bytes, version, formats,"
		 " last_event) VALUES('" ID "', 7, 1, 1, 1, 1, 1, 1, 1, zeroblob(32), 0, '', 1, 0);"
		 "INSERT INTO private VALUES('" ID "', 1, 4, zeroblob(32), zeroblob(32), 'p'),"
		 " ('b', 1, 5, zeroblob(32), zeroblob(32), 'q');"
		 "INSERT INTO held_request VALUES('c', 'pc-2', x'01', 3, x'02', 4, 5, '');"
		 "INSERT INTO carried VALUES('" ID "', 'ann@x.org', 0, 1, 4);"
		 "INSERT INTO private_past VALUES('" ID "', 9, 1, 4, zeroblob(32), 'c', 'a@x a');");
	db = opened(old_path);
	cr_assert_eq(number(db, "SELECT count(*) FROM workstation WHERE id = '" ID "' AND"
				" name = 'pc-1' AND state = 'enrolled' AND enrolled = 100"),
		     1);
	cr_assert_eq(number(db, "SELECT sequence FROM receipt"), 7);
	cr_assert_eq(number(db, "SELECT generation FROM private WHERE id = '" ID "' AND"
				" inputs = x'aa' AND policy = x'bb'"),
		     4);
	cr_assert_eq(number(db, "SELECT generation FROM private WHERE inputs IS NULL"), 5);
	cr_assert_eq(number(db, "SELECT at FROM pending_request WHERE id = 'c'"), 5);
	cr_assert_eq(number(db, "SELECT generation FROM private_users"), 4);
	cr_assert_eq(number(db, "SELECT beat FROM private_history"), 9);
	cr_assert_eq(number(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}
