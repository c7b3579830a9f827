/* SPDX-License-Identifier: ISC */
/*
 * Reading the store back, and throwing away what no kept generation needs.  The database says
 * where a content lies, and the digest says whether it is still that; a file that the database
 * does not know is the trace of a killed publish.
 */
#include "bundler/pack/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "bundler/documents/documents.h"
#include "bundler/pack/pack_internal.h"
#include "bundler/published/published.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

/* One content may lie in several packs: those of two channels, or of an old and a new full bundle.
 */
static const char store_tables[] =
    "CREATE TABLE pack(number INTEGER PRIMARY KEY, channel TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " base INTEGER NOT NULL, generation INTEGER NOT NULL, size INTEGER NOT NULL) STRICT;"
    "CREATE TABLE frame(pack INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL,"
    " unpacked INTEGER NOT NULL, PRIMARY KEY(pack, at)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE content(digest BLOB NOT NULL, pack INTEGER NOT NULL, frame INTEGER NOT NULL,"
    " skip INTEGER NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(digest, pack)) STRICT,"
    " WITHOUT ROWID;";
static const char store_views[] =
    /* where each content lies */
    "CREATE VIEW content_pack AS SELECT digest, pack FROM content;";
static const char *const store_steps[] = {store_tables, ""};
const struct db_schema store_schema = DB_SCHEMA_VIEWS("pack", store_steps, store_views);

void store_name(char dst[STORE_NAME], uint64_t pack)
{
	snprintf(dst, STORE_NAME, "%" PRIu64 ".pack", pack);
}

