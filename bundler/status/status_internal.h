/* SPDX-License-Identifier: ISC */
/*
 * Inside of status: what the registry and the documents say of one workstation or user (read by
 * status_read.c and status_read_users.c), and what colour follows from it (status_workstation.c and
 * status_user.c: functions of these structures alone).
 */
#ifndef SATCHEL_BUNDLER_STATUS_STATUS_INTERNAL_H
#define SATCHEL_BUNDLER_STATUS_STATUS_INTERNAL_H

#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "bundler/private/compile.h"
#include "bundler/publish/publish_rollout.h"
#include "bundler/published/published.h"
#include "bundler/receipts/receipts.h"
#include "bundler/status/status.h"
#include "bundler/workstations/workstations.h"
#include "core/base/list.h"

/* The latest generation of a channel. */
struct wanted_generation {
	uint64_t epoch, generation; /* 0: never published */
	struct digest tree;
	int64_t posted; /* seconds since 1970; 0: not yet, or no beat that leads to it */
	const struct published_blocked
	    *blocked; /* borrowed; NULL: nothing keeps the next one back */
	const char
	    *stalled; /* borrowed; why a later one does not come; NULL: it does, or is none */
};

/* Channels with rings: status_rings.c. */
struct status_rings {
	struct publish_rollouts rollouts; /* owned */
	struct status_ringed {
		struct published_offers offers;   /* owned */
		struct wanted_generation *wanted; /* owned; parallel to ${offers} */
		struct receipts_helds held;       /* owned */
	} * channel; /* owned; parallel to s->channel; NULL: no channel has any */
};
/**
 * status_rings_load(s, beat_posted, latest, ret, err): into one that is empty; ${latest}, parallel
 * to s->channel, is what everybody is offered, and gets its ${stalled}.
 * status_rings_clear(r): release it.
 * status_rings_wanted(s, r, channel, id, w, who, n, latest): what the workstation is to have of
 * s->channel[channel]; ${who} are active there.  Borrowed.
 */
int status_rings_load(struct site *s, int64_t beat_posted, struct wanted_generation *latest,
		      struct status_rings *ret, struct err *err);
void status_rings_clear(struct status_rings *r);
const struct wanted_generation *status_rings_wanted(const struct site *s,
						    const struct status_rings *r, size_t channel,
						    const char *id,
						    const struct site_workstation *w,
						    const struct site_user *const *who, size_t n,
						    const struct wanted_generation *latest);

/* What the newest receipt says of a channel. */
struct held {
	char name[CHANNEL_NAME];
	uint64_t epoch, generation;
	struct digest tree;
	char result[16], reason[512];
	uint64_t deviations, drift;
	int64_t verify_until; /* seconds since 1970; 0: it is not said */
};

/* The private channel of a machine: what is wanted, and what its newest receipt confirms. */
struct private_snapshot {
	bool compiled; /* made of the documents as they are now */
	struct wanted_generation wanted;
	uint64_t epoch, generation; /* held */
	struct digest tree;
};

/* Everything known of one workstation's name. */
struct snapshot {
	char name[WORKSTATION_NAME];
	const char *unread; /* borrowed; why the documents cannot be read; NULL: they were */
	int64_t invited;    /* until when an open code is good; 0: none */
	enum workstation_state state;
	/* From here on all zero when it is absent. */
	char id[WORKSTATION_ID + 1];
	int64_t enrolled;
	struct private_snapshot private;
	uint64_t receipt; /* sequence */
	bool by_code;     /* it was a confirmation code that said what follows */
	uint64_t fork;    /* the receipt that does not follow what it sent before; 0: none */
	int64_t fork_at;  /* when that was seen */
	bool set_back;    /* it says that it was set back, and has not gone on from there yet */
	int64_t apart;    /* held apart since then; 0: it is not */
	int64_t heard;    /* 0: neither receipt nor code yet, and nothing below either */
	char version[32];
	struct digest policy_wanted, policy; /* in force; wanted zero: not known */
	struct held *held;                   /* borrowed */
	size_t helds;
	struct status_handed *handed; /* borrowed */
	size_t handeds;
	/* The channels it is to have, and the latest of each; borrowed, parallel, ascending. */
	const struct site_channel **channel;
	const struct wanted_generation **wanted;
	size_t channels;
};

/** status_judge_workstation(in, now, silent, l, ret): the colour, the reasons and the channels of
 * ${in}; ret->channel has room for in->channels; ret->reasons is ${l}. */
void status_judge_workstation(const struct snapshot *in, int64_t now, int64_t silent,
			      struct reasons *l, struct status_workstation *ret);

