/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/server.h"

TestSuite(site_init, .init = server_setup, .fini = server_teardown);
TestSuite(site, .init = server_make, .fini = server_teardown);

static bool there(const char *name)
{
	char path[SCRATCH_PATH + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return lstat(path, &st) == 0;
}

static mode_t mode_of(const char *name)
{
	char path[SCRATCH_PATH + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(lstat(path, &st), 0, "%s", name);
	return st.st_mode & 07777;
}

/* write_text(name, text): a file below the test's directory, as an editor would. */
static void write_text(const char *name, const char *text)
{
	char path[SCRATCH_PATH + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	cr_assert_not_null(f, "%s", path);
	fputs(text, f);
	fclose(f);
}

static int open_rc(struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;

	*err = (struct err){0};
	return site_open(site_dir, 0, NULL, &s, err);
}

Test(site_init, makes_keys_that_only_the_owner_reads_documents_and_a_depot_with_trust)
{
	struct err err = {0};
	OWNED(site_freep) struct site *s = NULL;

	must(server_init(&err));
	s = server_open(0);
	cr_assert_str_eq(s->trust.name, "Acme");
	cr_assert_eq(s->trust.version, 1);
	cr_assert_eq(s->trust.epoch[ROLE_PUBLISH], 1);
	cr_assert_eq(s->trust.epoch[ROLE_BEAT], 1);
	cr_assert(digest_equal(&s->id, &s->trust.site));
	cr_assert_eq(s->beat_hours, 168);
	cr_assert_eq(mode_of("site"), 0755);
	cr_assert_eq(mode_of("site.state"), 0700);
	cr_assert_eq(mode_of("site.state/keys"), 0700);
	cr_assert_eq(mode_of("site.state/keys/publish.key"), 0400);
	cr_assert_eq(mode_of("site.state/registry.db"), 0600);
	cr_assert(there("depot/satchel.yaml"));
	cr_assert_eq(scratch_run(dir, "test $(ls depot/trust | wc -l) = 1"), 0);
	cr_assert_eq(scratch_run(dir, "test -z \"$(find . -name '*.new')\""), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM outbox WHERE posted = 0"), 0);
}

Test(site_init, refuses_a_directory_that_has_a_site_and_changes_nothing)
{
	struct err err = {0};

	must(server_init(&err));
	cr_assert_eq(
	    scratch_run(dir, "find . -type f ! -name before | sort | xargs sha256sum > before"), 0);
	cr_assert_eq(server_init(&err), RC_CONFLICT);
	cr_assert_eq(scratch_run(dir, "sha256sum -c --quiet before"), 0);
}

Test(site_init, goes_on_where_an_interrupted_run_stopped)
{
	struct err err = {0};
	OWNED(site_freep) struct site *s = NULL;

	must(server_init(&err));
	cr_assert_eq(scratch_run(dir, "cp -a site.state saved; rm -rf site depot"), 0);
	must(server_init(&err));
	cr_assert_eq(scratch_run(dir, "cmp site.state/keys/root.key saved/keys/root.key"), 0,
		     "the keys that were made are kept");
	s = server_open(0);
	cr_assert_eq(scratch_run(dir, "test $(ls depot/trust | wc -l) = 1"), 0,
		     "a new depot gets the trust document as well");
}

Test(site_init, begins_again_when_the_state_was_only_half_built)
{
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "mkdir -p site.state.new/keys && echo x > "
				      "site.state.new/keys/root.key && chmod 500 site.state.new"),
		     0);
	must(server_init(&err));
	cr_assert_not(there("site.state.new"));
	cr_assert_eq(open_rc(&err), 0, "%s", err.text);
}

Test(site_init, does_not_go_on_under_another_name)
{
	struct site_init in = {.dir = site_dir, .name = "Other", .depot = depot_dir};
	struct err err = {0};

	must(server_init(&err));
	cr_assert_eq(scratch_run(dir, "rm -rf site"), 0);
	cr_assert_eq(site_init(&in, NULL, &err), RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "\"Acme\""), "%s", err.text);
	cr_assert_not(there("site/site.yaml"));
}

Test(site_init, refuses_a_state_directory_that_is_something_else)
{
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "mkdir site.state; echo mine > site.state/letter"), 0);
	cr_assert_eq(server_init(&err), RC_CONFLICT);
	cr_assert(there("site.state/letter"));
	cr_assert_not(there("site/site.yaml"));
}

