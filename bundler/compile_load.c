/*
 * What all private channels are made of, read once.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/compile_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/path.h"

void compile_clear(struct compile *c)
{
	for (size_t i = 0; i < c->channels; i++)
		buf_clear(&c->channel[i].text);
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

static int channel_make(const struct site_channel *c, struct compile_channel *ret, struct err *err)
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

static int channels_load(struct compile *c, struct err *err)
{
	c->channel = calloc(c->s->channels + 1, sizeof(*c->channel));
	if (c->channel == NULL)
		return err_memory(err);
	while (c->channels < c->s->channels) {
		size_t i = c->channels++;
		int rc = channel_make(&c->s->channel[i], &c->channel[i], err);

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

static int key_row(struct compile *c, sqlite3_stmt *st, struct err *err)
{
	const struct site_key *doc = site_key_document(c->s, db_text(st, 0));
	uint64_t version = (uint64_t)db_i64(st, 1);
	struct compile_key *k;

	if (doc == NULL)
		return 0;
	k = &c->key[doc - c->s->key];
	if (db_i64(st, 2) != 0) {
		k->current = version;
		return 0;
	}
	if (k->olders == KEYSTORE_VERSIONS)
		return err_set(err, RC_STATE, "the registry is damaged: versions of key %s",
			       doc->name);
	k->older[k->olders++] = version;
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
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	memset(c->key, 0, c->s->keys * sizeof(*c->key));
	rc = db_query(c->s->db,
		      "SELECT name, version, state = 'current' FROM secret"
		      " WHERE state <> 'withdrawn' ORDER BY name, version",
		      &st, err);
	while (rc == 0 && (rc = db_step(c->s->db, st, err)) == 1)
		rc = key_row(c, st, err);
	for (size_t i = 0; rc == 0 && i < c->s->keys; i++)
		c->key[i].digest = key_digest(&c->s->key[i], &c->key[i]);
	return rc;
}

/*
 * A private bundle names an epoch and a signer: when the epoch of publish was raised, or a key that
 * may have signed it was revoked, every one has to be made again.
 */
static struct digest common(const struct site *s)
{
	struct digest_stream d;
	uint8_t number[8];

	digest_start(&d);
	digest_more(&d, "satchel private inputs 2\n", 25);
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
