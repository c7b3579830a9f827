/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/db.h"
#include "tests/support/scratch.h"

#define APPLICATION 0x53415443u

static const char *const schema[] = {
    "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT, body BLOB) STRICT",
    "ALTER TABLE thing ADD COLUMN size INTEGER NOT NULL DEFAULT 7",
};

static char path[SCRATCH_PATH + 16];

/* open_with(application_id, steps, count, ret, err): db_open with one room and its first ${count}
 * steps. */
static int open_with(uint32_t application_id, const char *const *steps, int count, struct db **ret,
		     struct err *err)
{
	const struct db_schema room = {.room = "things", .step = steps, .steps = count};
	const struct db_schema *const rooms[] = {&room};
	const struct db_layout layout = {
	    .application_id = application_id, .room = rooms, .rooms = 1};

	return db_open(path, &layout, ret, err);
}

static void setup(void)
{
	scratch_setup();
	snprintf(path, sizeof(path), "%s/state.db", scratch);
}

TestSuite(db, .init = setup, .fini = scratch_teardown);

static struct db *opened(int count)
{
	struct err err = {0};
	struct db *db = NULL;

	cr_assert_eq(open_with(APPLICATION, schema, count, &db, &err), 0, "%s", err.text);
	return db;
}

static int64_t count_things(struct db *db)
{
	struct err err = {0};
	int64_t n = -1;

	cr_assert_eq(db_int(db, &err, &n, "SELECT count(*) FROM thing", ""), 1, "%s", err.text);
	return n;
}

static void add(struct db *db, int64_t id)
{
	struct err err = {0};

	cr_assert_eq(db_run(db, &err, "INSERT INTO thing (id) VALUES (?)", "i", id), 0, "%s",
		     err.text);
}

Test(db, makes_a_private_file_and_leaves_nothing_else_behind)
{
	struct db *db = opened(1);
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(scratch_run(scratch, "test -z \"$(ls -A | grep -v '^state.db')\""), 0);
	db = db_free(db);
	cr_assert_eq(scratch_run(scratch, "test \"$(ls -A)\" = state.db"), 0);
}

Test(db, syncs_every_commit_and_keeps_a_write_ahead_log)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};
	int64_t v = 0;

	cr_assert_eq(db_int(db, &err, &v, "PRAGMA synchronous", ""), 1);
	cr_assert_eq(v, 2);
	cr_assert_eq(db_int(db, &err, &v, "PRAGMA foreign_keys", ""), 1);
	cr_assert_eq(v, 1);
	cr_assert_eq(db_int(db, &err, &v, "PRAGMA journal_mode = 'wal'", ""), 1);
	cr_assert_eq(db_int(db, &err, &v, "PRAGMA trusted_schema", ""), 1);
	cr_assert_eq(v, 0);
}

Test(db, brings_an_older_schema_up_and_keeps_its_rows)
{
	struct err err = {0};
	struct db *db = opened(1);
	int64_t size = 0;

	add(db, 3);
	db = db_free(db);
	db = opened(2);
	cr_assert_eq(
	    db_int(db, &err, &size, "SELECT size FROM thing WHERE id = ?", "i", (int64_t)3), 1);
	cr_assert_eq(size, 7);
	db = db_free(db);
}

Test(db, a_migration_that_fails_leaves_the_old_schema)
{
	const char *const broken[] = {schema[0], "ALTER TABLE thing ADD COLUMN a TEXT; nonsense"};
	struct err err = {0};
	struct db *db = opened(1), *other = NULL;
	int64_t n = -1;

	db = db_free(db);
	cr_assert_lt(open_with(APPLICATION, broken, 2, &other, &err), 0);
	cr_assert_null(other);
	db = opened(2);
	cr_assert_eq(db_int(db, &err, &n,
			    "SELECT count(*) FROM pragma_table_info('thing') WHERE name = 'a'", ""),
		     1);
	cr_assert_eq(n, 0);
	db = db_free(db);
}

Test(db, a_creation_that_fails_leaves_no_file)
{
	const char *const broken[] = {"nonsense"};
	struct err err = {0};
	struct db *db = NULL;

	cr_assert_lt(open_with(APPLICATION, broken, 1, &db, &err), 0);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_eq(rmdir(scratch), 0, "litter");
	cr_assert_eq(mkdir(scratch, 0700), 0);
}

