/* SPDX-License-Identifier: ISC */
/*
 * Who gets what: a site whose documents an editor wrote.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "bundler/site/site.h"
#include "tests/support/documents.h"

TestSuite(people, .init = server_make, .fini = server_teardown);

/* all > sales > sales-north; keys archive, till (key group tills), spare (tills). */
static void documents(void)
{
	document("groups/all", "keys: [archive]\nchannels: [office]\n");
	document("groups/sales", "parent: all\nkeys: [\"group:tills\"]\n");
	document("groups/sales-north", "parent: sales\nkeys: [maps]\n");
	document("keys/archive", "");
	document("keys/maps", "");
	document("keys/spare", "group: tills\n");
	document("keys/till", "group: tills\n");
	document("keys/vault", "");
	document("channels/office", "source: /srv/office\ntarget: /opt/office\n");
	document("channels/prices", "source: /srv/p\ntarget: /opt/p\nfor: [\"group:sales\"]\n");
	document("licences/cad",
		 "product: CAD\nseats: 2\nfrom: \"2027-01-01\"\nto: \"2027-01-31\"\n");
	document("users/ann@x.org", "group: sales-north\nlicence: cad\n");
	document("users/bob@x.org", "group: all\nlicence: cad\nextra-keys: [vault]\n");
	document("users/cyd@x.org",
		 "group: sales\nextra-keys: [archive]\nwithheld-keys: [\"group:tills\"]\n");
	document("users/dan@x.org", "");
}

static struct people *open_people(const struct site *s)
{
	struct people *p = NULL;
	struct err err = {0};

	must(people_new(s, &p, &err));
	return p;
}

/* "a b c": the names of keys, and "!" when they differ from those of the groups. */
static const char *keys_of(const struct people *p, const struct site *s, const char *email)
{
	static char text[2048];
	struct people_keys k;
	struct err err = {0};
	size_t used = 0;

	must(people_keys(p, site_user(s, email), &k, &err));
	text[0] = '\0';
	for (size_t i = 0; i < k.n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "",
					 k.key[i]->name);
	if (k.differs)
		snprintf(text + used, sizeof(text) - used, "!");
	people_keys_clear(&k);
	return text;
}

Test(people, a_user_is_in_the_own_group_and_all_above_it_outermost_first)
{
	const struct site_group *g[PEOPLE_DEPTH];
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;

	documents();
	s = server_open(0);
	p = open_people(s);
	cr_assert_eq(people_groups(p, site_user(s, "ann@x.org"), g), 3);
	cr_assert_str_eq(g[0]->name, "all");
	cr_assert_str_eq(g[1]->name, "sales");
	cr_assert_str_eq(g[2]->name, "sales-north");
	cr_assert_eq(people_groups(p, site_user(s, "dan@x.org"), g), 0);
	cr_assert_eq(people_members(p, site_group(s, "sales")), 1, "not those of inner groups");
}

Test(people, keys_are_those_of_all_groups_and_the_extra_ones_without_the_withheld_ones)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;

	documents();
	s = server_open(0);
	p = open_people(s);
	cr_assert_str_eq(keys_of(p, s, "ann@x.org"), "archive maps spare till");
	cr_assert_str_eq(keys_of(p, s, "bob@x.org"), "archive vault!");
	cr_assert_str_eq(keys_of(p, s, "cyd@x.org"), "archive!");
	cr_assert_str_eq(keys_of(p, s, "dan@x.org"), "");
}

Test(people, extra_keys_that_the_group_gives_anyway_make_no_difference)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;

	documents();
	document("users/cyd@x.org", "group: sales\nextra-keys: [till]\nwithheld-keys: [vault]\n");
	s = server_open(0);
	p = open_people(s);
	cr_assert_str_eq(keys_of(p, s, "cyd@x.org"), "archive spare till");
}

Test(people, more_keys_than_bits_in_a_word)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;
	char name[32];

	for (int i = 0; i < 130; i++) {
		snprintf(name, sizeof(name), "keys/k%03d", i);
		document(name, "group: many\n");
	}
	document("groups/g", "keys: [k129, k000, k064]\n");
	document("users/a@x.org", "group: g\n");
	document("users/b@x.org", "extra-keys: [\"group:many\"]\nwithheld-keys: [k063]\n");
	s = server_open(0);
	p = open_people(s);
	cr_assert_str_eq(keys_of(p, s, "a@x.org"), "k000 k064 k129");
	cr_assert_not_null(strstr(keys_of(p, s, "b@x.org"), "k062 k064"));
}

