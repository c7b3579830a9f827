/* SPDX-License-Identifier: ISC */
/*
 * trust/1 and trust/2: which keys hold which role.  In format 2 private channels, and the ways to a
 * tree, have a role of their own, and a publish key may be for some channels only.
 */
#include <string.h>

#include "core/format/documents/document_key.h"
#include "core/format/documents/member.h"

static const char *const state_names[] = {"current", "retired", "revoked"};

static const struct member trust_members[] = {
    MEMBER(trust, name, "name", TEXT),
    MEMBER(trust, version, "version", U64),
    MEMBER(trust, created, "created", TIME),
    MEMBER(trust, expires, "expires", TIME),
    MEMBER_MAYBE(trust, previous, "previous", DIGEST),
};

static int trustdoc_roles_of_key(const struct node *list, struct trust_key *k, struct err *err)
{
	for (size_t i = 0; i < node_count(list); i++)
		for (unsigned role = 0; role < ROLE_COUNT; role++) {
			if (strcmp(node_text(node_at(list, i), ""), role_names[role]) != 0)
				continue;
			if (k->roles & (1u << role))
				return node_error(node_at(list, i), err, "a role appears twice");
			k->roles |= 1u << role;
		}
	return 0;
}

static int trustdoc_keys(const struct node *list, struct trust *t, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < node_count(list); i++) {
		struct trust_key *k = &t->key[t->keys++];
		const struct node *n = node_at(list, i);
		const char *state = node_text(node_get(n, "state"), "");

		for (unsigned s = 0; s < ARRAY_LEN(state_names); s++)
			if (strcmp(state, state_names[s]) == 0)
				k->state = (enum key_state)s;
		rc = node_any_key(node_get(n, "key"), &k->key, err);
		if (rc == 0)
			rc = trustdoc_roles_of_key(node_get(n, "roles"), k, err);
		if (rc == 0 && node_get(n, "only") != NULL)
			rc = node_copy(node_get(n, "only"), k->only, sizeof(k->only), err);
	}
	return rc;
}

static const char *trust_type(const struct trust *t)
{
	return t->format < 2 ? "trust/1" : "trust/2";
}

int trustdoc_decode(struct bytes in, struct trust *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct trust t = {.format = signed_type(in, "trust/2") ? 2 : 1};
	const struct node *root;
	int rc = document_read(in, LIMIT_DOCUMENT, trust_type(&t), NULL, &y, err);

	if (rc < 0)
		return rc;
	root = yaml_root(y);
	rc = members_decode(root, trust_members, ARRAY_LEN(trust_members), &t, err);
	if (rc == 0)
		rc = trustdoc_keys(node_get(root, "keys"), &t, err);
	if (rc < 0)
		return rc;
	for (unsigned role = 0; role < ROLE_COUNT; role++) {
		const struct node *n = node_get(node_get(root, "roles"), role_names[role]);

		t.threshold[role] = (uint32_t)node_u64(node_get(n, "threshold"), 0);
		t.epoch[role] = node_u64(node_get(n, "epoch"), 0);
	}
	if ((t.version == 1) != (node_get(root, "previous") == NULL))
		return node_error(root, err,
				  "the version before it is named exactly from version 2 on");
	t.identity = digest_of(in);
	rc = trust_check(&t, err);
	if (rc < 0)
		return rc;
	*ret = t;
	return 0;
}

static void trustdoc_encode_keys(struct yaml_writer *w, const struct trust *t)
{
	yaml_list(w, "keys");
	for (size_t i = 0; i < t->keys; i++) {
		const struct trust_key *k = &t->key[i];

		yaml_map(w, NULL);
		yaml_public_key(w, "key", &k->key);
		yaml_text(w, "state", state_names[k->state]);
		yaml_list(w, "roles");
		for (unsigned role = 0; role < ROLE_COUNT; role++)
			if (k->roles & (1u << role))
				yaml_text(w, NULL, role_names[role]);
		yaml_close(w);
		if (k->only[0] != '\0')
			yaml_text(w, "only", k->only);
		yaml_close(w);
	}
	yaml_close(w);
}

static int trustdoc_again(struct bytes text, struct err *err)
{
	struct trust same;

	return trustdoc_decode(text, &same, err);
}

int trustdoc_encode(const struct trust *t, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	int rc = document_write(trust_type(t), &w, err);

	if (rc < 0)
		return rc;
	members_encode(w, trust_members, ARRAY_LEN(trust_members), t);
	trustdoc_encode_keys(w, t);
	yaml_map(w, "roles");
	for (unsigned role = 0; role < ROLE_COUNT; role++) {
		if (trust_acting(t, (enum role)role) != (enum role)role)
			continue;
		yaml_map(w, role_names[role]);
		yaml_u64(w, "threshold", t->threshold[role]);
		yaml_u64(w, "epoch", t->epoch[role]);
		yaml_close(w);
	}
	yaml_close(w);
	return document_end(w, trustdoc_again, ret, err);
}
