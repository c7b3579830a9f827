/* SPDX-License-Identifier: ISC */
/*
 * The tree of one private channel.
 *
 * Files, all small:
 *
 *   workstation.yaml         always; with a salt, so that no two trees are the same
 *   channels/NAME.yaml       what it subscribes to
 *   people/ID.yaml           each user who is active there, with the versions of their keys
 *   people/ID.policy.yaml    the policy in force for that user
 *   secrets/NAME.VERSION     each of these versions once
 *   policy.yaml              the policy in force for the workstation
 *   messages/ID.yaml         what is to be shown there
 *   x-padding                added by private_publish.c; nobody reads it
 *
 * A workstation that leaves gets workstation.yaml alone, which asks it to wipe everything else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/documents/site_model.h"
#include "bundler/messages/message.h"
#include "bundler/private/compile_internal.h"
#include "core/base/own.h"
#include "core/format/bundle/path.h"

/* Effective policies kept: in a large site there are few that differ. */
#define TEXTS_MAX 1024

void compile_tree_clear(struct compile_tree *t)
{
	for (size_t i = 0; i < t->file.n; i++)
		buf_clear(&t->file.items[i].text);
	list_clear(&t->file);
	list_clear(&t->version);
	list_clear(&t->channel);
	list_clear(&t->person);
	list_clear(&t->ready);
	*t = (struct compile_tree){.policy = {{0}}};
}

/* tree_add(t, err): one more file; its path and content are the caller's to fill in. */
static struct compile_content *tree_add(struct compile_tree *t, struct err *err)
{
	struct compile_content *f = list_add(&t->file, err);

	if (f != NULL)
		f->text = (struct buf)BUF_INIT;
	return f;
}

/* Policies */

static int text_order(const void *of, const void *text)
{
	return memcmp(of, ((const struct compile_text *)text)->of.b, DIGEST_BYTES);
}

/* text_keep(c, of, text, err): the list stays ascending; a full one begins anew. */
static int text_keep(struct compile *c, const struct digest *of, struct bytes text, struct err *err)
{
	size_t at = 0;

	if (c->text == NULL)
		c->text = calloc(TEXTS_MAX, sizeof(*c->text));
	if (c->text == NULL)
		return err_memory(err);
	while (c->texts == TEXTS_MAX && at < c->texts)
		buf_clear(&c->text[at++].text);
	c->texts = at == TEXTS_MAX ? 0 : c->texts;
	for (at = c->texts; at > 0 && text_order(of, &c->text[at - 1]) < 0; at--)
		c->text[at] = c->text[at - 1];
	c->text[at] = (struct compile_text){.of = *of, .text = BUF_INIT};
	c->texts++;
	return buf_add(&c->text[at].text, text.p, text.n, err);
}

/* What the policy of the workstation (${u} NULL), or of a user there, is made of. */
static struct digest policy_of(const struct compile *c, const struct compile_member *m,
			       const struct site_user *u)
{
	struct digest_stream d;

	digest_start(&d);
	policies_digest(c->policies, m->w, &d);
	if (m->w->policy[0] != '\0')
		digest_more(&d, m->w->name, strlen(m->w->name) + 1);
	if (u != NULL)
		policies_digest_user(c->policies, u, &d);
	for (size_t i = 0; u == NULL && i < m->user.n; i++)
		policies_digest_user(c->policies, m->who.items[i], &d);
	return digest_end(&d);
}

/*
 * A user: the layers up to theirs.  The workstation, which all of them share: of each setting the
 * strictest of theirs, of each value the one of whoever comes first.
 */
static int policy_make_text(const struct compile *c, const struct compile_member *m,
			    const struct site_user *u, struct buf *ret, struct err *err)
{
	OWNED(policy_made_clear) struct policy_made made = {.own = {.origin = ""}};
	struct policy_for who = {m->w, m->who.items, m->who.n};
	int rc = u != NULL ? policies_user(c->policies, m->w, u, &made, err)
			   : policies_workstation(c->policies, &who, &made, err);

	return rc < 0 ? rc : effective_encode(&made.policy, ret, err);
}

static int policy_add(struct compile *c, const struct compile_member *m, const struct site_user *u,
		      struct buf *ret, struct err *err)
{
	struct digest of = policy_of(c, m, u);
	const struct compile_text *had = NULL;
	int rc;

	if (c->texts > 0)
		had = bsearch(of.b, c->text, c->texts, sizeof(*c->text), text_order);
	if (had != NULL)
		return buf_add(ret, had->text.p, had->text.n, err);
	rc = policy_make_text(c, m, u, ret, err);
	return rc < 0 ? rc : text_keep(c, &of, bytes_in(ret), err);
}

static int own_policy_add(struct compile *c, const struct compile_member *m, struct compile_tree *t,
			  struct err *err)
{
	struct compile_content *f = tree_add(t, err);
	int rc;

