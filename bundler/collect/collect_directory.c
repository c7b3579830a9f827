/* SPDX-License-Identifier: ISC */
/*
 * One directory of the inbox, in batches: read and open outside of any transaction, because a depot
 * may be slow; record in one; remove from the depot afterwards.  A run that is killed anywhere has
 * recorded whole batches, and the next one finds what was not removed by its name.
 *
 * What becomes of a file:
 *
 *   read and recorded, or refused    row `done`, removed from the depot
 *   recorded before (its name says)  removed
 *   incomplete, or not readable now  row with `again`; stays, and is tried later
 *   too many requests wait           likewise, until some were answered
 *
 * A name holds the digest of the file, so a name that is known needs no reading, and a file that
 * grew under its name is another attempt at the same one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/collect/collect_internal.h"
#include "core/base/list.h"
#include "core/base/own.h"

/* Files between two commits: at most 16 MiB of them in memory. */
#define BATCH 256
/* Incomplete files that are noted; anybody can make as many as they like. */
#define INCOMPLETE_MAX 100000
/* Seconds: an incomplete file is tried at every run while it is young, then after as long as it is
 * old, at least every hour, and told about when it is older than a day. */
#define YOUNG       60
#define TRY_AT_MOST 3600
#define TELL_AFTER  86400

struct file {
	struct name name;
	uint64_t size;
	bool gone; /* removed from the depot */
};

struct directory {
	struct collect *c;
	const char *xx;
	LIST(struct file) file; /* owned */
	uint32_t seen;          /* names of ours */
	bool cut;               /* there are more than are held */
};

/* One file on its way through a batch. */
struct inbox_file {
	struct file *file;
	char path[DEPOT_NAME];
	int rc; /* of reading; RC_INCOMPLETE and RC_IO: try later */
	char why[256];
	bool known; /* not read: its name is recorded */
	bool done;  /* not read: it was dealt with, and only stayed in the depot */
	struct opened opened;
	enum disposition disposition;
};

static void directory_clear(struct directory *d)
{
	list_clear(&d->file);
}

static void file_path(char dst[DEPOT_NAME], const char *xx, const struct name *n)
{
	snprintf(dst, DEPOT_NAME, "inbox/%s/%s-%" PRIu64 "-%s.%s", xx, n->id, n->number, n->digest,
		 n->kind == NAME_RECEIPT ? "receipt" : "request");
}

/* Listing */

/*
 * More names than are held: every one of them has the same chance.  Anybody can make files that
 * stay, being neither whole nor wrong, and the first ones would for ever hide what comes behind.
 */
static void name_draw(struct directory *d, const struct file *f)
{
	uint32_t place = randombytes_uniform(d->seen);

	d->cut = true;
	if (place < d->file.n)
		d->file.items[place] = *f;
}

static int name_take(void *arg, const char *text, uint64_t size, struct err *err)
{
	struct directory *d = arg;
	char path[DEPOT_NAME], xx[3];
	struct file f = {.size = size};

	if ((size_t)snprintf(path, sizeof(path), "inbox/%s/%s", d->xx, text) >= sizeof(path))
		return 0;
	name_parse(path, &f.name);
	if (f.name.kind != NAME_RECEIPT && f.name.kind != NAME_REQUEST)
		return 0;
	snprintf(xx, sizeof(xx), "%02x", shard_of(f.name.id));
	if (strcmp(xx, d->xx) != 0) /* litter: no writer of ours puts it there */
		return 0;
	d->seen++; /* LIMIT_DEPOT_FILES at most */
	if (d->file.n == d->c->names_max) {
		name_draw(d, &f);
		return 0;
	}
	return list_push(&d->file, f, err);
}

/* Requests first, then by sender and sequence, so that a row of receipts is recorded in order. */
static int by_turn(const void *a, const void *b)
{
	const struct name *x = &((const struct file *)a)->name;
	const struct name *y = &((const struct file *)b)->name;
	int order = (x->kind == NAME_RECEIPT) - (y->kind == NAME_RECEIPT);

	if (order == 0)
		order = strcmp(x->id, y->id);
	if (order == 0)
		order = (x->number > y->number) - (x->number < y->number);
	return order != 0 ? order : strcmp(x->digest, y->digest);
}

