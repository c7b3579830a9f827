/* SPDX-License-Identifier: ISC */
/*
 * Messages and private channels: which copies are in them, and when they leave.  A copy that has
 * left never comes back, so that what a private channel holds changes only when something happened.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/messages/message.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define DAY_SECONDS 86400

/* Copies on their way to a workstation: a user who is not active there gets nothing there, until
 * they are again. */
#define CARRIED_FROM                                                                           \
	" FROM message_to t JOIN message m ON m.id = t.message WHERE t.id = ?1 AND t.gone = 0" \
	" AND (t.email = '' OR EXISTS (SELECT 1 FROM activation_active a WHERE a.id = t.id"    \
	" AND a.email = t.email)) ORDER BY m.at DESC, t.copy LIMIT ?2"

/* tell_each(...): the workstation of every copy that ${sql} selects, for ${bound}. */
static int tell_each(struct site *s, const char *sql, int64_t now,
		     int (*each)(void *arg, const char *id, struct err *err), void *arg,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", now);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = each(arg, db_text(st, 0), err);
	return rc;
}

/* Expired or withdrawn: all of its copies. */
static int ended_sweep(struct site *s, int (*each)(void *arg, const char *id, struct err *err),
		       void *arg, struct err *err)
{
	int64_t now = clock_now();
	int rc;

	rc = tell_each(s,
		       "SELECT t.id FROM message m JOIN message_to t ON t.message = m.id"
		       " WHERE m.ended = 0 AND (m.expires <= ?1 OR m.withdrawn > 0) AND t.gone = 0",
		       now, each, arg, err);
	if (rc == 0)
		rc =
		    db_run(s->db, err,
			   "UPDATE message_to SET gone = 1 WHERE gone = 0 AND message IN (SELECT id"
			   " FROM message WHERE ended = 0 AND (expires <= ?1 OR withdrawn > 0))",
			   "i", now);
	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "UPDATE message SET ended = 1 WHERE ended = 0"
			       " AND (expires <= ?1 OR withdrawn > 0)",
			       "i", now);
}

/* Read, or answered, which is reading as well. */
static int read_sweep(struct site *s, int (*each)(void *arg, const char *id, struct err *err),
		      void *arg, struct err *err)
{
	int64_t until = clock_now() - MESSAGE_DAYS_READ * (int64_t)DAY_SECONDS;
	int rc;

	rc = tell_each(s, "SELECT id FROM message_to WHERE gone = 0 AND read > 0 AND read <= ?1",
		       until, each, arg, err);
	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "UPDATE message_to SET gone = 1 WHERE gone = 0 AND read > 0"
			       " AND read <= ?1",
			       "i", until);
}

int message_sweep(struct site *s, int (*each)(void *arg, const char *id, struct err *err),
		  void *arg, struct err *err)
{
	int rc = ended_sweep(s, each, arg, err);

	return rc < 0 ? rc : read_sweep(s, each, arg, err);
}

static int message_take(sqlite3_stmt *st, struct message *ret, struct err *err)
{
	const char *text = db_text(st, 5);

	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->user, sizeof(ret->user), "%s", db_text(st, 1));
	ret->at = db_i64(st, 2);
	snprintf(ret->kind, sizeof(ret->kind), "%s", db_text(st, 3));
	snprintf(ret->subject, sizeof(ret->subject), "%s", db_text(st, 4));
	snprintf(ret->command, sizeof(ret->command), "%s", db_text(st, 6));
	snprintf(ret->argument, sizeof(ret->argument), "%s", db_text(st, 7));
	snprintf(ret->activation, sizeof(ret->activation), "%s", db_text(st, 8));
	if (text[0] == '\0')
		return 0;
	ret->text = strdup(text);
	return ret->text == NULL ? err_memory(err) : 0;
}

int message_each(struct site *s, const char *id,
		 int (*each)(void *arg, const struct message *m, struct err *err), void *arg,
		 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT * FROM (SELECT t.copy, t.email, m.at, m.kind, m.subject, m.text,"
		      " m.command, m.argument, m.activation" CARRIED_FROM ") ORDER BY 1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ti", id, (int64_t)MESSAGES_CARRIED);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		OWNED(message_clear) struct message m = {.text = NULL};

		rc = message_take(st, &m, err);
		if (rc == 0)
			rc = each(arg, &m, err);
	}
	return rc;
}

int message_carried(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
		    struct err *err)
{
	return db_run(s->db, err,
		      "UPDATE message_to SET epoch = ?3, generation = ?4"
		      " WHERE id = ?1 AND gone = 0 AND generation = 0 AND copy IN"
		      " (SELECT t.copy" CARRIED_FROM ")",
		      "tiii", id, (int64_t)MESSAGES_CARRIED, (int64_t)epoch, (int64_t)generation);
}
