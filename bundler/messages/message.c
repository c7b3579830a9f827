/* SPDX-License-Identifier: ISC */
/*
 * Sending messages and taking them back.  Whom a message is for is decided when it is sent: each
 * addressee gets a row, so what becomes of it can be followed for each.
 */
#include "bundler/messages/message.h"

#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static const char message_tables[] =
    /* addressed: as it was typed: a workstation, an e-mail address, group:NAME, all; withdrawn:
     * when, or 0; ended: expired or withdrawn, and its copies know */
    "CREATE TABLE message(id TEXT PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,"
    " subject TEXT NOT NULL, text TEXT NOT NULL, command TEXT NOT NULL, argument TEXT NOT NULL,"
    " activation TEXT NOT NULL, addressed TEXT NOT NULL, expires INTEGER NOT NULL,"
    " withdrawn INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX message_at ON message(at);"
    /* email: '' for the workstation; copy: the id that the message has there, for two users of one
     * workstation get a copy each; epoch, generation: the private generation that carried it
     * first, 0 before; read, answered: when, or 0; gone: it is to be in no private channel any
     * more */
    "CREATE TABLE message_to(message TEXT NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL,"
    " copy TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 0, generation INTEGER NOT NULL DEFAULT 0,"
    " read INTEGER NOT NULL DEFAULT 0, answered INTEGER NOT NULL DEFAULT 0,"
    " answer_kind TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '',"
    " gone INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(message, id, email)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX message_to_id ON message_to(id, copy);"
    "CREATE INDEX message_to_there ON message_to(id, copy) WHERE gone = 0;"
    "CREATE INDEX message_to_read ON message_to(read) WHERE gone = 0 AND read > 0;"
    "CREATE TABLE message_in(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,"
    " event INTEGER NOT NULL, at INTEGER NOT NULL, recorded INTEGER NOT NULL, kind TEXT NOT NULL,"
    " about TEXT NOT NULL, email TEXT NOT NULL, text TEXT NOT NULL,"
    " read INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX message_in_id ON message_in(id, number);";
static const char *const message_steps[] = {message_tables};
static const char message_views[] =
    /* message_waiting: copies that are to be in a private channel */
    "CREATE VIEW message_waiting AS SELECT id, copy FROM message_to WHERE gone = 0;";
const struct db_schema message_schema = DB_SCHEMA_VIEWS("messages", message_steps, message_views);

static const char *const forget_workstation[] = {
    "DELETE FROM message_to WHERE id = ?1",
    "DELETE FROM message_in WHERE id = ?1",
    NULL,
};
const struct forget_sql message_forget = {forget_workstation, NULL};

#define DAY_SECONDS 86400
#define PREFIX_MIN  4

/* One message on its way into the registry. */
struct sending {
	struct site *s;
	const char *who;
	struct message m; /* text is borrowed */
	int64_t expires;
	uint64_t to; /* copies made */
};

/* text_check(m, err): by the rules that the document will be read by. */
static int text_check(const struct message *m, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err why = {0};

	if (message_encode(m, &text, &why) == 0)
		return 0;
	return err_set(err, why.rc == RC_MEMORY ? why.rc : RC_USAGE,
		       "a message cannot say that: %s", why.text);
}

/* copy_id(dst, message, email): two users of one workstation get documents of their own. */
static void copy_id(char dst[MESSAGE_ID + 1], const char *message, const char *email)
{
	static const char start[] = "satchel message copy 1\n";
	struct digest_stream s;
	struct digest d;

	if (email[0] == '\0') {
		memcpy(dst, message, MESSAGE_ID + 1);
		return;
	}
	digest_start(&s);
	digest_more(&s, start, sizeof(start) - 1);
	digest_more(&s, message, strlen(message));
	digest_more(&s, email, strlen(email));
	d = digest_end(&s);
	hex_encode(dst, d.b, MESSAGE_ID / 2);
}

static int message_row_put(struct sending *g, struct err *err)
{
	const struct message *m = &g->m;
	uint8_t id[MESSAGE_ID / 2];

	randombytes_buf(id, sizeof(id));
	hex_encode(g->m.id, id, sizeof(id));
	return db_run(
	    g->s->db, err,
	    "INSERT INTO message(id, at, kind, subject, text, command, argument, activation,"
	    " addressed, expires) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	    "titttttt"
	    "ti",
	    m->id, m->at, m->kind, m->subject, m->text == NULL ? "" : m->text, m->command,
	    m->argument, m->activation, g->who, g->expires);
}

