/*
 * A site on its server: the documents (a plain directory, made to be kept in git) and, elsewhere,
 * the state: registry, keys, content store.
 *
 *   DIR/site.yaml  DIR/channels/NAME.yaml  DIR/workstations/NAME.yaml
 *   DIR.state/     (or `state:` of site.yaml)
 *     registry.db  lock
 *     keys/{root,publish,beat,collect}.key and .pub     0400, minisign's files; a rotated key is
 *                                                       ROLE-VERSION.key, after the trust document
 *     store/<number>.pack                               see bundler/store.h
 */
#ifndef SATCHEL_BUNDLER_SITE_H
#define SATCHEL_BUNDLER_SITE_H

#include "core/base/say.h"
#include "core/format/documents.h"
#include "core/os/db.h"

#define WORKSTATION_NAME 128 /* with NUL */

struct site_channel {
	char name[CHANNEL_NAME];
	char *source;   /* owned; absolute, or relative to the site's directory */
	char *target;   /* owned; absolute path on workstations */
	char **exclude; /* owned; globs */
	size_t excludes;
	char **audience; /* owned; `for`: "all", "NAME" of a workstation, "label:NAME" (later:
			    groups) */
	size_t audiences;
	bool owners, special_modes;
	char on_leave[8]; /* "keep" or "remove" */
	uint64_t keep;    /* generations whose content is kept */
};

struct site_workstation {
	char name[WORKSTATION_NAME];
	char **label; /* owned */
	size_t labels;
};

struct site {
	char *dir;             /* owned; the documents */
	char *state;           /* owned */
	int dirfd, statefd;    /* owned */
	char *depot;           /* owned; home depot */
	char *depot_real;      /* owned; without links; NULL: not asked yet, "": not at hand */
	uint64_t beat_hours;   /* validity of a beat */
	uint64_t silent_hours; /* a workstation not heard from for longer is orange */
	struct digest id;      /* site id */
	struct trust trust;    /* current, verified when loaded */
	struct site_channel *channel; /* owned; ascending by name */
	size_t channels;
	struct site_workstation *workstation; /* owned; ascending by name */
	size_t workstations;
	struct db *db;   /* owned: the registry */
	int lock;        /* owned; -1 while reading only */
	struct say *say; /* borrowed */
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
struct site *site_free(struct site *s);
void site_freep(struct site **s);

/** site_key(s, role, ret, err): the secret key of a role from keys/: the one that the trust
 * document names as current.  RC_STATE when it is not there (a root key kept offline). */
int site_key(struct site *s, enum role role, struct key_secret **ret, struct err *err);

struct site_channel *site_channel(struct site *s, const char *name);         /* NULL: none */
struct site_workstation *site_workstation(struct site *s, const char *name); /* NULL: none */
/** site_subscribes(w, c): is ${w} in the audience of ${c}? */
bool site_subscribes(const struct site_workstation *w, const struct site_channel *c);

/** Edits of the documents: written by rename, comments of other documents untouched.  The loaded
 * site follows: pointers into s->channel and s->workstation are void afterwards. */
int site_channel_write(struct site *s, const struct site_channel *c, struct err *err);
int site_channel_remove(struct site *s, const char *name, struct err *err);
int site_workstation_write(struct site *s, const struct site_workstation *w, struct err *err);

#endif
