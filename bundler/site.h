/*
 * A site on its server: the documents (a plain directory, made to be kept in git) and, elsewhere,
 * the state: registry, keys, content store.
 *
 *   DIR/site.yaml  DIR/channels/NAME.yaml  DIR/workstations/NAME.yaml
 *   DIR.state/     (or `state:` of site.yaml)
 *     registry.db  lock
 *     keys/{root,publish,beat,collect}.key and .pub     0400, minisign's files; a rotated key is
 *                                                       ROLE-VERSION.key, after the trust document
 *     keys/store.key                                    0400, see bundler/keystore.h
 *     store/<number>.pack                               see bundler/store.h
 */
#ifndef SATCHEL_BUNDLER_SITE_H
#define SATCHEL_BUNDLER_SITE_H

#include "core/base/say.h"
#include "core/format/documents.h"
#include "core/format/yaml.h"
#include "core/os/db.h"

#define WORKSTATION_NAME 128 /* with NUL */
#define WORD_NAME        64  /* of groups, licences, keys, policies; with NUL */
#define USER_EMAIL       251 /* with NUL: EMAIL.yaml is a file's name of at most 255 bytes */

#define SITE_FAULT_NAME 288 /* of a document in a fault, with its directory */

/* Every element of a list of documents begins with its name, as its file is called. */

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
	bool watch;       /* published by itself when its source changed */
	char on_leave[8]; /* "keep" or "remove" */
	uint64_t keep;    /* generations whose content is kept */
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
	struct yaml *document; /* owned; policy/1: `settings` and `values` are walked as nodes */
};

struct site {
	char *dir;                /* owned; the documents */
	char *state;              /* owned */
	int dirfd, statefd;       /* owned */
	char *depot;              /* owned; home depot */
	char *depot_real;         /* owned; without links; NULL: not asked yet, "": not at hand */
	uint64_t beat_hours;      /* validity of a beat */
	uint64_t sync_minutes;    /* between two runs of the watcher */
	uint64_t jitter_percent;  /* of that */
	bool watch;               /* edited documents are published by themselves */
	bool sticks;              /* media that are plugged in are looked at */
	uint64_t silent_hours;    /* a workstation not heard from for longer is orange */
	uint64_t warning_days;    /* a licence that ends sooner is warned about */
	char baseline[WORD_NAME]; /* the policy of all; "": none */
	struct digest id;         /* site id */
	struct trust trust;       /* current, verified when loaded */
	struct site_channel *channel; /* owned; ascending by name */
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
	struct db *db;       /* owned: the registry */
	int lock;            /* owned; -1 while reading only */
	struct say *say;     /* borrowed */
	struct key_ask *ask; /* borrowed: who knows the passphrase of the key store; NULL: nobody */
};

enum site_flags { SITE_LOCK = 1 << 0 /* one publish, collect or edit at a time: RC_BUSY */ };

struct site_init {
	const char *dir, *name, *depot, *state; /* state NULL: DIR.state */
};
/**
 * site_init(in, say, err): keys, trust version 1, documents, registry, depot with marker and
 * trust.  Killed anywhere, it may be called again with the same name and goes on where it was; the
 * last file written is site.yaml.  Errors: RC_CONFLICT when the directory has a site already, when
 * the state directory is another's, or when the depot is another site's: the sentence says what to
 * do.
 */
int site_init(const struct site_init *in, struct say *say, struct err *err);

/**
 * site_open(dir, flags, say, ret, err): every document checked against its schema (the errors name
 * file, line and field), the registry, and the trust verified from version 1 on.  Errors: RC_STATE
 * (no site here, registry missing or not of this site), RC_MALFORMED, RC_POLICY (state that others
 * can read; nested targets), RC_BUSY.
 */
int site_open(const char *dir, enum site_flags flags, struct say *say, struct site **ret,
	      struct err *err);
/** site_depot_open(s, ret, err): the home depot, to write to.  RC_AGAIN: it holds no marker, so
 * what belongs there is not mounted; RC_CONFLICT: it is another site's. */
struct depot;
int site_depot_open(struct site *s, struct depot **ret, struct err *err);
/** site_depot_where(s, err): fill in s->depot_real. */
int site_depot_where(struct site *s, struct err *err);
struct site *site_free(struct site *s);
void site_freep(struct site **s);

/** site_key(s, role, ret, err): the secret key of a role from keys/: the one that the trust
 * document names as current.  RC_STATE when it is not there (a root key kept offline). */
int site_key(struct site *s, enum role role, struct key_secret **ret, struct err *err);

/** Lookups by name; NULL: none.  (site_key gives the secret key of a role: the document of an
 * encryption key is site_key_document.) */
