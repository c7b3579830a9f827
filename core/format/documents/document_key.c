/* SPDX-License-Identifier: ISC */
/*
 * Public keys inside documents, checked for soundness where they are read, with file, line and
 * field in the message.
 */
#include "core/format/documents/document_key.h"

int node_any_key(const struct node *n, struct key_public *ret, struct err *err)
{
	struct err why = {0};

	if (key_public_parse(bytes_of(node_text(n, "")), ret, &why) < 0)
		return node_error(n, err, "%s", why.text);
	return 0;
}

int node_public_key(const struct node *n, enum key_kind kind, struct key_public *ret,
		    struct err *err)
{
	int rc = node_any_key(n, ret, err);

	if (rc == 0 && ret->kind != kind)
		return node_error(n, err, "is a key for %s, expected one for %s",
				  ret->kind == KEY_SIGN ? "signing" : "sealing",
				  kind == KEY_SIGN ? "signing" : "sealing");
	return rc;
}

void node_addition_key(const struct node *n, struct key_public *ret)
{
	if (n == NULL || node_public_key(n, KEY_SEAL, ret, ERR_IGNORED) < 0)
		*ret = (struct key_public){0};
}

void yaml_public_key(struct yaml_writer *w, const char *key, const struct key_public *value)
{
	char line[KEY_PUBLIC_LINE + 1];

	key_public_line(line, value);
	yaml_text(w, key, line);
}
