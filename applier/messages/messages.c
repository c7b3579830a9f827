/* SPDX-License-Identifier: ISC */
/*
 * Messages, shown and answered.  What became of each is a row here; what the server is told of it
 * is an event, put down in the same transaction.
 */
#include "applier/messages/messages_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "applier/report/event.h"
#include "applier/station/account.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static const char messages_tables[] =
    "CREATE TABLE message (" /* of those that are in the private channel */
    " id TEXT PRIMARY KEY,"
    " read INTEGER NOT NULL DEFAULT 0," /* seconds since 1970; 0: not yet */
    " answered INTEGER NOT NULL DEFAULT 0,"
    " done INTEGER NOT NULL DEFAULT 0)" /* a command; below 0: when it was begun */
    " STRICT, WITHOUT ROWID;";
static const char *const messages_steps[] = {messages_tables};
const struct db_schema station_messages_schema = DB_SCHEMA("messages", messages_steps);

static void reader_fill(const struct private_people *people, struct message_reader *r)
{
	struct account a;

	memset(r, 0, sizeof(*r));
	r->all = geteuid() == 0;
	if (account_caller(&a, ERR_IGNORED) < 0)
		return;
	memcpy(r->account, a.name, sizeof(r->account));
	for (size_t i = 0; i < people->persons; i++)
		if (strcmp(people->person[i].account, a.name) == 0)
			memcpy(r->email, people->person[i].email, sizeof(r->email));
}

int messages_open(struct station *s, struct private_people *ret, struct message_reader *ret_reader,
		  struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	uint64_t generation;
	int rc = private_generation(s, &generation, err);

	memset(ret, 0, sizeof(*ret));
	if (rc == 0 && generation > 0) {
		rc = private_open(s, &t, err);
		if (rc == 0)
			rc = people_read(&t, ret, err);
	}
	if (rc == 0)
		reader_fill(ret, ret_reader);
	return rc;
}

static bool may_see(const struct message *m, const struct message_reader *r)
{
	return r->all || m->user[0] == '\0' || strcmp(m->user, r->email) == 0;
}

static int marks_load(struct station *s, struct message_item *item, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT read, answered, done FROM message WHERE id = ?", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", item->message->id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc == 1) {
		item->read = db_i64(st, 0);
		item->answered = db_i64(st, 1);
		item->done = db_i64(st, 2);
	}
	return rc < 0 ? rc : 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct message *const *x = a, *const *y = b;

	if ((*x)->at != (*y)->at)
		return (*x)->at < (*y)->at ? 1 : -1;
	return strcmp((*y)->id, (*x)->id);
}

int messages_each(struct station *s, const struct private_people *people,
		  const struct message_reader *reader,
		  int (*each)(void *arg, const struct message_item *m, struct err *err), void *arg,
		  struct err *err)
{
	OWNED(freep)
	const struct message **sorted = calloc(people->messages + 1, sizeof(*sorted));
	size_t n = 0;
	int rc = sorted == NULL ? err_memory(err) : 0;

	for (size_t i = 0; rc == 0 && i < people->messages; i++)
		if (may_see(&people->message[i], reader))
			sorted[n++] = &people->message[i];
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), newest_first);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct message_item item = {.message = sorted[i]};

		rc = marks_load(s, &item, err);
		if (rc == 0)
			rc = each(arg, &item, err);
	}
	return rc;
}

int messages_find(const struct private_people *people, const struct message_reader *reader,
		  const char *which, const struct message **ret, struct err *err)
{
	const struct message *found = NULL;
	size_t n = strlen(which);
	char shown[64];

	err_escape(shown, sizeof(shown), which);
	if (n < 4)
		return err_set(err, RC_USAGE, "\"%s\": at least 4 digits of a message's id", shown);
	for (size_t i = 0; i < people->messages; i++) {
		const struct message *m = &people->message[i];

		if (strncmp(m->id, which, n) != 0 || !may_see(m, reader))
			continue;
		if (found != NULL)
			return err_set(err, RC_USAGE, "several messages begin with %s", shown);
		found = m;
	}
	if (found == NULL)
		return err_set(err, RC_USAGE, "there is no message %s; satchel messages lists them",
			       shown);
	*ret = found;
	return 0;
}

enum mark { MARK_READ, MARK_ANSWERED, MARK_DONE };