static void copies_count(struct sending *g)
{
	g->to += (uint64_t)sqlite3_changes(db_handle(g->s->db));
}

/* workstation_add(g, name, err): ${name} NULL: every one. */
static int workstation_add(struct sending *g, const char *name, struct err *err)
{
	int rc = db_run(g->s->db, err,
			"INSERT INTO message_to(message, id, email, copy) SELECT ?1, id, '', ?1"
			" FROM workstation_member WHERE leaving = 0 AND (?2 IS NULL OR name = ?2)",
			"tt", g->m.id, name);

	copies_count(g);
	return rc;
}

/* user_add(g, email, err): a command goes to the workstation itself, once. */
static int user_add(struct sending *g, const char *email, struct err *err)
{
	char copy[MESSAGE_ID + 1];
	int rc;

	if (g->m.command[0] != '\0') {
		rc = db_run(
		    g->s->db, err,
		    "INSERT OR IGNORE INTO message_to(message, id, email, copy)"
		    " SELECT ?1, a.id, '', ?1 FROM activation_active a JOIN workstation_member w"
		    " ON w.id = a.id AND w.leaving = 0 WHERE a.email = ?2",
		    "tt", g->m.id, email);
	} else {
		copy_id(copy, g->m.id, email);
		rc = db_run(g->s->db, err,
			    "INSERT INTO message_to(message, id, email, copy)"
			    " SELECT ?1, a.id, a.email, ?3 FROM activation_active a JOIN "
			    "workstation_member w"
			    " ON w.id = a.id AND w.leaving = 0 WHERE a.email = ?2",
			    "ttt", g->m.id, email, copy);
	}
	copies_count(g);
	return rc;
}

/* in_group(p, u, name): is the group one of theirs, or above it? */
static bool in_group(const struct people *p, const struct site_user *u, const char *name)
{
	const struct site_group *group[PEOPLE_DEPTH];
	size_t n = people_groups(p, u, group);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(group[i]->name, name) == 0)
			return true;
	}
	return false;
}

static int group_add(struct sending *g, const char *name, struct err *err)
{
	OWNED(people_freep) struct people *p = NULL;
	int rc;

	if (site_group(g->s, name) == NULL)
		return err_set(err, RC_USAGE, "there is no group %s: satchel group list shows them",
			       name);
	rc = people_new(g->s, &p, err);
	for (size_t i = 0; rc == 0 && i < g->s->users; i++) {
		if (in_group(p, &g->s->user[i], name))
			rc = user_add(g, g->s->user[i].email, err);
	}
	return rc;
}

static int everybody_add(struct sending *g, struct err *err)
{
	const char *who = g->who;
	int rc;

	if (strcmp(who, "all") == 0)
		rc = workstation_add(g, NULL, err);
	else if (strncmp(who, "group:", 6) == 0)
		rc = group_add(g, who + 6, err);
	else if (strchr(who, '@') == NULL)
		rc = workstation_add(g, who, err);
	else if (site_user(g->s, who) == NULL)
		rc = err_set(err, RC_USAGE, "there is no user %s: satchel user list shows them",
			     who);
	else
		rc = user_add(g, who, err);
	if (rc < 0 || g->to > 0)
		return rc;
	if (strchr(who, '@') == NULL && strncmp(who, "group:", 6) != 0 && strcmp(who, "all") != 0)
		return err_set(err, RC_USAGE,
			       "no workstation called %s is enrolled: satchel workstation list "
			       "shows them",
			       who);
	return err_set(err, RC_USAGE, "nobody would get it: %s is active on no workstation", who);
}

