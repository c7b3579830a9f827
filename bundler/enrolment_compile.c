/*
 * Private channels: workstation.yaml and channels/NAME.yaml for every channel whose audience has
 * the workstation.  A new generation is made only when what it is made of changed; its salt is new
 * every time.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/enrolment_internal.h"
#include "bundler/publish.h"
#include "core/base/own.h"
#include "core/format/path.h"

#define BATCH 100 /* private channels between two commits */

void subscriptions_clear(struct subscriptions *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_clear(&l->item[i].text);
	free(l->item);
	l->item = NULL;
	l->n = 0;
}

static int by_path(const void *a, const void *b)
{
	const struct subscription_text *x = a, *y = b;

	return path_compare(x->path, y->path);
}

static int subscription_make(const struct site_channel *c, struct subscription_text *ret,
			     struct err *err)
{
	struct subscription sub = {.owners = c->owners, .special_modes = c->special_modes};
	int rc;

	snprintf(sub.name, sizeof(sub.name), "%s", c->name);
	snprintf(sub.target, sizeof(sub.target), "%s", c->target);
	snprintf(sub.on_leave, sizeof(sub.on_leave), "%s", c->on_leave);
	snprintf(ret->path, sizeof(ret->path), "channels/%s.yaml", c->name);
	ret->channel = c;
	rc = subscription_encode(&sub, &ret->text, err);
	if (rc < 0)
		return err_prefix(err, "channel %s", c->name);
	ret->digest = digest_of(bytes_in(&ret->text));
	return 0;
}

/*
 * A private bundle names an epoch and a signer: when the epoch of publish was raised, or a key that
 * may have signed it was revoked, every one has to be made again.
 */
static struct digest inputs_common(const struct site *s)
{
	struct digest_stream d;
	uint8_t number[8];

	digest_start(&d);
	digest_more(&d, "satchel private inputs 1\n", 25);
	digest_more(&d, s->id.b, DIGEST_BYTES);
	put_u64(number, s->trust.epoch[ROLE_PUBLISH]);
	digest_more(&d, number, sizeof(number));
	for (size_t i = 0; i < s->trust.keys; i++) {
		const struct trust_key *k = &s->trust.key[i];

		if (k->state == KEY_REVOKED && (k->roles & 1u << ROLE_PUBLISH) != 0)
			digest_more(&d, k->key.b, KEY_PUBLIC_BYTES);
	}
	return digest_end(&d);
}

int subscriptions_make(struct site *s, struct subscriptions *ret, struct err *err)
{
	ret->common = inputs_common(s);
	if (s->channels == 0)
		return 0;
	ret->item = calloc(s->channels, sizeof(*ret->item));
	if (ret->item == NULL)
		return err_memory(err);
	for (; ret->n < s->channels; ret->n++) {
		int rc = subscription_make(&s->channel[ret->n], &ret->item[ret->n], err);

		if (rc < 0) {
			buf_clear(&ret->item[ret->n].text);
			return rc;
		}
	}
	qsort(ret->item, ret->n, sizeof(*ret->item), by_path);
	return 0;
}

struct digest subscriptions_inputs(const struct subscriptions *l, const struct site_workstation *w,
				   const char *id)
{
	struct digest_stream d;

	digest_start(&d);
	digest_more(&d, l->common.b, DIGEST_BYTES);
	digest_more(&d, id, WORKSTATION_ID);
	digest_more(&d, w->name, strlen(w->name) + 1);
	for (size_t i = 0; i < l->n; i++) {
		if (site_subscribes(w, l->item[i].channel))
			digest_more(&d, l->item[i].digest.b, DIGEST_BYTES);
	}
	return digest_end(&d);
}

const struct site_workstation *site_workstation_or(struct site *s, const char *name,
						   struct site_workstation *spare)
{
	const struct site_workstation *w = site_workstation(s, name);

	if (w != NULL)
		return w;
	memset(spare, 0, sizeof(*spare));
	snprintf(spare->name, sizeof(spare->name), "%s", name);
	return spare;
}

/* One workstation whose private channel is to be made again. */
struct member {
	char id[WORKSTATION_ID + 1];
	char name[WORKSTATION_NAME];
	struct key_public sign, seal;
	struct digest inputs;
};

struct members {
	struct member *member; /* owned */
	size_t n, cap;
};

static void members_clear(struct members *l)
{
	free(l->member);
}

static int members_add(struct members *l, const struct member *m, struct err *err)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		struct member *more = reallocarray(l->member, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		l->member = more;
		l->cap = cap;
	}
	l->member[l->n++] = *m;
	return 0;
}

