/* SPDX-License-Identifier: ISC */
/*
 * Digests of directories (docs/FORMAT.md section 7), bottom-up over those that changed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/tree/index_internal.h"

/* Pieces that are hashed at a time: many entries in one call. */
#define HASH_PIECE 16384

struct hasher {
	struct digest_stream stream;
	struct buf piece;
	char owner[OWNER_MAX]; /* the last one, for it is mostly the same */
	struct buf encoded;    /* as it stands in `changes` */
};

static void hasher_clear(struct hasher *h)
{
	buf_clear(&h->piece);
	buf_clear(&h->encoded);
}

static int owner_encode(struct hasher *h, const char *owner, struct err *err)
{
	if (h->encoded.n > 0 && strcmp(h->owner, owner) == 0)
		return 0;
	buf_reset(&h->encoded);
	strcpy(h->owner, owner);
	return text_encode(owner, &h->encoded, err);
}

static uint8_t *add_bytes(uint8_t *p, struct bytes b)
{
	put_u16(p, (uint16_t)b.n);
	memcpy(p + 2, b.p, b.n);
	return p + 2 + b.n;
}

/*
 * The same order of fields on every machine, because both sides compute this digest and compare
 * it; docs/FORMAT.md section 7 gives it.
 */
static int hash_entry(struct hasher *h, struct bytes name, const struct entry *e, struct err *err)
{
	uint8_t *p;
	int rc = owner_encode(h, e->owner, err);

	if (rc == 0)
		rc = buf_reserve(&h->piece, 64 + name.n + h->encoded.n, err);
	if (rc < 0)
		return rc;
	p = h->piece.p + h->piece.n;
	*p++ = (uint8_t)e->kind;
	p = add_bytes(p, name);
	put_u16(p, e->mode);
	p = add_bytes(p + 2, bytes_in(&h->encoded));
	put_u64(p, (uint64_t)e->mtime);
	put_u64(p + 8, e->size);
	memcpy(p + 16, e->digest.b, DIGEST_BYTES);
	h->piece.n = (size_t)(p + 16 + DIGEST_BYTES - h->piece.p);
	if (h->piece.n >= HASH_PIECE) {
		digest_more(&h->stream, h->piece.p, h->piece.n);
		buf_reset(&h->piece);
	}
	return 0;
}

static int hash_directory(struct cursor *c, struct hasher *h, int64_t dir, struct sealed *ret,
			  struct err *err)
{
	static const char first[] = "satchel directory 1\n";
	uint64_t entries = 0, bytes = 0;
	int rc;

	buf_reset(&h->piece);
	rc = buf_add(&h->piece, first, strlen(first), err);
	digest_start(&h->stream);
	if (rc == 0)
		rc = cursor_seek(c, dir, "", err);
	while (rc == 0 && c->row) {
		struct bytes name = {(const uint8_t *)c->name, c->name_n};

		entries++;
		if (c->e.kind == ENTRY_FILE)
			bytes += c->e.size;
		else if (c->e.kind == ENTRY_DIRECTORY) {
			entries += c->sealed.entries;
			bytes += c->sealed.bytes;
		}
		rc = hash_entry(h, name, &c->e, err);
		if (rc == 0)
			rc = cursor_next(c, err);
	}
	if (rc < 0)
		return rc;
	digest_more(&h->stream, h->piece.p, h->piece.n);
	*ret = (struct sealed){digest_end(&h->stream), entries, bytes};
	return 0;
}

/*
 * Numbers of the dirty directories, deepest first.  Deepest first, because a directory's digest
 * contains those of the directories in it.  The list is read before any is written: a statement
 * that walks rows that change under it may see some twice.
 */
static int dirty_list(struct index *x, struct buf *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->db,
			  "SELECT number FROM tree_directory WHERE tree = ?1 AND dirty = 1 "
			  "ORDER BY depth DESC",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", x->tree);
	while (rc == 0 && (rc = db_step(x->db, st, err)) > 0) {
		int64_t number = db_i64(st, 0);

		rc = buf_add(ret, &number, sizeof(number), err);
	}
	return rc;
}

