/* SPDX-License-Identifier: ISC */
/*
 * What was posted, as one list in the order of paths, beside the listings of the depot: each
 * directory is listed once.  In memory are the names of one directory, and all paths that are
 * missing.
 *
 * A directory that cannot be listed says nothing about the others, so it is noted, and told at the
 * end.  Nor may a flood of junk in one of them use up what the others need: a directory is listed
 * as far as its own files explain, and in one that holds much more they are asked for by name.
 */
#include "bundler/outbox/site_missing.h"

#include <string.h>

#include "bundler/published/published.h"
#include "bundler/registry/registry.h"
#include "core/base/own.h"

/* Entries of a directory beside twice what belongs there: files that are retired and not removed
 * yet, and what copying programs leave. */
#define LISTED_BESIDE 1024

#define SIZE_UNKNOWN UINT64_MAX /* of a document of an old registry: any will do */

/* Rooms below publish what was posted; both halves come out of an index in the order of paths. */
static const char sent_sql[] = "SELECT path, size FROM outbox_sent"
			       " UNION ALL SELECT path, size FROM bundle_sent ORDER BY path";

struct posted_file {
	char *name;    /* owned */
	uint64_t size; /* bytes, or SIZE_UNKNOWN */
	bool judged;   /* it is whole, or nobody knows */
};

struct comparing {
	struct depot *depot;           /* borrowed */
	char dir[DEPOT_NAME];          /* the one in hand; "." for the top */
	LIST(struct posted_file) file; /* in it, ascending by name */
	struct strings missing;        /* paths */
	uint64_t failed;               /* directories that could not be compared */
	struct err why;                /* the first of them, or what ended the depot */
};

static void files_clear(struct comparing *c)
{
	for (size_t i = 0; i < c->file.n; i++)
		free(c->file.items[i].name);
	list_clear(&c->file);
}

static void comparing_clear(struct comparing *c)
{
	files_clear(c);
	strings_clear(&c->missing);
}

static int name_compare(const void *key, const void *item)
{
	return strcmp(key, ((const struct posted_file *)item)->name);
}

static void file_judge(struct comparing *c, struct posted_file *f, uint64_t size)
{
	if (f->judged || (f->size != SIZE_UNKNOWN && f->size != size))
		return;
	f->judged = true;
	depot_credit(c->depot, 1, 0);
}

static int file_found(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct comparing *c = arg;
	struct posted_file *f = list_find(&c->file, name, name_compare);

	(void)err;
	if (f != NULL)
		file_judge(c, f, size);
	return 0;
}

static void file_path(const struct comparing *c, const struct posted_file *f,
		      char dst[2 * DEPOT_NAME])
{
	if (strcmp(c->dir, ".") == 0)
		snprintf(dst, 2 * DEPOT_NAME, "%s", f->name);
	else
		snprintf(dst, 2 * DEPOT_NAME, "%s/%s", c->dir, f->name);
}

static void failure_note(struct comparing *c, const struct err *e)
{
	bool over = depot_over(c->depot, &c->why);

	if (c->failed++ > 0 || over)
		return;
	c->why = *e;
	if (e->rc == RC_TYPE || e->rc == RC_PATH)
		err_set(&c->why, e->rc,
			"%s; a directory belongs there, so remove what lies in its place or above",
			e->text);
}

/* What the listing did not reach. */
static int files_ask(struct comparing *c, struct err *err)
{
	char path[2 * DEPOT_NAME];
	uint64_t size;
	int rc = 0;

	for (size_t i = 0; i < c->file.n; i++) {
		struct posted_file *f = &c->file.items[i];
		struct err e = {0};
		int got;

		if (f->judged)
			continue;
		file_path(c, f, path);
		got = depot_size(c->depot, path, &size, &e);
		if (got == 0)
			file_judge(c, f, size);
		if (got == 0 || got == RC_ABSENT || got == RC_TYPE || got == RC_PATH)
			continue;
		f->judged = true;
		if (rc == 0)
			*err = e;
		rc = err->rc;
		if (depot_over(c->depot, ERR_IGNORED))
			break;
	}
	return rc;
}

static int missing_add(struct comparing *c, struct err *err)
{
	char path[2 * DEPOT_NAME];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->file.n; i++) {
		if (c->file.items[i].judged)
			continue;
		file_path(c, &c->file.items[i], path);
		rc = strings_add(&c->missing, path, err);
	}
	return rc;
}

