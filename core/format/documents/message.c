/* SPDX-License-Identifier: ISC */
/*
 * message/1: from the server to a workstation, or to a user on it.
 */
#include <string.h>

#include "core/format/documents/member.h"

static const struct member message_members[] = {
    MEMBER(message, id, "id", TEXT),
    MEMBER(message, at, "at", TIME),
    MEMBER(message, kind, "kind", TEXT),
    MEMBER_MAYBE(message, user, "user", TEXT),
    MEMBER(message, subject, "subject", FOREIGN),
    MEMBER_MAYBE(message, command, "command", TEXT),
    MEMBER_MAYBE(message, argument, "argument", TEXT),
    MEMBER_MAYBE(message, activation, "activation", TEXT),
};

static int message_text(const struct node *list, struct message *m, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < node_count(list); i++) {
		if (i > 0)
			rc = buf_text(&text, "\n", err);
		if (rc == 0)
			rc = buf_text(&text, node_text(node_at(list, i), ""), err);
	}
	if (rc < 0 || node_count(list) == 0)
		return rc;
	m->text = strdup((const char *)text.p);
	return m->text == NULL ? err_memory(err) : 0;
}

/* Which fields go with which kind. */
static int message_check(const struct node *root, const struct message *m, struct err *err)
{
	bool command = strcmp(m->kind, "command") == 0;
	bool hook = strcmp(m->command, "hook") == 0;

	if (command != (m->command[0] != '\0'))
		return node_error(root, err, "`command` is given in a command, and only there");
	if (hook != (m->argument[0] != '\0'))
		return node_error(root, err, "`argument` names a hook, and is given only there");
	if (m->activation[0] != '\0' && strcmp(m->kind, "refusal") != 0)
		return node_error(node_get(root, "activation"), err, "belongs in a refusal");
	return 0;
}

int message_decode(struct bytes in, const char *file, struct message *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(message_clear) struct message m = {.text = NULL};
	int rc = document_read(in, LIMIT_DOCUMENT, "message/1", file, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), message_members, ARRAY_LEN(message_members), &m,
				    err);
	if (rc == 0)
		rc = message_check(yaml_root(y), &m, err);
	if (rc == 0)
		rc = message_text(node_get(yaml_root(y), "text"), &m, err);
	if (rc < 0)
		return rc;
	*ret = m;
	m.text = NULL;
	return 0;
}

static int message_again(struct bytes text, struct err *err)
{
	OWNED(message_clear) struct message same = {.text = NULL};

	return message_decode(text, NULL, &same, err);
}

/* Each line of ${text} becomes an item; bytes that are not text are shown as escapes. */
static int lines_encode(struct yaml_writer *w, const char *text, struct err *err)
{
	char line[512], shown[512];

	yaml_list(w, "text");
	while (text != NULL) {
		const char *end = strchr(text, '\n');
		size_t n = end == NULL ? strlen(text) : (size_t)(end - text);

		if (n >= sizeof(line))
			return err_set(err, RC_LIMIT, "a line of a message has at most %zu bytes",
				       sizeof(line) - 1);
		memcpy(line, text, n);
		line[n] = '\0';
		err_escape(shown, sizeof(shown), line);
		yaml_text(w, NULL, shown);
		text = end == NULL ? NULL : end + 1;
	}
	yaml_close(w);
	return 0;
}

int message_encode(const struct message *m, struct buf *ret, struct err *err)
{
	OWNED(yaml_writer_freep) struct yaml_writer *w = NULL;
	int rc = document_write("message/1", &w, err);

	if (rc < 0)
		return rc;
	members_encode(w, message_members, ARRAY_LEN(message_members), m);
	rc = lines_encode(w, m->text, err);
	return rc < 0 ? rc : document_end(TAKE(w), message_again, ret, err);
}

void message_clear(struct message *m)
{
	free(m->text);
	*m = (struct message){.text = NULL};
}
