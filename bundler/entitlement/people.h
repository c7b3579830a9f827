/* SPDX-License-Identifier: ISC */
/*
 * Who gets what, of the documents alone: groups, keys, channels and licences of users.
 *
 *   groups     a user's own and all above it, outermost first
 *   keys       of all those groups, and the extra ones, without the withheld ones
 *   licensed   the licence is there, active, and today is one of its days
 *   entitled   licensed, and active; only what entitled users are to have is compiled
 *
 * What the groups give is worked out once, so that a user costs a few lookups, however many there
 * are.  Names that lead nowhere and circles of groups give nothing here: site_references_check
 * reports them.
 */
#ifndef SATCHEL_BUNDLER_ENTITLEMENT_PEOPLE_H
#define SATCHEL_BUNDLER_ENTITLEMENT_PEOPLE_H
#include "bundler/documents/site_model.h"

/* Bytes of a reason in words. */
#define PEOPLE_WHY 192

struct people;

/** people_new(s, ret, err): borrows the site and its lists, which must not change meanwhile. */
int people_new(const struct site *s, struct people **ret, struct err *err);
/** people_freep(p): release it; the site's lists stay.  NULL is fine. */
void people_freep(struct people **p);

/** people_groups(p, u, ret): the groups of ${u}, outermost first; returns how many.
 * people_outer(p, g, ret): ${g} and those above it, the same way. */
size_t people_groups(const struct people *p, const struct site_user *u,
		     const struct site_group *ret[PEOPLE_DEPTH]);
size_t people_outer(const struct people *p, const struct site_group *g,
		    const struct site_group *ret[PEOPLE_DEPTH]);

struct people_keys {
	const struct site_key **key; /* owned; the keys are the site's; ascending by name */
	size_t n;
	bool differs; /* extra or withheld keys make it another set than that of the groups */
};
/**
 * people_keys(p, u, ret, err): what ${u} would be handed if entitled.
 * people_group_keys(p, g, ret, err): what the group gives, its outer groups included.
 * people_keys_clear(k): release the list; the keys are the site's.  For OWNED.
 * Errors: RC_MEMORY.
 */
int people_keys(const struct people *p, const struct site_user *u, struct people_keys *ret,
		struct err *err);
int people_group_keys(const struct people *p, const struct site_group *g, struct people_keys *ret,
		      struct err *err);
void people_keys_clear(struct people_keys *k);

/**
 * people_gives(p, u, c): do the groups of ${u} give the channel?  It names one of them as
 * group:NAME, or the document of one lists it.
 * people_group_gives(p, g, c): does the group, with its outer ones?
 */
bool people_gives(const struct people *p, const struct site_user *u, const struct site_channel *c);
bool people_group_gives(const struct people *p, const struct site_group *g,
			const struct site_channel *c);

/**
 * people_licensed(s, u, at, why): at that time, seconds since 1970; ${why}, when not NULL, gets
 * the reason when not: "the licence cad-2026 ended on 2026-10-31".
 * people_entitled(s, u, at, why): licensed, and not suspended.
 */
bool people_licensed(const struct site *s, const struct site_user *u, int64_t at,
		     char why[PEOPLE_WHY]);
bool people_entitled(const struct site *s, const struct site_user *u, int64_t at,
		     char why[PEOPLE_WHY]);
/** people_licence_good(l, at, why): the licence by itself. */
bool people_licence_good(const struct site_licence *l, int64_t at, char why[PEOPLE_WHY]);
/** people_licence_warning(s, l, at, why): does it end within the days of which the site warns?  An
 * unlimited, suspended or ended one does not. */
bool people_licence_warning(const struct site *s, const struct site_licence *l, int64_t at,
			    char why[PEOPLE_WHY]);

/**
 * people_seats_taken(p, l): users that have it, suspended ones included.
 * people_seats_free(p, l): what is left; 0 when over-issued.
 */
uint64_t people_seats_taken(const struct people *p, const struct site_licence *l);
uint64_t people_seats_free(const struct people *p, const struct site_licence *l);
/** people_members(p, g): users whose own group it is. */
uint64_t people_members(const struct people *p, const struct site_group *g);

/** people_day(dst, seconds): "2026-12-31".  people_day_read(text, ret, err): its first second;
 * RC_USAGE. */
void people_day(char dst[11], int64_t seconds);
int people_day_read(const char *text, int64_t *ret, struct err *err);
/* From the first second of a day to its last one. */
#define PEOPLE_DAY_LAST 86399

#endif
