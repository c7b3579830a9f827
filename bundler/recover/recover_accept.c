/* SPDX-License-Identifier: ISC */
/*
 * A workstation that is held apart joins again: who is active there, and which versions of keys it
 * has, is taken over from what it says, because a person named it.  Then its private channel can be
 * made of what this registry knows without taking anything away.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bundler/activation/activation.h"
#include "bundler/documents/documents.h"
#include "bundler/keystore/keystore.h"
#include "bundler/private/private.h"
#include "bundler/receipts/receipts.h"
#include "bundler/recover/recover_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/trust/site_keys.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/trust/signed.h"

#define SECRET_BYTES 32

void recover_accepted_clear(struct recover_accepted *a)
{
	strings_clear(&a->user);
	strings_clear(&a->key);
}

/* Users */

struct said_user {
	char email[USER_EMAIL], account[ACCOUNT_NAME];
};
struct said_users LIST_MEMBERS(struct said_user);

static void said_users_clear(struct said_users *l)
{
	list_clear(l);
}

static int users_said(struct db *db, const char *id, struct said_users *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db,
			  "SELECT u.email, u.account FROM receipt_newest_user u LEFT JOIN"
			  " activation_any a ON a.id = u.id AND a.email = u.email WHERE u.id = ?1"
			  " AND a.id IS NULL ORDER BY u.email",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		struct said_user *u = list_add(ret, err);

		if (u == NULL)
			return err->rc;
		snprintf(u->email, sizeof(u->email), "%s", db_text(st, 0));
		snprintf(u->account, sizeof(u->account), "%s", db_text(st, 1));
		rc = 0;
	}
	return rc;
}

static int users_take(struct site *s, const char *id, struct recover_accepted *ret, struct err *err)
{
	OWNED(said_users_clear) struct said_users l = {.n = 0};
	int rc = users_said(s->db, id, &l, err);

	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		if (site_user(s, l.items[i].email) == NULL)
			continue; /* whoever has no document any more is to have nothing */
		rc = activation_grant(s->db, id, l.items[i].email, l.items[i].account, "recovered",
				      clock_now(), err);
		if (rc == 0)
			rc = strings_add(&ret->user, l.items[i].email, err);
	}
	return rc;
}

/* Keys: "NAME VERSION HEX\n", sealed to the collect key. */

static int key_take(struct site *s, struct keystore *k, const char *line, size_t n,
		    struct recover_accepted *ret, struct err *err)
{
	char text[400], name[WORD_NAME], hex[2 * SECRET_BYTES + 1];
	uint8_t secret[SECRET_BYTES];
	uint64_t version;
	int rc = 0;

	if (n >= sizeof(text))
		return 0;
	memcpy(text, line, n);
	text[n] = '\0';
	if (sscanf(text, "%63s %" SCNu64 " %64s", name, &version, hex) == 3 && version > 0 &&
	    version <= LIMIT_NUMBER && site_key_document(s, name) != NULL &&
	    hex_decode(secret, sizeof(secret), hex, ERR_IGNORED) == 0)
		rc = keystore_take(k, name, version, (struct bytes){secret, sizeof(secret)}, err);
	snprintf(text, sizeof(text), "%s.%" PRIu64, name, version);
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(hex, sizeof(hex));
	return rc == 1 ? strings_add(&ret->key, text, err) : rc;
}

static int keys_take(struct site *s, const char *id, struct recover_accepted *ret, struct err *err)
{
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	OWNED(buf_clear) struct buf text = BUF_SECRET;
	OWNED(key_freep) struct key_secret *collect = NULL;
	OWNED(keystore_freep) struct keystore *k = NULL;
	const char *at, *end;
	int rc = receipts_returned(s->db, id, &sealed, err);

	if (rc <= 0)
		return rc;
	rc = site_key(s, ROLE_COLLECT, &collect, err);
	if (rc == 0)
		rc = sealed_open(collect, bytes_in(&sealed), &text, err);
	if (rc == 0)
		rc = keystore_new(s, &k, err);
	at = (const char *)text.p;
	end = at + text.n;
	while (rc == 0 && at < end) {
		const char *next = memchr(at, '\n', (size_t)(end - at));

		next = next == NULL ? end : next;
		rc = key_take(s, k, at, (size_t)(next - at), ret, err);
		at = next + 1;
	}
	return rc;
}

static int accept_run(struct site *s, const struct workstation *w, struct recover_accepted *ret,
		      struct err *err)
{
	int rc = users_take(s, w->id, ret, err);

	if (rc == 0)
		rc = keys_take(s, w->id, ret, err);
	if (rc == 0)
		rc = private_rejoin(s->db, w->id, err);
	if (rc == 0)
		rc = receipts_returned_drop(s->db, w->id, err);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "accepted", w->name,
					"%s is not held apart any more: users taken over: %zu, "
					"versions of keys: %zu",
					w->name, ret->user.n, ret->key.n);
}

/* Before it has said, in a receipt since the recovery, what it has, nobody knows. */
static int heard_check(struct site *s, const struct workstation *w, struct err *err)
{
	int64_t heard = 0;
	int rc = db_int(s->db, err, &heard,
			"SELECT r.recorded >= a.since AND r.private_generation >= a.generation FROM"
			" private_held_apart a JOIN receipt_newest r ON r.id = a.id"
			" WHERE a.id = ?1",
			"t", w->id);

	if (rc < 0 || heard == 1)
		return rc < 0 ? rc : 0;
	return err_set(err, RC_CONFLICT,
		       "%s has not said yet what it has: let it sync once after satchel publish, "
		       "and collect its receipt",
		       w->name);
}

int recover_accept(struct site *s, const char *name, struct recover_accepted *ret, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct workstation w;
	int rc = workstation_member_by_name(s->db, name, &w, err);

	if (rc == 0)
		return err_set(err, RC_USAGE,
			       "no workstation called %s is enrolled: satchel workstation list "
			       "shows them",
			       name);
	if (rc == 1)
		rc = private_is_apart(s->db, w.id, err);
	if (rc <= 0)
		return rc;
	rc = heard_check(s, &w, err);
	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = accept_run(s, &w, ret, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	return rc < 0 ? rc : 1;
}
