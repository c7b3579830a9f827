/* SPDX-License-Identifier: ISC */
/*
 * Making private channels: find those whose inputs changed, compile each, and publish them in
 * batches.  One workstation that cannot be compiled does not keep the others back.
 */
#include "bundler/private/compile.h"

#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/messages/message.h"
#include "bundler/private/compile_internal.h"
#include "bundler/private/private.h"
#include "bundler/private/private_users.h"
#include "bundler/published/published.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/bundle/path.h"

/* Private channels between two commits, because each commit costs a flush of the disk. */
#define BATCH 100

/* What all private channels are made of, read once */

void compile_clear(struct compile *c)
{
	for (size_t i = 0; i < c->channels; i++) {
		buf_clear(&c->channel[i].text);
		list_clear(&c->channel[i].key);
		list_clear(&c->channel[i].offers);
		list_clear(&c->channel[i].held);
	}
	for (size_t i = 0; i < c->texts; i++)
		buf_clear(&c->text[i].text);
	free(c->channel);
	free(c->key);
	free(c->text);
	keystore_freep(&c->keys);
	policies_freep(&c->policies);
	people_freep(&c->people);
	*c = (struct compile){.channels = 0};
}

/* Channels */

static int by_path(const void *a, const void *b)
{
	const struct compile_channel *x = a, *y = b;

	return path_compare(x->path, y->path);
}

static int key_number_add(void *arg, uint64_t key, struct err *err)
{
	struct compile_channel *c = arg;

	return key == 0 ? 0 : list_push(&c->key, key, err);
}

/* Those that bundles are sealed with, and no others: who comes today gets nothing of what was, and
 * while a generation waits for signatures the one in force can still be read. */
static int channel_keys(struct site *s, struct compile_channel *c, struct err *err)
{
	struct digest_stream d;
	uint8_t number[8];
	int rc = published_keys(s->db, c->channel->name, s->trust.epoch[ROLE_PUBLISH],
				key_number_add, c, err);

	if (rc < 0 || c->key.n == 0)
		return rc;
	digest_start(&d);
	digest_more(&d, c->digest.b, DIGEST_BYTES);
	for (size_t i = 0; i < c->key.n; i++) {
		put_u64(number, c->key.items[i]);
		digest_more(&d, number, sizeof(number));
	}
	c->digest = digest_end(&d);
	return 0;
}

int compile_subscription(const struct compile_channel *ch, const struct published_offer *o,
			 struct buf *ret, struct err *err)
{
	const struct site_channel *c = ch->channel;
	struct subscription sub = {.owners = c->owners, .special_modes = c->special_modes};

	snprintf(sub.name, sizeof(sub.name), "%s", c->name);
	snprintf(sub.target, sizeof(sub.target), "%s", c->target);
	snprintf(sub.on_leave, sizeof(sub.on_leave), "%s", c->on_leave);
	if (o != NULL)
		sub.ceiling = (struct subscription_ceiling){o->epoch, o->generation, o->head};
	return subscription_encode(&sub, ret, err);
}

/* Nothing of it is asked for a channel without rings. */
static int channel_rings(struct site *s, struct compile_channel *ret, struct err *err)
{
	const char *name = ret->channel->name;
	int rc = published_offers(s->db, name, &ret->offers, err);

	if (rc == 0 && ret->channel->rings == 0)
		ret->offers.n = 0;
	if (rc < 0 || ret->channel->rings == 0)
		return rc;
	rc = published_released(s->db, name, &ret->released, err);
	return rc < 0 ? rc : receipts_held(s->db, name, &ret->held, err);
}

static int channel_make(struct site *s, const struct site_channel *c, struct compile_channel *ret,
			struct err *err)
{
	int rc;

	snprintf(ret->path, sizeof(ret->path), "channels/%s.yaml", c->name);
	ret->channel = c;
	rc = compile_subscription(ret, NULL, &ret->text, err);
	if (rc < 0)
		return err_prefix(err, "channel %s", c->name);
	ret->digest = digest_of(bytes_in(&ret->text));
	rc = channel_rings(s, ret, err);
	return rc < 0 ? rc : channel_keys(s, ret, err);
}

