/* SPDX-License-Identifier: ISC */
/*
 * Three lists in ascending order of workstation are walked side by side: what is enrolled, who is
 * active there, and the messages on their way.  So the cost is that of reading each row once.
 *
 * The inputs are digested, never compared as documents.  They cover everything but the salt; of
 * keys the names and versions, never the secrets; and who is entitled, so that they change on the
 * day on which a licence begins or ends.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/private/compile_internal.h"
#include "core/base/own.h"

/* Ids are hexadecimal digits: these stand below and above all of them. */
#define FIRST_ID ""
#define LAST_ID  "g"

static const char member_sql[] =
    "SELECT w.id, w.name, w.leaving, w.sign, w.sign_number, w.seal, w.seal_number, p.inputs,"
    " w.codes, w.renewed, w.renew"
    " FROM workstation_member w LEFT JOIN private p ON p.id = w.id"
    " WHERE w.id >= ?1 AND w.id <= ?2 ORDER BY w.id";
static const char active_sql[] = "SELECT id, email, account FROM activation_active"
				 " WHERE id >= ?1 AND id <= ?2"
				 " ORDER BY id, email";
static const char message_sql[] = "SELECT id, copy FROM message_waiting"
				  " WHERE id >= ?1 AND id <= ?2 ORDER BY id, copy";

/* A statement with a row in hand, or at its end. */
struct input_rows {
	sqlite3_stmt *st; /* owned */
	const char *id;   /* of the row in hand, NULL at the end; valid until the next step */
};

struct input_walk {
	struct compile *c;
	struct input_rows member, active, message;
};

static void walk_clear(struct input_walk *w)
{
	db_done(&w->member.st);
	db_done(&w->active.st);
	db_done(&w->message.st);
}

static int input_rows_step(struct input_walk *w, struct input_rows *r, struct err *err)
{
	int rc = db_step(w->c->s->db, r->st, err);

	r->id = rc == 1 ? db_text(r->st, 0) : NULL;
	return rc < 0 ? rc : 0;
}

static int input_rows_open(struct input_walk *w, struct input_rows *r, const char *sql,
			   const char *from, const char *to, struct err *err)
{
	int rc = db_query(w->c->s->db, sql, &r->st, err);

	if (rc == 0)
		rc = db_bind(r->st, err, "tt", from, to);
	return rc < 0 ? rc : input_rows_step(w, r, err);
}

static int walk_open(struct input_walk *w, const char *from, const char *to, struct err *err)
{
	int rc = input_rows_open(w, &w->member, member_sql, from, to, err);

	if (rc == 0)
		rc = input_rows_open(w, &w->active, active_sql, from, to, err);
	return rc < 0 ? rc : input_rows_open(w, &w->message, message_sql, from, to, err);
}

/* input_rows_at(w, r, id, err): step past what belongs to others; 1 when a row of ${id} is in hand.
 */
static int input_rows_at(struct input_walk *w, struct input_rows *r, const char *id,
			 struct err *err)
{
	int rc = 0;

	while (rc == 0 && r->id != NULL && strcmp(r->id, id) < 0)
		rc = input_rows_step(w, r, err);
	return rc < 0 ? rc : r->id != NULL && strcmp(r->id, id) == 0;
}

/* The member */

void compile_member_clear(struct compile_member *m)
{
	list_clear(&m->user);
	list_clear(&m->who);
	*m = (struct compile_member){.id = ""};
}

static int member_take(struct compile *c, sqlite3_stmt *st, struct compile_member *m,
		       struct err *err)
{
	struct bytes sign = db_bytes(st, 3), seal = db_bytes(st, 5), codes = db_bytes(st, 8);

