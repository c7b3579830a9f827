/*
 * Between the files of policy.h.
 */
#ifndef SATCHEL_BUNDLER_POLICY_INTERNAL_H
#define SATCHEL_BUNDLER_POLICY_INTERNAL_H

#include "bundler/policy.h"

/* One policy where it applies. */
struct layer {
	char origin[POLICY_ORIGIN];
	struct policy policy; /* borrows from the documents and from ${origin} */
};
void layer_clear(struct layer *l);

struct policies {
	const struct site *s; /* borrowed, as the next */
	const struct people *people;
	struct digest *document; /* owned; as s->policy: of what it says */
	struct layer baseline;
	struct policies_group {
		struct layer layer;
		struct digest chain; /* of the policies of this group and those above it */
	} * group;                   /* owned; as s->group */
};

/** policy_own_make(p, w, ret, err): the layer of the workstation itself; the rest is empty. */
int policy_own_make(const struct policies *p, const struct site_workstation *w,
		    struct policy_made *ret, struct err *err);

#endif
