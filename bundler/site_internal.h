/*
 * What the files of the site module share: documents, trust and keys.
 */
#ifndef SATCHEL_BUNDLER_SITE_INTERNAL_H
#define SATCHEL_BUNDLER_SITE_INTERNAL_H

#include "bundler/site.h"
#include "core/depot/depot.h"
#include "core/format/yaml.h"

#define SITE_FILE     "site.yaml"
#define SITE_REGISTRY "registry.db"
#define SITE_KEYS     "keys"

#define SITE_CHANNELS      "channels"
#define SITE_WORKSTATIONS  "workstations"
#define SITE_SUFFIX        ".yaml"
#define SITE_DOCUMENT_PATH (LIMIT_NAME + 32) /* "channels/NAME.yaml" with NUL */

#define SITE_BEAT_HOURS   168 /* a week: a stick that is carried every few days stays fresh */
#define SITE_SILENT_HOURS 168
#define SITE_KEEP         8 /* generations whose content is kept, unless the channel says else */

/** site_marker_post(d, site, err): the marker, when there is none.  RC_CONFLICT: another site's. */
int site_marker_post(struct depot *d, const struct digest *site, struct err *err);

/** site_registry_path(state, ret, err): of the registry, an owned string. */
int site_registry_path(const char *state, char **ret, struct err *err);

/** site_documents_read(s, err): site.yaml has been read; channels/ and workstations/ now. */
int site_documents_read(struct site *s, struct err *err);
void site_documents_clear(struct site *s);

/** One document each; ${name} is that of its file.  ${ret} comes zeroed, and is cleared by the
 * caller also after an error. */
int site_channel_decode(struct bytes in, const char *name, struct site_channel *ret,
			struct err *err);
int site_workstation_decode(struct bytes in, const char *name, struct site_workstation *ret,
			    struct err *err);
void site_channel_clear(struct site_channel *c);
void site_workstation_clear(struct site_workstation *w);
/** site_channel_name_check(name, rc, err): ${rc} when it cannot be one: RC_USAGE for what a person
 * typed, RC_MALFORMED for a file's name. */
int site_channel_name_check(const char *name, int rc, struct err *err);
int site_workstation_name_check(const char *name, int rc, struct err *err);
/** site_targets_check(s, a, b, err): RC_POLICY when one workstation could get both and one target
 * is inside the other. */
int site_targets_check(const struct site *s, const struct site_channel *a,
		       const struct site_channel *b, struct err *err);

/** site_trust_load(db, id, ret, err): all versions of the registry, verified from the first on;
 * ${id} NULL: the site id is the identity of what is there as version 1 (site_init going on). */
int site_trust_load(struct db *db, const struct digest *id, struct trust *ret, struct err *err);
/** site_trust_add(db, t, raw, err): a verified version, and its document in the outbox. */
int site_trust_add(struct db *db, const struct trust *t, struct bytes raw, struct err *err);

/** site_key_make(keysfd, name, kind, ret, err): a new key NAME.key 0400 and NAME.pub; one that an
 * interrupted run left is taken. */
int site_key_make(int keysfd, const char *name, enum key_kind kind, struct key_secret **ret,
		  struct err *err);
/**
 * site_keys_each(keysfd, role, each, arg, err): the names ("publish.key", "publish-2.key") of the
 * secret key files of a role, oldest first; stops when ${each} does not return 0, and returns that.
 */
int site_keys_each(int keysfd, enum role role,
		   int (*each)(void *arg, const char *name, struct err *err), void *arg,
		   struct err *err);

/** site_key_public(keysfd, name, ret, err): what the public file beside ${name} says.  It decides
 * which secret file is opened, because one with a passphrase costs a gigabyte and a question; it is
 * no authority: what the secret file holds is compared again. */
int site_key_public(int keysfd, const char *name, struct key_public *ret, struct err *err);

/** site_key_find(s, role, ask, ret, err): site_key, for keys that may have a passphrase. */
int site_key_find(struct site *s, enum role role, struct key_ask *ask, struct key_secret **ret,
		  struct err *err);

#endif
