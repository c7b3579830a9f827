/*
 * What the modules of the workstation share and nobody else needs.
 */
#ifndef SATCHEL_APPLIER_STATION_INTERNAL_H
#define SATCHEL_APPLIER_STATION_INTERNAL_H

#include "applier/station.h"

extern const char station_schema_sql[];
extern const char station_model_sql[]; /* what came with people */

/* Configuration (station_config.c). */
int station_config_read(struct station *s, struct err *err);
/** station_config_create(s, root, err): a commented workstation.yaml when there is none. */
int station_config_create(const struct station *s, const char *root, struct err *err);
/** station_config_depot(s, path, err): remember a depot; the rest of the text stays as it is. */
int station_config_depot(struct station *s, const char *path, struct err *err);

/* Trust (station_trust.c): the chain in the database. */
/** station_trust_load(s, err): every version from 1, verified again against the pinned site id. */
int station_trust_load(struct station *s, struct err *err);
/** station_trust_keep(s, version, raw, err): in the caller's transaction. */
int station_trust_keep(struct station *s, uint64_t version, struct bytes raw, struct err *err);

/* State (station_state.c). */
int station_membership_load(struct station *s, struct err *err);
int station_beat_load(struct station *s, struct err *err);
/** station_beat_keep(s, b, identity, raw, err): the new floor. */
int station_beat_keep(struct station *s, const struct beat *b, const struct digest *identity,
		      struct bytes raw, struct err *err);
/** station_beat_current(s, ret, ret_identity, err): the newest beat, verified again; 1, or 0 when
 * there is none or its signer is no longer trusted. */
int station_beat_current(struct station *s, struct beat *ret, struct digest *ret_identity,
			 struct err *err);
int station_next(struct station *s, const char *counter, uint64_t *ret, struct err *err);
int station_fact_get(struct station *s, const char *name, struct buf *ret, struct err *err);
int station_fact_put(struct station *s, const char *name, struct bytes value, struct err *err);
int station_fact_drop(struct station *s, const char *name, struct err *err);

/** station_end_load(s, err): how far a decommission has got.  The fact "decommission" holds what
 * the private channel was: epoch, generation, tree. */
#define STATION_HELD (16 + DIGEST_BYTES)
int station_end_load(struct station *s, struct err *err);
/** station_end_forget(s, err): a decommissioned workstation begins anew, in the caller's
 * transaction: nothing of who it was stays but its last receipt. */
int station_end_forget(struct station *s, const struct digest *site, struct err *err);

/**
 * The floor file STATE/floor says how far this machine ever came, outside the database, so that a
 * database restored from a backup is noticed (station_floor_check: RC_STATE).
 */
int station_floor_check(struct station *s, struct err *err);
int station_floor_write(struct station *s, struct err *err);

/** station_keys(s, create, ret_sign, ret_seal, err): either may be NULL. */
enum station_keys_flags { STATION_KEYS_CREATE = 1 << 0 };
int station_keys(struct station *s, enum station_keys_flags flags, struct key_secret **ret_sign,
		 struct key_secret **ret_seal, struct err *err);

/** station_list_add, station_list_free: a list of owned strings. */
int station_list_add(char ***list, size_t *n, const char *text, struct err *err);
void station_list_free(char ***list, size_t *n);

/** station_within(path, dir): is the absolute ${path} ${dir} itself or below it? */
bool station_within(const char *path, const char *dir);

/** station_absolute(path, ret, err): as the configuration spells paths: absolute, no ".", "..",
 * empty component, or "/" at the end. */
int station_absolute(const char *path, char **ret, struct err *err);

#endif
