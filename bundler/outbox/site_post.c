/* SPDX-License-Identifier: ISC */
/*
 * From the registry to the home depot: everything that is committed and not posted yet, in an order
 * in which nothing is named before it is there.  Posting again is harmless, so marks are committed
 * after a class of files, not after each.
 *
 * One file that cannot be posted is noted, and the rest goes on: whoever may write the depot can
 * bring that about with a directory of the right name, and stopping would keep the beat from
 * everybody.  So a head may then name a bundle that is not there.  Who needs just that file waits
 * for it, as for every file that is late, and all others get what is new.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/outbox/bundle_seal.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/outbox/site_post.h"
#include "bundler/pack/store.h"
#include "bundler/published/published.h"
#include "bundler/registry/registry.h"
#include "bundler/sealed/sealed.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"

static const char outbox_tables[] =
    /* files of the depot that are needed by beats up to this one only */
    "CREATE TABLE retired(path TEXT PRIMARY KEY, beat INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const outbox_steps[] = {outbox_tables};
const struct db_schema outbox_schema = DB_SCHEMA("outbox", outbox_steps);

struct outbox_post {
	struct site *s;
	struct depot *depot;   /* owned */
	struct keystore *keys; /* owned; NULL until a sealed bundle wants one */
	uint64_t tried;        /* documents */
	struct strings done;   /* owned; paths of one class that were posted, or removed */
	uint64_t faults;       /* files that could not be posted */
	struct err why;        /* the first of them */
};

static void post_clear(struct outbox_post *p)
{
	strings_clear(&p->done);
	keystore_freep(&p->keys);
}

static int fault_note(struct outbox_post *p, const struct err *why)
{
	if (p->faults++ == 0)
		p->why = *why;
	return 0;
}

/* What became of one file: done, its own fault, or one that concerns all. */
static int file_done(struct outbox_post *p, const char *path, int rc, struct err *err)
{
	int saved = errno;
	struct err why = *err;

	if (rc == 0)
		return strings_add(&p->done, path, err);
	if (rc == RC_IO && saved == EISDIR)
		err_set(&why, rc, "%s; remove it from the depot", err->text);
	else if (rc == RC_PATH || (rc == RC_IO && saved == ENOTDIR))
		err_set(&why, rc,
			"%s; a directory belongs there, so remove what lies in its place or above",
			err->text);
	/* Room for the beat is left where there is none for a bundle; and what is retired makes
	 * room. */
	return rc == RC_TYPE || rc == RC_PATH || rc == RC_IO || rc == RC_SPACE ? fault_note(p, &why)
									       : rc;
}

/* ${each} for every file that is done, also when one after them failed. */
static int done_mark(struct outbox_post *p,
		     int (*each)(struct db *db, const char *path, struct err *err), struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = p->done.n == 0 ? 0 : db_tx_join(&tx, p->s->db, err);

	for (size_t i = 0; rc == 0 && i < p->done.n; i++)
		rc = each(p->s->db, p->done.items[i], err);
	if (rc == 0 && p->done.n > 0)
		rc = db_tx_commit(&tx, err);
	strings_clear(&p->done);
	return rc;
}

static int document_post(void *arg, const char *path, struct bytes content, struct err *err)
{
	struct outbox_post *p = arg;

	reporter_progress(p->s->reporter, "posting", 0, 0, ++p->tried, 0);
	return file_done(p, path, depot_post(p->depot, path, content, err), err);
}

/* Documents of one class; small, so they are posted from the table. */
static int documents_post(struct outbox_post *p, const char *glob, struct err *err)
{
	struct err e = {0};
	int rc = registry_unposted(p->s->db, glob, document_post, p, err);
	int marked = done_mark(p, registry_posted, &e);

	if (rc == 0 && marked < 0)
		*err = e;
	return rc < 0 ? rc : marked;
}

/* Bytes of its pack that a bundle needs. */
static uint64_t pack_end(const struct published_file *file)
{
	uint64_t end = 0;

	for (size_t i = 0; i < BUNDLE_PIECES; i++) {
		uint64_t at = file->piece[i].offset + file->piece[i].length;

		end = at > end ? at : end;
	}
	return end;
}

