/* SPDX-License-Identifier: ISC */
/*
 * Effective policies of a site whose documents an editor wrote.
 */
#include "bundler/entitlement/policy.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/explain/policy_explain.h"
#include "bundler/site/site.h"
#include "tests/support/documents.h"

TestSuite(policies, .init = server_make, .fini = server_teardown);

static void policies_write(void)
{
	document("policies/base", "settings: {sync-minutes: 30, expiry: warn}\n"
				  "values: {proxy: {host: p1, port: 80}, level: base}\n");
	document("policies/kiosk", "settings: {sync-minutes: 15}\nvalues: {proxy: {port: 81}}\n");
	document("policies/outer",
		 "settings: {expiry: refuse}\nvalues: {level: outer, outer: yes1}\n");
	document("policies/inner", "settings: {sync-minutes: 45}\nvalues: {level: inner}\n");
	document("policies/lab",
		 "settings: {sync-minutes: 20}\nvalues: {level: lab, proxy: {port: 9}}\n");
	document("groups/all", "policy: outer\n");
	document("groups/everybody", "policy: outer\n");
	document("groups/desk", "parent: all\npolicy: inner\n");
	document("groups/lab", "policy: lab\n");
	document("groups/plain", "");
	document("users/ann@x.org", "group: desk\n");
	document("users/bob@x.org", "group: lab\n");
	document("users/cyd@x.org", "group: plain\n");
	document("users/dan@x.org", "group: desk\n");
	document("users/eve@x.org", "");
	document("workstations/pc-1", "name: pc-1\npolicy: kiosk\n");
	document("workstations/pc-2", "name: pc-2\n");
}

static void documents(void)
{
	site_line("policy: base");
	policies_write();
}

struct open {
	struct site *s;
	struct people *people;
	struct policies *p;
};

static struct open open_all(void)
{
	struct open o = {.s = server_open(0)};
	struct err err = {0};

	must(people_new(o.s, &o.people, &err));
	must(policies_new(o.s, o.people, &o.p, &err));
	return o;
}

static void close_all(struct open *o)
{
	policies_freep(&o->p);
	people_freep(&o->people);
	site_freep(&o->s);
}

/* One item a line: PATH=VALUE (ORIGIN). */
static int item_line(void *arg, const struct policy_item *it, struct err *err)
{
	struct {
		struct buf b;
		const struct policy *p;
	} *to = arg;
	int rc = buf_printf(&to->b, err, "%s=", it->path);

	if (rc == 0)
		rc = policy_item_text(to->p, it, &to->b, err);
	return rc < 0 ? rc : buf_printf(&to->b, err, " (%s)\n", it->origin);
}

static struct buf lines(const struct policy *p)
{
	struct {
		struct buf b;
		const struct policy *p;
	} to = {BUF_INIT, p};
	struct err err = {0};

	must(policy_each(p, item_line, &to, &err));
	return to.b;
}

/* The policy of a workstation on which users are active ("ann bob"). */
static void is(const struct open *o, const char *workstation, const char *who, const char *text)
{
	const struct site_user *user[8];
	struct policy_for f = {site_workstation(o->s, workstation), user, 0};
	OWNED(policy_made_clear) struct policy_made made = {.own = {.origin = ""}};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	for (const char *at = who; *at != '\0'; at += at[3] == ' ' ? 4 : 3) {
		char email[16];

		snprintf(email, sizeof(email), "%.3s@x.org", at);
		user[f.users++] = site_user(o->s, email);
	}
	must(policies_workstation(o->p, &f, &made, &err));
	b = lines(&made.policy);
	cr_assert_str_eq((char *)b.p, text, "%s %s", workstation, who);
}

Test(policies, a_workstation_without_users_has_the_sites_policy_below_its_own)
{
	OWNED(close_all) struct open o = {NULL, NULL, NULL};

	documents();
	o = open_all();
	is(&o, "pc-2", "",
	   "settings.sync-minutes=30 (policy base of the site)\n"
	   "settings.expiry=\"warn\" (policy base of the site)\n"
	   "values.level=\"base\" (policy base of the site)\n"
	   "values.proxy.host=\"p1\" (policy base of the site)\n"
	   "values.proxy.port=80 (policy base of the site)\n");
	is(&o, "pc-1", "",
	   "settings.sync-minutes=15 (policy kiosk of workstation pc-1)\n"
	   "settings.expiry=\"warn\" (policy base of the site)\n"
	   "values.level=\"base\" (policy base of the site)\n"
	   "values.proxy.host=\"p1\" (policy base of the site)\n"
	   "values.proxy.port=81 (policy kiosk of workstation pc-1)\n");
}

