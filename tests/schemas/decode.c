/* SPDX-License-Identifier: ISC */
/*
 * decode TYPE.WHAT.yaml...: what the decoders make of each file.  One line each:
 * file, "yes" or "no" of the schema, "yes" or "no" of the whole decoder, message; tabs between.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents_internal.h"
#include "bundler/site/site.h"
#include "core/base/own.h"
#include "core/format/documents/documents.h"
#include "core/format/policy/policy.h"
#include "core/format/yaml/yaml.h"

#define DECODE(name, type, clear, file)                          \
	static int name##_read(struct bytes in, struct err *err) \
	{                                                        \
		struct type v = {0};                             \
		int rc = name##_decode(in file, &v, err);        \
                                                                 \
		clear(&v);                                       \
		return rc;                                       \
	}
#define NO_FILE
#define SOME_FILE , "input"

static void nothing(const void *v)
{
	(void)v;
}

DECODE(trustdoc, trust, nothing, NO_FILE)
DECODE(beat, beat, nothing, NO_FILE)
DECODE(shard, shard, shard_clear, NO_FILE)
DECODE(head, head, head_clear, NO_FILE)
DECODE(release, release, release_clear, NO_FILE)
DECODE(manifest, manifest, nothing, NO_FILE)
DECODE(receipt, receipt, receipt_clear, NO_FILE)
DECODE(request, request, nothing, NO_FILE)
DECODE(subscription, subscription, nothing, SOME_FILE)
DECODE(membership, membership, nothing, SOME_FILE)
DECODE(person, person, person_clear, SOME_FILE)
DECODE(message, message, message_clear, SOME_FILE)
DECODE(effective, effective, effective_clear, SOME_FILE)

static const struct decoder {
	const char *type;
	int (*read)(struct bytes in, struct err *err);
} decoders[] = {
    {"trust", trustdoc_read},
    {"beat", beat_read},
    {"shard", shard_read},
    {"head", head_read},
    {"manifest", manifest_read},
    {"manifest-2", manifest_read},
    {"receipt", receipt_read},
    {"request", request_read},
    {"subscription", subscription_read},
    {"membership", membership_read},
    {"person", person_read},
    {"message", message_read},
    {"effective", effective_read},
    {"trust-2", trustdoc_read},
    {"head-2", head_read},
    {"release", release_read},
};

/* The documents of people: what a kind of the site makes of it, under any name.  That of a
 * workstation says its name itself. */
static int kind_read(const struct site_kind *kind, struct bytes in, struct err *err)
{
	OWNED(freep) void *element = calloc(1, kind->size);
	int rc;

	if (element == NULL)
		return err_memory(err);
	rc = site_document_decode(kind, in, "name", element, err);
	kind->clear(element);
	return rc;
}

static int whole_read(const char *path, struct buf *ret)
{
	OWNED(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t piece[65536];
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		if (buf_add(ret, piece, (size_t)n, ERR_IGNORED) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

static int decode(const char *path)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	char type[64], document[72], shown[ERR_TEXT_MAX];
	struct err err = {0};
	int schema, whole;

	snprintf(type, sizeof(type), "%.*s", (int)strcspn(name, "."), name);
	/* "head-2" is head/2 */
	if (strstr(type, "-2") != NULL)
		snprintf(document, sizeof(document), "%.*s/2", (int)strcspn(type, "-"), type);
	else
		snprintf(document, sizeof(document), "%s/1", type);
	if (whole_read(path, &text) < 0 || schema_find(document) == NULL) {
		fprintf(stderr, "decode: %s cannot be read, or is of no known kind\n", path);
		return -1;
	}
	schema =
	    yaml_decode(bytes_in(&text), LIMIT_DOCUMENT, schema_find(document), name, &y, &err);
	whole = schema;
	for (size_t i = 0; whole == 0 && i < ARRAY_LEN(decoders); i++)
		if (strcmp(decoders[i].type, type) == 0)
			whole = decoders[i].read(bytes_in(&text), &err);
	for (size_t i = 0; whole == 0 && site_kinds(i) != NULL; i++)
		if (strcmp(site_kinds(i)->noun, type) == 0 && strcmp(type, "workstation") != 0)
			whole = kind_read(site_kinds(i), bytes_in(&text), &err);
	err_escape(shown, sizeof(shown), err.text);
	printf("%s\t%s\t%s\t%s\n", path, schema == 0 ? "yes" : "no", whole == 0 ? "yes" : "no",
	       shown);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (decode(argv[i]) < 0)
			return 1;
	return 0;
}
