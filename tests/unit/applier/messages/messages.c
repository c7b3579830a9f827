/* SPDX-License-Identifier: ISC */
/*
 * Messages on the workstation: who sees them, what is said back and until when, commands.
 */
#include "applier/messages/messages_internal.h"
#include "applier/report/event.h"
#include "tests/support/people.h"

TestSuite(messages, .timeout = 120);

#define ANNA "anna@example.org"
#define M1   "00000000000000a1"
#define M2   "00000000000000a2"
#define M3   "00000000000000a3"

static void add(struct tree_files *t, const char *id, int64_t at, const char *kind,
		const char *user, const char *subject)
{
	struct message m = {.at = at};

	snprintf(m.id, sizeof(m.id), "%s", id);
	snprintf(m.kind, sizeof(m.kind), "%s", kind);
	snprintf(m.user, sizeof(m.user), "%s", user);
	snprintf(m.subject, sizeof(m.subject), "%s", subject);
	tree_message(t, &m);
}

static void add_command(struct tree_files *t, const char *id, const char *command,
			const char *argument)
{
	struct message m = {.at = FIXTURE_NOW, .kind = "command", .subject = "please"};

	snprintf(m.id, sizeof(m.id), "%s", id);
	snprintf(m.command, sizeof(m.command), "%s", command);
	snprintf(m.argument, sizeof(m.argument), "%s", argument);
	tree_message(t, &m);
}

static void sync_tree(struct fixture *f, const struct tree_files *t)
{
	tree_publish(f, t);
	FIXTURE_SYNC(f, 0);
}

struct open {
	struct station *s;
	struct private_people people;
	struct message_reader reader;
};

static struct open open_all(struct fixture *f)
{
	struct open o = {.s = fixture_station(f)};

	cr_assert_eq(messages_open(o.s, &o.people, &o.reader, &f->err), 0, "%s", f->err.text);
	return o;
}

static void open_end(struct open *o)
{
	people_clear(&o->people);
	station_free(o->s);
}

static int id_add(void *arg, const struct message_item *item, struct err *err)
{
	return buf_printf(arg, err, "%.2s ", item->message->id + 14);
}

static void lists(struct fixture *f, struct open *o, const char *want)
{
	OWNED(buf_clear) struct buf ids = BUF_INIT;

	cr_assert_eq(buf_text(&ids, "", &f->err), 0);
	cr_assert_eq(messages_each(o->s, &o->people, &o->reader, id_add, &ids, &f->err), 0);
	cr_assert_str_eq((const char *)ids.p, want);
}

/* Of the newest receipt: how many events of a kind, about a message. */
static size_t told(struct fixture *f, const char *kind, const char *about,
		   struct receipt_event *ret)
{
	OWNED(receipt_clear) struct receipt r = {0};
	size_t n = 0;

	newest_receipt(f, &r);
	for (size_t i = 0; i < r.events; i++)
		if (strcmp(r.event[i].kind, kind) == 0 && strcmp(r.event[i].about, about) == 0) {
			n++;
			if (ret != NULL)
				*ret = r.event[i];
		}
	return n;
}

