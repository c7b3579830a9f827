/* SPDX-License-Identifier: ISC */
/*
 * The documents of a site: a plain directory, made to be kept in git.  Looking them up, judging
 * them together, and editing them so that what a person wrote stays as it was written.
 *
 *   DIR/site.yaml  DIR/channels/NAME.yaml  DIR/workstations/NAME.yaml  and so on for every kind
 */
#ifndef SATCHEL_BUNDLER_DOCUMENTS_DOCUMENTS_H
#define SATCHEL_BUNDLER_DOCUMENTS_DOCUMENTS_H

#include "bundler/documents/site_model.h"

#define SITE_FILE         "site.yaml"
#define SITE_CHANNELS     "channels"
#define SITE_WORKSTATIONS "workstations"

/**
 * site_documents_read(s, err): site.yaml has been read; all the others now.  Errors: RC_MALFORMED,
 * RC_LIMIT with file, line and field; what was read so far can be cleared.
 * site_documents_clear(s): release them; the lists are empty.
 */
int site_documents_read(struct site *s, struct err *err);
/** site_documents_remember(s): before the registry is closed.  What was read anew with SITE_LOCK is
 * written into the cache if this run has changed the registry; else it is read anew next time. */
void site_documents_remember(struct site *s);
void site_documents_clear(struct site *s);
/** site_word_copy(dst, from): a word that its schema keeps shorter than WORD_NAME; absent: "". */
void site_word_copy(char dst[WORD_NAME], const struct node *from); /* absent: "" */
/**
 * site_workstation_name_check(name, rc, err): can a workstation be called so?  Else ${rc} with a
 * sentence: RC_USAGE for what a person typed, RC_MALFORMED for a file's name.
 */
int site_workstation_name_check(const char *name, int rc, struct err *err);
extern const struct db_schema document_schema;

/**
 * Lookups by name; NULL: none.  Borrowed until the next edit of documents.  (site_key of
 * bundler/trust gives the secret key of a role: the document of an encryption key is
 * site_key_document.)
 * site_channel(s, name), site_workstation(s, name), site_group(s, name), site_user(s, email),
 * site_licence(s, name), site_key_document(s, name), site_policy(s, name).
 */
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
 * active: bundler/entitlement/people.h. */
bool site_subscribes(const struct site_workstation *w, const struct site_channel *c);
/** site_ring(s, c, w, who, n): in which ring of the channel is ${w}, where ${who} are active?  From
 * 1; 0: in none, among those who come last. */
size_t site_ring(const struct site *s, const struct site_channel *c,
		 const struct site_workstation *w, const struct site_user *const *who, size_t n);

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
 *
 * site_channel_write(s, c, err), site_workstation_write(s, w, err), site_group_write(s, g, err),
 * site_licence_write(s, l, err), site_key_write(s, k, err): one document, made or changed; the
 * struct is copied.  Errors: RC_USAGE: a name that cannot be one; RC_MALFORMED: a field that could
 * not be read back.
 */
int site_channel_write(struct site *s, const struct site_channel *c, struct err *err);
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

/* Kinds of documents that there are many of. */
enum site_document {
	SITE_DOCUMENT_CHANNEL,
	SITE_DOCUMENT_WORKSTATION,
	SITE_DOCUMENT_GROUP,
	SITE_DOCUMENT_USER,
	SITE_DOCUMENT_LICENCE,
	SITE_DOCUMENT_KEY,
	SITE_DOCUMENT_POLICY,
};
/**
 * site_document_remove(s, document, name, err): only the document; what the database knows of it
 * stays.  A user's name is the e-mail address.  Errors: RC_USAGE when there is none; RC_CONFLICT
 * with the list when others refer to it.
 */
int site_document_remove(struct site *s, enum site_document document, const char *name,
			 struct err *err);

#endif
