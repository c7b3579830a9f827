/* SPDX-License-Identifier: ISC */
/*
 * The database of a workstation: one that 0.1.0 made becomes the one of today.
 */
#include <criterion/criterion.h>

#include "applier/apply/applied.h"
#include "applier/follow/incomplete.h"
#include "applier/handout/handout.h"
#include "applier/report/event.h"
#include "applier/station/station_state.h"
#include "tests/support/state_0_1.h"
#include "tests/support/station.h"

static char old_dir[SCRATCH_PATH + 16], new_dir[SCRATCH_PATH + 16];

static void setup(void)
{
	scratch_setup();
	snprintf(old_dir, sizeof(old_dir), "%s/old", scratch);
	snprintf(new_dir, sizeof(new_dir), "%s/new", scratch);
}

TestSuite(station_open, .init = setup, .fini = scratch_teardown);

/* old_make(sql): a workstation of 0.1.0, with what ${sql} puts into its database. */
static void old_make(const char *sql)
{
	char path[sizeof(old_dir) + 32];
	sqlite3 *handle = NULL;

	station_free(station_at(old_dir));
	cr_assert_eq(scratch_run(scratch, "rm old/state/state.db*"), 0);
	snprintf(path, sizeof(path), "%s/state/state.db", old_dir);
	cr_assert_eq(sqlite3_open(path, &handle), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(handle, state_0_1, NULL, NULL, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(handle));
	cr_assert_eq(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(handle));
	sqlite3_close(handle);
}

/* schema_text(db, ret): everything in the database by name, with its very SQL. */
static void schema_text(struct db *db, struct buf *ret)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct err err = {0};

	cr_assert_eq(
	    db_query(db,
		     "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema"
		     " ORDER BY type, name",
		     &st, &err),
	    0);
	while (db_step(db, st, &err) > 0)
		cr_assert_eq(buf_printf(ret, &err, "%s\n", db_text(st, 0)), 0);
}

static int64_t number(struct db *db, const char *sql)
{
	struct err err = {0};
	int64_t n = -1;

	cr_assert_eq(db_int(db, &err, &n, sql, ""), 1, "%s: %s", sql, err.text);
	return n;
}

Test(station_open, a_database_of_0_1_0_gets_the_very_tables_of_a_new_one)
{
	OWNED(station_freep) struct station *old = NULL;
	OWNED(station_freep) struct station *new = NULL;
	OWNED(buf_clear) struct buf was = BUF_INIT;
	OWNED(buf_clear) struct buf is = BUF_INIT;

	old_make("");
	old = station_at(old_dir);
	new = station_at(new_dir);
	schema_text(old->db, &was);
	schema_text(new->db, &is);
	cr_assert_str_eq((const char *)was.p, (const char *)is.p);
	cr_assert_eq(number(old->db, "PRAGMA user_version"),
		     number(new->db, "PRAGMA user_version"));
}

struct seen {
	size_t n;
	struct receipt_event event;
	struct receipt_user user;
};

static int event_each(void *arg, const struct receipt_event *e, struct err *err)
{
	struct seen *seen = arg;

	(void)err;
	seen->n++;
	seen->event = *e;
	return 0;
}

static int user_each(void *arg, const struct receipt_user *u, struct err *err)
{
	struct seen *seen = arg;

	(void)err;
	seen->user = *u;
	return 0;
}

Test(station_open, what_a_database_of_0_1_0_holds_is_there_afterwards)
{
	OWNED(station_freep) struct station *s = NULL;
	struct seen seen = {0};
	struct applied applied;
	struct err err = {0};
	uint64_t n = 0;
	int64_t seconds = 0;

	old_make("INSERT INTO counter VALUES ('receipt', 7);"
		 "INSERT INTO fact VALUES ('acknowledged', x'0600000000000000');"
		 "INSERT INTO fact VALUES ('by-hand', x'31');"
		 "INSERT INTO apply_held VALUES ('office', 1, 4, zeroblob(32));"
		 "INSERT INTO torn VALUES ('shard 4f', 1, 1800000000);"
		 "INSERT INTO handed VALUES ('anna@example.org', 'anna', 'withheld', 'r', 5);"
		 "INSERT INTO event VALUES (3, 1, 2, 'answer', 'yes', 7, 0, 'm', 'anna', 1);"
		 "INSERT INTO event VALUES (4, 1, 2, 'clock', 'old', 7, 1, '', '', 0);");
	station_clock(1800000010);
	s = station_at(old_dir);
	cr_assert_eq(station_last(s, COUNTER_RECEIPT, &n, &err), 0);
	cr_assert_eq(n, 7);
	cr_assert_eq(station_property_number(s, PROPERTY_ACKNOWLEDGED, &n, &err), 1);
	cr_assert_eq(n, 6);
	cr_assert_eq(station_property_set(s, PROPERTY_BY_HAND, &err), 1);
	cr_assert_eq(station_property_set(s, PROPERTY_UNLISTED, &err), 0);
	cr_assert_eq(applied_load(s, "office", &applied, &err), 0);
	cr_assert_eq(applied.generation, 4);
	cr_assert_eq(incomplete_seen(s, "shard 4f", &seconds, &err), 0);
	cr_assert_eq(seconds, 1800000009);
	cr_assert_eq(handout_users(s, user_each, &seen, &err), 0);
	cr_assert_str_eq(seen.user.account, "anna");
	cr_assert_str_eq(seen.user.result, "withheld");
	cr_assert_eq(station_events(s, false, event_each, &seen, &err), 0);
	cr_assert_eq(seen.n, 1, "an acknowledged event is not sent again");
	cr_assert_eq(seen.event.number, 3);
	cr_assert_str_eq(seen.event.user, "anna");
	cr_assert_eq(number(s->db, "SELECT said FROM event WHERE number = 3"), 1);
}
