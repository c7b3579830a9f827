/* SPDX-License-Identifier: ISC */
/*
 * The sets of keys and channels that each group gives, with those of its outer groups, are bits: a
 * user without extra or withheld keys has exactly the group's.
 */
#include "bundler/entitlement/people.h"

#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define WORD_BITS 64
#define NONE      SIZE_MAX

struct people_group {
	size_t outer;       /* index of the group that this one is in; NONE */
	uint64_t *keys;     /* owned by people: bits */
	uint64_t *channels; /* the same */
	uint64_t members;
};

struct people {
	const struct site *s;
	struct people_group *group;       /* owned; as s->group */
	uint64_t *bits;                   /* owned: of all groups */
	size_t key_words, channel_words;  /* 64-bit words of one set */
	const struct site_key **by_group; /* owned: s->keys of them, by key group, then name */
	uint64_t *taken;                  /* owned: as s->licence */
};

static void bit_set(uint64_t *bits, size_t i)
{
	bits[i / WORD_BITS] |= 1ull << i % WORD_BITS;
}

static bool bit_is_set(const uint64_t *bits, size_t i)
{
	return (bits[i / WORD_BITS] >> i % WORD_BITS & 1) != 0;
}

static size_t bits_words(size_t n)
{
	return (n + WORD_BITS - 1) / WORD_BITS;
}

void people_freep(struct people **p)
{
	if (*p != NULL) {
		free((*p)->group);
		free((*p)->bits);
		free((void *)(*p)->by_group);
		free((*p)->taken);
		free(*p);
	}
	*p = NULL;
}

static int by_key_group(const void *a, const void *b)
{
	const struct site_key *const *x = a, *const *y = b;
	int order = strcmp((*x)->group, (*y)->group);

	return order != 0 ? order : strcmp((*x)->name, (*y)->name);
}