	if (f == NULL)
		return RC_MEMORY;
	snprintf(f->path, sizeof(f->path), "policy.yaml");
	rc = policy_add(c, m, NULL, &f->text, err);
	if (rc == 0)
		t->policy = digest_of(bytes_in(&f->text));
	return rc;
}

/* People */

static int version_add(struct compile_tree *t, const char *name, uint64_t version, struct err *err)
{
	struct key_version *v = list_add(&t->version, err);

	if (v == NULL)
		return err->rc;
	v->version = version;
	snprintf(v->name, sizeof(v->name), "%s", name);
	return 0;
}

/* One key of a person; its versions go into secrets/. */
static int key_take(struct compile *c, const struct site_key *doc, struct compile_tree *t,
		    struct person_key *ret, struct err *err)
{
	const struct compile_key *k = &c->key[doc - c->s->key];
	int rc = 0;

	/* That it could not be made has its reason, which is asked for again. */
	if (k->current == 0)
		rc = keystore_make(c->keys, doc->name, err);
	if (k->current == 0 && rc >= 0)
		rc = err_set(err, RC_STATE, "key %s has no version yet", doc->name);
	if (rc < 0)
		return rc;
	snprintf(ret->name, sizeof(ret->name), "%s", doc->name);
	ret->current = k->current;
	ret->olders = k->olders;
	memcpy(ret->older, k->older, k->olders * sizeof(k->older[0]));
	for (size_t i = 0; rc == 0 && i < k->olders; i++)
		rc = version_add(t, doc->name, k->older[i], err);
	return rc < 0 ? rc : version_add(t, doc->name, k->current, err);
}

static int keys_take(struct compile *c, const struct site_user *u, struct compile_tree *t,
		     struct person *ret, struct err *err)
{
	OWNED(people_keys_clear) struct people_keys keys = {.n = 0};
	int rc = people_keys(c->people, u, &keys, err);

	if (rc < 0 || keys.n == 0)
		return rc;
	ret->key = calloc(keys.n, sizeof(*ret->key));
	if (ret->key == NULL)
		return err_memory(err);
	for (; rc == 0 && ret->keys < keys.n; ret->keys++)
		rc = key_take(c, keys.key[ret->keys], t, &ret->key[ret->keys], err);
	return rc;
}

/*
 * The path has a digest in the place of the address, so that it fits a file name whatever the
 * address is.
 */
static int person_add(struct compile *c, const struct compile_user *cu, struct compile_tree *t,
		      struct err *err)
{
	OWNED(person_clear) struct person p = {.keys = 0};
	const struct site_user *u = cu->user;
	struct compile_content *f;
	char id[17];
	int rc = keys_take(c, u, t, &p, err);

	if (rc == 0)
		rc = list_push(&t->person, ((struct private_person){u->email, cu->account}), err);
	f = rc < 0 ? NULL : tree_add(t, err);
	if (f == NULL)
		return rc < 0 ? rc : RC_MEMORY;
	snprintf(p.email, sizeof(p.email), "%s", u->email);
	snprintf(p.name, sizeof(p.name), "%s", u->name != NULL ? u->name : u->email);
	snprintf(p.account, sizeof(p.account), "%s", cu->account);
	snprintf(p.group, sizeof(p.group), "%s", u->group);
	person_id(id, u->email);
	snprintf(f->path, sizeof(f->path), "people/%s.yaml", id);
	return person_encode(&p, &f->text, err);
}

static int person_policy_add(struct compile *c, const struct compile_member *m,
			     const struct site_user *u, struct compile_tree *t, struct err *err)
{
	struct compile_content *f = tree_add(t, err);
	char id[17];

	if (f == NULL)
		return RC_MEMORY;
	person_id(id, u->email);
	snprintf(f->path, sizeof(f->path), "people/%s.policy.yaml", id);
	return policy_add(c, m, u, &f->text, err);
}

static int people_add(struct compile *c, const struct compile_member *m, struct compile_tree *t,
		      struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->user.n; i++) {
		const struct compile_user *u = &m->user.items[i];

		rc = person_add(c, u, t, err);
		if (rc == 0)
			rc = person_policy_add(c, m, u->user, t, err);
		if (rc < 0)
			err_prefix(err, "user %s", u->user->email);
	}
	return rc;
}

/* Secrets */

static int by_version(const void *a, const void *b)
{
	return key_version_order(a, b);
}

/* Two users of one workstation may have the same. */
static void versions_unique(struct compile_tree *t)
{
	struct key_version *v = t->version.items;
	size_t n = 0;

	list_sort(&t->version, by_version);
	for (size_t i = 0; i < t->version.n; i++) {
		if (n == 0 || key_version_order(&v[n - 1], &v[i]) != 0)
			v[n++] = v[i];
	}
	t->version.n = n;
}

/*
 * Not copied: the bytes are in locked memory of the key store, and the tree only points there until
 * it is sealed.
 */