Test(db, refuses_a_newer_schema_and_another_application)
{
	struct err err = {0};
	struct db *db = opened(2), *other = NULL;

	db = db_free(db);
	cr_assert_eq(open_with(APPLICATION, schema, 1, &other, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "newer"), "%s", err.text);
	cr_assert_eq(open_with(APPLICATION + 1, schema, 2, &other, &err), RC_STATE);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

Test(db, refuses_a_damaged_an_empty_and_a_strange_file)
{
	struct err err = {0};
	struct db *db = NULL;

	write_file("this is not a database, not at all, but it is long enough to be looked at: "
		   "0123456789012345678901234567890123456789");
	cr_assert_eq(open_with(APPLICATION, schema, 2, &db, &err), RC_STATE);
	write_file("");
	cr_assert_eq(open_with(APPLICATION, schema, 2, &db, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "empty"), "%s", err.text);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(open_with(APPLICATION, schema, 2, &db, &err), RC_STATE);
	cr_assert_null(db);
}

Test(db, refuses_to_be_made_where_no_directory_is)
{
	struct err err = {0};
	struct db *db = NULL;

	cr_assert_eq(db_open("/nonexistent/x.db",
			     &(struct db_layout){.application_id = APPLICATION}, &db, &err),
		     RC_STATE);
}

Test(db, binds_every_kind_and_gives_it_back)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};
	struct digest d = digest_of(bytes_of("x")), got;
	const char *sql = "SELECT ?, ?, ?, ?, ?, ?";

	{
		OWNED(db_done) sqlite3_stmt *st = NULL;

		cr_assert_eq(db_query(db, sql, &st, &err), 0);
		cr_assert_eq(db_bind(st, &err, "itbBdn", INT64_MIN, "text", bytes_of(""),
				     bytes_of("abc"), &d),
			     0, "%s", err.text);
		cr_assert_eq(db_step(db, st, &err), 1);
		cr_assert_eq(db_i64(st, 0), INT64_MIN);
		cr_assert_str_eq(db_text(st, 1), "text");
		cr_assert_eq(sqlite3_column_type(st, 2), SQLITE_BLOB, "no bytes are not NULL");
		cr_assert(bytes_equal(db_bytes(st, 3), bytes_of("abc")));
		cr_assert(db_digest(st, 4, &got));
		cr_assert(digest_equal(&got, &d));
		cr_assert_not(db_digest(st, 3, &got));
		cr_assert_str_eq(db_text(st, 5), "");
		cr_assert_eq(db_step(db, st, &err), 0);
	}
	{
		OWNED(db_done) sqlite3_stmt *st = NULL;

		cr_assert_eq(db_query(db, sql, &st, &err), 0);
		cr_assert_eq(db_step(db, st, &err), 1);
		cr_assert_eq(sqlite3_column_type(st, 0), SQLITE_NULL, "bindings are cleared");
		cr_assert_eq(db_bind(st, &err, "i", (int64_t)1), RC_INTERNAL, "too few");
	}
}

Test(db, a_statement_within_itself_is_an_error_and_two_are_fine)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};
	static const char a[] = "SELECT 1", b[] = "SELECT 2";
	OWNED(db_done) sqlite3_stmt *one = NULL, *two = NULL;
	sqlite3_stmt *again = NULL;

	cr_assert_eq(db_query(db, a, &one, &err), 0);
	cr_assert_eq(db_query(db, b, &two, &err), 0);
	cr_assert_eq(db_query(db, a, &again, &err), RC_INTERNAL);
	cr_assert_null(again);
	db_done(&one);
	cr_assert_eq(db_query(db, a, &again, &err), 0);
	db_done(&again);
	db_done(&again);
}

Test(db, remembers_more_statements_than_it_began_with)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};
	static char sql[500][24];
	OWNED(db_done) sqlite3_stmt *held = NULL;
	int64_t v;

	cr_assert_eq(db_query(db, "SELECT 77", &held, &err), 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 500; i++) {
			snprintf(sql[i], sizeof(sql[i]), "SELECT %d", i);
			cr_assert_eq(db_int(db, &err, &v, sql[i], ""), 1);
			cr_assert_eq(v, i);
		}
	cr_assert_eq(db_step(db, held, &err), 1);
	cr_assert_eq(db_i64(held, 0), 77);
}

