/*
 * The home depot: is it there, and is it ours?
 */
#include <errno.h>
#include <string.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/depot/marker.h"

/* marker_check(d, site, err): enum marker, MARKER_SITE when it is ours.  Two sites in one
 * depot would each take the other's documents for forgeries. */
static int marker_check(struct depot *d, const struct digest *site, struct err *err)
{
	struct digest other;
	int rc = marker_read(d, &other, err);

	if (rc == MARKER_SITE && !digest_equal(&other, site))
		return err_set(
		    err, RC_CONFLICT,
		    "depot %s belongs to another site: choose another directory, or empty it",
		    depot_path(d));
	return rc;
}

int site_marker_post(struct depot *d, const struct digest *site, struct err *err)
{
	int rc = marker_check(d, site, err);

	if (rc < 0 || rc == MARKER_SITE)
		return rc < 0 ? rc : 0;
	return marker_post(d, site, err);
}

/* What is posted into the directory below an absent mount would count as posted, and reach nobody.
 */
int site_depot_open(struct site *s, struct depot **ret, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	int rc = depot_open(s->depot, DEPOT_WRITE, LIMIT_DEPOT_SILENCE, &d, err);

	if (rc < 0 && errno == ENOENT)
		return err_set(err, rc, "the depot %s is not there: is it mounted?", s->depot);
	if (rc == 0)
		rc = marker_check(d, &s->id, err);
	if (rc == MARKER_NONE)
		return err_set(err, RC_AGAIN,
			       "the depot %s holds no " MARKER ": is what belongs there mounted?",
			       s->depot);
	if (rc < 0)
		return rc;
	*ret = TAKE(d);
	return 0;
}

/* A dead share hangs whoever asks, so a child asks, once. */
int site_depot_where(struct site *s, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf path = BUF_INIT;
	bool found;

	if (s->depot_real != NULL)
		return 0;
	found = depot_open(s->depot, 0, LIMIT_DEPOT_SILENCE, &d, NULL) == 0 &&
		depot_where(d, &path, NULL) == 0;
	s->depot_real = strdup(found ? (const char *)path.p : "");
	return s->depot_real == NULL ? err_memory(err) : 0;
}
