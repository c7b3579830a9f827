/* SPDX-License-Identifier: ISC */
/*
 * Renewing the sealing key, so that a machine which is stolen does not open what was copied off
 * depots before its last renewal.
 *
 *   begun    the next key is made, and every receipt tells it to the server.  Both keys are kept
 *   opened   a private bundle that the next one opens shows that the server knows it; which bundle
 *            that is is written down before it is applied
 *   settled  when it is applied, the next key takes the place of the one before, which is wiped
 *
 * Where nothing comes back to the server a renewal would never end, and none is begun: a receipt
 * must have been acknowledged first.  A server or a workstation that was restored from a backup may
 * seal to, or have, a key that is gone: every receipt tells the present one again, and the next
 * bundle is sealed to that.
 */
#include <stdio.h>
#include <string.h>

#include "applier/apply/applied.h"
#include "applier/report/event.h"
#include "applier/station/station_state.h"
#include "applier/sync/sync_internal.h"
#include "core/base/own.h"

/*
 * Seconds that a sealing key is used.  A renewal costs a receipt and a private bundle, so not every
 * day; what a thief can open of old copies is a month's, because he has the time that it takes to
 * read them, and a machine that is away for longer renews when it is back.
 */
#define SEAL_LASTS (30 * 86400)
/* A site may enrol all its machines on one day; they do not renew on one day. */
#define SEAL_SPREAD 3600 /* for each of 256 steps: up to 10 days less */

/* PROPERTY_SEAL_NEXT */
#define NEXT_BYTES (16 + KEY_SEAL_ID)

static int next_note(struct sync *y, const struct manifest *m, const struct key_secret *next,
		     struct err *err)
{
	struct key_public is = key_public_of(next);
	uint8_t raw[NEXT_BYTES];
	char id[KEY_SEAL_ID + 1];

	if (y->flags & SYNC_DRY_RUN)
		return 0;
	key_seal_id(id, &is);
	put_u64(raw, m->epoch);
	put_u64(raw + 8, m->generation);
	memcpy(raw + 16, id, KEY_SEAL_ID);
	return station_property_put(y->s, PROPERTY_SEAL_NEXT, (struct bytes){raw, sizeof(raw)},
				    err);
}

/* Once, not in every run: it stays so until the server has read a receipt of now. */
static int unknown_note(struct sync *y, struct err *err)
{
	int rc = station_property_set(y->s, PROPERTY_SEAL_UNKNOWN, err);

	if (rc != 0 || (y->flags & SYNC_DRY_RUN))
		return rc < 0 ? rc : 0;
	rc = station_property_put(y->s, PROPERTY_SEAL_UNKNOWN, bytes_of("1"), err);
	return rc < 0
		   ? rc
		   : station_event(y->s, "sealing",
				   "the private channel is sealed to a key that this machine does "
				   "not have: the server or this machine was restored from a "
				   "backup",
				   err);
}

static int present_open(struct sync *y, const struct manifest *m, struct content_key **ret,
			struct err *err)
{
	OWNED(key_freep) struct key_secret *seal = NULL;
	struct err bad = {0};
	int rc = station_keys(y->s, 0, NULL, &seal, err);

	if (rc < 0)
		return rc;
	rc = content_key_open(seal, m, ret, &bad);
	if (rc == RC_UNTRUSTED) {
		rc = unknown_note(y, err);
		return rc < 0
			   ? rc
			   : err_set(err, RC_AGAIN,
				     "it is sealed to a key that this machine does not have: the "
				     "next receipt tells the server the present one");
	}
	if (rc < 0)
		return err_set(err, rc, "%s", bad.text);
	return y->flags & SYNC_DRY_RUN ? 0 : station_property_drop(y->s, PROPERTY_SEAL_NEXT, err);
}

int sync_seal_open(struct sync *y, const struct manifest *m, struct content_key **ret,
		   struct err *err)
{
	OWNED(content_key_freep) struct content_key *key = NULL;
	OWNED(key_freep) struct key_secret *next = NULL;
	int rc = station_seal_next(y->s, &next, err);

	if (rc < 0)
		return rc;
	if (rc == 1 && content_key_open(next, m, &key, ERR_IGNORED) == 0)
		rc = next_note(y, m, next, err);
	else
		rc = present_open(y, m, &key, err);
	if (rc == 0 && !(y->flags & SYNC_DRY_RUN))
		rc = station_property_drop(y->s, PROPERTY_SEAL_UNKNOWN, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(key);
	return 0;
}

int sync_seal_settle(struct sync *y, struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	struct applied now, opened = {0};
	char id[KEY_SEAL_ID + 1] = "";
	int rc = y->s->end != STATION_STAYS
		     ? 0
		     : station_property_get(y->s, PROPERTY_SEAL_NEXT, &was, err);

	if (rc <= 0 || was.n != NEXT_BYTES)
		return rc < 0 ? rc : 0;
	opened.epoch = get_u64(was.p);
	opened.generation = get_u64(was.p + 8);
	memcpy(id, was.p + 16, KEY_SEAL_ID);
	rc = applied_load(y->s, TREE_PRIVATE, &now, err);
	if (rc < 0 || applied_later(&opened, &now))
		return rc;
	rc = station_seal_take(y->s, id, err);
	if (rc == 0)
		rc = station_property_put_number(y->s, PROPERTY_SEAL_MADE,
						 (uint64_t)station_now(y->s), err);
	return rc < 0 ? rc : station_property_drop(y->s, PROPERTY_SEAL_NEXT, err);
}

/* A clock that was far ahead when the key was made does not make it last for ever. */
static int seal_due(struct station *s, struct err *err)
{
	int64_t lasts = SEAL_LASTS - (int64_t)shard_of(s->id) * SEAL_SPREAD;
	int64_t now = station_now(s), age;
	uint64_t made = 0;
	int rc = station_property_number(s, PROPERTY_SEAL_MADE, &made, err);

	if (rc < 0)
		return rc;
	age = now - (int64_t)made;
	return age >= lasts || -age >= lasts;
}

/* The site says so: once for each time that it was asked. */
static int seal_asked(struct sync *y, struct err *err)
{
	uint64_t asked = y->wanted.read ? y->wanted.membership.renew : 0, done = 0;
	int rc = station_property_number(y->s, PROPERTY_SEAL_ASKED, &done, err);

	if (rc < 0 || asked <= done)
		return rc < 0 ? rc : 0;
	rc = station_seal_renew(y->s, err);
	return rc < 0 ? rc : station_property_put_number(y->s, PROPERTY_SEAL_ASKED, asked, err);
}

int sync_seal_renew(struct sync *y, struct err *err)
{
	OWNED(key_freep) struct key_secret *codes = NULL;
	uint64_t acknowledged = 0;
	int rc = y->s->end != STATION_STAYS
		     ? 0
		     : station_property_number(y->s, PROPERTY_ACKNOWLEDGED, &acknowledged, err);

	if (rc <= 0 || acknowledged == 0)
		return rc < 0 ? rc : 0;
	/* Of a machine that enrolled before there was one. */
	rc = station_codes_make(y->s, &codes, err);
	if (rc == 0)
		rc = seal_asked(y, err);
	if (rc == 0)
		rc = seal_due(y->s, err);
	return rc <= 0 ? rc : station_seal_renew(y->s, err);
}
