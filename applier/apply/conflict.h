/* SPDX-License-Identifier: ISC */
/*
 * Conflicts: what was in the way of an update that was refused, path by path, and what a person has
 * answered to each.  The next update goes by the answers; once one is applied they are forgotten.
 */
#ifndef SATCHEL_APPLIER_APPLY_CONFLICT_H
#define SATCHEL_APPLIER_APPLY_CONFLICT_H

#include "applier/station/station.h"
#include "core/base/list.h"

#define CONFLICTS_MAX 1000u /* paths that are remembered of one tree */

struct conflict {
	const char *path;
	const char *why;    /* a sentence without its subject */
	const char *answer; /* "", "mine" or "theirs" */
};

/** conflict_answer_put(s, tree, path, answer, err): what ${path}, or every conflict when it is
 * NULL, is answered: it stays, or what is published takes its place and it is kept aside.  How many
 * there were; in a transaction of its own. */
enum conflict_answer { CONFLICT_MINE, CONFLICT_THEIRS };
int conflict_answer_put(struct station *s, const char *tree, const char *path,
			enum conflict_answer answer, struct err *err);
/** conflict_each(s, tree, each, arg, err): in byte order of path.  A value other than 0 ends the
 * walk and is returned. */
int conflict_each(struct station *s, const char *tree,
		  int (*each)(void *arg, const struct conflict *c, struct err *err), void *arg,
		  struct err *err);
/** conflicts_answered(s, tree, ret_mine, ret_theirs, err): the paths, sorted. */
int conflicts_answered(struct station *s, const char *tree, struct strings *ret_mine,
		       struct strings *ret_theirs, struct err *err);
/** conflicts_put(s, tree, path, why, err): those of the update that was just refused, in place of
 * what was not answered; two lists of equal length.  In a transaction of its own.
 * conflicts_forget(s, tree, err): of ${tree}, or of all when it is NULL; in the caller's. */
int conflicts_put(struct station *s, const char *tree, const struct strings *path,
		  const struct strings *why, struct err *err);
int conflicts_forget(struct station *s, const char *tree, struct err *err);

#endif
