/*
 * The private channel of one workstation: a few small documents, always one full bundle, sealed to
 * it.  Everything happens in memory, which is wiped, because keys of users are among the documents;
 * the whole file, sealed, goes into the outbox.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bundler/confirm.h"
#include "bundler/pack_internal.h"
#include "bundler/publish_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* The name of the tree that digests are computed in; empty between two calls. */
#define PRIVATE_TREE  "@private"
#define PRIVATE_FRAME (4u << 20) /* input of one frame, bytes */

struct private_bundle {
	struct site *s;
	const struct private_file *file; /* borrowed */
	size_t files;
	const struct key_public *seal; /* borrowed */
	char id[WORKSTATION_ID + 1];
	int64_t mtime;               /* ns: of every entry */
	struct index *index;         /* owned */
	struct tar_writer *tar;      /* owned */
	struct change change;        /* scratch */
	struct entry entry;          /* scratch */
	struct buf changes, members; /* owned; ${members} holds secrets */
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
	free(b);
	*at = NULL;
}

static int change_add(struct private_bundle *b, enum change_op op, const char *path,
		      struct err *err)
{
	struct change *c = &b->change;

	c->op = op;
	c->kind = op == CHANGE_DIRECTORY ? ENTRY_DIRECTORY : ENTRY_FILE;
	c->mode = op == CHANGE_DIRECTORY ? 0700 : 0600;
	memcpy(c->owner, "-", 2);
	c->mtime = b->mtime;
	snprintf(c->path, sizeof(c->path), "%s", path);
	b->entry = (struct entry){.kind = c->kind,
				  .mode = c->mode,
				  .owner = "-",
				  .mtime = c->mtime,
				  .disk_mtime = c->mtime};
	if (op != CHANGE_DIRECTORY) {
		b->entry.size = c->size;
		b->entry.digest = c->digest;
		b->m.content += c->size;
	}
	b->m.count[op]++;
	if (change_format(c, &b->changes, err) < 0)
		return err->rc;
	return index_put(b->index, path, &b->entry, err);
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

static int file_add(struct private_bundle *b, size_t i, struct err *err)
{
	const struct private_file *f = &b->file[i];
	OWNED(buf_clear) struct buf name = BUF_INIT;
	int rc;

	b->change.size = f->content.n;
	b->change.digest = digest_of(f->content);
	for (size_t k = 0; k < i; k++) {
		if (!bytes_equal(b->file[k].content, f->content))
			continue;
		b->change.source_new = true;
		snprintf(b->change.source, sizeof(b->change.source), "%s", b->file[k].path);
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

static int tree_make(struct private_bundle *b, struct err *err)
{
	int rc = index_open(b->s->db, PRIVATE_TREE, &b->index, err);

	if (rc == 0)
		rc = index_clear(b->index, err);
	for (size_t i = 0; i < b->files && rc == 0; i++) {
		const char *before = i > 0 ? b->file[i - 1].path : NULL;

		rc = path_check(b->file[i].path, err);
		if (rc == 0 && before != NULL && path_compare(before, b->file[i].path) >= 0)
			rc = err_set(err, RC_INTERNAL, "files of a private channel out of order");
		if (rc == 0)
			rc = directories_add(b, before, b->file[i].path, err);
		if (rc == 0)
			rc = file_add(b, i, err);
	}
	if (rc == 0)
		rc = index_seal(b->index, &b->m.tree, err);
	return rc < 0 ? rc : index_clear(b->index, err);
}

/* The payload's tar: changes, members, end. */
static int tar_make(struct private_bundle *b, struct buf *ret, struct err *err)
{
	int rc = tar_writer_member(b->tar, "changes", bytes_in(&b->changes), ret, err);

	if (rc == 0)
		rc = buf_add(ret, b->members.p, b->members.n, err);
	if (rc == 0)
		rc = tar_zeros(TAR_END, ret, err);
	return rc;
}

static int frames_make(struct bytes tar, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf frame = BUF_SECRET;
	ZSTD_CCtx *zstd = NULL;
	int rc = pack_zstd_secret(&zstd, err);

	for (size_t at = 0; at < tar.n && rc == 0; at += PRIVATE_FRAME) {
		size_t n = tar.n - at < PRIVATE_FRAME ? tar.n - at : PRIVATE_FRAME;

		rc = pack_compress(zstd, tar.p + at, n, &frame, err);
		if (rc == 0)
			rc = buf_add(ret, frame.p, frame.n, err);
	}
	ZSTD_freeCCtx(zstd);
	return rc;
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
	OWNED(buf_clear) struct buf tar = BUF_SECRET;
	OWNED(buf_clear) struct buf plain = BUF_SECRET;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	OWNED(buf_clear) struct buf blocks = BUF_INIT;
	int rc = tar_make(b, &tar, err);

	if (rc == 0)
		rc = frames_make(bytes_in(&tar), &plain, err);
	if (rc == 0)
		rc = payload_seal(b, bytes_in(&plain), &sealed, &blocks, err);
	if (rc < 0)
		return rc;
	b->m.unpacked = tar.n;
	b->m.payload = sealed.n;
	b->m.changes = digest_of(bytes_in(&b->changes));
	b->m.changes_size = b->changes.n;
	rc = publish_manifest(b->s, &b->m, bytes_in(&blocks), ret, &b->identity, err);
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
	uint64_t epoch = b->s->trust.epoch[ROLE_PUBLISH];
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
	return publish_retire(b->s, db_text(st, 2), err);
}

static int generation_commit(struct private_bundle *b, struct bytes file, struct err *err)
{
	int rc;

	name_private(b->path, b->id, b->m.epoch, b->m.generation, &b->prefix_digest);
	rc = publish_document(b->s, b->path, file, err);
	if (rc < 0)
		return rc;
	rc = confirm_past_add(b->s, b->id, b->m.epoch, b->m.generation, &b->m.tree, b->file,
			      b->files, err);
	if (rc < 0)
		return rc;
	return db_run(b->s->db, err,
		      "INSERT INTO private(id, epoch, generation, tree, manifest, path)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(id) DO UPDATE SET"
		      " epoch = excluded.epoch, generation = excluded.generation,"
		      " tree = excluded.tree, manifest = excluded.manifest, path = excluded.path",
		      "tiiddt", b->id, (int64_t)b->m.epoch, (int64_t)b->m.generation, &b->m.tree,
		      &b->identity, b->path);
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

int private_publish(struct site *s, const struct key_public *sign, const struct key_public *seal,
		    const struct private_file *files, size_t n, struct err *err)
{
	OWNED(private_free) struct private_bundle *b = calloc(1, sizeof(*b));
	/* One transaction for many workstations is the caller's; a single call has its own. */
	bool own = sqlite3_get_autocommit(db_handle(s->db)) != 0;
	int rc = 0;

	if (b == NULL)
		return err_memory(err);
	b->s = s;
	b->members.secret = true;
	b->file = files;
	b->files = n;
	b->seal = seal;
	workstation_id(b->id, sign);
	b->m.site = s->id;
	b->m.private_channel = true;
	memcpy(b->m.recipient, b->id, sizeof(b->m.recipient));
	b->m.base_tree = publish_empty_tree();
	b->m.created = clock_now();
	b->m.minimum = 1;
	b->mtime = b->m.created * 1000000000;
	if (own)
		rc = db_begin(s->db, err);
	if (rc == 0)
		rc = private_run(b, err);
	if (rc == 0 && own)
		rc = db_commit(s->db, err);
	if (rc < 0 && own)
		db_rollback(s->db);
	return rc;
}
