/* SPDX-License-Identifier: ISC */
/*
 * Lists that grow, lists of owned strings, and the search in sorted ones.
 *
 * LIST(struct row) is a struct with the members items, n and cap.  An empty one is all zero.  It is
 * declared inside the struct that owns it, or given a name where it travels:
 *
 *	struct rows LIST_MEMBERS(struct row);	a type with a name
 *	LIST(struct row) row;			a member of another struct
 *
 *	struct row *r = list_add(&l->row, err);	a new row, all zero, to be filled
 *	if (r == NULL)
 *		return err->rc;
 */
#ifndef SATCHEL_CORE_BASE_LIST_H
#define SATCHEL_CORE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/base/err.h"

/* The members of a list: items (owned), how many are used, how many fit. */
#define LIST_MEMBERS(type)   \
	{                    \
		type *items; \
		size_t n;    \
		size_t cap;  \
	}
#define LIST(type) struct LIST_MEMBERS(type)

/**
 * list_grow(items, n, more, cap, size, err):
 * Room for ${more} items of ${size} bytes after the ${n} that ${items} (owned, may be NULL) holds.
 * Returns the memory, perhaps moved, with those ${more} items zero, and says in ${*cap} how many
 * fit; it grows by doubling.  NULL on failure, and ${items} is as it was.
 * Errors: RC_LIMIT (the size overflows), RC_MEMORY.  The macros below are how to call it.
 */
void *list_grow(void *items, size_t n, size_t more, size_t *cap, size_t size, struct err *err);

/* items_reserve(items, n, cap, more, err): room for ${more} items in a list whose members have
 * names of their own; 0 or a negative code.  list_reserve(list, more, err): the same for a LIST. */
#define items_reserve(items, n, cap, more, err)                                       \
	__extension__({                                                               \
		__typeof__(items) items_moved_ =                                      \
		    list_grow((items), (n), (more), &(cap), sizeof(*(items)), (err)); \
		(items) = items_moved_ != NULL ? items_moved_ : (items);              \
		items_moved_ != NULL ? 0 : (err)->rc;                                 \
	})
#define list_reserve(list, more, err) \
	items_reserve((list)->items, (list)->n, (list)->cap, (more), (err))

/* list_add(list, err): a new item at the end, all zero; NULL on failure.  The pointer holds until
 * the next item is added. */
#define list_add(list, err)                                        \
	__extension__({                                            \
		int list_rc_ = list_reserve((list), 1, (err));     \
		list_rc_ < 0 ? NULL : &(list)->items[(list)->n++]; \
	})

/* list_push(list, value, err): ${value} at the end; 0 or a negative code. */
#define list_push(list, value, err)                                            \
	__extension__({                                                        \
		__typeof__((list)->items) list_new_ = list_add((list), (err)); \
		if (list_new_ != NULL)                                         \
			*list_new_ = (value);                                  \
		list_new_ != NULL ? 0 : (err)->rc;                             \
	})

/* list_clear(list): give the memory back; what the items own is released before that. */
#define list_clear(list)                     \
	do {                                 \
		free((list)->items);         \
		(list)->items = NULL;        \
		(list)->n = (list)->cap = 0; \
	} while (0)

/* list_sort(list, compare): qsort(3), and an empty list is fine. */
#define list_sort(list, compare)                                                            \
	do {                                                                                \
		if ((list)->n > 1)                                                          \
			qsort((list)->items, (list)->n, sizeof(*(list)->items), (compare)); \
	} while (0)

/* list_find(list, key, compare): the item of a sorted list that equals ${key}, or NULL. */
#define list_find(list, key, compare)                                            \
	((__typeof__((list)->items))search_find((key), (list)->items, (list)->n, \
						sizeof(*(list)->items), (compare)))

/**
 * search_sorted(key, items, n, size, compare, ret_found):
 * Where ${key} is, or belongs, among ${n} items of ${size} bytes in ascending order: the index of
 * the first item that is not smaller; ${n} when all are.  ${*ret_found} (may be NULL): that one is
 * equal.  ${compare} is called with the key first, as by bsearch(3).  ${items} may be NULL when
 * ${n} is 0.
 */
size_t search_sorted(const void *key, const void *items, size_t n, size_t size,
		     int (*compare)(const void *key, const void *item), bool *ret_found);

/** search_find(key, items, n, size, compare): the item that equals ${key}, or NULL. */
void *search_find(const void *key, const void *items, size_t n, size_t size,
		  int (*compare)(const void *key, const void *item));

/* A list of strings that it owns. */
struct strings LIST_MEMBERS(char *);

/**
 * strings_add(list, text, err): a copy of ${text} at the end.
 * strings_add_bytes(list, p, n, err): a copy of ${n} bytes, without NUL, as a string.
 * strings_insert(list, text, err): a copy where it belongs in a sorted list; 1 when it was added, 0
 * when it was there.
 * Errors: RC_MEMORY.
 */
int strings_add(struct strings *list, const char *text, struct err *err);
int strings_add_bytes(struct strings *list, const char *p, size_t n, struct err *err);
int strings_insert(struct strings *list, const char *text, struct err *err);

/** strings_has(list, text): does it hold ${text}?  strings_has_sorted(list, text): the same for a
 * sorted list, in logarithmic time. */
bool strings_has(const struct strings *list, const char *text);
bool strings_has_sorted(const struct strings *list, const char *text);

/** strings_sort(list): in ascending order of bytes.  strings_sort_unique(list): likewise, and of
 * equal ones only one stays. */
void strings_sort(struct strings *list);
void strings_sort_unique(struct strings *list);

/** strings_clear(list): release all; for OWNED as well. */
void strings_clear(struct strings *list);

#endif
