/*
 * The registry: the server's database.  What is true is committed here first and posted afterwards;
 * what was posted is marked, so that posting again is idempotent.
 */
#ifndef SATCHEL_BUNDLER_REGISTRY_H
#define SATCHEL_BUNDLER_REGISTRY_H

#include "bundler/site.h"

#define REGISTRY_APPLICATION_ID 0x53415243u /* "SARC" */

/** registry_open(path, ret, err): migrations of index, store, publish and registry. */
int registry_open(const char *path, struct db **ret, struct err *err);

/**
 * registry_document(db, path, content, err):
 * The outbox: a document to post at ${path} of the depot.  In the caller's transaction.  The same
 * path with the same content keeps its mark, so that nothing is posted twice; with other content
 * (the marker) it is to be posted again.
 */
int registry_document(struct db *db, const char *path, struct bytes content, struct err *err);

/**
 * registry_event(db, kind, about, text, err):
 * What a person should know later; ${kind} is a slug, ${about} the name or id of what it is about.
 * A repetition of the newest event of the same kind and subject with the same text is counted in
 * that event, so that a fault that stays does not bury the others.
 * registry_event_many: ${count} things at once; joins the newest event of that kind and subject of
 * the last day whatever its text says, which keeps a flood at one event.
 */
int registry_event(struct db *db, const char *kind, const char *about, const char *text,
		   struct err *err);
int registry_event_many(struct db *db, const char *kind, const char *about, const char *text,
			uint64_t count, struct err *err);
/** registry_eventf, registry_eventf_many: the same, once, with a text that is made. */
int registry_eventf(struct db *db, struct err *err, const char *kind, const char *about,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int registry_eventf_many(struct db *db, struct err *err, const char *kind, const char *about,
			 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/** registry_next(db, counter, ret, err): named numbers that only grow (beat sequence, pack number,
 * …); the first is 1.  RC_LIMIT at 2^53-1.  registry_last: the last one given out, 0 for none. */
int registry_next(struct db *db, const char *counter, uint64_t *ret, struct err *err);
int registry_last(struct db *db, const char *counter, uint64_t *ret, struct err *err);

#endif
