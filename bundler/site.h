/*
 * A site on its server: the documents (a plain directory, made to be kept in git) and, elsewhere,
 * the state: registry, keys, content store.
 *
 *   DIR/site.yaml  DIR/channels/NAME.yaml  DIR/workstations/NAME.yaml
 *   DIR.state/     (or `state:` of site.yaml)
 *     registry.db  lock
 *     keys/{root,publish,beat,collect}.key and .pub     0400, minisign's files
 *     store/<number>.pack                               see bundler/store.h
 */
#ifndef SATCHEL_BUNDLER_SITE_H
#define SATCHEL_BUNDLER_SITE_H

#include "core/base/say.h"
#include "core/format/documents.h"
#include "core/os/db.h"

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
	char name[128];
	char **label; /* owned */
	size_t labels;
};

struct site {
	char *dir;                    /* owned; the documents */
	char *state;                  /* owned */
	int dirfd, statefd;           /* owned */
	char *depot;                  /* owned; home depot */
	uint64_t beat_hours;          /* validity of a beat */
	struct digest id;             /* site id */
	struct trust trust;           /* current, verified when loaded */
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
/** site_init(in, say, err): keys, trust version 1, documents, registry, depot with marker and
 * trust; refuses a directory that has a site (RC_CONFLICT). */
int site_init(const struct site_init *in, struct say *say, struct err *err);
int site_open(const char *dir, enum site_flags flags, struct say *say, struct site **ret,
	      struct err *err);
struct site *site_free(struct site *s);
void site_freep(struct site **s);

/** site_key(s, role, ret, err): the secret key of an online role, from keys/. */
int site_key(struct site *s, enum role role, struct key_secret **ret, struct err *err);
struct site_channel *site_channel(struct site *s, const char *name); /* NULL: none */

/** Edits of the documents: written by rename, comments of other documents untouched. */
int site_channel_write(struct site *s, const struct site_channel *c, struct err *err);
int site_channel_remove(struct site *s, const char *name, struct err *err);
int site_workstation_write(struct site *s, const struct site_workstation *w, struct err *err);

#endif
