#include "bundler/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* One content may lie in several packs: those of two channels, or of an old and a new full bundle.
 */
const char store_schema_sql[] =
    "CREATE TABLE pack(number INTEGER PRIMARY KEY, channel TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " base INTEGER NOT NULL, generation INTEGER NOT NULL, size INTEGER NOT NULL) STRICT;"
    "CREATE TABLE frame(pack INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL,"
    " unpacked INTEGER NOT NULL, PRIMARY KEY(pack, at)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE content(digest BLOB NOT NULL, pack INTEGER NOT NULL, frame INTEGER NOT NULL,"
    " skip INTEGER NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(digest, pack)) STRICT,"
    " WITHOUT ROWID;";

void store_name(char dst[STORE_NAME], uint64_t pack)
{
	snprintf(dst, STORE_NAME, "%" PRIu64 ".pack", pack);
}

int store_dir(struct site *s, struct err *err)
{
	int rc = beneath_mkdirs(s->statefd, "store", 0700, err);

	return rc < 0 ? rc : beneath_dir(s->statefd, "store", err);
}

int store_open(struct site *s, uint64_t pack, struct err *err)
{
	char path[STORE_NAME + 8];
	int fd;

	snprintf(path, sizeof(path), "store/%" PRIu64 ".pack", pack);
	fd = beneath_open(s->statefd, path, O_RDONLY, 0, err);
	return fd >= 0 ? fd : err_prefix(err, "content store");
}

int store_find(struct db *db, const struct digest *digest, struct store_where *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT pack, frame, skip, size FROM content WHERE digest = ?1"
			  " ORDER BY pack DESC LIMIT 1",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "d", digest);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc > 0)
		*ret = (struct store_where){(uint64_t)db_i64(st, 0), (uint64_t)db_i64(st, 1),
					    (uint64_t)db_i64(st, 2), (uint64_t)db_i64(st, 3)};
	return rc;
}

int store_frame(struct db *db, uint64_t pack, uint64_t at, uint64_t *ret_length,
		uint64_t *ret_unpacked, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, "SELECT length, unpacked FROM frame WHERE pack = ?1 AND at = ?2", &st,
			  err);

	if (rc == 0)
		rc = db_bind(st, err, "ii", (int64_t)pack, (int64_t)at);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc > 0) {
		*ret_length = (uint64_t)db_i64(st, 0);
		*ret_unpacked = (uint64_t)db_i64(st, 1);
	}
	return rc;
}

struct reading {
	struct site *s;
	int fd; /* owned: the pack */
	struct store_where where;
	ZSTD_DCtx *zstd; /* owned */
	struct buf in, out;
};

static void reading_clear(struct reading *r)
{
	fd_closep(&r->fd);
	ZSTD_freeDCtx(r->zstd);
	buf_clear(&r->in);
	buf_clear(&r->out);
}

static int frame_bad(const struct reading *r, uint64_t at, struct err *err)
{
	return err_set(err, RC_STATE,
		       "the content store is damaged at byte %" PRIu64 " of pack %" PRIu64, at,
		       r->where.pack);
}

/* Unpack the frame at ${at} into r->out. */
static int frame_read(struct reading *r, uint64_t at, uint64_t *ret_length, struct err *err)
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

static int content_read(struct reading *r, const struct digest *digest,
			int (*each)(void *arg, struct bytes piece, struct err *err), void *arg,
			struct err *err)
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

