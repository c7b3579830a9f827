/* SPDX-License-Identifier: ISC */
/*
 * Activation on the workstation: what is asked, of whom, and until when.
 */
#include "tests/support/people.h"

TestSuite(activate, .timeout = 120);

#define DAY 86400

static struct digest site_of(struct fixture *f)
{
	struct site *s = fixture_site(f);
	struct digest id = s->id;

	site_free(s);
	return id;
}

static void code_make(struct fixture *f, int64_t until, char code[ACTIVATION_TEXT + 1], char id[17])
{
	struct digest site = site_of(f);
	struct activation a;

	cr_assert_eq(activation_make(&site, until, &a, &f->err), 0, "%s", f->err.text);
	activation_text(code, &a);
	activation_id(id, a.secret);
}

static int activate(struct fixture *f, const char *code, const char *account, struct activated *ret)
{
	struct station *s = fixture_station(f);
	int rc;

	f->err = (struct err){0};
	rc = station_activate(s, code, account, ret, &f->err);
	station_free(s);
	return rc;
}

static int waiting(struct fixture *f)
{
	struct station *s = fixture_station(f);
	int64_t n = -1;

	db_int(s->db, &f->err, &n, "SELECT count(*) FROM activation", "");
	station_free(s);
	return (int)n;
}

#define REQUESTS(f, n) FIXTURE_RUN(f, "test $(find depot/inbox -name '*.request' | wc -l) -eq " n)

/* Joined, synced, and the receipt of it collected. */
static void ready(struct fixture *f)
{
	fixture_joined(f);
	FIXTURE_SYNC(f, 0);
	REQUESTS(f, "0");
}

Test(activate, the_request_proves_the_code_for_the_account_and_tells_nothing_of_it)
{
	char code[ACTIVATION_TEXT + 1], id[17];
	OWNED(key_freep) struct key_secret *sign = NULL;
	struct activated a;
	struct activation in;
	struct digest proof;
	struct key_public pub;
	struct request r;
	struct station *s;
	struct fixture f;

	ready(&f);
	code_make(&f, FIXTURE_NOW + 3 * DAY, code, id);
	cr_assert_eq(activate(&f, code, own_account(), &a), 0, "%s", f.err.text);
	cr_assert_eq(a.depots, 1);
	cr_assert_not(a.again);
	newest_request(&f, &r);
	cr_assert_str_eq(r.kind, "activate");
	cr_assert_str_eq(r.activation, id);
	cr_assert_str_eq(r.account, own_account());
	s = fixture_station(&f);
	cr_assert_eq(station_keys(s, 0, &sign, NULL, &f.err), 0);
	pub = key_public_of(sign);
	cr_assert_eq(activation_parse(code, &in, &f.err), 0);
	proof = activation_proof(in.secret, &s->site, &pub, own_account());
	cr_assert(digest_equal(&proof, &r.proof));
	cr_assert_str_eq(r.workstation, s->id);
	station_free(s);
	fixture_end(&f);
}

Test(activate, a_mistyped_or_foreign_code_and_one_past_its_day_are_refused_and_nothing_is_asked)
{
	char code[ACTIVATION_TEXT + 1], foreign[ACTIVATION_TEXT + 1], id[17];
	struct fixture f, other;
	struct activated a;

	ready(&f);
	fixture_init(&other);
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	code_make(&other, FIXTURE_NOW + DAY, foreign, id);
	cr_assert_eq(activate(&f, foreign, own_account(), &a), RC_ADDRESSEE, "%s", f.err.text);
	fixture_clock(FIXTURE_NOW + 2 * DAY);
	cr_assert_eq(activate(&f, code, own_account(), &a), RC_EXPIRED, "%s", f.err.text);
	fixture_clock(FIXTURE_NOW);
	code[7] = code[7] == '0' ? '1' : '0';
	cr_assert_eq(activate(&f, code, own_account(), &a), RC_USAGE, "%s", f.err.text);
	cr_assert_eq(waiting(&f), 0);
	REQUESTS(&f, "0");
	fixture_end(&other);
	fixture_end(&f);
}

Test(activate, a_clock_that_cannot_be_right_leaves_the_day_to_the_server)
{
	char code[ACTIVATION_TEXT + 1], id[17];
	struct activated a;
	struct fixture f;

	ready(&f);
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	fixture_clock(FIXTURE_NOW + 5000 * (int64_t)DAY);
	cr_assert_eq(activate(&f, code, own_account(), &a), 0, "%s", f.err.text);
	fixture_clock(FIXTURE_NOW);
	REQUESTS(&f, "1");
	fixture_end(&f);
}

Test(activate, without_an_account_of_that_name_nothing_is_asked)
{
	static const char *const names[] = {"nobody-of-that-name", "../etc", ".hidden", "", "a/b",
					    "new\nline",           "-dash"};
	char code[ACTIVATION_TEXT + 1], id[17];
	struct activated a;
	struct fixture f;

	ready(&f);
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		cr_assert_eq(activate(&f, code, names[i], &a), i == 0 ? RC_STATE : RC_PATH,
			     "\"%s\": %s", names[i], f.err.text);
	cr_assert_eq(waiting(&f), 0);
	REQUESTS(&f, "0");
	fixture_end(&f);
}

