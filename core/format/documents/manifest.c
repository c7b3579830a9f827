/* SPDX-License-Identifier: ISC */
/*
 * manifest/1 and manifest/2: what a bundle holds.  A manifest/2 is that of a sealed channel: all
 * who are to read it have its content key, of which the manifest says the number.
 */
#include <inttypes.h>
#include <string.h>

#include "core/format/documents/member.h"

static const struct member manifest_members[] = {
    MEMBER(manifest, site, "site", DIGEST),
    MEMBER_MAYBE(manifest, channel, "channel", TEXT),
    MEMBER(manifest, epoch, "epoch", U64),
    MEMBER(manifest, base, "base", U64),
    MEMBER(manifest, generation, "generation", U64),
    MEMBER(manifest, base_tree, "base-tree", DIGEST),
    MEMBER(manifest, tree, "tree", DIGEST),
    MEMBER(manifest, created, "created", TIME),
    MEMBER(manifest, minimum, "minimum", U64),
    MEMBER(manifest, content, "content", U64),
    MEMBER(manifest, unpacked, "unpacked", U64),
};

/* Fields of the maps below it. */
static const struct member count_members[] = {
    MEMBER(manifest, count[0], "put", U64),       MEMBER(manifest, count[1], "patch", U64),
    MEMBER(manifest, count[2], "copy", U64),      MEMBER(manifest, count[3], "link", U64),
    MEMBER(manifest, count[4], "directory", U64), MEMBER(manifest, count[5], "meta", U64),
    MEMBER(manifest, count[6], "delete", U64),
};
static const struct member payload_members[] = {
    MEMBER(manifest, payload, "size", U64),
    MEMBER(manifest, blocks, "blocks", DIGEST),
};
static const struct member changes_members[] = {
    MEMBER(manifest, changes_size, "size", U64),
    MEMBER(manifest, changes, "digest", DIGEST),
};

bool manifest_type(struct bytes inner)
{
	return signed_type(inner, "manifest/1") || signed_type(inner, "manifest/2");
}

bool manifest_sealed(const struct manifest *m)
{
	return m->recipient[0] != '\0' || m->key > 0;
}

/* To a workstation, or to all who have the content key of the channel. */
static int manifest_sealing(const struct node *map, struct manifest *m, struct err *err)
{
	const struct node *number = node_get(map, "key-number");
	int rc;

	if (map == NULL)
		return 0;
	if (number != NULL) {
		m->key = node_u64(number, 0);
		rc =
		    node_base64(node_get(map, "salt"), m->sealed_salt, sizeof(m->sealed_salt), err);
	} else {
		rc = node_copy(node_get(map, "recipient"), m->recipient, sizeof(m->recipient), err);
		if (rc == 0)
			rc = node_base64(node_get(map, "key"), m->sealed_key, sizeof(m->sealed_key),
					 err);
	}
	if (rc == 0)
		rc = node_base64(node_get(map, "header"), m->stream_header,
				 sizeof(m->stream_header), err);
	return rc;
}

/* What the schema cannot say. */
static int manifest_check(const struct node *root, const struct manifest *m, struct err *err)
{
	const uint64_t newest = m->key > 0 ? MANIFEST_NEWEST : 1;

	if (m->minimum > newest)
		return node_error(node_get(root, "minimum"), err,
				  "it needs a reader of format %" PRIu64 "; this one reads %" PRIu64
				  ": install a newer satchel",
				  m->minimum, newest);
	if (m->base >= m->generation)
		return node_error(node_get(root, "base"), err, "it must be below the generation");
	if (m->private_channel && m->recipient[0] == '\0')
		return node_error(root, err, "neither a channel nor a sealing is given");
	if (m->private_channel && m->base != 0)
		return node_error(node_get(root, "base"), err,
				  "the bundle of a private channel starts from 0");
	if (m->changes_size > m->unpacked)
		return node_error(node_get(root, "changes"), err,
				  "the list of changes is larger than what holds it");
	return 0;
}

int manifest_decode(struct bytes in, struct manifest *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct manifest m = {0};
	const struct node *root;
	bool second = signed_type(in, "manifest/2");
	int rc =
	    document_read(in, LIMIT_MANIFEST, second ? "manifest/2" : "manifest/1", NULL, &y, err);

	if (rc < 0)
		return rc;
	root = yaml_root(y);
	m.private_channel = node_get(root, "channel") == NULL;
	rc = members_decode(root, manifest_members, ARRAY_LEN(manifest_members), &m, err);
	if (rc == 0)
		rc = members_decode(node_get(root, "count"), count_members,
				    ARRAY_LEN(count_members), &m, err);
	if (rc == 0)
		rc = members_decode(node_get(root, "payload"), payload_members,
				    ARRAY_LEN(payload_members), &m, err);
	if (rc == 0)
		rc = members_decode(node_get(root, "changes"), changes_members,
				    ARRAY_LEN(changes_members), &m, err);
	if (rc == 0)
		rc = manifest_sealing(node_get(root, "sealing"), &m, err);
	if (rc == 0)
		rc = manifest_check(root, &m, err);
	if (rc < 0)
		return rc;
	*ret = m;
	return 0;
}

static void manifest_sealing_encode(struct yaml_writer *w, const struct manifest *m)
{
	char key[BASE64_LEN(sizeof(m->sealed_key)) + 1];
	char header[BASE64_LEN(sizeof(m->stream_header)) + 1];

	char salt[BASE64_LEN(sizeof(m->sealed_salt)) + 1];

	if (!manifest_sealed(m))
		return;
	base64_encode(key, sizeof(key), m->sealed_key, sizeof(m->sealed_key));
	base64_encode(salt, sizeof(salt), m->sealed_salt, sizeof(m->sealed_salt));
	base64_encode(header, sizeof(header), m->stream_header, sizeof(m->stream_header));
	yaml_map(w, "sealing");
	if (m->key > 0) {
		yaml_u64(w, "key-number", m->key);
		yaml_text(w, "header", header);
		yaml_text(w, "salt", salt);
	} else {
		yaml_text(w, "recipient", m->recipient);
		yaml_text(w, "key", key);
		yaml_text(w, "header", header);
	}
	yaml_close(w);
}

static int manifest_again(struct bytes text, struct err *err)
{
	struct manifest same;

	return manifest_decode(text, &same, err);
}

int manifest_encode(const struct manifest *m, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	int rc;

	if (m->private_channel != (m->channel[0] == '\0'))
		return err_set(err, RC_INTERNAL,
			       "a manifest names a channel exactly when it is not private");
	if (m->key > 0 && m->recipient[0] != '\0')
		return err_set(err, RC_INTERNAL, "a manifest is sealed in one way");
	rc = document_write(m->key > 0 ? "manifest/2" : "manifest/1", &w, err);
	if (rc < 0)
		return rc;
	members_encode(w, manifest_members, ARRAY_LEN(manifest_members), m);
	yaml_map(w, "count");
	members_encode(w, count_members, ARRAY_LEN(count_members), m);
	yaml_close(w);
	yaml_map(w, "payload");
	members_encode(w, payload_members, 1, m);
	yaml_u64(w, "block-size", BLOCK_BYTES);
	members_encode(w, payload_members + 1, 1, m);
	yaml_close(w);
	yaml_map(w, "changes");
	members_encode(w, changes_members, ARRAY_LEN(changes_members), m);
	yaml_close(w);
	manifest_sealing_encode(w, m);
	return document_end(w, manifest_again, ret, err);
}
