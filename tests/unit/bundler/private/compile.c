/* SPDX-License-Identifier: ISC */
/*
 * Private channels: what goes into whose, and when one is made again.
 */
#include "bundler/activation/activation.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/messages/message.h"
#include "bundler/private/compile_internal.h"
#include "bundler/site/site.h"
#include "core/base/clock.h"
#include "tests/support/documents.h"
#include "tests/support/machine.h"

TestSuite(compile, .init = server_make, .fini = server_teardown);

#define DAY 86400

/* all > desk; payroll for all, stock for desk; a licence for January; two workstations. */
static void documents(void)
{
	document("groups/all", "keys: [payroll]\nchannels: [forms]\n");
	document("groups/desk", "parent: all\nkeys: [\"group:goods\"]\npolicy: desk\n");
	document("groups/other", "policy: other\n");
	document("keys/payroll", "");
	document("keys/stock", "group: goods\n");
	document("keys/vault", "");
	document("policies/base", "settings: {sync-minutes: 30}\nvalues: {a: 1}\n");
	document("policies/desk", "values: {a: 2}\n");
	document("policies/other", "values: {a: 3}\n");
	document("channels/office", "source: /srv\ntarget: /opt/office\nfor: [all]\n");
	document("channels/prices", "source: /srv\ntarget: /opt/prices\nfor: [\"group:desk\"]\n");
	document("channels/forms", "source: /srv\ntarget: /opt/forms\nfor: [\"label:none\"]\n");
	document("licences/cad",
		 "product: CAD\nseats: 9\nfrom: \"2027-01-01\"\nto: \"2027-01-31\"\n");
	document("users/ann@x.org", "name: Ann Lee\ngroup: desk\nlicence: cad\n");
	document("users/bob@x.org", "group: all\nlicence: cad\n");
	document("users/cyd@x.org", "group: desk\n");
}

struct world {
	struct site *s;
	struct machine a, b; /* pc-a and pc-b */
};

static struct world world(void)
{
	struct world w;

	documents();
	site_line("policy: base");
	w.s = server_open(SITE_LOCK);
	w.a = machine_new();
	machine_enrol(w.s, &w.a, "pc-a");
	w.b = machine_new();
	machine_enrol(w.s, &w.b, "pc-b");
	return w;
}

static void world_clear(struct world *w)
{
	site_freep(&w->s);
	machine_clear(&w->a);
	machine_clear(&w->b);
}

/* The documents as an editor left them. */
static void reopen(struct world *w)
{
	site_freep(&w->s);
	w->s = server_open(SITE_LOCK);
}

static void run(struct site *s, const char *sql)
{
	struct err err = {0};

	must(db_exec(s->db, sql, &err));
}

static void active(struct site *s, const struct machine *m, const char *email, const char *account)
{
	struct err err = {0};

	must(db_run(s->db, &err,
		    "INSERT OR REPLACE INTO activation(id, email, account, state, at, code)"
		    " VALUES(?1, ?2, ?3, 'active', 1, '')",
		    "ttt", m->id, email, account));
}

static uint64_t compiled(struct site *s)
{
	struct err err = {0};
	uint64_t n = 99;

	must(compile_site(s, 0, &n, &err));
	return n;
}

/* The tree that would be made now. */
struct made {
	struct compile c;
	struct compile_member m;
	struct compile_tree t;
};

static void made_clear(struct made *x)
{
	compile_tree_clear(&x->t);
	compile_member_clear(&x->m);
	compile_clear(&x->c);
}

static void make(struct world *w, const struct machine *m, struct made *ret)
{
	struct err err = {0};

	memset(ret, 0, sizeof(*ret));
	must(compile_load(w->s, &ret->c, &err));
	must(keystore_new(w->s, &ret->c.keys, &err));
	compile_keys_make(&ret->c);
	must(compile_keys_load(&ret->c, &err));
	must(compile_member_read(&ret->c, m->id, &ret->m, &err));
	must(compile_tree_make(&ret->c, &ret->m, &ret->t, &err));
}