int site_pack_open(struct site *s, const struct published_file *file, struct err *err)
{
	OWNED(fd_closep) int fd = store_open(s, file->pack, err);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? RC_ABSENT : fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "the content store");
	if ((uint64_t)st.st_size < pack_end(file))
		return err_set(err, RC_ABSENT, "a pack of the content store is cut off");
	return TAKE_FD(fd);
}

/* What is lost keeps nobody else's bundle back, nor the beat. */
static int bundle_lost(struct outbox_post *p, const struct published_file *file)
{
	struct err why;

	err_set(&why, RC_STATE,
		"%s is neither in the depot nor in the content store: when its source can be read, "
		"satchel publish makes a new bundle",
		file->path);
	return fault_note(p, &why);
}

/* One whose content key cannot be had, or whose pack was changed, keeps nobody else's back. */
static int sealed_post(struct outbox_post *p, const struct published_file *file, int fd,
		       struct err *err)
{
	struct bytes secret;
	struct name name;
	int rc = p->keys == NULL ? keystore_new(p->s, &p->keys, err) : 0;

	if (rc == 0 && name_parse(file->path, &name) != NAME_BUNDLE)
		rc = err_set(err, RC_STATE, "the registry is damaged: the path \"%.64s\"",
			     file->path);
	if (rc == 0)
		rc = sealed_secret(p->keys, name.channel, file->key, &secret, err);
	if (rc < 0) {
		err_prefix(err, "%s", file->path);
		return fault_note(p, err);
	}
	rc = bundle_seal_post(p->depot, file, fd, secret, p->s->reporter, err);
	return rc == RC_STATE ? fault_note(p, err) : file_done(p, file->path, rc, err);
}

/*
 * The file never exists here: prefix, pieces of the pack and padding are put together in the depot,
 * by reflink where the file system can.
 */
static int bundle_post(void *arg, const struct published_file *file, struct err *err)
{
	struct outbox_post *p = arg;
	uint64_t payload = 0;
	OWNED(fd_closep) int fd = site_pack_open(p->s, file, err);
	int rc;

	if (fd == RC_ABSENT)
		return bundle_lost(p, file);
	if (fd == RC_IO || fd == RC_PATH)
		return fault_note(p, err); /* a bad sector, say */
	if (fd < 0)
		return fd;
	if (file->key > 0)
		return sealed_post(p, file, fd, err);
	payload = bundle_plain(file->piece);
	rc = depot_post_file(p->depot, file->path, file->prefix, fd, file->piece, BUNDLE_PIECES,
			     bundle_tail(payload), p->s->reporter, err);
	return file_done(p, file->path, rc, err);
}

static int bundles_post(struct outbox_post *p, struct err *err)
{
	struct err e = {0};
	int rc = published_unposted(p->s->db, bundle_post, p, err);
	int marked = done_mark(p, published_posted, &e);

	if (rc == 0 && marked < 0)
		*err = e;
	return rc < 0 ? rc : marked;
}

/* Not removed at once: sticks and slow copies still carry the beats that lead to it. */
int site_post_retire_after(struct site *s, const char *path, uint64_t beat, struct err *err)
{
	int rc = registry_document_drop(s->db, path, err);

	if (rc < 0)
		return rc;
	return db_run(s->db, err,
		      "INSERT INTO retired(path, beat) VALUES(?1, ?2)"
		      " ON CONFLICT(path) DO UPDATE SET beat = excluded.beat",
		      "ti", path, (int64_t)beat);
}

int site_post_retire(struct site *s, const char *path, struct err *err)
{
	uint64_t last;
	int rc = registry_last(s->db, "beat", &last, err);

	return rc < 0 ? rc : site_post_retire_after(s, path, last, err);
}

static int retired_drop(struct db *db, const char *path, struct err *err)
{
	return db_run(db, err, "DELETE FROM retired WHERE path = ?1", "t", path);
}

int site_post_needed(struct site *s, const char *path, struct err *err)
{
	return retired_drop(s->db, path, err);
}

int site_post_document(struct site *s, const char *path, struct bytes content, struct err *err)
{
	int rc = registry_document(s->db, path, content, err);

	return rc < 0 ? rc : site_post_needed(s, path, err);
}

/*
 * Files that only beats which are gone from the depot led to.  Rows go only after the files: a run
 * that is killed in between removes files that are gone already.  While none of the beats that are
 * kept could be posted, those before them are all that the depot has.
 */