Test(people, channels_are_given_by_name_of_the_group_and_by_its_document_downwards_only)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;

	documents();
	s = server_open(0);
	p = open_people(s);
	cr_assert(people_gives(p, site_user(s, "ann@x.org"), site_channel(s, "office")));
	cr_assert(people_gives(p, site_user(s, "ann@x.org"), site_channel(s, "prices")));
	cr_assert(people_gives(p, site_user(s, "bob@x.org"), site_channel(s, "office")));
	cr_assert_not(people_gives(p, site_user(s, "bob@x.org"), site_channel(s, "prices")));
	cr_assert_not(people_gives(p, site_user(s, "dan@x.org"), site_channel(s, "office")));
	cr_assert(people_group_gives(p, site_group(s, "sales"), site_channel(s, "prices")));
}

static void not_entitled(const struct site *s, const char *email, int64_t at, const char *part)
{
	char why[PEOPLE_WHY] = "";

	cr_assert_not(people_entitled(s, site_user(s, email), at, why), "%s", email);
	cr_assert_not_null(strstr(why, part), "%s", why);
}

Test(people, entitled_are_active_users_on_the_days_of_an_active_licence)
{
	OWNED(site_freep) struct site *s = NULL;
	const int64_t first = 1798761600; /* 2027-01-01T00:00:00Z */
	const int64_t last = first + 31 * 86400 - 1;

	documents();
	document("users/eve@x.org", "licence: cad\nstate: suspended\n");
	document("users/fay@x.org", "licence: gone\n");
	document("users/gus@x.org", "licence: idle\n");
	document("licences/idle", "product: x\nseats: 1\nstate: suspended\n");
	s = server_open(0);
	cr_assert(people_entitled(s, site_user(s, "ann@x.org"), first, NULL));
	cr_assert(people_entitled(s, site_user(s, "ann@x.org"), last, NULL), "the last second");
	not_entitled(s, "ann@x.org", first - 1, "begins on 2027-01-01");
	not_entitled(s, "ann@x.org", last + 1, "ended on 2027-01-31");
	not_entitled(s, "dan@x.org", first, "no licence");
	not_entitled(s, "eve@x.org", first, "suspended");
	not_entitled(s, "fay@x.org", first, "there is no licence gone");
	not_entitled(s, "gus@x.org", first, "licence idle is suspended");
	cr_assert(people_licensed(s, site_user(s, "eve@x.org"), first, NULL), "the seat is kept");
}

Test(people, a_licence_that_ends_soon_is_warned_about)
{
	OWNED(site_freep) struct site *s = NULL;
	const int64_t last = 1798761600 + 31 * 86400 - 1;
	char why[PEOPLE_WHY];

	documents();
	document("licences/open", "product: x\nseats: 1\n");
	s = server_open(0);
	cr_assert(people_licence_warning(s, site_licence(s, "cad"), last - 29 * 86400, why));
	cr_assert_not_null(strstr(why, "cad ends on 2027-01-31"), "%s", why);
	cr_assert_not(people_licence_warning(s, site_licence(s, "cad"), last - 30 * 86400, why));
	cr_assert_not(people_licence_warning(s, site_licence(s, "cad"), last + 1, why));
	cr_assert_not(people_licence_warning(s, site_licence(s, "open"), last, why));
}

Test(people, seats_are_counted_also_for_suspended_users)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;

	documents();
	document("users/eve@x.org", "licence: cad\nstate: suspended\n");
	s = server_open(0);
	p = open_people(s);
	cr_assert_eq(people_seats_taken(p, site_licence(s, "cad")), 3);
	cr_assert_eq(people_seats_free(p, site_licence(s, "cad")), 0, "over-issued is not below 0");
}