static int mark_put(struct station *s, const char *id, enum mark mark, int64_t at, struct err *err)
{
	static const char *const sql[] = {
	    [MARK_READ] = "INSERT INTO message (id, read) VALUES (?1, ?2) "
			  "ON CONFLICT (id) DO UPDATE SET read = iif(read = 0, ?2, read)",
	    [MARK_ANSWERED] = "INSERT INTO message (id, answered) VALUES (?1, ?2) "
			      "ON CONFLICT (id) DO UPDATE SET answered = ?2",
	    [MARK_DONE] = "INSERT INTO message (id, done) VALUES (?1, ?2) "
			  "ON CONFLICT (id) DO UPDATE SET done = ?2",
	};

	return db_run(s->db, err, sql[mark], "ti", id, at);
}

/* A mark and what tells the server of it, together or not at all. */
static int event_and_mark(struct station *s, const char *kind, const char *text, const char *id,
			  const char *user, enum mark mark, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = event_of_person(s, kind, text, id, user, err);
	if (rc == 0)
		rc = mark_put(s, id, mark, clock_now(), err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int message_read(struct station *s, const struct message *m, const struct message_reader *reader,
		 struct err *err)
{
	struct message_item item = {.message = m};
	int rc = marks_load(s, &item, err);

	if (rc < 0 || item.read != 0 || (m->user[0] != '\0' && strcmp(m->user, reader->email) != 0))
		return rc;
	rc = event_and_mark(s, "read", "read", m->id, reader->email, MARK_READ, err);
	return rc == RC_AGAIN ? 0 : rc; /* another time */
}

static int text_check(const char *text, char dst[512], struct err *err)
{
	char room[2 * 512];

	err_escape(room, sizeof(room), text);
	if (text[0] == '\0' || strchr(text, '\n') != NULL || strlen(room) > 511)
		return err_set(err, RC_USAGE, "the text must be one line of at most 511 bytes");
	memcpy(dst, room, strlen(room) + 1);
	return 0;
}

int message_answer(struct station *s, const struct message *m, const struct message_reader *reader,
		   const char *text, struct err *err)
{
	char line[512];
	int rc = text_check(text, line, err);

	if (rc == 0 && m->user[0] != '\0' && strcmp(m->user, reader->email) != 0)
		return err_set(err, RC_POLICY, "message %s is for %s to answer", m->id, m->user);
	return rc < 0 ? rc
		      : event_and_mark(s, "answer", line, m->id, reader->email, MARK_ANSWERED, err);
}

int message_report(struct station *s, const struct message_reader *reader, const char *text,
		   struct err *err)
{
	char line[512];
	int rc = text_check(text, line, err);

	return rc < 0 ? rc : event_of_person(s, "report", line, "", reader->email, err);
}

int messages_sweep(struct station *s, const struct private_people *people, struct err *err)
{
	OWNED(strings_clear) struct strings gone = {0};
	int rc;
	{
		OWNED(db_done) sqlite3_stmt *st = NULL;

		rc = db_query(s->db, "SELECT id FROM message", &st, err);
		while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
			bool there = false;

			for (size_t i = 0; i < people->messages && !there; i++)
				there = strcmp(people->message[i].id, db_text(st, 0)) == 0;
			if (!there)
				rc = strings_add(&gone, db_text(st, 0), err);
		}
	}
	for (size_t i = 0; rc == 0 && i < gone.n; i++)
		rc = db_run(s->db, err, "DELETE FROM message WHERE id = ?", "t", gone.items[i]);
	return rc;
}

int messages_unread(struct station *s, const struct private_people *people, size_t *ret,
		    struct err *err)
{
	*ret = 0;
	for (size_t i = 0; i < people->messages; i++) {
		struct message_item item = {.message = &people->message[i]};
		int rc = marks_load(s, &item, err);

		if (rc < 0)
			return rc;
		*ret += item.read == 0 && item.answered == 0 &&
			strcmp(item.message->kind, "command") != 0;
	}
	return 0;
}

/* messages_commands: its parts are in messages_command.c. */
int messages_done(struct station *s, const char *id, const char *kind, const char *text,
		  struct err *err)
{
	return event_and_mark(s, kind, text, id, "", MARK_DONE, err);
}

int messages_begin(struct station *s, const struct message *m, int64_t *ret, struct err *err)
{
	struct message_item item = {.message = m};
	int rc = event_room(s, err);

	if (rc == RC_AGAIN)
		return 0;
	if (rc == 0)
		rc = marks_load(s, &item, err);
	if (rc < 0 || item.done > 0)
		return rc;
	*ret = -item.done;
	if (item.done == 0)
		rc = mark_put(s, m->id, MARK_DONE, -clock_now(), err);
	return rc < 0 ? rc : 1;
}

int messages_forget(struct station *s, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM message", "");
}
