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
#ifndef SATCHEL_APPLIER_STATION_H
#define SATCHEL_APPLIER_STATION_H

#include "core/base/say.h"
#include "core/format/documents.h"
#include "core/os/db.h"

#define STATION_APPLICATION_ID 0x53415457u /* "SATW" */

/* The private channel's tree in the index; no channel's name begins with '@'. */
#define TREE_PRIVATE "@private"

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
	char *config; /* owned; path of workstation.yaml */
	char *state;  /* owned; path of the state directory */
	int statefd;  /* owned */
	char **depot; /* owned; paths */
	size_t depots;
	char *root;    /* owned; prefix of every target, "/" by default */
	char *handout; /* owned; where people on this machine find their keys and policies */
	char **allow;  /* owned; absolute directories below root in which channels may write */
	size_t allows;
	enum local_answer local_owner; /* what happens to local changes, by the owner's word */
	enum local_answer local;       /* and in force: what a policy chose of those allowed */
	unsigned local_allowed;        /* bit (1 << enum local_answer) */
	bool sticks;                   /* are media that are plugged in looked at? */
	bool owners, special_modes;    /* does the owner of this machine let channels set them? */
	struct db *db;                 /* owned */
	int lock;                      /* owned; -1 while reading only */
	struct say *say;               /* borrowed */
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

enum station_flags { STATION_LOCK = 1 << 0, STATION_CREATE = 1 << 1 };

/**
 * station_open(dir, flags, say, ret, err):
 * ${dir} is -w DIR (DIR/workstation.yaml, DIR/state), NULL for /etc/satchel/workstation.yaml and
 * /var/lib/satchel.  STATION_CREATE makes what is missing: a commented workstation.yaml (root: is
 * DIR/root with -w DIR, "/" without), the state directory 0700, the database.  Errors: RC_STATE
 * (nothing here; a database that is gone while keys or trees are there; one that is older than
 * what this machine did), RC_MALFORMED (workstation.yaml), RC_POLICY (files that others could
 * write), RC_BUSY with STATION_LOCK.
 */
int station_open(const char *dir, enum station_flags flags, struct say *say, struct station **ret,
		 struct err *err);
struct station *station_free(struct station *s);
void station_freep(struct station **s);

/** station_event(s, kind, text, err): something that the server should know; sent with receipts
 * until one of them is acknowledged.  The same kind and text within a week is not a new event. */
int station_event(struct station *s, const char *kind, const char *text, struct err *err);

/** station_now(s): the clock, or the newest beat's issue time when the clock is before that. */
int64_t station_now(const struct station *s);

/** station_target(s, target, ret, err): where a channel's ${target} lies on this machine, root:
 * prefix included, canonical.  RC_POLICY when workstation.yaml does not allow it, RC_PATH. */
int station_target(const struct station *s, const char *target, char **ret, struct err *err);

/** station_enrol(s, code, depot, name, err): find and check the trust chain by the code, make keys,
 * write the sealed request; remembers the depot in workstation.yaml when it is not there.
 * ${code} is an invitation, or the 64 digits of the site id: then nobody invited this machine, and
 * it waits for approval by its fingerprint.  ${name} NULL: the host's name.  1: it is enrolled
 * there already, and only the depot is remembered. */
int station_enrol(struct station *s, const char *code, const char *depot, const char *name,
		  struct err *err);

/* What a channel (or TREE_PRIVATE) holds and what came of the last try; the receipt is made of
 * these. */
struct station_channel {
	char name[CHANNEL_NAME];
	char target[LIMIT_PATH + 1]; /* on this machine, "" for the private channel */
	uint64_t epoch, generation;  /* held */
	struct digest tree;          /* held, as published */
	char result[16];             /* "" when it was never tried */
	char reason[512];
	uint64_t wanted;
	uint64_t deviations, adaptations, drift;
	int64_t at;
	uint64_t milliseconds;
};
/** station_channels(s, each, arg, err): ascending by name, the private channel first. */
int station_channels(struct station *s,
		     int (*each)(void *arg, const struct station_channel *c, struct err *err),
		     void *arg, struct err *err);
/** station_events(s, all, each, arg, err): oldest first; those that no acknowledged receipt
 * carried, or ${all} that are kept. */
int station_events(struct station *s, bool all,
		   int (*each)(void *arg, const struct receipt_event *e, struct err *err),
		   void *arg, struct err *err);

#endif
