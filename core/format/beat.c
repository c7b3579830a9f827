/*
 * beat/1: what is current in the whole site.
 */
#include <string.h>

#include "core/format/member.h"

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
	*ret = b;
	return 0;
}

static int beat_again(struct bytes text, struct err *err)
{
	struct beat same;

	return beat_decode(text, &same, err);
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
	return document_end(w, beat_again, ret, err);
}
