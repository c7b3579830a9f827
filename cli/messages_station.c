/*
 * messages, message answer and message report, on a workstation.
 */
#include <string.h>

#include "applier/messages.h"
#include "cli/station.h"
#include "cli/term.h"
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

static void lines_print(const char *text)
{
	for (const char *p = text; p != NULL && *p != '\0';) {
		size_t n = strcspn(p, "\n");
		char line[512], shown[4 * sizeof(line)];

		snprintf(line, sizeof(line), "%.*s", (int)(n < 511 ? n : 511), p);
		err_escape(shown, sizeof(shown), line);
		printf("    %s\n", shown);
		p += n + (p[n] == '\n');
	}
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
	lines_print(m->text);
	if (m->command[0] != '\0')
		printf("  command   %s%s%s\n", m->command, m->argument[0] != '\0' ? " " : "",
		       m->argument);
	return p->mark ? message_read(p->s, m, p->reader, err) : 0;
}

static int item_row(struct print *p, const struct message_item *item, struct err *err)
{
	const struct message *m = item->message;
	const char *cell[] = {m->kind, state_of(item), whom(m), m->subject};
	char when[TEXT_SIZE];
	int rc = table_cell(&p->table, err, "%s", m->id);

	age_text(when, m->at, p->now);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", when);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(cell); i++)
		rc = table_cell(&p->table, err, "%s", cell[i]);
	return rc;
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
	int rc = station_open(p->cli->station, p->full ? STATION_LOCK : 0, p->cli->say, ret, err);

	p->mark = p->full && rc == 0;
	return rc == RC_BUSY ? station_open(p->cli->station, 0, p->cli->say, ret, err) : rc;
}

static int list_print(struct print *p, const struct people *people, struct err *err)
{
	static const char *const heading[] = {"ID", "WHEN", "KIND", "STATE", "FOR", "SUBJECT"};
	int rc = 0;

	table_init(&p->table, ARRAY_LEN(heading), -1);
	for (size_t i = 0; i < ARRAY_LEN(heading) && rc == 0; i++)
		rc = table_cell(&p->table, err, "%s", heading[i]);
	if (p->json != NULL)
		json_open(p->json, NULL, '[');
	if (rc == 0)
		rc = messages_each(p->s, people, p->reader, each_item, p, err);
	if (p->json != NULL) {
		json_close(p->json, ']');
		putchar('\n');
	} else if (rc == 0 && p->shown == 0) {
		puts("no message");
	} else if (rc == 0 && !p->full) {
		table_print(&p->table, p->cli->term, stdout);
	}
	table_clear(&p->table);
	return rc;
}

/* One alone: as if nothing else were there. */
static int one_print(struct print *p, const struct people *people, const char *which,
		     struct err *err)
{
	const struct message *m;
	struct people one = *people;
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
	OWNED(people_clear) struct people people = {0};
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
	say_info(cli->say, "it goes to the server with the next receipt (satchel sync)");
}

int cmd_message_answer(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	OWNED(people_clear) struct people people = {0};
	struct message_reader reader;
	const struct message *m;
	int rc = station_open(cli->station, STATION_LOCK, cli->say, &s, err);

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
	OWNED(people_clear) struct people people = {0};
	struct message_reader reader;
	int rc = station_open(cli->station, STATION_LOCK, cli->say, &s, err);

	if (rc == 0)
		rc = messages_open(s, &people, &reader, err);
	if (rc == 0)
		rc = message_report(s, &reader, args->rest[0], err);
	if (rc == 0)
		said(cli);
	return rc;
}
