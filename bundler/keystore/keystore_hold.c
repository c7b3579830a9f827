/* SPDX-License-Identifier: ISC */
/*
 * Who holds which version.  What a workstation was sent it may have until it confirms a private
 * generation without it; what counts as confirmed is the private generation that its newest receipt
 * (or confirmation code) names.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/keystore/keystore_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Sent */

static int holding_begins(struct site *s, const char *id, const struct key_version *v,
			  uint64_t epoch, uint64_t generation, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT INTO holding(id, name, version, epoch, generation)"
		      " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(id, name, version) DO UPDATE SET"
		      " epoch = excluded.epoch, generation = excluded.generation,"
		      " gone_epoch = 0, gone_generation = 0",
		      "ttiii", id, v->name, (int64_t)v->version, (int64_t)epoch,
		      (int64_t)generation);
}

/*
 * The row stays until the workstation confirms a generation without the version.  Until then a lost
 * machine must be taken to hold it.
 */
static int holding_ends(struct site *s, const char *id, const struct key_version *v, uint64_t epoch,
			uint64_t generation, struct err *err)
{
	return db_run(s->db, err,
		      "UPDATE holding SET gone_epoch = ?4, gone_generation = ?5"
		      " WHERE id = ?1 AND name = ?2 AND version = ?3",
		      "ttiii", id, v->name, (int64_t)v->version, (int64_t)epoch,
		      (int64_t)generation);
}

/* What the generation before had, ascending. */
struct versions LIST_MEMBERS(struct key_version);

static void versions_clear(struct versions *l)
{
	list_clear(l);
}

static int sent_read(struct site *s, const char *id, struct versions *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT name, version FROM holding WHERE id = ?1 AND gone_generation = 0"
		      " ORDER BY name, version",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct key_version *v = list_add(ret, err);

		if (v == NULL)
			return err->rc;
		snprintf(v->name, sizeof(v->name), "%s", db_text(st, 0));
		v->version = (uint64_t)db_i64(st, 1);
		rc = 0;
	}
	return rc;
}

/* Rows of what is confirmed to be gone tell nothing any more. */
static int holding_prune(struct site *s, const char *id, struct err *err)
{
	return db_run(s->db, err,
		      "DELETE FROM holding WHERE id = ?1 AND gone_generation > 0 AND"
		      " (gone_epoch, gone_generation) <= (SELECT private_epoch, private_generation"
		      " FROM receipt_newest WHERE id = ?1)",
		      "t", id);
}

/*
 * Two ascending lists, walked together: what was there before and is not now ends, what is new
 * begins.
 */
int keystore_sent(struct site *s, const char *id, const struct key_version *v, size_t n,
		  uint64_t epoch, uint64_t generation, struct err *err)
{
	OWNED(versions_clear) struct versions had = {0};
	size_t i = 0, k = 0;
	int rc = holding_prune(s, id, err);

	if (rc == 0)
		rc = sent_read(s, id, &had, err);
	while (rc == 0 && (i < had.n || k < n)) {
		int order = i == had.n ? 1 : k == n ? -1 : key_version_order(&had.items[i], &v[k]);

		if (order < 0)
			rc = holding_ends(s, id, &had.items[i], epoch, generation, err);
		if (order > 0)
			rc = holding_begins(s, id, &v[k], epoch, generation, err);
		i += order <= 0 ? 1 : 0;
		k += order >= 0 ? 1 : 0;
	}
	return rc;
}

/*
 * Pruned first, so that what the machine had confirmed to be gone does not make anybody rotate a
 * key.
 */
int keystore_lost(struct site *s, const char *id, const char *name, struct err *err)
{
	int rc = holding_prune(s, id, err);

	if (rc < 0)
		return rc;
	return db_run(s->db, err,
		      "INSERT OR IGNORE INTO key_mark(name, workstation, at)"
		      " SELECT DISTINCT name, ?2, ?3 FROM holding WHERE id = ?1",
		      "tti", id, name, clock_now());
}

int keystore_forget(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "DELETE FROM holding WHERE id = ?1", "t", id);
}

/* Looking */

/*
 * Workstations that are believed and were sent any version of a key that they are to have; whether
 * the newest receipt covers the generation in which the current version came first, and says that
 * every user there was handed what they are to have.
 */