/* "a b c": the paths of the tree; e-mail addresses are shown for their digests. */
static const char *paths(struct world *w, const struct machine *m)
{
	static char text[4096];
	OWNED(made_clear) struct made x;
	size_t used = 0;

	make(w, m, &x);
	text[0] = '\0';
	for (size_t i = 0; i < x.t.content.files; i++) {
		const char *path = x.t.content.file[i].path, *shown = path;

		for (size_t k = 0; k < w->s->users; k++) {
			char id[17];

			person_id(id, w->s->user[k].email);
			if (strstr(path, id) != NULL)
				shown = strstr(path, "policy") != NULL ? "policy-of-" : "person-";
			if (strstr(path, id) != NULL)
				used += (size_t)snprintf(text + used, sizeof(text) - used,
							 "%s%s%.3s", used > 0 ? " " : "", shown,
							 w->s->user[k].email);
		}
		if (shown == path)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 used > 0 ? " " : "", path);
	}
	return text;
}

static bool holds(const struct made *x, const char *path, const char *text)
{
	for (size_t i = 0; i < x->t.content.files; i++) {
		if (strcmp(x->t.content.file[i].path, path) == 0)
			return memmem(x->t.content.file[i].content.p,
				      x->t.content.file[i].content.n, text, strlen(text)) != NULL;
	}
	return false;
}

#define ALONE "channels/office.yaml policy.yaml workstation.yaml"
#define ANN                                                                                      \
	"channels/forms.yaml channels/office.yaml channels/prices.yaml policy-of-ann person-ann" \
	" policy.yaml secrets/payroll.1 secrets/stock.1 workstation.yaml"

Test(compile, a_workstation_without_users_gets_its_channels_and_its_policy)
{
	OWNED(world_clear) struct world w = world();

	cr_assert_str_eq(paths(&w, &w.a), ALONE);
}

Test(compile, an_entitled_user_brings_their_groups_channels_keys_and_policy)
{
	OWNED(world_clear) struct world w = world();
	OWNED(made_clear) struct made x;
	char id[17], person[64];

	active(w.s, &w.a, "ann@x.org", "ann");
	cr_assert_str_eq(paths(&w, &w.a), ANN);
	cr_assert_str_eq(paths(&w, &w.b), ALONE);
	make(&w, &w.a, &x);
	person_id(id, "ann@x.org");
	snprintf(person, sizeof(person), "people/%s.yaml", id);
	cr_assert(
	    holds(&x, person,
		  "satchel: person/1\nemail: \"ann@x.org\"\nname: \"Ann Lee\"\naccount: ann\n"
		  "group: desk\nkeys:\n  payroll:\n    current: 1\n  stock:\n    current: 1\n"));
	cr_assert(holds(&x, "policy.yaml", "  a: 2\n"));
	cr_assert(holds(&x, "policy.yaml", "from: \"policy desk of group desk\""));
	cr_assert(holds(&x, "workstation.yaml", "name: pc-a"));
}

Test(compile, workstations_of_one_run_each_get_the_policy_of_their_own_users)
{
	OWNED(world_clear) struct world w = world();
	OWNED(made_clear) struct made x;
	OWNED(compile_tree_clear) struct compile_tree again = {0}, other = {0};
	OWNED(compile_member_clear) struct compile_member b = {0};
	struct err err = {0};

	active(w.s, &w.a, "ann@x.org", "ann");
	make(&w, &w.a, &x);
	must(compile_member_read(&x.c, w.b.id, &b, &err));
	must(compile_tree_make(&x.c, &b, &other, &err));
	must(compile_tree_make(&x.c, &x.m, &again, &err));
	cr_assert(digest_equal(&x.t.policy, &again.policy));
	cr_assert_not(digest_equal(&x.t.policy, &other.policy));
}

Test(compile, a_user_without_a_name_is_called_by_their_address)
{
	OWNED(world_clear) struct world w = world();
	OWNED(made_clear) struct made x;
	char id[17], person[64];

	active(w.s, &w.a, "bob@x.org", "bob");
	make(&w, &w.a, &x);
	person_id(id, "bob@x.org");
	snprintf(person, sizeof(person), "people/%s.yaml", id);
	cr_assert(holds(&x, person, "name: \"bob@x.org\"\n"));
}

static const struct {
	const char *descr, *document, *text;
} without[] = {
    {"no licence", "users/ann@x.org", "group: desk\n"},
    {"suspended", "users/ann@x.org", "group: desk\nlicence: cad\nstate: suspended\n"},
    {"licence suspended", "licences/cad", "product: CAD\nseats: 9\nstate: suspended\n"},
    {"licence over", "licences/cad", "product: CAD\nseats: 9\nto: \"2027-01-14\"\n"},
    {"licence not begun", "licences/cad", "product: CAD\nseats: 9\nfrom: \"2027-01-16\"\n"},
};