int store_dir(struct site *s, struct err *err)
{
	int rc = beneath_mkdirs_durable(s->statefd, "store", 0700, err);

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

/* A finished pack becomes known: its frames, and where in them each content lies. */
/* Contents sorted at a time: 14 MiB. */
#define SORTED_CONTENTS 262144u

static int content_compare(const void *a, const void *b)
{
	return memcmp(((const struct pack_content *)a)->digest.b,
		      ((const struct pack_content *)b)->digest.b, DIGEST_BYTES);
}

static int contents_insert(struct db *db, uint64_t pack, const struct pack_content *c, size_t n,
			   struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int rc = db_run(db, err,
				"INSERT OR REPLACE INTO content(digest, pack, frame, skip, size)"
				" VALUES(?1, ?2, ?3, ?4, ?5)",
				"diiii", &c[i].digest, (int64_t)pack, (int64_t)c[i].frame,
				(int64_t)c[i].skip, (int64_t)c[i].size);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Sorted by digest: rows of a table by digest that come in order touch each of its pages once. */
static int contents_store(struct db *db, uint64_t number, const struct pack *pack, struct err *err)
{
	const struct spool *from = pack->contents;
	uint64_t left = spool_size(from) / sizeof(struct pack_content), at = 0;
	size_t room = left < SORTED_CONTENTS ? (size_t)left : SORTED_CONTENTS;
	OWNED(freep) struct pack_content *c = reallocarray(NULL, room + 1, sizeof(*c));

	if (c == NULL)
		return err_memory(err);
	while (left > 0) {
		size_t n = left < room ? (size_t)left : room;
		int rc = spool_read(from, at, c, n * sizeof(*c), err);

		if (rc < 0)
			return rc;
		qsort(c, n, sizeof(*c), content_compare);
		rc = contents_insert(db, number, c, n, err);
		if (rc < 0)
			return rc;
		at += n * sizeof(*c);
		left -= n;
	}
	return 0;
}

int store_add(struct db *db, const struct store_pack *row, const struct pack *pack, struct err *err)
{
	const struct pack_frame *f = pack->frame.items;
	int rc = db_run(db, err,
			"INSERT INTO pack(number, channel, epoch, base, generation, size)"
			" VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			"itiiii", (int64_t)row->number, row->channel, (int64_t)row->epoch,
			(int64_t)row->base, (int64_t)row->generation, (int64_t)row->size);

	for (size_t i = 0; rc == 0 && i < pack->frame.n; i++)
		rc = db_run(db, err,
			    "INSERT INTO frame(pack, at, length, unpacked) VALUES(?1, ?2, ?3, ?4)",
			    "iiii", (int64_t)row->number, (int64_t)f[i].at, (int64_t)f[i].length,
			    (int64_t)f[i].unpacked);
	return rc < 0 ? rc : contents_store(db, row->number, pack, err);
}

/* The number in a pack's name; 0 when it is not one. */
static uint64_t pack_file_number(const char *name)
{
	const char *dot = strchr(name, '.');
	struct err ignored = {0};
	uint64_t n;

	if (dot == NULL || strcmp(dot, ".pack") != 0 ||
	    number_u64(name, (size_t)(dot - name), LIMIT_NUMBER, &n, &ignored) < 0)
		return 0;
	return n;
}

/*
 * A pack is written before the transaction that makes it known, so an unknown one belongs to a run
 * that was killed.  The lock of the site keeps a running one away.
 */
static int pack_sweep(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct site *s = arg;
	uint64_t number = pack_file_number(entry->name);
	int rc;

	if (number == 0)
		return 0;
	rc = store_knows(s->db, number, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (unlinkat(entry->dirfd, entry->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove %s from the content store", entry->name);
	return 0;
}

int store_sweep(struct site *s, struct err *err)
{
	int fd = store_dir(s, err);

	return fd < 0 ? fd : dir_each_fd(fd, pack_sweep, s, err);
}

/*
 * Packs of one channel that no kept generation needs.  The newest full pack that is old enough
 * holds everything that was there at its generation; what is older serves only generations before
 * it.
 */
static int channel_prune(struct site *s, const char *name, uint64_t keep, struct err *err)
{
	struct published_generation now;
	int rc = published_latest(s->db, name, &now, err);

	if (rc <= 0)
		return rc;
	return db_run(
	    s->db, err,
	    "WITH whole(number, generation) AS (SELECT number, generation FROM pack"
	    "  WHERE channel = ?1 AND epoch = ?2 AND base = 0 AND generation <= ?3"
	    "  ORDER BY generation DESC, number DESC LIMIT 1)"
	    " DELETE FROM pack WHERE channel = ?1 AND number NOT IN (SELECT pack FROM bundle_pack)"
	    " AND (epoch < ?2 OR EXISTS (SELECT 1 FROM whole"
	    "  WHERE pack.generation <= whole.generation AND pack.number != whole.number))",
	    "tii", name, (int64_t)now.epoch,
	    (int64_t)now.generation - (int64_t)(keep > 0 ? keep - 1 : 0));
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
				    " AND number NOT IN (SELECT pack FROM bundle_pack)",
				    "t", db_text(st, 0));
	}
	return rc;
}

/* What lay in packs whose rows are gone, in one walk however many those are: content is found by
 * its digest, not by its pack. */
static int rows_tidy(struct db *db, struct err *err)
{
	int rc =
	    db_run(db, err, "DELETE FROM frame WHERE pack NOT IN (SELECT number FROM pack)", "");

	return rc < 0
		   ? rc
		   : db_run(db, err,
			    "DELETE FROM content WHERE pack NOT IN (SELECT number FROM pack)", "");
}

/*
 * Files are removed only after the commit: a crash between leaves files without rows, which the
 * next sweep finds, and never rows without files.
 */
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
	rc = rows_tidy(s->db, err);
	return rc < 0 ? rc : 1;
}

struct lost_packs LIST_MEMBERS(uint64_t);

/* Looks only: the doctor asks, too. */
static int packs_lost(struct site *s, struct lost_packs *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	OWNED(fd_closep) int fd = beneath_dir(s->statefd, "store", err);
	char name[STORE_NAME];
	struct stat file;
	int rc = fd < 0 && fd != RC_ABSENT
		     ? fd
		     : db_query(s->db, "SELECT number, size FROM pack", &st, err);

	while (rc == 0 && (rc = db_step(s->db, st, err)) > 0) {
		rc = 0;
		store_name(name, (uint64_t)db_i64(st, 0));
		if (fd < 0 || (fstatat(fd, name, &file, AT_SYMLINK_NOFOLLOW) == 0
				   ? file.st_size < db_i64(st, 1)
				   : errno == ENOENT))
			rc = list_push(ret, (uint64_t)db_i64(st, 0), err);
	}
	return rc;
}

int store_lost(struct site *s, uint64_t *ret, struct err *err)
{
	struct lost_packs lost = {0};
	int rc = packs_lost(s, &lost, err);

	if (rc == 0)
		*ret = lost.n;
	list_clear(&lost);
	return rc;
}

int store_forget_lost(struct site *s, uint64_t *ret, struct err *err)
{
	struct lost_packs lost = {0};
	int rc = packs_lost(s, &lost, err);

	for (size_t i = 0; rc == 0 && i < lost.n; i++)
		rc = db_run(s->db, err, "DELETE FROM pack WHERE number = ?1", "i",
			    (int64_t)lost.items[i]);
	if (rc == 0 && lost.n > 0)
		rc = rows_tidy(s->db, err);
	if (rc == 0)
		*ret = lost.n;
	list_clear(&lost);
	return rc;
}

int store_forget_channel(struct site *s, const char *channel, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM pack WHERE channel = ?1", "t", channel);

	return rc < 0 ? rc : rows_tidy(s->db, err);
}

int store_knows(struct db *db, uint64_t pack, struct err *err)
{
	int64_t one;

	return db_int(db, err, &one, "SELECT 1 FROM pack WHERE number = ?1", "i", (int64_t)pack);
}

int store_prune(struct site *s, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = rows_prune(s, err);
	if (rc <= 0)
		return rc;
	rc = db_tx_commit(&tx, err);
	return rc < 0 ? rc : store_sweep(s, err);
}