struct site_channel *site_channel(const struct site *s, const char *name);
struct site_workstation *site_workstation(const struct site *s, const char *name);
struct site_group *site_group(const struct site *s, const char *name);
struct site_user *site_user(const struct site *s, const char *email);
struct site_licence *site_licence(const struct site *s, const char *name);
struct site_key *site_key_document(const struct site *s, const char *name);
struct site_policy *site_policy(const struct site *s, const char *name);
/** site_workstation_or(s, name, spare): its document, or ${spare} with the name alone when a person
 * has removed it: such a machine stays enrolled until it is revoked. */
const struct site_workstation *site_workstation_or(const struct site *s, const char *name,
						   struct site_workstation *spare);
/** site_subscribes(w, c): does ${c} name ${w} (all, its name, a label)?  Groups are of who is
 * active: bundler/people.h. */
bool site_subscribes(const struct site_workstation *w, const struct site_channel *c);

/**
 * What is wrong with the documents taken together, which no schema can say: names that lead
 * nowhere, groups inside themselves, more users than seats, targets inside each other that one
 * workstation would get.
 */
struct site_fault {
	char about[2 * SITE_FAULT_NAME]; /* what it is a fault of: the same one is found again */
	uint64_t weight;                 /* how bad: users without a seat; else 0 */
	char text[ERR_TEXT_MAX];         /* a sentence that names file and field */
};
/** site_faults(s, each, arg, err): all of them; stops when ${each} does not return 0, and returns
 * that. */
int site_faults(const struct site *s,
		int (*each)(void *arg, const struct site_fault *f, struct err *err), void *arg,
		struct err *err);
/** site_references_check(s, err): RC_POLICY with the first fault.  For publish: nothing is made of
 * documents that contradict each other.  collect and status go on. */
int site_references_check(const struct site *s, struct err *err);

/**
 * Edits of the documents: written by rename, other documents untouched, and of a document that was
 * there everything that means the same kept as it was written: comments, order, style, `more`.
 *
 * All documents of a call are checked first, each by its schema and all together as the site would
 * be with them: RC_POLICY, and nothing written, when there is a fault that was not there before.
 * (Faults that were there do not stand in the way of mending them one at a time: a warning says
 * that they are left.)  A kill between two documents leaves each of them old or new.
 *
 * The loaded site follows: pointers into its lists are void afterwards, also after an error.
 */
int site_channel_write(struct site *s, const struct site_channel *c, struct err *err);
int site_channel_remove(struct site *s, const char *name, struct err *err);
int site_workstation_write(struct site *s, const struct site_workstation *w, struct err *err);
int site_group_write(struct site *s, const struct site_group *g, struct err *err);
int site_licence_write(struct site *s, const struct site_licence *l, struct err *err);
int site_key_write(struct site *s, const struct site_key *k, struct err *err);
/** site_users_write(s, list, n, flags, err): several at once; each e-mail address once. */
enum site_write_flags { SITE_WRITE_DRY_RUN = 1 << 0 /* check all, change nothing */ };
int site_users_write(struct site *s, const struct site_user *list, size_t n,
		     enum site_write_flags flags, struct err *err);
/** site_user_check(s, u, err): one user by itself, in the site as it is: fields that can be read
 * back, and names that lead somewhere. */
int site_user_check(const struct site *s, const struct site_user *u, struct err *err);
/** site_policy_write(s, name, text, err): of a policy, the whole text of its document. */
int site_policy_write(struct site *s, const char *name, struct bytes text, struct err *err);
/**
 * site_policy_set(s, name, list, n, err): single values of a policy, which need not be there yet.
 * A key is the name of a setting, or a path "values.browser.homepage".  What reads as a number, a
 * truth value, a list or a map is that; everything else is text.  Windows may be given with commas
 * between.  Errors: RC_USAGE, or as site_policy_write.
 */
struct site_value {
	const char *key;
	const char *value; /* NULL: take it away */
};
int site_policy_set(struct site *s, const char *name, const struct site_value *list, size_t n,
		    struct err *err);

/** site_set(s, list, n, err): single fields of site.yaml: policy, licence-warning-days, beat-hours,
 * silent-hours, sync-minutes, jitter-percent, watch, sticks.  RC_USAGE: no such field. */
int site_set(struct site *s, const struct site_value *list, size_t n, struct err *err);

/** Removals: RC_USAGE when there is none; RC_CONFLICT with the list when others refer to it. */
int site_workstation_remove(struct site *s, const char *name, struct err *err);
int site_group_remove(struct site *s, const char *name, struct err *err);
int site_user_remove(struct site *s, const char *email, struct err *err);
int site_licence_remove(struct site *s, const char *name, struct err *err);
int site_key_remove(struct site *s, const char *name, struct err *err);
int site_policy_remove(struct site *s, const char *name, struct err *err);

#endif
