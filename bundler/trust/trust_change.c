/* SPDX-License-Identifier: ISC */
/*
 * Making the next trust document.  Root keys may be kept on another machine, so a version can wait
 * with the signatures that it has, and is in force only when enough have come; until then the old
 * one holds for everybody.
 */
#include "bundler/trust/trust_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/registry/registry.h"
#include "bundler/trust/site_keys.h"
#include "bundler/trust/site_trust.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/documents/trustchain.h"
#include "core/os/beneath.h"

/* A version being made: the document, and its bytes with the signatures that it has so far. */
struct pending {
	struct trust next;
	struct buf raw; /* owned; the innermost bytes while layers is 0, else a signed document */
	uint64_t layers;
};

static void pending_clear(struct pending *p)
{
	buf_clear(&p->raw);
}

/* pending_load(s, ret, err): 1 when a version waits for signatures. */
static int pending_load(struct site *s, struct pending *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct signed_doc doc;
	struct bytes inner, raw;
	int rc;

	rc = db_query(s->db, "SELECT content, layers FROM trust_pending", &st, err);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	raw = inner = db_bytes(st, 0);
	ret->layers = (uint64_t)db_i64(st, 1);
	if (ret->layers > 0) {
		rc = signed_split(raw, LIMIT_LAYERS, &doc, err);
		inner = doc.inner;
	} else {
		rc = 0;
	}
	if (rc == 0)
		rc = trustdoc_decode(inner, &ret->next, err);
	if (rc == 0)
		rc = buf_add(&ret->raw, raw.p, raw.n, err);
	return rc < 0 ? rc : 1;
}

static int pending_store(struct site *s, const struct pending *p, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO trust_pending(one, content, layers)"
		      " VALUES(1, ?1, ?2)",
		      "Bi", bytes_in(&p->raw), (int64_t)p->layers);
}

/* trust_key_find(t, k): its entry, or NULL. */
static struct trust_key *trust_key_find(struct trust *t, const struct key_public *k)
{
	for (size_t i = 0; i < t->keys; i++) {
		if (key_same(&t->key[i].key, k))
			return &t->key[i];
	}
	return NULL;
}

static bool is_root_of(struct trust *t, const struct key_public *k)
{
	const struct trust_key *e = trust_key_find(t, k);

	return e != NULL && e->state == KEY_CURRENT && (e->roles & (1u << ROLE_ROOT)) != 0;
}

static int pending_layer(struct pending *p, struct buf *signed_raw, struct err *err)
{
	if (p->layers == LIMIT_LAYERS)
		return err_set(err, RC_LIMIT, "a trust document takes at most %d signatures",
			       LIMIT_LAYERS);
	buf_clear(&p->raw);
	p->raw = *signed_raw;
	*signed_raw = (struct buf)BUF_INIT;
	p->layers++;
	return 0;
}

/* Signing with every root key, of the old version or of the new one, that keys/ holds. */
struct signing {
	struct site *s;
	struct pending *p;
	struct key_ask *ask;
	int keysfd;
};

/*
 * The public file decides which keys are opened, since a key with a passphrase costs a question
 * and a gigabyte of memory.
 */
static int sign_with(void *arg, const char *name, struct err *err)
{
	struct signing *g = arg;
	OWNED(key_freep) struct key_secret *k = NULL;
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct key_public pub;
	int rc = site_key_public(g->keysfd, name, &pub, err);

	if (rc < 0)
		return rc;
	if (!is_root_of(&g->s->trust, &pub) && !is_root_of(&g->p->next, &pub))
		return 0;
	rc = key_read(g->keysfd, name, g->ask, &k, err);
	if (rc == 0)
		rc = signed_make(k, bytes_in(&g->p->raw), &raw, err);
	if (rc < 0)
		return rc;
	return pending_layer(g->p, &raw, err);
}

/*
 * pending_settle(s, p, err): in force when the signatures suffice (1), else kept as waiting (0).
 * "Too few" is told from other faults by the count alone: everything else about the document was
 * made here.
 */
