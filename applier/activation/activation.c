/* SPDX-License-Identifier: ISC */
/*
 * Activations: the request is signed and queued, and waits as a row until the private channel
 * answers it.
 *
 *	asked --the person is active, or others have the account--> gone, with its file in the
 *outbox
 *	      --a message refuses it--> gone
 *	      --its last day and the grace are over--> gone
 *
 * Asking again for the same account sends the same bytes, so a request that a courier carries
 * already is not doubled.
 */
#include "applier/activation/activation.h"

#include <stdio.h>
#include <string.h>

#include "applier/report/outbox.h"
#include "applier/station/account.h"
#include "applier/station/station_state.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/trust/code.h"

static const char activation_tables[] =
    "CREATE TABLE activation (" /* asked for, and not answered yet: struct request_row */
    " id TEXT PRIMARY KEY,"
    " account TEXT NOT NULL,"
    " people TEXT NOT NULL,"
    " receipt INTEGER NOT NULL,"
    " collect TEXT NOT NULL,"
    " path TEXT NOT NULL,"
    " until INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;";
static const char *const activation_steps[] = {activation_tables};
const struct db_schema station_activation_schema = DB_SCHEMA("activation", activation_steps);

/* One that waits, as a row. */
struct request_row {
	char id[17];
	char account[ACCOUNT_NAME];
	char collect[17];      /* the collect key that the request is sealed to */
	char path[DEPOT_NAME]; /* of the request, in the outbox */
	char *holders;         /* owned; holders_of when it was asked for */
	int64_t until;         /* no server will take it any more, seconds since 1970 */
	uint64_t receipt;      /* the newest one then */
};

static void request_clear(struct request_row *r)
{
	free(r->holders);
	r->holders = NULL;
}

#define COLUMNS "id, account, collect, path, people, until, receipt"

static int request_read(sqlite3_stmt *st, struct request_row *ret, struct err *err)
{
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->account, sizeof(ret->account), "%s", db_text(st, 1));
	snprintf(ret->collect, sizeof(ret->collect), "%s", db_text(st, 2));
	snprintf(ret->path, sizeof(ret->path), "%s", db_text(st, 3));
	free(ret->holders);
	ret->holders = strdup(db_text(st, 4));
	ret->until = db_i64(st, 5);
	ret->receipt = (uint64_t)db_i64(st, 6);
	return ret->holders == NULL ? err_memory(err) : 1;
}

static int request_get(struct station *s, const char *id, struct request_row *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT " COLUMNS " FROM activation WHERE id = ?", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	return rc <= 0 ? rc : request_read(st, ret, err);
}

/* The one after ${r}, copied out, so that no statement is open while rows go. */
static int request_next(struct station *s, struct request_row *r, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(
	    s->db, "SELECT " COLUMNS " FROM activation WHERE id > ? ORDER BY id LIMIT 1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", r->id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	return rc <= 0 ? rc : request_read(st, r, err);
}

static int request_put(struct station *s, const struct request_row *r, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO activation "
		      "(id, account, people, collect, path, until, receipt) "
		      "VALUES (?, ?, ?, ?, ?, ?, ?)",
		      "tttttii", r->id, r->account, r->holders, r->collect, r->path, r->until,
		      (int64_t)r->receipt);
}