static int retired_remove(struct outbox_post *p, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	uint64_t oldest = 0;
	int64_t posted = 0;
	int rc = published_beat_posted(p->s->db, &posted, err);

	if (rc == 0 && posted == 0)
		return 0;
	if (rc == 0)
		rc = published_beat_oldest(p->s->db, &oldest, err);
	if (rc == 0)
		rc = db_query(p->s->db, "SELECT path FROM retired WHERE beat < ?1 ORDER BY path",
			      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)oldest);
	while (rc == 0 && (rc = db_step(p->s->db, st, err)) > 0) {
		const char *path = db_text(st, 0);

		rc = file_done(p, path, depot_remove(p->depot, path, err), err);
	}
	db_done(&st);
	return rc < 0 ? rc : done_mark(p, retired_drop, err);
}

/* Everything again */

struct sent {
	struct site *s;
	struct strings path; /* owned; of bundles that can be posted again */
};

static void sent_clear(struct sent *b)
{
	strings_clear(&b->path);
}

/* One that only the depot has still must not count as lost: that would take it away. */
static int sent_add(void *arg, const struct published_file *file, struct err *err)
{
	struct sent *b = arg;
	OWNED(fd_closep) int fd = site_pack_open(b->s, file, err);

	if (fd == RC_ABSENT || fd == RC_IO || fd == RC_PATH)
		return 0;
	return fd < 0 ? fd : strings_add(&b->path, file->path, err);
}

int site_post_again(struct site *s, struct err *err)
{
	OWNED(sent_clear) struct sent b = {.s = s};
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = published_sent(s->db, sent_add, &b, err);

	if (rc == 0)
		rc = db_tx_join(&tx, s->db, err);
	if (rc == 0)
		rc = registry_post_all_again(s->db, err);
	for (size_t i = 0; rc == 0 && i < b.path.n; i++)
		rc = published_post_again(s->db, b.path.items[i], err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int site_unposted(struct site *s, uint64_t *ret, struct err *err)
{
	uint64_t documents = 0, bundles = 0;
	int rc = registry_unposted_count(s->db, &documents, err);

	if (rc == 0)
		rc = published_unposted_count(s->db, &bundles, err);
	if (rc == 0)
		*ret = documents + bundles;
	return rc;
}

/* Is there anything to do at all?  If not, the depot is not opened for it. */
static int post_needed(struct site *s, struct err *err)
{
	uint64_t oldest = 0, unposted = 0;
	int64_t unneeded = 0;
	int rc = published_beat_oldest(s->db, &oldest, err);

	if (rc == 0)
		rc = site_unposted(s, &unposted, err);
	if (rc == 0)
		rc = db_int(s->db, err, &unneeded, "SELECT count(*) FROM retired WHERE beat < ?1",
			    "i", (int64_t)oldest);
	return rc < 0 ? rc : unposted > 0 || unneeded > 0;
}

static int faults_tell(const struct outbox_post *p, struct err *err)
{
	if (p->faults == 0)
		return 0;
	if (p->faults == 1)
		return err_set(err, p->why.rc, "%s", p->why.text);
	return err_set(err, p->why.rc, "%s (and %" PRIu64 " more %s)", p->why.text, p->faults - 1,
		       p->faults == 2 ? "file" : "files");
}

int site_post(struct site *s, struct err *err)
{
	/* Nothing is named before it is there: the beat is last. */
	static const char *const before[] = {"satchel.yaml", "trust/*", "workstations/*"};
	static const char *const after[] = {"channels/*", "shards/*", "beats/*"};
	OWNED(depot_freep) struct depot *depot = NULL;
	OWNED(post_clear) struct outbox_post p = {.s = s};
	int rc = post_needed(s, err);

	if (rc <= 0)
		return rc;
	rc = site_depot_open(s, &depot, err);
	if (rc > 0)
		rc = fault_note(&p, err);
	if (rc < 0)
		return rc;
	p.depot = depot;
	for (size_t i = 0; i < ARRAY_LEN(before) && rc == 0; i++)
		rc = documents_post(&p, before[i], err);
	if (rc == 0)
		rc = bundles_post(&p, err);
	for (size_t i = 0; i < ARRAY_LEN(after) && rc == 0; i++)
		rc = documents_post(&p, after[i], err);
	if (rc == 0)
		rc = retired_remove(&p, err);
	return rc < 0 ? rc : faults_tell(&p, err);
}
