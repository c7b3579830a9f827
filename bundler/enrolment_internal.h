/*
 * What a private channel is compiled from: also what status asks, to say that a document was
 * changed and not published yet.
 */
#ifndef SATCHEL_BUNDLER_ENROLMENT_INTERNAL_H
#define SATCHEL_BUNDLER_ENROLMENT_INTERNAL_H

#include "bundler/enrolment.h"

/* Every channel's subscription document, made once for all workstations. */
struct subscriptions {
	struct subscription_text {
		const struct site_channel *channel; /* borrowed */
		char path[CHANNEL_NAME + 16];       /* "channels/NAME.yaml" */
		struct buf text;                    /* owned */
		struct digest digest;               /* of the text */
	} * item;                                   /* owned; ascending by path */
	size_t n;
	struct digest common; /* of what all private channels depend on */
};

int subscriptions_make(struct site *s, struct subscriptions *ret, struct err *err);
void subscriptions_clear(struct subscriptions *l);

/** subscriptions_inputs(l, w, id): the digest of everything that the private channel of ${w} is
 * made of, but for its salt. */
struct digest subscriptions_inputs(const struct subscriptions *l, const struct site_workstation *w,
				   const char *id);

/** site_workstation_or(s, name, spare): its document, or ${spare} with the name alone when a person
 * has removed it: such a machine stays enrolled until it is revoked. */
const struct site_workstation *site_workstation_or(struct site *s, const char *name,
						   struct site_workstation *spare);

#endif