static int requests_count(struct station *s, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(s->db, err, &n, "SELECT count(*) FROM activation", "");

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

static int holders_of(const struct private_people *people, const char *account, struct buf *ret,
		      struct err *err)
{
	int rc = buf_text(ret, "", err);

	for (size_t i = 0; rc == 0 && i < people->persons; i++)
		if (strcmp(people->person[i].account, account) == 0)
			rc = buf_printf(ret, err, "%s\n", people->person[i].email);
	return rc;
}

static bool refused(const struct private_people *people, const char *id)
{
	for (size_t i = 0; i < people->messages; i++)
		if (strcmp(people->message[i].activation, id) == 0)
			return true;
	return false;
}

/* 1: yes. */
static int answered(struct station *s, const struct request_row *r,
		    const struct private_people *people, struct err *err)
{
	OWNED(buf_clear) struct buf now = BUF_INIT;
	uint64_t receipt = 0;
	int rc;

	if (refused(people, r->id) || station_now(s) >= r->until)
		return 1;
	rc = holders_of(people, r->account, &now, err);
	if (rc < 0 || now.n == 0)
		return rc;
	if (strcmp((const char *)now.p, r->holders) != 0)
		return 1;
	/* Whoever had it has it still.  A server that has recorded a later receipt has read the
	 * request beside it, and had nothing to change. */
	rc = station_property_number(s, PROPERTY_ACKNOWLEDGED, &receipt, err);
	return rc < 0 ? rc : receipt > r->receipt;
}

static int request_forget(struct station *s, const struct request_row *r, struct err *err)
{
	int rc = outbox_remove(s, r->path, err);

	return rc < 0 ? rc : db_run(s->db, err, "DELETE FROM activation WHERE id = ?", "t", r->id);
}

int activations_answered(struct station *s, const struct private_people *people, struct err *err)
{
	OWNED(request_clear) struct request_row r = {.id = ""};
	int rc;

	while ((rc = request_next(s, &r, err)) == 1) {
		rc = answered(s, &r, people, err);
		if (rc == 1)
			rc = request_forget(s, &r, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* The path of a request tells its number without leading zeros, between what is as long in all. */
int station_activations(struct station *s,
			int (*each)(void *arg, const struct activation_waiting *a, struct err *err),
			void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT " COLUMNS " FROM activation ORDER BY length(path), path",
			  &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct activation_waiting a = {.posted = false};

		snprintf(a.id, sizeof(a.id), "%s", db_text(st, 0));
		snprintf(a.account, sizeof(a.account), "%s", db_text(st, 1));
		rc = outbox_has(s, db_text(st, 3), &a.posted, err);
		if (rc >= 0)
			rc = each(arg, &a, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

int activations_forget(struct station *s, struct err *err)
{
	int rc = outbox_drop(s, OUTBOX_ACTIVATION, err);

	return rc < 0 ? rc : db_run(s->db, err, "DELETE FROM activation", "");
}

/* Asking: the code and the account are checked as far as this machine can tell */

/* How long after its last day a request is still posted: a server that is slow to collect decides
 * by the day on which it was written. */
#define ACTIVATION_GRACE (30 * 86400)

struct activate {
	struct station *s;
	struct activation code;
	char id[17];
	char collect[17];
	struct account account;
	struct buf holders; /* owned; who has that account already */
};

static void activate_clear(struct activate *a)
{
	buf_clear(&a->holders);
	sodium_memzero(&a->code, sizeof(a->code));
}

/* When what the site signed says that this clock can be right; else the server, which knows the
 * day, decides: a wrong clock must lock nobody out. */
static int day_check(struct activate *a, struct err *err)
{
	const struct station *s = a->s;
	int64_t now = clock_now();
	bool can_be_right = s->beat_issued > 0 ? now >= s->beat_issued && now < s->beat_expires
					       : now >= s->trust.created && now < s->trust.expires;
	char day[CLOCK_TEXT + 1];

	if (station_now(s) < a->code.last_day)
		return 0;
	if (!can_be_right && s->beat_issued < a->code.last_day) {
		reporter_warning(s->reporter,
				 "the code has expired by this machine's clock, which is in doubt; "
				 "the server will decide");
		return 0;
	}
	clock_format(day, a->code.last_day - 1);
	return err_set(err, RC_EXPIRED, "this code was good until %.10s: ask for a new one", day);
}

static int code_check(struct activate *a, const char *code, struct err *err)
{
	int rc = activation_parse(code, &a->code, err);

	if (rc < 0)
		return rc;
	if (!activation_fits(&a->code, &a->s->site))
		return err_set(err, RC_ADDRESSEE,
			       "this code belongs to another site; this workstation belongs to %s",
			       a->s->trust.name);
	activation_id(a->id, a->code.secret);
	return day_check(a, err);
}

static int account_choose(struct activate *a, const char *account, struct err *err)
{
	int rc = account == NULL ? account_caller(&a->account, err)
				 : account_find(account, &a->account, err);

	if (rc < 0)
		return rc;
	if (account == NULL && a->account.uid == 0)
		return err_set(err, RC_USAGE,
			       "whose account is it for?  satchel activate CODE --account NAME");
	if (!account_mine(&a->account))
		return err_set(err, RC_POLICY,
			       "only root can activate a user for account %s; without root, "
			       "activate one for your own",
			       a->account.name);
	return 0;
}

static int holders_now(struct activate *a, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(people_clear) struct private_people people = {0};
	uint64_t generation = 0;
	int rc = private_generation(a->s, &generation, err);

	if (rc == 0 && generation > 0) {
		rc = private_open(a->s, &t, err);
		if (rc == 0)
			rc = people_read(&t, &people, err);
	}
	return rc < 0 ? rc : holders_of(&people, a->account.name, &a->holders, err);
}

/* 1: the very request waits already; 0: it is to be made.  One for another account, or sealed to a
 * key that the site gave up, is taken back. */
static int waiting_find(struct activate *a, struct err *err)
{
	OWNED(request_clear) struct request_row row = {.id = ""};
	uint64_t waiting = 0;
	int rc = request_get(a->s, a->id, &row, err);

	if (rc < 0)
		return rc;
	if (rc == 1 && strcmp(row.account, a->account.name) == 0 &&
	    strcmp(row.collect, a->collect) == 0)
		return 1;
	if (rc == 1)
		return outbox_remove(a->s, row.path, err);
	rc = requests_count(a->s, &waiting, err);
	if (rc == 0 && waiting >= ACTIVATIONS_WAITING)
		return err_set(err, RC_LIMIT,
			       "%d activations wait for the server already: satchel sync first",
			       ACTIVATIONS_WAITING);
	return rc;
}

static int request_fill(struct activate *a, uint64_t sequence, const struct key_secret *sign,
			struct buf *ret, struct err *err)
{
	const struct station *s = a->s;
	struct key_public pub = key_public_of(sign);
	struct request r = {
	    .site = s->site, .kind = "activate", .sequence = sequence, .written = clock_now()};

	memcpy(r.workstation, s->id, sizeof(r.workstation));
	memcpy(r.name, s->name, sizeof(r.name));
	memcpy(r.activation, a->id, sizeof(r.activation));
	memcpy(r.account, a->account.name, sizeof(r.account));
	r.proof = activation_proof(a->code.secret, &s->site, &pub, a->account.name);
	return request_encode(&r, ret, err);
}

static int request_queue(struct activate *a, const struct key_secret *sign, struct err *err)
{
	struct station *s = a->s;
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	struct request_row row = {.holders = (char *)a->holders.p, /* borrowed */
				  .until = a->code.last_day + ACTIVATION_GRACE};
	uint64_t sequence;
	int rc = station_next(s, COUNTER_REQUEST, &sequence, err);

	memcpy(row.id, a->id, sizeof(row.id));
	memcpy(row.account, a->account.name, sizeof(row.account));
	memcpy(row.collect, a->collect, sizeof(row.collect));
	if (rc == 0)
		rc = request_fill(a, sequence, sign, &inner, err);
	if (rc == 0)
		rc = outbox_put(s, OUTBOX_ACTIVATION, sequence, bytes_in(&inner), sign, s->id,
				trust_collect(&s->trust), err);
	if (rc == 0)
		rc = outbox_path(s, OUTBOX_ACTIVATION, sequence, row.path, err);
	if (rc >= 0)
		rc = station_last(s, COUNTER_RECEIPT, &row.receipt, err);
	return rc < 0 ? rc : request_put(s, &row, err);
}

/* Number, row and outbox change together or not at all.  1: it waited already. */
static int request_commit(struct activate *a, struct err *err)
{
	struct station *s = a->s;
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = station_keys(s, 0, &sign, NULL, err), waited;

	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc < 0)
		return rc;
	rc = waited = waiting_find(a, err);
	if (rc == 0)
		rc = request_queue(a, sign, err);
	if (rc >= 0)
		rc = db_tx_commit(&tx, err);
	return rc < 0 ? rc : waited;
}

static int membership_check(const struct station *s, struct err *err)
{
	if (!s->enrolled)
		return err_set(err, RC_STATE,
			       "this workstation has not been enrolled: join a site with "
			       "satchel enrol CODE --depot DIR, then activate");
	if (s->end != STATION_STAYS)
		return err_set(err, RC_STATE, "this workstation was decommissioned by the site %s",
			       s->trust.name);
	return 0;
}

int activation_ask(struct station *s, const char *code, const char *account,
		   char ret_account[ACCOUNT_NAME], struct err *err)
{
	OWNED(activate_clear) struct activate a = {.s = s};
	const struct key_public *collect;
	int rc = membership_check(s, err);

	if (rc == 0)
		rc = code_check(&a, code, err);
	if (rc == 0)
		rc = account_choose(&a, account, err);
	if (rc < 0)
		return rc;
	collect = trust_collect(&s->trust);
	if (collect == NULL)
		return err_set(err, RC_MALFORMED, "the site %s has no collect key", s->trust.name);
	key_seal_id(a.collect, collect);
	memcpy(ret_account, a.account.name, ACCOUNT_NAME);
	rc = holders_now(&a, err);
	return rc < 0 ? rc : request_commit(&a, err);
}
