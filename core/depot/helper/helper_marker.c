/* SPDX-License-Identifier: ISC */
/*
 * The marker is YAML that nobody has signed: it is parsed here, in the process that is confined to
 * the depot, and a number and a digest are handed over.
 */
#include <string.h>

#include "core/base/own.h"
#include "core/depot/helper/helper.h"
#include "core/format/yaml/yaml.h"

/* Nobody has signed it, so what is parsed is kept small. */
#define MARKER_MAX 4096

static int marker_parse(struct helper *h, struct digest *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc = file_read(h->root, MARKER, MARKER_MAX, &text, err);

	if (rc == RC_ABSENT)
		return MARKER_NONE;
	if (rc == 0 && text.n == 0)
		return MARKER_EMPTY;
	if (rc == 0)
		rc = yaml_decode(bytes_in(&text), MARKER_MAX, schema_find("depot/1"), MARKER, &y,
				 err);
	if (rc == 0)
		rc = node_digest(node_get(yaml_root(y), "site"), ret, err);
	return rc < 0 ? rc : MARKER_SITE;
}

int helper_marker(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct digest site;
	int marker = marker_parse(h, &site, err);
	int rc = marker < 0 ? marker : pack_number(&b, (uint64_t)marker, err);

	if (rc == 0 && marker == MARKER_SITE)
		rc = buf_add(&b, site.b, sizeof(site.b), err);
	return rc < 0 ? rc : helper_done(h, &b, err);
}
