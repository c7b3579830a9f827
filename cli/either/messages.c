/* SPDX-License-Identifier: ISC */
/*
 * message send, command, withdraw, and the list in both directions, on a server.
 */
#include "bundler/messages/message.h"
#include "bundler/site/site.h"
#include "cli/ask/ask.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"

#include <stdlib.h>
#include <string.h>

#include "cli/frame/cli.h"
#include "cli/frame/term.h"
#include "cli/workstation/station.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/control.h"

#define FILE_MAX    LIMIT_YAML_SCALAR /* bytes of a message that comes from a file */
#define LIST_MAX    50
#define COPIES_SHOW 1000 /* of one message */

/* text_take(args, ret, err): the lines of --text, then those of --file. */
static int text_take(const struct args *args, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	const char *path = args_text(args, "file", NULL);
	char *line[ARGS_MAX];
	size_t n = args_list(args, "text", line);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = buf_printf(ret, err, "%s%s", i > 0 ? "\n" : "", line[i]);
	if (rc < 0 || path == NULL)
		return rc;
	rc = cli_file_read(path, FILE_MAX, &file, err);
	if (rc < 0)
		return rc;
	while (file.n > 0 && file.p[file.n - 1] == '\n')
		file.n--;
	if (memchr(file.p, '\0', file.n) != NULL)
		return err_set(err, RC_USAGE, "%s is not a text file", path);
	if (n > 0)
		rc = buf_text(ret, "\n", err);
	return rc < 0 ? rc : buf_add(ret, file.p, file.n, err);
}

static int draft_send(struct cli *cli, const struct args *args, struct message_draft *draft,
		      struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	char id[MESSAGE_ID + 1];
	struct json j = {stdout, false};
	uint64_t to;
	int rc;

	rc = args_number(args, "days", MESSAGE_DAYS_MAX, MESSAGE_DAYS, &draft->days, err);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = message_send(s, draft, id, &to, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_text(&j, "id", id);
		json_u64(&j, "to", to);
		json_close(&j, '}');
		putchar('\n');
		return 0;
	}
	printf("message %s to %s: %llu %s\n", id, draft->who, (unsigned long long)to,
	       plural(to, "copy", "copies"));
	reporter_info(cli->reporter, "it is sent with the next satchel publish");
	return 0;
}

int cmd_message_send(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct message_draft draft = {.who = args->rest[0],
				      .subject = args_text(args, "subject", NULL)};
	int rc;

	if (draft.subject == NULL)
		return err_set(err, RC_USAGE, "message send needs --subject TEXT");
	rc = text_take(args, &text, err);
	if (rc < 0)
		return rc;
	draft.text = text.n > 0 ? (const char *)text.p : NULL;
	return draft_send(cli, args, &draft, err);
}

/* What a person is told when a command names none. */
static const struct {
	const char *name, *subject;
	bool hook;
} message_commands[] = {
    {"report", "report on this machine", false},
    {"drift", "look for what differs from what was applied", false},
    {"hook", "run the hook", true},
};

int cmd_message_command(struct cli *cli, const struct args *args, struct err *err)
{
	struct message_draft draft = {.who = args->rest[0], .command = args->rest[1]};
	const char *hook = args->rest_n > 2 ? args->rest[2] : NULL;
	char subject[128];

	for (size_t i = 0; i < ARRAY_LEN(message_commands); i++) {
		if (strcmp(message_commands[i].name, draft.command) != 0)
			continue;
		if (message_commands[i].hook != (hook != NULL))
			return err_set(
			    err, RC_USAGE,
			    hook == NULL
				? "the name of the hook is missing: satchel message command WHO "
				  "hook NAME"
				: "only the command hook takes a name");
		snprintf(subject, sizeof(subject), "%s%s%.64s", message_commands[i].subject,
			 hook != NULL ? " " : "", hook != NULL ? hook : "");
		draft.subject = args_text(args, "subject", subject);
		draft.argument = hook;
		return draft_send(cli, args, &draft, err);
	}
	return err_set(err, RC_USAGE, "unknown command \"%s\": use report, drift or hook NAME",
		       draft.command);
}