Test(site_init, refuses_the_depot_of_another_site_and_can_be_told_another_one)
{
	char other[SCRATCH_PATH + 16], second[SCRATCH_PATH + 16];
	struct site_init in = {.dir = other, .name = "Two", .depot = depot_dir};
	struct err err = {0};

	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(second, sizeof(second), "%s/d/e", dir);
	must(server_init(&err));
	cr_assert_eq(site_init(&in, NULL, &err), RC_CONFLICT);
	cr_assert_not(there("other/site.yaml"));
	in.depot = second;
	must(site_init(&in, NULL, &err));
	cr_assert(there("d/e/satchel.yaml"));
}

Test(site_init, refuses_a_name_that_no_document_can_hold)
{
	struct site_init in = {.dir = site_dir, .name = "two\nlines", .depot = depot_dir};
	struct err err = {0};

	cr_assert_lt(site_init(&in, NULL, &err), 0);
	cr_assert_not(there("site.state"));
	in.name = "";
	cr_assert_eq(site_init(&in, NULL, &err), RC_USAGE);
}

Test(site_init, takes_relative_and_untidy_paths)
{
	struct site_init in = {.dir = "./a/../site/", .name = "Acme", .depot = "depot//"};
	struct err err = {0};
	OWNED(site_freep) struct site *s = NULL;

	cr_assert_eq(chdir(dir), 0);
	must(site_init(&in, NULL, &err));
	s = server_open(0);
	cr_assert_str_eq(s->depot, depot_dir);
	cr_assert(there("site.state/registry.db"));
}

Test(site, lets_only_one_run_hold_the_lock)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(site_freep) struct site *second = NULL, *reader = NULL;
	struct err err = {0};

	cr_assert_eq(site_open(site_dir, SITE_LOCK, NULL, &second, &err), RC_BUSY);
	must(site_open(site_dir, 0, NULL, &reader, &err));
	s = site_free(s);
	must(site_open(site_dir, SITE_LOCK, NULL, &second, &err));
}

Test(site, says_that_there_is_no_site_and_how_to_make_one)
{
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};

	cr_assert_eq(site_open(dir, 0, NULL, &s, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "satchel init"), "%s", err.text);
	cr_assert_null(s);
}

Test(site, refuses_state_that_others_can_read)
{
	struct err err;

	cr_assert_eq(scratch_run(dir, "chmod 750 site.state"), 0);
	cr_assert_eq(open_rc(&err), RC_POLICY);
	cr_assert_eq(scratch_run(dir, "chmod 700 site.state"), 0);
	cr_assert_eq(open_rc(&err), 0, "%s", err.text);
}

Test(site, never_makes_an_empty_registry_in_the_place_of_a_lost_one)
{
	struct err err;

	cr_assert_eq(scratch_run(dir, "rm site.state/registry.db*"), 0);
	cr_assert_eq(open_rc(&err), RC_STATE);
	cr_assert_not(there("site.state/registry.db"));
}

Test(site, refuses_a_registry_whose_trust_is_not_the_pinned_one)
{
	struct err err;

	cr_assert_eq(scratch_run(dir, "sed -i 's/^id: .*/id: \"'$(printf %064d 0)'\"/' "
				      "site/site.yaml"),
		     0);
	cr_assert_eq(open_rc(&err), RC_ADDRESSEE, "%s", err.text);
}