Test(messages, they_are_listed_newest_first_and_a_users_own_only_to_root_and_that_user)
{
	struct tree_files t = {0};
	const struct message *m;
	struct fixture f;
	struct open o;

	fixture_joined(&f);
	tree_person(&t, ANNA, own_account(), NULL, 0);
	add(&t, M1, FIXTURE_NOW - 5, "notice", "", "first");
	add(&t, M2, FIXTURE_NOW, "notice", ANNA, "for anna");
	add(&t, M3, FIXTURE_NOW - 9, "notice", "ben@example.org", "for ben");
	sync_tree(&f, &t);
	o = open_all(&f);
	o.reader.all = true;
	lists(&f, &o, "a2 a1 a3 ");
	o.reader.all = false;
	cr_assert_str_eq(o.reader.email, ANNA);
	lists(&f, &o, "a2 a1 ");
	cr_assert_eq(messages_find(&o.people, &o.reader, M3, &m, &f.err), RC_USAGE);
	cr_assert_eq(messages_find(&o.people, &o.reader, M2, &m, &f.err), 0);
	cr_assert_eq(messages_find(&o.people, &o.reader, "0000", &m, &f.err), RC_USAGE);
	o.reader.email[0] = '\0';
	lists(&f, &o, "a1 ");
	open_end(&o);
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, that_it_was_read_is_said_once_by_whom_it_is_for_and_until_it_is_acknowledged)
{
	struct tree_files t = {0};
	struct receipt_event e;
	struct fixture f;
	struct open o;

	fixture_joined(&f);
	tree_person(&t, ANNA, own_account(), NULL, 0);
	add(&t, M1, FIXTURE_NOW, "notice", ANNA, "hello");
	sync_tree(&f, &t);
	o = open_all(&f);
	o.reader.email[0] = '\0'; /* root looks over her shoulder */
	cr_assert_eq(message_read(o.s, &o.people.message[0], &o.reader, &f.err), 0);
	snprintf(o.reader.email, sizeof(o.reader.email), ANNA);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(message_read(o.s, &o.people.message[0], &o.reader, &f.err), 0);
	open_end(&o);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(told(&f, "read", M1, &e), 1);
	cr_assert_str_eq(e.user, ANNA);
	FIXTURE_RUN(&f, "rm depot/inbox/*/*.receipt"); /* the stick was lost */
	fixture_clock(FIXTURE_NOW + 86400);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(told(&f, "read", M1, NULL), 1);
	fixture_collect(&f);
	tree_publish(&f, &t); /* the shard says which receipt was recorded */
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(told(&f, "read", M1, NULL), 0);
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, an_answer_is_said_as_often_as_it_is_given)
{
	struct tree_files t = {0};
	struct receipt_event e;
	struct fixture f;
	struct open o;

	fixture_joined(&f);
	add(&t, M1, FIXTURE_NOW, "notice", "", "is it plugged in?");
	sync_tree(&f, &t);
	o = open_all(&f);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(
		    message_answer(o.s, &o.people.message[0], &o.reader, "y\033[2Jes", &f.err), 0,
		    "%s", f.err.text);
	cr_assert_eq(message_report(o.s, &o.reader, "the fan is loud", &f.err), 0);
	cr_assert_eq(message_report(o.s, &o.reader, "two\nlines", &f.err), RC_USAGE);
	cr_assert_eq(message_report(o.s, &o.reader, "", &f.err), RC_USAGE);
	open_end(&o);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(told(&f, "answer", M1, &e), 2);
	cr_assert_str_eq(e.text, "y\\x1b[2Jes");
	cr_assert_eq(told(&f, "report", "", &e), 1);
	cr_assert_str_eq(e.text, "the fan is loud");
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, what_is_said_is_bounded_and_what_satchel_notices_does_not_push_it_out)
{
	struct tree_files t = {0};
	char text[512];
	struct fixture f;
	struct open o;

	fixture_joined(&f);
	sync_tree(&f, &t);
	o = open_all(&f);
	memset(text, '\\', sizeof(text) - 1); /* what takes most room when it is written */
	text[511] = '\0';
	for (int i = 0; i < EVENTS_SAID; i++)
		cr_assert_eq(message_report(o.s, &o.reader, text, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(message_report(o.s, &o.reader, "one more", &f.err), RC_AGAIN);
	for (int i = 0; i < 400; i++) {
		snprintf(text, 400, "%0399d", i);
		cr_assert_eq(station_event(o.s, "noticed", text, &f.err), 0);
	}
	open_end(&o);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(told(&f, "report", "", NULL), EVENTS_SAID);
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, what_a_receipt_left_out_is_not_acknowledged_with_it)
{
	struct tree_files t = {0};
	int64_t done = -1;
	char text[400];
	struct fixture f;
	struct open o;

	fixture_joined(&f);
	sync_tree(&f, &t);
	fixture_collect(&f);
	o = open_all(&f);
	cr_assert_eq(station_event(o.s, "noticed", "the first", &f.err), 0);
	open_end(&o);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(told(&f, "noticed", "", NULL), 1);
	FIXTURE_RUN(&f, "rm depot/inbox/*/*.receipt"); /* lost on its way */
	o = open_all(&f);
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "%0399d", i);
		cr_assert_eq(station_event(o.s, "noticed", text, &f.err), 0);
	}
	open_end(&o);
	FIXTURE_SYNC(&f, 0);
	cr_assert_lt(told(&f, "noticed", "", NULL), 100);
	fixture_collect(&f);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	o = open_all(&f);
	cr_assert_eq(db_int(o.s->db, &f.err, &done,
			    "SELECT acknowledged FROM event WHERE text = 'the first'", ""),
		     1);
	cr_assert_eq(done, 0);
	open_end(&o);
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, commands_are_carried_out_once_and_answered)
{
	struct tree_files t = {0};
	struct receipt_event e;
	struct fixture f;

	fixture_joined(&f);
	tree_sub(&t, "office", "/opt/office", "keep");
	add_command(&t, M1, "report", "");
	add_command(&t, M2, "drift", "");
	add_command(&t, M3, "hook", "blink");
	FIXTURE_RUN(&f, "mkdir -p ws/hooks && printf '#!/bin/sh\\necho \"$SATCHEL_MESSAGE\" >> "
			"%s/blinked\\necho blinked\\n' \"$PWD\" > ws/hooks/command-blink && "
			"chmod 755 ws/hooks/command-blink");
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "test \"$(cat blinked)\" = " M3);
	cr_assert_eq(told(&f, "report", M1, &e), 1);
	cr_assert_not_null(strstr(e.text, "satchel "), "%s", e.text);
	cr_assert_eq(told(&f, "report", M2, &e), 1);
	cr_assert_str_eq(e.text, "nothing differs from what was applied");
	cr_assert_eq(told(&f, "report", M3, &e), 1);
	cr_assert_str_eq(e.text, "done: blinked");
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, a_hook_that_the_owner_has_not_put_there_or_not_kept_to_themselves_is_refused)
{
	struct tree_files t = {0};
	struct receipt_event e;
	struct fixture f;

	fixture_joined(&f);
	add_command(&t, M1, "hook", "blink");
	sync_tree(&f, &t);
	cr_assert_eq(told(&f, "refusal", M1, &e), 1);
	cr_assert_not_null(strstr(e.text, "not provided a hook command-blink"), "%s", e.text);
	FIXTURE_RUN(&f, "mkdir ws/hooks && printf '#!/bin/sh\\ntouch %s/ran\\n' \"$PWD\" > "
			"ws/hooks/command-wave && chmod 777 ws/hooks/command-wave");
	add_command(&t, M2, "hook", "wave");
	sync_tree(&f, &t);
	cr_assert_eq(told(&f, "refusal", M2, &e), 1);
	cr_assert_not_null(strstr(e.text, "written by others"), "%s", e.text);
	FIXTURE_RUN(&f, "test ! -e ran");
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, a_command_that_was_interrupted_is_not_begun_again)
{
	struct tree_files t = {0};
	struct receipt_event e;
	struct fixture f;
	struct open o;
	int64_t begun;

	fixture_joined(&f);
	sync_tree(&f, &t);
	add_command(&t, M1, "report", "");
	o = open_all(&f);
	{
		struct message m = {.id = M1};

		cr_assert_eq(messages_begin(o.s, &m, &begun, &f.err), 1);
		cr_assert_eq(begun, 0);
	}
	open_end(&o);
	sync_tree(&f, &t);
	cr_assert_eq(told(&f, "refusal", M1, &e), 1);
	cr_assert_not_null(strstr(e.text, "interrupted"), "%s", e.text);
	cr_assert_eq(told(&f, "report", M1, NULL), 0);
	tree_clear(&t);
	fixture_end(&f);
}

Test(messages, what_became_of_a_message_is_forgotten_with_it)
{
	struct tree_files t = {0};
	struct fixture f;
	struct open o;
	int64_t n = 9;

	fixture_joined(&f);
	add(&t, M1, FIXTURE_NOW, "notice", "", "hello");
	sync_tree(&f, &t);
	o = open_all(&f);
	cr_assert_eq(message_read(o.s, &o.people.message[0], &o.reader, &f.err), 0);
	open_end(&o);
	tree_clear(&t);
	sync_tree(&f, &t);
	o = open_all(&f);
	cr_assert_geq(db_int(o.s->db, &f.err, &n, "SELECT count(*) FROM message", ""), 0);
	cr_assert_eq(n, 0);
	open_end(&o);
	fixture_end(&f);
}
