/* SPDX-License-Identifier: ISC */
/*
 * Verifying: what lies in the targets is read and compared with what was published, a share of it
 * in each sync, so that all of it was within verify-days.  Drift is seen without anybody asking,
 * and the receipt says since when every file is known to be right.
 */
#ifndef SATCHEL_APPLIER_VERIFY_VERIFY_H
#define SATCHEL_APPLIER_VERIFY_VERIFY_H

#include "applier/station/station.h"

extern const struct db_schema verify_schema;

/* Seconds of a sync that reading may take, whatever is due. */
#define VERIFY_SECONDS 60

/**
 * verify_share(s, days, seconds, err): of every channel the share that is due when all of it is to
 * be read within ${days} (0: nothing), for at most ${seconds} (0: until all is read), with the
 * lowest priority for the disk.  What differs is counted as drift.  Needs STATION_LOCK.  A channel
 * that cannot be read is told, and does not stop the others.
 */
int verify_share(struct station *s, uint64_t days, unsigned seconds, struct err *err);
/** verify_since(s, tree, ret, err): since when every file of ${tree} has been read, or applied;
 * seconds since 1970; 0: not known. */
int verify_since(struct station *s, const char *tree, int64_t *ret, struct err *err);
/** verify_forget(s, tree, err): in the caller's transaction; NULL: of every tree. */
int verify_forget(struct station *s, const char *tree, struct err *err);

#endif
