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

#define SITE_BEAT_HOURS     168 /* a week: a stick that is carried every few days stays fresh */
#define SITE_SILENT_HOURS   168
#define SITE_SYNC_MINUTES   60
#define SITE_JITTER_PERCENT 10
#define SITE_WARNING_DAYS   30 /* a month to buy what ends */
#define SITE_KEEP           8  /* generations whose content is kept, unless the channel says else */

/** site_marker_post(d, site, err): the marker, when there is none.  RC_CONFLICT: another site's. */
int site_marker_post(struct depot *d, const struct digest *site, struct err *err);

/** site_registry_path(state, ret, err): of the registry, an owned string. */
int site_registry_path(const char *state, char **ret, struct err *err);

/* A kind of document that there are many of: NAME.yaml in a directory of its own. */
struct site_kind {
	const char *noun;      /* "group" */
	const char *directory; /* "groups" */
	const char *schema;    /* "group/1" */
	size_t size;           /* of an element; it begins with its name */
	size_t list, count;    /* offsets in struct site */
	/** name_check(name, rc, err): ${rc} when it cannot be one: RC_USAGE for what a person
	 * typed, RC_MALFORMED for a file's name. */
	int (*name_check)(const char *name, int rc, struct err *err);
	/** decode(y, name, ret, err): what the schema has checked, into a zeroed element whose name
	 * is in place; cleared by the caller also after an error.  May TAKE the document. */
	int (*decode)(struct yaml **y, const char *name, void *ret, struct err *err);
	/** encode(element, w): every field after the document's type. */
	void (*encode)(const void *element, struct yaml_writer *w);
	void (*clear)(void *element);
};
extern const struct site_kind site_channel_kind, site_workstation_kind, site_group_kind,
    site_user_kind, site_licence_kind, site_key_kind, site_policy_kind;

#define SITE_KIND_LIST(elements, number) \
	.list = offsetof(struct site, elements), .count = offsetof(struct site, number)

/** site_fields_use(s, root): the fields of site.yaml that a command may change. */
void site_fields_use(struct site *s, const struct node *root);
/** site_documents_read(s, err): site.yaml has been read; all the others now. */
int site_documents_read(struct site *s, struct err *err);
void site_documents_clear(struct site *s);
/** site_remembered_read(s, kind, name, n, err): the documents of one kind, ascending by name, into
 * the elements that are there for them.  Files that are as the registry remembers them are not
 * opened; with SITE_LOCK what was read anew is remembered. */
int site_remembered_read(struct site *s, const struct site_kind *kind, char *const *name, size_t n,
			 struct err *err);
extern const char document_schema_sql[];
/** site_kinds(i): the i-th kind, NULL after the last. */
const struct site_kind *site_kinds(size_t i);

/** site_count(s, kind): how many there are.  site_elements_set: the list is ${list} now, of ${n};
 * the old one is the caller's. */
size_t site_count(const struct site *s, const struct site_kind *kind);
void site_elements_set(struct site *s, const struct site_kind *kind, void *list, size_t n);
/** site_element(s, kind, i): the i-th.  site_find(s, kind, name): NULL when there is none. */
void *site_element(const struct site *s, const struct site_kind *kind, size_t i);
void *site_find(const struct site *s, const struct site_kind *kind, const char *name);

/** site_document_decode(kind, in, name, ret, err): one document, whole; ${ret} as for the kind's
 * decode. */
int site_document_decode(const struct site_kind *kind, struct bytes in, const char *name, void *ret,
			 struct err *err);

/** What decoders, encoders and clears are made of. */
int site_text_keep(char **dst, const struct node *from, struct err *err); /* absent: untouched */
void site_word_copy(char dst[WORD_NAME], const struct node *from);        /* absent: "" */
int site_list_keep(const struct node *from, char ***ret, size_t *ret_n, struct err *err);
void site_list_clear(char ***list, size_t *n);
void site_list_encode(struct yaml_writer *w, const char *key, char *const *list, size_t n);
void site_word_encode(struct yaml_writer *w, const char *key, const char *word); /* "": nothing */
int site_word_check(const char *noun, const char *name, int rc, struct err *err);

int site_workstation_name_check(const char *name, int rc, struct err *err);
/** site_targets_meet(s, a, b, why): could one workstation get both, and is one target inside the
 * other?  ${why} gets a sentence then. */
bool site_targets_meet(const struct site *s, const struct site_channel *a,
		       const struct site_channel *b, char why[ERR_TEXT_MAX]);
/** site_element_references(s, kind, element, err): RC_POLICY when a name in this element, which
 * need not be in the site, leads nowhere. */
int site_element_references(const struct site *s, const struct site_kind *kind, const void *element,
			    struct err *err);
/** site_referrers(s, kind, name, ret, ret_n, err): the documents that lead to this one, as a list
 * for people, appended; and how many. */
int site_referrers(const struct site *s, const struct site_kind *kind, const char *name,
		   struct buf *ret, size_t *ret_n, struct err *err);

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