int store_read(struct site *s, const struct digest *digest,
	       int (*each)(void *arg, struct bytes piece, struct err *err), void *arg,
	       struct err *err)
{
	OWNED(reading_clear) struct reading r = {.s = s, .fd = -1};
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

/* The number in a pack's name; 0 when it is not one. */
static uint64_t pack_number(const char *name)
{
	const char *dot = strchr(name, '.');
	struct err ignored = {0};
	uint64_t n;

	if (dot == NULL || strcmp(dot, ".pack") != 0 ||
	    number_u64(name, (size_t)(dot - name), LIMIT_NUMBER, &n, &ignored) < 0)
		return 0;
	return n;
}

static int pack_sweep(struct site *s, int dirfd, const char *name, struct err *err)
{
	uint64_t number = pack_number(name);
	int64_t known;
	int rc;

	if (number == 0)
		return 0;
	rc = db_int(s->db, err, &known, "SELECT 1 FROM pack WHERE number = ?1", "i",
		    (int64_t)number);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove %s from the content store", name);
	return 0;
}

int store_sweep(struct site *s, struct err *err)
{
	OWNED(dir_closep) DIR *dir = NULL;
	struct dirent *e;
	int fd = store_dir(s, err);

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(err, RC_IO, "cannot read the content store");
	}
	while ((e = readdir(dir)) != NULL) {
		int rc = pack_sweep(s, fd, e->d_name, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * Packs of one channel that no kept generation needs.  The newest full pack that is old enough
 * holds everything that was there at its generation; what is older serves only generations before
 * it.
 */
static int channel_prune(struct site *s, const char *name, uint64_t keep, struct err *err)
{
	return db_run(
	    s->db, err,
	    "WITH now(epoch, generation) AS (SELECT epoch, generation FROM generation"
	    "  WHERE channel = ?1 ORDER BY epoch DESC, generation DESC LIMIT 1),"
	    " whole(number, generation) AS (SELECT p.number, p.generation FROM pack p, now"
	    "  WHERE p.channel = ?1 AND p.epoch = now.epoch AND p.base = 0"
	    "  AND p.generation <= now.generation - ?2"
	    "  ORDER BY p.generation DESC, p.number DESC LIMIT 1)"
	    " DELETE FROM pack WHERE channel = ?1"
	    " AND number NOT IN (SELECT pack FROM bundle)"
	    " AND (epoch < (SELECT epoch FROM now) OR EXISTS (SELECT 1 FROM whole"
	    "  WHERE pack.generation <= whole.generation AND pack.number != whole.number))",
	    "ti", name, (int64_t)(keep > 0 ? keep - 1 : 0));
}

/* Packs of channels that the site does not have any more. */
static int removed_prune(struct site *s, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(s->db, "SELECT DISTINCT channel FROM pack", &st, err);

	while (rc == 0 && (rc = db_step(s->db, st, err)) > 0) {
		rc = 0;
		if (site_channel(s, db_text(st, 0)) == NULL)
			rc = db_run(s->db, err,
				    "DELETE FROM pack WHERE channel = ?1"
				    " AND number NOT IN (SELECT pack FROM bundle)",
				    "t", db_text(st, 0));
	}
	return rc;
}

static int rows_prune(struct site *s, struct err *err)
{
	int64_t before = 0, after = 0;
	int rc = db_int(s->db, err, &before, "SELECT count(*) FROM pack", "");

	rc = rc < 0 ? rc : removed_prune(s, err);
	for (size_t i = 0; i < s->channels && rc == 0; i++)
		rc = channel_prune(s, s->channel[i].name, s->channel[i].keep, err);
	if (rc == 0)
		rc = db_int(s->db, err, &after, "SELECT count(*) FROM pack", "");
	if (rc < 0 || before == after)
		return rc < 0 ? rc : 0;
	rc =
	    db_run(s->db, err, "DELETE FROM frame WHERE pack NOT IN (SELECT number FROM pack)", "");
	if (rc == 0)
		rc = db_run(s->db, err,
			    "DELETE FROM content WHERE pack NOT IN (SELECT number FROM pack)", "");
	return rc < 0 ? rc : 1;
}

int store_prune(struct site *s, struct err *err)
{
	int rc = db_begin(s->db, err);

	if (rc == 0)
		rc = rows_prune(s, err);
	if (rc > 0) {
		rc = db_commit(s->db, err);
		return rc < 0 ? rc : store_sweep(s, err);
	}
	db_rollback(s->db);
	return rc;
}