	if (sign.n != KEY_PUBLIC_BYTES || seal.n != KEY_PUBLIC_BYTES ||
	    (codes.n != 0 && codes.n != KEY_PUBLIC_BYTES))
		return err_set(err, RC_STATE, "the registry is damaged: keys of workstation %s",
			       db_text(st, 0));
	snprintf(m->id, sizeof(m->id), "%s", db_text(st, 0));
	snprintf(m->name, sizeof(m->name), "%s", db_text(st, 1));
	m->leaving = db_i64(st, 2) != 0;
	m->sign = (struct key_public){.kind = KEY_SIGN, .number = (uint64_t)db_i64(st, 4)};
	m->seal = (struct key_public){.kind = KEY_SEAL, .number = (uint64_t)db_i64(st, 6)};
	memcpy(m->sign.b, sign.p, KEY_PUBLIC_BYTES);
	memcpy(m->seal.b, seal.p, KEY_PUBLIC_BYTES);
	m->codes = (struct key_public){.kind = KEY_SEAL};
	if (codes.n > 0)
		memcpy(m->codes.b, codes.p, KEY_PUBLIC_BYTES);
	m->renewed = db_i64(st, 9) != 0;
	m->renew = (uint64_t)db_i64(st, 10);
	m->user.n = m->who.n = 0;
	m->w = site_workstation_or(c->s, m->name, &m->spare);
	return 0;
}

static int user_take(struct compile *c, sqlite3_stmt *st, struct compile_member *m, struct err *err)
{
	const struct site_user *u = site_user(c->s, db_text(st, 1));
	struct compile_user *cu;

	if (u == NULL || !people_entitled(c->s, u, c->now, NULL))
		return 0;
	if (list_push(&m->who, u, err) < 0 || (cu = list_add(&m->user, err)) == NULL)
		return err->rc;
	cu->user = u;
	snprintf(cu->account, sizeof(cu->account), "%s", db_text(st, 2));
	return 0;
}

bool compile_subscribes(const struct compile *c, const struct compile_member *m,
			const struct site_channel *channel)
{
	if (m->leaving)
		return false;
	if (site_subscribes(m->w, channel))
		return true;
	for (size_t i = 0; i < m->user.n; i++) {
		if (people_gives(c->people, m->who.items[i], channel))
			return true;
	}
	return false;
}

/* Who does not read ceilings is among those who come last. */
const struct published_offer *compile_offer(const struct compile *c, const struct compile_member *m,
					    const struct compile_channel *ch, uint64_t *ret_ring)
{
	const struct receipts_held *h;

	*ret_ring = 0;
	if (ch->channel->rings == 0)
		return NULL;
	h = receipts_held_find(&ch->held, m->id);
	if (h == NULL || h->formats < FORMAT_CEILING)
		return NULL;
	*ret_ring = site_ring(c->s, ch->channel, m->w, m->who.items, m->who.n);
	return published_offer_of(&ch->offers, *ret_ring, h->epoch, h->generation, &ch->released);
}

/* Digesting */

static void digest_text(struct digest_stream *d, const char *text)
{
	digest_more(d, text, strlen(text) + 1);
}

static int digest_user(const struct compile *c, const struct compile_user *cu,
		       struct digest_stream *d, struct err *err)
{
	OWNED(people_keys_clear) struct people_keys keys = {.n = 0};
	const struct site_user *u = cu->user;
	int rc = people_keys(c->people, u, &keys, err);

	if (rc < 0)
		return rc;
	digest_text(d, "user");
	digest_text(d, u->email);
	digest_text(d, u->name != NULL ? u->name : "");
	digest_text(d, cu->account);
	policies_digest_user(c->policies, u, d);
	for (size_t i = 0; i < keys.n; i++)
		digest_more(d, c->key[keys.key[i] - c->s->key].digest.b, DIGEST_BYTES);
	return 0;
}

static int digest_users(struct input_walk *w, struct compile_member *m, struct digest_stream *d,
			struct err *err)
{
	int rc;

