/* SPDX-License-Identifier: ISC */
/*
 * A workstation: what its owner wrote (workstation.yaml), its keys, and its state database.
 *
 *   workstation.yaml   depots, root, allow, answers to local changes
 *                      (schemas/workstation-config.yaml)
 *   STATE/state.db     trust, floors, index of every channel, journal, receipts to send
 *   STATE/keys/        sign.key and seal.key, 0600
 *   STATE/private/     the tree of the private channel, applied like any other
 *   STATE/lock         one run at a time
 *
 * Receipts and requests that are not yet in every depot wait in the database, so that what they
 * report and the floors they stand on are committed together.
 */
#ifndef SATCHEL_APPLIER_STATION_STATION_H
#define SATCHEL_APPLIER_STATION_STATION_H

#include "core/base/list.h"
#include "core/base/reporter.h"
#include "core/format/documents/documents.h"
#include "core/os/db.h"

#define STATION_APPLICATION_ID DB_ID_STATION

/* The private channel's tree in the index; no channel's name begins with '@'. */
#define TREE_PRIVATE "@private"

/* What is kept of earlier generations when no policy says otherwise. */
#define UNDO_KEEP  2u
#define UNDO_BYTES (1ull << 30)

enum local_answer {
	LOCAL_REPLACE, /* replace and keep a copy */
	LOCAL_KEEP,
	LOCAL_FAIL
};

/* Where a workstation that the site decommissions has got to. */
enum station_end {
	STATION_STAYS,
	STATION_ENDS, /* it wipes what it was entrusted with, and applies nothing any more */
	STATION_WIPED /* its last receipt is signed; its keys are gone */
};

struct station {
	char *config;          /* owned; path of workstation.yaml */
	char *state;           /* owned; path of the state directory */
	int statefd;           /* owned */
	struct strings depots; /* paths, best first */
	char *root;            /* owned; prefix of every target, "/" by default */
	char *handout;        /* owned; where people on this machine find their keys and policies */
	struct strings allow; /* absolute directories below root in which channels may write */
	enum local_answer local_owner; /* what happens to local changes, by the owner's word */
	enum local_answer local;       /* and in force: what a policy chose of those allowed */
	unsigned local_allowed;        /* bit (1 << enum local_answer) */
	unsigned undo_keep;            /* generations that can be left again; 0: none */
	uint64_t verify_days;          /* within which all files are read; 0: never */
	uint64_t undo_bytes;           /* and what their contents may amount to, of each tree */
	bool sticks;                   /* are media that are plugged in looked at? */
	bool owners, special_modes;    /* does the owner of this machine let channels set them? */
	struct db *db;                 /* owned */
	int lock;                      /* owned; -1 while reading only */
	struct reporter *reporter;     /* borrowed */
	int64_t next_check; /* when something looks again by itself, for receipts; 0: not known */

	/* Membership; all zero before enrolment. */
	bool enrolled; /* a request was made; the server's answer is the private channel */
	struct digest site;
	char id[WORKSTATION_ID + 1];
	char name[128]; /* what it called itself */
	enum station_end end;
	struct trust trust; /* highest version accepted; verified again when it is loaded */

	/* The newest beat accepted: the floor under every other. */
	uint64_t beat_epoch, beat;         /* 0: none yet */
	int64_t beat_issued, beat_expires; /* 0 when it cannot be verified any more */
	int64_t beat_arrived;              /* by this machine's clock, not before it was issued */
};

/** station_free(s), station_freep(s): NULL is fine. */
struct station *station_free(struct station *s);
void station_freep(struct station **s);

/** station_now(s): the clock, or the newest beat's issue time when the clock is before that. */
int64_t station_now(const struct station *s);

/** station_target(s, target, ret, err): where a channel's ${target} lies on this machine, root:
 * prefix included, canonical.  RC_POLICY when workstation.yaml does not allow it, RC_PATH. */
int station_target(const struct station *s, const char *target, char **ret, struct err *err);

#endif
