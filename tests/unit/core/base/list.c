/* SPDX-License-Identifier: ISC */
#include "core/base/list.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "core/base/own.h"

struct pair {
	int key;
	char word[12];
};

static int by_key(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

Test(list, grows_by_doubling_and_hands_out_zeroed_items)
{
	LIST(struct pair) list = {0};
	struct err err = {0};
	size_t moves = 0, cap = 0;

	for (int i = 0; i < 1000; i++) {
		struct pair *p = list_add(&list, &err);

		cr_assert_not_null(p);
		cr_assert_eq(p->key, 0);
		cr_assert_str_eq(p->word, "");
		memset(p, 0x5a, sizeof(*p));
		p->key = i;
		moves += list.cap != cap;
		cap = list.cap;
	}
	cr_assert_eq(list.n, 1000);
	cr_assert_leq(moves, 8);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(list.items[i].key, i);
	list_clear(&list);
	cr_assert_null(list.items);
	cr_assert_eq(list.n + list.cap, 0);
}

Test(list, reserves_room_and_pushes_values)
{
	LIST(uint64_t) list = {0};
	struct err err = {0};

	cr_assert_eq(list_reserve(&list, 100, &err), 0);
	cr_assert_geq(list.cap, 100);
	cr_assert_eq(list.n, 0);
	cr_assert_eq(list_push(&list, UINT64_MAX, &err), 0);
	cr_assert_eq(list_push(&list, 7, &err), 0);
	cr_assert_eq(list.items[0], UINT64_MAX);
	cr_assert_eq(list.items[1], 7);
	list_clear(&list);
}

Test(list, refuses_a_size_that_overflows_and_stays_as_it_was)
{
	LIST(struct pair) list = {0};
	struct err err = {0};
	struct pair *before;

	cr_assert_not_null(list_add(&list, &err));
	before = list.items;
	cr_assert_eq(list_reserve(&list, SIZE_MAX, &err), RC_LIMIT);
	cr_assert_eq(list_reserve(&list, SIZE_MAX / 4, &err), RC_LIMIT);
	cr_assert_eq(list.items, before);
	cr_assert_eq(list.n, 1);
	list_clear(&list);
}

Test(list, sorts_and_finds)
{
	LIST(struct pair) list = {0};
	struct err err = {0};
	struct pair key = {.key = 40};

	list_sort(&list, by_key);
	cr_assert_null(list_find(&list, &key, by_key), "an empty list holds nothing");
	for (int i = 99; i >= 0; i--)
		cr_assert_eq(list_push(&list, ((struct pair){.key = 2 * i}), &err), 0);
	list_sort(&list, by_key);
	cr_assert_eq(list_find(&list, &key, by_key), &list.items[20]);
	key.key = 41;
	cr_assert_null(list_find(&list, &key, by_key));
	list_clear(&list);
}

Test(search, says_where_a_key_is_or_belongs)
{
	static const struct pair rows[] = {{1, "a"}, {3, "b"}, {3, "c"}, {9, "d"}};
	static const struct {
		int key;
		size_t at;
		bool found;
	} cases[] = {{0, 0, false}, {1, 0, true}, {2, 1, false}, {3, 1, true},
		     {4, 3, false}, {9, 3, true}, {10, 4, false}};
	bool found = true;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair key = {.key = cases[i].key};

		cr_assert_eq(
		    search_sorted(&key, rows, ARRAY_LEN(rows), sizeof(rows[0]), by_key, &found),
		    cases[i].at, "%d", key.key);
		cr_assert_eq(found, cases[i].found, "%d", key.key);
	}
	cr_assert_eq(search_sorted(&rows[0], NULL, 0, sizeof(rows[0]), by_key, &found), 0);
	cr_assert_not(found);
	cr_assert_eq(search_sorted(&rows[3], rows, 4, sizeof(rows[0]), by_key, NULL), 3);
}

Test(strings, own_copies_of_what_they_are_given)
{
	OWNED(strings_clear) struct strings list = {0};
	struct err err = {0};
	char text[] = "pear";

	cr_assert_eq(strings_add(&list, text, &err), 0);
	text[0] = 'b';
	cr_assert_eq(strings_add_bytes(&list, "apple.yaml", 5, &err), 0);
	cr_assert(strings_has(&list, "pear"));
	cr_assert(strings_has(&list, "apple"));
	cr_assert_not(strings_has(&list, "apple.yaml"));
	strings_clear(&list);
	cr_assert_eq(list.n, 0);
	cr_assert_not(strings_has(&list, "pear"));
	cr_assert_not(strings_has_sorted(&list, "pear"));
}

Test(strings, sort_and_keep_one_of_equal_ones)
{
	static const char *const words[] = {"pear", "apple", "pear", "fig", "apple", "apple"};
	OWNED(strings_clear) struct strings list = {0};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		cr_assert_eq(strings_add(&list, words[i], &err), 0);
	strings_sort(&list);
	cr_assert_eq(list.n, 6);
	cr_assert_str_eq(list.items[2], "apple");
	strings_sort_unique(&list);
	cr_assert_eq(list.n, 3);
	cr_assert_str_eq(list.items[0], "apple");
	cr_assert_str_eq(list.items[1], "fig");
	cr_assert_str_eq(list.items[2], "pear");
	cr_assert(strings_has_sorted(&list, "fig"));
	cr_assert_not(strings_has_sorted(&list, "figs"));
}

Test(strings, insert_where_they_belong)
{
	static const char *const words[] = {"m", "c", "x", "m", "a", "z", "c"};
	OWNED(strings_clear) struct strings list = {0};
	char all[16] = "";
	struct err err = {0};
	int added = 0;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		added += strings_insert(&list, words[i], &err);
	cr_assert_eq(added, 5);
	for (size_t i = 0; i < list.n; i++)
		strcat(all, list.items[i]);
	cr_assert_str_eq(all, "acmxz");
}
