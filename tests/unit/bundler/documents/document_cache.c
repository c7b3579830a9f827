/* SPDX-License-Identifier: ISC */
#include "tests/support/server.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The clock of these tests is later than the times of any file, so all of them are settled. */
TestSuite(site_remembered, .init = server_make, .fini = server_teardown);

static void document(const char *name, const char *label)
{
	char path[SCRATCH_PATH + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/workstations", site_dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/workstations/%s.yaml", site_dir, name);
	f = fopen(path, "w");
	cr_assert(f != NULL);
	fprintf(f, "satchel: workstation/1\nname: %s\nlabels: [%s]\n", name, label);
	cr_assert_eq(fclose(f), 0);
}

static void document_remove(const char *name)
{
	char path[SCRATCH_PATH + 64];

	snprintf(path, sizeof(path), "%s/workstations/%s.yaml", site_dir, name);
	cr_assert_eq(unlink(path), 0);
}

static int64_t rows(struct site *s)
{
	return server_number(s, "SELECT count(*) FROM document_cache WHERE kind = 'workstations'");
}

/* label(name): of the document as the site was opened with it. */
static void expect_label(const char *name, const char *label)
{
	OWNED(site_freep) struct site *s = server_open(0);
	const struct site_workstation *w = site_workstation(s, name);

	cr_assert(w != NULL && w->labels == 1, "%s", name);
	cr_expect_str_eq(w->label[0], label);
}

/* A run that changes something, whatever it is. */
static void remember(void)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	must(db_exec(s->db, "INSERT OR REPLACE INTO counter(name, value) VALUES('test', 1)", &err));
}

/* What the registry remembers is altered, so that it shows where a document came from. */
static void rows_alter(void)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	must(db_exec(
	    s->db,
	    "UPDATE document_cache SET content = CAST(replace(CAST(content AS TEXT), '[one]',"
	    " '[row]') AS BLOB) WHERE kind = 'workstations'",
	    &err));
}

Test(site_remembered, a_document_that_did_not_change_is_not_read_again)
{
	document("a", "one");
	document("a-b", "one");
	document("a.b", "one");
	remember();
	rows_alter();
	expect_label("a", "row");
	expect_label("a-b", "row");
	expect_label("a.b", "row");
}

Test(site_remembered, a_document_that_changed_is_read_and_the_others_are_not)
{
	document("a", "one");
	document("b", "one");
	document("c", "one");
	remember();
	rows_alter();
	document("b", "two");
	expect_label("a", "row");
	expect_label("b", "two");
	expect_label("c", "row");
	remember();
	expect_label("b", "two");
}

Test(site_remembered, a_file_put_in_the_place_of_another_of_the_same_size_is_read)
{
	document("a", "one");
	remember();
	rows_alter();
	document_remove("a");
	document("a", "own");
	expect_label("a", "own");
}

Test(site_remembered, what_is_gone_is_forgotten_and_what_is_new_is_found)
{
	OWNED(site_freep) struct site *s = NULL;

	document("a", "one");
	document("b", "one");
	document("d", "one");
	remember();
	document_remove("b");
	document_remove("d");
	document("c", "two");
	remember();
	s = server_open(0);
	cr_expect_eq(s->workstations, 2);
	cr_expect_eq(rows(s), 2);
	cr_expect(site_workstation(s, "b") == NULL);
	cr_expect(site_workstation(s, "c") != NULL);
}

Test(site_remembered, reading_without_the_lock_writes_nothing)
{
	OWNED(site_freep) struct site *s = NULL;

	document("a", "one");
	s = server_open(0);
	cr_expect_eq(rows(s), 0);
}

Test(site_remembered, a_run_that_changes_nothing_writes_nothing)
{
	OWNED(site_freep) struct site *s = NULL;

	document("a", "one");
	document("b", "one");
	s = server_open(SITE_LOCK);
	s = site_free(s);
	s = server_open(0);
	cr_expect_eq(rows(s), 0);
	s = site_free(s);
	remember();
	document("a", "two");
	document_remove("b");
	s = server_open(SITE_LOCK);
	cr_expect_str_eq(site_workstation(s, "a")->label[0], "two");
	s = site_free(s);
	s = server_open(0);
	cr_expect_eq(rows(s), 2);
}

Test(site_remembered, a_file_as_young_as_the_grain_of_the_clock_is_not_remembered)
{
	char path[SCRATCH_PATH + 64];
	struct stat st;
	OWNED(site_freep) struct site *s = NULL;

	document("a", "one");
	snprintf(path, sizeof(path), "%s/workstations/a.yaml", site_dir);
	cr_assert_eq(stat(path, &st), 0);
	clock_set(st.st_ctim.tv_sec + 1);
	remember();
	s = server_open(0);
	cr_expect_eq(rows(s), 0);
	cr_expect_str_eq(site_workstation(s, "a")->label[0], "one");
}

Test(site_remembered, a_link_is_refused_also_in_the_place_of_a_remembered_file)
{
	char path[SCRATCH_PATH + 64];
	struct site *s = NULL;
	struct err err = {0};

	document("a", "one");
	remember();
	snprintf(path, sizeof(path), "%s/workstations/a.yaml", site_dir);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink("/etc/passwd", path), 0);
	cr_expect_lt(site_open(site_dir, 0, NULL, &s, &err), 0);
	cr_expect(strstr(err.text, "workstations/a.yaml") != NULL, "%s", err.text);
}