/* Reading */

/* known(c, i, ret_skip, err): what an earlier run knows about the file. */
static int known(struct collect *c, struct inbox_file *i, bool *ret_skip, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int64_t wait;
	int rc;

	*ret_skip = false;
	rc = db_query(c->s->db, "SELECT done, again, size FROM inbox WHERE path = ?1", &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", i->path);
	if (rc == 0)
		rc = db_step(c->s->db, st, err);
	if (rc != 1)
		return rc;
	i->done = db_i64(st, 0) != 0;
	wait = db_i64(st, 1) - c->now;
	/* A longer one is of a clock that was ahead when it was noted. */
	*ret_skip =
	    !i->done && wait > 0 && wait <= TRY_AT_MOST && db_i64(st, 2) == (int64_t)i->file->size;
	return 0;
}

/*
 * Judged by the listed size before anything is read; depot_read enforces it again, because a file
 * may grow in between.
 */
static size_t size_most(const struct inbox_file *i)
{
	return i->file->name.kind == NAME_RECEIPT ? LIMIT_RECEIPT : LIMIT_REQUEST;
}

/* item_read(c, i, err): into memory and through the children.  What is wrong with the file goes
 * into ${i}; negative only when the run cannot go on. */
static int item_read(struct collect *c, struct inbox_file *i, struct err *err)
{
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	struct err why = {0};
	int rc;

	if (i->file->size > size_most(i)) {
		i->rc = RC_LIMIT;
		snprintf(i->why, sizeof(i->why), "a file of %" PRIu64 " bytes", i->file->size);
		return 0;
	}
	/*
	 * Only what is read counts: names that are known cost next to nothing, and must not use up
	 * a run.
	 */
	c->budget--;
	rc = depot_read(c->depot, i->path, size_most(i), &sealed, &why);
	if (rc == RC_TIMEOUT || rc == RC_MEMORY)
		return err_set(err, rc, "%s", why.text);
	if (rc == 0) {
		rc = unsealer_ask(&c->unsealer, bytes_in(&sealed), &i->opened, err);
		if (rc == 0 && i->opened.rc == 0 && i->file->name.kind == NAME_REQUEST)
			rc = opened_request(&c->parser, &i->opened, err);
		if (rc < 0)
			return rc;
		rc = i->opened.rc;
		if (rc == 0)
			depot_credit(c->depot, 1, sealed.n);
		snprintf(why.text, sizeof(why.text), "%s", i->opened.why);
	}
	i->rc = rc;
	snprintf(i->why, sizeof(i->why), "%.255s", why.text);
	return 0;
}

/* batch_read(d, at, item, ret_n, err): fill a batch, beginning with file ${*at}. */
static int batch_read(struct directory *d, size_t *at, struct inbox_file *item, size_t *ret_n,
		      struct err *err)
{
	struct collect *c = d->c;
	size_t n = 0;
	int rc = 0;

	for (; rc == 0 && n < BATCH && *at < d->file.n && c->budget > 0; (*at)++) {
		struct inbox_file *i = &item[n];
		bool skip = false;

		*i = (struct inbox_file){.file = &d->file.items[*at]};
		file_path(i->path, d->xx, &i->file->name);
		c->counts.files++;
		rc = known(c, i, &skip, err);
		if (rc == 0 && skip) {
			c->counts.incomplete++;
			continue;
		}
		if (rc == 0 && !i->done && i->file->name.kind == NAME_RECEIPT) {
			rc = receipts_seen(c->s->db, i->file->name.id, i->file->name.number,
					   i->file->name.digest, err);
			i->known = rc == 1;
		}
		n++;
		if (rc >= 0)
			rc = i->known || i->done ? 0 : item_read(c, i, err);
	}
	*ret_n = n;
	return rc;
}

/* Recording, in a transaction */

/* incomplete_note(c, i, err): remember when it was first seen, and when to look again. */
static int incomplete_note(struct collect *c, struct inbox_file *i, struct err *err)
{
	int64_t first = c->now, age, wait;
	int64_t reported = 0;
	int rc;

	rc = db_int(c->s->db, err, &first, "SELECT first FROM inbox WHERE path = ?1", "t", i->path);
	if (rc < 0)
		return rc;
	if (rc == 0 && c->known++ >= INCOMPLETE_MAX)
		return 0;
	if (rc == 1 && db_int(c->s->db, err, &reported,
			      "SELECT reported FROM inbox WHERE path = ?1", "t", i->path) < 0)
		return err->rc;
	if (first > c->now) /* by a clock that was ahead */
		first = c->now;
	age = c->now - first;
	wait = age < YOUNG ? 0 : age < TRY_AT_MOST ? age : TRY_AT_MOST;
	if (age > TELL_AFTER && reported == 0) {
		rc = record_incomplete(c, &i->file->name, err);
		if (rc < 0)
			return rc;
		reported = 1;
	}
	return db_run(c->s->db, err,
		      "INSERT INTO inbox(path, done, first, again, size, reported)"
		      " VALUES(?1, 0, ?2, ?3, ?4, ?5) ON CONFLICT(path) DO UPDATE SET"
		      " first = excluded.first, again = excluded.again, size = excluded.size,"
		      " reported = excluded.reported",
		      "tiiii", i->path, first, c->now + wait, (int64_t)i->file->size, reported);
}

/* done_note(c, i, err): should removing it fail, or the run end before, it is not looked at again.
 */
static int done_note(struct collect *c, struct inbox_file *i, struct err *err)
{
	return db_run(c->s->db, err,
		      "INSERT OR REPLACE INTO inbox(path, done, first, again, size, reported)"
		      " VALUES(?1, 1, ?2, ?2, ?3, 0)",
		      "tii", i->path, c->now, (int64_t)i->file->size);
}

/* Refusals are recorded like receipts, so that a bad file is opened once and not at every run. */
static int item_record(struct collect *c, struct inbox_file *i, struct err *err)
{
	const struct name *name = &i->file->name;

	if (i->known || i->done) {
		i->disposition = DISPOSITION_KNOWN;
		return 0;
	}
	if (i->rc == RC_INCOMPLETE || i->rc == RC_IO || i->rc == RC_ABSENT || i->rc == RC_AGAIN) {
		i->disposition = DISPOSITION_LATER;
		return 0;
	}
	if (i->rc < 0) {
		i->disposition = DISPOSITION_REFUSED;
		return record_unread(c, name, i->rc, i->opened.rc < 0 ? i->opened.why : "", err);
	}
	if (name->kind == NAME_RECEIPT)
		return record_receipt(c, name, bytes_in(&i->opened.doc), &i->disposition, err);
	return record_request(c, name, &i->opened, &i->disposition, err);
}

static void item_count(struct collect *c, const struct inbox_file *i)
{
	switch (i->disposition) {
	case DISPOSITION_RECORDED:
		if (i->file->name.kind == NAME_RECEIPT)
			c->counts.receipts++;
		else
			c->counts.requests++;
		return;
	case DISPOSITION_KNOWN:
		c->counts.known++;
		return;
	case DISPOSITION_REFUSED:
		c->counts.refused++;
		return;
	case DISPOSITION_LATER:
		c->counts.incomplete++;
		return;
	}
}

/*
 * Rows about files and what the files said are one transaction: a file is never known without its
 * contents.
 */
static int batch_record(struct collect *c, struct inbox_file *item, size_t n, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, c->s->db, err);

	for (size_t k = 0; rc == 0 && k < n; k++) {
		rc = item_record(c, &item[k], err);
		if (rc == 0 && item[k].disposition == DISPOSITION_LATER)
			rc = incomplete_note(c, &item[k], err);
		else if (rc == 0 && !item[k].known && !item[k].done)
			rc = done_note(c, &item[k], err);
	}
	if (rc == 0)
		rc = event_counts_flush(&c->event_counts, c->s->db, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc < 0)
		return rc;
	for (size_t k = 0; k < n; k++)
		item_count(c, &item[k]);
	return 0;
}