/* The directory in hand is complete: list it, and go on with an empty one. */
static int directory_compare(struct comparing *c, struct err *err)
{
	struct err e = {0};
	bool known = c->file.n > 0;
	int rc = !known ? 0
			: depot_list_most(c->depot, c->dir, 2 * c->file.n + LISTED_BESIDE,
					  file_found, c, &e);

	if (rc < 0 && rc != RC_LIMIT) {
		failure_note(c, &e);
		known = false;
	} else if (rc == RC_LIMIT && files_ask(c, &e) < 0) {
		failure_note(c, &e);
		known = !depot_over(c->depot, ERR_IGNORED);
	}
	rc = known ? missing_add(c, err) : 0;
	files_clear(c);
	return rc;
}

/* Paths come in ascending order, so those of one directory come together. */
static int file_expect(struct comparing *c, const char *path, uint64_t size, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 1 : (size_t)(slash - path);
	const char *dir = slash == NULL ? "." : path;
	struct posted_file *f;
	int rc;

	if (n >= sizeof(c->dir) || strlen(path) - n >= sizeof(c->dir))
		return err_set(err, RC_STATE, "the registry is damaged: the path \"%.64s\"", path);
	if (strncmp(c->dir, dir, n) != 0 || c->dir[n] != '\0') {
		rc = directory_compare(c, err);
		if (rc < 0)
			return rc;
		memcpy(c->dir, dir, n);
		c->dir[n] = '\0';
	}
	f = list_add(&c->file, err);
	if (f == NULL)
		return err->rc;
	f->size = size;
	f->name = strdup(slash == NULL ? path : slash + 1);
	return f->name == NULL ? err_memory(err) : 0;
}

/* A depot that was given up ends it: what was found until then counts. */
static int all_compare(struct site *s, struct comparing *c, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(s->db, sent_sql, &st, err);

	while (rc == 0 && !depot_over(c->depot, ERR_IGNORED) && (rc = db_step(s->db, st, err)) > 0)
		rc = file_expect(c, db_text(st, 0), (uint64_t)db_i64(st, 1), err);
	return rc < 0 || depot_over(c->depot, ERR_IGNORED) ? rc : directory_compare(c, err);
}

static int failure_tell(const struct comparing *c, struct err *err)
{
	if (c->failed == 0)
		return 0;
	if (c->failed == 1 || depot_over(c->depot, ERR_IGNORED))
		return err_set(err, c->why.rc, "%s", c->why.text);
	return err_set(err, c->why.rc, "%s (and %llu more %s)", c->why.text,
		       (unsigned long long)c->failed - 1,
		       c->failed == 2 ? "directory" : "directories");
}

/* With the event in the same transaction: whatever becomes of the posting, it is kept. */
static int missing_mark(struct site *s, const struct strings *missing, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_join(&tx, s->db, err);

	for (size_t i = 0; rc == 0 && i < missing->n; i++) {
		rc = registry_post_again(s->db, missing->items[i], err);
		if (rc == 0)
			rc = published_post_again(s->db, missing->items[i], err);
	}
	if (rc == 0)
		rc = registry_eventf(s->db, err, "depot-lost", "",
				     "%zu %s missing from the depot %s, or not whole", missing->n,
				     missing->n == 1 ? "file was" : "files were", s->depot);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int site_missing(struct site *s, struct depot *d, uint64_t *ret, struct err *err)
{
	OWNED(comparing_clear) struct comparing c = {.depot = d, .dir = "."};
	int rc = all_compare(s, &c, err);

	if (rc < 0)
		return rc;
	*ret = c.missing.n;
	return failure_tell(&c, err);
}

int site_missing_mark(struct site *s, struct depot *d, struct strings *ret, struct err *err)
{
	OWNED(comparing_clear) struct comparing c = {.depot = d, .dir = "."};
	int rc = all_compare(s, &c, err);

	if (rc == 0 && c.missing.n > 0)
		rc = missing_mark(s, &c.missing, err);
	if (rc < 0)
		return rc;
	strings_clear(ret);
	*ret = c.missing;
	c.missing = (struct strings){0};
	return failure_tell(&c, err);
}

int site_missing_back(struct site *s, const struct strings *missing, uint64_t *ret, struct err *err)
{
	uint64_t n = 0;
	int64_t one;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < missing->n; i++) {
		rc = db_int(s->db, err, &one,
			    "SELECT 1 FROM outbox_sent WHERE path = ?1"
			    " UNION ALL SELECT 1 FROM bundle_sent WHERE path = ?1",
			    "t", missing->items[i]);
		n += rc > 0;
	}
	if (rc < 0)
		return rc;
	*ret = n;
	return 0;
}