static int secrets_add(struct compile *c, struct compile_tree *t, struct err *err)
{
	versions_unique(t);
	for (size_t i = 0; i < t->version.n; i++) {
		const struct key_version *v = &t->version.items[i];
		struct compile_content *f = tree_add(t, err);
		int rc = f == NULL ? RC_MEMORY
				   : keystore_secret(c->keys, v->name, v->version, &f->secret, err);

		if (rc < 0)
			return rc;
		snprintf(f->path, sizeof(f->path), "secrets/%s.%" PRIu64, v->name, v->version);
	}
	return 0;
}

/* As the secrets of users. */
static int channel_keys_add(struct compile *c, const struct compile_channel *ch,
			    struct compile_tree *t, struct err *err)
{
	for (size_t i = 0; i < ch->key.n; i++) {
		const char *name = ch->channel->name;
		struct compile_content *f = tree_add(t, err);
		int rc = f == NULL
			     ? RC_MEMORY
			     : sealed_secret(c->keys, name, ch->key.items[i], &f->secret, err);

		if (rc < 0)
			return rc;
		snprintf(f->path, sizeof(f->path), CHANNEL_KEYS "/%s.%" PRIu64, name,
			 ch->key.items[i]);
	}
	return 0;
}

/* The rest */

static int channels_add(struct compile *c, const struct compile_member *m, struct compile_tree *t,
			struct err *err)
{
	for (size_t i = 0; i < c->channels; i++) {
		const struct compile_channel *ch = &c->channel[i];
		struct private_channel one = {.name = ch->channel->name};
		const struct published_offer *o;
		struct compile_content *f;
		uint64_t ring;

		if (!compile_subscribes(c, m, ch->channel))
			continue;
		f = tree_add(t, err);
		if (f == NULL)
			return RC_MEMORY;
		o = compile_offer(c, m, ch, &ring);
		if (o != NULL)
			one = (struct private_channel){one.name, o->epoch, o->generation};
		if (compile_subscription(ch, o, &f->text, err) < 0)
			return err->rc;
		snprintf(f->path, sizeof(f->path), "%s", ch->path);
		if (list_push(&t->channel, one, err) < 0 || channel_keys_add(c, ch, t, err) < 0)
			return err->rc;
	}
	return 0;
}

static int message_add(void *arg, const struct message *m, struct err *err)
{
	struct compile_content *f = tree_add(arg, err);

	if (f == NULL)
		return RC_MEMORY;
	snprintf(f->path, sizeof(f->path), "messages/%s.yaml", m->id);
	return message_encode(m, &f->text, err);
}

static int membership_add(const struct compile *c, const struct compile_member *m,
			  struct compile_tree *t, struct err *err)
{
	struct membership me = {.site = c->s->id, .decommission = m->leaving, .renew = m->renew};
	struct compile_content *f = tree_add(t, err);

	if (f == NULL)
		return RC_MEMORY;
	snprintf(me.id, sizeof(me.id), "%s", m->id);
	snprintf(me.name, sizeof(me.name), "%s", m->name);
	if (!key_absent(&m->codes))
		key_seal_id(me.codes, &m->codes);
	/*
	 * Manifests are public, and name the digest of the tree.  Without a salt anybody could try
	 * whether it fits a guess at who is active and what they hold.
	 */
	randombytes_buf(me.salt, sizeof(me.salt));
	snprintf(f->path, sizeof(f->path), "workstation.yaml");
	return membership_encode(&me, &f->text, err);
}

static int by_path(const void *a, const void *b)
{
	return path_compare(((const struct compile_content *)a)->path,
			    ((const struct compile_content *)b)->path);
}

static int tree_ready(struct compile_tree *t, struct err *err)
{
	list_sort(&t->file, by_path);
	for (size_t i = 0; i < t->file.n; i++) {
		const struct compile_content *f = &t->file.items[i];
		struct private_file ready = {f->path,
					     f->secret.p != NULL ? f->secret : bytes_in(&f->text)};

		if (list_push(&t->ready, ready, err) < 0)
			return err->rc;
	}
	t->content = (struct private_content){.file = t->ready.items,
					      .files = t->ready.n,
					      .channel = t->channel.items,
					      .channels = t->channel.n,
					      .person = t->person.items,
					      .people = t->person.n};
	return 0;
}

int compile_tree_make(struct compile *c, const struct compile_member *m, struct compile_tree *ret,
		      struct err *err)
{
	int rc = 0;

	if (!m->leaving) {
		/* What can fail for want of the master key comes first. */
		rc = people_add(c, m, ret, err);
		if (rc == 0)
			rc = secrets_add(c, ret, err);
		if (rc == 0)
			rc = channels_add(c, m, ret, err);
		if (rc == 0)
			rc = own_policy_add(c, m, ret, err);
		if (rc == 0)
			rc = message_each(c->s, m->id, message_add, ret, err);
	}
	if (rc == 0)
		rc = membership_add(c, m, ret, err);
	return rc < 0 ? rc : tree_ready(ret, err);
}