static int channels_load(struct compile *c, struct err *err)
{
	c->channel = calloc(c->s->channels + 1, sizeof(*c->channel));
	if (c->channel == NULL)
		return err_memory(err);
	while (c->channels < c->s->channels) {
		size_t i = c->channels++;
		int rc = channel_make(c->s, &c->s->channel[i], &c->channel[i], err);

		if (rc < 0)
			return rc;
	}
	if (c->channels > 0)
		qsort(c->channel, c->channels, sizeof(*c->channel), by_path);
	return 0;
}

/* Keys */

void compile_keys_make(struct compile *c)
{
	for (size_t i = 0; i < c->s->keys; i++) {
		struct err fault = {0};

		/* Whoever is to have it fails with this sentence later, and nobody else. */
		if (c->key[i].current == 0)
			keystore_make(c->keys, c->s->key[i].name, &fault);
	}
}

static int key_take(void *arg, const struct key_version *v, enum key_version_state state,
		    struct err *err)
{
	struct compile *c = arg;
	const struct site_key *doc = site_key_document(c->s, v->name);
	struct compile_key *k;

	if (doc == NULL)
		return 0;
	k = &c->key[doc - c->s->key];
	if (state == KEY_VERSION_CURRENT) {
		k->current = v->version;
		return 0;
	}
	if (k->olders == KEYSTORE_VERSIONS)
		return err_set(err, RC_STATE, "the registry is damaged: versions of key %s",
			       doc->name);
	k->older[k->olders++] = v->version;
	return 0;
}

static struct digest key_digest(const struct site_key *doc, const struct compile_key *k)
{
	struct digest_stream d;
	uint8_t number[8];

	digest_start(&d);
	digest_more(&d, doc->name, strlen(doc->name) + 1);
	put_u64(number, k->current);
	digest_more(&d, number, sizeof(number));
	for (size_t i = 0; i < k->olders; i++) {
		put_u64(number, k->older[i]);
		digest_more(&d, number, sizeof(number));
	}
	return digest_end(&d);
}

int compile_keys_load(struct compile *c, struct err *err)
{
	int rc;

	memset(c->key, 0, c->s->keys * sizeof(*c->key));
	rc = keystore_handed_out(c->s, key_take, c, err);
	for (size_t i = 0; rc == 0 && i < c->s->keys; i++)
		c->key[i].digest = key_digest(&c->s->key[i], &c->key[i]);
	return rc;
}

/*
 * A private bundle names an epoch: when that of its role was raised, every one has to be made
 * again. When a key that signed it is current no longer, it is signed anew (private_sign.c).
 */
static struct digest common(const struct site *s)
{
	enum role role = trust_acting(&s->trust, ROLE_PRIVATE);
	struct digest_stream d;
	uint8_t number[8];

	digest_start(&d);
	digest_more(&d, "satchel private inputs 2\n", 25);
	digest_more(&d, s->id.b, DIGEST_BYTES);
	put_u64(number, trust_epoch(&s->trust, ROLE_PRIVATE));
	digest_more(&d, number, sizeof(number));
	if (role == ROLE_PRIVATE)
		digest_more(&d, role_names[role], strlen(role_names[role]));
	return digest_end(&d);
}

int compile_load(struct site *s, struct compile *ret, struct err *err)
{
	int rc;

	*ret = (struct compile){.s = s, .now = clock_now(), .common = common(s)};
	ret->key = calloc(s->keys + 1, sizeof(*ret->key));
	if (ret->key == NULL)
		return err_memory(err);
	rc = channels_load(ret, err);
	if (rc == 0)
		rc = people_new(s, &ret->people, err);
	if (rc == 0)
		rc = policies_new(s, ret->people, &ret->policies, err);
	return rc < 0 ? rc : compile_keys_load(ret, err);
}

/* Those that changed */

/* The ids of those whose private channel is to be made again, ascending. */
struct compile_id {
	char text[WORKSTATION_ID + 1];
};
struct ids LIST_MEMBERS(struct compile_id);

static void ids_clear(struct ids *l)
{
	list_clear(l);
}

static int ids_add(void *arg, const char *id, struct err *err)
{
	struct compile_id *i = list_add((struct ids *)arg, err);

	if (i == NULL)
		return err->rc;
	snprintf(i->text, sizeof(i->text), "%s", id);
	return 0;
}

