/* SPDX-License-Identifier: ISC */
/*
 * The private channel of one workstation, as a file: one full, sealed bundle.
 */
#ifndef SATCHEL_BUNDLER_PRIVATE_PRIVATE_H
#define SATCHEL_BUNDLER_PRIVATE_PRIVATE_H

#include "bundler/documents/site_model.h"

/*
 * Views for the rooms above; id: of the workstation, whatever became of it.
 *   private_newest(id, epoch, generation, tree, manifest, path, policy)
 *           path: in the depot; manifest: its identity; policy: digest of the policy in it, or NULL
 *   private_user(id, email, gone, epoch, generation)
 *           gone 0: the newest generation has the user; 1: epoch and generation are of the first
 *           that has not
 *   private_held_apart(id, epoch, generation, since)
 *           the private channel is newer than what this registry knows: it makes no other
 */
extern const struct db_schema private_schema;

struct private_file {
	const char *path;
	struct bytes content;
};
/* A user whom a private channel has. */
struct private_person {
	const char *email, *account; /* of the Unix account there */
};
/* What a private channel says; everything is borrowed. */
struct private_content {
	const struct private_file *file; /* its tree, ascending by path */
	size_t files;
	/* What it subscribes to, and what it is offered of it ahead of all. */
	const struct private_channel {
		const char *name;
		uint64_t epoch, generation; /* 0: what everybody is offered */
	} * channel;
	size_t channels;
	const struct private_person *person;
	size_t people;
};
/**
 * private_publish(s, sign, seal, content, err):
 * The private channel of one workstation: a new generation as one full, sealed bundle, committed
 * with its document in the outbox; directories are made as needed.  In the caller's transaction, or
 * in its own.  Errors: RC_PATH (a path outside of our grammar), RC_INTERNAL (paths out of order).
 */
int private_publish(struct site *s, const struct key_public *sign, const struct key_public *seal,
		    const struct private_content *content, struct err *err);

/**
 * private_sign_again(s, err): every newest generation that no current key has signed is signed
 * anew, with the same number, tree and identity (which covers no signature); one whose file the
 * registry lost is made again by the next run.  In transactions of its own.  Errors: those of
 * site_key; RC_STATE. private_signer_put(s, id, file, err): which current key signed this ${file}:
 * 1, or 0 when none did.  In the caller's transaction.
 */
int private_sign_again(struct site *s, struct err *err);
int private_signer_put(struct site *s, const char *id, struct bytes file, struct err *err);

/**
 * private_compiled(db, id, inputs, policy, err): what the newest generation was compiled from, and
 * the digest of the policy in it (NULL: it has none).  In the transaction that makes it.
 */
int private_compiled(struct db *db, const char *id, const struct digest *inputs,
		     const struct digest *policy, struct err *err);
/** private_confirmed(db, id, epoch, generation, err): a workstation says that it holds this
 * generation: what came long before it is known no longer. */
int private_confirmed(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
		      struct err *err);
/* Whom the private channel of a workstation had, and what it said.
 * The number of its newest generation stays: should the same keys be enrolled again, the next one
 * has a higher number. */
extern const struct forget_sql private_forget;
/* A private channel that this registry did not make, or does not know of any more. */
struct private_adopted {
	const char *id;
	uint64_t epoch, generation;
	struct digest tree, manifest; /* manifest: its identity */
	const char *path;             /* in the depot */
	int64_t since;                /* seconds since 1970 UTC */
};
/**
 * private_adopt(db, a, err): it is the newest of its workstation, which is held apart: no other is
 * made, because nobody knows what it would take away.  In the caller's transaction.
 * private_raised(db, id, epoch, generation, since, err): likewise, when nobody has the file: the
 * workstation says that it holds this generation.
 * private_is_apart(db, id, err): 1 when the workstation is held apart, or 0.
 * private_apart_any(db, ret_since, err): 1 when any is, and since when the last one; or 0.
 * private_rejoin(db, id, err): it is not held apart any more.
 */
int private_adopt(struct db *db, const struct private_adopted *a, struct err *err);
int private_raised(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
		   int64_t since, struct err *err);
int private_is_apart(struct db *db, const char *id, struct err *err);
int private_apart_any(struct db *db, int64_t *ret_since, struct err *err);
int private_rejoin(struct db *db, const char *id, struct err *err);
/** private_stale(db, id, err): the next run compiles this channel again, whatever goes into it. */
int private_stale(struct db *db, const char *id, struct err *err);

#endif
