/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/activation/activation.h"
#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "tests/support/machine.h"

#define ANNA "anna@acme.example"
#define BOB  "bob@acme.example"

static void setup(void)
{
	char product[] = "Drawing";
	struct site_licence licence = {
	    .name = "cad", .product = product, .seats = 9, .from = INT64_MIN, .to = INT64_MAX};
	struct site_user users[] = {{.email = ANNA, .licence = "cad"}, {.email = BOB}};
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};

	server_make();
	s = server_open(SITE_LOCK);
	must(site_licence_write(s, &licence, &err));
	must(site_users_write(s, users, 2, 0, &err));
}

TestSuite(activation, .init = setup, .fini = server_teardown);

static void code_for(struct site *s, const char *email, uint64_t uses,
		     char code[ACTIVATION_TEXT + 1])
{
	struct activation_code c;
	struct err err = {0};

	must(activation_code_make(s, email, uses, 7, code, &c, &err));
}

/* asked(s, m, r): through the inbox, as in life. */
static struct collect_counts asked(struct site *s, const struct machine *m, const struct request *r)
{
	char path[DEPOT_NAME];
	struct collect_counts n;

	request_post(s, m, r, path);
	n = collected(s);
	cr_assert_not(inbox_has(path), "whatever became of it, it is dealt with");
	return n;
}

static struct collect_counts activate(struct site *s, const struct machine *m, const char *code,
				      const char *account)
{
	struct request r = machine_activation(s, m, code, account);

	return asked(s, m, &r);
}

static int64_t active(struct site *s)
{
	return server_number(s, "SELECT count(*) FROM activation WHERE state = 'active'");
}

/* refusals(s, text): messages to workstations that say so. */
static int64_t refusals(struct site *s, const char *text)
{
	struct err err = {0};
	int64_t n = 0;

	must(db_int(s->db, &err, &n,
		    "SELECT count(*) FROM message m JOIN message_to t ON t.message = m.id"
		    " WHERE m.kind = 'refusal' AND length(m.activation) = 16"
		    " AND instr(m.text, ?1) > 0",
		    "t", text));
	return n;
}

Test(activation, makes_a_user_active_for_who_knows_the_code)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[ACTIVATION_TEXT + 1];
	struct collect_counts n;

	machine_joins(s, &m, "kiosk");
	code_for(s, ANNA, 1, code);
	n = activate(s, &m, code, "anna");
	cr_assert_eq(n.activated, 1);
	cr_assert_eq(n.requests, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation WHERE email = '" ANNA "' AND"
				      " account = 'anna' AND state = 'active' AND id ="
				      " (SELECT id FROM workstation WHERE name = 'kiosk')"),
		     1);
	cr_assert_eq(server_number(s, "SELECT used FROM activation_code"), 1);
	cr_assert_eq(server_events(s, "activated"), 1);
	n = activate(s, &m, code, "anna");
	cr_assert_eq(n.known, 1, "the same again is nothing new");
	cr_assert_eq(n.refused + n.activated, 0);
	cr_assert_eq(server_number(s, "SELECT used FROM activation_code"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message"), 0);
}

Test(activation, says_at_the_workstation_when_there_is_nothing_to_hand_out)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[ACTIVATION_TEXT + 1];

	machine_joins(s, &m, "kiosk");
	code_for(s, BOB, 1, code);
	cr_assert_eq(activate(s, &m, code, "bob").activated, 1);
	cr_assert_eq(activate(s, &m, code, "bob").known, 1);
	cr_assert_eq(server_number(s,
				   "SELECT count(*) FROM message m JOIN message_to t ON"
				   " t.message = m.id WHERE m.kind = 'notice' AND t.email = ''"
				   " AND m.subject LIKE '%nothing is handed out yet: no licence%'"
				   " AND m.subject NOT LIKE '%@%'"),
		     1);
}

Test(activation, keeps_a_secret_of_a_code_in_the_registry_alone)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[ACTIVATION_TEXT + 1], path[DEPOT_NAME], command[512];
	struct request r;

	machine_joins(s, &m, "kiosk");
	code_for(s, ANNA, 1, code);
	r = machine_activation(s, &m, code, "anna");
	request_post(s, &m, &r, path);
	snprintf(command, sizeof(command), "! grep -raqe %.11s -e " ANNA " -e anna depot site",
		 code);
	cr_assert_eq(scratch_run(dir, "rm -r site/users"), 0);
	cr_assert_eq(scratch_run(dir, command), 0);
}