/* sending_run(g, err): all of it or nothing. */
static int sending_run(struct sending *g, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, g->s->db, err);

	if (rc == 0)
		rc = message_row_put(g, err);
	if (rc == 0)
		rc = everybody_add(g, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

static int field_take(char *dst, size_t size, const char *from, const char *what, struct err *err)
{
	if (strlen(from) >= size)
		return err_set(err, RC_USAGE, "%s has at most %zu bytes", what, size - 1);
	snprintf(dst, size, "%s", from);
	return 0;
}

int message_send(struct site *s, const struct message_draft *draft, char ret_id[MESSAGE_ID + 1],
		 uint64_t *ret_to, struct err *err)
{
	struct sending g = {.s = s, .who = draft->who};
	struct message *m = &g.m;
	OWNED(freep) char *text = draft->text == NULL ? NULL : strdup(draft->text);
	int rc;

	if (draft->text != NULL && text == NULL)
		return err_memory(err);
	if (draft->days == 0 || draft->days > MESSAGE_DAYS_MAX)
		return err_set(err, RC_USAGE, "a message is good for 1 to %d days",
			       MESSAGE_DAYS_MAX);
	m->at = clock_now();
	m->text = text;
	g.expires = m->at + (int64_t)draft->days * DAY_SECONDS;
	snprintf(m->id, sizeof(m->id), "%016d", 0);
	snprintf(m->kind, sizeof(m->kind), draft->command == NULL ? "notice" : "command");
	rc = field_take(m->subject, sizeof(m->subject), draft->subject, "a subject", err);
	if (rc == 0 && draft->command != NULL)
		rc = field_take(m->command, sizeof(m->command), draft->command, "a command", err);
	if (rc == 0 && draft->argument != NULL)
		rc = field_take(m->argument, sizeof(m->argument), draft->argument,
				"the name of a hook", err);
	if (rc == 0)
		rc = text_check(m, err);
	if (rc == 0)
		rc = sending_run(&g, err);
	if (rc < 0)
		return rc;
	memcpy(ret_id, m->id, MESSAGE_ID + 1);
	*ret_to = g.to;
	return 0;
}

/* refusal_needed(...): 1 unless it was told, or too much is on its way already. */
static int refusal_needed(struct site *s, const char *id, const char *activation, const char *text,
			  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT count(*), ifnull(max(m.activation = ?2 AND m.text = ?3), 0)"
		      " FROM message_to t JOIN message m ON m.id = t.message"
		      " WHERE t.id = ?1 AND t.gone = 0 AND m.kind = 'refusal'",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ttt", id, activation, text);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	return db_i64(st, 0) < MESSAGE_REFUSALS && db_i64(st, 1) == 0;
}

/* tell(...): one message to one workstation, by the site itself; ${m} comes with what is particular
 * to it. */
static int tell(struct site *s, const char *id, const char *name, const struct message *m,
		struct err *err)
{
	struct sending g = {.s = s, .who = name, .m = *m};
	int rc;

	g.m.at = clock_now();
	g.expires = g.m.at + (int64_t)MESSAGE_DAYS * DAY_SECONDS;
	rc = message_row_put(&g, err);
	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "INSERT INTO message_to(message, id, email, copy)"
			       " VALUES(?1, ?2, '', ?1)",
			       "tt", g.m.id, id);
}

int message_refuse(struct site *s, const char *id, const char *name, const char *activation,
		   const char *text, struct err *err)
{
	OWNED(freep) char *copy = strdup(text);
	struct message m = {.kind = "refusal", .subject = "the activation was refused"};
	int rc = refusal_needed(s, id, activation, text, err);

	if (rc <= 0)
		return rc;
	if (copy == NULL)
		return err_memory(err);
	m.text = copy;
	snprintf(m.activation, sizeof(m.activation), "%s", activation);
	return tell(s, id, name, &m, err);
}

int message_notice(struct site *s, const char *id, const char *name, const char *subject,
		   struct err *err)
{
	struct message m = {.kind = "notice"};

	snprintf(m.subject, sizeof(m.subject), "%s", subject);
	return tell(s, id, name, &m, err);
}

static int withdrawn_find(struct site *s, const char *which, char ret_id[MESSAGE_ID + 1],
			  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	size_t found = 0, n = strlen(which);
	int rc;

	if (n < PREFIX_MIN || n > MESSAGE_ID || strspn(which, "0123456789abcdef") != n)
		return err_set(err, RC_USAGE,
			       "\"%s\" is not the id of a message that was sent: satchel messages "
			       "shows them",
			       which);
	rc = db_query(s->db, "SELECT id FROM message WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", which);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		snprintf(ret_id, MESSAGE_ID + 1, "%s", db_text(st, 0));
		found++;
		rc = 0;
	}
	if (rc == 0 && found == 0)
		return err_set(err, RC_USAGE,
			       "no message with the id %s was sent: satchel messages shows them",
			       which);
	if (rc == 0 && found > 1)
		return err_set(err, RC_USAGE,
			       "more than one message begins with %s: give more digits", which);
	return rc;
}

int message_withdraw(struct site *s, const char *which, char ret_id[MESSAGE_ID + 1],
		     struct err *err)
{
	char id[MESSAGE_ID + 1];
	int rc = withdrawn_find(s, which, id, err);

	if (rc == 0)
		rc = db_run(s->db, err,
			    "UPDATE message SET withdrawn = ?1 WHERE id = ?2 AND withdrawn = 0",
			    "it", clock_now(), id);
	if (rc == 0)
		memcpy(ret_id, id, sizeof(id));
	return rc;
}