static int pending_settle(struct site *s, const struct pending *p, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct trust next;
	struct err why = {0};
	int rc = RC_UNTRUSTED;

	if (p->layers > 0)
		rc = trustchain_next(&s->trust, bytes_in(&p->raw), &next, &why);
	if (rc < 0 && rc != RC_UNTRUSTED) {
		*err = why;
		return rc;
	}
	if (rc < 0) {
		rc = pending_store(s, p, err);
		return rc < 0 ? rc : 0;
	}
	rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = db_exec(s->db, "DELETE FROM trust_pending", err);
	if (rc == 0)
		rc = site_trust_add(s->db, &next, bytes_in(&p->raw), err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc < 0)
		return rc;
	s->trust = next;
	return 1;
}

/*
 * next_begin(s, p, err): a copy of what is in force, with the next number.  One at a time: another
 * version would have to follow one that may never get its signatures.
 */
static int next_begin(struct site *s, struct pending *p, struct err *err)
{
	OWNED(pending_clear) struct pending other = {0};
	int rc = pending_load(s, &other, err);

	if (rc < 0)
		return rc;
	if (rc == 1)
		return err_set(err, RC_CONFLICT,
			       "trust version %" PRIu64
			       " waits for signatures of root keys: import "
			       "them, or drop that version",
			       other.next.version);
	p->next = s->trust;
	p->next.version = s->trust.version + 1;
	p->next.previous = s->trust.identity;
	p->next.created = clock_now();
	return 0;
}

/* next_end(s, p, ask, err): encode, sign with what is at hand, settle. */
static int next_end(struct site *s, struct pending *p, struct key_ask *ask, struct err *err)
{
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	struct signing g = {s, p, ask, keysfd};
	int rc;

	if (keysfd < 0)
		return keysfd;
	rc = trust_check(&p->next, err);
	if (rc == 0)
		rc = trustdoc_encode(&p->next, &p->raw, err);
	if (rc == 0)
		rc = site_keys_each(keysfd, ROLE_ROOT, sign_with, &g, err);
	if (rc < 0)
		return rc;
	return pending_settle(s, p, err);
}

static void key_drop(struct trust *t, size_t i)
{
	t->keys--;
	memmove(&t->key[i], &t->key[i + 1], (t->keys - i) * sizeof(t->key[0]));
}

/*
 * key_room(t): a document holds so many keys.  A revoked key is trusted as little when it is not
 * named at all; of the retired ones those of beats and of the collector verify nothing any more.
 */
static bool key_room(struct trust *t)
{
	const unsigned idle = 1u << ROLE_BEAT | 1u << ROLE_COLLECT;

	for (size_t i = 0; t->keys == LIMIT_KEYS && i < t->keys; i++) {
		if (t->key[i].state == KEY_REVOKED)
			key_drop(t, i);
	}
	for (size_t i = 0; t->keys == LIMIT_KEYS && i < t->keys; i++) {
		if (t->key[i].state == KEY_RETIRED && (t->key[i].roles & ~idle) == 0)
			key_drop(t, i);
	}
	return t->keys < LIMIT_KEYS;
}

static int key_add(struct trust *t, const struct key_public *k, unsigned roles, struct err *err)
{
	if (trust_key_find(t, k) != NULL)
		return err_set(err, RC_CONFLICT, "the trust document names this key already");
	if (!key_room(t))
		return err_set(
		    err, RC_LIMIT,
		    "the trust document holds %d keys, the maximum: revoke those that nothing "
		    "needs any more",
		    LIMIT_KEYS);
	t->key[t->keys++] = (struct trust_key){.key = *k, .state = KEY_CURRENT, .roles = roles};
	return 0;
}

/* keys_end(t, role, old): the keys of a role that is rotated.  One that holds other roles as well
 * only loses this one, unless it was stolen. */
static void keys_end(struct trust *t, enum role role, enum key_state old)
{
	for (size_t i = 0; i < t->keys; i++) {
		struct trust_key *k = &t->key[i];

		if (k->state != KEY_CURRENT || (k->roles & 1u << role) == 0)
			continue;
		if (old == KEY_REVOKED || k->roles == 1u << role)
			k->state = old;
		else
			k->roles &= ~(1u << role);
	}
}

static int one_hand(struct err *err)
{
	return err_set(
	    err, RC_USAGE,
	    "private channels are signed by the publish keys of this site: `trust split` "
	    "gives them a key of their own");
}