/* Removing */

static void batch_remove(struct collect *c, struct inbox_file *item, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		struct err why = {0};

		if (item[k].disposition == DISPOSITION_LATER)
			continue;
		if (depot_remove(c->depot, item[k].path, &why) == 0) {
			item[k].file->gone = true;
			continue;
		}
		/* It stays known by its name; a medium that cannot be written is no fault. */
		if (!c->cannot_remove)
			reporter_warning(c->s->reporter,
					 "cannot remove recorded files from the depot: %s",
					 why.text);
		c->cannot_remove = true;
		return;
	}
}

static bool file_there(const struct directory *d, const char *path)
{
	struct file key = {0};
	const struct file *f;

	name_parse(path, &key.name);
	f = list_find(&d->file, &key, by_turn);
	return f != NULL && !f->gone;
}

/*
 * rows_forget(d, err): rows about files that are no longer there.  None when the listing was cut:
 * that a file is not in it means nothing then.
 */
static int rows_forget(struct directory *d, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	char from[16], to[16];
	int rc;

	if (d->cut)
		return 0;
	snprintf(from, sizeof(from), "inbox/%s/", d->xx);
	snprintf(to, sizeof(to), "inbox/%s0", d->xx); /* '0' follows '/' */
	rc = db_query(d->c->s->db, "SELECT path FROM inbox WHERE path >= ?1 AND path < ?2", &st,
		      err);
	if (rc == 0)
		rc = db_bind(st, err, "tt", from, to);
	if (rc < 0)
		return rc;
	while ((rc = db_step(d->c->s->db, st, err)) == 1) {
		if (file_there(d, db_text(st, 0)))
			continue;
		rc = db_run(d->c->s->db, err, "DELETE FROM inbox WHERE path = ?1", "t",
			    db_text(st, 0));
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int batch_run(struct directory *d, size_t *at, struct err *err)
{
	struct inbox_file *item = calloc(BATCH, sizeof(*item));
	struct err stop = {0};
	size_t n = 0;
	int rc, stopped;

	if (item == NULL)
		return err_memory(err);
	/* What was read before the run had to stop is recorded all the same. */
	stopped = batch_read(d, at, item, &n, &stop);
	if (stopped < 0 && n > 0)
		n--;
	rc = batch_record(d->c, item, n, err);
	if (rc == 0)
		batch_remove(d->c, item, n);
	for (size_t k = 0; k < BATCH; k++)
		opened_clear(&item[k].opened);
	free(item);
	if (rc == 0 && stopped < 0)
		rc = err_set(err, stopped, "%s", stop.text);
	return rc;
}

/* Anybody can make a directory that nobody may read: the others are read all the same. */
static int directory_unread(struct collect *c, const struct err *why, struct err *err)
{
	if (why->rc == RC_TIMEOUT || why->rc == RC_MEMORY || why->rc == RC_INTERNAL)
		return err_set(err, why->rc, "%s", why->text);
	reporter_warning(c->s->reporter, "%s", why->text);
	c->unread = *why;
	return 0;
}

int collect_directory(struct collect *c, const char *xx, struct err *err)
{
	OWNED(directory_clear) struct directory d = {.c = c, .xx = xx};
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct err why = {0};
	char path[16];
	size_t at = 0;
	int rc;

	snprintf(path, sizeof(path), "inbox/%s", xx);
	rc = depot_list(c->depot, path, name_take, &d, &why);
	if (rc == RC_LIMIT) /* a flood: what was listed is enough for now */
		d.cut = true;
	else if (rc < 0)
		return directory_unread(c, &why, err);
	list_sort(&d.file, by_turn);
	rc = 0;
	while (rc == 0 && at < d.file.n && c->budget > 0)
		rc = batch_run(&d, &at, err);
	if (at < d.file.n || d.cut)
		c->more = true;
	if (rc == 0)
		rc = db_tx_begin(&tx, c->s->db, err);
	if (rc == 0)
		rc = rows_forget(&d, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}
