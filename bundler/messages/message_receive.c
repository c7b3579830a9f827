/* SPDX-License-Identifier: ISC */
/*
 * What workstations say about messages: events of their receipts, which their keys have signed.  A
 * workstation speaks about what it got, and a user about what was for them.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/messages/message.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* The copy that an event is about. */
struct received_copy {
	char message[MESSAGE_ID + 1]; /* "" when the event is about none */
	char email[EMAIL_NAME];
};

/* user_there(s, id, email, err): 1 when the event may be by this user. */
static int user_there(struct site *s, const char *id, const char *email, struct err *err)
{
	int64_t one;

	if (email[0] == '\0')
		return 1;
	return db_int(s->db, err, &one, "SELECT 1 FROM activation_any WHERE id = ?1 AND email = ?2",
		      "tt", id, email);
}

static int copy_find(struct site *s, const char *id, const char *about, struct received_copy *ret,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(
	    s->db, "SELECT message, email FROM message_to WHERE id = ?1 AND copy = ?2", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tt", id, about);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	snprintf(ret->message, sizeof(ret->message), "%s", db_text(st, 0));
	snprintf(ret->email, sizeof(ret->email), "%s", db_text(st, 1));
	return 1;
}

/* copy_check(...): RC_ADDRESSEE when the event is not for who says it to say. */
static int copy_check(struct site *s, const char *id, const struct receipt_event *e,
		      struct received_copy *ret, struct err *err)
{
	int rc;

	if (e->about[0] != '\0') {
		rc = copy_find(s, id, e->about, ret, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return err_set(err, RC_ADDRESSEE,
				       "says \"%s\" about message %s, which it never got", e->kind,
				       e->about);
	}
	if (ret->email[0] != '\0' && strcmp(ret->email, e->user) != 0)
		return err_set(err, RC_ADDRESSEE,
			       "says \"%s\" about message %s for somebody whom it was not for",
			       e->kind, e->about);
	rc = user_there(s, id, e->user, err);
	return rc != 0 ? rc
		       : err_set(err, RC_ADDRESSEE,
				 "says \"%s\" for a user who was never active there", e->kind);
}

static int copy_read(struct site *s, const char *id, const char *about, struct err *err)
{
	return db_run(s->db, err,
		      "UPDATE message_to SET read = ?3 WHERE id = ?1 AND copy = ?2 AND read = 0",
		      "tti", id, about, clock_now());
}

static int copy_answered(struct site *s, const char *id, const struct receipt_event *e,
			 struct err *err)
{
	int rc = copy_read(s, id, e->about, err);

	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "UPDATE message_to SET answered = ?3, answer_kind = ?4, answer = ?5"
			       " WHERE id = ?1 AND copy = ?2",
			       "ttitt", id, e->about, clock_now(), e->kind, e->text);
}

/* incoming_put(...): the oldest of this workstation give way. */
static int incoming_put(struct site *s, const char *id, const struct receipt_event *e,
			const struct received_copy *c, struct err *err)
{
	int rc;

	rc = db_run(s->db, err,
		    "INSERT INTO message_in(id, event, at, recorded, kind, about, email, text)"
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		    "tiiitttt", id, (int64_t)e->number, e->at, clock_now(), e->kind, c->message,
		    e->user, e->text);
	return rc < 0
		   ? rc
		   : db_run(s->db, err,
			    "DELETE FROM message_in WHERE number IN (SELECT number FROM message_in"
			    " WHERE id = ?1 ORDER BY number DESC LIMIT -1 OFFSET ?2)",
			    "ti", id, (int64_t)MESSAGES_IN_KEPT);
}

int message_receive(struct site *s, const char *id, const struct receipt_event *e, struct err *err)
{
	bool read = strcmp(e->kind, "read") == 0, report = strcmp(e->kind, "report") == 0;
	bool answer = strcmp(e->kind, "answer") == 0 || strcmp(e->kind, "refusal") == 0;
	struct received_copy c = {.message = ""};
	int rc;

	if (!report && !(e->about[0] != '\0' && (read || answer)))
		return 0;
	rc = copy_check(s, id, e, &c, err);
	if (rc < 0)
		return rc;
	if (read)
		rc = copy_read(s, id, e->about, err);
	else if (e->about[0] != '\0')
		rc = copy_answered(s, id, e, err);
	else
		rc = 0;
	if (rc == 0 && !read)
		rc = incoming_put(s, id, e, &c, err);
	return rc < 0 ? rc : !read;
}