/* A new key of ${role} on this server, named by the next version. */
static int role_key_make(struct site *s, struct pending *p, enum role role, struct err *err)
{
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	OWNED(key_freep) struct key_secret *k = NULL;
	struct key_public pub;
	char name[64];
	int rc;

	if (keysfd < 0)
		return keysfd;
	snprintf(name, sizeof(name), "%s-%" PRIu64 ".key", role_names[role], p->next.version);
	rc = site_key_make(keysfd, name, role == ROLE_COLLECT ? KEY_SEAL : KEY_SIGN, &k, err);
	if (rc < 0)
		return rc;
	pub = key_public_of(k);
	return key_add(&p->next, &pub, 1u << role, err);
}

/* One key on the server in the place of all would undo what keeps content in other hands. */
static int rotate_check(struct site *s, enum role role, struct err *err)
{
	int rc;

	if (trust_acting(&s->trust, role) != role)
		return one_hand(err);
	if (role != ROLE_PUBLISH)
		return 0;
	rc = site_keys_elsewhere(s, role, err);
	for (size_t i = 0; rc == 0 && i < s->trust.keys; i++)
		rc = s->trust.key[i].state == KEY_CURRENT && s->trust.key[i].only[0] != '\0';
	return rc <= 0
		   ? rc
		   : err_set(err, RC_CONFLICT,
			     "publish keys are kept elsewhere, or are for some channels only, and "
			     "one new key on this server would take the place of all: add the new "
			     "one with satchel trust add-publish, and end the old one with satchel "
			     "trust end");
}

static int key_replace(struct site *s, enum role role, enum key_state old, struct key_ask *ask,
		       struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	int rc = next_begin(s, &p, err);

	if (rc < 0)
		return rc;
	keys_end(&p.next, role, old);
	rc = role_key_make(s, &p, role, err);
	return rc < 0 ? rc : next_end(s, &p, ask, err);
}

int trust_change_rotate(struct site *s, enum role role, enum key_state old, struct key_ask *ask,
			struct err *err)
{
	int rc = rotate_check(s, role, err);

	return rc < 0 ? rc : key_replace(s, role, old, ask, err);
}

/* Several keys, or keys for some channels, are in other hands, and were not lost with this server.
 */
int trust_change_lost(struct site *s, enum role role, struct key_ask *ask, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; role == ROLE_PUBLISH && i < s->trust.keys; i++) {
		const struct trust_key *k = &s->trust.key[i];

		if (k->state == KEY_CURRENT && (k->roles & (1u << role)) != 0)
			n += k->only[0] == '\0' ? 1 : 2;
	}
	return n > 1 ? 0 : key_replace(s, role, KEY_RETIRED, ask, err);
}

int trust_change_epoch(struct site *s, enum role role, struct key_ask *ask, struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	int rc;

	if (role == ROLE_ROOT || role == ROLE_COLLECT)
		return err_set(err, RC_USAGE,
			       "role %s counts nothing: only publish, private and beat have "
			       "an epoch to raise",
			       role_names[role]);
	if (trust_acting(&s->trust, role) != role)
		return one_hand(err);
	rc = next_begin(s, &p, err);
	if (rc < 0)
		return rc;
	if (p.next.epoch[role] >= LIMIT_NUMBER)
		return err_set(err, RC_LIMIT, "the epoch of %s is at its end", role_names[role]);
	p.next.epoch[role]++;
	return next_end(s, &p, ask, err);
}

int trust_change_renew(struct site *s, unsigned days, struct key_ask *ask, struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	int rc = next_begin(s, &p, err);

	if (rc < 0)
		return rc;
	p.next.expires = p.next.created + (int64_t)days * 86400;
	return next_end(s, &p, ask, err);
}

int trust_change_root(struct site *s, const struct key_public *pub, struct key_ask *ask,
		      struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	int rc = next_begin(s, &p, err);

	if (rc == 0)
		rc = key_add(&p.next, pub, 1u << ROLE_ROOT, err);
	if (rc < 0)
		return rc;
	return next_end(s, &p, ask, err);
}

/*
 * The private role begins in the epoch of publish, so that the numbers of private channels go on.
 */