Test(policies, groups_are_laid_over_the_workstation_outermost_first)
{
	OWNED(close_all) struct open o = {NULL, NULL, NULL};
	static const char text[] = "settings.sync-minutes=45 (policy inner of group desk)\n"
				   "settings.expiry=\"refuse\" (policy outer of group all)\n"
				   "values.level=\"inner\" (policy inner of group desk)\n"
				   "values.outer=\"yes1\" (policy outer of group all)\n"
				   "values.proxy.host=\"p1\" (policy base of the site)\n"
				   "values.proxy.port=81 (policy kiosk of workstation pc-1)\n";

	documents();
	o = open_all();
	is(&o, "pc-1", "ann", text);
	/* a second one of the same group changes nothing */
	is(&o, "pc-1", "ann dan", text);
}

Test(policies, of_users_of_several_groups_the_stricter_settings_and_the_first_ones_values)
{
	OWNED(close_all) struct open o = {NULL, NULL, NULL};

	documents();
	o = open_all();
	is(&o, "pc-1", "ann bob",
	   "settings.sync-minutes=20 (policy lab of group lab)\n"
	   "settings.expiry=\"refuse\" (policy outer of group all)\n"
	   "values.level=\"inner\" (policy inner of group desk)\n"
	   "values.outer=\"yes1\" (policy outer of group all)\n"
	   "values.proxy.host=\"p1\" (policy base of the site)\n"
	   "values.proxy.port=81 (policy kiosk of workstation pc-1)\n");
	/* what the first one's groups leave as it is counts as theirs */
	is(&o, "pc-2", "cyd bob",
	   "settings.sync-minutes=20 (policy lab of group lab)\n"
	   "settings.expiry=\"warn\" (policy base of the site)\n"
	   "values.level=\"base\" (policy base of the site)\n"
	   "values.proxy.host=\"p1\" (policy base of the site)\n"
	   "values.proxy.port=80 (policy base of the site)\n");
}

Test(policies, a_users_policy_is_made_of_their_own_groups_alone)
{
	OWNED(close_all) struct open o = {NULL, NULL, NULL};
	OWNED(policy_made_clear) struct policy_made made = {.own = {.origin = ""}};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	documents();
	o = open_all();
	must(policies_user(o.p, site_workstation(o.s, "pc-1"), site_user(o.s, "bob@x.org"), &made,
			   &err));
	b = lines(&made.policy);
	cr_assert_str_eq((char *)b.p, "settings.sync-minutes=20 (policy lab of group lab)\n"
				      "settings.expiry=\"warn\" (policy base of the site)\n"
				      "values.level=\"lab\" (policy lab of group lab)\n"
				      "values.proxy.host=\"p1\" (policy base of the site)\n"
				      "values.proxy.port=9 (policy lab of group lab)\n");
}

static struct digest digest_for(const struct open *o, const char *workstation, const char *email)
{
	struct digest_stream d;

	digest_start(&d);
	policies_digest(o->p, site_workstation(o->s, workstation), &d);
	if (email != NULL)
		policies_digest_user(o->p, site_user(o->s, email), &d);
	return digest_end(&d);
}

/* Every change that can make an effective policy another. */
static const struct {
	const char *descr, *document, *text;
	bool alone, with_ann; /* is the digest another: of pc-1 alone; with ann on it */
} changes[] = {
    {"the site's policy", "policies/base", "settings: {sync-minutes: 31}\n", true, true},
    {"the workstation's", "policies/kiosk", "values: {proxy: {port: 82}}\n", true, true},
    {"the group's", "policies/inner", "values: {level: x}\n", false, true},
    {"the outer group's", "policies/outer", "values: {level: x}\n", false, true},
    {"another group's", "policies/lab", "values: {level: x}\n", false, false},
    {"the group's policy", "groups/desk", "parent: all\npolicy: lab\n", false, true},
    {"the group's place", "groups/desk", "policy: inner\n", false, true},
    {"the outer group's name, which origins say", "groups/desk",
     "parent: everybody\npolicy: inner\n", false, true},
    {"the user's group", "users/ann@x.org", "group: lab\n", false, true},
    {"the workstation's policy", "workstations/pc-1", "name: pc-1\npolicy: lab\n", true, true},
    {"another spelling", "policies/inner",
     "# the same\nvalues:\n  level: \"inner\"\nsettings:\n  sync-minutes: 45\n", false, false},
};