	while ((rc = input_rows_at(w, &w->active, m->id, err)) == 1) {
		rc = user_take(w->c, w->active.st, m, err);
		if (rc == 0)
			rc = input_rows_step(w, &w->active, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; rc == 0 && i < m->user.n; i++)
		rc = digest_user(w->c, &m->user.items[i], d, err);
	return rc;
}

static void digest_channels(const struct compile *c, const struct compile_member *m,
			    struct digest_stream *d)
{
	digest_text(d, "channels");
	for (size_t i = 0; i < c->channels; i++) {
		const struct published_offer *o;
		uint64_t ring;

		if (!compile_subscribes(c, m, c->channel[i].channel))
			continue;
		digest_more(d, c->channel[i].digest.b, DIGEST_BYTES);
		o = compile_offer(c, m, &c->channel[i], &ring);
		if (o != NULL)
			digest_more(d, o->head.b, DIGEST_BYTES);
	}
}

/* A message never changes once it is sent, so its name stands for it. */
static int digest_messages(struct input_walk *w, const struct compile_member *m,
			   struct digest_stream *d, struct err *err)
{
	int rc;

	digest_text(d, "messages");
	while ((rc = input_rows_at(w, &w->message, m->id, err)) == 1) {
		digest_text(d, db_text(w->message.st, 1));
		rc = input_rows_step(w, &w->message, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* Those that it enrolled with, before there were others, are left out: their channels stay. */
static void digest_keys(const struct compile_member *m, struct digest_stream *d)
{
	uint8_t number[8];

	if (m->renewed)
		digest_more(d, m->seal.b, KEY_PUBLIC_BYTES);
	if (!key_absent(&m->codes))
		digest_more(d, m->codes.b, KEY_PUBLIC_BYTES);
	if (m->renew > 0) {
		put_u64(number, m->renew);
		digest_more(d, number, sizeof(number));
	}
}

static int member_inputs(struct input_walk *w, struct compile_member *m, struct err *err)
{
	struct digest_stream d;
	int rc = 0;

	digest_start(&d);
	digest_more(&d, w->c->common.b, DIGEST_BYTES);
	digest_text(&d, m->id);
	digest_text(&d, m->name);
	digest_text(&d, m->leaving ? "leaving" : "");
	digest_keys(m, &d);
	if (!m->leaving) {
		rc = digest_users(w, m, &d, err);
		policies_digest(w->c->policies, m->w, &d);
		digest_channels(w->c, m, &d);
	}
	if (rc == 0 && !m->leaving)
		rc = digest_messages(w, m, &d, err);
	m->inputs = digest_end(&d);
	return rc;
}

/* The workstation in hand, with all that is its own; steps past it. */
static int member_next(struct input_walk *w, struct compile_member *m, struct err *err)
{
	struct digest had;
	int rc = member_take(w->c, w->member.st, m, err);

	if (rc == 0)
		rc = member_inputs(w, m, err);
	if (rc < 0)
		return rc;
	m->changed = !db_digest(w->member.st, 7, &had) || !digest_equal(&had, &m->inputs);
	return input_rows_step(w, &w->member, err);
}

int compile_each(struct compile *c,
		 int (*each)(void *arg, struct compile *c, const struct compile_member *m,
			     struct err *err),
		 void *arg, struct err *err)
{
	OWNED(walk_clear) struct input_walk w = {.c = c};
	OWNED(compile_member_clear) struct compile_member m = {.id = ""};
	int rc = walk_open(&w, FIRST_ID, LAST_ID, err);

	while (rc == 0 && w.member.id != NULL) {
		rc = member_next(&w, &m, err);
		if (rc == 0)
			rc = each(arg, c, &m, err);
	}
	return rc;
}

int compile_member_read(struct compile *c, const char *id, struct compile_member *ret,
			struct err *err)
{
	OWNED(walk_clear) struct input_walk w = {.c = c};
	int rc = walk_open(&w, id, id, err);

	if (rc == 0 && w.member.id == NULL)
		rc = err_set(err, RC_STATE, "workstation %s is not enrolled", id);
	return rc < 0 ? rc : member_next(&w, ret, err);
}