Test(site, refuses_a_trust_document_that_was_altered_in_the_registry)
{
	OWNED(site_freep) struct site *s = server_open(0);
	struct err err;

	must(
	    db_exec(s->db,
		    "UPDATE trust SET content = CAST(replace(CAST(content AS TEXT), 'Acme', 'Acne')"
		    " AS BLOB)",
		    &err));
	s = site_free(s);
	cr_assert_lt(open_rc(&err), 0);
}

Test(site, names_file_line_and_field_of_a_bad_document)
{
	struct err err;

	write_text("site/channels/office.yaml",
		   "satchel: channel/1\nsource: /srv\ntarget: srv\nfor:\n  - all\n");
	cr_assert_eq(open_rc(&err), RC_MALFORMED);
	cr_assert_not_null(strstr(err.text, "channels/office.yaml:3"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "target"), "%s", err.text);
}

Test(site, reads_the_name_of_a_document_from_its_file)
{
	struct err err;

	write_text("site/workstations/kiosk.yaml", "satchel: workstation/1\nname: other\n");
	cr_assert_eq(open_rc(&err), RC_MALFORMED);
	cr_assert_not_null(strstr(err.text, "workstations/kiosk.yaml:2"), "%s", err.text);
	write_text("site/workstations/kiosk.yaml", "satchel: workstation/1\nname: kiosk\n");
	cr_assert_eq(open_rc(&err), 0, "%s", err.text);
	write_text("site/channels/Office.yaml", "satchel: channel/1\nsource: /a\ntarget: /b\n");
	cr_assert_eq(open_rc(&err), RC_MALFORMED);
	cr_assert_eq(scratch_run(dir, "rm site/channels/Office.yaml"), 0);
	write_text("site/channels/.office.yaml.swp", "junk");
	write_text("site/channels/office.yaml~", "junk");
	cr_assert_eq(open_rc(&err), 0, "an editor's leftovers: %s", err.text);
	write_text("site/workstations/all.yaml", "satchel: workstation/1\nname: all\n");
	cr_assert_eq(open_rc(&err), RC_MALFORMED, "all means everybody");
}

Test(site, does_not_follow_a_link_in_place_of_a_document)
{
	struct err err;

	cr_assert_eq(scratch_run(dir, "ln -s /etc/passwd site/channels/office.yaml"), 0);
	cr_assert_lt(open_rc(&err), 0);
	cr_assert_null(strstr(err.text, "root:"));
}

static struct site_channel channel_of(const char *name, char *target, char **audience, size_t n)
{
	static char source[] = "/srv/tree";
	struct site_channel c = {.source = source,
				 .target = target,
				 .audience = audience,
				 .audiences = n,
				 .on_leave = "keep",
				 .keep = 4};

	snprintf(c.name, sizeof(c.name), "%s", name);
	return c;
}

Test(site, reads_back_what_an_edit_wrote)
{
	OWNED(site_freep) struct site *s = server_open(0);
	char all[] = "all", label[] = "label:till", target[] = "/opt/no", glob[] = "*.bak";
	char *audience[] = {label, all}, *exclude[] = {glob};
	struct site_channel c = channel_of("office", target, audience, 2), *back;
	struct err err = {0};

	c.exclude = exclude;
	c.excludes = 1;
	c.owners = true;
	must(site_channel_write(s, &c, &err));
	cr_assert_not_null(site_channel(s, "office"));
	s = site_free(s);
	s = server_open(0);
	back = site_channel(s, "office");
	cr_assert_not_null(back);
	cr_assert_str_eq(back->target, "/opt/no");
	cr_assert_str_eq(back->source, "/srv/tree");
	cr_assert_eq(back->audiences, 2);
	cr_assert_str_eq(back->audience[0], "label:till");
	cr_assert_str_eq(back->exclude[0], "*.bak");
	cr_assert(back->owners);
	cr_assert_not(back->special_modes);
	cr_assert_eq(back->keep, 4);
	cr_assert_null(site_channel(s, "offic"));
	must(site_document_remove(s, SITE_DOCUMENT_CHANNEL, "office", &err));
	cr_assert_null(site_channel(s, "office"));
	cr_assert_not(there("site/channels/office.yaml"));
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_CHANNEL, "office", &err), RC_USAGE);
}

