/* SPDX-License-Identifier: ISC */
/*
 * The list of messages: what was sent and what was said back, merged by time.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/messages/message.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define PREFIX_MIN 4

/* A copy is delivered when the workstation confirmed a private generation that has it. */
#define DELIVERED                                                                               \
	"t.generation > 0 AND (ifnull(r.private_epoch, 0), ifnull(r.private_generation, 0)) >=" \
	" (t.epoch, t.generation)"

static const char sent_sql[] =
    "SELECT m.id, m.at, m.kind, m.subject, m.text, m.command, m.argument, m.addressed, m.expires,"
    " m.withdrawn FROM message m WHERE ?1 IS NULL OR (m.id >= ?1 AND m.id < ?1 || 'g')"
    " ORDER BY m.at DESC, m.id";
static const char received_sql[] =
    "SELECT i.number, i.recorded, i.kind, i.text, ifnull(w.name, i.id), i.email, i.about, i.at,"
    " i.read FROM message_in i LEFT JOIN workstation_known w ON w.id = i.id"
    " WHERE ?1 IS NULL OR i.number = ?1 ORDER BY i.number DESC";
static const char counts_sql[] =
    "SELECT count(*), ifnull(sum(" DELIVERED "), 0), ifnull(sum(t.read > 0), 0),"
    " ifnull(sum(t.answered > 0), 0) FROM message_to t LEFT JOIN receipt_newest r ON r.id = t.id"
    " WHERE t.message = ?1";
static const char copies_sql[] =
    "SELECT ifnull(w.name, t.id), t.email, t.generation > 0, " DELIVERED ", t.read, t.answered,"
    " t.answer_kind, t.answer FROM message_to t LEFT JOIN workstation_known w ON w.id = t.id"
    " LEFT JOIN receipt_newest r ON r.id = t.id WHERE t.message = ?1 ORDER BY 1, 2 LIMIT ?2";

struct message_listing {
	struct site *s;
	sqlite3_stmt *sent, *received; /* owned; a row of each in hand */
	bool sent_more, received_more;
	struct message_row row; /* scratch */
};

static void message_listing_clear(struct message_listing *l)
{
	db_done(&l->sent);
	db_done(&l->received);
}

static int next(struct message_listing *l, sqlite3_stmt *st, bool *ret_more, struct err *err)
{
	int rc = db_step(l->s->db, st, err);

	*ret_more = rc == 1;
	return rc < 0 ? rc : 0;
}

