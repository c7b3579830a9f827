/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(subscription, subscription, (void)v, , NULL)
KIND(membership, membership, (void)v, , "workstation.yaml")

Test(subscription, comes_back_as_it_was)
{
	static const struct change_row rows[] = {
	    {"target: /opt/office", "target: /opt/../office", "an absolute path"},
	    {"target: /opt/office", "target: opt", "an absolute path"},
	    {"on-leave: remove", "on-leave: ask", "keep or remove"},
	    {"owners: true", "owners: yes", "true or false"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct subscription got,
	    s = {.name = "office", .target = "/opt/office", .owners = true, .on_leave = "remove"};
	struct err err = {0};

	cr_assert_eq(subscription_encode(&s, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: subscription/1\n");
	cr_assert_eq(subscription_decode(bytes_in(&text), NULL, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.name, "office");
	cr_expect_str_eq(got.target, "/opt/office");
	cr_expect(got.owners);
	cr_expect_not(got.special_modes);
	cr_expect_str_eq(got.on_leave, "remove");
	refuses_unknown_and_missing(subscription_read, &text);
	refuses(subscription_read, &text, rows, ARRAY_LEN(rows));
}

Test(membership, comes_back_as_it_was)
{
	static const struct change_row rows[] = {
	    {"name: pc-7", "name: \"../pc\"", "workstation.yaml:4: field `name`"},
	    {"salt: ab", "salt: a", "64 lower-case"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct membership got, m = {.site = digest_number(1),
				    .id = "00112233445566778899aabbccddeeff",
				    .name = "pc-7"};
	struct err err = {0};

	memset(m.salt, 0xab, sizeof(m.salt));
	cr_assert_eq(membership_encode(&m, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: membership/1\n");
	cr_assert_eq(membership_decode(bytes_in(&text), "w", &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.id, m.id);
	cr_expect_str_eq(got.name, "pc-7");
	cr_expect_arr_eq(got.salt, m.salt, sizeof(m.salt));
	cr_expect_str_eq(got.codes, "");
	refuses_unknown_and_missing(membership_read, &text);
	refuses(membership_read, &text, rows, ARRAY_LEN(rows));
	snprintf(m.codes, sizeof(m.codes), "0123456789abcdef");
	buf_reset(&text);
	cr_assert_eq(membership_encode(&m, &text, &err), 0, "%s", err.text);
	cr_assert_eq(membership_decode(bytes_in(&text), "w", &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.codes, "0123456789abcdef");
}
