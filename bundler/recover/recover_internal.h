/* SPDX-License-Identifier: ISC */
/*
 * Inside of recover: what a depot has of this site that is signed.
 */
#ifndef SATCHEL_BUNDLER_RECOVER_RECOVER_INTERNAL_H
#define SATCHEL_BUNDLER_RECOVER_RECOVER_INTERNAL_H

#include "bundler/recover/recover.h"
#include "core/base/list.h"
#include "core/depot/depot.h"
#include "core/format/documents/documents.h"

/* What a name in a depot claims. */
struct found_name {
	uint64_t epoch, number;
	uint8_t xx;
	char path[DEPOT_NAME];
};
struct found_names LIST_MEMBERS(struct found_name);
/* Which names are looked for. */
struct found_filter {
	enum name_kind kind;
	const char *id; /* NAME_PRIVATE: whose */
	uint64_t above; /* numbers above this */
};
/** found_list(d, dir, f, ret, err): the names of ${dir} that ${f} wants, highest (epoch, number)
 * first; anybody may have made them up, and of so many the first FOUND_NAMES are kept.  ${*ret} is
 * the caller's (found_names_clear). */
#define FOUND_NAMES 4096u
int found_list(struct depot *d, const char *dir, const struct found_filter *f,
	       struct found_names *ret, struct err *err);
/** found_names_clear(l): for OWNED. */
void found_names_clear(struct found_names *l);

/* A signed document of the depot. */
struct found_document {
	struct buf raw; /* owned */
	struct digest identity;
	char path[DEPOT_NAME];
};
/** found_document_clear(f): for OWNED. */
void found_document_clear(struct found_document *f);

/* A version of trust above the registry's. */
struct found_version {
	struct trust *trust; /* owned */
	struct buf raw;      /* owned */
};
/** found_trust(d, t, ret, err): the version after ${t} that the depot has: 1, or 0.  ${*ret} is the
 * caller's (found_version_clear). */
int found_trust(struct depot *d, const struct trust *t, struct found_version *ret, struct err *err);
/** found_version_clear(v): for OWNED. */
void found_version_clear(struct found_version *v);

/** found_beat(d, t, above, ret, ret_document, err): the newest beat with a number above ${above}
 * that the key of ${t} signed, in its epoch: 1, or 0. */
int found_beat(struct depot *d, const struct trust *t, uint64_t above, struct beat *ret,
	       struct found_document *ret_document, struct err *err);
/** found_other_beat(d, t, path, sequence, ret, ret_document, err): one of that number other than
 * the one at ${path}, likewise. */
int found_other_beat(struct depot *d, const struct trust *t, const char *path, uint64_t sequence,
		     struct beat *ret, struct found_document *ret_document, struct err *err);
/** found_shard(d, t, which, ret, ret_document, err): the shard that a beat names: 1, or 0: the
 * depot has it no more.  ${*ret} is the caller's (shard_clear). */
int found_shard(struct depot *d, const struct trust *t, const struct beat_shard *which,
		struct shard *ret, struct found_document *ret_document, struct err *err);
/** found_head(d, t, which, ret, ret_document, err): the head that a shard names, likewise. */
int found_head(struct depot *d, const struct trust *t, const struct shard_channel *which,
	       struct head *ret, struct found_document *ret_document, struct err *err);
/** found_private(d, which, ret, ret_document, err): the private bundle that a shard names: its
 * manifest, and the whole file. */
int found_private(struct depot *d, const struct shard_workstation *which, struct manifest *ret,
		  struct found_document *ret_document, struct err *err);

/** recover_claims(s, r, err): what receipts say beyond what is signed: r->beat, and the numbers of
 * channels and private channels, go up by RECOVER_STEP at most.  RC_CONFLICT: more is claimed; the
 * sentence names the machine. */
int recover_claims(struct site *s, struct recover_report *r, struct err *err);

/** recover_litter(s, d, beat, err): what ${d}, the home depot, has of the time after the backup,
 * and nothing leads to, is removed when no beat up to ${beat} is kept. */
int recover_litter(struct site *s, struct depot *d, uint64_t beat, struct err *err);

#endif