Test(people, circles_of_groups_and_names_that_lead_nowhere_end_every_walk)
{
	const struct site_group *g[PEOPLE_DEPTH];
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;

	document("keys/k", "");
	document("groups/a", "parent: b\nkeys: [k]\n");
	document("groups/b", "parent: a\nkeys: [none, \"group:none\"]\nchannels: [none]\n");
	document("groups/c", "parent: none\n");
	document("groups/d", "parent: d\n");
	document("users/u@x.org", "group: b\n");
	document("users/v@x.org", "group: none\n");
	s = server_open(0);
	p = open_people(s);
	cr_assert_eq(people_groups(p, site_user(s, "u@x.org"), g), 2);
	cr_assert_eq(people_groups(p, site_user(s, "v@x.org"), g), 0);
	cr_assert_eq(people_outer(p, site_group(s, "d"), g), 1);
	cr_assert_str_eq(keys_of(p, s, "u@x.org"), "k");
}

/* The references */

static void fault(const char *name, const char *text, const char *part)
{
	struct err err = {0};
	OWNED(site_freep) struct site *s = NULL;
	char remove[400];

	document(name, text);
	s = server_open(0);
	cr_assert_eq(site_references_check(s, &err), RC_POLICY, "%s: %s", name, text);
	cr_assert_not_null(strstr(err.text, part), "%s", err.text);
	snprintf(remove, sizeof(remove), "rm 'site/%s.yaml'", name);
	cr_assert_eq(scratch_run(dir, remove), 0);
}

Test(people, every_name_that_leads_nowhere_is_a_fault_with_its_file_and_field)
{
	struct err err = {0};
	struct site *s;

	documents();
	s = server_open(0);
	must(site_references_check(s, &err));
	site_free(s);
	fault("groups/x", "parent: none\n", "groups/x.yaml: field `parent`: there is no group");
	fault("groups/x", "policy: none\n", "field `policy`: there is no policy called none");
	fault("groups/x", "channels: [office, none]\n", "no channel called none");
	fault("groups/x", "keys: [none]\n", "no key called none");
	fault("groups/x", "keys: [\"group:none\"]\n", "key group called none");
	fault("users/x@x.org", "group: none\n", "users/x@x.org.yaml: field `group`");
	fault("users/x@x.org", "licence: none\n", "field `licence`");
	fault("users/x@x.org", "extra-keys: [none]\n", "field `extra-keys`");
	fault("users/x@x.org", "withheld-keys: [none]\n", "field `withheld-keys`");
	fault("workstations/pc", "name: pc\npolicy: none\n", "workstations/pc.yaml");
	fault("channels/x", "source: /a\ntarget: /b\nfor: [\"group:none\"]\n", "no group called");
	cr_assert_eq(scratch_run(dir, "echo 'policy: none' >> site/site.yaml"), 0);
	s = server_open(0);
	cr_assert_eq(site_references_check(s, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "site.yaml: field `policy`"), "%s", err.text);
	site_free(s);
}

Test(people, a_group_inside_itself_is_a_fault)
{
	char name[32], text[64];

	fault("groups/x", "parent: x\n", "x would be inside itself");
	document("groups/a", "parent: b\n");
	fault("groups/b", "parent: a\n", "would be inside itself, 2 steps up");
	cr_assert_eq(scratch_run(dir, "rm site/groups/a.yaml"), 0);
	document("groups/g00", "");
	for (int i = 1; i < PEOPLE_DEPTH; i++) {
		snprintf(name, sizeof(name), "groups/g%02d", i);
		snprintf(text, sizeof(text), "parent: g%02d\n", i - 1);
		document(name, text);
	}
	fault("groups/x", "parent: g31\n", "more than 32 groups");
}

Test(people, more_users_than_seats_is_a_fault_with_the_count)
{
	documents();
	fault("users/x@x.org", "licence: cad\n", "licence cad has 2 seats and 3 users");
}

Test(people, channels_that_meet_through_groups_may_not_be_inside_each_other)
{
	documents();
	fault("channels/x", "source: /a\ntarget: /opt/office/x\nfor: [pc]\n",
	      "channels office and x");
	fault("channels/x", "source: /a\ntarget: /opt/p\nfor: [\"group:all\"]\n",
	      "users of their groups are active");
	document("channels/x", "source: /a\ntarget: /opt/p\n");
	cr_assert_eq(scratch_run(dir, "rm site/channels/x.yaml"), 0);
}

