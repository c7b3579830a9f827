/* SPDX-License-Identifier: ISC */
/*
 * A site on its server: the documents (a plain directory, made to be kept in git) and, elsewhere,
 * the state: registry, keys, content store.
 *
 *   DIR/site.yaml  DIR/channels/NAME.yaml  DIR/workstations/NAME.yaml
 *   DIR.state/     (or `state:` of site.yaml)
 *     registry.db  lock
 *     keys/{root,publish,beat,collect}.key and .pub     0400, minisign's files; a rotated key is
 *                                                       ROLE-VERSION.key, after the trust document
 *     keys/store.key                                    0400, see bundler/keystore/keystore.h
 *     store/<number>.pack                               see bundler/pack/store.h
 */
#ifndef SATCHEL_BUNDLER_SITE_SITE_H
#define SATCHEL_BUNDLER_SITE_SITE_H

#include "bundler/documents/documents.h"
#include "bundler/trust/site_keys.h"

enum site_flags {
	SITE_LOCK = 1 << 0, /* one publish, collect or edit at a time: RC_BUSY */
	/* Documents that cannot be read are none, and s->unread says why: for who must go on. */
	SITE_UNREAD = 1 << 1,
};

struct site_init {
	const char *dir, *name, *depot, *state; /* state NULL: DIR.state */
	const char *root; /* where the root key is written, ending in .key; NULL: into the state */
};
/**
 * site_init(in, reporter, err): keys, trust version 1, documents, registry, depot with marker and
 * trust.  Killed anywhere, it may be called again with the same name and goes on where it was; the
 * last file written is site.yaml.  ${reporter} may be NULL.
 * Errors: RC_CONFLICT: the directory has a site already, the state directory is another's, or the
 * depot is another site's; the sentence says what to do.
 */
int site_init(const struct site_init *in, struct reporter *reporter, struct err *err);

/**
 * site_open(dir, flags, reporter, ret, err): every document checked against its schema (the errors
 * name file, line and field), the registry, and the trust verified from version 1 on.  ${*ret} is
 * owned by the caller; ${reporter} is borrowed as long, and may be NULL.
 * Errors: RC_STATE: no site here, registry missing or not of this site; RC_MALFORMED; RC_POLICY:
 * state that others can read, nested targets; RC_BUSY.
 */
int site_open(const char *dir, enum site_flags flags, struct reporter *reporter, struct site **ret,
	      struct err *err);
/**
 * site_free(s), site_freep(s): close and release everything, the lock as well.  NULL is fine;
 * site_free returns NULL.
 */
struct site *site_free(struct site *s);
void site_freep(struct site **s);

/**
 * site_rebuild(dir, root, ask, err):
 * The state of the site in ${dir} is lost, or its registry: a new one, which knows no more than the
 * first trust document that the home depot has.  ${root} (may be NULL): the file of a root key, to
 * replace the other keys with; ${ask} asks for its passphrase.  Does nothing to a registry that is
 * there.  Errors: RC_STATE: the depot has no trust document of this site; RC_IO.
 */
int site_rebuild(const char *dir, const char *root, struct key_ask *ask, struct err *err);

/** site_set(s, list, n, err): single fields of site.yaml: policy, licence-warning-days, beat-hours,
 * silent-hours, sync-minutes, jitter-percent, watch, sticks.  RC_USAGE: no such field. */
int site_set(struct site *s, const struct site_value *list, size_t n, struct err *err);

#endif
