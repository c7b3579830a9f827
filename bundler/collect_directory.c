/*
 * One directory of the inbox, in batches: read and open outside of any transaction, because a depot
 * may be slow; record in one; remove from the depot afterwards.  A run that is killed anywhere has
 * recorded whole batches, and the next one finds what was not removed by its name.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/collect_internal.h"
#include "core/base/own.h"

/* Files between two commits: at most 16 MiB of them in memory. */
#define BATCH 256
/* Incomplete files that are remembered; anybody can make as many as they like. */
#define REMEMBERED_MAX 100000
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
	struct file *file; /* owned */
	size_t n, cap;
	uint32_t seen; /* names of ours */
	bool cut;      /* there are more than are held */
};

/* One file on its way through a batch. */
struct item {
	struct file *file;
	char path[DEPOT_NAME];
	int rc; /* of reading; RC_INCOMPLETE and RC_IO: try later */
	char why[256];
	bool known; /* not read: its name is recorded */
	bool done;  /* not read: it was dealt with, and only stayed in the depot */
	struct opened opened;
	enum fate fate;
};

static void directory_clear(struct directory *d)
{
	free(d->file);
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
	if (place < d->n)
		d->file[place] = *f;
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
	if (d->n == d->c->names_max) {
		name_draw(d, &f);
		return 0;
	}
	if (d->n == d->cap) {
		size_t cap = d->cap == 0 ? 64 : d->cap * 2;
		struct file *more = reallocarray(d->file, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		d->file = more;
		d->cap = cap;
	}
	d->file[d->n++] = f;
	return 0;
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

/* remembered(c, i, ret_skip, err): what an earlier run knows about the file. */
static int remembered(struct collect *c, struct item *i, bool *ret_skip, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
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
	*ret_skip = !i->done && db_i64(st, 1) > c->now && db_i64(st, 2) == (int64_t)i->file->size;
	return 0;
}

static size_t size_most(const struct item *i)
{
	return i->file->name.kind == NAME_RECEIPT ? LIMIT_RECEIPT : LIMIT_REQUEST;
}

/* item_read(c, i, err): into memory and through the child.  What is wrong with the file goes into
 * ${i}; negative only when the run cannot go on. */
static int item_read(struct collect *c, struct item *i, struct err *err)
{
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	struct err why = {0};
	int rc;

	if (i->file->size > size_most(i)) {
		i->rc = RC_LIMIT;
		snprintf(i->why, sizeof(i->why), "a file of %" PRIu64 " bytes", i->file->size);
		return 0;
	}
	c->budget--;
	rc = depot_read(c->depot, i->path, size_most(i), &sealed, &why);
	if (rc == RC_TIMEOUT || rc == RC_MEMORY)
		return err_set(err, rc, "%s", why.text);
	if (rc == 0) {
		rc = opener_ask(&c->opener, i->file->name.kind, bytes_in(&sealed), &i->opened, err);
		if (rc < 0)
			return rc;
		rc = i->opened.rc;
		snprintf(why.text, sizeof(why.text), "%s", i->opened.why);
	}
	i->rc = rc;
	snprintf(i->why, sizeof(i->why), "%.255s", why.text);
	return 0;
}

/* batch_read(d, at, item, ret_n, err): fill a batch, beginning with file ${*at}. */
static int batch_read(struct directory *d, size_t *at, struct item *item, size_t *ret_n,
		      struct err *err)
{
	struct collect *c = d->c;
	size_t n = 0;
	int rc = 0;

	for (; rc == 0 && n < BATCH && *at < d->n && c->budget > 0; (*at)++) {
		struct item *i = &item[n];
		bool skip = false;

		*i = (struct item){.file = &d->file[*at]};
		file_path(i->path, d->xx, &i->file->name);
		c->counts.files++;
		rc = remembered(c, i, &skip, err);
		if (rc == 0 && skip) {
			c->counts.incomplete++;
			continue;
		}
		if (rc == 0 && !i->done && i->file->name.kind == NAME_RECEIPT) {
			rc = record_seen(c, &i->file->name, err);
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
static int incomplete_note(struct collect *c, struct item *i, struct err *err)
{
	int64_t first = c->now, age, wait;
	int64_t reported = 0;
	int rc;

	rc = db_int(c->s->db, err, &first, "SELECT first FROM inbox WHERE path = ?1", "t", i->path);
	if (rc < 0)
		return rc;
	if (rc == 0 && c->remembered++ >= REMEMBERED_MAX)
		return 0;
	if (rc == 1 && db_int(c->s->db, err, &reported,
			      "SELECT reported FROM inbox WHERE path = ?1", "t", i->path) < 0)
		return err->rc;
	age = c->now > first ? c->now - first : 0;
	wait = age < YOUNG ? 0 : age < TRY_AT_MOST ? age : TRY_AT_MOST;
	if (age > TELL_AFTER && reported == 0) {
		rc =
		    record_refused(c, &i->file->name, "incomplete",
				   "a file in the inbox has not been complete for more than a day: "
				   "was it copied to the end?",
				   err);
		if (rc < 0)
			return rc;
		reported = 1;
	}
	return db_run(c->s->db, err,
		      "INSERT INTO inbox(path, done, first, again, size, reported)"
		      " VALUES(?1, 0, ?2, ?3, ?4, ?5) ON CONFLICT(path) DO UPDATE SET"
		      " again = excluded.again, size = excluded.size, reported = excluded.reported",
		      "tiiii", i->path, first, c->now + wait, (int64_t)i->file->size, reported);
}

/* done_note(c, i, err): should removing it fail, or the run end before, it is not looked at again.
 */
static int done_note(struct collect *c, struct item *i, struct err *err)
{
	return db_run(c->s->db, err,
		      "INSERT OR REPLACE INTO inbox(path, done, first, again, size, reported)"
		      " VALUES(?1, 1, ?2, ?2, ?3, 0)",
		      "tii", i->path, c->now, (int64_t)i->file->size);
}

static int item_record(struct collect *c, struct item *i, struct err *err)
{
	const struct name *name = &i->file->name;

	if (i->known || i->done) {
		i->fate = FATE_KNOWN;
		return 0;
	}
	if (i->rc == RC_INCOMPLETE || i->rc == RC_IO || i->rc == RC_AGAIN) {
		i->fate = FATE_LATER;
		return 0;
	}
	if (i->rc < 0) {
		i->fate = FATE_REFUSED;
		return record_refused(c, name, rc_slug(i->rc), i->why, err);
	}
	if (name->kind == NAME_RECEIPT)
		return record_receipt(c, name, bytes_in(&i->opened.doc), &i->fate, err);
	return record_request(c, name, &i->opened, &i->fate, err);
}

static void item_count(struct collect *c, const struct item *i)
{
	switch (i->fate) {
	case FATE_RECORDED:
		if (i->file->name.kind == NAME_RECEIPT)
			c->counts.receipts++;
		else
			c->counts.requests++;
		return;
	case FATE_KNOWN:
		c->counts.known++;
		return;
	case FATE_REFUSED:
		c->counts.refused++;
		return;
	case FATE_LATER:
		c->counts.incomplete++;
		return;
	}
}

static int batch_record(struct collect *c, struct item *item, size_t n, struct err *err)
{
	int rc = db_begin(c->s->db, err);

	if (rc < 0)
		return rc;
	for (size_t k = 0; rc == 0 && k < n; k++) {
		rc = item_record(c, &item[k], err);
		if (rc == 0 && item[k].fate == FATE_LATER)
			rc = incomplete_note(c, &item[k], err);
		else if (rc == 0 && !item[k].known && !item[k].done)
			rc = done_note(c, &item[k], err);
	}
	if (rc == 0)
		rc = tally_flush(&c->tally, c->s->db, err);
	if (rc == 0)
		rc = db_commit(c->s->db, err);
	if (rc < 0) {
		db_rollback(c->s->db);
		return rc;
	}
	for (size_t k = 0; k < n; k++)
		item_count(c, &item[k]);
	return 0;
}

/* Removing */

static void batch_remove(struct collect *c, struct item *item, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		struct err why = {0};

		if (item[k].fate == FATE_LATER)
			continue;
		if (depot_remove(c->depot, item[k].path, &why) == 0) {
			item[k].file->gone = true;
			continue;
		}
		/* It stays known by its name; a medium that cannot be written is no fault. */
		if (!c->cannot_remove)
			say_warning(c->s->say, "cannot remove recorded files from the depot: %s",
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
	f = d->n == 0 ? NULL : bsearch(&key, d->file, d->n, sizeof(*d->file), by_turn);
	return f != NULL && !f->gone;
}

/*
 * rows_forget(d, err): rows about files that are no longer there.  When the listing was cut,
 * absence means nothing but for what was removed just now.
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
	struct item *item = calloc(BATCH, sizeof(*item));
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
	say_warning(c->s->say, "%s", why->text);
	c->unread = *why;
	return 0;
}

int collect_directory(struct collect *c, const char *xx, struct err *err)
{
	OWNED(directory_clear) struct directory d = {.c = c, .xx = xx};
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
	if (d.n > 0)
		qsort(d.file, d.n, sizeof(*d.file), by_turn);
	rc = 0;
	while (rc == 0 && at < d.n && c->budget > 0)
		rc = batch_run(&d, &at, err);
	if (at < d.n || d.cut)
		c->more = true;
	if (rc == 0)
		rc = db_begin(c->s->db, err);
	if (rc == 0) {
		rc = rows_forget(&d, err);
		if (rc == 0)
			rc = db_commit(c->s->db, err);
		if (rc < 0)
			db_rollback(c->s->db);
	}
	return rc;
}