static const char holders_sql[] =
    "SELECT w.name, coalesce((r.private_epoch, r.private_generation) >= (c.epoch, c.generation)"
    " AND NOT EXISTS (SELECT 1 FROM receipt_newest_user u WHERE u.id = w.id AND u.result = "
    "'failed'), 0)"
    " FROM workstation_member w"
    " LEFT JOIN secret s ON s.name = ?1 AND s.state = 'current'"
    " LEFT JOIN holding c ON c.id = w.id AND c.name = ?1 AND c.version = s.version"
    " AND c.gone_generation = 0 LEFT JOIN receipt_newest r ON r.id = w.id"
    " WHERE w.id IN (SELECT id FROM holding WHERE name = ?1 AND gone_generation = 0)"
    " ORDER BY w.name";

static int holders_read(struct site *s, struct key_snapshot *k, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, holders_sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", k->name);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		k->holders++;
		rc = 0;
		if (db_i64(st, 1) != 0)
			continue;
		k->unconfirmed++;
		if (k->waiting.n < KEYSTORE_NAMES)
			rc = strings_add(&k->waiting, db_text(st, 0), err);
	}
	return rc;
}

static int versions_read(struct site *s, struct key_snapshot *k, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT s.version, s.state, s.made, (SELECT count(*) FROM holding h"
		      " LEFT JOIN receipt_newest r ON r.id = h.id WHERE h.name = s.name"
		      " AND h.version = s.version AND NOT (h.gone_generation > 0 AND"
		      " coalesce((h.gone_epoch, h.gone_generation) <="
		      " (r.private_epoch, r.private_generation), 0))) FROM secret s"
		      " WHERE s.name = ?1 ORDER BY s.version",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", k->name);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct key_snapshot_version *v = list_add(&k->version, err);

		if (v == NULL)
			return err->rc;
		v->version = (uint64_t)db_i64(st, 0);
		v->state = key_version_state_of(db_text(st, 1));
		v->made = db_i64(st, 2);
		v->holders = (uint64_t)db_i64(st, 3);
		rc = 0;
	}
	return rc;
}

static int marks_read(struct site *s, struct key_snapshot *k, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT workstation, at FROM key_mark WHERE name = ?1 ORDER BY workstation",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", k->name);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct key_mark *mark = list_add(&k->mark, err);

		if (mark == NULL)
			return err->rc;
		snprintf(mark->workstation, sizeof(mark->workstation), "%s", db_text(st, 0));
		mark->at = db_i64(st, 1);
		rc = 0;
	}
	return rc;
}

void key_snapshot_clear(struct key_snapshot *k)
{
	strings_clear(&k->waiting);
	list_clear(&k->version);
	list_clear(&k->mark);
	*k = (struct key_snapshot){.holders = 0};
}

int keystore_describe(struct site *s, const char *name, struct key_snapshot *ret, struct err *err)
{
	OWNED(key_snapshot_clear) struct key_snapshot k = {.holders = 0};
	int rc;

	snprintf(k.name, sizeof(k.name), "%s", name);
	rc = versions_read(s, &k, err);
	if (rc == 0 && k.version.n == 0)
		rc = err_set(err, RC_USAGE, "the key store has no key %s", name);
	if (rc == 0)
		rc = holders_read(s, &k, err);
	if (rc == 0)
		rc = marks_read(s, &k, err);
	if (rc < 0)
		return rc;
	*ret = k;
	k = (struct key_snapshot){.holders = 0};
	return 0;
}

int keystore_marked(struct site *s, uint64_t *ret, char ret_first[WORD_NAME], struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT count(DISTINCT name), min(name) FROM key_mark", &st, err);

	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc < 0)
		return rc;
	*ret = (uint64_t)db_i64(st, 0);
	snprintf(ret_first, WORD_NAME, "%s", db_text(st, 1));
	return 0;
}

/* Withdrawing */

static const struct key_snapshot_version *version_find(const struct key_snapshot *k,
						       uint64_t version)
{
	for (size_t i = 0; i < k->version.n; i++) {
		if (k->version.items[i].version == version)
			return &k->version.items[i];
	}
	return NULL;
}

/* Who has not confirmed yet, as far as a sentence takes them. */
static void waiting_text(const struct key_snapshot *k, char dst[256])
{
	size_t used = 0;

	for (size_t i = 0; i < k->waiting.n && i < 3; i++)
		used += (size_t)snprintf(dst + used, 256 - used, "%s%.60s", i > 0 ? ", " : "",
					 k->waiting.items[i]);
	if (k->unconfirmed > 3)
		snprintf(dst + used, 256 - used, " and %" PRIu64 " more", k->unconfirmed - 3);
}