Test(activation, refuses_who_names_a_code_without_knowing_it)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	char code[ACTIVATION_TEXT + 1];
	struct request r;

	machine_joins(s, &m, "kiosk");
	machine_joins(s, &other, "till");
	code_for(s, ANNA, 1, code);
	r = machine_activation(s, &m, code, "anna");
	r.proof.b[31] ^= 1;
	cr_assert_eq(asked(s, &m, &r).refused, 1);
	r = machine_activation(s, &m, code, "anna");
	snprintf(r.account, sizeof(r.account), "mallory");
	cr_assert_eq(asked(s, &m, &r).refused, 1, "the proof covers the account");
	r = machine_activation(s, &other, code, "anna");
	memcpy(r.workstation, m.id, sizeof(m.id));
	cr_assert_eq(asked(s, &m, &r).refused, 1, "and the workstation");
	cr_assert_eq(active(s), 0);
	cr_assert_eq(server_number(s, "SELECT used FROM activation_code"), 0);
	cr_assert_eq(server_events(s, "activation-proof"), 3);
	cr_assert_eq(refusals(s, "without knowing it"), 1, "told once");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message WHERE text LIKE '%anna%'"), 0,
		     "whose code it is, is not for somebody who does not know it");
	cr_assert_eq(activate(s, &m, code, "anna").activated, 1,
		     "the code is not spent by those who do not know it");
}

Test(activation, believes_only_the_key_of_an_enrolled_workstation)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), stranger = machine_new();
	struct machine forger = {.sign = stranger.sign, .seal = stranger.seal};
	char code[ACTIVATION_TEXT + 1];
	struct request r;
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	code_for(s, ANNA, 5, code);
	cr_assert_eq(activate(s, &stranger, code, "anna").refused, 1);
	cr_assert_eq(server_events(s, "unknown-sender"), 1);
	memcpy(forger.id, m.id, sizeof(m.id));
	r = machine_activation(s, &m, code, "anna");
	cr_assert_eq(asked(s, &forger, &r).refused, 1);
	cr_assert_eq(server_events(s, "forged"), 1);
	must(enrolment_revoke(s, "kiosk", &err));
	cr_assert_eq(activate(s, &m, code, "anna").refused, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE kind = 'revoked' AND text"
				      " LIKE '%still sends requests%'"),
		     1);
	cr_assert_eq(active(s), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message"), 0,
		     "nobody is told anything by what nobody signed");
}

Test(activation, says_of_each_code_that_is_not_good_why)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	char code[5][ACTIVATION_TEXT + 1];
	struct activation_code c;
	struct request r;
	struct err err = {0};
	const int64_t end = (SERVER_NOW / 86400 + 8) * 86400;

	machine_joins(s, &m, "kiosk");
	machine_joins(s, &other, "till");
	for (size_t i = 0; i < 4; i++)
		code_for(s, ANNA, 1, code[i]);
	must(activation_code_revoke(s, code[0], &c, &err));
	cr_assert_eq(activate(s, &m, code[0], "anna").refused, 1);
	cr_assert_eq(refusals(s, "was revoked"), 1);
	cr_assert_eq(server_events(s, "activation-revoked"), 1);

	cr_assert_eq(activate(s, &other, code[1], "anna").activated, 1);
	cr_assert_eq(activate(s, &m, code[1], "anna").refused, 1);
	cr_assert_eq(refusals(s, "was used 1 time"), 1);
	cr_assert_eq(server_events(s, "activation-used"), 1);

	r = machine_activation(s, &m, code[2], "anna");
	r.activation[0] = r.activation[0] == '0' ? '1' : '0';
	cr_assert_eq(asked(s, &m, &r).refused, 1);
	cr_assert_eq(refusals(s, "is known here"), 1);
	cr_assert_eq(server_events(s, "activation-unknown"), 1);

	r = machine_activation(s, &m, code[2], "anna");
	r.site.b[0] ^= 1;
	cr_assert_eq(asked(s, &m, &r).refused, 1);
	cr_assert_eq(refusals(s, "another site"), 1);
	cr_assert_eq(server_events(s, "activation-foreign"), 1);

	cr_assert_eq(activate(s, &m, code[2], "1000").refused, 1);
	cr_assert_eq(refusals(s, "cannot be the name of an account"), 1);

	cr_assert_eq(active(s), 1);
	clock_set(end - 1);
	cr_assert_eq(activate(s, &m, code[2], "anna").activated, 1, "its last second");
	clock_set(end);
	cr_assert_eq(activate(s, &other, code[3], "anna").refused, 1);
	cr_assert_eq(refusals(s, "was good until"), 1);
	cr_assert_eq(server_events(s, "activation-expired"), 1);
	cr_assert_eq(active(s), 2);
}

