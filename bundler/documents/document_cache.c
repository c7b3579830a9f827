/* SPDX-License-Identifier: ISC */
/*
 * Documents that are remembered.  A site may have a hundred thousand of them, of which a command
 * needs to know what they say and changes one.  So the registry keeps the text of each, beside what
 * stat said when it was read; one that stat still says the same of is not opened again.
 *
 * A file that was changed within the grain of the clock after it was read would look the same, so
 * what is younger than a moment is not remembered (git's "racy" case).
 *
 * What is remembered only saves time, so it is no reason to write: it is kept in memory, and
 * written when the site is closed by a run that has changed the registry anyway.  Otherwise the run
 * after an edit, in which that edit is no longer young, would write though nothing changed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/documents/documents_internal.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* Nanoseconds: file systems keep times of 2 s (FAT) or better. */
#define RACY 3000000000ll

static const char documents_tables[] =
    "CREATE TABLE document_cache(kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,"
    " mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,"
    " content BLOB NOT NULL, PRIMARY KEY(kind, name)) STRICT, WITHOUT ROWID;";
static const char *const documents_steps[] = {documents_tables};
const struct db_schema document_schema = DB_SCHEMA("documents", documents_steps);

/* What was read anew, or is gone, until the site is closed. */
struct fresh {
	const struct site_kind *kind; /* borrowed */
	char *name;                   /* owned */
	bool gone;                    /* its file is no more */
	struct stat st;
	struct buf text; /* owned */
};
struct site_unremembered LIST_MEMBERS(struct fresh);

struct document_cache {
	struct site *s;
	const struct site_kind *kind;
	int dirfd;        /* owned */
	sqlite3_stmt *st; /* rows ascending by name */
	bool row;         /* one is in hand */
};

static int64_t nanoseconds(struct timespec t)
{
	return clock_ns(t.tv_sec, t.tv_nsec);
}

static void document_cache_clear(struct document_cache *r)
{
	db_done(&r->st);
	fd_closep(&r->dirfd);
}

/* fresh_add(r, name, err): room for one more; NULL on failure. */
static struct fresh *fresh_add(struct document_cache *r, const char *name, struct err *err)
{
	struct site *s = r->s;
	struct fresh *f;

	if (s->unremembered == NULL)
		s->unremembered = calloc(1, sizeof(*s->unremembered));
	f = s->unremembered == NULL ? NULL : list_add(s->unremembered, err);
	if (f == NULL) {
		err_memory(err);
		return NULL;
	}
	f->kind = r->kind;
	f->name = strdup(name);
	if (f->name == NULL) {
		err_memory(err);
		return NULL;
	}
	return f;
}

static int gone_add(struct document_cache *r, const char *name, struct err *err)
{
	struct fresh *f;

	if (r->s->lock < 0)
		return 0;
	f = fresh_add(r, name, err);
	if (f == NULL)
		return err->rc;
	f->gone = true;
	return 0;
}

static int row_step(struct document_cache *r, struct err *err)
{
	int rc = db_step(r->s->db, r->st, err);

	r->row = rc == 1;
	return rc < 0 ? rc : 0;
}

static int cache_rows_open(struct document_cache *r, struct err *err)
{
	int rc = db_query(r->s->db,
			  "SELECT name, size, mtime, ctime, inode, content FROM document_cache"
			  " WHERE kind = ?1 ORDER BY name",
			  &r->st, err);

	if (rc == 0)
		rc = db_bind(r->st, err, "t", r->kind->directory);
	return rc < 0 ? rc : row_step(r, err);
}

/* row_find(r, name, err): 1 when the row in hand is that of ${name}; those before it are gone. */
static int row_find(struct document_cache *r, const char *name, struct err *err)
{
	int order = 1, rc = 0;

	while (rc == 0 && r->row && (order = strcmp(db_text(r->st, 0), name)) < 0) {
		rc = gone_add(r, db_text(r->st, 0), err);
		if (rc == 0)
			rc = row_step(r, err);
	}
	return rc < 0 ? rc : r->row && order == 0;
}

static bool row_fits(const struct document_cache *r, const struct stat *st)
{
	return S_ISREG(st->st_mode) && db_i64(r->st, 1) == (int64_t)st->st_size &&
	       db_i64(r->st, 2) == nanoseconds(st->st_mtim) &&
	       db_i64(r->st, 3) == nanoseconds(st->st_ctim) &&
	       db_i64(r->st, 4) == (int64_t)st->st_ino;
}