/* The first of ${p->by_group} whose key group is not below ${word}. */
static size_t key_group_begin(const struct people *p, const char *word)
{
	size_t low = 0, high = p->s->keys;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(p->by_group[middle]->group, word) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* key_bits(p, who, bits, on): the key, or all of the key group, that a document names. */
static void key_bits(const struct people *p, const char *who, uint64_t *bits, bool on)
{
	const struct site_key *k;

	if (strncmp(who, "group:", 6) != 0) {
		k = site_key_document(p->s, who);
		if (k != NULL && on)
			bit_set(bits, (size_t)(k - p->s->key));
		else if (k != NULL)
			bits[(size_t)(k - p->s->key) / WORD_BITS] &=
			    ~(1ull << (size_t)(k - p->s->key) % WORD_BITS);
		return;
	}
	for (size_t i = key_group_begin(p, who + 6);
	     i < p->s->keys && strcmp(p->by_group[i]->group, who + 6) == 0; i++)
		key_bits(p, p->by_group[i]->name, bits, on);
}

static int people_allocate(struct people *p, struct err *err)
{
	const struct site *s = p->s;
	size_t each, total;

	p->key_words = bits_words(s->keys);
	p->channel_words = bits_words(s->channels);
	each = p->key_words + p->channel_words;
	if (__builtin_mul_overflow(each, s->groups, &total))
		return err_memory(err);
	p->group = calloc(s->groups + 1, sizeof(*p->group));
	p->bits = calloc(total + 1, sizeof(*p->bits));
	p->by_group = calloc(s->keys + 1, sizeof(*p->by_group));
	p->taken = calloc(s->licences + 1, sizeof(*p->taken));
	if (p->group == NULL || p->bits == NULL || p->by_group == NULL || p->taken == NULL)
		return err_memory(err);
	for (size_t i = 0; i < s->groups; i++) {
		p->group[i].keys = p->bits + i * each;
		p->group[i].channels = p->group[i].keys + p->key_words;
	}
	return 0;
}

static size_t group_index(const struct people *p, const char *name)
{
	const struct site_group *g = name[0] == '\0' ? NULL : site_group(p->s, name);

	return g == NULL ? NONE : (size_t)(g - p->s->group);
}

/* What the group's own document gives, and what channels give it. */
static void groups_own(struct people *p)
{
	const struct site *s = p->s;

	for (size_t i = 0; i < s->groups; i++) {
		const struct site_group *g = &s->group[i];

		p->group[i].outer = group_index(p, g->parent);
		for (size_t k = 0; k < g->keys; k++)
			key_bits(p, g->key[k], p->group[i].keys, true);
		for (size_t k = 0; k < g->channels; k++) {
			const struct site_channel *c = site_channel(s, g->channel[k]);

			if (c != NULL)
				bit_set(p->group[i].channels, (size_t)(c - s->channel));
		}
	}
	for (size_t i = 0; i < s->channels; i++) {
		for (size_t k = 0; k < s->channel[i].audiences; k++) {
			const char *who = s->channel[i].audience[k];
			size_t g = strncmp(who, "group:", 6) == 0 ? group_index(p, who + 6) : NONE;

			if (g != NONE)
				bit_set(p->group[g].channels, i);
		}
	}
}

/* chain(p, i, ret): group ${i} and those above it, innermost first; ends before a circle closes. */
static size_t chain(const struct people *p, size_t i, size_t ret[PEOPLE_DEPTH])
{
	size_t n = 0;

	while (i != NONE && n < PEOPLE_DEPTH) {
		for (size_t k = 0; k < n; k++) {
			if (ret[k] == i)
				return n;
		}
		ret[n++] = i;
		i = p->group[i].outer;
	}
	return n;
}

/* groups_inherit(p): each set of an inner group takes in those of its outer ones.  Sets only grow,
 * and all that is taken from is above, so the order of the groups does not matter. */
static void groups_inherit(struct people *p)
{
	size_t above[PEOPLE_DEPTH];

	for (size_t i = 0; i < p->s->groups; i++) {
		size_t n = chain(p, i, above);

		for (size_t k = 1; k < n; k++) {
			for (size_t w = 0; w < p->key_words + p->channel_words; w++)
				p->group[i].keys[w] |= p->group[above[k]].keys[w];
		}
	}
}

static void users_count(struct people *p)
{
	for (size_t i = 0; i < p->s->users; i++) {
		const struct site_user *u = &p->s->user[i];
		const struct site_licence *l =
		    u->licence[0] == '\0' ? NULL : site_licence(p->s, u->licence);
		size_t g = group_index(p, u->group);

		if (l != NULL)
			p->taken[l - p->s->licence]++;
		if (g != NONE)
			p->group[g].members++;
	}
}

int people_new(const struct site *s, struct people **ret, struct err *err)
{
	OWNED(people_freep) struct people *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return err_memory(err);
	p->s = s;
	rc = people_allocate(p, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s->keys; i++)
		p->by_group[i] = &s->key[i];
	if (s->keys > 0)
		qsort((void *)p->by_group, s->keys, sizeof(struct site_key *), by_key_group);
	groups_own(p);
	groups_inherit(p);
	users_count(p);
	*ret = TAKE(p);
	return 0;
}

static size_t groups_of(const struct people *p, size_t i,
			const struct site_group *ret[PEOPLE_DEPTH])
{
	size_t inner_first[PEOPLE_DEPTH], n = chain(p, i, inner_first);

	for (size_t k = 0; k < n; k++)
		ret[k] = &p->s->group[inner_first[n - 1 - k]];
	return n;
}

size_t people_groups(const struct people *p, const struct site_user *u,
		     const struct site_group *ret[PEOPLE_DEPTH])
{
	return groups_of(p, group_index(p, u->group), ret);
}

size_t people_outer(const struct people *p, const struct site_group *g,
		    const struct site_group *ret[PEOPLE_DEPTH])
{
	return groups_of(p, (size_t)(g - p->s->group), ret);
}

static int keys_list(const struct people *p, const uint64_t *bits, struct people_keys *ret,
		     struct err *err)
{
	size_t n = 0;

	for (size_t w = 0; w < p->key_words; w++)
		n += (size_t)__builtin_popcountll(bits[w]);
	ret->key = calloc(n + 1, sizeof(*ret->key));
	if (ret->key == NULL)
		return err_memory(err);
	for (size_t w = 0; w < p->key_words; w++) {
		for (uint64_t left = bits[w]; left != 0; left &= left - 1)
			ret->key[ret->n++] =
			    &p->s->key[w * WORD_BITS + (size_t)__builtin_ctzll(left)];
	}
	return 0;
}

int people_group_keys(const struct people *p, const struct site_group *g, struct people_keys *ret,
		      struct err *err)
{
	*ret = (struct people_keys){0};
	return keys_list(p, p->group[g - p->s->group].keys, ret, err);
}

int people_keys(const struct people *p, const struct site_user *u, struct people_keys *ret,
		struct err *err)
{
	OWNED(freep) uint64_t *bits = calloc(p->key_words + 1, sizeof(*bits));
	size_t g = group_index(p, u->group), bytes = p->key_words * sizeof(*bits);

	*ret = (struct people_keys){0};
	if (bits == NULL)
		return err_memory(err);
	if (g != NONE)
		memcpy(bits, p->group[g].keys, bytes);
	for (size_t i = 0; i < u->extras; i++)
		key_bits(p, u->extra[i], bits, true);
	for (size_t i = 0; i < u->withhelds; i++)
		key_bits(p, u->withheld[i], bits, false);
	for (size_t w = 0; w < p->key_words; w++)
		ret->differs |= bits[w] != (g != NONE ? p->group[g].keys[w] : 0);
	return keys_list(p, bits, ret, err);
}

void people_keys_clear(struct people_keys *k)
{
	free((void *)k->key);
	*k = (struct people_keys){0};
}

bool people_group_gives(const struct people *p, const struct site_group *g,
			const struct site_channel *c)
{
	return bit_is_set(p->group[g - p->s->group].channels, (size_t)(c - p->s->channel));
}

bool people_gives(const struct people *p, const struct site_user *u, const struct site_channel *c)
{
	size_t g = group_index(p, u->group);

	return g != NONE && bit_is_set(p->group[g].channels, (size_t)(c - p->s->channel));
}

uint64_t people_seats_taken(const struct people *p, const struct site_licence *l)
{
	return p->taken[l - p->s->licence];
}

uint64_t people_seats_free(const struct people *p, const struct site_licence *l)
{
	uint64_t taken = people_seats_taken(p, l);

	return taken < l->seats ? l->seats - taken : 0;
}

uint64_t people_members(const struct people *p, const struct site_group *g)
{
	return p->group[g - p->s->group].members;
}
