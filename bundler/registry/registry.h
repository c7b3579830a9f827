/* SPDX-License-Identifier: ISC */
/*
 * The registry: the server's database.  What is true is committed here first and posted afterwards;
 * what was posted is marked, so that posting again is idempotent.  This room owns what serves all
 * others: the outbox, events for people, and counters.
 *
 * Rooms above may read the views outbox_posted(path, posted), outbox_sent(path, size) and
 * event_list(number, at, kind, about, text, claim).
 */
#ifndef SATCHEL_BUNDLER_REGISTRY_REGISTRY_H
#define SATCHEL_BUNDLER_REGISTRY_REGISTRY_H
#include "core/os/db.h"

extern const struct db_schema registry_schema;

/* The outbox */

/**
 * registry_document(db, path, content, err):
 * A document to post at ${path} of the depot.  In the caller's transaction.  The same path with the
 * same content keeps its mark, so that nothing is posted twice; with other content (the marker) it
 * is to be posted again.
 */
int registry_document(struct db *db, const char *path, struct bytes content, struct err *err);

/** registry_document_drop(db, path, err): nothing is to be posted there any more; it is no error
 * when nothing was. */
int registry_document_drop(struct db *db, const char *path, struct err *err);

/** A document of the outbox; ${path} and ${content} are valid during the call. */
typedef int (*registry_document_each)(void *arg, const char *path, struct bytes content,
				      struct err *err);

/**
 * registry_documents(db, glob, each, arg, err):
 * Every document whose path fits ${glob} (SQLite's GLOB: * goes over slashes), by path.
 * registry_unposted(db, glob, each, arg, err): those that wait to be posted.
 * A negative answer of ${each} ends the walk and is returned.
 */
int registry_documents(struct db *db, const char *glob, registry_document_each each, void *arg,
		       struct err *err);
int registry_unposted(struct db *db, const char *glob, registry_document_each each, void *arg,
		      struct err *err);

/** registry_document_get(db, path, ret, err): append the content of a document, posted or not: 1,
 * or 0 when there is none. */
int registry_document_get(struct db *db, const char *path, struct buf *ret, struct err *err);

/**
 * registry_posted(db, path, err): mark one document as posted now; registry_posted_all(db, err):
 * all that wait.  registry_post_again(db, path, err): one does not count as posted any more; it is
 * no error when there is none.  registry_post_all_again(db, err): none does.
 */
int registry_posted(struct db *db, const char *path, struct err *err);
int registry_posted_all(struct db *db, struct err *err);
int registry_post_again(struct db *db, const char *path, struct err *err);
int registry_post_all_again(struct db *db, struct err *err);

/** registry_posted_at(db, path, ret, err): when a document was posted, seconds since 1970 UTC; 0:
 * not yet.  1, or 0 when the outbox does not hold it. */
int registry_posted_at(struct db *db, const char *path, int64_t *ret, struct err *err);

/** registry_unposted_count(db, ret, err): how many documents wait to be posted. */
int registry_unposted_count(struct db *db, uint64_t *ret, struct err *err);

/* Events */

/**
 * registry_eventf(db, err, kind, about, fmt, ...):
 * What a person should know later; ${kind} is a slug, ${about} the name or id of what it is about;
 * the text is cut at 511 bytes.  A repetition of the newest event of the same kind and subject with
 * the same text is counted in that event, so that a fault that stays does not bury the others.
 * registry_event_many(db, kind, about, text, claim, count, err): ${count} things at once; joins the
 * newest event of that kind and subject of the last day whatever it says, which keeps a flood at
 * one event.  ${claim}: what somebody else says, never a part of ${text}; "" for nothing.
 */
int registry_eventf(struct db *db, struct err *err, const char *kind, const char *about,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int registry_event_many(struct db *db, const char *kind, const char *about, const char *text,
			const char *claim, uint64_t count, struct err *err);
/** registry_eventf_many(db, err, kind, about, fmt, ...): the same for one thing, with a text that
 * is made (cut at 511 bytes). */
int registry_eventf_many(struct db *db, struct err *err, const char *kind, const char *about,
			 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/** registry_event_count(db, ret, err): events that are kept. */
int registry_event_count(struct db *db, uint64_t *ret, struct err *err);

/* Counters */

/** registry_next(db, counter, ret, err): named numbers that only grow (beat sequence, pack number,
 * …); the first is 1.  RC_LIMIT at 2^53-1.  registry_last(db, counter, ret, err): the last one
 * given out, 0 for none. */
int registry_next(struct db *db, const char *counter, uint64_t *ret, struct err *err);
int registry_last(struct db *db, const char *counter, uint64_t *ret, struct err *err);

/**
 * registry_counter_set(db, counter, value, err):
 * Another small number under a name; one that is about a workstation is called WHAT:ID, so that
 * it can be forgotten.
 * registry_counters(db, glob, each, arg, err): those whose names fit ${glob}, by name.
 * registry_counters_drop(db, glob, above, most, err): of these only values above ${above}, and not
 * above ${most}, stay.
 */
int registry_counter_set(struct db *db, const char *counter, int64_t value, struct err *err);
int registry_counters(struct db *db, const char *glob,
		      int (*each)(void *arg, const char *name, int64_t value, struct err *err),
		      void *arg, struct err *err);
int registry_counters_drop(struct db *db, const char *glob, int64_t above, int64_t most,
			   struct err *err);

/*
 * What a room deletes together with a workstation (?1 is its id) and with a user (?1 is the e-mail
 * address).  Each room says it beside its tables; bundler/removal runs them all in one transaction.
 */
struct forget_sql {
	const char *const *workstation; /* ends with NULL */
	const char *const *user;        /* likewise; NULL: nothing */
};
/* The counters of a workstation.  Events stay: they are the record of what happened. */
extern const struct forget_sql registry_forget;

#endif
