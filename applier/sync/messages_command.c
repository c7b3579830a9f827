/* SPDX-License-Identifier: ISC */
/*
 * Commands of the server.  There are few, and what they may do beyond telling is up to the owner of
 * this machine, who puts a hook there or does not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "applier/messages/messages_internal.h"
#include "applier/station/hook.h"
#include "applier/trees/drift.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/durable.h"

struct answer {
	const char *kind; /* "report", "refusal" */
	char text[512];
};

static uint64_t free_mib(const char *path)
{
	struct statvfs vfs;

	return statvfs(path, &vfs) == 0 ? space_free(&vfs) >> 20 : 0;
}

static int command_report(struct station *s, const struct message *m, struct answer *o,
			  struct err *err)
{
	struct utsname u = {0};

	(void)m;
	(void)err;
	uname(&u);
	snprintf(o->text, sizeof(o->text),
		 "satchel %s on %.60s, %.60s %.60s %.40s; %" PRIu64 " MiB free for state, %" PRIu64
		 " MiB below the root of targets; depots configured: %zu",
		 SATCHEL_VERSION, u.nodename, u.sysname, u.release, u.machine, free_mib(s->state),
		 free_mib(s->root), s->depots.n);
	return 0;
}

static int drift_name(void *arg, const struct drift_item *item, struct err *err)
{
	struct answer *o = arg;
	size_t used = strlen(o->text);

	(void)err;
	if (used < sizeof(o->text) - 4)
		snprintf(o->text + used, sizeof(o->text) - used, "%s%s: %s %s",
			 used > 0 ? "; " : "", item->channel, item->what, item->path);
	return 0;
}

static int command_drift(struct station *s, const struct message *m, struct answer *o,
			 struct err *err)
{
	struct answer names = {.text = ""};
	struct err bad = {0};
	uint64_t n = 0;

	(void)m;
	(void)err;
	if (station_drift(s, drift_name, &names, &n, &bad) < 0)
		snprintf(o->text, sizeof(o->text), "the check was not finished: %.400s", bad.text);
	else if (n == 0)
		snprintf(o->text, sizeof(o->text), "nothing differs from what was applied");
	else
		snprintf(o->text, sizeof(o->text), "%" PRIu64 " differ: %.440s", n, names.text);
	return 0;
}

static int command_hook(struct station *s, const struct message *m, struct answer *o,
			struct err *err)
{
	OWNED(buf_clear) struct buf said = BUF_INIT;
	char name[WORD_NAME + 16], about[MESSAGE_ID + 32];
	const char *env[] = {about, NULL};
	struct hook h = {.name = name, .env = env, .seconds = HOOK_SECONDS};
	struct err bad = {0};
	int rc;

	snprintf(name, sizeof(name), "command-%s", m->argument);
	snprintf(about, sizeof(about), "SATCHEL_MESSAGE=%s", m->id);
	rc = hook_run(s, &h, &said, &bad);
	if (rc == RC_MEMORY) {
		*err = bad;
		return rc;
	}
	if (rc == 0 || rc == RC_POLICY || rc == RC_TYPE)
		o->kind = "refusal";
	if (rc == 0)
		snprintf(o->text, sizeof(o->text),
			 "the owner of this machine has not provided a hook %s", name);
	else if (rc < 0)
		snprintf(o->text, sizeof(o->text), "%.500s", bad.text);
	else
		snprintf(o->text, sizeof(o->text), "done%s%.480s", said.n > 0 ? ": " : "",
			 said.n > 0 ? (const char *)said.p : "");
	return 0;
}

static const struct {
	const char *name;
	const char *shown; /* after "the server asked for" */
	int (*run)(struct station *s, const struct message *m, struct answer *o, struct err *err);
} commands[] = {{"report", "a report", command_report},
		{"drift", "a check for drift", command_drift},
		{"hook", "the hook", command_hook}};

static int command_run(struct station *s, const struct message *m, struct answer *o,
		       struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(m->command, commands[i].name) == 0)
			return commands[i].run(s, m, o, err);
	o->kind = "refusal";
	snprintf(o->text, sizeof(o->text), "this satchel knows no command %s", m->command);
	return 0;
}

/* A command that this version does not know is shown as it came. */
static const char *command_shown(const struct message *m)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(m->command, commands[i].name) == 0)
			return commands[i].shown;
	return m->command;
}

static int command_one(struct station *s, const struct message *m, struct err *err)
{
	struct answer o = {.kind = "report"};
	char day[CLOCK_TEXT + 1], text[512];
	int64_t begun = 0;
	int rc = messages_begin(s, m, &begun, err);

	if (rc <= 0)
		return rc;
	if (begun > 0) {
		clock_format(day, begun);
		snprintf(o.text, sizeof(o.text),
			 "it was started at %s and interrupted; it is not started again", day);
		o.kind = "refusal";
	} else if (m->user[0] != '\0') {
		snprintf(o.text, sizeof(o.text),
			 "commands are for the workstation, not for a user");
		o.kind = "refusal";
	} else if (command_run(s, m, &o, err) < 0) {
		return err->rc;
	}
	err_escape(text, sizeof(text), o.text);
	reporter_info(s->reporter, "the server asked for %s%s%s: %s", command_shown(m),
		      m->argument[0] != '\0' ? " " : "", m->argument, text);
	return messages_done(s, m->id, o.kind, text, err);
}

int messages_commands(struct station *s, const struct private_people *people, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < people->messages; i++)
		if (strcmp(people->message[i].kind, "command") == 0)
			rc = command_one(s, &people->message[i], err);
	return rc;
}
