#include "core/format/document_key.h"

#include <string.h>

#include "core/base/own.h"

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

int yaml_public_key(struct yaml_writer *w, const char *key, const struct key_public *value,
		    struct err *err)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	char *line, *end;
	int rc = key_public_text(value, &file, err);

	if (rc < 0)
		return rc;
	/* The last line; the comment before it says nothing that the key does not. */
	end = (char *)file.p + file.n;
	while (end > (char *)file.p && end[-1] == '\n')
		*--end = '\0';
	line = strrchr((char *)file.p, '\n');
	yaml_text(w, key, line != NULL ? line + 1 : (char *)file.p);
	return 0;
}