Test(compile, nothing_of_a_user_who_is_not_entitled_is_in_the_tree)
{
	OWNED(world_clear) struct world w = world();

	active(w.s, &w.a, "ann@x.org", "ann");
	for (size_t i = 0; i < ARRAY_LEN(without); i++) {
		documents();
		document(without[i].document, without[i].text);
		reopen(&w);
		cr_assert_str_eq(paths(&w, &w.a), ALONE, "%s", without[i].descr);
	}
	documents();
	reopen(&w);
	run(w.s, "UPDATE activation SET state = 'deactivated'");
	cr_assert_str_eq(paths(&w, &w.a), ALONE, "deactivated");
	run(w.s, "UPDATE activation SET state = 'active'");
	document_remove("users/ann@x.org");
	reopen(&w);
	cr_assert_str_eq(paths(&w, &w.a), ALONE, "deleted");
}

Test(compile, withheld_and_extra_keys_are_followed)
{
	OWNED(world_clear) struct world w = world();

	document("users/ann@x.org", "group: desk\nlicence: cad\nextra-keys: [vault]\n"
				    "withheld-keys: [\"group:goods\"]\n");
	reopen(&w);
	active(w.s, &w.a, "ann@x.org", "ann");
	cr_assert_not_null(strstr(paths(&w, &w.a), "secrets/payroll.1 secrets/vault.1 "));
	cr_assert_null(strstr(paths(&w, &w.a), "stock"));
}

Test(compile, two_users_of_one_workstation_have_a_file_each_and_a_shared_secret_once)
{
	OWNED(world_clear) struct world w = world();

	active(w.s, &w.a, "ann@x.org", "ann");
	active(w.s, &w.a, "bob@x.org", "bob");
	cr_assert_str_eq(paths(&w, &w.a),
			 "channels/forms.yaml channels/office.yaml channels/prices.yaml"
			 " policy-of-bob person-bob policy-of-ann person-ann policy.yaml"
			 " secrets/payroll.1 secrets/stock.1 workstation.yaml");
}

Test(compile, a_secret_is_the_one_of_the_key_store)
{
	OWNED(world_clear) struct world w = world();
	OWNED(made_clear) struct made x;
	struct bytes secret = {NULL, 0};
	struct err err = {0};
	bool found = false;

	active(w.s, &w.a, "ann@x.org", "ann");
	make(&w, &w.a, &x);
	must(keystore_secret(x.c.keys, "payroll", 1, &secret, &err));
	for (size_t i = 0; i < x.t.content.files; i++) {
		if (strcmp(x.t.content.file[i].path, "secrets/payroll.1") == 0)
			found = bytes_equal(x.t.content.file[i].content, secret);
	}
	cr_assert(found);
	cr_assert_eq(secret.n, 32);
}

Test(compile, a_workstation_that_is_to_end_gets_nothing_but_that)
{
	OWNED(world_clear) struct world w = world();
	OWNED(made_clear) struct made x;

	active(w.s, &w.a, "ann@x.org", "ann");
	cr_assert_eq(compiled(w.s), 2);
	run(w.s, "UPDATE workstation SET state = 'leaving' WHERE name = 'pc-a'");
	cr_assert_str_eq(paths(&w, &w.a), "workstation.yaml");
	make(&w, &w.a, &x);
	cr_assert(holds(&x, "workstation.yaml", "decommission: true"));
	cr_assert_eq(compiled(w.s), 1);
	cr_assert_eq(compiled(w.s), 0);
	/* it may have the keys until it confirms that */
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM holding WHERE gone_generation = 2"),
		     2);
}

