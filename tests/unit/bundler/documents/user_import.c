/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/user_import.h"
#include "bundler/site/site.h"
#include "tests/support/server.h"

static void setup(void);
TestSuite(user_import, .init = setup, .fini = server_teardown);

static void setup(void)
{
	server_make();
	cr_assert_eq(
	    scratch_run(dir,
			"cd site && mkdir groups users licences keys &&"
			" echo 'satchel: group/1' | tee groups/sales.yaml > groups/office.yaml &&"
			" printf 'satchel: licence/1\\nproduct: CAD\\nseats: 2\\n' > "
			"licences/cad.yaml &&"
			" echo 'satchel: key/1' | tee keys/a.yaml > keys/b.yaml &&"
			" printf 'satchel: user/1\\n# a friend\\nname: Ann\\ngroup: sales\\n' >"
			" users/ann@x.org.yaml && cd .. && cp -a site before"),
	    0);
}

/* What each row became: "2 added bob@x.org name:->Bob; " */
static char told[8192];

static void tell(void *arg, const struct import_row *r)
{
	static const char *const words[] = {"added", "changed", "same", "refused"};
	size_t used = strlen(told);

	(void)arg;
	used += (size_t)snprintf(told + used, sizeof(told) - used, "%u %s %s", r->line,
				 words[r->what], r->email);
	for (size_t i = 0; i < r->changes; i++)
		used += (size_t)snprintf(told + used, sizeof(told) - used, " %s:%s->%s",
					 r->change[i].field, r->change[i].old, r->change[i].now);
	snprintf(told + used, sizeof(told) - used, "%s%s; ", r->why != NULL ? ": " : "",
		 r->why != NULL ? r->why : "");
}

static int import(struct site *s, const char *csv, enum import_flags flags, struct err *err)
{
	struct import_counts counts;

	told[0] = '\0';
	return user_import(s, bytes_of(csv), flags, tell, NULL, &counts, err);
}

static bool unchanged(void)
{
	return scratch_run(dir, "diff -r site before") == 0;
}

Test(user_import, adds_users_and_tells_what_each_gets)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err = {0};

	must(import(s,
		    "Group,EMAIL,name,extra-keys\r\n"
		    "office, Bob@X.org ,\"Lee, Bob\",a group:none \r\n",
		    IMPORT_DRY_RUN, &err) == RC_POLICY
		 ? 0
		 : RC_INTERNAL);
	cr_assert_not_null(strstr(told,
				  "2 refused bob@x.org: users/bob@x.org.yaml: field "
				  "`extra-keys`: there is no key with the key group called none"),
			   "%s", told);
	must(import(s,
		    "Group,EMAIL,name,extra-keys\r\n"
		    "office, Bob@X.org ,\"Lee, Bob\", a  b \r\n"
		    ",cyd@x.org,,\r\n",
		    0, &err));
	cr_assert_str_eq(told, "2 added bob@x.org name:->Lee, Bob group:->office extra-keys:->a b; "
			       "3 added cyd@x.org; ");
	cr_assert_str_eq(site_user(s, "bob@x.org")->name, "Lee, Bob");
	cr_assert_str_eq(site_user(s, "bob@x.org")->extra[1], "b");
	s = site_free(s);
	s = server_open(0);
	cr_assert_eq(s->users, 3);
	cr_assert_str_eq(site_user(s, "bob@x.org")->group, "office");
}