/* May what was just read be remembered?  Only when the file cannot have changed since it was
 * looked at without its times saying so. */
static bool is_settled(int dirfd, const char *file, const struct stat *before)
{
	int64_t now = clock_now() * 1000000000;
	struct stat st;

	return fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == before->st_ino &&
	       st.st_size == before->st_size &&
	       nanoseconds(st.st_mtim) == nanoseconds(before->st_mtim) &&
	       nanoseconds(st.st_ctim) == nanoseconds(before->st_ctim) &&
	       now - nanoseconds(st.st_ctim) > RACY && now - nanoseconds(st.st_mtim) > RACY;
}

static int file_take(struct document_cache *r, const char *name, const char *file,
		     const struct stat *st, void *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct fresh *f;
	int rc = file_read(r->dirfd, file, LIMIT_DOCUMENT, &text, err);

	if (rc < 0)
		return err_prefix(err, "%s/%s", r->kind->directory, file);
	rc = site_document_decode(r->kind, bytes_in(&text), name, ret, err);
	if (rc < 0 || r->s->lock < 0 || !is_settled(r->dirfd, file, st))
		return rc;
	f = fresh_add(r, name, err);
	if (f == NULL)
		return err->rc;
	f->st = *st;
	f->text = text;
	text = (struct buf)BUF_INIT;
	return 0;
}

static int document_take(struct document_cache *r, const char *name, void *ret, struct err *err)
{
	char file[SITE_DOCUMENT_PATH];
	struct stat st;
	int rc;

	rc = r->kind->name_check(name, RC_MALFORMED, err);
	if (rc < 0)
		return err_prefix(err, "%s/%s" SITE_SUFFIX, r->kind->directory, name);
	snprintf(file, sizeof(file), "%s" SITE_SUFFIX, name);
	if (fstatat(r->dirfd, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, RC_IO, "%s/%s", r->kind->directory, file);
	rc = row_find(r, name, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || !row_fits(r, &st))
		rc = file_take(r, name, file, &st, ret, err);
	else
		rc = site_document_decode(r->kind, db_bytes(r->st, 5), name, ret, err);
	return rc < 0 || !r->row || strcmp(db_text(r->st, 0), name) != 0 ? rc : row_step(r, err);
}

static int fresh_write(struct db *db, const struct fresh *f, struct err *err)
{
	if (f->gone)
		return db_run(db, err, "DELETE FROM document_cache WHERE kind = ?1 AND name = ?2",
			      "tt", f->kind->directory, f->name);
	return db_run(db, err,
		      "INSERT OR REPLACE INTO document_cache(kind, name, size, mtime, ctime, inode,"
		      " content) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		      "ttiiiib", f->kind->directory, f->name, (int64_t)f->st.st_size,
		      nanoseconds(f->st.st_mtim), nanoseconds(f->st.st_ctim), (int64_t)f->st.st_ino,
		      bytes_in(&f->text));
}

static int remember(struct site *s, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	for (size_t i = 0; rc == 0 && i < s->unremembered->n; i++)
		rc = fresh_write(s->db, &s->unremembered->items[i], err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

static void fresh_clear(struct fresh *f)
{
	free(f->name);
	buf_clear(&f->text);
}

void site_documents_remember(struct site *s)
{
	if (s->unremembered == NULL)
		return;
	/* An error is that of a saving of time, and the run has done its work. */
	if (sqlite3_total_changes(db_handle(s->db)) > 0)
		remember(s, ERR_IGNORED);
	for (size_t i = 0; i < s->unremembered->n; i++)
		fresh_clear(&s->unremembered->items[i]);
	list_clear(s->unremembered);
	free(s->unremembered);
	s->unremembered = NULL;
}

int document_cache_read(struct site *s, const struct site_kind *kind, char *const *name, size_t n,
			struct err *err)
{
	OWNED(document_cache_clear) struct document_cache r = {.s = s, .kind = kind, .dirfd = -1};
	int rc;

	r.dirfd = beneath_dir(s->dirfd, kind->directory, err);
	if (r.dirfd < 0)
		return r.dirfd;
	rc = cache_rows_open(&r, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = document_take(&r, name[i], site_element(s, kind, i), err);
	while (rc == 0 && r.row) {
		rc = gone_add(&r, db_text(r.st, 0), err);
		if (rc == 0)
			rc = row_step(&r, err);
	}
	return rc;
}
