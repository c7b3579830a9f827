#include "core/depot/marker.h"

#include <errno.h>

#include "core/base/own.h"
#include "core/format/yaml.h"

/* Nobody has signed it, so what is parsed is kept small. */
#define MARKER_MAX 4096

int marker_read(struct depot *d, struct digest *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc = depot_read(d, MARKER, MARKER_MAX, &text, err);

	if (rc == RC_IO && errno == ENOENT)
		return MARKER_NONE;
	if (rc == 0 && text.n == 0)
		return MARKER_EMPTY;
	if (rc == 0)
		rc = yaml_decode(bytes_in(&text), MARKER_MAX, schema_find("depot/1"), MARKER, &y,
				 err);
	if (rc == 0)
		rc = node_digest(node_get(yaml_root(y), "site"), ret, err);
	return rc < 0 ? err_prefix(err, "the marker " MARKER) : MARKER_SITE;
}

int marker_post(struct depot *d, const struct digest *site, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "depot/1");
	yaml_u64(w, "format", 1);
	yaml_digest(w, "site", site);
	rc = yaml_writer_end(w, &text, err);
	/* In pieces, because that removes what a writer that was killed has left. */
	if (rc == 0)
		rc = depot_stream_begin(d, MARKER, text.n, true, err);
	if (rc == 0)
		rc = depot_stream_more(d, bytes_in(&text), err);
	if (rc == 0)
		rc = depot_stream_commit(d, err);
	if (rc < 0)
		depot_stream_abort(d);
	return rc;
}
