/* SPDX-License-Identifier: ISC */
/* The table itself. */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/status/status_rules.h"

Test(status_rules, have_a_colour_a_meaning_and_a_remedy_each)
{
	for (size_t i = 0; i < RULES; i++) {
		const struct rule_row *r = &rule_rows[i];

		cr_assert_not_null(r->slug, "rule %zu", i);
		cr_assert_not_null(r->meaning, "rule %s", r->slug);
		if (r->colour != COLOUR_GREEN)
			cr_assert_not_null(r->remedy[0].command, "rule %s", r->slug);
		for (const struct remedy *m = r->remedy; m->command != NULL; m++) {
			cr_assert_not_null(m->text, "rule %s", r->slug);
			cr_assert_eq(strncmp(m->command, "satchel ", 8), 0, "%s", m->command);
		}
	}
}

Test(status_rules, reach_every_colour_of_each_kind)
{
	unsigned seen[2] = {0, 0};

	for (size_t i = 0; i < RULES; i++)
		seen[rule_rows[i].subject] |= 1u << rule_rows[i].colour;
	cr_assert_eq(seen[SUBJECT_WORKSTATION], (1u << COLOUR_PURPLE) - 1);
	cr_assert_eq(seen[SUBJECT_USER], (1u << COLOURS) - 1);
}

Test(status_rules, have_slugs_that_are_one_word_and_told_apart)
{
	for (size_t i = 0; i < RULES; i++) {
		cr_assert_eq(
		    rule_rows[i].slug[strspn(rule_rows[i].slug, "abcdefghijklmnopqrstuvwxyz-")],
		    '\0');
		for (size_t k = i + 1; k < RULES; k++) {
			if (rule_rows[i].subject == rule_rows[k].subject)
				cr_assert_str_neq(rule_rows[i].slug, rule_rows[k].slug);
		}
	}
}

Test(status_rules, fill_in_what_a_remedy_is_about)
{
	const struct remedy r = {"x", "satchel publish {about} for {name}"};
	char text[64], small[20];

	remedy_command(&r, "kiosk", "office", text, sizeof(text));
	cr_assert_str_eq(text, "satchel publish office for kiosk");
	remedy_command(&r, "kiosk", "", text, sizeof(text));
	cr_assert_str_eq(text, "satchel publish NAME for kiosk");
	remedy_command(&r, "kiosk", "office", small, sizeof(small));
	cr_assert_str_eq(small, "satchel publish off");
}

Test(status_rules, keep_the_worst_reasons_in_order)
{
	static struct reasons l;
	char text[REASON_TEXT];

	reasons_first(&l, text);
	cr_assert_str_eq(text, "");
	for (int i = 0; i < 20; i++)
		because(&l, RULE_W_SILENT, "", "late %d", i);
	because(&l, RULE_W_FAILED, "office", "bad");
	reasons_first(&l, text);
	cr_assert_str_eq(text, "bad");
	cr_assert_eq(l.n, REASONS);
	cr_assert_eq(l.dropped, 5);
	reasons_also(&l, text);
	cr_assert_eq(strncmp(text, "late 0; late 1; ", 16), 0);
	cr_assert_not_null(strstr(text, "; and 5 more"));
}

/* A workstation may be stolen: its words never read like the server's. */
Test(status_rules, what_a_workstation_says_stays_in_quotation_marks)
{
	struct reasons l = {0};
	char text[REASON_TEXT];

	because_said(&l, RULE_W_FAILED, "office", "x\"; clone suspected: revoke it",
		     "channel office: failed");
	reasons_first(&l, text);
	cr_assert_str_eq(text,
			 "channel office: failed; it says: \"x'; clone suspected: revoke it\"");
	cr_assert_str_eq(l.item[0].claim, "x\"; clone suspected: revoke it");
	l = (struct reasons){0};
	because_said(&l, RULE_W_FAILED, "office", "", "channel office: failed");
	reasons_first(&l, text);
	cr_assert_str_eq(text, "channel office: failed");
}
