/*
 * A signed document in words.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/look.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/documents.h"

static int tell_digest(struct teller *t, struct err *err, const char *name, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, d);
	return tell(t, err, name, "%s", hex);
}

static int tell_time(struct teller *t, struct err *err, const char *name, int64_t at)
{
	char text[CLOCK_TEXT + 1];

	clock_format(text, at);
	return tell(t, err, name, "%s", text);
}

static int look_trust(struct bytes inner, struct teller *t, struct err *err)
{
	static const char *const states[] = {"current", "retired", "revoked"};
	struct trust doc;
	int rc = trustdoc_decode(inner, &doc, err);

	if (rc < 0)
		return rc;
	tell(t, err, "what", "trust document %" PRIu64 " of site %s", doc.version, doc.name);
	tell_time(t, err, "created", doc.created);
	tell_time(t, err, "expires", doc.expires);
	for (size_t r = 0; r < ROLE_COUNT; r++)
		tell(t, err, role_names[r], "threshold %" PRIu32 ", epoch %" PRIu64,
		     doc.threshold[r], doc.epoch[r]);
	for (size_t i = 0; i < doc.keys; i++) {
		char number[KEY_NUMBER_TEXT + 1], roles[64] = "";

		for (size_t r = 0; r < ROLE_COUNT; r++)
			if (doc.key[i].roles & 1u << r) {
				strncat(roles, " ", sizeof(roles) - strlen(roles) - 1);
				strncat(roles, role_names[r], sizeof(roles) - strlen(roles) - 1);
			}
		key_number_text(number, &doc.key[i].key);
		tell(t, err, "key", "%s:%s, %s", number, roles, states[doc.key[i].state]);
	}
	return tell_digest(t, err, "identity", &doc.identity);
}

static int look_beat(struct bytes inner, struct teller *t, struct err *err)
{
	struct beat b;
	int rc = beat_decode(inner, &b, err);

	if (rc < 0)
		return rc;
	tell(t, err, "what", "beat %" PRIu64 " (epoch %" PRIu64 "), %zu shards, trust %" PRIu64,
	     b.sequence, b.epoch, b.shards, b.trust);
	tell_time(t, err, "issued", b.issued);
	tell_time(t, err, "expires", b.expires);
	if (b.knock_all)
		tell(t, err, "knock", "all workstations");
	for (size_t i = 0; i < b.knocks; i++)
		tell(t, err, "knock", "%s", b.knock[i]);
	return tell_digest(t, err, "site", &b.site);
}

static int look_shard(struct bytes inner, struct teller *t, struct err *err)
{
	struct shard s = {0};
	int rc = shard_decode(inner, &s, err);

	if (rc < 0)
		return rc;
	tell(t, err, "what", "shard %02x: %zu channels, %zu workstations", s.xx, s.channels,
	     s.workstations);
	for (size_t i = 0; i < s.channels; i++)
		tell(t, err, "channel", "%s: generation %" PRIu64 " (epoch %" PRIu64 ")",
		     s.channel[i].name, s.channel[i].generation, s.channel[i].epoch);
	for (size_t i = 0; i < s.workstations; i++)
		tell(t, err, "workstation",
		     "%s: private generation %" PRIu64 ", receipts up to %" PRIu64 " recorded",
		     s.workstation[i].id, s.workstation[i].generation, s.workstation[i].receipt);
	rc = tell_digest(t, err, "site", &s.site);
	shard_clear(&s);
	return rc;
}

static int look_head(struct bytes inner, struct teller *t, struct err *err)
{
	struct head h = {0};
	int rc = head_decode(inner, &h, err);

	if (rc < 0)
		return rc;
	tell(t, err, "what", "head of channel %s: generation %" PRIu64 " (epoch %" PRIu64 ")",
	     h.channel, h.generation, h.epoch);
	tell_time(t, err, "created", h.created);
	tell_digest(t, err, "tree", &h.tree);
	for (size_t i = 0; i < h.bundles; i++)
		tell(t, err, "bundle", "%" PRIu64 " -> %" PRIu64 ", %" PRIu64 " bytes",
		     h.bundle[i].base, h.bundle[i].generation, h.bundle[i].size);
	rc = tell_digest(t, err, "site", &h.site);
	head_clear(&h);
	return rc;
}

int look_document(struct bytes inner, struct teller *t, struct err *err)
{
	static const struct {
		const char *type;
		int (*look)(struct bytes inner, struct teller *t, struct err *err);
	} rows[] = {{"trust/1", look_trust},
		    {"beat/1", look_beat},
		    {"shard/1", look_shard},
		    {"head/1", look_head}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (signed_type(inner, rows[i].type))
			return rows[i].look(inner, t, err);
	return err_set(err, RC_MALFORMED,
		       "a signed document of a type that this version does not know");
}
