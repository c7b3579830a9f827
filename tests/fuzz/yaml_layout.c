/* SPDX-License-Identifier: ISC */
/*
 * What a process that parses hands over, when it was taken over: any bytes.  What is accepted is
 * walked through as a decoder would.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/documents/documents.h"
#include "core/format/yaml/yaml_internal.h"

static size_t walk(const struct node *n)
{
	size_t seen = strlen(node_text(n, ""));

	for (size_t i = 0; i < node_count(n); i++)
		seen += walk(node_at(n, i)) + (node_key(n, i) != NULL ? strlen(node_key(n, i)) : 0);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(receipt_clear) struct receipt r = {0};

	if (yaml_unpack((struct bytes){p, n}, bytes_of("satchel: receipt/1\n"),
			schema_find("receipt/1"), "x", &y, ERR_IGNORED) < 0)
		return 0;
	if (walk(yaml_root(y)) > n * n)
		abort();
	return receipt_from(y, &r, ERR_IGNORED) < 0 ? 0 : 0;
}
