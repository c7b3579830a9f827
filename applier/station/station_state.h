/* SPDX-License-Identifier: ISC */
/*
 * What a workstation knows, kept in its database: whose it is (membership), the trust chain, the
 * newest beat, counters, and properties, which are single values under a name.  Beside the database
 * lie the keys and the floor, a file that says how far this machine ever came.
 */
#ifndef SATCHEL_APPLIER_STATION_STATION_STATE_H
#define SATCHEL_APPLIER_STATION_STATION_STATE_H

#include "applier/station/station.h"

extern const struct db_schema station_schema;

/** station_state_load(s, err): everything below, when the database has been opened.  RC_STATE: a
 * row is damaged, a trust document does not verify, or the database is older than the floor. */
int station_state_load(struct station *s, struct err *err);

/**
 * station_forget(s, site, err):
 * A decommissioned workstation joins ${site}: membership and properties go, and of another site
 * trust chain and beat as well.  Counters stay, because a number is never used twice.  In the
 * caller's transaction; the floor file is written at once.
 */
int station_forget(struct station *s, const struct digest *site, struct err *err);

/** station_membership_put(s, site, id, name, err): whose workstation this is from now on, in the
 * caller's transaction.  ${s} itself is unchanged. */
int station_membership_put(struct station *s, const struct digest *site, const char *id,
			   const char *name, struct err *err);

/** station_trust_load(s, err): every version from 1, verified again against the pinned site id. */
int station_trust_load(struct station *s, struct err *err);
/** station_trust_put(s, version, raw, err): one more version, in the caller's transaction. */
int station_trust_put(struct station *s, uint64_t version, struct bytes raw, struct err *err);
/** station_trust_each(s, each, arg, err): every version as it was signed, ascending.  ${raw} is
 * valid during the call; a value other than 0 ends the walk and is returned. */
int station_trust_each(struct station *s,
		       int (*each)(void *arg, uint64_t version, struct bytes raw, struct err *err),
		       void *arg, struct err *err);

/** station_beat_put(s, b, identity, raw, err): the new floor under beats, in the caller's
 * transaction and in ${s}. */
int station_beat_put(struct station *s, const struct beat *b, const struct digest *identity,
		     struct bytes raw, struct err *err);
/** station_beat_current(s, ret, ret_identity, err): the newest beat, verified again; 1, or 0 when
 * there is none or its signer is no longer trusted. */
int station_beat_current(struct station *s, struct beat *ret, struct digest *ret_identity,
			 struct err *err);
/** station_beat_file(s, ret_file, ret_identity, err): the digests of the newest beat's file, which
 * its name in a depot shows, and of its identity; 1, or 0 when there is none. */
int station_beat_file(struct station *s, struct digest *ret_file, struct digest *ret_identity,
		      struct err *err);

/* Numbers that only grow. */
enum station_counter { COUNTER_EVENT, COUNTER_RECEIPT, COUNTER_REQUEST };
/** station_next(s, counter, ret, err): the next one, which is used up even when the caller's
 * transaction is the only trace of it. */
int station_next(struct station *s, enum station_counter counter, uint64_t *ret, struct err *err);
/** station_raise(s, counter, to, err): ${to} was given out; nothing when that is known. */
int station_raise(struct station *s, enum station_counter counter, uint64_t to, struct err *err);
/** station_last(s, counter, ret, err): the last one that was given out; 0: none. */
int station_last(struct station *s, enum station_counter counter, uint64_t *ret, struct err *err);

