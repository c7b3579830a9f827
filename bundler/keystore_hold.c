/*
 * Who holds which version.  What a workstation was sent it may have until it confirms a private
 * generation without it; what counts as confirmed is the private generation that its newest receipt
 * (or confirmation code) names.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/keystore_internal.h"
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
struct held_list {
	struct key_version *v; /* owned */
	size_t n, cap;
};

static void held_clear(struct held_list *l)
{
	free(l->v);
}

static int held_read(struct site *s, const char *id, struct held_list *ret, struct err *err)
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
		if (ret->n == ret->cap) {
			size_t cap = ret->cap == 0 ? 16 : ret->cap * 2;
			struct key_version *more = reallocarray(ret->v, cap, sizeof(*more));

			if (more == NULL)
				return err_memory(err);
			ret->v = more;
			ret->cap = cap;
		}
		snprintf(ret->v[ret->n].name, sizeof(ret->v[0].name), "%s", db_text(st, 0));
		ret->v[ret->n++].version = (uint64_t)db_i64(st, 1);
		rc = 0;
	}
	return rc;
}

/* Rows of what is confirmed to be gone tell nothing any more. */
static int holding_forget(struct site *s, const char *id, struct err *err)
{
	return db_run(s->db, err,
		      "DELETE FROM holding WHERE id = ?1 AND gone_generation > 0 AND"
		      " (gone_epoch, gone_generation) <= (SELECT private_epoch, private_generation"
		      " FROM receipt WHERE id = ?1)",
		      "t", id);
}

int keystore_sent(struct site *s, const char *id, const struct key_version *v, size_t n,
		  uint64_t epoch, uint64_t generation, struct err *err)
{
	OWNED(held_clear) struct held_list had = {0};
	size_t i = 0, k = 0;
	int rc = holding_forget(s, id, err);

	if (rc == 0)
		rc = held_read(s, id, &had, err);
	while (rc == 0 && (i < had.n || k < n)) {
		int order = i == had.n ? 1 : k == n ? -1 : key_version_order(&had.v[i], &v[k]);

		if (order < 0)
			rc = holding_ends(s, id, &had.v[i], epoch, generation, err);
		if (order > 0)
			rc = holding_begins(s, id, &v[k], epoch, generation, err);
		i += order <= 0 ? 1 : 0;
		k += order >= 0 ? 1 : 0;
	}
	return rc;
}

int keystore_lost(struct site *s, const char *id, const char *name, struct err *err)
{
	int rc = holding_forget(s, id, err);

	if (rc < 0)
		return rc;
	return db_run(s->db, err,
		      "INSERT OR IGNORE INTO key_mark(name, workstation, at)"
		      " SELECT DISTINCT name, ?2, ?3 FROM holding WHERE id = ?1",
		      "tti", id, name, clock_now());
}

/* Looking */

/*
 * Workstations that are believed and were sent any version of a key that they are to have; whether
 * the newest receipt covers the generation in which the current version came first, and says that
 * every user there was handed what they are to have.
 */
static const char holders_sql[] =
    "SELECT w.name, coalesce((r.private_epoch, r.private_generation) >= (c.epoch, c.generation)"
    " AND NOT EXISTS (SELECT 1 FROM receipt_user u WHERE u.id = w.id AND u.result = 'failed'), 0)"
    " FROM workstation w"
    " LEFT JOIN secret s ON s.name = ?1 AND s.state = 'current'"
    " LEFT JOIN holding c ON c.id = w.id AND c.name = ?1 AND c.version = s.version"
    " AND c.gone_generation = 0 LEFT JOIN receipt r ON r.id = w.id"
    " WHERE w.id IN (SELECT id FROM holding WHERE name = ?1 AND gone_generation = 0)"
    " AND w.state IN ('enrolled', 'leaving') ORDER BY w.name";

static int name_keep(struct key_standing *k, const char *name, struct err *err)
{
	if (k->waiting == NULL)
		k->waiting = calloc(KEYSTORE_NAMES, sizeof(*k->waiting));
	if (k->waiting == NULL)
		return err_memory(err);
	if (k->waitings == KEYSTORE_NAMES)
		return 0;
	k->waiting[k->waitings] = strdup(name);
	return k->waiting[k->waitings++] == NULL ? err_memory(err) : 0;
}

static int holders_read(struct site *s, struct key_standing *k, struct err *err)
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
		rc = name_keep(k, db_text(st, 0), err);
	}
	return rc;
}

static int versions_read(struct site *s, struct key_standing *k, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT s.version, s.state, s.made, (SELECT count(*) FROM holding h"
		      " LEFT JOIN receipt r ON r.id = h.id WHERE h.name = s.name"
		      " AND h.version = s.version AND NOT (h.gone_generation > 0 AND"
		      " coalesce((h.gone_epoch, h.gone_generation) <="
		      " (r.private_epoch, r.private_generation), 0))) FROM secret s"
		      " WHERE s.name = ?1 ORDER BY s.version",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", k->name);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct key_standing_version *more =
		    reallocarray(k->version, k->versions + 1, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		k->version = more;
		more += k->versions++;
		more->version = (uint64_t)db_i64(st, 0);
		snprintf(more->state, sizeof(more->state), "%s", db_text(st, 1));
		more->made = db_i64(st, 2);
		more->holders = (uint64_t)db_i64(st, 3);
		rc = 0;
	}
	return rc;
}

static int marks_read(struct site *s, struct key_standing *k, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT workstation, at FROM key_mark WHERE name = ?1 ORDER BY workstation",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", k->name);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct key_mark *more = reallocarray(k->mark, k->marks + 1, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		k->mark = more;
		more += k->marks++;
		snprintf(more->workstation, sizeof(more->workstation), "%s", db_text(st, 0));
		more->at = db_i64(st, 1);
		rc = 0;
	}
	return rc;
}

