/* SPDX-License-Identifier: ISC */
/*
 * The table of workstations: who has a name now, and which states there are.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/workstations/workstations.h"
#include "tests/support/server.h"

TestSuite(workstations, .init = server_make, .fini = server_teardown);

/* put(s, id, name, state, enrolled): a row; ${id} is written out with zeros. */
static void put(struct site *s, char id, const char *name, enum workstation_state state,
		int64_t enrolled)
{
	struct workstation w = {.state = state, .enrolled = enrolled};
	struct err err = {0};

	memset(w.id, '0', WORKSTATION_ID);
	w.id[0] = id;
	snprintf(w.name, sizeof(w.name), "%s", name);
	must(workstation_put(s->db, &w, &err));
}

Test(workstations, has_a_word_for_every_state)
{
	for (enum workstation_state i = WORKSTATION_ABSENT; i <= WORKSTATION_REMOVED; i++)
		cr_assert_eq(workstation_state(workstation_state_text(i)), i);
	cr_assert_eq(workstation_state("else"), WORKSTATION_ABSENT);
	cr_assert_str_eq(workstation_state_text(WORKSTATION_LEAVING), "leaving");
	cr_assert(workstation_is_member(WORKSTATION_LEAVING));
	cr_assert_not(workstation_is_member(WORKSTATION_REVOKED));
}

Test(workstations, finds_who_has_a_name_now_and_who_had_it_last)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct workstation w;
	struct err err = {0};

	put(s, 'a', "kiosk", WORKSTATION_REPLACED, 1);
	put(s, 'b', "kiosk", WORKSTATION_DECOMMISSIONED, 2);
	cr_assert_eq(workstation_member_by_name(s->db, "kiosk", &w, &err), 0);
	cr_assert_eq(w.state, WORKSTATION_ABSENT);
	cr_assert_eq(workstation_newest(s->db, "kiosk", &w, &err), 1);
	cr_assert_eq(w.id[0], 'b');
	cr_assert_eq(server_number(s, "SELECT enrolled FROM workstation_shown"), 2);
	put(s, 'a', "kiosk", WORKSTATION_LEAVING, 3);
	cr_assert_eq(workstation_member_by_name(s->db, "kiosk", &w, &err), 1);
	cr_assert_eq(w.enrolled, 3);
	cr_assert_eq(workstation_newest(s->db, "kiosk", &w, &err), 1);
	cr_assert_eq(w.id[0], 'a');
	cr_assert_eq(server_number(s, "SELECT count(*) FROM workstation_shown"), 1);
	cr_assert_eq(server_number(s, "SELECT leaving FROM workstation_member"), 1);
	must(workstation_state_set(s->db, w.id, WORKSTATION_REMOVED, &err));
	cr_assert_eq(workstation_newest(s->db, "kiosk", &w, &err), 1);
	cr_assert_eq(w.id[0], 'b', "a removed one is nobody's newest");
	cr_assert_eq(workstation_name_known(s->db, "kiosk", &err), 1);
	cr_assert_eq(workstation_name_known(s->db, "else", &err), 0);
}

Test(workstations, gives_a_name_to_one_member_only)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct workstation w = {.state = WORKSTATION_ENROLLED, .id = "b", .name = "kiosk"};
	struct err err = {0};

	put(s, 'a', "kiosk", WORKSTATION_ENROLLED, 1);
	cr_assert_lt(workstation_put(s->db, &w, &err), 0);
	w.state = WORKSTATION_REVOKED;
	must(workstation_put(s->db, &w, &err));
}

static int count(void *arg, const struct workstation *w, struct err *err)
{
	int *n = arg;

	(void)w;
	(void)err;
	(*n)++;
	return 0;
}

Test(workstations, lists_members_those_whose_ids_begin_so_and_all_of_a_name)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	int members = 0, begin = 0, named = 0;

	put(s, 'a', "x", WORKSTATION_ENROLLED, 1);
	put(s, 'b', "y", WORKSTATION_LEAVING, 1);
	put(s, 'c', "x", WORKSTATION_REMOVED, 1);
	must(workstations_each(s->db, count, &members, &err));
	must(workstations_beginning(s->db, "b0", count, &begin, &err));
	must(workstations_named(s->db, "x", count, &named, &err));
	cr_assert_eq(members, 2);
	cr_assert_eq(begin, 1);
	cr_assert_eq(named, 2);
}

Test(workstations, says_that_a_row_is_damaged)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct workstation w;
	struct err err = {0};

	put(s, 'a', "x", WORKSTATION_ENROLLED, 1);
	must(db_exec(s->db, "UPDATE workstation SET seal = x'00'", &err));
	cr_assert_eq(workstation_member_by_name(s->db, "x", &w, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "damaged"));
}

static struct key_public key(uint8_t first)
{
	struct key_public k = {.kind = KEY_SEAL, .number = first};

	memset(k.b, first, sizeof(k.b));
	return k;
}

Test(workstations, keep_the_key_that_they_enrolled_with_when_they_tell_another)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	const struct key_public none = {0}, second = key(2), third = key(3), codes = key(9);
	struct workstation w = {.state = WORKSTATION_ENROLLED, .seal = key(1)};
	struct err err = {0};

	memset(w.id, 'a', WORKSTATION_ID);
	snprintf(w.name, sizeof(w.name), "kiosk");
	must(workstation_put(s->db, &w, &err));
	must(workstation_keys_put(s->db, &w, &w.seal, &none, &err));
	cr_assert_eq(server_number(s, "SELECT renewed FROM workstation_member"), 0);
	must(workstation_keys_put(s->db, &w, &second, &codes, &err));
	cr_assert_eq(workstation_by_id(s->db, w.id, &w, &err), 1);
	must(workstation_keys_put(s->db, &w, &third, &none, &err));
	cr_assert_eq(workstation_by_id(s->db, w.id, &w, &err), 1);
	cr_expect(key_same(&w.seal, &third));
	cr_expect_eq(w.seal.number, 3);
	cr_expect(key_same(&w.codes, &codes));
	cr_expect_eq(w.enrolled_seal.b[0], 1);
	cr_assert_eq(server_number(s, "SELECT renewed FROM workstation_member"), 1);
	/* Who enrols anew begins anew. */
	must(workstation_put(s->db, &w, &err));
	cr_assert_eq(workstation_by_id(s->db, w.id, &w, &err), 1);
	cr_expect(key_absent(&w.enrolled_seal));
}