Test(activation, counts_a_code_once_for_each_workstation)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new(), c = machine_new();
	char code[ACTIVATION_TEXT + 1];

	machine_joins(s, &a, "a");
	machine_joins(s, &b, "b");
	machine_joins(s, &c, "c");
	code_for(s, ANNA, 2, code);
	cr_assert_eq(activate(s, &a, code, "anna").activated, 1);
	cr_assert_eq(activate(s, &a, code, "anna").known, 1);
	cr_assert_eq(activate(s, &a, code, "mallory").refused, 1,
		     "nor does it move the user to another account");
	cr_assert_eq(activate(s, &b, code, "ann").activated, 1);
	cr_assert_eq(activate(s, &c, code, "anna").refused, 1);
	cr_assert_eq(active(s), 2);
	cr_assert_eq(server_number(s, "SELECT used FROM activation_code"), 2);
}

Test(activation, moves_a_user_to_another_account_by_a_further_code)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char first[ACTIVATION_TEXT + 1], second[ACTIVATION_TEXT + 1], third[ACTIVATION_TEXT + 1];

	machine_joins(s, &m, "kiosk");
	code_for(s, ANNA, 9, first);
	code_for(s, ANNA, 1, second);
	code_for(s, BOB, 1, third);
	cr_assert_eq(activate(s, &m, first, "anna").activated, 1);
	cr_assert_eq(activate(s, &m, second, "ann.lee").activated, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation WHERE account = 'ann.lee'"),
		     1);
	cr_assert_eq(activate(s, &m, first, "anna").known, 1, "an old request moves nobody back");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation WHERE account = 'ann.lee'"),
		     1);
	cr_assert_eq(activate(s, &m, third, "ann.lee").refused, 1, "an account is one user's");
	cr_assert_eq(refusals(s, "another user is active in the account"), 1);
	cr_assert_eq(active(s), 1);
}

Test(activation, is_undone_and_redone_by_an_administrator_alone)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[3][ACTIVATION_TEXT + 1];
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	for (size_t i = 0; i < 2; i++)
		code_for(s, ANNA, 3, code[i]);
	code_for(s, BOB, 1, code[2]);
	cr_assert_eq(activation_deactivate(s, ANNA, "kiosk", &err), RC_USAGE);
	cr_assert_eq(activate(s, &m, code[0], "anna").activated, 1);
	cr_assert_eq(activation_deactivate(s, ANNA, "till", &err), RC_USAGE);
	must(activation_deactivate(s, ANNA, "kiosk", &err));
	must(activation_deactivate(s, ANNA, "kiosk", &err));
	cr_assert_eq(active(s), 0);
	cr_assert_eq(server_events(s, "deactivated"), 1);
	cr_assert_eq(activate(s, &m, code[0], "anna").known, 1, "the request again");
	cr_assert_eq(activate(s, &m, code[1], "anna").refused, 1, "another code");
	cr_assert_eq(refusals(s, "only an administrator"), 1);
	cr_assert_eq(active(s), 0);
	cr_assert_eq(activate(s, &m, code[2], "anna").activated, 1, "the account is free");
	cr_assert_eq(activation_reactivate(s, ANNA, "kiosk", &err), RC_CONFLICT);
	must(activation_deactivate(s, BOB, "kiosk", &err));
	must(activation_reactivate(s, ANNA, "kiosk", &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation WHERE state = 'active' AND"
				      " email = '" ANNA "'"),
		     1);
}

static int row_count(void *arg, const struct site_activation *a, struct err *err)
{
	(*(int *)arg)++;
	return 0;
}

