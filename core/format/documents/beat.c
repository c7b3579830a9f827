/* SPDX-License-Identifier: ISC */
/*
 * beat/1: what is current in the whole site.
 */
#include <string.h>

#include "core/format/documents/member.h"

static const struct member beat_members[] = {
    MEMBER(beat, site, "site", DIGEST),      MEMBER(beat, epoch, "epoch", U64),
    MEMBER(beat, sequence, "sequence", U64), MEMBER(beat, issued, "issued", TIME),
    MEMBER(beat, expires, "expires", TIME),  MEMBER(beat, trust, "trust", U64),
};

static int beat_shards(const struct node *map, struct beat *ret, struct err *err)
{
	for (size_t i = 0; i < node_count(map); i++) {
		struct beat_shard *s = &ret->shard[i];
		int rc = hex_decode(&s->xx, 1, node_key(map, i), err);

		if (rc == 0)
			rc = node_digest(node_at(map, i), &s->digest, err);
		if (rc < 0)
			return rc;
		if (i > 0 && s->xx <= ret->shard[i - 1].xx)
			return node_error(node_at(map, i), err,
					  "shards must be in ascending order");
	}
	ret->shards = node_count(map);
	return 0;
}

static bool id_is(const char *text)
{
	return strlen(text) == WORKSTATION_ID && text[strspn(text, "0123456789abcdef")] == '\0';
}

/* Additions are not checked by the schema; what is not understood is passed over, as an older
 * reader does. */
static void beat_knock(const struct node *list, struct beat *ret)
{
	for (size_t i = 0; node_is_list(list) && i < node_count(list); i++) {
		const char *text = node_text(node_at(list, i), "");

		if (strcmp(text, "all") == 0 || ret->knocks == BEAT_KNOCKS)
			ret->knock_all = true;
		else if (id_is(text))
			memcpy(ret->knock[ret->knocks++], text, WORKSTATION_ID + 1);
	}
}

int beat_decode(struct bytes in, struct beat *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct beat b = {0};
	int rc = document_read(in, LIMIT_DOCUMENT, "beat/1", NULL, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), beat_members, ARRAY_LEN(beat_members), &b, err);
	if (rc == 0)
		rc = beat_shards(node_get(yaml_root(y), "shards"), &b, err);
	if (rc < 0)
		return rc;
	if (b.expires < b.issued)
		return node_error(node_get(yaml_root(y), "expires"), err,
				  "it expires before it was issued");
	beat_knock(node_get(node_get(yaml_root(y), "more"), "knock"), &b);
	b.recovered = node_u64(node_get(node_get(yaml_root(y), "more"), "recovered"), 0);
	*ret = b;
	return 0;
}

static int beat_again(struct bytes text, struct err *err)
{
	struct beat same;

	return beat_decode(text, &same, err);
}

static void beat_knock_encode(const struct beat *b, struct yaml_writer *w)
{
	yaml_map(w, "more");
	yaml_list(w, "knock");
	if (b->knock_all)
		yaml_text(w, NULL, "all");
	for (size_t i = 0; i < b->knocks; i++)
		yaml_text(w, NULL, b->knock[i]);
	yaml_close(w);
	if (b->recovered > 0)
		yaml_u64(w, "recovered", b->recovered);
	yaml_close(w);
}

int beat_encode(const struct beat *b, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	int rc = document_write("beat/1", &w, err);

	if (rc < 0)
		return rc;
	members_encode(w, beat_members, ARRAY_LEN(beat_members), b);
	yaml_map(w, "shards");
	for (size_t i = 0; i < b->shards; i++) {
		char xx[3];

		hex_encode(xx, &b->shard[i].xx, 1);
		yaml_digest(w, xx, &b->shard[i].digest);
	}
	yaml_close(w);
	beat_knock_encode(b, w);
	return document_end(w, beat_again, ret, err);
}
