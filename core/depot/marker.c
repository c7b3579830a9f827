/* SPDX-License-Identifier: ISC */
/*
 * The marker says at a glance whose depot this is, so that a wrong path is refused before anything
 * is written.  Whoever can write the depot can write it too: it decides about convenience, never
 * about trust.
 */
#include "core/depot/marker.h"

#include <string.h>

#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "core/format/yaml/yaml.h"

int marker_read(struct depot *d, struct digest *ret, struct err *err)
{
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct buf nothing = BUF_INIT;
	uint64_t marker;
	struct bytes in;
	int rc = depot_talk(d, ASK_MARKER, &nothing, 8 + sizeof(ret->b), &answer, err);

	if (rc < 0)
		return err_prefix(err, "the marker " MARKER);
	in = bytes_in(&answer);
	if (!field_number(&in, &marker) || marker > MARKER_EMPTY ||
	    in.n != (marker == MARKER_SITE ? sizeof(ret->b) : 0))
		return depot_malformed(d, err);
	if (marker == MARKER_SITE)
		memcpy(ret->b, in.p, sizeof(ret->b));
	return (int)marker;
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
