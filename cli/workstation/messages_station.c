/* SPDX-License-Identifier: ISC */
/*
 * messages, message answer and message report, on a workstation.
 */
#include <string.h>

#include "applier/messages/messages.h"
#include "applier/open/open.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "cli/workstation/station.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct print {
	struct cli *cli;
	struct station *s;
	const struct message_reader *reader;
	struct json *json; /* NULL: text */
	struct table table;
	bool full, mark;
	size_t shown;
	int64_t now;
};

static const char *state_of(const struct message_item *item)
{
	if (strcmp(item->message->kind, "command") == 0)
		return item->done > 0 ? "done" : item->done < 0 ? "begun" : "waits";
	return item->answered > 0 ? "answered" : item->read > 0 ? "read" : "unread";
}

static const char *whom(const struct message *m)
{
	return m->user[0] != '\0' ? m->user : "workstation";
}

static void item_json(struct json *j, const struct message_item *item)
{
	const struct message *m = item->message;

	json_open(j, NULL, '{');
	json_text(j, "id", m->id);
	json_time(j, "at", m->at);
	json_text(j, "kind", m->kind);
	json_text(j, "user", m->user);
	json_text(j, "state", state_of(item));
	json_text(j, "subject", m->subject);
	json_text(j, "text", m->text != NULL ? m->text : "");
	json_text(j, "command", m->command);
	json_text(j, "argument", m->argument);
	json_time(j, "read", item->read);
	json_time(j, "answered", item->answered);
	json_close(j, '}');
}

static int item_full(struct print *p, const struct message_item *item, struct err *err)
{
	const struct message *m = item->message;
	char when[CLOCK_TEXT + 1], subject[4 * sizeof(m->subject)];

	clock_format(when, m->at);
	err_escape(subject, sizeof(subject), m->subject);
	printf("%smessage %s\n  sent      %s\n  kind      %s\n  for       %s\n  state     %s\n"
	       "  subject   %s\n",
	       p->shown > 1 ? "\n" : "", m->id, when, m->kind, whom(m), state_of(item), subject);
	if (m->text != NULL)
		show_text(m->text);
	if (m->command[0] != '\0')
		printf("  command   %s%s%s\n", m->command, m->argument[0] != '\0' ? " " : "",
		       m->argument);
	return p->mark ? message_read(p->s, m, p->reader, err) : 0;
}

static int item_row(struct print *p, const struct message_item *item, struct err *err)
{
	const struct message *m = item->message;
	char when[TEXT_SIZE];

	age_text(when, m->at, p->now);
	return table_row(&p->table, err, m->id, when, m->kind, state_of(item), whom(m), m->subject);
}

static int each_item(void *arg, const struct message_item *item, struct err *err)
{
	struct print *p = arg;

	p->shown++;
	if (p->json != NULL) {
		item_json(p->json, item);
		return p->full && p->mark ? message_read(p->s, item->message, p->reader, err) : 0;
	}
	return p->full ? item_full(p, item, err) : item_row(p, item, err);
}

/* While a run of satchel is at work a message can be read, though not marked. */
static int open_to_read(struct print *p, struct station **ret, struct err *err)
{
	int rc =
	    station_open(p->cli->station, p->full ? STATION_LOCK : 0, p->cli->reporter, ret, err);

	p->mark = p->full && rc == 0;
	return rc == RC_BUSY ? station_open(p->cli->station, 0, p->cli->reporter, ret, err) : rc;
}

static int list_print(struct print *p, const struct private_people *people, struct err *err)
{
	static const char *const heading[] = {"ID", "WHEN", "KIND", "STATE", "FOR", "SUBJECT"};
	int rc = table_head(&p->table, heading, ARRAY_LEN(heading), -1, err);

	if (p->json != NULL)
		json_open(p->json, NULL, '[');
	if (rc == 0)
		rc = messages_each(p->s, people, p->reader, each_item, p, err);
	if (p->json != NULL) {
		json_close(p->json, ']');
		putchar('\n');
	} else if (rc == 0 && p->shown == 0) {
		puts("no messages");
	} else if (rc == 0 && !p->full) {
		table_print(&p->table, p->cli->term, stdout);
	}
	table_clear(&p->table);
	return rc;
}

/* One alone: as if nothing else were there. */
static int one_print(struct print *p, const struct private_people *people, const char *which,
		     struct err *err)
{
	const struct message *m;
	struct private_people one = *people;
	int rc = messages_find(people, p->reader, which, &m, err);

	if (rc < 0)
		return rc;
	one.message = &people->message[m - people->message];
	one.messages = 1;
	return list_print(p, &one, err);
}

int station_messages(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	OWNED(people_clear) struct private_people people = {0};
	const char *which = args->rest_n > 0 ? args->rest[0] : NULL;
	struct json j = {stdout, false};
	struct message_reader reader;
	struct print p = {.cli = cli,
			  .reader = &reader,
			  .json = cli->json ? &j : NULL,
			  .full = which != NULL || args_has(args, "more"),
			  .now = clock_now()};
	int rc = open_to_read(&p, &s, err);

	p.s = s;
	if (rc == 0)
		rc = messages_open(s, &people, &reader, err);
	if (rc < 0)
		return rc;
	return which != NULL ? one_print(&p, &people, which, err) : list_print(&p, &people, err);
}

static void said(struct cli *cli)
{
	reporter_info(cli->reporter, "it is sent to the server with the next satchel sync");
}

int cmd_message_answer(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	OWNED(people_clear) struct private_people people = {0};
	struct message_reader reader;
	const struct message *m;
	int rc = station_open(cli->station, STATION_LOCK, cli->reporter, &s, err);

	if (rc == 0)
		rc = messages_open(s, &people, &reader, err);
	if (rc == 0)
		rc = messages_find(&people, &reader, args->rest[0], &m, err);
	if (rc == 0)
		rc = message_answer(s, m, &reader, args->rest[1], err);
	if (rc == 0)
		said(cli);
	return rc;
}

int cmd_message_report(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	OWNED(people_clear) struct private_people people = {0};
	struct message_reader reader;
	int rc = station_open(cli->station, STATION_LOCK, cli->reporter, &s, err);

	if (rc == 0)
		rc = messages_open(s, &people, &reader, err);
	if (rc == 0)
		rc = message_report(s, &reader, args->rest[0], err);
	if (rc == 0)
		said(cli);
	return rc;
}
