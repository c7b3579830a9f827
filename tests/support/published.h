/* SPDX-License-Identifier: ISC */
/* What a site has published, read back from its depot as a workstation would read it. */
#ifndef SATCHEL_TESTS_SUPPORT_PUBLISHED_H
#define SATCHEL_TESTS_SUPPORT_PUBLISHED_H

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "bundler/pack/store.h"
#include "bundler/publish/publish.h"
#include "bundler/sealed/sealed.h"
#include "core/depot/depot.h"
#include "core/format/bundle/bundle.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/tree/index.h"
#include "tests/support/server.h"

struct store_reading {
	struct site *s;
	int fd; /* owned: the pack */
	struct store_where where;
	ZSTD_DCtx *zstd; /* owned */
	struct buf in, out;
};

static inline void store_reading_clear(struct store_reading *r)
{
	fd_closep(&r->fd);
	ZSTD_freeDCtx(r->zstd);
	buf_clear(&r->in);
	buf_clear(&r->out);
}

static inline int frame_bad(const struct store_reading *r, uint64_t at, struct err *err)
{
	return err_set(err, RC_STATE,
		       "the content store is damaged at byte %" PRIu64 " of pack %" PRIu64, at,
		       r->where.pack);
}

/* Unpack the frame at ${at} into r->out. */
static inline int frame_read(struct store_reading *r, uint64_t at, uint64_t *ret_length,
			     struct err *err)
{
	uint64_t unpacked = 0;
	size_t got;
	int rc = store_frame(r->s->db, r->where.pack, at, ret_length, &unpacked, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || unpacked > LIMIT_FRAME || *ret_length > ZSTD_compressBound(LIMIT_FRAME))
		return frame_bad(r, at, err);
	buf_reset(&r->in);
	buf_reset(&r->out);
	rc = buf_reserve(&r->in, (size_t)*ret_length, err);
	if (rc == 0)
		rc = buf_reserve(&r->out, (size_t)unpacked, err);
	if (rc == 0)
		rc = fd_pread(r->fd, r->in.p, (size_t)*ret_length, at, err);
	if (rc < 0)
		return err_prefix(err, "content store");
	got =
	    ZSTD_decompressDCtx(r->zstd, r->out.p, (size_t)unpacked, r->in.p, (size_t)*ret_length);
	if (ZSTD_isError(got) || got != unpacked)
		return frame_bad(r, at, err);
	r->out.n = got;
	return 0;
}

static inline int content_read(struct store_reading *r, const struct digest *digest,
			       int (*each)(void *arg, struct bytes piece, struct err *err),
			       void *arg, struct err *err)
{
	uint64_t left = r->where.size, at = r->where.frame, skip = r->where.skip, length;
	struct digest_stream hash;
	struct digest is;

	digest_start(&hash);
	while (left > 0) {
		size_t n;
		int rc = frame_read(r, at, &length, err);

		if (rc < 0)
			return rc;
		if (skip >= r->out.n)
			return frame_bad(r, at, err);
		n = r->out.n - skip < left ? r->out.n - (size_t)skip : (size_t)left;
		digest_more(&hash, r->out.p + skip, n);
		rc = each(arg, (struct bytes){r->out.p + skip, n}, err);
		if (rc < 0)
			return rc;
		left -= n;
		at += length;
		skip = 0;
	}
	is = digest_end(&hash);
	return digest_equal(&is, digest) ? 0 : frame_bad(r, r->where.frame, err);
}

/* store_read(s, digest, each, arg, err): a content of the store in pieces, verified against its
 * digest at the end. */
static inline int store_read(struct site *s, const struct digest *digest,
			     int (*each)(void *arg, struct bytes piece, struct err *err), void *arg,
			     struct err *err)
{
	OWNED(store_reading_clear) struct store_reading r = {.s = s, .fd = -1};
	char hex[DIGEST_HEX + 1];
	int rc = store_find(s->db, digest, &r.where, err);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		digest_hex(hex, digest);
		return err_set(err, RC_STATE, "content %s is not in the content store", hex);
	}
	r.fd = store_open(s, r.where.pack, err);
	if (r.fd < 0)
		return r.fd;
	r.zstd = ZSTD_createDCtx();
	return r.zstd == NULL ? err_memory(err) : content_read(&r, digest, each, arg, err);
}

static inline void depot_file(const char *path, struct buf *ret)
{
	struct err err = {0};
	int fd = os_open_dir(depot_dir, &err);

	cr_assert_geq(fd, 0);
	must(file_read(fd, path, 1u << 30, ret, &err));
	close(fd);
}

static inline bool depot_has(const char *path)
{
	char full[2 * DEPOT_NAME];

	snprintf(full, sizeof(full), "%s/%s", depot_dir, path);
	return access(full, F_OK) == 0;
}

/* A document by the path that the registry says; signed by the role, its bytes fit its name. */
static inline void published_document(struct site *s, enum role role, const char *path,
				      struct buf *ret_file, struct signed_doc *ret)
{
	struct err err = {0};
	struct name name;

	depot_file(path, ret_file);
	cr_assert_neq(name_parse(path, &name), NAME_OTHER, "%s", path);
	cr_assert(name_fits(&name, bytes_in(ret_file)), "%s", path);
	must(signed_split(bytes_in(ret_file), 1, ret, &err));
	must(trust_role(&s->trust, role, ret, path, &err));
}

