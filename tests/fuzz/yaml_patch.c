/* SPDX-License-Identifier: ISC */
/*
 * Changes of documents: two texts with a NUL between.  Whatever the old one is, what comes out
 * means exactly what the new one means; and of a document that does not change every byte stays.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/yaml/yaml.h"

#define MAX 65536

static const struct schema *schema_of(struct bytes in)
{
	return schema_find(bytes_start(in, "satchel: user/1\n") ? "user/1" : "policy/1");
}

static void means_the_same(struct bytes a, struct bytes b, const struct schema *schema)
{
	OWNED(yaml_freep) struct yaml *x = NULL, *y = NULL;

	if (yaml_decode(a, MAX, schema, "a", &x, ERR_IGNORED) < 0 ||
	    yaml_decode(b, MAX, schema, "b", &y, ERR_IGNORED) < 0 ||
	    !node_equal(yaml_root(x), yaml_root(y)))
		abort();
}

static void stays(struct bytes in, const struct schema *schema)
{
	OWNED(buf_clear) struct buf same = BUF_INIT;

	if (yaml_patch(in, in, MAX, schema, &same, ERR_IGNORED) < 0)
		abort();
	if (bytes_equal(bytes_in(&same), in))
		return;
	/* The end of the last line is all that may come to it. */
	if (same.n != in.n + 1 || memcmp(same.p, in.p, in.n) != 0 || same.p[in.n] != '\n')
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *end = n > 0 ? memchr(p, '\0', n) : NULL;
	OWNED(buf_clear) struct buf made = BUF_INIT;
	const struct schema *schema;
	struct bytes old, new;

	if (end == NULL)
		return 0;
	old = (struct bytes){p, (size_t)(end - p)};
	new = (struct bytes){end + 1, n - old.n - 1};
	schema = schema_of(new);
	if (yaml_patch(old, new, MAX, schema, &made, ERR_IGNORED) < 0)
		return 0;
	means_the_same(bytes_in(&made), new, schema);
	stays(new, schema);
	return 0;
}
