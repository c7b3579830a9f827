/*
 * Documents that are remembered.  A site may have a hundred thousand of them, of which a command
 * needs to know what they say and changes one.  So the registry keeps the text of each, beside what
 * stat said when it was read; one that stat still says the same of is not opened again.
 *
 * A file that was changed within the grain of the clock after it was read would look the same, so
 * what is younger than a moment is not remembered (git's "racy" case).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/site_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* Nanoseconds: file systems keep times of 2 s (FAT) or better. */
#define RACY 3000000000ll

const char document_schema_sql[] =
    "CREATE TABLE document(kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,"
    " mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,"
    " content BLOB NOT NULL, PRIMARY KEY(kind, name)) STRICT, WITHOUT ROWID;";

/* What was read anew, until all is read and it can be written in one transaction. */
struct fresh {
	const char *name; /* borrowed */
	struct stat st;
	struct buf text; /* owned */
};

struct remembered {
	struct site *s;
	const struct site_kind *kind;
	int dirfd;        /* owned */
	sqlite3_stmt *st; /* rows ascending by name */
	bool row;         /* one is in hand */
	char **gone;      /* owned; names whose files are no more */
	size_t gones;
	struct fresh *fresh; /* owned */
	size_t n, cap;
};

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void remembered_clear(struct remembered *r)
{
	db_done(&r->st);
	fd_closep(&r->dirfd);
	for (size_t i = 0; i < r->n; i++)
		buf_clear(&r->fresh[i].text);
	free(r->fresh);
	site_list_clear(&r->gone, &r->gones);
}

static int row_step(struct remembered *r, struct err *err)
{
	int rc = db_step(r->s->db, r->st, err);

	r->row = rc == 1;
	return rc < 0 ? rc : 0;
}

static int rows_open(struct remembered *r, struct err *err)
{
	int rc = db_query(r->s->db,
			  "SELECT name, size, mtime, ctime, inode, content FROM document"
			  " WHERE kind = ?1 ORDER BY name",
			  &r->st, err);

	if (rc == 0)
		rc = db_bind(r->st, err, "t", r->kind->directory);
	return rc < 0 ? rc : row_step(r, err);
}

static int gone_add(struct remembered *r, const char *name, struct err *err)
{
	char **more = reallocarray(r->gone, r->gones + 1, sizeof(*more));

	if (more == NULL)
		return err_memory(err);
	r->gone = more;
	more[r->gones] = strdup(name);
	if (more[r->gones] == NULL)
		return err_memory(err);
	r->gones++;
	return 0;
}

/* row_find(r, name, err): 1 when the row in hand is that of ${name}; those before it are gone. */
static int row_find(struct remembered *r, const char *name, struct err *err)
{
	int order = 1, rc = 0;

	while (rc == 0 && r->row && (order = strcmp(db_text(r->st, 0), name)) < 0) {
		rc = gone_add(r, db_text(r->st, 0), err);
		if (rc == 0)
			rc = row_step(r, err);
	}
	return rc < 0 ? rc : r->row && order == 0;
}

static bool row_fits(const struct remembered *r, const struct stat *st)
{
	return S_ISREG(st->st_mode) && db_i64(r->st, 1) == (int64_t)st->st_size &&
	       db_i64(r->st, 2) == nanoseconds(st->st_mtim) &&
	       db_i64(r->st, 3) == nanoseconds(st->st_ctim) &&
	       db_i64(r->st, 4) == (int64_t)st->st_ino;
}

static int fresh_add(struct remembered *r, const char *name, const struct stat *st,
		     struct buf *text, struct err *err)
{
	struct fresh *f;

	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 64 : 2 * r->cap;
		struct fresh *more = reallocarray(r->fresh, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		r->fresh = more;
		r->cap = cap;
	}
	f = &r->fresh[r->n++];
	*f = (struct fresh){.name = name, .st = *st, .text = *text};
	*text = (struct buf)BUF_INIT;
	return 0;
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

static int file_take(struct remembered *r, const char *name, const char *file,
		     const struct stat *st, void *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = file_read(r->dirfd, file, LIMIT_DOCUMENT, &text, err);

	if (rc < 0)
		return err_prefix(err, "%s/%s", r->kind->directory, file);
	rc = site_document_decode(r->kind, bytes_in(&text), name, ret, err);
	if (rc < 0 || r->s->lock < 0 || !is_settled(r->dirfd, file, st))
		return rc;
	return fresh_add(r, name, st, &text, err);
}

static int document_take(struct remembered *r, const char *name, void *ret, struct err *err)
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

static int fresh_write(struct remembered *r, const struct fresh *f, struct err *err)
{
	return db_run(r->s->db, err,
		      "INSERT OR REPLACE INTO document(kind, name, size, mtime, ctime, inode,"
		      " content) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		      "ttiiiib", r->kind->directory, f->name, (int64_t)f->st.st_size,
		      nanoseconds(f->st.st_mtim), nanoseconds(f->st.st_ctim), (int64_t)f->st.st_ino,
		      bytes_in(&f->text));
}

/* What is remembered is only a saving of time: it is written when this run may write. */
static int remember(struct remembered *r, struct err *err)
{
	int rc;

	if (r->s->lock < 0 || r->n + r->gones == 0)
		return 0;
	rc = db_begin(r->s->db, err);
	for (size_t i = 0; rc == 0 && i < r->gones; i++)
		rc = db_run(r->s->db, err, "DELETE FROM document WHERE kind = ?1 AND name = ?2",
			    "tt", r->kind->directory, r->gone[i]);
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = fresh_write(r, &r->fresh[i], err);
	if (rc == 0)
		rc = db_commit(r->s->db, err);
	if (rc < 0)
		db_rollback(r->s->db);
	return rc;
}

int site_remembered_read(struct site *s, const struct site_kind *kind, char *const *name, size_t n,
			 struct err *err)
{
	OWNED(remembered_clear) struct remembered r = {.s = s, .kind = kind, .dirfd = -1};
	int rc;

	r.dirfd = beneath_dir(s->dirfd, kind->directory, err);
	if (r.dirfd < 0)
		return r.dirfd;
	rc = rows_open(&r, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = document_take(&r, name[i], site_element(s, kind, i), err);
	while (rc == 0 && r.row) {
		rc = gone_add(&r, db_text(r.st, 0), err);
		if (rc == 0)
			rc = row_step(&r, err);
	}
	db_done(&r.st);
	return rc < 0 ? rc : remember(&r, err);
}
