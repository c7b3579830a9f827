/*
 * Inside of status: what the registry and the documents say of one workstation (status_read.c), and
 * what colour follows from it (status.c).
 */
#ifndef SATCHEL_BUNDLER_STATUS_INTERNAL_H
#define SATCHEL_BUNDLER_STATUS_INTERNAL_H

#include "bundler/enrolment_internal.h"
#include "bundler/status.h"

/* The latest generation of a channel. */
struct wanted {
	uint64_t epoch, generation; /* 0: never published */
	struct digest tree;
	int64_t posted; /* seconds since 1970; 0: not yet, or no beat that leads to it */
};

/* What the newest receipt says of a channel. */
struct held {
	char name[CHANNEL_NAME];
	uint64_t epoch, generation;
	struct digest tree;
	char result[16], reason[512];
	uint64_t deviations, drift;
};

/* Everything known of one name. */
struct standing {
	char name[WORKSTATION_NAME];
	int64_t invited; /* until when an open code is good; 0: none */
	/* From here on all zero when nobody ever enrolled under the name. */
	char id[WORKSTATION_ID + 1];
	bool revoked;
	int64_t enrolled;
	bool compiled; /* the private channel was made of the documents as they are now */
	struct wanted private_wanted;
	uint64_t receipt; /* sequence; 0: none yet, and nothing below either */
	int64_t heard;
	uint64_t private_epoch, private_generation;
	struct digest private_tree;
	char version[32];
	struct held *held; /* borrowed */
	size_t helds;
	/* The channels it is to have, and the latest of each; borrowed, parallel, ascending. */
	const struct site_channel **channel;
	const struct wanted **wanted;
	size_t channels;
};

/** status_judge(in, now, silent, ret): the colour, the reasons and the channels of ${in};
 * ret->channel has room for in->channels. */
void status_judge(const struct standing *in, int64_t now, int64_t silent,
		  struct status_workstation *ret);

#endif
