/*
 * What a workstation was to hold at some moment: the private generation that a beat led to, and of
 * each channel in it the generation that the same beat led to.  Generations remember the number of
 * the first beat that named them, so that no clock is asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/confirm_internal.h"
#include "core/base/own.h"

/* Writing */

/* middle_of(path, before, after): "channels/office.yaml" is about "office"; NULL when it is not of
 * that form. */
static char *middle_of(const char *path, const char *before, const char *after)
{
	size_t n = strlen(path), b = strlen(before), a = strlen(after);

	if (n <= b + a || strncmp(path, before, b) != 0 || strcmp(path + n - a, after) != 0)
		return NULL;
	return strndup(path + b, n - b - a);
}

static int channel_note(const char *path, struct buf *ret, struct err *err)
{
	OWNED(freep) char *name = middle_of(path, "channels/", ".yaml");

	return name == NULL ? 0 : buf_printf(ret, err, "%s\n", name);
}

/* people/ID.yaml, but not people/ID.policy.yaml: an id has no dot. */
static int person_note(const struct private_file *f, struct buf *ret, struct err *err)
{
	OWNED(freep) char *id = middle_of(f->path, "people/", ".yaml");
	OWNED(person_clear) struct person p = {.keys = 0};
	int rc;

	if (id == NULL || strchr(id, '.') != NULL)
		return 0;
	rc = person_decode(f->content, f->path, &p, err);
	return rc < 0 ? rc : buf_printf(ret, err, "%s %s\n", p.email, p.account);
}

static int past_limit(struct site *s, const char *id, struct err *err)
{
	return db_run(s->db, err,
		      "DELETE FROM private_past WHERE id = ?1 AND (epoch, generation) <="
		      " (SELECT epoch, generation FROM private_past WHERE id = ?1"
		      " ORDER BY epoch DESC, generation DESC LIMIT 1 OFFSET ?2)",
		      "ti", id, (int64_t)CONFIRM_MOMENTS);
}

int confirm_past_add(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
		     const struct digest *tree, const struct private_file *files, size_t n,
		     struct err *err)
{
	OWNED(buf_clear) struct buf channels = BUF_INIT;
	OWNED(buf_clear) struct buf people = BUF_INIT;
	int rc = buf_text(&channels, "", err);

	if (rc == 0)
		rc = buf_text(&people, "", err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = channel_note(files[i].path, &channels, err);
		if (rc == 0)
			rc = person_note(&files[i], &people, err);
	}
	if (rc == 0)
		rc = db_run(
		    s->db, err,
		    "INSERT OR REPLACE INTO private_past(id, beat, epoch, generation, tree,"
		    " channels, people) VALUES(?1, 1 + ifnull((SELECT value FROM counter WHERE"
		    " name = 'beat'), 0), ?2, ?3, ?4, ?5, ?6)",
		    "tiidtt", id, (int64_t)epoch, (int64_t)generation, tree,
		    (const char *)channels.p, (const char *)people.p);
	return rc < 0 ? rc : past_limit(s, id, err);
}

int confirm_past_prune(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
		       struct err *err)
{
	return db_run(s->db, err,
		      "DELETE FROM private_past WHERE id = ?1 AND (epoch, generation) < (?2, ?3)",
		      "tii", id, (int64_t)epoch, (int64_t)generation - CONFIRM_BEHIND);
}

int confirm_forget(struct site *s, const char *id, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM private_past WHERE id = ?1", "t", id);

	return rc < 0 ? rc : db_run(s->db, err, "DELETE FROM confirmation WHERE id = ?1", "t", id);
}

/* Reading */

void confirm_moment_clear(struct confirm_moment *m)
{
	receipt_clear(&m->holds);
	freep(&m->people);
}

struct walk {
	struct site *s;
	const char *id;
	int (*each)(void *arg, struct confirm_moment *m, struct err *err);
	void *arg;
	unsigned seen;
	struct digest last; /* of what the moment before said */
	/* Of the private generation in hand: */
	struct confirm_moment m; /* owned */
	int64_t begin, end;      /* beats that led to it: from, and up to but not this one */
	int64_t *beat;           /* owned; at which one of its channels changed, descending */
	size_t beats, cap;
};

static void walk_clear(struct walk *w)
{
	confirm_moment_clear(&w->m);
	free(w->beat);
}

static int channel_add(struct walk *w, const char *name, size_t n, struct err *err)
{
	struct receipt *r = &w->m.holds;
	struct receipt_channel *more;

	if (n == 0 || n >= CHANNEL_NAME)
		return err_set(err, RC_STATE, "the registry is damaged: channels of workstation %s",
			       w->id);
	more = reallocarray(r->channel, r->channels + 1, sizeof(*more));
	if (more == NULL)
		return err_memory(err);
	r->channel = more;
	memset(&more[r->channels], 0, sizeof(*more));
	memcpy(more[r->channels].name, name, n);
	memcpy(more[r->channels].result, "current", 8);
	r->channels++;
	return 0;
}