Test(activate, root_is_not_taken_by_default_and_behind_sudo_the_caller_is)
{
	char code[ACTIVATION_TEXT + 1], id[17];
	struct activated a;
	struct fixture f;

	if (geteuid() != 0)
		return;
	ready(&f);
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	unsetenv("SUDO_USER");
	cr_assert_eq(activate(&f, code, NULL, &a), RC_USAGE, "%s", f.err.text);
	setenv("SUDO_USER", "root", 1);
	cr_assert_eq(activate(&f, code, NULL, &a), RC_USAGE, "%s", f.err.text);
	setenv("SUDO_USER", "nobody", 1);
	cr_assert_eq(activate(&f, code, NULL, &a), 0, "%s", f.err.text);
	cr_assert_str_eq(a.account, "nobody");
	unsetenv("SUDO_USER");
	fixture_end(&f);
}

Test(activate, the_same_code_again_sends_the_same_bytes)
{
	char code[ACTIVATION_TEXT + 1], id[17];
	struct activated a;
	struct fixture f;

	ready(&f);
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	cr_assert_eq(activate(&f, code, own_account(), &a), 0);
	FIXTURE_RUN(&f, "ls depot/inbox/* > before");
	fixture_clock(FIXTURE_NOW + 60);
	cr_assert_eq(activate(&f, code, own_account(), &a), 0);
	cr_assert(a.again);
	FIXTURE_RUN(&f, "ls depot/inbox/* | diff before -");
	fixture_end(&f);
}

Test(activate, several_wait_beside_each_other_and_survive_a_lost_stick)
{
	char code[3][ACTIVATION_TEXT + 1], id[17];
	struct activated a;
	struct fixture f;

	ready(&f);
	FIXTURE_RUN(&f, "mv depot away");
	for (int i = 0; i < 3; i++) {
		code_make(&f, FIXTURE_NOW + DAY, code[i], id);
		cr_assert_eq(activate(&f, code[i], own_account(), &a), 0, "%s", f.err.text);
		cr_assert_eq(a.depots, 0);
	}
	FIXTURE_RUN(&f, "mv away depot");
	FIXTURE_SYNC(&f, 0);
	REQUESTS(&f, "3");
	FIXTURE_RUN(&f, "rm depot/inbox/*/*.request"); /* the stick was lost on its way */
	FIXTURE_SYNC(&f, 0);
	REQUESTS(&f, "3");
	fixture_end(&f);
}

Test(activate, for_another_account_it_takes_the_place_of_what_waits)
{
	char code[ACTIVATION_TEXT + 1], id[17];
	struct activated a;
	struct request r;
	struct fixture f;

	if (geteuid() != 0)
		return;
	ready(&f);
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	cr_assert_eq(activate(&f, code, "daemon", &a), 0);
	cr_assert_eq(activate(&f, code, "nobody", &a), 0);
	cr_assert_not(a.again);
	FIXTURE_SYNC(&f, 0);
	REQUESTS(&f, "1");
	newest_request(&f, &r);
	cr_assert_str_eq(r.account, "nobody");
	fixture_end(&f);
}

Test(activate, the_person_or_a_refusal_ends_the_waiting_and_nothing_else_does)
{
	char code[2][ACTIVATION_TEXT + 1], id[2][17];
	struct message refusal = {.id = "00000000000000aa",
				  .at = FIXTURE_NOW,
				  .kind = "refusal",
				  .subject = "the code was used already"};
	struct tree_files t = {0};
	struct activated a;
	struct fixture f;

	if (geteuid() != 0)
		return;
	ready(&f);
	code_make(&f, FIXTURE_NOW + DAY, code[0], id[0]);
	code_make(&f, FIXTURE_NOW + DAY, code[1], id[1]);
	cr_assert_eq(activate(&f, code[0], "nobody", &a), 0);
	cr_assert_eq(activate(&f, code[1], "daemon", &a), 0);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(waiting(&f), 2);
	tree_person(&t, "anna@example.org", "nobody", NULL, 0);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(waiting(&f), 1);
	REQUESTS(&f, "1");
	snprintf(refusal.activation, sizeof(refusal.activation), "%s", id[1]);
	tree_message(&t, &refusal);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(waiting(&f), 0);
	REQUESTS(&f, "0");
	tree_clear(&t);
	fixture_end(&f);
}

Test(activate, a_further_code_of_who_is_active_already_is_answered_when_the_server_has_read_it)
{
	char code[ACTIVATION_TEXT + 1], id[17];
	struct tree_files t = {0};
	struct activated a;
	struct fixture f;

	ready(&f);
	tree_person(&t, "anna@example.org", own_account(), NULL, 0);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	cr_assert_eq(activate(&f, code, own_account(), &a), 0, "%s", f.err.text);
	tree_publish(&f, &t); /* something else changed */
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(waiting(&f), 1);
	fixture_collect(&f);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(waiting(&f), 0);
	tree_clear(&t);
	fixture_end(&f);
}

Test(activate, more_than_a_machine_has_people_are_too_many)
{
	char code[ACTIVATION_TEXT + 1], id[17];
	struct activated a;
	struct fixture f;

	ready(&f);
	FIXTURE_RUN(&f, "mv depot away");
	for (int i = 0; i < ACTIVATIONS_WAITING; i++) {
		code_make(&f, FIXTURE_NOW + DAY, code, id);
		cr_assert_eq(activate(&f, code, own_account(), &a), 0, "%s", f.err.text);
	}
	code_make(&f, FIXTURE_NOW + DAY, code, id);
	cr_assert_eq(activate(&f, code, own_account(), &a), RC_LIMIT);
	cr_assert_eq(waiting(&f), ACTIVATIONS_WAITING);
	FIXTURE_RUN(&f, "mv away depot");
	fixture_end(&f);
}