/* Edits judge the whole site */

Test(people, an_edit_that_would_lead_nowhere_is_refused_and_writes_nothing)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_group g = {.name = "x", .parent = "none"};
	struct err err = {0};

	documents();
	s = server_open(0);
	cr_assert_eq(scratch_run(dir, "cp -a site before"), 0);
	cr_assert_eq(site_group_write(s, &g, &err), RC_POLICY);
	cr_assert_null(site_group(s, "x"));
	cr_assert_eq(s->groups, 3);
	cr_assert_eq(scratch_run(dir, "diff -r site before"), 0);
	snprintf(g.parent, sizeof(g.parent), "sales");
	must(site_group_write(s, &g, &err));
	cr_assert_str_eq(site_group(s, "x")->parent, "sales");
}

Test(people, several_users_are_written_together_or_not_at_all)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_user u[3] = {{.email = "zoe@x.org", .licence = "cad"},
				 {.email = "ann@x.org", .group = "sales"},
				 {.email = "eve@x.org", .licence = "cad"}};
	struct err err = {0};

	documents();
	s = server_open(0);
	cr_assert_eq(scratch_run(dir, "cp -a site before"), 0);
	cr_assert_eq(site_users_write(s, u, 3, 0, &err), RC_POLICY,
		     "bob, zoe and eve have 2 seats");
	cr_assert_not_null(strstr(err.text, "2 seats and 3 users"), "%s", err.text);
	cr_assert_eq(scratch_run(dir, "diff -r site before"), 0);
	u[2].licence[0] = '\0';
	must(site_users_write(s, u, 3, 0, &err));
	cr_assert_eq(s->users, 6);
	cr_assert_str_eq(site_user(s, "zoe@x.org")->licence, "cad");
	cr_assert_str_eq(site_user(s, "ann@x.org")->group, "sales");
	s = site_free(s);
	s = server_open(0);
	cr_assert_eq(s->users, 6);
	cr_assert_str_eq(site_user(s, "ann@x.org")->licence, "");
	snprintf(u[1].email, sizeof(u[1].email), "zoe@x.org");
	cr_assert_eq(site_users_write(s, u, 3, 0, &err), RC_USAGE, "one twice");
}

Test(people, faults_that_were_there_before_can_be_mended_one_at_a_time)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_key k = {.name = "new"};
	struct site_user release = {.email = "ann@x.org"},
			 more = {.email = "fay@x.org", .licence = "cad"};
	struct err err = {0};

	documents();
	document("groups/x", "parent: none\nkeys: [new]\n");
	document("users/eve@x.org", "licence: cad\n");
	document("users/gus@x.org", "licence: cad\n");
	s = server_open(0);
	must(site_key_write(s, &k, &err));
	cr_assert_eq(site_users_write(s, &more, 1, 0, &err), RC_POLICY, "worse than it was");
	must(site_users_write(s, &release, 1, 0, &err));
	cr_assert_eq(site_references_check(s, &err), RC_POLICY);
}

Test(people, what_others_name_is_not_removed_and_they_are_listed)
{
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};

	documents();
	document("policies/base", "");
	cr_assert_eq(scratch_run(dir, "echo 'policy: base' >> site/site.yaml"), 0);
	s = server_open(0);
	cr_assert_eq(scratch_run(dir, "cp -a site before"), 0);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_GROUP, "sales", &err), RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "groups/sales-north.yaml (parent)"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "users/cyd@x.org.yaml (group)"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "channels/prices.yaml (for)"), "%s", err.text);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_POLICY, "base", &err), RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "site.yaml (policy)"), "%s", err.text);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_LICENCE, "cad", &err), RC_CONFLICT);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_KEY, "vault", &err), RC_CONFLICT);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_CHANNEL, "office", &err), RC_CONFLICT);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_USER, "none@x.org", &err), RC_USAGE);
	cr_assert_eq(scratch_run(dir, "diff -r site before"), 0);
	must(site_document_remove(s, SITE_DOCUMENT_KEY, "spare", &err));
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_KEY, "till", &err), RC_POLICY,
		     "the last key of a key group");
	must(site_document_remove(s, SITE_DOCUMENT_USER, "cyd@x.org", &err));
	cr_assert_null(site_user(s, "cyd@x.org"));
	cr_assert_eq(s->users, 3);
}