/* A workstation that a user was made active on at some time. */
struct active_place {
	char name[WORKSTATION_NAME];
	char id[WORKSTATION_ID + 1];
	enum workstation_state state;
	bool wanted;                /* active there and entitled */
	bool carried;               /* a generation of its private channel has the user */
	uint64_t epoch, generation; /* carried false: the first one without the user; 0: none ever
				       had them */
	int64_t enrolled;
	struct private_snapshot private;
	int64_t heard;
	struct status_handed handed; /* of this user */
};

/* Everything known of one user. */
struct user_snapshot {
	const char *email, *name, *group, *licence; /* borrowed; "" for none */
	bool deleted;                               /* no document any more */
	bool suspended;
	const char *unlicensed;  /* borrowed; why, in words; "" when the licence is good */
	enum rule unlicensed_by; /* the rule that says so */
	const char *differs; /* borrowed; what of the keys differs from the group: "also atlas, not
				borealis"; "" when nothing does */
	const struct active_place *place; /* borrowed */
	size_t places;
};

/** status_judge_user(in, now, silent, l, ret): as of a workstation; ret->place has room for
 * in->places.  False when there is nothing to tell of a deleted user any more. */
bool status_judge_user(const struct user_snapshot *in, int64_t now, int64_t silent,
		       struct reasons *l, struct status_user *ret);

/* What both judge of a private channel: below rules that differ by the subject. */
struct private_rules {
	enum rule strange, unposted, unconfirmed;
};
/** status_judge_generation(what, about, epoch, generation, tree, w, r, l): what is held is not what
 * is wanted.  ${what} is "channel NAME", "private channel" or a workstation. */
void status_judge_generation(const char *what, const char *about, uint64_t epoch,
			     uint64_t generation, const struct digest *tree,
			     const struct wanted_generation *w, const struct private_rules *r,
			     struct reasons *l);

/** status_silence(dst, heard, enrolled, now, silent): was nothing heard for longer than
 * ${silent} seconds?  Then ${dst} says so.  A clock that went back is no silence, unless it was so
 * far ahead that nobody knows how long ago the last word came. */
#define SILENCE_TEXT 64
bool status_silence(char dst[SILENCE_TEXT], int64_t heard, int64_t enrolled, int64_t now,
		    int64_t silent);

/*
 * What is the same for all rows while status reads: status_read.c.
 */

/* The machines whose private channel is not made of the documents as they are now. */
struct changed {
	struct strings id; /* ascending */
};
/**
 * changed_load(s, ret, err): into an empty list.  changed_has(l, id): is it among them?
 * changed_clear(l): release the list.
 */
int changed_load(struct site *s, struct changed *ret, struct err *err);
bool changed_has(const struct changed *l, const char *id);
void changed_clear(struct changed *l);

/** status_beat_posted(s, ret, err): when the newest beat that is out was posted.
 * status_posted(beat_posted, at): when a document that was posted at ${at} could be found first; 0:
 * not yet, because only a beat that was posted after it leads to it. */
int status_beat_posted(struct site *s, int64_t *ret, struct err *err);
int64_t status_posted(int64_t beat_posted, int64_t at);

/* Columns of a query, in this order: p.epoch, p.generation, p.tree, o.posted, r.recorded,
 * r.private_epoch, r.private_generation, r.private_tree. */
#define PRIVATE_COLUMNS                                                         \
	"p.epoch, p.generation, p.tree, o.posted, r.recorded, r.private_epoch," \
	" r.private_generation, r.private_tree"
/**
 * private_snapshot_read(st, column, beat_posted, ret, ret_heard): these columns, from ${column} on.
 * ${*ret_heard}: when its newest receipt was recorded, seconds since 1970; 0: never.  False when
 * the registry is damaged; ${ret}->compiled is the caller's.
 */
bool private_snapshot_read(sqlite3_stmt *st, int column, int64_t beat_posted,
			   struct private_snapshot *ret, int64_t *ret_heard);

/* A statement with a row in hand, or at its end. */
struct status_rows {
	sqlite3_stmt *st; /* owned */
	const char
	    *name; /* column 0 of the row in hand, NULL at the end; valid until the next step */
};
/** rows_open(db, c, sql, now, err): ?1, when the statement has it, is ${now}. */
int rows_open(struct db *db, struct status_rows *c, const char *sql, int64_t now, struct err *err);
/**
 * rows_step(db, c, err): the next row; c->name is NULL after the last one.
 * rows_at(c, name): is the row in hand that of ${name}?
 */
int rows_step(struct db *db, struct status_rows *c, struct err *err);
bool rows_at(const struct status_rows *c, const char *name);

#endif