/* Every edit, and whose private channels it changes: pc-a has ann, pc-b nobody. */
static const struct {
	const char *descr, *document, *text;
	uint64_t changed;
} edits[] = {
    {"nothing", "users/ann@x.org", "name: Ann Lee\ngroup: desk\nlicence: cad\n", 0},
    {"a comment", "users/ann@x.org", "# new\nname: Ann Lee\ngroup: desk\nlicence: cad\n", 0},
    {"her name", "users/ann@x.org", "name: Ann\ngroup: desk\nlicence: cad\n", 1},
    {"her group", "users/ann@x.org", "name: Ann Lee\ngroup: all\nlicence: cad\n", 1},
    {"her licence", "users/ann@x.org", "name: Ann Lee\ngroup: desk\n", 1},
    {"an extra key", "users/ann@x.org",
     "name: Ann Lee\ngroup: desk\nlicence: cad\nextra-keys: [vault]\n", 1},
    {"an extra key that she has", "users/ann@x.org",
     "name: Ann Lee\ngroup: desk\nlicence: cad\nextra-keys: [payroll]\n", 0},
    {"somebody else's name", "users/bob@x.org", "name: Bob\ngroup: all\nlicence: cad\n", 0},
    {"her group's keys", "groups/desk", "parent: all\npolicy: desk\n", 1},
    {"her group's policy", "policies/desk", "values: {a: 4}\n", 1},
    {"another group's policy", "policies/other", "values: {a: 4}\n", 0},
    {"the baseline", "policies/base", "settings: {sync-minutes: 31}\nvalues: {a: 1}\n", 2},
    {"a channel of all", "channels/office", "source: /srv\ntarget: /opt/o2\nfor: [all]\n", 2},
    {"a channel of her group", "channels/prices",
     "source: /srv\ntarget: /opt/p2\nfor: [\"group:desk\"]\n", 1},
    {"a channel that nobody has", "channels/new",
     "source: /srv\ntarget: /opt/n\nfor: [\"group:other\"]\n", 0},
    {"a source", "channels/office", "source: /var\ntarget: /opt/office\nfor: [all]\n", 0},
    {"a key's description", "keys/payroll", "description: wages\n", 0},
    {"the licence's seats", "licences/cad",
     "product: CAD\nseats: 8\nfrom: \"2027-01-01\"\nto: \"2027-01-31\"\n", 0},
    {"the licence's end, still ahead", "licences/cad",
     "product: CAD\nseats: 9\nfrom: \"2027-01-01\"\nto: \"2027-02-28\"\n", 0},
    {"the licence's state", "licences/cad", "product: CAD\nseats: 9\nstate: suspended\n", 1},
    {"a label", "workstations/pc-b", "name: pc-b\nlabels: [none]\n", 1},
    {"a workstation's policy", "workstations/pc-b", "name: pc-b\npolicy: other\n", 1},
};

Test(compile, a_private_channel_is_made_again_exactly_when_something_that_goes_in_changed)
{
	OWNED(world_clear) struct world w = world();

	active(w.s, &w.a, "ann@x.org", "ann");
	cr_assert_eq(compiled(w.s), 2);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		documents();
		document("workstations/pc-b", "name: pc-b\n");
		document("channels/new",
			 "source: /srv\ntarget: /opt/new\nfor: [\"group:other\"]\n");
		reopen(&w);
		compiled(w.s);
		cr_assert_eq(compiled(w.s), 0, "%s", edits[i].descr);
		document(edits[i].document, edits[i].text);
		reopen(&w);
		cr_assert_eq(compiled(w.s), edits[i].changed, "%s", edits[i].descr);
		cr_assert_eq(compiled(w.s), 0, "%s", edits[i].descr);
	}
}

Test(compile, a_licence_that_begins_or_ends_changes_the_tree_on_that_day_without_any_edit)
{
	OWNED(world_clear) struct world w = world();
	const int64_t end = 1801440000; /* 2027-02-01 */

	active(w.s, &w.a, "ann@x.org", "ann");
	cr_assert_eq(compiled(w.s), 2);
	clock_set(end - 1);
	cr_assert_eq(compiled(w.s), 0);
	clock_set(end);
	cr_assert_eq(compiled(w.s), 1);
	cr_assert_str_eq(paths(&w, &w.a), ALONE);
	clock_set(end - 1);
	cr_assert_eq(compiled(w.s), 1, "and back with the clock");
	cr_assert_str_eq(paths(&w, &w.a), ANN);
}

static int tell(void *arg, const char *id, struct err *err)
{
	return buf_printf(arg, err, "%s ", id);
}

Test(compile, what_changed_is_told_by_id_before_it_is_made)
{
	OWNED(world_clear) struct world w = world();
	OWNED(buf_clear) struct buf told = BUF_INIT, none = BUF_INIT;
	struct err err = {0};
	char want[80];

	compiled(w.s);
	active(w.s, &w.a, "ann@x.org", "ann");
	must(compile_changed(w.s, tell, &told, &err));
	snprintf(want, sizeof(want), "%s ", w.a.id);
	cr_assert_str_eq((char *)told.p, want);
	cr_assert_eq(compiled(w.s), 1);
	must(compile_changed(w.s, tell, &none, &err));
	cr_assert_eq(none.n, 0);
}