static int counts_read(struct message_listing *l, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(l->s->db, counts_sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", l->row.id);
	if (rc == 0)
		rc = db_step(l->s->db, st, err);
	if (rc <= 0)
		return rc;
	l->row.to = (uint64_t)db_i64(st, 0);
	l->row.delivered = (uint64_t)db_i64(st, 1);
	l->row.read = (uint64_t)db_i64(st, 2);
	l->row.answered = (uint64_t)db_i64(st, 3);
	return 0;
}

static int sent_read(struct message_listing *l, struct err *err)
{
	struct message_row *m = &l->row;
	sqlite3_stmt *st = l->sent;

	*m = (struct message_row){.at = db_i64(st, 1), .text = db_text(st, 4)};
	snprintf(m->id, sizeof(m->id), "%s", db_text(st, 0));
	snprintf(m->kind, sizeof(m->kind), "%s", db_text(st, 2));
	snprintf(m->subject, sizeof(m->subject), "%s", db_text(st, 3));
	snprintf(m->command, sizeof(m->command), "%s", db_text(st, 5));
	snprintf(m->argument, sizeof(m->argument), "%s", db_text(st, 6));
	snprintf(m->who, sizeof(m->who), "%s", db_text(st, 7));
	m->expires = db_i64(st, 8);
	m->withdrawn = db_i64(st, 9);
	return counts_read(l, err);
}

static void received_read(struct message_listing *l)
{
	struct message_row *m = &l->row;
	sqlite3_stmt *st = l->received;

	*m = (struct message_row){.incoming = true, .at = db_i64(st, 1), .text = ""};
	snprintf(m->id, sizeof(m->id), "r%lld", (long long)db_i64(st, 0));
	snprintf(m->kind, sizeof(m->kind), "%s", db_text(st, 2));
	snprintf(m->subject, sizeof(m->subject), "%s", db_text(st, 3));
	snprintf(m->who, sizeof(m->who), "%s", db_text(st, 4));
	snprintf(m->email, sizeof(m->email), "%s", db_text(st, 5));
	snprintf(m->about, sizeof(m->about), "%s", db_text(st, 6));
	m->said = db_i64(st, 7);
	m->seen = db_i64(st, 8);
}

/* row_take(l, err): the newer one of the two in hand; 1, or 0 at the end of both. */
static int row_take(struct message_listing *l, struct err *err)
{
	if (l->sent_more && (!l->received_more || db_i64(l->sent, 1) > db_i64(l->received, 1))) {
		int rc = sent_read(l, err);

		return rc < 0 ? rc : 1;
	}
	if (!l->received_more)
		return 0;
	received_read(l);
	return 1;
}

static int row_step(struct message_listing *l, struct err *err)
{
	return l->row.incoming ? next(l, l->received, &l->received_more, err)
			       : next(l, l->sent, &l->sent_more, err);
}

static int listing_open(struct message_listing *l, const char *sent, int64_t received,
			struct err *err)
{
	int rc = db_query(l->s->db, sent_sql, &l->sent, err);

	if (rc == 0)
		rc = db_bind(l->sent, err, "t", sent);
	if (rc == 0)
		rc = db_query(l->s->db, received_sql, &l->received, err);
	if (rc == 0)
		rc = received < 0 ? db_bind(l->received, err, "n")
				  : db_bind(l->received, err, "i", received);
	if (rc == 0)
		rc = next(l, l->sent, &l->sent_more, err);
	return rc < 0 ? rc : next(l, l->received, &l->received_more, err);
}

/* which_parse(...): a beginning of an id goes into ${*sent}, a number into ${*received}. */
static int which_parse(const char *which, const char **sent, int64_t *received, struct err *err)
{
	size_t n = strlen(which);
	uint64_t number;

	if (which[0] == 'r' &&
	    number_u64(which + 1, n - 1, LIMIT_NUMBER, &number, ERR_IGNORED) == 0) {
		*received = (int64_t)number;
		*sent = "x"; /* no id begins so */
		return 0;
	}
	if (n < PREFIX_MIN || n > MESSAGE_ID || strspn(which, "0123456789abcdef") != n)
		return err_set(err, RC_USAGE,
			       "\"%s\" is not the id of a message: satchel messages shows "
			       "them",
			       which);
	*sent = which;
	*received = 0; /* no number is so small */
	return 0;
}

/* one_check(l, which, err): exactly one row is in hand, and none behind it. */
static int one_check(struct message_listing *l, const char *which, struct err *err)
{
	bool more = false;
	int rc = 0;

	if (!l->sent_more && !l->received_more)
		return err_set(err, RC_USAGE, "there is no message %s: satchel messages shows them",
			       which);
	if (l->sent_more)
		rc = next(l, l->sent, &more, err);
	if (rc == 0 && more)
		rc = err_set(err, RC_USAGE,
			     "more than one message begins with %s: give more digits", which);
	return rc;
}

int message_list(struct site *s, const char *which, unsigned max,
		 int (*each)(void *arg, const struct message_row *row, struct err *err), void *arg,
		 struct err *err)
{
	OWNED(message_listing_clear) struct message_listing l = {.s = s};
	const char *sent = NULL;
	int64_t received = -1;
	int rc = 0;

	if (which != NULL)
		rc = which_parse(which, &sent, &received, err);
	if (rc == 0)
		rc = listing_open(&l, sent, received, err);
	if (rc == 0 && which != NULL) {
		rc = one_check(&l, which, err);
		message_listing_clear(&l); /* the check has stepped: from the beginning */
		if (rc == 0)
			rc = listing_open(&l, sent, received, err);
	}
	for (unsigned i = 0; rc == 0 && i < max; i++) {
		rc = row_take(&l, err);
		if (rc != 1)
			return rc;
		rc = each(arg, &l.row, err);
		if (rc == 0)
			rc = row_step(&l, err);
	}
	return rc;
}

int message_seen(struct site *s, const char *id, struct err *err)
{
	uint64_t number;

	if (id[0] != 'r' ||
	    number_u64(id + 1, strlen(id + 1), LIMIT_NUMBER, &number, ERR_IGNORED) < 0)
		return 0;
	return db_run(s->db, err, "UPDATE message_in SET read = ?1 WHERE number = ?2 AND read = 0",
		      "ii", clock_now(), (int64_t)number);
}

int message_copies(struct site *s, const char *id, unsigned max,
		   int (*each)(void *arg, const struct message_copy *copy, struct err *err),
		   void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, copies_sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", id, (int64_t)max);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct message_copy c = {.published = db_i64(st, 2) != 0,
					 .delivered = db_i64(st, 3) != 0,
					 .read = db_i64(st, 4),
					 .answered = db_i64(st, 5),
					 .answer = db_text(st, 7)};

		snprintf(c.workstation, sizeof(c.workstation), "%s", db_text(st, 0));
		snprintf(c.email, sizeof(c.email), "%s", db_text(st, 1));
		snprintf(c.answer_kind, sizeof(c.answer_kind), "%s", db_text(st, 6));
		rc = each(arg, &c, err);
	}
	return rc;
}