enum station_property {
	PROPERTY_ACKNOWLEDGED,    /* the newest receipt that the server has recorded: number */
	PROPERTY_BEAT_ARRIVED,    /* when the newest beat came, by this machine's clock: seconds */
	PROPERTY_BEAT_FOLLOWED,   /* the beat that a whole run has followed: epoch, sequence */
	PROPERTY_BY_HAND,         /* something was applied without a beat: freshness is unknown */
	PROPERTY_DECOMMISSION,    /* begun: what was applied of the private channel (applied.h) */
	PROPERTY_INSTANCE,        /* digest of the place that it was made for, and the number
				     (station_instance.c) */
	PROPERTY_PREVIOUS,        /* identity of the newest receipt */
	PROPERTY_PRIVATE_BY_HAND, /* the private channel was applied without a beat */
	PROPERTY_RECEIPT,         /* the newest receipt: digest of what it says, when (report.c) */
	PROPERTY_RECOVERED,       /* the newest beat says that its server was restored: when */
	PROPERTY_REQUEST,         /* the newest request to enrol: invitation and collect key */
	PROPERTY_SEAL_ASKED, /* of what the site asked for (membership.renew), what was done: number
			      */
	PROPERTY_SEAL_MADE,  /* when the present sealing key became that: seconds */
	/* A private bundle that the next sealing key opens: epoch, generation, id of the key.  When
	 * it is applied, the present key goes (sync_seal.c). */
	PROPERTY_SEAL_NEXT,
	PROPERTY_SEAL_UNKNOWN, /* the newest private bundle is sealed to a key that is not here */
	PROPERTY_SET_BACK, /* this state is that of a backup, and goes on above this receipt: number
			    */
	PROPERTY_STATEMENT,   /* digest of what a confirmation code of the newest receipt means */
	PROPERTY_TOLD_KEYS,   /* digest of what the hook keys-changed was told last */
	PROPERTY_TOLD_POLICY, /* the same of policy-changed */
	PROPERTY_UNLISTED,    /* the site does not list this workstation any more */
	PROPERTY_WIPED        /* the decommission is done */
};
/** station_property_get(s, p, ret, err): its bytes, appended to ${ret}; 1, or 0 when it is not
 * set. */
int station_property_get(struct station *s, enum station_property p, struct buf *ret,
			 struct err *err);
/** station_property_set(s, p, err): 1 when it is set, else 0. */
int station_property_set(struct station *s, enum station_property p, struct err *err);
/** station_property_put(s, p, value, err): the same value again writes nothing, so that a run which
 * changes nothing flushes nothing. */
int station_property_put(struct station *s, enum station_property p, struct bytes value,
			 struct err *err);
/** station_property_drop(s, p, err): no longer set. */
int station_property_drop(struct station *s, enum station_property p, struct err *err);
/** station_property_number(s, p, ret, err): as a number of 64 bits; 1, or 0 when it is not set or
 * not one.  station_property_put_number(s, p, value, err). */
int station_property_number(struct station *s, enum station_property p, uint64_t *ret,
			    struct err *err);
int station_property_put_number(struct station *s, enum station_property p, uint64_t value,
				struct err *err);
/** station_property_digest(s, p, ret, err): as a digest; 1, or 0 with zeros when it is not set.
 * station_property_put_digest(s, p, value, err). */
int station_property_digest(struct station *s, enum station_property p, struct digest *ret,
			    struct err *err);
int station_property_put_digest(struct station *s, enum station_property p,
				const struct digest *value, struct err *err);

/**
 * The instance: 32 random hexadecimal digits of this state directory, told in every receipt, so
 * that two copies of one workstation can be told apart.
 * station_instance_keep(s, err): make one when there is none, or when the state directory is a copy
 * of the one that it was made for.
 * station_instance_renew(s, err): make another one whatever there is.
 * station_instance_get(s, ret, err): 1, or 0 with "" when none was made.
 */
int station_instance_keep(struct station *s, struct err *err);
int station_instance_renew(struct station *s, struct err *err);
int station_instance_get(struct station *s, char ret[RECEIPT_INSTANCE + 1], struct err *err);

/** station_floor_write(s, err): the floor as it is now. */
int station_floor_write(struct station *s, struct err *err);

enum station_keys_flags { STATION_KEYS_CREATE = 1 << 0 };
/** station_keys(s, flags, ret_sign, ret_seal, err): the keys of this workstation, the caller's;
 * either may be NULL.  RC_STATE: they are gone. */
int station_keys(struct station *s, enum station_keys_flags flags, struct key_secret **ret_sign,
		 struct key_secret **ret_seal, struct err *err);
/**
 * station_codes_key(s, ret, err): the key of confirmation codes, the caller's: 1, or 0 when there
 * is none.  station_codes_make(s, ret, err): made when there is none.  Errors: as station_keys.
 */
int station_codes_key(struct station *s, struct key_secret **ret, struct err *err);
int station_codes_make(struct station *s, struct key_secret **ret, struct err *err);
/**
 * station_seal_next(s, ret, err): the sealing key that is to take the place of the present one, the
 * caller's: 1, or 0 while none is on its way.
 * station_seal_renew(s, err): make one, unless it is there already.
 * station_seal_take(s, id, err): the one called ${id} (key_seal_id) is the present one from now on,
 * and the one before is wiped; again, after a kill anywhere, ends the same.  Errors: as
 * station_keys; RC_IO.
 */
int station_seal_next(struct station *s, struct key_secret **ret, struct err *err);
int station_seal_renew(struct station *s, struct err *err);
int station_seal_take(struct station *s, const char *id, struct err *err);

#endif