Test(db, rolls_back_what_was_not_committed)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};

	db_rollback(db);
	cr_assert_eq(db_begin(db, &err), 0);
	add(db, 1);
	db_rollback(db);
	cr_assert_eq(count_things(db), 0);
	cr_assert_eq(db_begin(db, &err), 0);
	add(db, 2);
	cr_assert_eq(db_commit(db, &err), 0);
	cr_assert_eq(count_things(db), 1);
	cr_assert_lt(db_commit(db, &err), 0, "no transaction is open");
}

static int add_in_transaction(struct db *db, int id, int fault, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, db, err);

	if (rc < 0)
		return rc;
	add(db, id);
	if (fault < 0)
		return err_set(err, fault, "no");
	return db_tx_commit(&tx, err);
}

Test(db, ends_a_transaction_with_its_scope)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};

	cr_assert_eq(add_in_transaction(db, 1, RC_POLICY, &err), RC_POLICY);
	cr_assert_eq(count_things(db), 0);
	cr_assert_eq(add_in_transaction(db, 2, 0, &err), 0);
	cr_assert_eq(count_things(db), 1);
	cr_assert_neq(sqlite3_get_autocommit(db_handle(db)), 0);
}

static int add_as_a_part(struct db *db, int id, int fault, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_join(&tx, db, err);

	if (rc < 0)
		return rc;
	add(db, id);
	return fault < 0 ? err_set(err, fault, "no") : db_tx_commit(&tx, err);
}

Test(db, leaves_a_transaction_that_it_joined_to_who_began_it)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};

	cr_assert_eq(db_begin(db, &err), 0);
	cr_assert_eq(add_as_a_part(db, 1, 0, &err), 0);
	cr_assert_eq(add_as_a_part(db, 2, RC_POLICY, &err), RC_POLICY);
	cr_assert_eq(sqlite3_get_autocommit(db_handle(db)), 0, "still open");
	db_rollback(db);
	cr_assert_eq(count_things(db), 0);
	cr_assert_eq(add_as_a_part(db, 3, 0, &err), 0);
	cr_assert_eq(add_as_a_part(db, 4, RC_POLICY, &err), RC_POLICY);
	cr_assert_eq(count_things(db), 1);
}

Test(db, says_busy_when_another_connection_writes)
{
	OWNED(db_freep) struct db *one = opened(1);
	OWNED(db_freep) struct db *two = opened(1);
	struct err err = {0};

	sqlite3_busy_timeout(db_handle(two), 1);
	cr_assert_eq(db_begin(one, &err), 0);
	cr_assert_eq(db_begin(two, &err), RC_BUSY);
	db_rollback(one);
	cr_assert_eq(db_begin(two, &err), 0);
	db_rollback(two);
}

Test(db, says_when_the_disk_is_full)
{
	OWNED(db_freep) struct db *db = opened(1);
	struct err err = {0};
	int64_t pages;
	static uint8_t body[1 << 20];

	cr_assert_eq(db_int(db, &err, &pages, "PRAGMA max_page_count = 4", ""), 1);
	cr_assert_eq(db_run(db, &err, "INSERT INTO thing (body) VALUES (?)", "B",
			    (struct bytes){body, sizeof(body)}),
		     RC_SPACE);
	cr_assert_not_null(strstr(err.text, "no space is left on the disk"), "%s", err.text);
	cr_assert_eq(count_things(db), 0);
}

Test(db, damage_inside_is_said_when_it_is_met)
{
	struct err err = {0};
	struct db *db = opened(1);
	OWNED(fd_closep) int fd = -1;
	uint8_t junk[4096];

	for (int i = 0; i < 1000; i++)
		add(db, i);
	db = db_free(db);
	memset(junk, 0xa5, sizeof(junk));
	fd = open(path, O_WRONLY);
	for (int page = 1; page < 4; page++)
		cr_assert_eq(pwrite(fd, junk, sizeof(junk), page * 4096), 4096);
	db = opened(1);
	cr_assert_eq(db_run(db, &err, "SELECT name FROM thing WHERE id > ?", "i", (int64_t)0),
		     RC_STATE);
	cr_assert_not_null(strstr(err.text, "damaged"), "%s", err.text);
	db = db_free(db);
}

