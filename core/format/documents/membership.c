/* SPDX-License-Identifier: ISC */
/*
 * membership/1: who a workstation is in its site.
 */
#include <string.h>

#include "core/format/documents/member.h"

static const struct member membership_members[] = {
    MEMBER(membership, site, "site", DIGEST),
    MEMBER(membership, id, "id", TEXT),
    MEMBER(membership, name, "name", TEXT),
    MEMBER_MAYBE(membership, decommission, "decommission", BOOL),
};

/* Below `more`: older workstations pass over it, and answer as the server then expects of them. */
static void membership_more(const struct node *more, struct membership *m)
{
	const char *text = node_text(node_get(more, "codes"), "");

	if (strlen(text) == KEY_SEAL_ID && text[strspn(text, "0123456789abcdef")] == '\0')
		memcpy(m->codes, text, sizeof(m->codes));
	m->renew = node_u64(node_get(more, "renew"), 0);
}

int membership_decode(struct bytes in, const char *file, struct membership *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct membership m = {0};
	int rc = document_read(in, LIMIT_DOCUMENT, "membership/1", file, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), membership_members, ARRAY_LEN(membership_members),
				    &m, err);
	if (rc == 0)
		rc = hex_decode(m.salt, sizeof(m.salt),
				node_text(node_get(yaml_root(y), "salt"), ""), err);
	if (rc < 0)
		return rc;
	membership_more(node_get(yaml_root(y), "more"), &m);
	*ret = m;
	return 0;
}

static int membership_again(struct bytes text, struct err *err)
{
	struct membership same;

	return membership_decode(text, NULL, &same, err);
}

int membership_encode(const struct membership *m, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	char salt[2 * sizeof(m->salt) + 1];
	int rc = document_write("membership/1", &w, err);

	if (rc < 0)
		return rc;
	hex_encode(salt, m->salt, sizeof(m->salt));
	members_encode(w, membership_members, ARRAY_LEN(membership_members), m);
	yaml_text(w, "salt", salt);
	yaml_map(w, "more");
	if (m->codes[0] != '\0')
		yaml_text(w, "codes", m->codes);
	if (m->renew > 0)
		yaml_u64(w, "renew", m->renew);
	yaml_close(w);
	return document_end(w, membership_again, ret, err);
}
