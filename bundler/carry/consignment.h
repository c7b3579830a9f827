/* SPDX-License-Identifier: ISC */
/*
 * Consignments: what went onto a stick and may be on its way.  A note for people, never believed:
 * colours come from receipts alone, and the next carry takes what no receipt confirms, whatever is
 * on its way elsewhere.
 */
#ifndef SATCHEL_BUNDLER_CARRY_CONSIGNMENT_H
#define SATCHEL_BUNDLER_CARRY_CONSIGNMENT_H

#include "bundler/carry/carry_select.h"

extern const struct db_schema consignment_schema;

struct consignment {
	const char *depot;    /* path without links, as it was when it was carried to */
	const char *audience; /* "lab-1, label:north"; "" for everything */
	bool some;            /* it is for the workstations of consignment_ids(), not for all */
	int64_t at;           /* when it was carried to last */
	uint64_t beat;        /* sequence of the beat that it holds */
	uint64_t behind;      /* beats since */
	uint64_t machines;    /* workstations that it is for */
	uint64_t confirmed;   /* of these, whose receipts know that beat or a later one */
};

/**
 * site_carry(s, c, who, n, ret, err): a carry with the site at hand: ${who}, when there are any (as
 * selection_make takes them), says for whom the depot is that is not the home depot (c->from and
 * c->to are exchanged when that comes first); when one of the depots is the home depot, what went
 * onto the other is noted.  A depot that was made for some the last time, and holds the beat of
 * then, is for them again when nobody is named.  Sets c->site.
 */
int site_carry(struct site *s, struct carry *c, char *const *who, size_t n,
	       struct carry_result *ret, struct err *err);

/** consignment_note(s, depot, sel, who, n, beat, err): ${depot} was carried to just now; ${sel}
 * NULL: everything.  A new note for the same depot takes the place of the old one. */
int consignment_note(struct site *s, const char *depot, const struct selection *sel,
		     char *const *who, size_t n, uint64_t beat, struct err *err);
/** consignment_revert(s, depot, err): forget it.  RC_USAGE: there is none. */
int consignment_revert(struct site *s, const char *depot, struct err *err);
/** consignment_ids(db, depot, each, arg, err): the workstations that it is for, when it is for
 * some. Stops when ${each} does not return 0, and returns that. */
int consignment_ids(struct db *db, const char *depot,
		    int (*each)(void *arg, const char *id, struct err *err), void *arg,
		    struct err *err);
/* Nothing is on its way to a workstation that is removed. */
extern const struct forget_sql consignment_forget;
/** consignments(s, each, arg, err): ascending by depot.  Texts are valid during the call. */
int consignments(struct site *s,
		 int (*each)(void *arg, const struct consignment *c, struct err *err), void *arg,
		 struct err *err);

#endif