Test(user_import, changes_users_only_when_told_to_and_only_the_columns_that_are_there)
{
	OWNED(site_freep) struct site *s = server_open(0);
	static const char csv[] = "email,group,state\nann@x.org,office,suspended\n";
	struct err err = {0};

	cr_assert_eq(import(s, csv, 0, &err), RC_POLICY);
	cr_assert_not_null(strstr(told, "--update changes it"), "%s", told);
	cr_assert(unchanged());
	must(import(s, csv, IMPORT_UPDATE | IMPORT_DRY_RUN, &err));
	cr_assert_str_eq(told, "2 changed ann@x.org group:sales->office state:active->suspended; ");
	cr_assert(unchanged());
	cr_assert_str_eq(site_user(s, "ann@x.org")->group, "sales");
	must(import(s, csv, IMPORT_UPDATE, &err));
	cr_assert_str_eq(site_user(s, "ann@x.org")->name, "Ann", "no column, no change");
	cr_assert(site_user(s, "ann@x.org")->suspended);
	cr_assert_eq(scratch_run(dir, "grep -q '# a friend' site/users/ann@x.org.yaml"), 0);
	must(import(s, csv, 0, &err));
	cr_assert_str_eq(told, "2 same ann@x.org; ", "the same table again");
	must(import(s, "email,name,group\nann@x.org,,\n", IMPORT_UPDATE, &err));
	cr_assert_str_eq(told, "2 changed ann@x.org name:Ann-> group:office->; ");
	cr_assert_null(site_user(s, "ann@x.org")->name);
}

Test(user_import, all_rows_or_none_and_every_refused_row_has_its_reason)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err = {0};

	cr_assert_eq(import(s,
			    "email,group,licence,state\n"
			    "bob@x.org,office,,\n"
			    "bob@x.org,sales,,\n"
			    "not an address,,,\n"
			    "cyd@x.org,none,,\n"
			    "dan@x.org,,none,\n"
			    "eve@x.org,,,away\n"
			    "fay@x.org,,\n"
			    ",,,\n",
			    0, &err),
		     RC_POLICY);
	cr_assert_str_eq(err.text, "7 rows are refused: nothing was changed");
	cr_assert_not_null(strstr(told, "2 added bob@x.org group:->office; "), "%s", told);
	cr_assert_not_null(strstr(told, "3 refused bob@x.org: line 2 has the same"), "%s", told);
	cr_assert_not_null(strstr(told, "4 refused not an address: \"not an address\" cannot be"),
			   "%s", told);
	cr_assert_not_null(strstr(told, "there is no group called none"), "%s", told);
	cr_assert_not_null(strstr(told, "there is no licence called none"), "%s", told);
	cr_assert_not_null(strstr(told, "expected active or suspended, not \"away\""), "%s", told);
	cr_assert_not_null(strstr(told, "8 refused fay@x.org: a row of 3 fields"), "%s", told);
	cr_assert_not_null(strstr(told, "9 refused : \"\" cannot be"), "%s", told);
	cr_assert(unchanged());
	cr_assert_eq(s->users, 1);
}

Test(user_import, too_few_seats_for_all_rows_together_are_refused_with_the_count)
{
	OWNED(site_freep) struct site *s = server_open(0);
	static const char csv[] = "email,licence\na@x.org,cad\nb@x.org,cad\nc@x.org,cad\n";
	struct err err = {0};

	cr_assert_eq(import(s, csv, IMPORT_DRY_RUN, &err), RC_POLICY,
		     "the preview says it as well");
	cr_assert_eq(import(s, csv, 0, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "2 seats and 3 users"), "%s", err.text);
	cr_assert(unchanged());
}

Test(user_import, a_file_that_is_no_table_is_refused_with_its_line)
{
	OWNED(site_freep) struct site *s = server_open(0);
	static const struct {
		const char *csv, *part;
	} bad[] = {
	    {"", "nothing in it"},
	    {"email;name\n", "fields are separated by commas"},
	    {"email,name,e-mail\n", "line 1: \"e-mail\" is none of the columns"},
	    {"email,name,Name\n", "the column name is listed twice"},
	    {"name\n", "there is no column email"},
	    {"email\nbob@x.org\n\"cyd@x.org\n", "line 3: a quote that is opened"},
	};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_eq(import(s, bad[i].csv, 0, &err), RC_MALFORMED, "%s", bad[i].csv);
		cr_assert_not_null(strstr(err.text, bad[i].part), "%s", err.text);
		cr_assert_str_eq(told, "", "told before the whole file was read");
	}
	cr_assert(unchanged());
}