/* Write it beside the entry of its directory. */
static int sealed_keep(struct index *x, int64_t dir, const struct sealed *s, struct err *err)
{
	uint8_t packed[SEALED_BYTES];
	struct bytes b = {packed, sizeof(packed)};

	sealed_pack(packed, s);
	if (dir == INDEX_ROOT)
		return db_run(x->db, err, "UPDATE tree SET sealed = ?2 WHERE id = ?1", "iB",
			      x->tree, b);
	return db_run(x->db, err,
		      "UPDATE tree_entry SET sealed = ?2 WHERE (tree, dir, name) = "
		      "(SELECT tree, parent, name FROM tree_directory WHERE number = ?1)",
		      "iB", dir, b);
}

static int seal_directories(struct index *x, struct cursor *c, struct hasher *h, struct err *err)
{
	OWNED(buf_clear) struct buf dirty = BUF_INIT;
	struct sealed s;
	int64_t dir;
	int rc = dirty_list(x, &dirty, err);

	for (size_t at = 0; rc == 0 && at < dirty.n; at += sizeof(dir)) {
		memcpy(&dir, dirty.p + at, sizeof(dir));
		rc = hash_directory(c, h, dir, &s, err);
		sqlite3_reset(c->st); /* nothing is read from a table while it changes */
		if (rc == 0)
			rc = sealed_keep(x, dir, &s, err);
	}
	if (rc == 0 && dirty.n > 0)
		rc = db_run(x->db, err,
			    "UPDATE tree_directory SET dirty = 0 WHERE tree = ?1 AND dirty = 1",
			    "i", x->tree);
	return rc;
}

int sealed_root(struct index *x, struct sealed *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->db, "SELECT sealed FROM tree WHERE id = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", x->tree);
	if (rc == 0)
		rc = db_step(x->db, st, err);
	if (rc == 0)
		return err_set(err, RC_STATE, "the tree is not in the index");
	return rc < 0 ? rc : sealed_unpack(db_bytes(st, 0), ret);
}

static int seal_tree(struct index *x, struct sealed *ret, struct err *err)
{
	OWNED(cursor_close) struct cursor c = {.row = false};
	OWNED(hasher_clear) struct hasher h = {.piece = BUF_INIT, .encoded = BUF_INIT};
	int rc = cursor_open(&c, x, err);

	if (rc == 0)
		rc = seal_directories(x, &c, &h, err);
	if (rc == 0)
		rc = hash_directory(&c, &h, INDEX_ROOT, ret, err);
	if (rc == 0)
		rc = sealed_keep(x, INDEX_ROOT, ret, err);
	for (size_t i = 0; i <= x->depth; i++)
		x->level[i].dirty = false;
	return rc;
}

int index_salt(struct index *x, const struct digest *salt, struct err *err)
{
	bool none = digest_is_zero(salt);

	return db_run(x->db, err, "UPDATE tree SET salt = nullif(?2, x'') WHERE id = ?1", "iB",
		      x->tree, (struct bytes){none ? NULL : salt->b, none ? 0 : DIGEST_BYTES});
}

int index_salted(struct index *x, struct digest *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->db, "SELECT salt FROM tree WHERE id = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", x->tree);
	if (rc == 0)
		rc = db_step(x->db, st, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || !db_digest(st, 0, ret))
		memset(ret, 0, sizeof(*ret));
	return 0;
}

/* The only place where a salt comes in: whoever compares digests of trees, on either side, compares
 * what comes out of here. */
static int root_salted(struct index *x, const struct digest *plain, struct digest *ret,
		       struct err *err)
{
	struct digest salt;

	if (index_salted(x, &salt, err) < 0)
		return err->rc;
	*ret =
	    !digest_is_zero(&salt) ? digest_keyed(&salt, "satchel sealed tree 1\n", plain) : *plain;
	return 0;
}

int index_seal(struct index *x, struct digest *ret, struct err *err)
{
	struct sealed s;
	int rc = sealed_root(x, &s, err);

	if (rc == 0)
		rc = seal_tree(x, &s, err);
	else if (rc > 0)
		rc = 0;
	return rc < 0 ? rc : root_salted(x, &s.digest, ret, err);
}
