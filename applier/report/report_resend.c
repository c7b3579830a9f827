/* SPDX-License-Identifier: ISC */
/*
 * Asking for contents again that were changed here and that nothing at hand has.
 */
#include <stdio.h>
#include <string.h>

#include "applier/report/outbox.h"
#include "applier/report/report.h"
#include "applier/station/station_state.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static int request_queue(struct station *s, struct request *r, const struct key_secret *sign,
			 struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	int rc = station_next(s, COUNTER_REQUEST, &r->sequence, err);

	if (rc == 0)
		rc = request_encode(r, &inner, err);
	return rc < 0 ? rc
		      : outbox_put(s, OUTBOX_RESEND, r->sequence, bytes_in(&inner), sign, s->id,
				   trust_collect(&s->trust), err);
}

int report_resend(struct station *s, const char *channel, uint64_t generation,
		  const struct digest *content, size_t n, struct err *err)
{
	OWNED(freep) struct request *r = calloc(1, sizeof(*r));
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc;

	if (r == NULL)
		return err_memory(err);
	if (trust_collect(&s->trust) == NULL)
		return err_set(err, RC_MALFORMED, "the site %s has no collect key", s->trust.name);
	*r = (struct request){
	    .site = s->site, .kind = "resend", .written = clock_now(), .generation = generation};
	memcpy(r->workstation, s->id, sizeof(r->workstation));
	snprintf(r->channel, sizeof(r->channel), "%s", channel);
	r->contents = n < REQUEST_CONTENTS ? n : REQUEST_CONTENTS;
	memcpy(r->content, content, r->contents * sizeof(*content));
	rc = station_keys(s, 0, &sign, NULL, err);
	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = request_queue(s, r, sign, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}
