/* SPDX-License-Identifier: ISC */
/*
 * A decommissioned workstation joins a site: of its former life nothing stays, in no table, but
 * what the list below gives a reason for.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "applier/enrol/enrol.h"
#include "applier/station/station_state.h"
#include "tests/support/station.h"

static const struct stays {
	const char *table;
	bool same_site; /* only when it joins the same site again */
	const char *why;
} list[] = {
    {"counter", false, "a number is never used twice, by whichever site it is read"},
    {"outbox", false, "the last receipt waits until some depot has it"},
    {"schema_room", false, "it speaks of this program, not of a site"},
    {"trust", true, "what was accepted is the floor under what may be accepted"},
    {"beat", true, "what was accepted is the floor under what may be accepted"},
};

static char path[SCRATCH_PATH + 16];
static struct station *s;
static struct err err;
/* The names of all tables, in one text, each on a line. */
static struct buf tables;

static void setup(void)
{
	scratch_setup();
	snprintf(path, sizeof(path), "%s/ws", scratch);
	s = station_at(path);
	memset(s->site.b, 7, sizeof(s->site.b));
}

static void teardown(void)
{
	buf_clear(&tables);
	station_freep(&s);
	scratch_teardown();
}

TestSuite(enrol_forget, .init = setup, .fini = teardown);

static int64_t number(const char *sql)
{
	int64_t n = -1;

	cr_assert_eq(db_int(s->db, &err, &n, sql, ""), 1, "%s: %s", sql, err.text);
	return n;
}

/* table_fill(table): a row with something in every column. */
static void table_fill(const char *table)
{
	OWNED(buf_clear) struct buf sql = BUF_INIT;
	OWNED(db_done) sqlite3_stmt *st = NULL;

	cr_assert_eq(buf_printf(&sql, &err, "INSERT INTO %s VALUES (", table), 0);
	cr_assert_eq(db_query(s->db, "SELECT type FROM pragma_table_info(?)", &st, &err), 0);
	cr_assert_eq(db_bind(st, &err, "t", table), 0);
	for (size_t i = 0; db_step(s->db, st, &err) == 1; i++) {
		const char *type = db_text(st, 0);

		cr_assert_eq(buf_printf(&sql, &err, "%s%s", i > 0 ? ", " : "",
					strcmp(type, "INTEGER") == 0 ? "1"
					: strcmp(type, "BLOB") == 0  ? "x'07'"
								     : "'former'"),
			     0);
	}
	cr_assert_eq(buf_printf(&sql, &err, ")"), 0);
	cr_assert_eq(sqlite3_exec(db_handle(s->db), (const char *)sql.p, NULL, NULL, NULL),
		     SQLITE_OK, "%s: %s", (const char *)sql.p, sqlite3_errmsg(db_handle(s->db)));
}

static void tables_fill(void)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	size_t n = 0;

	cr_assert_eq(buf_text(&tables, "", &err), 0);
	cr_assert_eq(db_query(s->db,
			      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT "
			      "LIKE 'sqlite_%' ORDER BY name",
			      &st, &err),
		     0);
	while (db_step(s->db, st, &err) == 1) {
		cr_assert_eq(buf_printf(&tables, &err, "%s\n", db_text(st, 0)), 0);
		n++;
	}
	cr_assert_geq(n, 22, "the tables of all rooms");
	/* In the order of names, not of who refers to whom; the rows fit each other. */
	cr_assert_eq(db_exec(s->db, "PRAGMA foreign_keys = OFF", &err), 0);
	for (char *at = (char *)tables.p, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		if (strcmp(at, "schema_room") != 0)
			table_fill(at);
		*end = '\n';
	}
	cr_assert_eq(db_exec(s->db, "PRAGMA foreign_keys = ON", &err), 0);
	cr_assert_eq(db_exec(s->db,
			     "INSERT INTO outbox (path, kind, sequence, content) VALUES "
			     "('a', 'receipt', 1, x'07'), ('b', 'request', 1, x'07'), "
			     "('c', 'activation', 1, x'07'), ('d', 'last', 1, x'07')",
			     &err),
		     0);
}

static const struct stays *stays_find(const char *table, bool same_site)
{
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		if (strcmp(list[i].table, table) == 0 && (same_site || !list[i].same_site))
			return &list[i];
	return NULL;
}

static void tables_check(bool same_site)
{
	for (char *at = (char *)tables.p, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		OWNED(buf_clear) struct buf sql = BUF_INIT;
		const struct stays *why;
		sqlite3_stmt *st = NULL;

		*end = '\0';
		why = stays_find(at, same_site);
		cr_assert_eq(buf_printf(&sql, &err, "SELECT count(*) FROM %s", at), 0);
		cr_assert_eq(
		    sqlite3_prepare_v2(db_handle(s->db), (const char *)sql.p, -1, &st, NULL),
		    SQLITE_OK);
		cr_assert_eq(sqlite3_step(st), SQLITE_ROW);
		cr_assert(why != NULL || sqlite3_column_int(st, 0) == 0,
			  "%s still has something of the former site", at);
		cr_assert(why == NULL || sqlite3_column_int(st, 0) > 0,
			  "%s is empty, although %s: take it from the list", at, why->why);
		sqlite3_finalize(st);
		*end = '\n';
	}
	cr_assert_eq(number("SELECT count(*) FROM outbox WHERE kind <> 'last'"), 0);
}

static void forget(const struct digest *site)
{
	cr_assert_eq(db_begin(s->db, &err), 0);
	cr_assert_eq(enrol_forget(s, site, &err), 0, "%s", err.text);
	cr_assert_eq(db_commit(s->db, &err), 0);
}

Test(enrol_forget, nothing_of_a_former_site_stays_when_another_is_joined)
{
	struct digest other = {{1}};

	tables_fill();
	forget(&other);
	tables_check(false);
}

Test(enrol_forget, of_the_same_site_the_floors_stay)
{
	struct digest same = s->site;

	tables_fill();
	forget(&same);
	tables_check(true);
}