Test(policies, the_digest_changes_exactly_when_something_that_applies_does)
{
	documents();
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		OWNED(close_all)
		struct open before = {NULL, NULL, NULL}, after = {NULL, NULL, NULL};
		struct digest alone, ann, alone_now, ann_now;

		policies_write();
		before = open_all();
		alone = digest_for(&before, "pc-1", NULL);
		ann = digest_for(&before, "pc-1", "ann@x.org");
		document(changes[i].document, changes[i].text);
		after = open_all();
		alone_now = digest_for(&after, "pc-1", NULL);
		ann_now = digest_for(&after, "pc-1", "ann@x.org");
		cr_assert_neq(digest_equal(&alone, &alone_now), changes[i].alone, "%s",
			      changes[i].descr);
		cr_assert_neq(digest_equal(&ann, &ann_now), changes[i].with_ann, "%s",
			      changes[i].descr);
	}
}

static int explained(void *arg, const struct policy_explained *e, struct err *err)
{
	int rc = buf_printf(arg, err, "%s %s (%s)", e->path, e->said.text, e->said.origin);

	for (size_t i = 0; rc == 0 && i < e->others; i++)
		rc = buf_printf(arg, err, "; not %s (%s)", e->other[i].text, e->other[i].origin);
	return rc < 0 ? rc : buf_text(arg, "\n", err);
}

Test(policies, explaining_says_where_each_value_comes_from_and_what_it_took_the_place_of)
{
	OWNED(close_all) struct open o = {NULL, NULL, NULL};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	const struct site_user *user[2];
	struct policy_for f = {.user = user, .users = 2};
	struct err err = {0};

	documents();
	o = open_all();
	f.w = site_workstation(o.s, "pc-1");
	user[0] = site_user(o.s, "ann@x.org");
	user[1] = site_user(o.s, "bob@x.org");
	must(policies_explain(o.p, &f, NULL, explained, &b, &err));
	cr_assert_str_eq(
	    (char *)b.p,
	    "settings.jitter-percent 10 (satchel itself)\n"
	    "settings.poll-seconds 60 (satchel itself)\n"
	    "settings.stale-hours 0 (satchel itself)\n"
	    "settings.local-changes null (the workstation's owner)\n"
	    "settings.apply-windows [] (satchel itself)\n"
	    "settings.disable-hours 0 (satchel itself)\n"
	    "settings.verify-days 30 (satchel itself)\n"
	    "settings.undo-generations 2 (satchel itself)\n"
	    "settings.undo-megabytes 1024 (satchel itself)\n"
	    "settings.sync-minutes 20 (policy lab of group lab); not 45 (policy inner of group desk);"
	    " not 15 (policy kiosk of workstation pc-1); not 30 (policy base of the site)\n"
	    "settings.expiry \"refuse\" (policy outer of group all); not \"warn\" (policy base of the"
	    " site)\n"
	    "values.level \"inner\" (policy inner of group desk); not \"outer\" (policy outer of group"
	    " all); not \"lab\" (policy lab of group lab); not \"base\" (policy base of the site)\n"
	    "values.outer \"yes1\" (policy outer of group all)\n"
	    "values.proxy.host \"p1\" (policy base of the site)\n"
	    "values.proxy.port 81 (policy kiosk of workstation pc-1); not 9 (policy lab of group lab);"
	    " not 80 (policy base of the site)\n");
}

Test(policies, explaining_for_a_user_leaves_the_others_out)
{
	OWNED(close_all) struct open o = {NULL, NULL, NULL};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	const struct site_user *user[2];
	struct policy_for f = {.user = user, .users = 2};
	struct err err = {0};

	documents();
	o = open_all();
	f.w = site_workstation(o.s, "pc-2");
	user[0] = site_user(o.s, "ann@x.org");
	user[1] = site_user(o.s, "bob@x.org");
	must(policies_explain(o.p, &f, user[1], explained, &b, &err));
	cr_assert_not_null(strstr((char *)b.p, "values.level \"lab\" (policy lab of group lab); not"
					       " \"base\" (policy base of the site)\n"));
	cr_assert_null(strstr((char *)b.p, "desk"));
}
