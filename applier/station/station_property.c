/* SPDX-License-Identifier: ISC */
/*
 * Counters and properties: single values under names that only this file spells.
 */
#include <string.h>

#include "applier/station/station_state.h"
#include "core/base/own.h"

static const char *counter_name(enum station_counter counter)
{
	static const char *const names[] = {
	    [COUNTER_EVENT] = "event",
	    [COUNTER_RECEIPT] = "receipt",
	    [COUNTER_REQUEST] = "request",
	};

	return names[counter];
}

static const char *property_name(enum station_property p)
{
	static const char *const names[] = {
	    [PROPERTY_ACKNOWLEDGED] = "acknowledged",
	    [PROPERTY_BEAT_ARRIVED] = "beat-arrived",
	    [PROPERTY_BEAT_FOLLOWED] = "beat-followed",
	    [PROPERTY_BY_HAND] = "by-hand",
	    [PROPERTY_DECOMMISSION] = "decommission",
	    [PROPERTY_INSTANCE] = "instance",
	    [PROPERTY_PREVIOUS] = "previous",
	    [PROPERTY_PRIVATE_BY_HAND] = "private-by-hand",
	    [PROPERTY_RECEIPT] = "receipt",
	    [PROPERTY_RECOVERED] = "recovered",
	    [PROPERTY_REQUEST] = "request",
	    [PROPERTY_SEAL_ASKED] = "seal-asked",
	    [PROPERTY_SEAL_MADE] = "seal-made",
	    [PROPERTY_SEAL_NEXT] = "seal-next",
	    [PROPERTY_SEAL_UNKNOWN] = "seal-unknown",
	    [PROPERTY_SET_BACK] = "set-back",
	    [PROPERTY_STATEMENT] = "statement",
	    [PROPERTY_TOLD_KEYS] = "told-keys",
	    [PROPERTY_TOLD_POLICY] = "told-policy",
	    [PROPERTY_UNLISTED] = "unlisted",
	    [PROPERTY_WIPED] = "wiped",
	};

	return names[p];
}

int station_next(struct station *s, enum station_counter counter, uint64_t *ret, struct err *err)
{
	int64_t value = 0;
	int rc = db_int(s->db, err, &value,
			"INSERT INTO counter (name, value) VALUES (?, 1) "
			"ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
			"t", counter_name(counter));

	if (rc < 0)
		return rc;
	*ret = (uint64_t)value;
	return 0;
}

int station_raise(struct station *s, enum station_counter counter, uint64_t to, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) "
		      "DO UPDATE SET value = excluded.value WHERE value < excluded.value",
		      "ti", counter_name(counter), (int64_t)to);
}

int station_last(struct station *s, enum station_counter counter, uint64_t *ret, struct err *err)
{
	int64_t value = 0;
	int rc = db_int(s->db, err, &value, "SELECT value FROM counter WHERE name = ?", "t",
			counter_name(counter));

	if (rc < 0)
		return rc;
	*ret = (uint64_t)value;
	return 0;
}

int station_property_get(struct station *s, enum station_property p, struct buf *ret,
			 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes value;
	int rc = db_query(s->db, "SELECT value FROM property WHERE name = ?", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", property_name(p));
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	value = db_bytes(st, 0);
	rc = buf_add(ret, value.p, value.n, err);
	return rc < 0 ? rc : 1;
}

int station_property_set(struct station *s, enum station_property p, struct err *err)
{
	OWNED(buf_clear) struct buf value = BUF_INIT;

	return station_property_get(s, p, &value, err);
}

int station_property_put(struct station *s, enum station_property p, struct bytes value,
			 struct err *err)
{
	return db_run(s->db, err,
		      "INSERT INTO property (name, value) VALUES (?, ?) ON CONFLICT (name) "
		      "DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
		      "tb", property_name(p), value);
}

int station_property_drop(struct station *s, enum station_property p, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM property WHERE name = ?", "t", property_name(p));
}

int station_property_number(struct station *s, enum station_property p, uint64_t *ret,
			    struct err *err)
{
	OWNED(buf_clear) struct buf value = BUF_INIT;
	int rc = station_property_get(s, p, &value, err);

	if (rc <= 0 || value.n != 8)
		return rc < 0 ? rc : 0;
	*ret = get_u64(value.p);
	return 1;
}

int station_property_put_number(struct station *s, enum station_property p, uint64_t value,
				struct err *err)
{
	uint8_t raw[8];

	put_u64(raw, value);
	return station_property_put(s, p, (struct bytes){raw, sizeof(raw)}, err);
}

int station_property_digest(struct station *s, enum station_property p, struct digest *ret,
			    struct err *err)
{
	OWNED(buf_clear) struct buf value = BUF_INIT;
	int rc = station_property_get(s, p, &value, err);

	memset(ret, 0, sizeof(*ret));
	if (rc <= 0 || value.n != DIGEST_BYTES)
		return rc < 0 ? rc : 0;
	memcpy(ret->b, value.p, DIGEST_BYTES);
	return 1;
}

int station_property_put_digest(struct station *s, enum station_property p,
				const struct digest *value, struct err *err)
{
	return station_property_put(s, p, (struct bytes){value->b, DIGEST_BYTES}, err);
}