Test(site, keeps_the_lists_in_order_while_they_are_edited)
{
	OWNED(site_freep) struct site *s = server_open(0);
	static const char *const names[] = {"m", "z", "a", "q", "b", "m"};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct site_workstation w = {.labels = 0};

		snprintf(w.name, sizeof(w.name), "%s", names[i]);
		must(site_workstation_write(s, &w, &err));
	}
	cr_assert_eq(s->workstations, 5);
	for (size_t i = 1; i < s->workstations; i++)
		cr_assert_lt(strcmp(s->workstation[i - 1].name, s->workstation[i].name), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		cr_assert_str_eq(site_workstation(s, names[i])->name, names[i]);
}

Test(site, refuses_an_edit_that_could_not_be_read_back_and_writes_nothing)
{
	OWNED(site_freep) struct site *s = server_open(0);
	char relative[] = "opt", good[] = "/opt";
	struct site_channel c = channel_of("office", relative, NULL, 0);
	struct err err = {0};

	cr_assert_eq(site_channel_write(s, &c, &err), RC_MALFORMED, "%s", err.text);
	c = channel_of("Office", good, NULL, 0);
	cr_assert_eq(site_channel_write(s, &c, &err), RC_USAGE);
	c = channel_of("../up", good, NULL, 0);
	cr_assert_eq(site_channel_write(s, &c, &err), RC_USAGE);
	cr_assert_eq(scratch_run(dir, "test -z \"$(ls -A site/channels)\""), 0);
	cr_assert_eq(s->channels, 0);
}

Test(site, refuses_equal_or_nested_targets_where_a_workstation_would_get_both)
{
	OWNED(site_freep) struct site *s = server_open(0);
	char opt[] = "/opt", inner[] = "/opt/a", beside[] = "/opt-a", root[] = "/";
	char all[] = "all", kiosk[] = "kiosk", till[] = "label:till", back[] = "back";
	char *to_all[] = {all}, *to_kiosk[] = {kiosk}, *to_till[] = {till}, *to_back[] = {back};
	struct site_workstation w = {.name = "kiosk"};
	struct err err = {0};
	struct site_channel c = channel_of("a", opt, to_kiosk, 1);
	char *labels[] = {till + 6};

	must(site_workstation_write(s, &w, &err));
	must(site_channel_write(s, &c, &err));
	c = channel_of("b", inner, to_all, 1);
	cr_assert_eq(site_channel_write(s, &c, &err), RC_POLICY);
	c = channel_of("b", opt, to_kiosk, 1);
	cr_assert_eq(site_channel_write(s, &c, &err), RC_POLICY);
	c = channel_of("b", root, to_kiosk, 1);
	cr_assert_eq(site_channel_write(s, &c, &err), RC_POLICY);
	c = channel_of("b", inner, to_back, 1);
	must(site_channel_write(s, &c, &err));
	c = channel_of("c", beside, to_kiosk, 1);
	must(site_channel_write(s, &c, &err));
	c = channel_of("d", inner, to_till, 1);
	must(site_channel_write(s, &c, &err));
	w.label = labels;
	w.labels = 1;
	cr_assert_eq(site_workstation_write(s, &w, &err), RC_POLICY,
		     "the label makes a workstation get both");
	cr_assert_not_null(strstr(err.text, "kiosk"), "%s", err.text);
	cr_assert_eq(s->workstation[0].labels, 0);
}

Test(site, gives_the_key_that_the_trust_document_names)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(key_freep) struct key_secret *k = NULL;
	struct key_public pub;
	struct err err = {0};

	must(site_key(s, ROLE_COLLECT, &k, &err));
	pub = key_public_of(k);
	cr_assert(key_same(&pub, trust_collect(&s->trust)));
	k = key_free(k);
	cr_assert_eq(scratch_run(dir, "cd site.state/keys; chmod u+w *; cp beat.key publish.key"),
		     0);
	cr_assert_eq(site_key(s, ROLE_PUBLISH, &k, &err), RC_STATE, "another key under its name");
	cr_assert_eq(scratch_run(dir, "rm site.state/keys/publish.*"), 0);
	cr_assert_eq(site_key(s, ROLE_PUBLISH, &k, &err), RC_STATE);
	cr_assert_null(k);
}

