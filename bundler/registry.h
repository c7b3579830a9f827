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

/* The outbox: documents to post.  registry_document() inside the caller's transaction. */
int registry_document(struct db *db, const char *path, struct bytes content, struct err *err);

/** Events: what a person should know later; kind is a slug. */
int registry_event(struct db *db, const char *kind, const char *about, const char *text,
		   struct err *err);

/* Named numbers that only grow (beat sequence, pack number, …). */
int registry_next(struct db *db, const char *counter, uint64_t *ret, struct err *err);

#endif
