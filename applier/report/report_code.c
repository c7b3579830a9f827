/* SPDX-License-Identifier: ISC */
/*
 * The confirmation code: the newest receipt, said aloud.
 */
#include <stdio.h>
#include <string.h>

#include "applier/private/private.h"
#include "applier/report/report.h"
#include "applier/report/report_internal.h"
#include "applier/station/station_state.h"
#include "core/base/own.h"
#include "core/format/documents/confirm.h"

/* Why there is none, in the order in which a person can do something about it. */
static int why_not(const struct receipt *r, struct err *err)
{
	if (r->private_generation == 0)
		return err_set(err, RC_AGAIN, "nothing has been applied yet");
	for (size_t i = 0; i < r->channels; i++) {
		const struct receipt_channel *c = &r->channel[i];

		if (strcmp(c->result, "left") == 0)
			continue;
		if (c->drift > 0 || c->deviations > 0)
			return err_set(err, RC_CONFLICT,
				       "channel %s differs from what was published: satchel drift",
				       c->name);
		if (strcmp(c->result, "applied") != 0 && strcmp(c->result, "current") != 0)
			return err_set(err, RC_CONFLICT, "channel %s is %s", c->name, c->result);
	}
	for (size_t i = 0; i < r->users; i++)
		if (strcmp(r->user[i].result, "handed-out") != 0)
			return err_set(err, RC_CONFLICT, "the hand-out to %s is %s",
				       r->user[i].email, r->user[i].result);
	return err_set(err, RC_CONFLICT, "what is applied is not what it should be");
}

int report_statement(const struct receipt *r, struct digest *ret, struct err *err)
{
	OWNED(buf_clear) struct buf statement = BUF_INIT;
	int rc = confirm_statement(r, &statement, err);

	if (rc == 0)
		*ret = digest_of(bytes_in(&statement));
	return rc;
}

/* The code counts as the newest receipt, so nothing that it speaks of may have changed since. */
static int newest_check(struct station *s, struct receipt *r, struct err *err)
{
	struct digest was, is;
	int rc = station_last(s, COUNTER_RECEIPT, &r->sequence, err);

	if (rc == 0)
		rc = station_property_digest(s, PROPERTY_STATEMENT, &was, err);
	if (rc >= 0 && report_statement(r, &is, err) < 0)
		rc = err->rc;
	if (rc < 0)
		return rc;
	if (r->sequence == 0 || rc == 0 || !digest_equal(&was, &is))
		return err_set(err, RC_AGAIN,
			       "something has changed since the newest receipt: satchel sync");
	return 0;
}

/* The key that the server knows for this: what the private channel names, or the one that this
 * machine enrolled with, from before there was one for codes. */
static int code_key(struct station *s, struct key_secret **ret, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(key_freep) struct key_secret *codes = NULL;
	struct membership m = {.codes = ""};
	struct key_public is;
	char id[KEY_SEAL_ID + 1];
	int rc = private_open(s, &t, err);

	if (rc == 0)
		rc = private_membership(&t, &m, err);
	if (rc == 0)
		rc = station_codes_key(s, &codes, err);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		is = key_public_of(codes);
		key_seal_id(id, &is);
		if (strcmp(id, m.codes) == 0) {
			*ret = TAKE(codes);
			return 0;
		}
	}
	return station_keys(s, 0, NULL, ret, err);
}

int report_code(struct station *s, char dst[CONFIRM_TEXT + 1], struct err *err)
{
	OWNED(receipt_clear) struct receipt r = {0};
	OWNED(key_freep) struct key_secret *key = NULL;
	OWNED(buf_clear) struct buf statement = BUF_INIT;
	const struct key_public *collect = trust_collect(&s->trust);
	struct confirm code;
	struct key_public own;
	int rc;

	if (s->end != STATION_STAYS)
		return err_set(err, RC_STATE, "this workstation was decommissioned");
	if (collect == NULL)
		return err_set(err, RC_MALFORMED, "the site %s has no collect key", s->trust.name);
	rc = report_fill(s, &r, err);
	if (rc == 0 && !confirm_good(&r))
		return why_not(&r, err);
	if (rc == 0)
		rc = newest_check(s, &r, err);
	if (rc == 0)
		rc = confirm_statement(&r, &statement, err);
	if (rc == 0)
		rc = code_key(s, &key, err);
	if (rc < 0)
		return rc;
	own = key_public_of(key);
	rc = confirm_make(key, &own, collect, s->id, r.sequence, bytes_in(&statement), &code, err);
	if (rc == 0)
		confirm_text(dst, &code);
	return rc;
}
