/* SPDX-License-Identifier: ISC */
/*
 * shard/1: one of 256 lists of what is current.
 */
#include <string.h>

#include "core/format/documents/member.h"

static const struct member channel_members[] = {
    MEMBER(shard_channel, epoch, "epoch", U64),
    MEMBER(shard_channel, generation, "generation", U64),
    MEMBER(shard_channel, head, "head", DIGEST),
};

static const struct member workstation_members[] = {
    MEMBER(shard_workstation, epoch, "epoch", U64),
    MEMBER(shard_workstation, generation, "generation", U64),
    MEMBER_MAYBE(shard_workstation, manifest, "manifest", DIGEST),
    MEMBER(shard_workstation, receipt, "receipt", U64),
};

uint8_t shard_of(const char *name_or_id)
{
	return digest_of(bytes_of(name_or_id)).b[0];
}

/* The key of entry ${i}: ascending, and at home in this shard. */
static int shard_key(const struct node *map, size_t i, uint8_t xx, char *dst, size_t size,
		     struct err *err)
{
	const char *key = node_key(map, i);

	if (strlen(key) >= size)
		return node_error(node_at(map, i), err, "the key is too long");
	memcpy(dst, key, strlen(key) + 1);
	if (i > 0 && strcmp(node_key(map, i - 1), key) >= 0)
		return node_error(node_at(map, i), err, "the keys must be in ascending order");
	if (shard_of(key) != xx)
		return node_error(node_at(map, i), err, "belongs to shard %02x, not to %02x",
				  shard_of(key), xx);
	return 0;
}

static int shard_channels(const struct node *map, struct shard *s, struct err *err)
{
	int rc = items_new(node_count(map), sizeof(*s->channel), (void **)&s->channel, err);

	for (size_t i = 0; rc == 0 && i < node_count(map); i++) {
		struct shard_channel *c = &s->channel[s->channels++];

		rc = shard_key(map, i, s->xx, c->name, sizeof(c->name), err);
		if (rc == 0)
			rc = members_decode(node_at(map, i), channel_members,
					    ARRAY_LEN(channel_members), c, err);
	}
	return rc;
}

static int shard_workstations(const struct node *map, struct shard *s, struct err *err)
{
	int rc = items_new(node_count(map), sizeof(*s->workstation), (void **)&s->workstation, err);

	for (size_t i = 0; rc == 0 && i < node_count(map); i++) {
		struct shard_workstation *w = &s->workstation[s->workstations++];
		const struct node *n = node_at(map, i);

		rc = shard_key(map, i, s->xx, w->id, sizeof(w->id), err);
		if (rc == 0)
			rc = members_decode(n, workstation_members, ARRAY_LEN(workstation_members),
					    w, err);
		if (rc == 0 && (w->generation == 0) != (node_get(n, "manifest") == NULL))
			rc = node_error(n, err,
					"a manifest is given exactly when the generation is not 0");
	}
	return rc;
}

int shard_decode(struct bytes in, struct shard *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(shard_clear) struct shard s = {0};
	int rc = document_read(in, LIMIT_DOCUMENT, "shard/1", NULL, &y, err);

	if (rc < 0)
		return rc;
	rc = node_digest(node_get(yaml_root(y), "site"), &s.site, err);
	if (rc == 0)
		rc = hex_decode(&s.xx, 1, node_text(node_get(yaml_root(y), "shard"), ""), err);
	if (rc == 0)
		rc = shard_channels(node_get(yaml_root(y), "channels"), &s, err);
	if (rc == 0)
		rc = shard_workstations(node_get(yaml_root(y), "workstations"), &s, err);
	if (rc < 0)
		return rc;
	*ret = s;
	s = (struct shard){0};
	return 0;
}

static int shard_again(struct bytes text, struct err *err)
{
	OWNED(shard_clear) struct shard same = {0};

	return shard_decode(text, &same, err);
}

int shard_encode(const struct shard *s, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	char xx[3];
	int rc = document_write("shard/1", &w, err);

	if (rc < 0)
		return rc;
	hex_encode(xx, &s->xx, 1);
	yaml_digest(w, "site", &s->site);
	yaml_text(w, "shard", xx);
	yaml_map(w, "channels");
	for (size_t i = 0; i < s->channels; i++) {
		yaml_map(w, s->channel[i].name);
		members_encode(w, channel_members, ARRAY_LEN(channel_members), &s->channel[i]);
		yaml_close(w);
	}
	yaml_close(w);
	yaml_map(w, "workstations");
	for (size_t i = 0; i < s->workstations; i++) {
		yaml_map(w, s->workstation[i].id);
		members_encode(w, workstation_members, ARRAY_LEN(workstation_members),
			       &s->workstation[i]);
		yaml_close(w);
	}
	yaml_close(w);
	return document_end(w, shard_again, ret, err);
}

void shard_clear(struct shard *s)
{
	free(s->channel);
	free(s->workstation);
	*s = (struct shard){0};
}