/*
 * Two different dangers, each with a way out of its own: a holder that would be left with no
 * version, which waiting cures, and old data, which only a person can judge.
 */
static int withdraw_check(const struct key_snapshot *k, enum keystore_flags flags, struct err *err)
{
	char who[256] = "";

	if (k->unconfirmed > 0) {
		waiting_text(k, who);
		return err_set(err, RC_CONFLICT,
			       "not every holder of key %s has confirmed its current version: "
			       "waiting for %s",
			       k->name, who);
	}
	if ((flags & KEYSTORE_DATA_MAY_NEED_IT) == 0)
		return err_set(err, RC_CONFLICT,
			       "data that only an old version of key %s can decrypt becomes "
			       "unreadable where that version is withdrawn; if this is meant, add "
			       "--data-may-need-it",
			       k->name);
	return 0;
}

/* ${version} is one that can be withdrawn; 0: there is one. */
static int version_check(const struct key_snapshot *k, uint64_t version, struct err *err)
{
	const struct key_snapshot_version *v = version_find(k, version);

	for (size_t i = 0; version == 0 && i < k->version.n; i++) {
		if (k->version.items[i].state == KEY_VERSION_RETIRING)
			return 0;
	}
	if (version == 0)
		return err_set(err, RC_USAGE, "key %s has no old version that is handed out",
			       k->name);
	if (v == NULL)
		return err_set(err, RC_USAGE, "key %s has no version %" PRIu64, k->name, version);
	if (v->state == KEY_VERSION_CURRENT)
		return err_set(err, RC_USAGE,
			       "version %" PRIu64
			       " of key %s is the current one: satchel key rotate %s makes another",
			       version, k->name, k->name);
	if (v->state == KEY_VERSION_WITHDRAWN)
		return err_set(err, RC_USAGE, "version %" PRIu64 " of key %s is withdrawn already",
			       version, k->name);
	return 0;
}

/*
 * The state is looked at and changed in one transaction: a workstation that was sent the key in
 * between has not confirmed the current version, and a rotation makes another one current.
 */
static int withdraw(struct site *s, const char *name, uint64_t version, enum keystore_flags flags,
		    struct err *err)
{
	OWNED(key_snapshot_clear) struct key_snapshot k = {.holders = 0};
	int rc = keystore_describe(s, name, &k, err);

	if (rc == 0)
		rc = version_check(&k, version, err);
	if (rc == 0)
		rc = withdraw_check(&k, flags, err);
	if (rc < 0)
		return rc;
	return db_run(s->db, err,
		      "UPDATE secret SET state = 'withdrawn' WHERE name = ?1 AND state = 'retiring'"
		      " AND (?2 = 0 OR version = ?2)",
		      "ti", name, (int64_t)version);
}

int keystore_withdraw(struct site *s, const char *name, uint64_t version, enum keystore_flags flags,
		      struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_join(&tx, s->db, err);

	if (rc == 0)
		rc = withdraw(s, name, version, flags, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

/* As retiring, never as current: nobody should encrypt anything new with it. */
static int restore(struct site *s, const char *name, uint64_t version, struct err *err)
{
	OWNED(key_snapshot_clear) struct key_snapshot k = {.holders = 0};
	const struct key_snapshot_version *v;
	size_t handed_out = 0;
	int rc = keystore_describe(s, name, &k, err);

	if (rc < 0)
		return rc;
	v = version_find(&k, version);
	if (v == NULL || v->state != KEY_VERSION_WITHDRAWN)
		return err_set(err, RC_USAGE, "key %s has no withdrawn version %" PRIu64, name,
			       version);
	for (size_t i = 0; i < k.version.n; i++)
		handed_out += k.version.items[i].state == KEY_VERSION_WITHDRAWN ? 0 : 1;
	if (handed_out >= KEYSTORE_VERSIONS)
		return err_set(err, RC_LIMIT, "%zu versions of key %s are handed out already",
			       handed_out, name);
	return db_run(s->db, err,
		      "UPDATE secret SET state = 'retiring' WHERE name = ?1 AND version = ?2", "ti",
		      name, (int64_t)version);
}

int keystore_restore(struct site *s, const char *name, uint64_t version, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_join(&tx, s->db, err);

	if (rc == 0)
		rc = restore(s, name, version, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}
