/*
 * A workstation: what its owner wrote (workstation.yaml), its keys, and its state database.
 *
 *   workstation.yaml   depots, root, allow, answers to local changes
 * (schemas/workstation-config.yaml) STATE/state.db     trust, floors, index of every channel,
 * journal, receipts to send STATE/keys/sign.key seal.key STATE/private/     the tree of the private
 * channel, applied like any other STATE/outbox/      receipts not yet in every depot STATE/lock
 */
#ifndef SATCHEL_APPLIER_STATION_H
#define SATCHEL_APPLIER_STATION_H

#include "core/base/say.h"
#include "core/format/documents.h"
#include "core/os/db.h"

#define STATION_APPLICATION_ID 0x53415457u /* "SATW" */

enum local_answer {
	LOCAL_REPLACE,
	LOCAL_KEEP,
	LOCAL_FAIL
}; /* replace and keep a copy; keep; fail */

struct station {
	char *config; /* owned; path of workstation.yaml */
	char *state;  /* owned; path of the state directory */
	int statefd;  /* owned */
	char **depot; /* owned; paths */
	size_t depots;
	char *root;   /* owned; prefix of every target, "/" by default */
	char **allow; /* owned; absolute directories below root in which channels may write */
	size_t allows;
	enum local_answer local;    /* what happens to local changes */
	bool owners, special_modes; /* does the owner of this machine let channels set them? */
	struct db *db;              /* owned */
	int lock;                   /* owned; -1 while reading only */
	struct say *say;            /* borrowed */

	/* Membership; all zero before enrolment. */
	bool enrolled;
	struct digest site;
	char id[WORKSTATION_ID + 1];
	struct trust trust; /* highest version accepted; verified again when it is loaded */
};

enum station_flags { STATION_LOCK = 1 << 0, STATION_CREATE = 1 << 1 };

/** station_open(dir, flags, say, ret, err): ${dir} is -w DIR (DIR/workstation.yaml, DIR/state),
 * NULL for /etc/satchel and /var/lib/satchel. */
int station_open(const char *dir, enum station_flags flags, struct say *say, struct station **ret,
		 struct err *err);
struct station *station_free(struct station *s);
void station_freep(struct station **s);
int station_event(struct station *s, const char *kind, const char *text, struct err *err);

/** enrol(s, code, depot, name, err): find and check the trust chain by the code, make keys, write
 * the sealed request; remembers the depot in workstation.yaml when it is not there. */
int station_enrol(struct station *s, const char *code, const char *depot, const char *name,
		  struct err *err);

#endif