static int private_take(struct walk *w, sqlite3_stmt *st, struct err *err)
{
	struct receipt *r = &w->m.holds;
	int rc = 0;

	confirm_moment_clear(&w->m);
	r->site = w->s->id;
	snprintf(r->workstation, sizeof(r->workstation), "%s", w->id);
	r->private_epoch = (uint64_t)db_i64(st, 1);
	r->private_generation = (uint64_t)db_i64(st, 2);
	if (!db_digest(st, 3, &r->private_tree))
		return err_set(err, RC_STATE, "the registry is damaged: the private channel of %s",
			       w->id);
	for (const char *name = db_text(st, 4), *end; rc == 0 && *name != '\0'; name = end + 1) {
		end = strchr(name, '\n');
		if (end == NULL)
			return err_set(err, RC_STATE,
				       "the registry is damaged: channels of workstation %s",
				       w->id);
		rc = channel_add(w, name, (size_t)(end - name), err);
	}
	if (rc == 0 && (w->m.people = strdup(db_text(st, 5))) == NULL)
		rc = err_memory(err);
	return rc;
}

static int beat_add(struct walk *w, int64_t beat, struct err *err)
{
	if (w->beats == w->cap) {
		size_t cap = w->cap == 0 ? 64 : 2 * w->cap;
		int64_t *more = reallocarray(w->beat, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		w->beat = more;
		w->cap = cap;
	}
	w->beat[w->beats++] = beat;
	return 0;
}

/* changes_add(w, channel, err): no more of one channel than moments are looked at. */
static int changes_add(struct walk *w, const char *channel, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(w->s->db,
		      "SELECT beat FROM generation WHERE channel = ?1 AND beat > ?2 AND beat < ?3"
		      " ORDER BY epoch DESC, generation DESC LIMIT ?4",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "tiii", channel, w->begin, w->end, (int64_t)CONFIRM_MOMENTS);
	while (rc == 0 && (rc = db_step(w->s->db, st, err)) == 1)
		rc = beat_add(w, db_i64(st, 0), err);
	return rc;
}

static int descending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x < y) - (x > y);
}

static int beats_load(struct walk *w, struct err *err)
{
	int rc;

	w->beats = 0;
	for (size_t i = 0; i < w->m.holds.channels; i++) {
		rc = changes_add(w, w->m.holds.channel[i].name, err);
		if (rc < 0)
			return rc;
	}
	if (w->beats > 1)
		qsort(w->beat, w->beats, sizeof(*w->beat), descending);
	return beat_add(w, w->begin, err);
}

/* channel_at(w, c, beat, err): the generation that a beat led to; nothing while there was none. */
static int channel_at(struct walk *w, struct receipt_channel *c, int64_t beat, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(w->s->db,
		      "SELECT epoch, generation, tree FROM generation WHERE channel = ?1"
		      " AND beat <= ?2 ORDER BY epoch DESC, generation DESC LIMIT 1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ti", c->name, beat);
	if (rc == 0)
		rc = db_step(w->s->db, st, err);
	if (rc < 0)
		return rc;
	c->epoch = rc == 1 ? (uint64_t)db_i64(st, 0) : 0;
	c->generation = rc == 1 ? (uint64_t)db_i64(st, 1) : 0;
	c->tree = (struct digest){{0}};
	if (rc == 1 && !db_digest(st, 2, &c->tree))
		return err_set(err, RC_STATE, "the registry is damaged: generations of channel %s",
			       c->name);
	return 0;
}

/* moment_tell(w, err): unless it says what the one before said. */
static int moment_tell(struct walk *w, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct digest d;
	int rc = confirm_statement(&w->m.holds, &text, err);

	if (rc < 0)
		return rc;
	d = digest_of(bytes_in(&text));
	if (w->seen > 0 && digest_equal(&d, &w->last))
		return 0;
	w->last = d;
	w->seen++;
	return w->each(w->arg, &w->m, err);
}

static int beat_walk(struct walk *w, int64_t beat, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->m.holds.channels; i++)
		rc = channel_at(w, &w->m.holds.channel[i], beat, err);
	return rc < 0 ? rc : moment_tell(w, err);
}

/* private_walk(w, st, err): the beats that led to one private generation, from the last one back.
 */
static int private_walk(struct walk *w, sqlite3_stmt *st, struct err *err)
{
	int rc;

	w->begin = db_i64(st, 0);
	if (w->begin >= w->end) /* no beat was made before the next one took its place */
		return 0;
	rc = private_take(w, st, err);
	if (rc == 0)
		rc = beats_load(w, err);
	for (size_t i = 0; rc == 0 && i < w->beats && w->seen < CONFIRM_MOMENTS; i++) {
		if (i == 0 || w->beat[i] != w->beat[i - 1])
			rc = beat_walk(w, w->beat[i], err);
	}
	w->end = w->begin;
	return rc;
}

int confirm_moments(struct site *s, const char *id,
		    int (*each)(void *arg, struct confirm_moment *m, struct err *err), void *arg,
		    struct err *err)
{
	OWNED(walk_clear)
	struct walk w = {.s = s, .id = id, .each = each, .arg = arg, .end = INT64_MAX};
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT beat, epoch, generation, tree, channels, people FROM private_past"
		      " WHERE id = ?1 ORDER BY epoch DESC, generation DESC",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	while (rc == 0 && w.seen < CONFIRM_MOMENTS && (rc = db_step(s->db, st, err)) == 1)
		rc = private_walk(&w, st, err);
	return rc;
}