int trust_change_split(struct site *s, struct key_ask *ask, struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	int rc;

	if (s->trust.format >= 2)
		return err_set(err, RC_CONFLICT,
			       "content and private channels have keys of their own "
			       "already");
	rc = next_begin(s, &p, err);
	if (rc < 0)
		return rc;
	p.next.format = 2;
	p.next.epoch[ROLE_PRIVATE] = p.next.epoch[ROLE_PUBLISH];
	p.next.threshold[ROLE_PRIVATE] = 1;
	rc = role_key_make(s, &p, ROLE_PRIVATE, err);
	return rc < 0 ? rc : next_end(s, &p, ask, err);
}

int trust_change_publish(struct site *s, const struct key_public *pub, const char *only,
			 struct key_ask *ask, struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	struct trust_key *k;
	int rc = next_begin(s, &p, err);

	if (rc == 0 && s->trust.format < 2)
		rc = one_hand(err);
	if (rc == 0 && pub->kind != KEY_SIGN)
		rc = err_set(err, RC_USAGE, "this key seals, and signs nothing");
	if (rc == 0 && strlen(only) >= sizeof(k->only))
		rc = err_set(err, RC_USAGE,
			     "%s is not a channel's name, nor the beginning of names "
			     "and a star",
			     only);
	if (rc == 0)
		rc = key_add(&p.next, pub, 1u << ROLE_PUBLISH, err);
	if (rc < 0)
		return rc;
	k = &p.next.key[p.next.keys - 1];
	snprintf(k->only, sizeof(k->only), "%s", only);
	return next_end(s, &p, ask, err);
}

int trust_change_end(struct site *s, const char *key, enum key_state state, struct key_ask *ask,
		     struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	uint64_t number;
	size_t found = 0;
	int rc;

	if (!key_number_parse(key, &number))
		return err_set(err, RC_USAGE,
			       "%s is not the number of a key: 16 hexadecimal digits, as `trust "
			       "show` lists them",
			       key);
	rc = next_begin(s, &p, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < p.next.keys; i++) {
		if (p.next.key[i].key.number != number)
			continue;
		if (p.next.key[i].state == KEY_REVOKED || p.next.key[i].state == state)
			return err_set(err, RC_CONFLICT, "key %s is %s already", key,
				       p.next.key[i].state == KEY_REVOKED ? "revoked" : "retired");
		p.next.key[i].state = state;
		found++;
	}
	if (found != 1)
		return err_set(err, RC_USAGE,
			       "%s key of the trust document has the number %s (`trust show` lists "
			       "them)",
			       found == 0 ? "no" : "more than one", key);
	return next_end(s, &p, ask, err);
}

int trust_change_threshold(struct site *s, enum role role, uint32_t n, struct key_ask *ask,
			   struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	int rc = next_begin(s, &p, err);

	if (rc < 0)
		return rc;
	p.next.threshold[role] = n;
	return next_end(s, &p, ask, err);
}

int trust_change_pending(struct site *s, struct buf *ret, struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	int rc = pending_load(s, &p, err);

	if (rc == 1 && buf_add(ret, p.raw.p, p.raw.n, err) < 0)
		return RC_MEMORY;
	return rc;
}

int trust_change_import(struct site *s, struct bytes minisig, const struct key_public *pub,
			struct err *err)
{
	OWNED(pending_clear) struct pending p = {0};
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	int rc = pending_load(s, &p, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, RC_USAGE, "no trust document waits for a signature");
	if (!is_root_of(&s->trust, pub) && !is_root_of(&p.next, pub))
		return err_set(err, RC_UNTRUSTED,
			       "this is a root key neither of trust version %" PRIu64
			       " nor of version %" PRIu64,
			       s->trust.version, p.next.version);
	rc = signed_import(bytes_in(&p.raw), minisig, pub, &raw, err);
	if (rc == 0)
		rc = pending_layer(&p, &raw, err);
	if (rc < 0)
		return rc;
	return pending_settle(s, &p, err);
}

int trust_change_drop(struct site *s, struct err *err)
{
	int rc = db_exec(s->db, "DELETE FROM trust_pending", err);

	return rc < 0 ? rc : sqlite3_changes(db_handle(s->db)) > 0;
}
