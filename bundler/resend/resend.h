/* SPDX-License-Identifier: ISC */
/*
 * What workstations asked to have again: contents of a channel that somebody changed there and that
 * neither the machine nor a depot at hand has.  A carry for the workstation takes the smallest
 * bundle along that has them, until a receipt says that nothing differs any more.
 */
#ifndef SATCHEL_BUNDLER_RESEND_RESEND_H
#define SATCHEL_BUNDLER_RESEND_RESEND_H

#include "bundler/registry/registry.h"
#include "core/format/documents/documents.h"

extern const struct db_schema resend_schema;
extern const struct forget_sql resend_forget;

/** resend_put(db, r, now, err): the request ${r}, whose signature is that of the workstation, takes
 * the place of an earlier one for the same channel. */
int resend_put(struct db *db, const struct request *r, int64_t now, struct err *err);
/** resend_settle(db, r, err): a receipt says that nothing of a channel differs: it is answered. */
int resend_settle(struct db *db, const struct receipt *r, struct err *err);
/** resend_each(db, id, channel, each, arg, err): every content that ${id} asked for; anything but 0
 * ends it and is returned. */
int resend_each(struct db *db, const char *id, const char *channel,
		int (*each)(void *arg, const struct digest *content, struct err *err), void *arg,
		struct err *err);
/** resend_waiting(db, ret, err): requests that are not answered. */
int resend_waiting(struct db *db, uint64_t *ret, struct err *err);

#endif
