/* SPDX-License-Identifier: ISC */
/*
 * The private channel of one workstation: a few small documents, always one full bundle, sealed to
 * it.  Everything happens in memory, which is wiped, because keys of users are among the documents;
 * the whole file, sealed, goes into the outbox.
 *
 * Sealed in this order: documents to tar, tar to frames, frames in pieces to the workstation's key,
 * blocks and manifest over the sealed bytes.  So a depot, and whoever copies from it, can verify
 * the whole file and read nothing in it.
 *
 * What they see is lengths: of the payload, and in the manifest of what it unpacks to.  So both are
 * padded to one of few, with a file of the tree that nobody reads: zeros, which make it longer
 * unpacked, and then random bytes, which make it longer packed.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_post.h"
#include "bundler/pack/pack_internal.h"
#include "bundler/private/private.h"
#include "bundler/private/private_history.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/format/bundle/content.h"
#include "core/tree/index.h"

/* The name of the tree that digests are computed in; empty between two calls. */
#define PRIVATE_TREE  "@private"
#define PRIVATE_FRAME (4u << 20) /* input of one frame, bytes */

/* Comes after all files of compile_tree.c. */
#define PADDING       "x-padding"
#define PADDING_LEAST 512
/* The first lengths: of the tar, and of it packed. */
#define UNPACKED_LEAST 8192
#define PACKED_LEAST   1024
/* From here on lengths go up by half of it: no file of a private channel may be larger. */
#define STEPS_DOUBLE (1 << 20)
/* Each try changes some bytes of the list of changes, and so the length by a few. */
#define PADDING_TRIES 64

struct private_bundle {
	struct site *s;
	const struct private_content *content; /* borrowed */
	const struct key_public *seal;         /* borrowed */
	char id[WORKSTATION_ID + 1];
	int64_t mtime;               /* ns: of every entry */
	struct index *index;         /* owned */
	struct tar_writer *tar;      /* owned */
	struct change change;        /* scratch */
	struct entry entry;          /* scratch */
	struct buf changes, members; /* owned; ${members} holds secrets */
	struct buf padding;          /* owned */
	struct manifest m;
	struct digest identity, prefix_digest; /* of the manifest, of the prefix */
	char path[DEPOT_NAME];                 /* in the depot */
};

static void private_free(struct private_bundle **at)
{
	struct private_bundle *b = *at;

	if (b == NULL)
		return;
	index_freep(&b->index);
	tar_writer_freep(&b->tar);
	buf_clear(&b->changes);
	buf_clear(&b->members);
	buf_clear(&b->padding);
	free(b);
	*at = NULL;
}

static int change_write(struct private_bundle *b, enum change_op op, const char *path,
			struct err *err)
{
	struct change *c = &b->change;

	c->op = op;
	c->kind = op == CHANGE_DIRECTORY ? ENTRY_DIRECTORY : ENTRY_FILE;
	c->mode = op == CHANGE_DIRECTORY ? 0700 : 0600;
	memcpy(c->owner, "-", 2);
	c->mtime = b->mtime;
	snprintf(c->path, sizeof(c->path), "%s", path);
	return change_format(c, &b->changes, err);
}

/* entry_add(b, err): what the last change says, into the index and the counts. */
static int entry_add(struct private_bundle *b, struct err *err)
{
	const struct change *c = &b->change;

	b->entry = (struct entry){.kind = c->kind,
				  .mode = c->mode,
				  .owner = "-",
				  .mtime = c->mtime,
				  .disk_mtime = c->mtime};
	if (c->op != CHANGE_DIRECTORY) {
		b->entry.size = c->size;
		b->entry.digest = c->digest;
		b->m.content += c->size;
	}
	b->m.count[c->op]++;
	return index_put(b->index, c->path, &b->entry, err);
}

static int change_add(struct private_bundle *b, enum change_op op, const char *path,
		      struct err *err)
{
	int rc = change_write(b, op, path, err);

	return rc < 0 ? rc : entry_add(b, err);
}

/* The directories of ${path} that the file before it did not need. */
static int directories_add(struct private_bundle *b, const char *before, const char *path,
			   struct err *err)
{
	char dir[LIMIT_PATH + 1];

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		size_t n = (size_t)(slash - path);
		int rc;

