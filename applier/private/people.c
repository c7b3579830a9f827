/* SPDX-License-Identifier: ISC */
/*
 * What the private channel says of people.
 */
#include <stdio.h>
#include <string.h>

#include "applier/private/private.h"
#include "core/base/own.h"

/* Messages in one private channel: what a person would ever read, many times over. */
#define MESSAGES_MAX 1000u

#define YAML   ".yaml"
#define POLICY ".policy.yaml"

static bool ends(const char *name, const char *suffix)
{
	size_t n = strlen(name), end = strlen(suffix);

	return n >= end && strcmp(name + n - end, suffix) == 0;
}

static int person_read(struct private_tree *t, const char *name, struct person *ret,
		       struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char path[LIMIT_NAME + 16], id[17];
	int rc;

	snprintf(path, sizeof(path), "people/%s", name);
	rc = private_read(t, path, &text, err);
	if (rc == 0)
		rc = person_decode(bytes_in(&text), path, ret, err);
	if (rc < 0)
		return rc;
	person_id(id, ret->email);
	if (strncmp(name, id, strlen(id)) != 0 || strcmp(name + strlen(id), YAML) != 0)
		return err_set(err, RC_MALFORMED, "%s is not the document of %s", path, ret->email);
	return 0;
}

static int by_email(const void *a, const void *b)
{
	const struct person *x = a, *y = b;

	return strcmp(x->email, y->email);
}

static int persons_read(struct private_tree *t, struct private_people *p, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	int rc = private_files(t, "people", YAML, &names, err);

	if (rc == 0 && names.n > 0 && (p->person = calloc(names.n, sizeof(*p->person))) == NULL)
		rc = err_memory(err);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		if (!ends(names.items[i], POLICY))
			rc = person_read(t, names.items[i], &p->person[p->persons++], err);
	if (rc == 0 && p->persons > 1)
		qsort(p->person, p->persons, sizeof(*p->person), by_email);
	if (rc == 0 && p->persons > RECEIPT_USERS)
		rc = err_set(err, RC_LIMIT, "a workstation has at most %u users", RECEIPT_USERS);
	return rc;
}

static int message_file_read(struct private_tree *t, const char *name, struct message *ret,
			     struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char path[LIMIT_NAME + 16];
	int rc;

	snprintf(path, sizeof(path), "messages/%s", name);
	rc = private_read(t, path, &text, err);
	if (rc == 0)
		rc = message_decode(bytes_in(&text), path, ret, err);
	if (rc < 0)
		return rc;
	if (strncmp(name, ret->id, MESSAGE_ID) != 0 || strcmp(name + MESSAGE_ID, YAML) != 0)
		return err_set(err, RC_MALFORMED, "%s is not the message %s", path, ret->id);
	return 0;
}

static int messages_read(struct private_tree *t, struct private_people *p, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	int rc = private_files(t, "messages", YAML, &names, err);

	if (rc == 0 && names.n > MESSAGES_MAX)
		rc = err_set(err, RC_LIMIT, "more than %u messages in the private channel",
			     MESSAGES_MAX);
	if (rc == 0 && names.n > 0 && (p->message = calloc(names.n, sizeof(*p->message))) == NULL)
		rc = err_memory(err);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = message_file_read(t, names.items[i], &p->message[p->messages++], err);
	return rc;
}

int people_read(struct private_tree *t, struct private_people *ret, struct err *err)
{
	struct private_people p = {0};
	struct digest digest;
	int rc = persons_read(t, &p, err);

	if (rc == 0)
		rc = messages_read(t, &p, err);
	if (rc == 0)
		rc = private_digest(t, "policy.yaml", &digest, err);
	if (rc == 1)
		rc = private_read(t, "policy.yaml", &p.policy, err);
	if (rc < 0) {
		people_clear(&p);
		return rc;
	}
	*ret = p;
	return 0;
}

void people_clear(struct private_people *p)
{
	for (size_t i = 0; i < p->persons; i++)
		person_clear(&p->person[i]);
	for (size_t i = 0; i < p->messages; i++)
		message_clear(&p->message[i]);
	free(p->person);
	free(p->message);
	buf_clear(&p->policy);
	memset(p, 0, sizeof(*p));
}