Test(compile, documents_that_lead_nowhere_publish_nothing)
{
	OWNED(world_clear) struct world w = world();
	struct err err = {0};
	uint64_t n = 99;

	active(w.s, &w.a, "ann@x.org", "ann");
	compiled(w.s);
	document("users/ann@x.org", "name: Ann\ngroup: desk\nlicence: cad\nextra-keys: [vaultt]\n");
	reopen(&w);
	cr_assert_eq(compile_site(w.s, 0, &n, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "vaultt"), "%s", err.text);
	cr_assert_eq(server_number(w.s, "SELECT max(generation) FROM private"), 1);
	cr_assert_eq(n, 99);
}

Test(compile, without_the_master_key_only_those_wait_who_need_a_secret)
{
	OWNED(world_clear) struct world w = world();
	struct err err = {0};
	uint64_t n = 99;

	active(w.s, &w.a, "ann@x.org", "ann");
	cr_assert_eq(compiled(w.s), 2);
	cr_assert_eq(scratch_run(dir, "mv site.state/keys/store.key kept"), 0);
	/* what needs no secret: nothing changed, then a channel for pc-b */
	cr_assert_eq(compiled(w.s), 0);
	document("workstations/pc-b", "name: pc-b\nlabels: [none]\n");
	reopen(&w);
	cr_assert_eq(compiled(w.s), 1);
	/* one that needs one, and one that does not */
	document("users/ann@x.org", "name: Ann\ngroup: desk\nlicence: cad\n");
	document("workstations/pc-b", "name: pc-b\n");
	reopen(&w);
	cr_assert_eq(compile_site(w.s, 0, &n, &err), RC_STATE);
	cr_assert_eq(n, 2);
	cr_assert_not_null(strstr(err.text, "private channel of pc-a"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "put "), "%s", err.text);
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM private WHERE generation = 3"), 1);
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM private WHERE generation = 1"), 1);
	/* and a key that has no secret yet is made when it is back */
	document("users/ann@x.org", "group: desk\nlicence: cad\nextra-keys: [fresh]\n");
	document("keys/fresh", "");
	reopen(&w);
	cr_assert_eq(compile_site(w.s, 0, &n, &err), RC_STATE);
	cr_assert_eq(scratch_run(dir, "mv kept site.state/keys/store.key"), 0);
	cr_assert_eq(compiled(w.s), 1);
	cr_assert_not_null(strstr(paths(&w, &w.a), "secrets/fresh.1"));
	cr_assert_eq(compiled(w.s), 0);
}

Test(compile, a_rotated_key_is_handed_out_in_both_versions_until_the_old_one_is_withdrawn)
{
	OWNED(world_clear) struct world w = world();
	OWNED(keystore_freep) struct keystore *k = NULL;
	OWNED(made_clear) struct made x;
	struct err err = {0};
	uint64_t version;
	char id[17], person[64];

	must(keystore_new(w.s, &k, &err));
	active(w.s, &w.a, "ann@x.org", "ann");
	cr_assert_eq(compiled(w.s), 2);
	must(keystore_rotate(k, "payroll", &version, &err));
	cr_assert_eq(compiled(w.s), 1);
	cr_assert_not_null(strstr(paths(&w, &w.a), "secrets/payroll.1 secrets/payroll.2 "));
	make(&w, &w.a, &x);
	person_id(id, "ann@x.org");
	snprintf(person, sizeof(person), "people/%s.yaml", id);
	cr_assert(holds(&x, person, "  payroll:\n    current: 2\n    older:\n    - 1\n"));
	run(w.s, "INSERT INTO receipt(id, sequence, recorded, written, beat_epoch, beat, trust,"
		 " private_epoch, private_generation, private_tree, free_bytes, version, formats,"
		 " last_event) SELECT id, 1, 1, 1, 1, 1, 1, epoch, generation, tree, 0, '', 1, 0"
		 " FROM private");
	must(keystore_withdraw(w.s, "payroll", 0, KEYSTORE_DATA_MAY_NEED_IT, &err));
	cr_assert_eq(compiled(w.s), 1);
	cr_assert_null(strstr(paths(&w, &w.a), "payroll.1"));
	cr_assert_not_null(strstr(paths(&w, &w.a), "payroll.2"));
}

