/* SPDX-License-Identifier: ISC */
/*
 * What workstations have said: the newest receipt of each, the events that came with receipts,
 * which receipts were recorded, and the confirmation codes that stand for one.
 */
#ifndef SATCHEL_BUNDLER_RECEIPTS_RECEIPTS_H
#define SATCHEL_BUNDLER_RECEIPTS_RECEIPTS_H

#include "core/base/list.h"
#include "core/format/documents/documents.h"
#include "core/os/db.h"

/*
 * Views for the rooms above; id: of the workstation.
 *   receipt_newest(id, sequence, recorded, beat_epoch, beat, private_epoch, private_generation,
 *                  private_tree, version, policy)
 *           sequence 0: no receipt yet, a confirmation code said what it holds
 *   receipt_newest_channel(id, channel, epoch, generation, tree, result, reason, deviations, drift)
 *   receipt_newest_user(id, email, account, result, reason)
 *   receipt_code(id, sequence)
 *           the newest confirmation code; sequence: of the receipt that it stands for
 *   receipt_forked(id, sequence, at, state)
 *           there may be two machines; state "open": nobody has explained it, "declared": one says
 *           that it was set back; sequence: of the receipt that showed it, at: when
 *   receipt_events(id, number, recorded, kind, text)
 */
extern const struct db_schema receipts_schema;

/* How far what is known of a workstation goes; all zero when it has said nothing. */
struct receipts_known {
	uint64_t sequence;  /* of the newest receipt; 0: none */
	uint64_t confirmed; /* number of the receipt that the newest code stands for; 0: none */
	uint64_t event;     /* number of the newest event */
};
/** receipts_known(db, id, ret, err): of the workstation ${id}. */
int receipts_known(struct db *db, const char *id, struct receipts_known *ret, struct err *err);

/**
 * receipts_put(db, r, event, now, err):
 * ${r} is the newest receipt and says what is held: all of it takes the place of the one before.
 * ${event} is the number of the newest event, ${now} the time by the server's clock.  In the
 * caller's transaction, as all that follows.
 */
int receipts_put(struct db *db, const struct receipt *r, uint64_t event, int64_t now,
		 struct err *err);
/** receipts_put_late(db, r, event, err): the newest receipt, but a code that was made after it has
 * said what is held: only the rest of it is recorded. */
int receipts_put_late(struct db *db, const struct receipt *r, uint64_t event, struct err *err);
/**
 * receipts_put_code(db, r, now, err):
 * A confirmation code says that the workstation holds the private channel, the channels and what is
 * the users' in ${r}, and stands for the receipt r->sequence.  What only a receipt says (results,
 * free space, version) stays as the newest receipt said it.
 */
int receipts_put_code(struct db *db, const struct receipt *r, int64_t now, struct err *err);
/** receipts_event_put(db, id, e, now, err): an event that came with a receipt; nothing when it is
 * there.  The newest 200 of a workstation are kept. */
int receipts_event_put(struct db *db, const char *id, const struct receipt_event *e, int64_t now,
		       struct err *err);

/* What a workstation holds of one channel. */
struct receipts_held {
	char id[WORKSTATION_ID + 1];
	uint64_t formats;           /* that it reads */
	int64_t recorded;           /* seconds, by the server's clock: its newest receipt */
	uint64_t epoch, generation; /* 0: nothing of the channel */
	uint64_t wanted;            /* that it tried to apply; 0: none */
	struct digest tree;         /* that it holds */
	uint64_t drift;
	bool bad; /* it failed or refused what it wanted, rolled it back, or is not healthy */
};
struct receipts_helds LIST_MEMBERS(struct receipts_held);
/** receipts_held(db, channel, ret, err): of every workstation that has sent a receipt, ascending by
 * id, appended to a list that is the caller's (list_clear).
 * receipts_held_find(l, id): NULL: it has sent none. */
int receipts_held(struct db *db, const char *channel, struct receipts_helds *ret, struct err *err);
const struct receipts_held *receipts_held_find(const struct receipts_helds *l, const char *id);

/** receipts_behind(db, formats, silent, each, arg, err): the workstations of the site whose newest
 * receipt does not say that they read these formats, by name; ${silent}: also those that have sent
 * none. */
int receipts_behind(struct db *db, uint64_t formats, bool silent,
		    int (*each)(void *arg, const char *name, struct err *err), void *arg,
		    struct err *err);

/** receipts_seen(db, id, sequence, file, err): 1 when receipt ${sequence} was recorded from a file
 * with these digits in its name, or 0. */
int receipts_seen(struct db *db, const char *id, uint64_t sequence, const char *file,
		  struct err *err);
/** receipts_seen_put(db, r, file, identity, err): ${r}, a signed document of this identity, came in
 * that file, whether it was recorded or not.  receipts_seen_prune(db, r, err): of the numbers below
 * ${r} the newest RECEIPTS_SEEN_KEPT stay, to tell a late copy from a clone; a workstation leaves
 * its last 8 on a depot. */
#define RECEIPTS_SEEN_KEPT 256
int receipts_seen_put(struct db *db, const struct receipt *r, const char *file,
		      const struct digest *identity, struct err *err);
int receipts_seen_prune(struct db *db, const struct receipt *r, struct err *err);
enum receipts_compared {
	RECEIPTS_UNKNOWN, /* no receipt of this number, or none that is still known */
	RECEIPTS_SAME,
	RECEIPTS_OTHER /* one with another content */
};
/** receipts_compare(db, r, identity, ret, err): with what was recorded under the number of ${r}. */
int receipts_compare(struct db *db, const struct receipt *r, const struct digest *identity,
		     enum receipts_compared *ret, struct err *err);

/** receipts_event_count(db, ret, err): events of all workstations. */
int receipts_event_count(struct db *db, uint64_t *ret, struct err *err);

/*
 * What a workstation said is forgotten with it.  The numbers of its newest receipt and code, and
 * which receipts were recorded, stay: its keys may be enrolled again, and old copies are still old
 * then.  With a user goes what workstations that are members no more said of them; what a member
 * said stays until its next receipt takes its place.
 */
extern const struct forget_sql receipts_forget;

/** receipts_returned(db, id, ret, err): the keys that the workstation ${id} gave back, sealed to
 * the collect key: 1, or 0 when it gave none.  receipts_returned_put(db, r, err): as its receipt
 * says. receipts_returned_drop(db, id, err): they are not needed any more. */
int receipts_returned(struct db *db, const char *id, struct buf *ret, struct err *err);
int receipts_returned_put(struct db *db, const struct receipt *r, struct err *err);
int receipts_returned_drop(struct db *db, const char *id, struct err *err);

enum receipts_line {
	RECEIPTS_GOES_ON,
	RECEIPTS_SET_BACK, /* it says that it was set back to an older copy of itself */
	RECEIPTS_FORKED    /* there are two machines, or it was set back and does not say so */
};
/**
 * receipts_line(db, r, identity, now, ret, err): how ${r}, which was not seen before, fits what
 * was; to be asked before it is recorded.  What is wrong stays marked until the machine explains it
 * (receipts_line.c) or somebody accepts it.  In the caller's transaction.
 * receipts_accept(db, id, err): there is one machine: 1 when something was marked, or 0.
 */
int receipts_line(struct db *db, const struct receipt *r, const struct digest *identity,
		  int64_t now, enum receipts_line *ret, struct err *err);
int receipts_accept(struct db *db, const char *id, struct err *err);

#endif