int cmd_message_withdraw(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	char id[MESSAGE_ID + 1];
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = message_withdraw(s, args->rest[0], id, err);
	if (rc == 0)
		printf("withdrew message %s\n", id);
	return rc;
}

/* The list */

struct message_print {
	struct cli *cli;
	struct site *s;
	struct json *json;
	struct table table;
	bool full;
	uint64_t shown;
	int64_t now;
};

/* state_text(dst, size, m, now): the furthest that it got. */
static void state_text(char *dst, size_t size, const struct message_row *m, int64_t now)
{
	const char *word = m->answered > 0    ? "answered"
			   : m->read > 0      ? "read"
			   : m->delivered > 0 ? "delivered"
					      : "on its way";

	if (m->incoming)
		snprintf(dst, size, "%s", m->seen != 0 ? "seen" : "new");
	else if (m->withdrawn != 0)
		snprintf(dst, size, "withdrawn");
	else if (m->to == 1)
		snprintf(dst, size, "%s%s", word,
			 m->expires <= now && m->read == 0 ? ", expired" : "");
	else
		snprintf(dst, size, "%llu delivered, %llu read, %llu answered, of %llu%s",
			 (unsigned long long)m->delivered, (unsigned long long)m->read,
			 (unsigned long long)m->answered, (unsigned long long)m->to,
			 m->expires <= now ? "; expired" : "");
}

static const char *copy_state(const struct message_copy *c)
{
	return c->answered != 0 ? "answered"
	       : c->read != 0   ? "read"
	       : c->delivered   ? "delivered"
	       : c->published   ? "published"
				: "not published yet";
}

static void lines_json(struct json *j, const char *text)
{
	OWNED(freep) char *copy = text[0] == '\0' ? NULL : strdup(text);
	char *rest = copy;

	json_open(j, "text", '[');
	while (rest != NULL)
		json_text(j, NULL, strsep(&rest, "\n"));
	json_close(j, ']');
}

static int copy_json(void *arg, const struct message_copy *c, struct err *err)
{
	struct json *j = arg;

	json_open(j, NULL, '{');
	json_text(j, "workstation", c->workstation);
	json_text(j, "user", c->email);
	json_text(j, "state", copy_state(c));
	json_time(j, "read", c->read);
	json_time(j, "answered", c->answered);
	json_text(j, "answer_kind", c->answer_kind);
	json_text(j, "answer", c->answer);
	json_close(j, '}');
	return 0;
}

static int row_json(struct message_print *p, const struct message_row *m, struct err *err)
{
	struct json *j = p->json;
	int rc = 0;

	json_open(j, NULL, '{');
	json_text(j, "id", m->id);
	json_text(j, "direction", m->incoming ? "in" : "out");
	json_time(j, "at", m->at);
	json_text(j, "kind", m->kind);
	json_text(j, m->incoming ? "from" : "to", m->who);
	if (m->incoming) {
		json_text(j, "user", m->email);
		json_text(j, "about", m->about);
		json_text(j, "said", m->subject);
		json_time(j, "said_at", m->said);
		json_time(j, "seen", m->seen);
	} else {
		json_text(j, "subject", m->subject);
		lines_json(j, m->text);
		json_text(j, "command", m->command);
		json_text(j, "argument", m->argument);
		json_time(j, "expires", m->expires);
		json_time(j, "withdrawn", m->withdrawn);
		json_u64(j, "copies", m->to);
		json_u64(j, "delivered", m->delivered);
		json_u64(j, "read", m->read);
		json_u64(j, "answered", m->answered);
	}
	if (p->full && !m->incoming) {
		json_open(j, "recipients", '[');
		rc = message_copies(p->s, m->id, UINT32_MAX, copy_json, j, err);
		json_close(j, ']');
	}
	json_close(j, '}');
	return rc;
}

