/* SPDX-License-Identifier: ISC */
/*
 * A signed document in words.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/inspect/inspect_child.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/documents/documents.h"

static int tell_digest(struct teller *t, struct err *err, const char *name, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, d);
	return inspect_tell(t, err, name, "%s", hex);
}

static int tell_time(struct teller *t, struct err *err, const char *name, int64_t at)
{
	char text[CLOCK_TEXT + 1];

	clock_format(text, at);
	return inspect_tell(t, err, name, "%s", text);
}

static int inspect_trust(struct bytes inner, struct teller *t, struct err *err)
{
	static const char *const states[] = {"current", "retired", "revoked"};
	struct trust doc;
	int rc = trustdoc_decode(inner, &doc, err);

	if (rc < 0)
		return rc;
	inspect_tell(t, err, "what", "trust document %" PRIu64 " of site %s", doc.version,
		     doc.name);
	tell_time(t, err, "created", doc.created);
	tell_time(t, err, "expires", doc.expires);
	for (size_t r = 0; r < ROLE_COUNT; r++)
		if (trust_acting(&doc, (enum role)r) == (enum role)r)
			inspect_tell(t, err, role_names[r], "threshold %" PRIu32 ", epoch %" PRIu64,
				     doc.threshold[r], doc.epoch[r]);
	for (size_t i = 0; i < doc.keys; i++) {
		char number[KEY_NUMBER_TEXT + 1], roles[64] = "";

		for (size_t r = 0; r < ROLE_COUNT; r++)
			if (doc.key[i].roles & 1u << r) {
				strncat(roles, " ", sizeof(roles) - strlen(roles) - 1);
				strncat(roles, role_names[r], sizeof(roles) - strlen(roles) - 1);
			}
		key_number_text(number, &doc.key[i].key);
		inspect_tell(t, err, "key", "%s:%s, %s%s%s", number, roles,
			     states[doc.key[i].state],
			     doc.key[i].only[0] != '\0' ? ", only for " : "", doc.key[i].only);
	}
	return tell_digest(t, err, "identity", &doc.identity);
}

static int inspect_beat(struct bytes inner, struct teller *t, struct err *err)
{
	struct beat b;
	int rc = beat_decode(inner, &b, err);

	if (rc < 0)
		return rc;
	inspect_tell(t, err, "what", "beat %" PRIu64 " (epoch %" PRIu64 "), %zu %s, trust %" PRIu64,
		     b.sequence, b.epoch, b.shards, plural(b.shards, "shard", "shards"), b.trust);
	tell_time(t, err, "issued", b.issued);
	tell_time(t, err, "expires", b.expires);
	if (b.knock_all)
		inspect_tell(t, err, "knock", "all workstations");
	for (size_t i = 0; i < b.knocks; i++)
		inspect_tell(t, err, "knock", "%s", b.knock[i]);
	return tell_digest(t, err, "site", &b.site);
}

static int inspect_shard(struct bytes inner, struct teller *t, struct err *err)
{
	struct shard s = {0};
	int rc = shard_decode(inner, &s, err);

	if (rc < 0)
		return rc;
	inspect_tell(t, err, "what", "shard %02x: %zu %s, %zu %s", s.xx, s.channels,
		     plural(s.channels, "channel", "channels"), s.workstations,
		     plural(s.workstations, "workstation", "workstations"));
	for (size_t i = 0; i < s.channels; i++)
		inspect_tell(t, err, "channel", "%s: generation %" PRIu64 " (epoch %" PRIu64 ")",
			     s.channel[i].name, s.channel[i].generation, s.channel[i].epoch);
	for (size_t i = 0; i < s.workstations; i++)
		inspect_tell(
		    t, err, "workstation",
		    "%s: private generation %" PRIu64 ", receipts up to %" PRIu64 " recorded",
		    s.workstation[i].id, s.workstation[i].generation, s.workstation[i].receipt);
	rc = tell_digest(t, err, "site", &s.site);
	shard_clear(&s);
	return rc;
}

static int inspect_head(struct bytes inner, struct teller *t, struct err *err)
{
	struct head h = {0};
	int rc = head_decode(inner, &h, err);

	if (rc < 0)
		return rc;
	inspect_tell(t, err, "what",
		     "head of channel %s: generation %" PRIu64 " (epoch %" PRIu64 ")", h.channel,
		     h.generation, h.epoch);
	tell_time(t, err, "created", h.created);
	tell_digest(t, err, "tree", &h.tree);
	if (h.release.n > 0)
		inspect_tell(t, err, "release", "inside, %zu bytes", h.release.n);
	for (size_t i = 0; i < h.bundles; i++)
		inspect_tell(t, err, "bundle", "%" PRIu64 " -> %" PRIu64 ", %" PRIu64 " bytes",
			     h.bundle[i].base, h.bundle[i].generation, h.bundle[i].size);
	rc = tell_digest(t, err, "site", &h.site);
	head_clear(&h);
	return rc;
}

/* `says` names one tree: site, channel, epoch, generation, tree. */
static int tell_tree(struct teller *t, const struct release *r, uint64_t generation,
		     const struct digest *tree, struct err *err)
{
	char site[DIGEST_HEX + 1], hex[DIGEST_HEX + 1];

	digest_hex(site, &r->site);
	digest_hex(hex, tree);
	return inspect_tell(t, err, "says", "%s %s %" PRIu64 " %" PRIu64 " %s", site, r->channel,
			    r->epoch, generation, hex);
}

static int inspect_release(struct bytes inner, struct teller *t, struct err *err)
{
	OWNED(release_clear) struct release r = {0};
	int rc = release_decode(inner, &r, err);

	if (rc < 0)
		return rc;
	inspect_tell(t, err, "what",
		     "release of channel %s: generation %" PRIu64 " (epoch %" PRIu64 ")", r.channel,
		     r.generation, r.epoch);
	tell_time(t, err, "created", r.created);
	tell_digest(t, err, "tree", &r.tree);
	rc = tell_tree(t, &r, r.generation, &r.tree, err);
	for (size_t i = 0; rc == 0 && i < r.befores; i++)
		rc = tell_tree(t, &r, r.before[i].generation, &r.before[i].tree, err);
	return rc < 0 ? rc : tell_digest(t, err, "site", &r.site);
}

int inspect_document(struct bytes inner, struct teller *t, struct err *err)
{
	static const struct {
		const char *type;
		int (*inspection)(struct bytes inner, struct teller *t, struct err *err);
	} rows[] = {{"trust/1", inspect_trust},     {"trust/2", inspect_trust},
		    {"release/1", inspect_release}, {"head/2", inspect_head},
		    {"beat/1", inspect_beat},       {"shard/1", inspect_shard},
		    {"head/1", inspect_head}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (signed_type(inner, rows[i].type))
			return rows[i].inspection(inner, t, err);
	return err_set(err, RC_MALFORMED,
		       "this version does not know this type of signed document");
}
