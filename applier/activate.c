#include "applier/activate.h"

#include <stdio.h>
#include <string.h>

#include "applier/account.h"
#include "applier/outbox.h"
#include "applier/station_internal.h"
#include "applier/sync_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/trust/code.h"

/* How long after its last day a request is still posted: a server that is slow to collect decides
 * by the day on which it was written. */
#define ACTIVATION_GRACE (30 * 86400)

struct activate {
	struct station *s;
	struct activation code;
	char id[17];
	char collect[17];
	struct account account;
	struct buf people; /* owned; who has that account already */
	struct activated *ret;
};

static void activate_clear(struct activate *a)
{
	buf_clear(&a->people);
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
		say_warning(s->say,
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
			       "this code is of another site than %s, to which this workstation "
			       "belongs",
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
			       "the keys of account %s can be handed out by root alone: without "
			       "root, activate your own",
			       a->account.name);
	return 0;
}

/* Who has an account, one line each: when it becomes others, the request is answered. */
static int holders(const struct people *people, const char *account, struct buf *ret,
		   struct err *err)
{
	int rc = buf_text(ret, "", err);

	for (size_t i = 0; rc == 0 && i < people->persons; i++)
		if (strcmp(people->person[i].account, account) == 0)
			rc = buf_printf(ret, err, "%s\n", people->person[i].email);
	return rc;
}

static int holders_now(struct activate *a, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(people_clear) struct people people = {0};
	uint64_t generation = 0;
	int rc = private_held(a->s, &generation, err);

	if (rc == 0 && generation > 0) {
		rc = private_open(a->s, &t, err);
		if (rc == 0)
			rc = people_read(&t, &people, err);
	}
	return rc < 0 ? rc : holders(&people, a->account.name, &a->people, err);
}

/* 1: the very request waits already; 0: it is to be made.  One for another account, or sealed to a
 * key that the site gave up, is taken back. */
static int waiting_find(struct activate *a, struct err *err)
{
	OWNED(freep) char *path = NULL;
	bool same = false;
	int64_t waiting = 0;
	int rc;
	{
		OWNED(db_done) sqlite3_stmt *st = NULL;

		rc =
		    db_query(a->s->db, "SELECT account, collect, path FROM activation WHERE id = ?",
			     &st, err);
		if (rc == 0)
			rc = db_bind(st, err, "t", a->id);
		if (rc == 0)
			rc = db_step(a->s->db, st, err);
		if (rc == 1) {
			same = strcmp(db_text(st, 0), a->account.name) == 0 &&
			       strcmp(db_text(st, 1), a->collect) == 0;
			path = strdup(db_text(st, 2));
			if (path == NULL)
				rc = err_memory(err);
		}
	}
	if (rc < 0 || same)
		return rc < 0 ? rc : 1;
	if (rc == 1)
		return outbox_remove(a->s, path, err);
	rc = db_int(a->s->db, err, &waiting, "SELECT count(*) FROM activation", "");
	if (rc >= 0 && waiting >= ACTIVATIONS_WAITING)
		return err_set(err, RC_LIMIT,
			       "%d activations wait for the server already: satchel sync first",
			       ACTIVATIONS_WAITING);
	return rc < 0 ? rc : 0;
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
	char path[DEPOT_NAME];
	uint64_t sequence;
	int rc = station_next(s, "request", &sequence, err);

	if (rc == 0)
		rc = request_fill(a, sequence, sign, &inner, err);
	if (rc == 0)
		rc = outbox_put(s, OUTBOX_ACTIVATION, sequence, bytes_in(&inner), sign, s->id,
				trust_collect(&s->trust), err);
	if (rc == 0)
		rc = outbox_path(s, OUTBOX_ACTIVATION, sequence, path, err);
	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "INSERT OR REPLACE INTO activation "
			       "(id, account, people, collect, path, until, receipt) "
			       "VALUES (?, ?, ?, ?, ?, ?, ifnull((SELECT value FROM counter "
			       "WHERE name = 'receipt'), 0))",
			       "ttttti", a->id, a->account.name, (const char *)a->people.p,
			       a->collect, path, a->code.last_day + ACTIVATION_GRACE);
}