Test(site, reads_the_documents_of_people_by_name)
{
	OWNED(site_freep) struct site *s = NULL;
	const struct node *values;

	cr_assert_eq(scratch_run(dir, "cd site && mkdir groups users licences keys policies && "
				      "echo 'policy: base' >> site.yaml"),
		     0);
	write_text("site/groups/sales.yaml", "satchel: group/1\nparent: all\nchannels: [office]\n"
					     "keys: [archive, \"group:sales\"]\n");
	write_text("site/groups/all.yaml", "satchel: group/1\npolicy: base\n");
	write_text("site/users/ann@example.org.yaml",
		   "satchel: user/1\nname: Ann Lee\ngroup: sales\nlicence: cad\n"
		   "extra-keys: [vault]\nwithheld-keys: [archive]\nstate: suspended\n");
	write_text("site/users/bob@example.org.yaml", "satchel: user/1\n");
	write_text("site/licences/cad.yaml", "satchel: licence/1\nproduct: CAD\nseats: 3\n"
					     "from: \"1970-01-02\"\nto: \"1970-01-02\"\n");
	write_text("site/keys/vault.yaml", "satchel: key/1\ngroup: sales\ndescription: x\n");
	write_text("site/policies/base.yaml",
		   "satchel: policy/1\nsettings: {sync-minutes: 5}\nvalues: {a: {b: c}}\n");
	s = server_open(0);
	cr_assert_str_eq(s->baseline, "base");
	cr_assert_eq(s->groups, 2);
	cr_assert_str_eq(site_group(s, "sales")->parent, "all");
	cr_assert_str_eq(site_group(s, "sales")->key[1], "group:sales");
	cr_assert_str_eq(site_group(s, "all")->policy, "base");
	cr_assert_null(site_group(s, "none"));
	cr_assert_str_eq(site_user(s, "ann@example.org")->name, "Ann Lee");
	cr_assert_str_eq(site_user(s, "ann@example.org")->withheld[0], "archive");
	cr_assert(site_user(s, "ann@example.org")->suspended);
	cr_assert_null(site_user(s, "bob@example.org")->name);
	cr_assert_eq(site_licence(s, "cad")->from, 86400);
	cr_assert_eq(site_licence(s, "cad")->to, 2 * 86400 - 1, "the last day counts");
	cr_assert_str_eq(site_key_document(s, "vault")->group, "sales");
	values = node_get(yaml_root(site_policy(s, "base")->document), "values");
	cr_assert_str_eq(node_text(node_get(node_get(values, "a"), "b"), ""), "c");
}

Test(site, refuses_an_e_mail_address_that_could_be_somebody_elses_in_another_case)
{
	static const char *const bad[] = {"Ann@example.org", "ann",          "ann@",
					  "@example.org",    "a..b@x.org",   "ann@-x.org",
					  "ann@x..org",      "-ann@x.org",   "ann.@x.org",
					  "ann@x.org.",      "ann lee@x.org"};
	char name[128];
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "mkdir site/users"), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(name, sizeof(name), "site/users/%s.yaml", bad[i]);
		write_text(name, "satchel: user/1\n");
		cr_assert_eq(open_rc(&err), RC_MALFORMED, "%s", bad[i]);
		cr_assert_not_null(strstr(err.text, "e-mail"), "%s", err.text);
		cr_assert_eq(scratch_run(dir, "rm site/users/*"), 0);
	}
	write_text("site/users/o'brien+x_1@mail.example.org.yaml", "satchel: user/1\n");
	cr_assert_eq(open_rc(&err), 0, "%s", err.text);
}
