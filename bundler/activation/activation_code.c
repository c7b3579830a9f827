/* SPDX-License-Identifier: ISC */
/*
 * Activation codes.  What a code says is its secret; it lies in the registry and nowhere else, and
 * a request proves to know it (activation_proof in core/trust/code.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/activation/activation.h"
#include "bundler/documents/documents.h"
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define DAY_SECONDS 86400
#define PREFIX_MIN  8

/*
 * A code for an address that nobody has would be refused when it is used, far away, where nobody
 * can tell why.
 */
static int user_known(struct site *s, const char *email, struct err *err)
{
	if (site_user(s, email) != NULL)
		return 0;
	return err_set(err, RC_USAGE, "there is no user %s: satchel user list shows them", email);
}

int activation_code_make(struct site *s, const char *email, uint64_t uses, uint64_t days,
			 char dst[ACTIVATION_TEXT + 1], struct activation_code *ret,
			 struct err *err)
{
	struct activation_code c = {.created = clock_now(), .uses = uses};
	struct activation in;
	int rc;

	if (uses == 0 || uses > ACTIVATION_USES_MAX)
		return err_set(err, RC_USAGE, "a code is good for 1 to %u workstations",
			       ACTIVATION_USES_MAX);
	if (days > ACTIVATION_DAYS_MAX)
		return err_set(err, RC_USAGE, "a code is good for at most %u days",
			       ACTIVATION_DAYS_MAX);
	rc = user_known(s, email, err);
	if (rc == 0)
		rc = activation_make(&s->id, c.created + (int64_t)days * DAY_SECONDS, &in, err);
	if (rc < 0)
		return rc;
	activation_id(c.id, in.secret);
	snprintf(c.email, sizeof(c.email), "%s", email);
	c.expires = in.last_day;
	rc = db_run(s->db, err,
		    "INSERT INTO activation_code(id, email, secret, created, expires, uses)"
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
		    "ttiiii", c.id, c.email, (int64_t)in.secret, c.created, c.expires,
		    (int64_t)c.uses);
	if (rc == 0) {
		activation_text(dst, &in);
		*ret = c;
	}
	sodium_memzero(&in, sizeof(in));
	return rc;
}

/* code_read(st, ret): from columns id, email, created, expires, uses, used, revoked. */
static void code_read(sqlite3_stmt *st, struct activation_code *ret)
{
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->email, sizeof(ret->email), "%s", db_text(st, 1));
	ret->created = db_i64(st, 2);
	ret->expires = db_i64(st, 3);
	ret->uses = (uint64_t)db_i64(st, 4);
	ret->used = (uint64_t)db_i64(st, 5);
	ret->revoked = db_i64(st, 6);
}

int activation_codes(struct site *s, const char *email,
		     int (*each)(void *arg, const struct activation_code *c, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT id, email, created, expires, uses, used, revoked FROM activation_code"
		      " WHERE ?1 IS NULL OR email = ?1 ORDER BY created DESC, id",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", email);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct activation_code c = {.used = 0};

		code_read(st, &c);
		rc = each(arg, &c, err);
	}
	return rc;
}

int activation_code_by_id(struct db *db, const char *id, struct activation_code *ret,
			  uint64_t *ret_secret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(db,
		      "SELECT id, email, created, expires, uses, used, revoked, secret"
		      " FROM activation_code WHERE id = ?1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc != 1)
		return rc;
	code_read(st, ret);
	*ret_secret = (uint64_t)db_i64(st, 7);
	return 1;
}

/* id_of(which, dst, err): the digits of an id, or the id of a code as it was typed. */
static int id_of(const char *which, char dst[17], struct err *err)
{
	struct activation in;
	size_t n = strlen(which);

	if (n <= 16 && strspn(which, "0123456789abcdef") == n) {
		if (n < PREFIX_MIN)
			return err_set(err, RC_USAGE,
				       "at least %d digits of the code's id are needed: satchel "
				       "user codes shows them",
				       PREFIX_MIN);
		memcpy(dst, which, n + 1);
		return 0;
	}
	if (activation_parse(which, &in, err) < 0)
		return err_prefix(err, "that is not the id of a "
				       "code"); /* but nearly one, perhaps */
	activation_id(dst, in.secret);
	sodium_memzero(&in, sizeof(in));
	return 0;
}

/*
 * 'g' stands above all hexadecimal digits, so the range is that of the prefix and the index finds
 * it; two rows are enough to know that it is not one.
 */
static int code_find(struct site *s, const char *which, struct activation_code *ret,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	size_t found = 0;
	char id[17];
	int rc;

	rc = id_of(which, id, err);
	if (rc == 0)
		rc = db_query(s->db,
			      "SELECT id, email, created, expires, uses, used, revoked"
			      " FROM activation_code WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2",
			      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		code_read(st, ret);
		found++;
		rc = 0;
	}
	if (rc < 0)
		return rc;
	if (found == 0)
		return err_set(err, RC_USAGE,
			       "there is no activation code %s: satchel user codes shows them", id);
	if (found > 1)
		return err_set(err, RC_USAGE, "more than one code begins with %s: give more digits",
			       id);
	return 0;
}

/* Who was activated with it stays active: the code was needed for that moment only. */
static int revoke_now(struct site *s, const struct activation_code *c, struct err *err)
{
	int rc = db_run(s->db, err, "UPDATE activation_code SET revoked = ?1 WHERE id = ?2", "it",
			c->revoked, c->id);

	return rc < 0
		   ? rc
		   : registry_eventf(s->db, err, "activation-code", c->email,
				     "the activation code %s of %s was revoked", c->id, c->email);
}

int activation_code_revoke(struct site *s, const char *which, struct activation_code *ret,
			   struct err *err)
{
	struct activation_code c = {.used = 0};
	int rc = code_find(s, which, &c, err);

	if (rc == 0 && c.revoked == 0) {
		OWNED(db_tx_end) struct db_tx tx = {0};

		c.revoked = clock_now();
		rc = db_tx_begin(&tx, s->db, err);
		if (rc == 0)
			rc = revoke_now(s, &c, err);
		if (rc == 0)
			rc = db_tx_commit(&tx, err);
	}
	if (rc == 0)
		*ret = c;
	return rc;
}
