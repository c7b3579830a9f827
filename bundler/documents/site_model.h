/* SPDX-License-Identifier: ISC */
/*
 * A site as it is in memory: what its documents say, decoded once, and what is open beside them.
 * Everything of the server is handed one of these; bundler/site opens and releases it.
 */
#ifndef SATCHEL_BUNDLER_DOCUMENTS_SITE_MODEL_H
#define SATCHEL_BUNDLER_DOCUMENTS_SITE_MODEL_H

#include "core/base/reporter.h"
#include "core/format/documents/documents.h"
#include "core/format/policy/policy.h"
#include "core/format/yaml/yaml.h"
#include "core/os/db.h"

#define WORKSTATION_NAME 128 /* with NUL */
#define WORD_NAME        64  /* of groups, licences, keys, policies; with NUL */
#define USER_EMAIL       251 /* with NUL: EMAIL.yaml is a file's name of at most 255 bytes */

#define SITE_FAULT_NAME 288 /* of a document in a fault, with its directory */

/* Groups inside each other; deeper than any organisation, and bounds every walk. */
#define PEOPLE_DEPTH 32

/* Every element of a list of documents begins with its name, as its file is called. */

/* Hours after somebody left by which the key of a sealed channel changes, unless it says else. */
#define SITE_REKEY_HOURS 24u

/* Hours for which a ring must be healthy, unless it says else. */
#define SITE_RING_HOURS 24u
/* Rings of a channel: more would keep a generation from the last of them for weeks. */
#define SITE_RINGS 16u

/* Who gets a new generation before the others. */
struct site_ring {
	size_t to, tos;   /* of ring_to */
	uint64_t healthy; /* workstations that must be, */
	uint64_t hours;   /* for so long */
};

struct site_channel {
	char name[CHANNEL_NAME];
	char *source;   /* owned; absolute, or relative to the site's directory */
	char *target;   /* owned; absolute path on workstations */
	char **exclude; /* owned; globs */
	size_t excludes;
	char **audience; /* owned; `for`: "all", "NAME" of a workstation, "label:NAME",
			    "group:NAME" */
	size_t audiences;
	bool owners, special_modes;
	bool watch;             /* published by itself when its source changed */
	char on_leave[8];       /* "keep" or "remove" */
	uint64_t keep;          /* generations whose content is kept */
	bool sealed;            /* for the eyes of its audience only */
	uint64_t rekey_hours;   /* after somebody left its key changes by then */
	struct site_ring *ring; /* owned; the first one first; after the last come all others */
	size_t rings;
	char **ring_to; /* owned; whom the rings name, one ring after the other, as ${audience} */
	size_t ring_tos;
};

struct site_workstation {
	char name[WORKSTATION_NAME];
	char **label; /* owned */
	size_t labels;
	char policy[WORD_NAME]; /* "": none of its own */
};

struct site_group {
	char name[WORD_NAME];
	char parent[WORD_NAME]; /* "": an outermost group */
	char policy[WORD_NAME]; /* "": none of its own */
	char **channel;         /* owned */
	size_t channels;
	char **key; /* owned; "KEY", or "group:WORD" for the keys of a key group */
	size_t keys;
};

struct site_user {
	char email[USER_EMAIL]; /* lower case; the name of the document */
	char *name;             /* owned; NULL: not said */
	char group[WORD_NAME];  /* "": none */
	char licence[WORD_NAME];
	char **extra; /* owned; keys, as in struct site_group */
	size_t extras;
	char **withheld; /* owned; the same */
	size_t withhelds;
	bool suspended;
};

struct site_licence {
	char name[WORD_NAME];
	char *product; /* owned */
	uint64_t seats;
	int64_t from; /* its first second; INT64_MIN: since ever */
	int64_t to;   /* its last second; INT64_MAX: for ever */
	bool suspended;
};

/* What a key is for; what it is, is in the key store. */
struct site_key {
	char name[WORD_NAME];
	char group[WORD_NAME]; /* key group; "": none */
	char *description;     /* owned; NULL: none */
};

struct site_policy {
	char name[WORD_NAME];
	struct yaml *document; /* owned; policy/1 */
	struct policy policy;  /* owned; what it says, from no origin; borrows from the document */
};

struct site {
	char *dir;          /* owned; the documents */
	char *state;        /* owned */
	int dirfd, statefd; /* owned */
	char *depot;        /* owned; home depot */
	char *depot_real;   /* owned; without links; NULL: not asked yet, "": not at hand */
	struct site_source_guard *guard; /* owned; what no source may touch; NULL: not asked yet */
	struct err guard_fault;          /* why it cannot be had: it is not tried twice */
	struct err unread;               /* why no document could be read; rc 0: all were */
	int silence_s;                   /* the depot's, for that; 0: LIMIT_DEPOT_SILENCE */
	uint64_t beat_hours;             /* validity of a beat */
	uint64_t sync_minutes;           /* between two runs of the watcher */
	uint64_t jitter_percent;         /* of that */
	bool watch;                      /* edited documents are published by themselves */
	bool sticks;                     /* media that are plugged in are looked at */
	uint64_t silent_hours;           /* a workstation not heard from for longer is orange */
	uint64_t warning_days;           /* a licence that ends sooner is warned about */
	char baseline[WORD_NAME];        /* the policy of all; "": none */
	struct digest id;                /* site id */
	struct trust trust;              /* current, verified when loaded */
	struct site_channel *channel;    /* owned; ascending by name */
	size_t channels;
	struct site_workstation *workstation; /* owned; ascending by name */
	size_t workstations;
	struct site_group *group; /* owned; each list ascending by name, in the order of strcmp */
	size_t groups;
	struct site_user *user;
	size_t users;
	struct site_licence *licence;
	size_t licences;
	struct site_key *key;
	size_t keys;
	struct site_policy *policy;
	size_t policies;
	struct site_unremembered *unremembered; /* owned; documents read anew; NULL: none */
	struct db *db;                          /* owned: the registry */
	int lock;                               /* owned; -1 while reading only */
	struct reporter *reporter;              /* borrowed */
	struct key_ask *ask; /* borrowed: who knows the passphrase of the key store; NULL: nobody */
};

#endif
