/* SPDX-License-Identifier: ISC */
/*
 * What a workstation was to hold: the private generation that a beat led to, and of
 * each channel in it the generation that the same beat led to.  Generations remember the number of
 * the first beat that named them, so that no clock is asked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/private/private.h"
#include "bundler/private/private_history.h"
#include "bundler/published/published.h"
#include "bundler/registry/registry.h"
#include "core/base/list.h"
#include "core/base/own.h"

/* Writing */

static int channels_line(const struct private_content *c, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "", err);

	for (size_t i = 0; rc == 0 && i < c->channels; i++)
		rc = c->channel[i].generation == 0
			 ? buf_printf(ret, err, "%s\n", c->channel[i].name)
			 : buf_printf(ret, err, "%s %" PRIu64 " %" PRIu64 "\n", c->channel[i].name,
				      c->channel[i].epoch, c->channel[i].generation);
	return rc;
}

static int people_line(const struct private_content *c, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "", err);

	for (size_t i = 0; rc == 0 && i < c->people; i++)
		rc = buf_printf(ret, err, "%s %s\n", c->person[i].email, c->person[i].account);
	return rc;
}

static int past_limit(struct site *s, const char *id, struct err *err)
{
	return db_run(s->db, err,
		      "DELETE FROM private_history WHERE id = ?1 AND (epoch, generation) <="
		      " (SELECT epoch, generation FROM private_history WHERE id = ?1"
		      " ORDER BY epoch DESC, generation DESC LIMIT 1 OFFSET ?2)",
		      "ti", id, (int64_t)PUBLISHED_STATES_MOST);
}

int private_history_add(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
			const struct digest *tree, const struct private_content *content,
			struct err *err)
{
	OWNED(buf_clear) struct buf channels = BUF_INIT;
	OWNED(buf_clear) struct buf people = BUF_INIT;
	uint64_t beat;
	int rc = channels_line(content, &channels, err);

	if (rc == 0)
		rc = people_line(content, &people, err);
	if (rc == 0)
		rc = registry_last(s->db, "beat", &beat, err);
	if (rc == 0)
		rc = db_run(
		    s->db, err,
		    "INSERT OR REPLACE INTO private_history(id, beat, epoch, generation, tree,"
		    " channels, people) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		    "tiiidtt", id, (int64_t)beat + 1, (int64_t)epoch, (int64_t)generation, tree,
		    (const char *)channels.p, (const char *)people.p);
	return rc < 0 ? rc : past_limit(s, id, err);
}

int private_confirmed(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
		      struct err *err)
{
	return db_run(
	    db, err, "DELETE FROM private_history WHERE id = ?1 AND (epoch, generation) < (?2, ?3)",
	    "tii", id, (int64_t)epoch, (int64_t)generation - HISTORY_BEHIND);
}

/* Reading */

/* What a channel was offered offer of all; generation 0: nothing. */
struct applied_at {
	uint64_t epoch, generation;
};

struct history_walk {
	struct site *s;
	const char *id;
	int (*each)(void *arg, struct receipt *holds, struct err *err);
	void *arg;
	unsigned seen;
	struct digest last; /* of what the state before this one said */
	/* Of the private generation in hand: */
	struct receipt holds; /* owned; its lists have room for: */
	size_t channel_cap, user_cap;
	int64_t begin, end;            /* beats that led to it: from, and up to but not this one */
	LIST(struct applied_at) offer; /* owned; parallel to the channels of ${holds} */
	LIST(int64_t) beat;            /* owned; at which one of its channels changed, descending */
};

static void walk_clear(struct history_walk *w)
{
	receipt_clear(&w->holds);
	list_clear(&w->beat);
	list_clear(&w->offer);
}

static int row_damaged(const struct history_walk *w, struct err *err)
{
	return err_set(err, RC_STATE, "the registry is damaged: the private channel of %s", w->id);
}

/* A line of the row: the name of a channel; of one that was offered offer of all also its epoch and
 * its generation. */
static int channel_add(void *arg, const char *line, size_t n, struct err *err)
{
	struct history_walk *w = arg;
	struct receipt *r = &w->holds;
	struct applied_at offer = {0, 0};
	const char *space = memchr(line, ' ', n);
	int rc;

	if (space != NULL &&
	    sscanf(space, " %" SCNu64 " %" SCNu64 "\n", &offer.epoch, &offer.generation) != 2)
		return row_damaged(w, err);
	n = space != NULL ? (size_t)(space - line) : n;
	if (n == 0 || n >= CHANNEL_NAME)
		return row_damaged(w, err);
	rc = list_push(&w->offer, offer, err);
	if (rc == 0)
		rc = items_reserve(r->channel, r->channels, w->channel_cap, 1, err);
	if (rc < 0)
		return rc;
	memcpy(r->channel[r->channels].name, line, n);
	memcpy(r->channel[r->channels++].result, "current", 8);
	return 0;
}

/* A line of the row: e-mail address and account of a user.  A code is shown only when every user
 * has what is theirs. */
static int user_add(void *arg, const char *line, size_t n, struct err *err)
{
	struct history_walk *w = arg;
	struct receipt *r = &w->holds;
	const char *space = memchr(line, ' ', n);
	size_t email = space == NULL ? 0 : (size_t)(space - line), account = n - email - 1;
	int rc;

	if (space == NULL || email >= EMAIL_NAME || account >= ACCOUNT_NAME)
		return row_damaged(w, err);
	rc = items_reserve(r->user, r->users, w->user_cap, 1, err);
	if (rc < 0)
		return rc;
	memcpy(r->user[r->users].email, line, email);
	memcpy(r->user[r->users].account, space + 1, account);
	memcpy(r->user[r->users++].result, "handed-out", 11);
	return 0;
}

