/* SPDX-License-Identifier: ISC */
/*
 * The smallest stick: which files of the depot some workstations need, from what their newest
 * receipts say they hold.  A receipt is believed, a consignment is not: what no receipt confirms
 * is taken along again.
 */
#ifndef SATCHEL_BUNDLER_CARRY_CARRY_SELECT_H
#define SATCHEL_BUNDLER_CARRY_CARRY_SELECT_H

#include "bundler/documents/site_model.h"
#include "core/base/list.h"
#include "core/depot/carry/carry.h"

struct selection {
	struct strings id; /* owned: ids of enrolled workstations; ascending, each once */
	size_t strangers;  /* named workstations that have not enrolled: they need trust and beat */
	struct strings path; /* owned; files; ascending */
	uint64_t bytes;      /* of the bundles of channels among them */
	uint64_t beat;       /* sequence of the newest beat; 0: nothing was published */
};

/**
 * selection_make(s, who, n, ret, err): ${who} are names of workstations, label:NAME, group:NAME
 * (the workstations on which users of the group are active), or all.  RC_USAGE: nobody is called
 * so.
 */
int selection_make(struct site *s, char *const *who, size_t n, struct selection *ret,
		   struct err *err);
/** selection_clear(sel): release what it owns; all zero afterwards.  For OWNED. */
void selection_clear(struct selection *sel);

/** selection_wants(sel, path, name): a carry_wants; a part is wanted as its bundle is. */
bool selection_wants(void *sel, const char *path, const struct name *name);

#endif