/* Number, row and outbox change together or not at all. */
static int request_commit(struct activate *a, struct err *err)
{
	struct station *s = a->s;
	OWNED(key_freep) struct key_secret *sign = NULL;
	int rc = station_keys(s, 0, &sign, NULL, err);

	if (rc == 0)
		rc = db_begin(s->db, err);
	if (rc < 0)
		return rc;
	rc = waiting_find(a, err);
	a->ret->again = rc == 1;
	if (rc == 0)
		rc = request_queue(a, sign, err);
	if (rc >= 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

static int request_post(struct activate *a, struct err *err)
{
	struct sync *y = NULL;
	int rc = sync_begin(a->s, 0, NULL, NULL, &y, err);

	if (rc < 0)
		return rc;
	rc = sync_depots(y, err);
	for (size_t i = 0; rc == 0 && i < y->depots; i++)
		if (outbox_post(a->s, y->depot[i].depot, &a->ret->why) >= 0)
			a->ret->depots++;
	return sync_end(y, rc, err);
}

int station_activate(struct station *s, const char *code, const char *account,
		     struct activated *ret, struct err *err)
{
	OWNED(activate_clear) struct activate a = {.s = s, .ret = ret};
	const struct key_public *collect;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (!s->enrolled)
		return err_set(err, RC_STATE,
			       "this workstation has not been enrolled: join a site with "
			       "satchel enrol CODE --depot DIR, then activate");
	if (s->end != STATION_STAYS)
		return err_set(err, RC_STATE, "this workstation was decommissioned by the site %s",
			       s->trust.name);
	rc = code_check(&a, code, err);
	if (rc == 0)
		rc = account_choose(&a, account, err);
	if (rc < 0)
		return rc;
	collect = trust_collect(&s->trust);
	if (collect == NULL)
		return err_set(err, RC_MALFORMED, "the site %s has no collect key", s->trust.name);
	key_seal_id(a.collect, collect);
	memcpy(ret->account, a.account.name, sizeof(ret->account));
	rc = holders_now(&a, err);
	if (rc == 0)
		rc = request_commit(&a, err);
	return rc < 0 ? rc : request_post(&a, err);
}

/* One row, copied out, so that no statement is open while rows go. */
struct row {
	char id[17];
	char account[ACCOUNT_NAME];
	char path[DEPOT_NAME];
	char *people; /* owned */
	int64_t until, receipt;
};

static void row_clear(struct row *r)
{
	free(r->people);
}

static int row_next(struct station *s, struct row *r, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(
	    s->db,
	    "SELECT id, account, path, people, until, receipt FROM activation WHERE id > ? "
	    "ORDER BY id LIMIT 1",
	    &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", r->id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	snprintf(r->id, sizeof(r->id), "%s", db_text(st, 0));
	snprintf(r->account, sizeof(r->account), "%s", db_text(st, 1));
	snprintf(r->path, sizeof(r->path), "%s", db_text(st, 2));
	free(r->people);
	r->people = strdup(db_text(st, 3));
	r->until = db_i64(st, 4);
	r->receipt = db_i64(st, 5);
	return r->people == NULL ? err_memory(err) : 1;
}

static bool refused(const struct people *people, const char *id)
{
	for (size_t i = 0; i < people->messages; i++)
		if (strcmp(people->message[i].activation, id) == 0)
			return true;
	return false;
}

/* The newest receipt that the server has recorded, as a shard says. */
static int acknowledged(struct station *s, int64_t *ret, struct err *err)
{
	OWNED(buf_clear) struct buf fact = BUF_INIT;
	int rc = station_fact_get(s, "acknowledged", &fact, err);

	if (rc == 1 && fact.n == 8)
		*ret = (int64_t)get_u64(fact.p);
	return rc < 0 ? rc : 0;
}

/* 1: yes. */
static int answered(struct station *s, const struct row *r, const struct people *people,
		    struct err *err)
{
	OWNED(buf_clear) struct buf now = BUF_INIT;
	int64_t receipt = 0;
	int rc;

	if (refused(people, r->id) || station_now(s) >= r->until)
		return 1;
	rc = holders(people, r->account, &now, err);
	if (rc < 0 || now.n == 0)
		return rc;
	if (strcmp((const char *)now.p, r->people) != 0)
		return 1;
	/* Whoever had it has it still.  A server that has recorded a later receipt has read the
	 * request beside it, and had nothing to change. */
	rc = acknowledged(s, &receipt, err);
	return rc < 0 ? rc : receipt > r->receipt;
}

static int row_forget(struct station *s, const struct row *r, struct err *err)
{
	int rc = outbox_remove(s, r->path, err);

	return rc < 0 ? rc : db_run(s->db, err, "DELETE FROM activation WHERE id = ?", "t", r->id);
}

int activations_answered(struct station *s, const struct people *people, struct err *err)
{
	OWNED(row_clear) struct row r = {.id = ""};
	int rc;

	while ((rc = row_next(s, &r, err)) == 1) {
		rc = answered(s, &r, people, err);
		if (rc == 1)
			rc = row_forget(s, &r, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int station_activations(struct station *s,
			int (*each)(void *arg, const struct activation_waiting *a, struct err *err),
			void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT id, account, posted FROM activation JOIN outbox USING (path) "
			  "ORDER BY sequence",
			  &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct activation_waiting a = {.posted = db_i64(st, 2) != 0};

		snprintf(a.id, sizeof(a.id), "%s", db_text(st, 0));
		snprintf(a.account, sizeof(a.account), "%s", db_text(st, 1));
		rc = each(arg, &a, err);
	}
	return rc;
}