static inline void published_path(struct site *s, const char *sql, const char *key,
				  char dst[DEPOT_NAME])
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct err err = {0};

	must(db_query(s->db, sql, &st, &err));
	if (key != NULL)
		must(db_bind(st, &err, "t", key));
	cr_assert_eq(db_step(s->db, st, &err), 1, "%s", sql);
	snprintf(dst, DEPOT_NAME, "%s", db_text(st, 0));
}

static inline void published_head(struct site *s, const char *channel, struct head *ret)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	struct err err = {0};
	struct signed_doc doc;
	char path[DEPOT_NAME];

	published_path(s,
		       "SELECT path FROM generation WHERE channel = ?1 ORDER BY epoch DESC,"
		       " generation DESC LIMIT 1",
		       channel, path);
	published_document(s, ROLE_PRIVATE, path, &file, &doc);
	must(head_decode(doc.inner, ret, &err));
}

/* The payload's events are only counted; changes are kept. */
struct published_payload {
	struct bytes payload;
	struct buf changes; /* owned */
	uint64_t members;
};

static inline int published_block(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err)
{
	const struct published_payload *p = arg;

	memcpy(dst, p->payload.p + i * BLOCK_BYTES, n);
	return 0;
}

static inline int published_changes(void *arg, struct bytes piece, struct err *err)
{
	struct published_payload *p = arg;

	return piece.p == NULL ? 0 : buf_add(&p->changes, piece.p, piece.n, err);
}

static inline int published_member(void *arg, const char *name, uint64_t size, struct err *err)
{
	((struct published_payload *)arg)->members++;
	return 0;
}

static inline int published_data(void *arg, struct bytes piece, struct err *err)
{
	return 0;
}

/** published_open(s, m, ret): what opens the bundle of a sealed channel. */
static inline void published_open(struct site *s, const struct manifest *m,
				  struct content_key **ret)
{
	OWNED(keystore_freep) struct keystore *keys = NULL;
	struct bytes secret;
	struct err err = {0};

	must(keystore_new(s, &keys, &err));
	must(sealed_secret(keys, m->channel, m->key, &secret, &err));
	must(content_channel_open(secret, m, ret, &err));
}

/** published_bundle(s, path, key, m, changes): every byte of a bundle file checked as a workstation
 * checks it; ${key} unseals, and that of a sealed channel comes from the key store. */
static inline void published_bundle(struct site *s, const char *path, const struct key_secret *key,
				    struct manifest *m, struct buf *changes)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	OWNED(content_key_freep) struct content_key *content = NULL;
	struct published_payload p = {0};
	struct payload_events ev = {&p, published_block, published_changes, published_member,
				    published_data};
	struct err err = {0};
	struct signed_doc doc;
	struct bytes blocks;
	struct digest d;
	struct name name;
	char digits[DIGEST_NAME + 1];
	size_t n, prefix;

	depot_file(path, &file);
	must(bundle_manifest_size(file.p, &n, &err));
	must(signed_split((struct bytes){file.p + 512, n}, 1, &doc, &err));
	must(trust_role(&s->trust, ROLE_PRIVATE, &doc, path, &err));
	must(manifest_decode(doc.inner, m, &err));
	must(bundle_prefix_size(n, m->payload, &prefix, &err));
	must(bundle_prefix_check((struct bytes){file.p, prefix}, n, m, &blocks, &err));
	d = digest_of((struct bytes){file.p, prefix});
	digest_name(digits, &d);
	name_parse(path, &name);
	cr_assert_str_eq(name.digest, digits);
	cr_assert_eq(file.n, bundle_size(prefix, m->payload));
	if (key != NULL)
		must(content_key_open(key, m, &content, &err));
	else if (m->key > 0)
		published_open(s, m, &content);
	p.payload = (struct bytes){file.p + prefix, (size_t)m->payload};
	must(payload_read(m, blocks, content, &ev, &err));
	cr_assert_eq(p.members, m->count[CHANGE_PUT]);
	*changes = p.changes;
}

/** published_check(s, channel): the head leads from 0 to its generation, every bundle that it lists
 * is there and whole, and every content of the tree is in the store. */
static inline void published_check(struct site *s, const char *channel)
{
	struct head h = {0};
	size_t chain[LIMIT_HEAD_BUNDLES], n;
	struct err err = {0};

	published_head(s, channel, &h);
	must(head_path(&h, 0, chain, &n, &err));
	for (size_t i = 0; i < h.bundles; i++) {
		OWNED(buf_clear) struct buf changes = BUF_INIT;
		struct manifest m;
		char path[DEPOT_NAME];

		name_bundle(path, channel, h.epoch, h.bundle[i].base, h.bundle[i].generation,
			    &h.bundle[i].prefix);
		published_bundle(s, path, NULL, &m, &changes);
		cr_assert_eq(m.base, h.bundle[i].base);
		cr_assert_eq(m.generation, h.bundle[i].generation);
		cr_assert_str_eq(m.channel, channel);
		if (m.generation == h.generation)
			cr_assert(digest_equal(&m.tree, &h.tree));
	}
	head_clear(&h);
}

static inline int published_stored(void *arg, struct bytes piece, struct err *err)
{
	return 0;
}

static inline int published_entry(void *arg, const char *path, const struct entry *e,
				  struct err *err)
{
	return e->kind == ENTRY_FILE ? store_read(arg, &e->digest, published_stored, NULL, err) : 0;
}

/** published_store_check(s, channel): every content of the tree can be had from the store. */
static inline void published_store_check(struct site *s, const char *channel)
{
	OWNED(index_freep) struct index *x = NULL;
	struct err err = {0};

	must(index_open(s->db, channel, &x, &err));
	must(index_walk(x, published_entry, s, &err));
}

#endif
