/* SPDX-License-Identifier: ISC */
/*
 * person/1: a user who is active on a workstation, and the keys handed out there.
 */
#include <string.h>

#include "core/format/documents/member.h"

static const struct member person_members[] = {
    MEMBER(person, email, "email", TEXT),
    MEMBER(person, name, "name", FOREIGN),
    MEMBER(person, account, "account", TEXT),
    MEMBER_MAYBE(person, group, "group", TEXT),
};

void person_id(char dst[17], const char *email)
{
	struct digest d = digest_of(bytes_of(email));

	hex_encode(dst, d.b, 8);
}

static int key_versions(const struct node *map, struct person_key *k, struct err *err)
{
	const struct node *older = node_get(map, "older");

	k->current = node_u64(node_get(map, "current"), 0);
	for (size_t i = 0; i < node_count(older); i++) {
		uint64_t version = node_u64(node_at(older, i), 0);
		uint64_t before = i > 0 ? k->older[i - 1] : 0;

		if (version <= before || version >= k->current)
			return node_error(
			    node_at(older, i), err,
			    "older versions are ascending, and below the current one");
		k->older[k->olders++] = version;
	}
	return 0;
}

static int person_keys(const struct node *map, struct person *p, struct err *err)
{
	int rc = items_new(node_count(map), sizeof(*p->key), (void **)&p->key, err);

	for (size_t i = 0; rc == 0 && i < node_count(map); i++) {
		struct person_key *k = &p->key[p->keys++];
		const char *name = node_key(map, i);

		if (strlen(name) >= sizeof(k->name))
			return node_error(node_at(map, i), err, "the key is too long");
		memcpy(k->name, name, strlen(name) + 1);
		rc = key_versions(node_at(map, i), k, err);
		if (rc == 0 && i > 0 && strcmp(node_key(map, i - 1), name) >= 0)
			rc = node_error(node_at(map, i), err, "names must be in ascending order");
	}
	return rc;
}

int person_decode(struct bytes in, const char *file, struct person *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(person_clear) struct person p = {.keys = 0};
	int rc = document_read(in, LIMIT_DOCUMENT, "person/1", file, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), person_members, ARRAY_LEN(person_members), &p,
				    err);
	if (rc == 0)
		rc = person_keys(node_get(yaml_root(y), "keys"), &p, err);
	if (rc < 0)
		return rc;
	*ret = p;
	p = (struct person){.keys = 0};
	return 0;
}

static int person_again(struct bytes text, struct err *err)
{
	OWNED(person_clear) struct person same = {.keys = 0};

	return person_decode(text, NULL, &same, err);
}

int person_encode(const struct person *p, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	int rc = document_write("person/1", &w, err);

	if (rc < 0)
		return rc;
	members_encode(w, person_members, ARRAY_LEN(person_members), p);
	yaml_map(w, "keys");
	for (size_t i = 0; i < p->keys; i++) {
		const struct person_key *k = &p->key[i];

		yaml_map(w, k->name);
		yaml_u64(w, "current", k->current);
		yaml_list(w, "older");
		for (size_t v = 0; v < k->olders; v++)
			yaml_u64(w, NULL, k->older[v]);
		yaml_close(w);
		yaml_close(w);
	}
	yaml_close(w);
	return document_end(w, person_again, ret, err);
}

void person_clear(struct person *p)
{
	free(p->key);
	*p = (struct person){.keys = 0};
}
