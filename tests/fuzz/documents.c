/* SPDX-License-Identifier: ISC */
/*
 * Every decoder of a document, chosen by the first line.  What is accepted can be written again,
 * and what was written is written the same once more.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/documents/documents.h"
#include "core/format/policy/policy.h"

/* Decode and encode; the document's own rules decide whether it is accepted. */
#define ROUND(name, type, clear, file)                                             \
	static int name##_round(struct bytes in, struct buf *ret, struct err *err) \
	{                                                                          \
		struct type v = {0};                                               \
		int rc = name##_decode(in file, &v, err);                          \
                                                                                   \
		if (rc < 0)                                                        \
			return 0; /* refused: fine */                              \
		rc = name##_encode(&v, ret, err);                                  \
		clear(&v);                                                         \
		return rc < 0 ? rc : 1;                                            \
	}
#define NO_FILE
#define SOME_FILE , "input"

static void nothing(const void *v)
{
	(void)v;
}

ROUND(trustdoc, trust, nothing, NO_FILE)
ROUND(beat, beat, nothing, NO_FILE)
ROUND(shard, shard, shard_clear, NO_FILE)
ROUND(head, head, head_clear, NO_FILE)
ROUND(release, release, release_clear, NO_FILE)
ROUND(manifest, manifest, nothing, NO_FILE)
ROUND(request, request, nothing, NO_FILE)
ROUND(subscription, subscription, nothing, SOME_FILE)
ROUND(membership, membership, nothing, SOME_FILE)
ROUND(person, person, person_clear, SOME_FILE)
ROUND(message, message, message_clear, SOME_FILE)

/* A receipt that did not fit says other things than what was read. */
static int receipt_round(struct bytes in, struct buf *ret, struct err *err)
{
	struct receipt v = {0};
	struct receipt_cut cut = {0};
	int rc = receipt_decode(in, &v, err);

	if (rc < 0)
		return 0;
	rc = receipt_encode(&v, &cut, ret, err);
	receipt_clear(&v);
	if (rc < 0)
		return rc;
	return cut.events == 0 && !cut.reasons ? 1 : 0;
}

static int effective_round(struct bytes in, struct buf *ret, struct err *err)
{
	struct effective v = {0};
	int rc = effective_decode(in, "input", &v, err);

	if (rc < 0)
		return 0;
	rc = effective_encode(&v.policy, ret, err);
	effective_clear(&v);
	return rc < 0 ? rc : 1;
}

static const struct kind {
	const char *line;
	int (*round)(struct bytes in, struct buf *ret, struct err *err);
} kinds[] = {
    {"satchel: trust/1\n", trustdoc_round},
    {"satchel: beat/1\n", beat_round},
    {"satchel: shard/1\n", shard_round},
    {"satchel: head/1\n", head_round},
    {"satchel: head/2\n", head_round},
    {"satchel: trust/2\n", trustdoc_round},
    {"satchel: release/1\n", release_round},
    {"satchel: manifest/1\n", manifest_round},
    {"satchel: manifest/2\n", manifest_round},
    {"satchel: receipt/1\n", receipt_round},
    {"satchel: request/1\n", request_round},
    {"satchel: subscription/1\n", subscription_round},
    {"satchel: membership/1\n", membership_round},
    {"satchel: person/1\n", person_round},
    {"satchel: message/1\n", message_round},
    {"satchel: effective/1\n", effective_round},
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = {p, n};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		OWNED(buf_clear) struct buf once = BUF_INIT;
		OWNED(buf_clear) struct buf twice = BUF_INIT;
		struct err err = {0};
		int rc;

		if (!bytes_start(in, kinds[i].line))
			continue;
		rc = kinds[i].round(in, &once, &err);
		/* Writing may need more room than what was read: quotes, escapes. */
		if (rc == 0 || rc == RC_LIMIT)
			return 0;
		if (rc < 0 || kinds[i].round(bytes_in(&once), &twice, &err) != 1 ||
		    !bytes_equal(bytes_in(&once), bytes_in(&twice)))
			abort();
	}
	return 0;
}