Test(db, two_that_make_it_at_once_end_with_one)
{
	for (int round = 0; round < 5; round++) {
		pid_t pids[4];

		unlink(path);
		for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				struct err err = {0};
				struct db *db = NULL;
				int rc = open_with(APPLICATION, schema, 2, &db, &err);

				if (rc == 0)
					rc = db_run(db, &err, "INSERT INTO thing (name) VALUES (?)",
						    "t", "x");
				db = db_free(db);
				if (rc < 0)
					fprintf(stderr, "%s\n", err.text);
				_exit(rc == 0 ? 0 : 1);
			}
		}
		for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
			int status;

			cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
			cr_assert_eq(status, 0);
		}
		OWNED(db_freep) struct db *db = opened(2);

		cr_assert_eq(count_things(db), (int64_t)ARRAY_LEN(pids));
	}
}

/* What lies in the place of the database, or beside it, and what must not be touched by that. */
static void refused_untouched(const char *make)
{
	OWNED(db_freep) struct db *db = NULL;
	struct err err = {0};
	struct stat was, is;
	char victim[SCRATCH_PATH + 16];

	cr_assert_eq(scratch_run(scratch, "rm -rf victim state.db* d;"
					  "printf 'what somebody else keeps' > victim;"
					  "chmod 644 victim"),
		     0);
	cr_assert_eq(scratch_run(scratch, make), 0, "%s", make);
	snprintf(victim, sizeof(victim), "%s/victim", scratch);
	cr_assert_eq(stat(victim, &was), 0);
	cr_expect_eq(open_with(APPLICATION, schema, 1, &db, &err), RC_STATE, "%s", make);
	cr_expect_null(db);
	cr_expect_not_null(strstr(err.text, "link"), "%s: %s", make, err.text);
	cr_expect_eq(stat(victim, &is), 0);
	cr_expect_eq(is.st_mode, was.st_mode, "%s", make);
	cr_expect_eq(is.st_ctim.tv_nsec, was.st_ctim.tv_nsec, "%s", make);
	cr_expect_eq(scratch_run(scratch, "grep -qx 'what somebody else keeps' victim"), 0);
}

Test(db, a_link_is_no_database_and_what_it_names_is_left_alone)
{
	refused_untouched("ln -s victim state.db");
	refused_untouched("mkdir d; ln -s d/nothing state.db; ! test -e d/nothing");
	cr_expect_neq(scratch_run(scratch, "test -e d/nothing"), 0);
}

Test(db, a_link_beside_it_is_not_followed_either)
{
	for (int made = 0; made < 2; made++) {
		static const char *const ends[] = {"-wal", "-shm", "-journal"};

		for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
			char make[128];

			cr_assert_eq(scratch_run(scratch, "rm -f state.db* kept"), 0);
			if (made) {
				OWNED(db_freep) struct db *db = opened(1);

				add(db, 1);
			}
			cr_assert_eq(scratch_run(scratch, made ? "mv state.db kept" : "true"), 0);
			snprintf(make, sizeof(make), "%s; ln -s victim state.db%s",
				 made ? "mv kept state.db" : "true", ends[i]);
			refused_untouched(make);
		}
	}
}

Test(db, a_second_name_of_somebodys_file_keeps_its_mode)
{
	OWNED(db_freep) struct db *db = NULL;
	struct err err = {0};

	cr_assert_eq(scratch_run(scratch, "echo theirs > victim; chmod 644 victim;"
					  "ln victim state.db"),
		     0);
	cr_expect_eq(open_with(APPLICATION, schema, 1, &db, &err), RC_STATE);
	cr_expect_not_null(strstr(err.text, "second name"), "%s", err.text);
	cr_expect_eq(scratch_run(scratch, "test $(stat -c %a victim) = 644"), 0);
}

Test(db, one_that_was_left_open_to_others_is_closed_to_them)
{
	struct db *db = opened(1);
	struct stat st;

	add(db, 1);
	db = db_free(db);
	cr_assert_eq(chmod(path, 0644), 0);
	db = opened(1);
	cr_expect_eq(count_things(db), 1);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	db = db_free(db);
}
