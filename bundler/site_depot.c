/*
 * The home depot: is it there, and is it ours?
 */
#include <errno.h>
#include <string.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/depot/depot.h"

#define MARKER     "satchel.yaml"
#define MARKER_MAX 4096

/* marker_check(d, site, err): 1 when the marker is ours, 0 when there is none.  Two sites in one
 * depot would each take the other's documents for forgeries. */
static int marker_check(struct depot *d, const struct digest *site, bool *there, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct digest other;
	int rc;

	*there = false;
	rc = depot_read(d, MARKER, MARKER_MAX, &text, err);
	if (rc < 0 && errno == ENOENT)
		return 0;
	*there = rc == 0;
	if (rc == 0 && text.n == 0) /* an interrupted write on a medium without a journal */
		return 0;
	if (rc == 0)
		rc = yaml_decode(bytes_in(&text), MARKER_MAX, schema_find("depot/1"), MARKER, &y,
				 err);
	if (rc == 0)
		rc = node_digest(node_get(yaml_root(y), "site"), &other, err);
	if (rc < 0)
		return err_prefix(err, "the marker " MARKER);
	if (!digest_equal(&other, site))
		return err_set(
		    err, RC_CONFLICT,
		    "depot %s belongs to another site: choose another directory, or empty it",
		    depot_path(d));
	return 1;
}

int site_marker_post(struct depot *d, const struct digest *site, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct yaml_writer *w;
	bool there;
	int rc;

	rc = marker_check(d, site, &there, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = yaml_writer_new(&w, err);
	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "depot/1");
	yaml_u64(w, "format", 1);
	yaml_digest(w, "site", site);
	rc = yaml_writer_end(w, &text, err);
	if (rc < 0)
		return rc;
	return depot_post(d, MARKER, bytes_in(&text), err);
}

/* What is posted into the directory below an absent mount would count as posted, and reach nobody.
 */
int site_depot_open(struct site *s, struct depot **ret, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	bool there = false;
	int rc = depot_open(s->depot, DEPOT_WRITE, LIMIT_DEPOT_SILENCE, &d, err);

	if (rc < 0 && errno == ENOENT)
		return err_set(err, rc, "the depot %s is not there: is it mounted?", s->depot);
	if (rc == 0)
		rc = marker_check(d, &s->id, &there, err);
	if (rc < 0)
		return rc;
	if (!there)
		return err_set(err, RC_AGAIN,
			       "the depot %s holds no " MARKER ": is what belongs there mounted?",
			       s->depot);
	*ret = TAKE(d);
	return 0;
}