		if (before != NULL && strncmp(before, path, n + 1) == 0)
			continue;
		if (n > LIMIT_PATH)
			return err_set(err, RC_PATH, "%s: a path that is too long", path);
		memcpy(dir, path, n);
		dir[n] = '\0';
		rc = change_add(b, CHANGE_DIRECTORY, dir, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * Equal contents are put once and copied by the workstation, as in any bundle.  The comparison is
 * quadratic, over some dozen small files.
 */
static int file_add(struct private_bundle *b, size_t i, struct err *err)
{
	const struct private_file *f = &b->content->file[i];
	OWNED(buf_clear) struct buf name = BUF_INIT;
	int rc;

	b->change.size = f->content.n;
	b->change.digest = digest_of(f->content);
	for (size_t k = 0; k < i; k++) {
		if (!bytes_equal(b->content->file[k].content, f->content))
			continue;
		b->change.source_new = true;
		snprintf(b->change.source, sizeof(b->change.source), "%s",
			 b->content->file[k].path);
		return change_add(b, CHANGE_COPY, f->path, err);
	}
	rc = change_add(b, CHANGE_PUT, f->path, err);
	if (rc == 0)
		rc = buf_text(&name, "files/", err);
	if (rc == 0)
		rc = text_encode(f->path, &name, err);
	if (rc == 0)
		rc = tar_writer_member(b->tar, (const char *)name.p, f->content, &b->members, err);
	return rc;
}

/* The index is only borrowed for its digest: the same code computes it as for a channel, and the
 * workstation compares with its own. */
static int tree_make(struct private_bundle *b, struct err *err)
{
	int rc = index_open(b->s->db, PRIVATE_TREE, &b->index, err);

	if (rc == 0)
		rc = index_clear(b->index, err);
	for (size_t i = 0; i < b->content->files && rc == 0; i++) {
		const char *before = i > 0 ? b->content->file[i - 1].path : NULL;

		rc = path_check(b->content->file[i].path, err);
		if (rc == 0 && before != NULL &&
		    path_compare(before, b->content->file[i].path) >= 0)
			rc = err_set(err, RC_INTERNAL, "files of a private channel out of order");
		if (rc == 0)
			rc = directories_add(b, before, b->content->file[i].path, err);
		if (rc == 0)
			rc = file_add(b, i, err);
	}
	return rc;
}

/* The padding is an entry like the others; then the digest of all. */
static int tree_seal(struct private_bundle *b, struct err *err)
{
	int rc = entry_add(b, err);

	if (rc == 0)
		rc = index_seal(b->index, &b->m.tree, err);
	return rc < 0 ? rc : index_clear(b->index, err);
}

/* The payload's tar: changes, members, padding, end. */
static int tar_make(struct private_bundle *b, struct buf *ret, struct err *err)
{
	int rc = tar_writer_member(b->tar, "changes", bytes_in(&b->changes), ret, err);

	if (rc == 0)
		rc = buf_add(ret, b->members.p, b->members.n, err);
	if (rc == 0)
		rc = tar_writer_member(b->tar, "files/" PADDING, bytes_in(&b->padding), ret, err);
	if (rc == 0)
		rc = tar_zeros(TAR_END, ret, err);
	return rc;
}

static int frames_add(ZSTD_CCtx *zstd, struct bytes tar, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf frame = BUF_SECRET;
	int rc = 0;

	for (size_t at = 0; at < tar.n && rc == 0; at += PRIVATE_FRAME) {
		size_t n = tar.n - at < PRIVATE_FRAME ? tar.n - at : PRIVATE_FRAME;

		rc = pack_compress(zstd, tar.p + at, n, &frame, err);
		if (rc == 0)
			rc = buf_add(ret, frame.p, frame.n, err);
	}
	return rc;
}

/* How long the padding is, and what both lengths shall be. */
struct aim {
	int64_t padding, random; /* bytes; the last ${random} of ${padding} are that */
	int64_t unpacked, packed;
};

static int64_t step_next(int64_t n)
{
	return n < STEPS_DOUBLE ? 2 * n : n + STEPS_DOUBLE / 2;
}

/* aim_again(a, unpacked, packed): what the last try came to is made up for. */
static void aim_again(struct aim *a, size_t unpacked, size_t packed)
{
	while (a->padding + a->unpacked - (int64_t)unpacked < PADDING_LEAST)
		a->unpacked = step_next(a->unpacked);
	while (a->random + a->packed - (int64_t)packed < 1)
		a->packed = step_next(a->packed);
	a->padding += a->unpacked - (int64_t)unpacked;
	a->random += a->packed - (int64_t)packed;
	while (a->random > a->padding) {
		a->padding += step_next(a->unpacked) - a->unpacked;
		a->unpacked = step_next(a->unpacked);
	}
}

static int padding_make(struct private_bundle *b, const struct aim *a, struct err *err)
{
	size_t n = (size_t)a->padding, random = (size_t)a->random;
	int rc;

	buf_reset(&b->padding);
	rc = buf_reserve(&b->padding, n, err);
	if (rc < 0)
		return rc;
	memset(b->padding.p, 0, n - random);
	randombytes_buf(b->padding.p + n - random, random);
	b->padding.n = n;
	b->change.size = n;
	b->change.digest = digest_of(bytes_in(&b->padding));
	return change_write(b, CHANGE_PUT, PADDING, err);
}

/* The random bytes are a frame by themselves, so that each of them makes it longer by one. */
static int payload_try(struct private_bundle *b, ZSTD_CCtx *zstd, const struct aim *a,
		       struct buf *tar, struct buf *ret, struct err *err)
{
	size_t random, end;
	int rc = padding_make(b, a, err);

	buf_reset(tar);
	buf_reset(ret);
	if (rc == 0)
		rc = tar_make(b, tar, err);
	if (rc < 0)
		return rc;
	end = tar->n - TAR_END;
	random = end - (size_t)a->random;
	rc = frames_add(zstd, (struct bytes){tar->p, random}, ret, err);
	if (rc == 0)
		rc = frames_add(zstd, (struct bytes){tar->p + random, end - random}, ret, err);
	return rc < 0 ? rc : frames_add(zstd, (struct bytes){tar->p + end, TAR_END}, ret, err);
}

/* A compressor of its own that wipes its memory: keys of users go through it. */
static int payload_make(struct private_bundle *b, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf tar = BUF_SECRET;
	struct aim a = {PADDING_LEAST, 1, UNPACKED_LEAST, PACKED_LEAST};
	const size_t changes = b->changes.n;
	ZSTD_CCtx *zstd = NULL;
	int rc = pack_zstd_secret(&zstd, err);

	for (unsigned i = 0; rc == 0 && i < PADDING_TRIES; i++) {
		b->changes.n = changes;
		rc = payload_try(b, zstd, &a, &tar, ret, err);
		if (rc < 0 || (tar.n == (size_t)a.unpacked && ret->n == (size_t)a.packed))
			break;
		aim_again(&a, tar.n, ret->n);
	}
	ZSTD_freeCCtx(zstd);
	b->m.unpacked = tar.n;
	return rc < 0 ? rc : tree_seal(b, err);
}

/* Sealed: each message of the plain payload becomes one block. */
static int payload_seal(struct private_bundle *b, struct bytes plain, struct buf *ret,
			struct buf *ret_blocks, struct err *err)
{
	OWNED(content_key_freep) struct content_key *key = NULL;
	size_t at = 0;
	int rc = content_key_new(b->seal, &b->m, &key, err);

	while (rc == 0 && at < plain.n) {
		size_t n = plain.n - at < CONTENT_BYTES ? plain.n - at : CONTENT_BYTES;
		size_t from = ret->n;
		struct digest d;

		rc =
		    content_seal(key, (struct bytes){plain.p + at, n}, at + n == plain.n, ret, err);
		if (rc < 0)
			return rc;
		d = digest_of((struct bytes){ret->p + from, ret->n - from});
		rc = buf_add(ret_blocks, d.b, DIGEST_BYTES, err);
		at += n;
	}
	return rc;
}

static int bundle_make(struct private_bundle *b, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf plain = BUF_SECRET;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	OWNED(buf_clear) struct buf blocks = BUF_INIT;
	int rc = payload_make(b, &plain, err);

	if (rc == 0)
		rc = payload_seal(b, bytes_in(&plain), &sealed, &blocks, err);
	if (rc < 0)
		return rc;
	b->m.payload = sealed.n;
	b->m.changes = digest_of(bytes_in(&b->changes));
	b->m.changes_size = b->changes.n;
	rc = manifest_sign(b->s, &b->m, bytes_in(&blocks), ret, &b->identity, err);
	if (rc < 0)
		return rc;
	b->prefix_digest = digest_of(bytes_in(ret));
	rc = buf_add(ret, sealed.p, sealed.n, err);
	return rc < 0 ? rc : tar_zeros(bundle_tail(sealed.n), ret, err);
}

/* The next generation; the file of the one before is retired. */
static int generation_next(struct private_bundle *b, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	uint64_t epoch = trust_epoch(&b->s->trust, ROLE_PRIVATE);
	int rc = db_query(b->s->db, "SELECT epoch, generation, path FROM private WHERE id = ?1",
			  &st, err);

	b->m.epoch = epoch;
	b->m.generation = 1;
	if (rc == 0)
		rc = db_bind(st, err, "t", b->id);
	if (rc == 0)
		rc = db_step(b->s->db, st, err);
	if (rc <= 0)
		return rc;
	if ((uint64_t)db_i64(st, 0) == epoch)
		b->m.generation = (uint64_t)db_i64(st, 1) + 1;
	/* What was only claimed (private_raised) has no file. */
	return db_text(st, 2)[0] == '\0' ? 0 : site_post_retire(b->s, db_text(st, 2), err);
}

static int generation_commit(struct private_bundle *b, struct bytes file, struct err *err)
{
	int rc;

	name_private(b->path, b->id, b->m.epoch, b->m.generation, &b->prefix_digest);
	rc = site_post_document(b->s, b->path, file, err);
	if (rc < 0)
		return rc;
	rc = private_history_add(b->s, b->id, b->m.epoch, b->m.generation, &b->m.tree, b->content,
				 err);
	if (rc < 0)
		return rc;
	rc = db_run(b->s->db, err,
		    "INSERT INTO private(id, epoch, generation, tree, manifest, path)"
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(id) DO UPDATE SET"
		    " epoch = excluded.epoch, generation = excluded.generation,"
		    " tree = excluded.tree, manifest = excluded.manifest, path = excluded.path",
		    "tiiddt", b->id, (int64_t)b->m.epoch, (int64_t)b->m.generation, &b->m.tree,
		    &b->identity, b->path);
	if (rc == 0)
		rc = private_signer_put(b->s, b->id, file, err);
	return rc < 0 ? rc : 0;
}

static int private_run(struct private_bundle *b, struct err *err)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	int rc = tar_writer_new(&b->tar, err);

	if (rc == 0)
		rc = generation_next(b, err);
	if (rc == 0)
		rc = tree_make(b, err);
	if (rc == 0)
		rc = bundle_make(b, &file, err);
	return rc < 0 ? rc : generation_commit(b, bytes_in(&file), err);
}

int private_compiled(struct db *db, const char *id, const struct digest *inputs,
		     const struct digest *policy, struct err *err)
{
	struct bytes p = {policy == NULL ? NULL : policy->b, policy == NULL ? 0 : DIGEST_BYTES};

	return db_run(db, err, "UPDATE private SET inputs = ?1, policy = ?2 WHERE id = ?3", "dbt",
		      inputs, p, id);
}

int private_stale(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "UPDATE private SET inputs = NULL WHERE id = ?1", "t", id);
}

int private_publish(struct site *s, const struct key_public *sign, const struct key_public *seal,
		    const struct private_content *content, struct err *err)
{
	OWNED(private_free) struct private_bundle *b = calloc(1, sizeof(*b));
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc;

	if (b == NULL)
		return err_memory(err);
	b->s = s;
	b->members.secret = true;
	b->content = content;
	b->seal = seal;
	workstation_id(b->id, sign);
	b->m.site = s->id;
	b->m.private_channel = true;
	memcpy(b->m.recipient, b->id, sizeof(b->m.recipient));
	b->m.base_tree = empty_tree();
	b->m.created = clock_now();
	b->m.minimum = 1;
	b->mtime = b->m.created * 1000000000;
	rc = db_tx_join(&tx, s->db, err);
	if (rc == 0)
		rc = private_run(b, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}