/* slurp(name): a document, as it lies there. */
static const char *slurp(const char *name)
{
	static char text[4096];
	char path[SCRATCH_PATH + 320];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s.yaml", site_dir, name);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

Test(people, an_edit_keeps_what_a_person_wrote_beside_it)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_group g;
	struct err err = {0};

	documents();
	document("groups/x", "# ours\nkeys: [maps] # for the vans\nmore:\n  room: 12\n");
	s = server_open(0);
	g = *site_group(s, "x");
	snprintf(g.parent, sizeof(g.parent), "sales");
	must(site_group_write(s, &g, &err));
	cr_assert_str_eq(slurp("groups/x"),
			 "satchel: group/1\nparent: sales\n# ours\nkeys: [maps] # "
			 "for the vans\nmore:\n  room: 12\n");
}

Test(people, single_values_of_a_policy_are_set_and_taken_away)
{
	OWNED(site_freep) struct site *s = server_open(0);
	static const struct site_value first[] = {
	    {"sync-minutes", "15"},
	    {"apply-windows", "22:00-06:00,12:00-13:00"},
	    {"values.browser.homepage", "https://a.example/?q=a: b #c"},
	    {"values.browser.tabs", "[1, true, x]"},
	    {"values.proxy", "no"},
	    {"values.zoom", "1.5"},
	};
	static const struct site_value second[] = {
	    {"settings.sync-minutes", NULL},
	    {"values.browser.tabs", NULL},
	    {"values.proxy.host", "p"},
	    {"values.none", NULL},
	};
	struct err err = {0};

	must(site_policy_set(s, "base", first, ARRAY_LEN(first), &err));
	cr_assert_str_eq(slurp("policies/base"), "satchel: policy/1\n"
						 "settings:\n"
						 "  sync-minutes: 15\n"
						 "  apply-windows:\n"
						 "  - \"22:00-06:00\"\n"
						 "  - \"12:00-13:00\"\n"
						 "values:\n"
						 "  browser:\n"
						 "    homepage: \"https://a.example/?q=a: b #c\"\n"
						 "    tabs:\n"
						 "    - 1\n"
						 "    - true\n"
						 "    - x\n"
						 "  proxy: \"no\"\n"
						 "  zoom: 1.5\n");
	must(site_policy_set(s, "base", second, ARRAY_LEN(second), &err));
	cr_assert_str_eq(slurp("policies/base"), "satchel: policy/1\n"
						 "settings:\n"
						 "  apply-windows:\n"
						 "  - \"22:00-06:00\"\n"
						 "  - \"12:00-13:00\"\n"
						 "values:\n"
						 "  browser:\n"
						 "    homepage: \"https://a.example/?q=a: b #c\"\n"
						 "  proxy:\n"
						 "    host: p\n"
						 "  zoom: 1.5\n");
}

Test(people, a_value_that_no_policy_can_have_is_refused_and_nothing_written)
{
	OWNED(site_freep) struct site *s = server_open(0);
	static const struct site_value bad[][2] = {
	    {{"sync-minutes", "0"}, {"values.a", "1"}},
	    {{"sync-hours", "1"}, {"values.a", "1"}},
	    {{"values.", "1"}, {"values.a", "1"}},
	    {{"values.a", "1"}, {"values.a", "2"}},
	    {{"values.a", "1"}, {"values.a.b", "2"}},
	    {{"apply-windows", "22:00"}, {"values.a", "1"}},
	    {{"values.a.b.c.d.e.f.g.h.i.j.k.l", "1"}, {"values.a", "1"}},
	    {{"values.a", "x\n  y: z"}, {"expiry", "never"}},
	};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_assert_lt(site_policy_set(s, "base", bad[i], 2, &err), 0, "%s", bad[i][0].key);
	cr_assert_eq(s->policies, 0);
	cr_assert_eq(scratch_run(dir, "test ! -e site/policies/base.yaml"), 0);
}
