/* SPDX-License-Identifier: ISC */
/*
 * One place where arrays grow, so that doubling and the check for overflow are written once.
 */
#include "core/base/list.h"

#include <string.h>

#include "core/base/own.h"

/* The smallest list that is allocated: most of ours stay below it. */
#define LIST_FIRST 8

void *list_grow(void *items, size_t n, size_t more, size_t *cap, size_t size, struct err *err)
{
	size_t need, room = *cap, bytes;
	char *p = items;

	if (__builtin_add_overflow(n, more, &need))
		goto overflow;
	if (items == NULL || need > room) {
		if (__builtin_mul_overflow(room, 2, &room))
			goto overflow;
		room = room < LIST_FIRST ? LIST_FIRST : room;
		room = room < need ? need : room;
		if (__builtin_mul_overflow(room, size, &bytes))
			goto overflow;
		p = realloc(items, bytes);
		if (p == NULL) {
			err_memory(err);
			return NULL;
		}
		*cap = room;
	}
	memset(p + n * size, 0, more * size);
	return p;
overflow:
	err_set(err, RC_LIMIT, "a list of more items than memory has room for");
	return NULL;
}

size_t search_sorted(const void *key, const void *items, size_t n, size_t size,
		     int (*compare)(const void *key, const void *item), bool *ret_found)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(key, (const char *)items + middle * size) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (ret_found != NULL)
		*ret_found = low < n && compare(key, (const char *)items + low * size) == 0;
	return low;
}

void *search_find(const void *key, const void *items, size_t n, size_t size,
		  int (*compare)(const void *key, const void *item))
{
	/* bsearch wants an array even when there is nothing in it. */
	return n == 0 ? NULL : bsearch(key, items, n, size, compare);
}

int strings_add_bytes(struct strings *list, const char *p, size_t n, struct err *err)
{
	OWNED(freep) char *copy = strndup(p, n);
	char **at;

	if (copy == NULL)
		return err_memory(err);
	at = list_add(list, err);
	if (at == NULL)
		return err->rc;
	*at = TAKE(copy);
	return 0;
}

int strings_add(struct strings *list, const char *text, struct err *err)
{
	return strings_add_bytes(list, text, strlen(text), err);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int strings_insert(struct strings *list, const char *text, struct err *err)
{
	bool found;
	size_t at =
	    search_sorted(&text, list->items, list->n, sizeof(*list->items), by_text, &found);
	char *added;
	int rc;

	if (found)
		return 0;
	rc = strings_add(list, text, err);
	if (rc < 0)
		return rc;
	added = list->items[list->n - 1];
	memmove(&list->items[at + 1], &list->items[at], (list->n - 1 - at) * sizeof(*list->items));
	list->items[at] = added;
	return 1;
}

bool strings_has(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

bool strings_has_sorted(const struct strings *list, const char *text)
{
	return list_find(list, &text, by_text) != NULL;
}

void strings_sort(struct strings *list)
{
	list_sort(list, by_text);
}

void strings_sort_unique(struct strings *list)
{
	size_t n = 0;

	strings_sort(list);
	for (size_t i = 0; i < list->n; i++) {
		if (n > 0 && strcmp(list->items[n - 1], list->items[i]) == 0)
			free(list->items[i]);
		else
			list->items[n++] = list->items[i];
	}
	list->n = n;
}

void strings_clear(struct strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	list_clear(list);
}
