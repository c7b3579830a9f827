/* SPDX-License-Identifier: ISC */
/*
 * The table of pending requests: machines that ask to be enrolled and wait until a person has
 * compared their fingerprint.
 */
#ifndef SATCHEL_BUNDLER_ENROLMENT_PENDING_REQUEST_H
#define SATCHEL_BUNDLER_ENROLMENT_PENDING_REQUEST_H

#include "bundler/documents/site_model.h"

struct pending_request {
	char id[WORKSTATION_ID + 1];
	char name[WORKSTATION_NAME]; /* what it calls itself */
	struct key_public sign, seal;
	struct key_public codes; /* absent: it was not told */
	int64_t at;              /* when it was recorded first, seconds since 1970 */
};

/** pending_request_put(db, p, why, err): ${why} it was not granted.  The same machine with the same
 * name and keys keeps its time. */
int pending_request_put(struct db *db, const struct pending_request *p, const char *why,
			struct err *err);
/** pending_request_find(db, begin, ret, err): how many have an id that begins so: 0, 1, or 2 for
 * more; ${ret} is one of them. */
int pending_request_find(struct db *db, const char *begin, struct pending_request *ret,
			 struct err *err);
/** pending_request_drop(db, id, err): it is answered; nothing when there is none. */
int pending_request_drop(struct db *db, const char *id, struct err *err);
/** pending_requests_drop(db, err): all are answered. */
int pending_requests_drop(struct db *db, struct err *err);
/** pending_requests_count(db, ret, err): how many wait. */
int pending_requests_count(struct db *db, uint64_t *ret, struct err *err);
/** pending_requests_named(db, name, ret, err): of machines that call themselves so. */
int pending_requests_named(struct db *db, const char *name, uint64_t *ret, struct err *err);
/** pending_requests(db, each, arg, err): oldest first; stops when ${each} does not return 0, and
 * returns that. */
int pending_requests(struct db *db,
		     int (*each)(void *arg, const struct pending_request *p, struct err *err),
		     void *arg, struct err *err);

#endif