static int member_read(sqlite3_stmt *st, struct member *ret, struct err *err)
{
	struct bytes sign = db_bytes(st, 2), seal = db_bytes(st, 4);

	if (sign.n != KEY_PUBLIC_BYTES || seal.n != KEY_PUBLIC_BYTES)
		return err_set(err, RC_STATE, "the registry is damaged: keys of workstation %s",
			       db_text(st, 0));
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 1));
	ret->sign = (struct key_public){.kind = KEY_SIGN, .number = (uint64_t)db_i64(st, 3)};
	ret->seal = (struct key_public){.kind = KEY_SEAL, .number = (uint64_t)db_i64(st, 5)};
	memcpy(ret->sign.b, sign.p, KEY_PUBLIC_BYTES);
	memcpy(ret->seal.b, seal.p, KEY_PUBLIC_BYTES);
	return 0;
}

/* members_changed(s, l, ret, err): those that are enrolled and whose inputs are not the recorded
 * ones. */
static int members_changed(struct site *s, const struct subscriptions *l, struct members *ret,
			   struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct site_workstation spare;
	struct member m;
	struct digest had;
	int rc;

	rc = db_query(s->db,
		      "SELECT id, name, sign, sign_number, seal, seal_number, inputs"
		      " FROM workstation WHERE state = 'enrolled' ORDER BY id",
		      &st, err);
	if (rc < 0)
		return rc;
	while ((rc = db_step(s->db, st, err)) == 1) {
		rc = member_read(st, &m, err);
		if (rc < 0)
			return rc;
		m.inputs = subscriptions_inputs(l, site_workstation_or(s, m.name, &spare), m.id);
		if (db_digest(st, 6, &had) && digest_equal(&had, &m.inputs))
			continue;
		rc = members_add(ret, &m, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int membership_make(const struct site *s, const struct member *m, struct buf *ret,
			   struct err *err)
{
	struct membership me = {.site = s->id};

	snprintf(me.id, sizeof(me.id), "%s", m->id);
	snprintf(me.name, sizeof(me.name), "%s", m->name);
	randombytes_buf(me.salt, sizeof(me.salt));
	return membership_encode(&me, ret, err);
}

static int member_compile(struct site *s, const struct subscriptions *l, const struct member *m,
			  struct err *err)
{
	OWNED(freep) struct private_file *file = calloc(l->n + 1, sizeof(*file));
	OWNED(buf_clear) struct buf me = BUF_INIT;
	struct site_workstation spare;
	const struct site_workstation *w = site_workstation_or(s, m->name, &spare);
	size_t n = 0;
	int rc;

	if (file == NULL)
		return err_memory(err);
	rc = membership_make(s, m, &me, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < l->n; i++) {
		if (site_subscribes(w, l->item[i].channel))
			file[n++] =
			    (struct private_file){l->item[i].path, bytes_in(&l->item[i].text)};
	}
	file[n++] = (struct private_file){"workstation.yaml", bytes_in(&me)};
	rc = private_publish(s, &m->sign, &m->seal, file, n, err);
	if (rc == 0)
		rc = db_run(s->db, err, "UPDATE workstation SET inputs = ?1 WHERE id = ?2", "dt",
			    &m->inputs, m->id);
	if (rc < 0)
		return err_prefix(err, "private channel of %s", m->name);
	return 0;
}

/* member_try(...): in the caller's transaction, all of it or nothing. */
static int member_try(struct site *s, const struct subscriptions *l, const struct member *m,
		      struct err *err)
{
	int rc = db_exec(s->db, "SAVEPOINT member", err);

	if (rc < 0)
		return rc;
	rc = member_compile(s, l, m, err);
	/* A full disk has ended the transaction already; the commit says so. */
	if (rc < 0 && sqlite3_get_autocommit(db_handle(s->db)) == 0)
		db_exec(s->db, "ROLLBACK TO member; RELEASE member", NULL);
	return rc < 0 ? rc : db_exec(s->db, "RELEASE member", err);
}

/* batch_compile(...): one commit for many, because each costs a flush of the disk.  One that cannot
 * be made does not keep the others waiting: the first fault goes into ${first}. */
static int batch_compile(struct site *s, const struct subscriptions *l, const struct member *m,
			 size_t n, struct err *first, struct err *err)
{
	int rc = db_begin(s->db, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct err fault = {0};

		if (member_try(s, l, &m[i], &fault) < 0 && first->rc == 0)
			*first = fault;
	}
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

int enrolment_compile(struct site *s, bool dry_run, uint64_t *ret_changed, struct err *err)
{
	OWNED(subscriptions_clear) struct subscriptions l = {0};
	OWNED(members_clear) struct members changed = {0};
	struct err first = {0};
	int rc;

	rc = subscriptions_make(s, &l, err);
	if (rc == 0)
		rc = members_changed(s, &l, &changed, err);
	for (size_t i = 0; rc == 0 && !dry_run && i < changed.n; i += BATCH)
		rc = batch_compile(s, &l, &changed.member[i],
				   changed.n - i < BATCH ? changed.n - i : BATCH, &first, err);
	if (rc < 0)
		return rc;
	*ret_changed = changed.n;
	return first.rc == 0 ? 0 : err_set(err, first.rc, "%s", first.text);
}