void key_standing_clear(struct key_standing *k)
{
	for (size_t i = 0; i < k->waitings; i++)
		free(k->waiting[i]);
	free(k->waiting);
	free(k->version);
	free(k->mark);
	*k = (struct key_standing){.versions = 0};
}

int keystore_look(struct site *s, const char *name, struct key_standing *ret, struct err *err)
{
	OWNED(key_standing_clear) struct key_standing k = {.versions = 0};
	int rc;

	snprintf(k.name, sizeof(k.name), "%s", name);
	rc = versions_read(s, &k, err);
	if (rc == 0 && k.versions == 0)
		rc = err_set(err, RC_USAGE, "the key store has no key %s", name);
	if (rc == 0)
		rc = holders_read(s, &k, err);
	if (rc == 0)
		rc = marks_read(s, &k, err);
	if (rc < 0)
		return rc;
	*ret = k;
	k = (struct key_standing){.versions = 0};
	return 0;
}

int keystore_confirmed(struct site *s, const char *name, struct err *err)
{
	OWNED(key_standing_clear) struct key_standing k = {.versions = 0};
	int rc = keystore_look(s, name, &k, err);

	return rc < 0 ? rc : k.unconfirmed == 0;
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

static const struct key_standing_version *version_find(const struct key_standing *k,
						       uint64_t version)
{
	for (size_t i = 0; i < k->versions; i++) {
		if (k->version[i].version == version)
			return &k->version[i];
	}
	return NULL;
}

static bool is(const struct key_standing_version *v, const char *state)
{
	return strcmp(v->state, state) == 0;
}

/* Who has not confirmed yet, as far as a sentence takes them. */
static void waiting_text(const struct key_standing *k, char dst[256])
{
	size_t used = 0;

	for (size_t i = 0; i < k->waitings && i < 3; i++)
		used += (size_t)snprintf(dst + used, 256 - used, "%s%.60s", i > 0 ? ", " : "",
					 k->waiting[i]);
	if (k->unconfirmed > 3)
		snprintf(dst + used, 256 - used, " and %" PRIu64 " more", k->unconfirmed - 3);
}

static int withdraw_check(const struct key_standing *k, enum keystore_flags flags, struct err *err)
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
			       "whatever was encrypted with an old version of key %s and not "
			       "encrypted again since cannot be read any more where it is "
			       "withdrawn; when nothing needs it, add --data-may-need-it",
			       k->name);
	return 0;
}

/* ${version} is one that can be withdrawn; 0: there is one. */
static int version_check(const struct key_standing *k, uint64_t version, struct err *err)
{
	const struct key_standing_version *v = version_find(k, version);

	for (size_t i = 0; version == 0 && i < k->versions; i++) {
		if (is(&k->version[i], "retiring"))
			return 0;
	}
	if (version == 0)
		return err_set(err, RC_USAGE, "key %s has no old version that is handed out",
			       k->name);
	if (v == NULL)
		return err_set(err, RC_USAGE, "key %s has no version %" PRIu64, k->name, version);
	if (is(v, "current"))
		return err_set(err, RC_USAGE,
			       "version %" PRIu64
			       " of key %s is the current one: satchel key rotate %s makes another",
			       version, k->name, k->name);
	if (is(v, "withdrawn"))
		return err_set(err, RC_USAGE, "version %" PRIu64 " of key %s is withdrawn already",
			       version, k->name);
	return 0;
}

static int withdraw(struct site *s, const char *name, uint64_t version, enum keystore_flags flags,
		    struct err *err)
{
	OWNED(key_standing_clear) struct key_standing k = {.versions = 0};
	int rc = keystore_look(s, name, &k, err);

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
	bool own;
	int rc = keystore_begin(s, &own, err);

	return rc < 0 ? rc : keystore_end(s, own, withdraw(s, name, version, flags, err), err);
}

static int restore(struct site *s, const char *name, uint64_t version, struct err *err)
{
	OWNED(key_standing_clear) struct key_standing k = {.versions = 0};
	const struct key_standing_version *v;
	size_t handed_out = 0;
	int rc = keystore_look(s, name, &k, err);

	if (rc < 0)
		return rc;
	v = version_find(&k, version);
	if (v == NULL || !is(v, "withdrawn"))
		return err_set(err, RC_USAGE, "key %s has no withdrawn version %" PRIu64, name,
			       version);
	for (size_t i = 0; i < k.versions; i++)
		handed_out += is(&k.version[i], "withdrawn") ? 0 : 1;
	if (handed_out >= KEYSTORE_VERSIONS)
		return err_set(err, RC_LIMIT, "%zu versions of key %s are handed out already",
			       handed_out, name);
	return db_run(s->db, err,
		      "UPDATE secret SET state = 'retiring' WHERE name = ?1 AND version = ?2", "ti",
		      name, (int64_t)version);
}

int keystore_restore(struct site *s, const char *name, uint64_t version, struct err *err)
{
	bool own;
	int rc = keystore_begin(s, &own, err);

	return rc < 0 ? rc : keystore_end(s, own, restore(s, name, version, err), err);
}
