/* SPDX-License-Identifier: ISC */
/*
 * Asking again, without a person: a server that lost its registry does not know this machine any
 * more, and says in its beat that it lost something.  The machine keeps what it has, and sends the
 * request of a machine that nobody invited, with the keys that it has: an administrator approves it
 * from there, by the fingerprint that its documents or its owner know.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "applier/enrol/enrol.h"
#include "applier/report/outbox.h"
#include "applier/station/station_state.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static int request_make(struct station *s, uint64_t sequence, const struct key_secret *sign,
			const struct key_secret *seal, struct buf *ret, struct err *err)
{
	OWNED(key_freep) struct key_secret *codes = NULL;
	struct request r = {.site = s->site, .sequence = sequence, .written = clock_now()};
	int rc = station_codes_key(s, &codes, err);

	if (rc < 0)
		return rc;
	snprintf(r.kind, sizeof(r.kind), "enrol");
	memcpy(r.workstation, s->id, sizeof(r.workstation));
	memcpy(r.name, s->name, sizeof(r.name));
	r.sign = key_public_of(sign);
	r.seal = key_public_of(seal);
	if (codes != NULL)
		r.codes = key_public_of(codes);
	return request_encode(&r, ret, err);
}

static int request_send(struct station *s, const char *what, struct err *err)
{
	OWNED(key_freep) struct key_secret *sign = NULL, *seal = NULL;
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(db_tx_end) struct db_tx tx = {0};
	uint64_t sequence = 0;
	int rc = station_keys(s, 0, &sign, &seal, err);

	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = station_next(s, COUNTER_REQUEST, &sequence, err);
	if (rc == 0)
		rc = request_make(s, sequence, sign, seal, &inner, err);
	if (rc == 0)
		rc = outbox_put(s, OUTBOX_REQUEST, sequence, bytes_in(&inner), sign, s->id,
				trust_collect(&s->trust), err);
	if (rc == 0)
		rc = station_property_put(s, PROPERTY_REQUEST, bytes_of(what), err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int enrol_again(struct station *s, struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	char what[64], to[17];
	uint64_t recovered = 0;
	int rc = station_property_number(s, PROPERTY_RECOVERED, &recovered, err);

	if (rc <= 0 || trust_collect(&s->trust) == NULL)
		return rc < 0 ? rc : 0;
	key_seal_id(to, trust_collect(&s->trust));
	snprintf(what, sizeof(what), "again %" PRIu64 " %s", recovered, to);
	rc = station_property_get(s, PROPERTY_REQUEST, &was, err);
	if (rc < 0 || (rc == 1 && bytes_equal(bytes_in(&was), bytes_of(what))))
		return rc < 0 ? rc : 0;
	return request_send(s, what, err);
}