static int lines_each(struct history_walk *w, const char *text,
		      int (*each)(void *arg, const char *line, size_t n, struct err *err),
		      struct err *err)
{
	int rc = 0;

	for (const char *end; rc == 0 && *text != '\0'; text = end + 1) {
		end = strchr(text, '\n');
		if (end == NULL)
			return row_damaged(w, err);
		rc = each(w, text, (size_t)(end - text), err);
	}
	return rc;
}

static int private_take(struct history_walk *w, sqlite3_stmt *st, struct err *err)
{
	struct receipt *r = &w->holds;
	int rc;

	receipt_clear(&w->holds);
	w->channel_cap = w->user_cap = 0;
	w->offer.n = 0;
	r->site = w->s->id;
	snprintf(r->workstation, sizeof(r->workstation), "%s", w->id);
	r->private_epoch = (uint64_t)db_i64(st, 1);
	r->private_generation = (uint64_t)db_i64(st, 2);
	if (!db_digest(st, 3, &r->private_tree))
		return row_damaged(w, err);
	rc = lines_each(w, db_text(st, 4), channel_add, err);
	return rc < 0 ? rc : lines_each(w, db_text(st, 5), user_add, err);
}

static int beat_add(void *arg, uint64_t beat, struct err *err)
{
	struct history_walk *w = arg;

	return list_push(&w->beat, (int64_t)beat, err);
}

/* changes_add(w, channel, err): no more of one channel than states are handed on. */
static int changes_add(struct history_walk *w, const char *channel, struct err *err)
{
	return published_beats(w->s->db, channel, (uint64_t)w->begin, (uint64_t)w->end,
			       PUBLISHED_STATES_MOST, beat_add, w, err);
}

static int descending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x < y) - (x > y);
}

static int beats_load(struct history_walk *w, struct err *err)
{
	int rc;

	w->beat.n = 0;
	for (size_t i = 0; i < w->holds.channels; i++) {
		rc = changes_add(w, w->holds.channel[i].name, err);
		if (rc < 0)
			return rc;
	}
	list_sort(&w->beat, descending);
	return beat_add(w, (uint64_t)w->begin, err);
}

/* channel_at(w, c, beat, err): the generation that a beat led to; nothing while there was none. */
static int channel_at(struct history_walk *w, struct receipt_channel *c, int64_t beat,
		      struct err *err)
{
	const struct applied_at *offer = &w->offer.items[c - w->holds.channel];
	struct published_generation g = {.generation = 0};
	struct published_tree tree;
	int rc = published_at_beat(w->s->db, c->name, (uint64_t)beat, &g, err);

	if (rc >= 0 && (offer->epoch > g.epoch ||
			(offer->epoch == g.epoch && offer->generation > g.generation))) {
		rc = published_tree(w->s->db, c->name, offer->epoch, offer->generation, &tree, err);
		if (rc > 0) {
			g.epoch = offer->epoch;
			g.generation = offer->generation;
			g.tree = tree.tree;
		}
	}
	if (rc < 0)
		return rc;
	c->epoch = g.epoch;
	c->generation = g.generation;
	c->tree = g.tree;
	return 0;
}

/* state_tell(w, err): unless it says what the one before said. */
static int state_tell(struct history_walk *w, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct digest d;
	int rc;

	w->holds.sequence = 0; /* whatever ${each} wrote there */
	rc = confirm_statement(&w->holds, &text, err);

	if (rc < 0)
		return rc;
	d = digest_of(bytes_in(&text));
	if (w->seen > 0 && digest_equal(&d, &w->last))
		return 0;
	w->last = d;
	w->seen++;
	return w->each(w->arg, &w->holds, err);
}

static int beat_walk(struct history_walk *w, int64_t beat, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->holds.channels; i++)
		rc = channel_at(w, &w->holds.channel[i], beat, err);
	return rc < 0 ? rc : state_tell(w, err);
}

/* private_walk(w, st, err): the beats that led to one private generation, from the last one back.
 */
static int private_walk(struct history_walk *w, sqlite3_stmt *st, struct err *err)
{
	int rc;

	w->begin = db_i64(st, 0);
	if (w->begin >= w->end) /* no beat was made before the next one took its place */
		return 0;
	rc = private_take(w, st, err);
	if (rc == 0)
		rc = beats_load(w, err);
	for (size_t i = 0; rc == 0 && i < w->beat.n && w->seen < PUBLISHED_STATES_MOST; i++) {
		if (i == 0 || w->beat.items[i] != w->beat.items[i - 1])
			rc = beat_walk(w, w->beat.items[i], err);
	}
	w->end = w->begin;
	return rc;
}

int published_states(struct site *s, const char *id,
		     int (*each)(void *arg, struct receipt *holds, struct err *err), void *arg,
		     struct err *err)
{
	OWNED(walk_clear)
	struct history_walk w = {.s = s, .id = id, .each = each, .arg = arg, .end = INT64_MAX};
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT beat, epoch, generation, tree, channels, people FROM private_history"
		      " WHERE id = ?1 ORDER BY epoch DESC, generation DESC",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	while (rc == 0 && w.seen < PUBLISHED_STATES_MOST && (rc = db_step(s->db, st, err)) == 1)
		rc = private_walk(&w, st, err);
	return rc;
}