Test(activation, belongs_to_the_machine_and_not_to_its_name)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine old = machine_new(), new = machine_new();
	char code[ACTIVATION_TEXT + 1];
	struct err err = {0};
	int n = 0;

	machine_joins(s, &old, "kiosk");
	code_for(s, ANNA, 2, code);
	cr_assert_eq(activate(s, &old, code, "anna").activated, 1);
	must(activations_of_user(s, ANNA, row_count, &n, &err));
	cr_assert_eq(n, 1);
	clock_set(SERVER_NOW + 10);
	machine_joins(s, &new, "kiosk");
	n = 0;
	must(activations_of_user(s, ANNA, row_count, &n, &err));
	cr_assert_eq(n, 0, "re-imaged: nobody is active on it");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation"), 0);
	cr_assert_eq(activate(s, &new, code, "anna").activated, 1);
	must(enrolment_revoke(s, "kiosk", &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation"), 0);
}

Test(activation, forgets_a_user_who_is_deleted)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[2][ACTIVATION_TEXT + 1];
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	code_for(s, ANNA, 1, code[0]);
	code_for(s, BOB, 1, code[1]);
	cr_assert_eq(activate(s, &m, code[0], "anna").activated, 1);
	must(site_document_remove(s, SITE_DOCUMENT_USER, BOB, &err));
	cr_assert_eq(activate(s, &m, code[1], "bob").refused, 1);
	cr_assert_eq(refusals(s, "was deleted"), 1);
	for (const char *const *sql = activation_forget.user; *sql != NULL; sql++) {
		must(db_run(s->db, &err, *sql, "t", ANNA));
		must(db_run(s->db, &err, *sql, "t", BOB));
	}
	cr_assert_eq(
	    server_number(s, "SELECT (SELECT count(*) FROM activation) + (SELECT count(*)"
			     " FROM activation_code) + (SELECT count(*) FROM activation_use)"),
	    0);
}

Test(activation, lets_no_workstation_fill_the_registry_with_refusals)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct request r = {.site = s->id, .kind = "activate", .sequence = 2};
	char path[DEPOT_NAME];

	machine_joins(s, &m, "kiosk");
	memcpy(r.workstation, m.id, sizeof(m.id));
	snprintf(r.account, sizeof(r.account), "anna");
	r.proof.b[0] = 1;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(r.activation, sizeof(r.activation), "%016x", i);
		request_post(s, &m, &r, path);
	}
	cr_assert_eq(collected(s).refused, 40);
	cr_assert_eq(refusals(s, "is known here"), 16);
	cr_assert_eq(server_events(s, "activation-unknown"), 40);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE kind ="
				      " 'activation-unknown'"),
		     1);
}

/* Codes */

Test(activation, makes_codes_only_for_users_and_within_limits)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char code[ACTIVATION_TEXT + 1];
	struct activation_code c;
	struct err err = {0};

	cr_assert_eq(activation_code_make(s, "eve@acme.example", 1, 7, code, &c, &err), RC_USAGE);
	cr_assert_eq(activation_code_make(s, ANNA, 0, 7, code, &c, &err), RC_USAGE);
	cr_assert_eq(activation_code_make(s, ANNA, 10001, 7, code, &c, &err), RC_USAGE);
	cr_assert_eq(activation_code_make(s, ANNA, 1, 3651, code, &c, &err), RC_USAGE);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation_code"), 0);
	must(activation_code_make(s, ANNA, 10000, 3650, code, &c, &err));
	cr_assert_eq(strlen(code), ACTIVATION_TEXT);
	cr_assert_eq(c.uses, 10000);
}

static int code_keep(void *arg, const struct activation_code *c, struct err *err)
{
	struct activation_code *to = arg;

	to[c->revoked != 0] = *c;
	return 0;
}

Test(activation, lists_codes_and_revokes_them_by_a_beginning_of_their_id)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct activation_code c, seen[2] = {0};
	char code[2][ACTIVATION_TEXT + 1], prefix[17];
	struct err err = {0};

	must(activation_code_make(s, ANNA, 1, 7, code[0], &c, &err));
	must(activation_code_make(s, BOB, 4, 7, code[1], &c, &err));
	snprintf(prefix, sizeof(prefix), "%.8s", c.id);
	cr_assert_eq(activation_code_revoke(s, "1234567", &c, &err), RC_USAGE, "too short");
	cr_assert_eq(activation_code_revoke(s, "0123456789abcdef", &c, &err), RC_USAGE, "unknown");
	cr_assert_eq(activation_code_revoke(s, "zzzzz-zzzzz", &c, &err), RC_USAGE, "no code");
	must(activation_code_revoke(s, prefix, &c, &err));
	cr_assert_str_eq(c.email, BOB);
	must(activation_code_revoke(s, code[1], &c, &err));
	must(activation_codes(s, NULL, code_keep, seen, &err));
	cr_assert_str_eq(seen[0].email, ANNA);
	cr_assert_str_eq(seen[1].email, BOB);
	cr_assert_eq(seen[1].uses, 4);
	cr_assert_eq(server_events(s, "activation-code"), 1);
	memset(seen, 0, sizeof(seen));
	must(activation_codes(s, ANNA, code_keep, seen, &err));
	cr_assert_str_eq(seen[1].email, "");
}