/* Whom to tell of those that changed. */
struct telling {
	int (*each)(void *arg, const char *id, struct err *err);
	void *arg;
};

static int tell_changed(void *arg, struct compile *c, const struct compile_member *m,
			struct err *err)
{
	struct telling *t = arg;

	int rc = m->changed ? private_is_apart(c->s->db, m->id, err) : 1;

	return rc == 0 ? t->each(t->arg, m->id, err) : rc < 0 ? rc : 0;
}

int compile_changed(struct site *s, int (*each)(void *arg, const char *id, struct err *err),
		    void *arg, struct err *err)
{
	OWNED(compile_clear) struct compile c = {.channels = 0};
	struct telling t = {each, arg};
	int rc = compile_load(s, &c, err);

	return rc < 0 ? rc : compile_each(&c, tell_changed, &t, err);
}

struct reading {
	int (*each)(void *arg, const struct compile_reader *r, struct err *err);
	void *arg;
};

static int tell_reader(void *arg, struct compile *c, const struct compile_member *m,
		       struct err *err)
{
	struct reading *r = arg;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->channels; i++) {
		const struct site_channel *ch = c->channel[i].channel;
		const struct compile_reader reader = {ch->name, m->id, m->name};

		if (ch->sealed && compile_subscribes(c, m, ch))
			rc = r->each(r->arg, &reader, err);
	}
	return rc;
}

int compile_readers(struct site *s,
		    int (*each)(void *arg, const struct compile_reader *r, struct err *err),
		    void *arg, struct err *err)
{
	OWNED(compile_clear) struct compile c = {.channels = 0};
	struct reading r = {each, arg};
	int rc = compile_load(s, &c, err);

	return rc < 0 ? rc : compile_each(&c, tell_reader, &r, err);
}

/* Channels with rings */

struct ringing {
	int (*each)(void *arg, const struct compile_ringed *r, struct err *err);
	void *arg;
};

static int tell_ringed(void *arg, struct compile *c, const struct compile_member *m,
		       struct err *err)
{
	const struct ringing *r = arg;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->channels; i++) {
		const struct compile_channel *ch = &c->channel[i];
		struct compile_ringed one = {.channel = ch->channel, .id = m->id, .name = m->name};

		if (ch->channel->rings == 0 || !compile_subscribes(c, m, ch->channel))
			continue;
		one.offer = compile_offer(c, m, ch, &one.ring);
		one.held = receipts_held_find(&ch->held, m->id);
		rc = r->each(r->arg, &one, err);
	}
	return rc;
}

int compile_ringed(struct site *s,
		   int (*each)(void *arg, const struct compile_ringed *r, struct err *err),
		   void *arg, struct err *err)
{
	OWNED(compile_clear) struct compile c = {.channels = 0};
	struct ringing r = {each, arg};
	int rc = compile_load(s, &c, err);

	return rc < 0 ? rc : compile_each(&c, tell_ringed, &r, err);
}

/* One workstation */

static int generation_read(struct site *s, const char *id, uint64_t *epoch, uint64_t *generation,
			   struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT epoch, generation FROM private WHERE id = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc == 0)
		rc = err_set(err, RC_INTERNAL, "a private generation was made and is not there");
	if (rc < 0)
		return rc;
	*epoch = (uint64_t)db_i64(st, 0);
	*generation = (uint64_t)db_i64(st, 1);
	return 0;
}

static int private_users_list(struct site *s, const struct compile_member *m, uint64_t epoch,
			      uint64_t generation, struct err *err)
{
	OWNED(freep) const char **email = calloc(m->who.n + 1, sizeof(*email));

	if (email == NULL)
		return err_memory(err);
	for (size_t i = 0; i < m->who.n; i++)
		email[i] = m->who.items[i]->email;
	return private_users_record(s->db, m->id, epoch, generation, email, m->who.n, err);
}

static int readers_record(const struct compile *c, const struct compile_member *m, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->channels; i++) {
		const struct compile_channel *ch = &c->channel[i];

		if (ch->key.n > 0 && compile_subscribes(c, m, ch->channel))
			rc = sealed_sent(c->s->db, m->id, ch->channel->name,
					 ch->key.items[ch->key.n - 1], err);
	}
	return rc;
}