Test(compile, what_a_workstation_was_sent_is_remembered_with_its_generation)
{
	OWNED(world_clear) struct world w = world();

	active(w.s, &w.a, "ann@x.org", "ann");
	compiled(w.s);
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM holding WHERE generation = 1"
					" AND epoch = (SELECT max(epoch) FROM private)"),
		     2);
	cr_assert_eq(server_number(w.s,
				   "SELECT count(*) FROM private_users WHERE email = 'ann@x.org'"
				   " AND gone = 0 AND generation = 1"),
		     1);
	run(w.s, "UPDATE activation SET state = 'deactivated'");
	compiled(w.s);
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM holding WHERE gone_generation = 2"),
		     2);
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM private_users WHERE gone = 1"), 1);
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM private"
					" WHERE length(policy) = 32"),
		     2);
}

Test(compile, a_message_is_carried_once_and_leaves_when_it_expires)
{
	OWNED(world_clear) struct world w = world();
	struct message_draft draft = {.who = "pc-a", .subject = "Hello", .days = 2};
	char id[MESSAGE_ID + 1];
	struct err err = {0};
	uint64_t to = 0;

	compiled(w.s);
	must(message_send(w.s, &draft, id, &to, &err));
	cr_assert_eq(to, 1);
	cr_assert_eq(compiled(w.s), 1);
	cr_assert_eq(compiled(w.s), 0);
	cr_assert_not_null(strstr(paths(&w, &w.a), "messages/"));
	cr_assert_eq(server_number(w.s, "SELECT generation FROM message_to"), 2);
	clock_set(SERVER_NOW + 3 * DAY);
	cr_assert_eq(compiled(w.s), 1);
	cr_assert_null(strstr(paths(&w, &w.a), "messages/"));
}

Test(compile, the_same_content_twice_has_different_digests)
{
	OWNED(world_clear) struct world w = world();

	compiled(w.s);
	/* pc-a and pc-b differ in name and id; the same one twice differs in its salt alone */
	run(w.s, "CREATE TEMP TABLE before AS SELECT id, tree, manifest FROM private");
	run(w.s, "UPDATE private SET inputs = NULL");
	cr_assert_eq(compiled(w.s), 2);
	cr_assert_eq(server_number(w.s, "SELECT count(*) FROM private p JOIN before b"
					" ON b.id = p.id WHERE b.tree = p.tree"),
		     0);
}

Test(compile, a_workstation_whose_document_was_removed_stays_until_it_is_revoked)
{
	OWNED(world_clear) struct world w = world();
	struct err err = {0};

	compiled(w.s);
	document_remove("workstations/pc-a");
	reopen(&w);
	cr_assert_str_eq(paths(&w, &w.a), ALONE);
	must(enrolment_revoke(w.s, "pc-a", &err));
	document("channels/office", "source: /srv\ntarget: /opt/o2\nfor: [all]\n");
	reopen(&w);
	cr_assert_eq(compiled(w.s), 1);
}

Test(compile, rows_of_machines_that_are_gone_confuse_nobody)
{
	OWNED(world_clear) struct world w = world();

	/* activations and messages below, between and above the ids of those that count */
	run(w.s, "INSERT INTO activation(id, email, account, state, at, code) VALUES"
		 " ('0', 'ann@x.org', 'ann', 'active', 1, ''), ('7', 'bob@x.org', 'bob', 'active',"
		 " 1, ''), ('f0', 'cyd@x.org', 'cyd', 'active', 1, ''),"
		 " ('ffffffffffffffffffffffffffffffff', 'ann@x.org', 'ann', 'active', 1, '')");
	run(w.s, "INSERT INTO message_to(message, id, email, copy) VALUES('m', '0', '', 'c1'),"
		 " ('m', '7', '', 'c2'), ('m', 'fff', '', 'c3')");
	active(w.s, &w.b, "ann@x.org", "ann");
	cr_assert_str_eq(paths(&w, &w.a), ALONE);
	cr_assert_str_eq(paths(&w, &w.b), ANN);
	cr_assert_eq(compiled(w.s), 2);
	cr_assert_eq(compiled(w.s), 0);
}
