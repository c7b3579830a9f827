/* SPDX-License-Identifier: ISC */
/*
 * Private bundles whose signer is current no longer, signed anew: the same manifest over the same
 * sealed bytes, which the registry has.  Nothing but the beat's key would vouch for a retired key
 * here, and two stolen keys must not make a private channel.  Generation and tree stay, so whoever
 * holds it has nothing to do; whoever does not finds a bundle that counts.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "bundler/registry/registry.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"

/* Bundles between two commits, because each commit costs a flush of the disk. */
#define BATCH 100

struct private_row {
	char id[WORKSTATION_ID + 1];
	char path[DEPOT_NAME];
	struct digest manifest; /* the identity that was committed */
};
struct private_rows LIST_MEMBERS(struct private_row);

static void rows_clear(struct private_rows *l)
{
	list_clear(l);
}

/* A current key of the role that signs private channels; NULL: ${bytes} are none of them. */
static const struct trust_key *key_current(const struct site *s, struct bytes bytes)
{
	unsigned role = 1u << trust_acting(&s->trust, ROLE_PRIVATE);

	for (size_t i = 0; i < s->trust.keys; i++) {
		const struct trust_key *k = &s->trust.key[i];

		if (k->state == KEY_CURRENT && (k->roles & role) != 0 &&
		    bytes_equal(bytes, (struct bytes){k->key.b, KEY_PUBLIC_BYTES}))
			return k;
	}
	return NULL;
}

static const struct trust_key *signer_of(const struct site *s, const struct signed_doc *doc)
{
	for (size_t i = 0; i < s->trust.keys; i++) {
		const struct trust_key *k = &s->trust.key[i];

		if (key_current(s, (struct bytes){k->key.b, KEY_PUBLIC_BYTES}) != NULL &&
		    signed_by(doc, &k->key))
			return k;
	}
	return NULL;
}

int private_signer_put(struct site *s, const char *id, struct bytes file, struct err *err)
{
	struct bundle_form form;
	struct signed_doc doc;
	const struct trust_key *k;
	size_t need = 0;
	int rc = bundle_form(file, &need, &form, err);

	if (rc == 0)
		rc = err_set(err, RC_INTERNAL, "a private bundle of %zu bytes", file.n);
	if (rc > 0)
		rc = signed_split(form.manifest, 1, &doc, err);
	if (rc < 0)
		return rc;
	k = signer_of(s, &doc);
	if (k == NULL)
		return 0;
	rc = db_run(s->db, err, "UPDATE private SET signer = ?2 WHERE id = ?1", "tb", id,
		    (struct bytes){k->key.b, KEY_PUBLIC_BYTES});
	return rc < 0 ? rc : 1;
}

/* The file as it was committed, under another signature, in the place of the one before. */
static int file_sign(struct site *s, const struct private_row *row, struct bytes file,
		     struct err *err)
{
	OWNED(buf_clear) struct buf again = BUF_INIT;
	struct bundle_form form;
	struct signed_doc doc = {0};
	struct manifest m;
	struct digest identity, prefix;
	char path[DEPOT_NAME];
	size_t need = 0;
	int rc = bundle_form(file, &need, &form, err);

	if (rc > 0)
		rc = signed_split(form.manifest, 1, &doc, err);
	if (rc == 0 && !digest_equal(&doc.identity, &row->manifest))
		rc = err_set(err, RC_STATE, "the registry is damaged: the private bundle of %s",
			     row->id);
	if (rc == 0)
		rc = manifest_decode(doc.inner, &m, err);
	if (rc == 0)
		rc = manifest_sign(s, &m, form.blocks, &again, &identity, err);
	if (rc < 0)
		return rc;
	prefix = digest_of(bytes_in(&again));
	rc = buf_add(&again, file.p + need, file.n - need, err);
	name_private(path, row->id, m.epoch, m.generation, &prefix);
	if (rc == 0)
		rc = site_post_retire(s, row->path, err);
	if (rc == 0)
		rc = site_post_document(s, path, bytes_in(&again), err);
	if (rc == 0)
		rc = db_run(s->db, err, "UPDATE private SET manifest = ?2, path = ?3 WHERE id = ?1",
			    "tdt", row->id, &identity, path);
	return rc < 0 ? rc : private_signer_put(s, row->id, bytes_in(&again), err);
}

static int row_sign(struct site *s, const struct private_row *row, struct err *err)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	int rc = registry_document_get(s->db, row->path, &file, err);

	if (rc == 0) /* nothing to sign: it is compiled again */
		return private_stale(s->db, row->id, err);
	if (rc > 0)
		rc = private_signer_put(s, row->id, bytes_in(&file), err);
	if (rc == 0)
		rc = file_sign(s, row, bytes_in(&file), err);
	return rc < 0 ? err_prefix(err, "private channel of %s", row->id) : 0;
}

/* The next rows above ${after} that no current key has signed, as far as is known. */
static int rows_next(struct site *s, const char *after, struct private_rows *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT p.id, p.path, p.manifest, p.signer FROM private p"
			  " JOIN workstation_member w ON w.id = p.id WHERE p.id > ?1 ORDER BY p.id",
			  &st, err);

	ret->n = 0;
	if (rc == 0)
		rc = db_bind(st, err, "t", after);
	while (rc == 0 && ret->n < BATCH && (rc = db_step(s->db, st, err)) == 1) {
		struct private_row *row;

		rc = 0;
		if (key_current(s, db_bytes(st, 3)) != NULL)
			continue;
		row = list_add(ret, err);
		if (row == NULL)
			return err->rc;
		snprintf(row->id, sizeof(row->id), "%s", db_text(st, 0));
		snprintf(row->path, sizeof(row->path), "%s", db_text(st, 1));
		if (!db_digest(st, 2, &row->manifest))
			return err_set(err, RC_STATE,
				       "the registry is damaged: the private channel of %s",
				       row->id);
	}
	return rc < 0 ? rc : 0;
}

int private_sign_again(struct site *s, struct err *err)
{
	OWNED(rows_clear) struct private_rows l = {.n = 0};
	char after[WORKSTATION_ID + 1] = "";
	int rc;

	while ((rc = rows_next(s, after, &l, err)) == 0 && l.n > 0) {
		OWNED(db_tx_end) struct db_tx tx = {0};

		rc = db_tx_begin(&tx, s->db, err);
		for (size_t i = 0; rc == 0 && i < l.n; i++)
			rc = row_sign(s, &l.items[i], err);
		if (rc == 0)
			rc = db_tx_commit(&tx, err);
		if (rc < 0)
			return rc;
		memcpy(after, l.items[l.n - 1].id, sizeof(after));
	}
	return rc;
}