/* member_record(c, m, t, err): what the newest generation has, for everybody who asks later. */
static int member_record(const struct compile *c, const struct compile_member *m,
			 const struct compile_tree *t, struct err *err)
{
	struct site *s = c->s;
	uint64_t epoch = 0, generation = 0;
	int rc = generation_read(s, m->id, &epoch, &generation, err);

	if (rc == 0)
		rc =
		    keystore_sent(s, m->id, t->version.items, t->version.n, epoch, generation, err);
	if (rc == 0)
		rc = private_users_list(s, m, epoch, generation, err);
	if (rc == 0)
		rc = readers_record(c, m, err);
	if (rc == 0 && !m->leaving)
		rc = message_carried(s, m->id, epoch, generation, err);
	return rc < 0 ? rc
		      : private_compiled(s->db, m->id, &m->inputs, m->leaving ? NULL : &t->policy,
					 err);
}

static int member_compile(struct compile *c, const char *id, struct err *err)
{
	OWNED(compile_member_clear) struct compile_member m = {.id = ""};
	OWNED(compile_tree_clear) struct compile_tree t = {.policy = {{0}}};
	int rc = compile_member_read(c, id, &m, err);

	if (rc == 0)
		rc = compile_tree_make(c, &m, &t, err);
	if (rc == 0)
		rc = private_publish(c->s, &m.sign, &m.seal, &t.content, err);
	if (rc == 0)
		rc = member_record(c, &m, &t, err);
	if (rc < 0)
		return err_prefix(err, "private channel of %s", m.name);
	keystore_rest(c->keys);
	return 0;
}

/* member_try(...): in the caller's transaction, all of it or nothing. */
static int member_try(struct compile *c, const char *id, struct err *err)
{
	struct db *db = c->s->db;
	int rc = db_exec(db, "SAVEPOINT member", err);

	if (rc < 0)
		return rc;
	rc = member_compile(c, id, err);
	/* A full disk has ended the transaction already; the commit says so. */
	if (rc < 0 && sqlite3_get_autocommit(db_handle(db)) == 0)
		db_exec(db, "ROLLBACK TO member; RELEASE member", ERR_IGNORED);
	return rc < 0 ? rc : db_exec(db, "RELEASE member", err);
}

/* batch_compile(...): one that cannot be made does not keep the others waiting: the first fault
 * goes into ${first}. */
static int batch_compile(struct compile *c, const struct compile_id *id, size_t n,
			 struct err *first, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, c->s->db, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct err fault = {0};

		if (member_try(c, id[i].text, &fault) < 0 && first->rc == 0)
			*first = fault;
	}
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

/* The whole site */

static int nobody_told(void *arg, const char *id, struct err *err)
{
	(void)arg;
	(void)id;
	(void)err;
	return 0;
}

/* Messages whose time is over leave, deleted users whom nobody holds are forgotten, and keys that
 * have no version get one. */
static int prepare(struct compile *c, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, c->s->db, err);

	if (rc == 0)
		rc = message_sweep(c->s, nobody_told, NULL, err);
	if (rc == 0)
		rc = private_users_sweep(c->s, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc < 0)
		return rc;
	rc = keystore_new(c->s, &c->keys, err);
	if (rc < 0)
		return rc;
	compile_keys_make(c);
	return compile_keys_load(c, err);
}

int compile_site(struct site *s, enum compile_flags flags, uint64_t *ret_changed, struct err *err)
{
	OWNED(compile_clear) struct compile c = {.channels = 0};
	OWNED(ids_clear) struct ids l = {.n = 0};
	struct telling t = {ids_add, &l};
	struct err first = {0};
	bool make = (flags & COMPILE_DRY_RUN) == 0;
	int rc = site_references_check(s, err);

	if (rc == 0)
		rc = compile_load(s, &c, err);
	if (rc == 0 && make)
		rc = prepare(&c, err);
	if (rc == 0)
		rc = compile_each(&c, tell_changed, &t, err);
	for (size_t i = 0; rc == 0 && make && i < l.n; i += BATCH)
		rc = batch_compile(&c, &l.items[i], l.n - i < BATCH ? l.n - i : BATCH, &first, err);
	if (rc < 0)
		return rc;
	*ret_changed = l.n;
	return first.rc == 0 ? 0 : err_set(err, first.rc, "%s", first.text);
}