static int row_cells(struct message_print *p, const struct message_row *m, struct err *err)
{
	char when[CLOCK_TEXT + 1], state[128];
	int rc;

	clock_format(when, m->at);
	state_text(state, sizeof(state), m, p->now);
	rc = table_cell(&p->table, err, "%s", m->id);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", when);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s %s%s%s", m->incoming ? "from" : "to", m->who,
				m->email[0] != '\0' ? ", " : "", m->email);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", m->kind);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", state);
	return rc < 0 ? rc : table_cell(&p->table, err, "%s", m->subject);
}

static void field(const char *name, const char *value)
{
	char shown[4 * 512];

	if (value[0] == '\0')
		return;
	err_escape(shown, sizeof(shown), value);
	printf("  %-9s %s\n", name, shown);
}

static int copy_print(void *arg, const struct message_copy *c, struct err *err)
{
	char shown[4 * 512], when[CLOCK_TEXT + 1] = "";

	if (c->read != 0)
		clock_format(when, c->answered != 0 ? c->answered : c->read);
	printf("  %-9s %s%s%s: %s%s%s\n", "to", c->workstation, c->email[0] != '\0' ? ", " : "",
	       c->email, copy_state(c), when[0] != '\0' ? " " : "", when);
	if (c->answer[0] != '\0') {
		err_escape(shown, sizeof(shown), c->answer);
		printf("  %-9s %s\n", c->answer_kind, shown);
	}
	return 0;
}

static int row_full(struct message_print *p, const struct message_row *m, struct err *err)
{
	char when[CLOCK_TEXT + 1], state[128];

	clock_format(when, m->at);
	state_text(state, sizeof(state), m, p->now);
	printf("message %s\n", m->id);
	field(m->incoming ? "recorded" : "sent", when);
	field("kind", m->kind);
	field(m->incoming ? "from" : "for", m->who);
	field("user", m->email);
	field("about", m->about);
	field(m->incoming ? "said" : "subject", m->subject);
	if (!m->incoming)
		show_text(m->text);
	field("command", m->command);
	field("hook", m->argument);
	if (!m->incoming) {
		clock_format(when, m->expires);
		field("until", when);
		field("state", state);
		return message_copies(p->s, m->id, COPIES_SHOW, copy_print, NULL, err);
	}
	clock_format(when, m->said);
	field("its clock", when);
	return message_seen(p->s, m->id, err);
}

static int each_row(void *arg, const struct message_row *m, struct err *err)
{
	struct message_print *p = arg;

	p->shown++;
	if (p->json != NULL)
		return row_json(p, m, err);
	return p->full ? row_full(p, m, err) : row_cells(p, m, err);
}

static int server_messages(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"ID", "WHEN", "WHO", "KIND", "STATE", "SUBJECT"};
	OWNED(site_freep) struct site *s = NULL;
	const char *which = args->rest_n > 0 ? args->rest[0] : NULL;
	struct json j = {stdout, false};
	struct message_print p = {.cli = cli,
				  .json = cli->json ? &j : NULL,
				  .full = which != NULL || args_has(args, "more"),
				  .now = clock_now()};
	uint64_t most;
	int rc = args_number(args, "max", 100000, LIST_MAX, &most, err);

	if (rc == 0)
		rc = server_open(cli, 0, &s, err);
	if (rc < 0)
		return rc;
	p.s = s;
	rc = table_head(&p.table, heading, ARRAY_LEN(heading), -1, err);
	if (cli->json)
		json_open(&j, NULL, '[');
	if (rc == 0)
		rc = message_list(s, which, (unsigned)most, each_row, &p, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0 && p.shown == 0) {
		puts("no messages yet; send one with satchel message send WHO --subject TEXT");
	} else if (rc == 0 && !p.full) {
		table_print(&p.table, cli->term, stdout);
	}
	table_clear(&p.table);
	return rc;
}

int cmd_messages(struct cli *cli, const struct args *args, struct err *err)
{
	bool server;
	int rc = cli_on_server(cli, &server, err);

	if (rc == 0 && !server && args->rest_n == 0)
		rc = watch_ask(cli, server, CONTROL_MESSAGES, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return server ? server_messages(cli, args, err) : station_messages(cli, args, err);
}
