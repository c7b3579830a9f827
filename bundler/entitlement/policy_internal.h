/* SPDX-License-Identifier: ISC */
/*
 * Between the files of policy.h.
 */
#ifndef SATCHEL_BUNDLER_ENTITLEMENT_POLICY_INTERNAL_H
#define SATCHEL_BUNDLER_ENTITLEMENT_POLICY_INTERNAL_H

#include "bundler/documents/site_model.h"
#include "bundler/entitlement/policy.h"

/* One policy where it applies. */
struct layer {
	char origin[POLICY_ORIGIN];
	struct policy policy; /* borrows from the documents and from ${origin} */
};

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

#endif
