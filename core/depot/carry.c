#include "core/depot/carry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry_internal.h"
#include "core/depot/marker.h"
#include "core/format/trustchain.h"

void run_clear(struct run *r)
{
	for (enum at at = 0; at < ATS; at++)
		r->depot[at] = depot_free(r->depot[at]);
	known_clear(&r->known);
	buf_clear(&r->paths);
	free(r->move);
	r->move = NULL;
}

static int depots_open(struct run *r, struct err *err)
{
	const struct carry *c = r->c;
	OWNED(buf_clear) struct buf from = BUF_INIT, to = BUF_INIT;
	enum depot_flags flags = DEPOT_WRITE | DEPOT_VERIFY;
	bool dry = (c->flags & CARRY_DRY_RUN) != 0;
	int rc = depot_open(c->from, flags, c->silence_s, &r->depot[AT_FROM], err);

	if (rc == 0 && (c->flags & CARRY_CREATE) && !dry)
		flags |= DEPOT_CREATE;
	if (rc == 0 && (c->flags & CARRY_NO_LINK))
		flags |= DEPOT_NO_LINK;
	if (rc == 0)
		rc = depot_open(c->to, flags, c->silence_s, &r->depot[AT_TO], err);
	if (rc == RC_IO && errno == ENOENT && r->depot[AT_FROM] != NULL && dry &&
	    (c->flags & CARRY_CREATE))
		return 0; /* as if it were empty */
	if (rc == 0)
		rc = depot_where(r->depot[AT_FROM], &from, err);
	if (rc == 0)
		rc = depot_where(r->depot[AT_TO], &to, err);
	if (rc < 0)
		return rc;
	if (bytes_equal(bytes_in(&from), bytes_in(&to)))
		return err_set(err, RC_USAGE, "%s and %s are the same directory", c->from, c->to);
	snprintf(r->result->from_where, sizeof(r->result->from_where), "%s", (char *)from.p);
	snprintf(r->result->to_where, sizeof(r->result->to_where), "%s", (char *)to.p);
	return 0;
}

/* Version 1 of some site lies there; is it this one (or any, while ${site} is zero)? */
struct first {
	struct depot *d;
	struct digest *site;
	bool other, ours;
	unsigned tries;
};

static int first_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct first *f = arg;
	struct trust *t;
	struct signed_doc doc;
	char path[DEPOT_NAME];
	struct name name;
	int rc;

	snprintf(path, sizeof(path), "trust/%.200s", file);
	if (f->ours || f->tries == 0 || name_parse(path, &name) != NAME_TRUST || name.number != 1)
		return 0;
	f->tries--;
	rc = depot_read(f->d, path, LIMIT_DOCUMENT, &raw, err);
	if (rc < 0 || signed_split(bytes_in(&raw), LIMIT_LAYERS, &doc, NULL) < 0)
		return carry_fatal(rc) ? rc : 0;
	t = malloc(sizeof(*t));
	if (t == NULL)
		return err_memory(err);
	rc = trustchain_first(bytes_in(&raw), &doc.identity, t, NULL);
	free(t);
	if (rc < 0)
		return 0;
	if (digest_is_zero(f->site))
		*f->site = doc.identity;
	f->ours = digest_equal(f->site, &doc.identity);
	f->other = f->other || !f->ours;
	return 0;
}

static int other_site(const struct run *r, enum at at, struct err *err)
{
	return err_set(err, RC_CONFLICT,
		       "the depot \"%s\" belongs to another site%s; nothing was carried",
		       depot_path(r->depot[at]), r->c->site == NULL ? " than the other one" : "");
}

/* A depot without a marker says by its trust documents whose it is, if anything does. */
static int site_first(struct run *r, enum at at, struct err *err)
{
	struct first f = {r->depot[at], &r->result->site, false, false, 1000};
	int rc = depot_list(r->depot[at], "trust", first_each, &f, err);

	if (carry_fatal(rc))
		return rc;
	return f.other && !f.ours ? other_site(r, at, err) : 0;
}

static int any_dir(void *arg, const char *name, struct err *err)
{
	static const char *const ours[] = {"trust",    "beats",        "shards",
					   "channels", "workstations", "inbox"};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (strcmp(name, ours[i]) == 0)
			*(bool *)arg = true;
	return 0;
}

/* An empty FROM is a stick that is not mounted, or the wrong directory. */
static int from_check(struct run *r, struct err *err)
{
	bool any = false;
	int rc = depot_dirs(r->depot[AT_FROM], ".", any_dir, &any, err);

	if (rc < 0)
		return rc;
	if (!any || digest_is_zero(&r->result->site))
		return err_set(err, RC_AGAIN,
			       "\"%s\" holds no " MARKER
			       " and no trust document: is what belongs there mounted?",
			       r->c->from);
	return 0;
}

/* Whose depots are these?  Markers are hints: what decides is what the site has signed, so a false
 * one costs a refusal and no more. */
static int site_find(struct run *r, struct err *err)
{
	struct digest *site = &r->result->site;
	int rc = 0;

	if (r->c->site != NULL)
		*site = *r->c->site;
	for (enum at at = 0; at < ATS; at++) {
		struct digest marked;

		rc = r->depot[at] == NULL ? MARKER_NONE : marker_read(r->depot[at], &marked, err);
		if (rc < 0)
			return rc;
		r->marked[at] = rc == MARKER_SITE;
		if (!r->marked[at])
			continue;
		if (digest_is_zero(site))
			*site = marked;
		if (!digest_equal(site, &marked))
			return other_site(r, at, err);
	}
	rc = 0;
	for (enum at at = 0; rc == 0 && at < ATS; at++)
		if (!r->marked[at] && r->depot[at] != NULL)
			rc = site_first(r, at, err);
	if (rc == 0 && !r->marked[AT_FROM])
		rc = from_check(r, err);
	return rc;
}

static int markers_post(struct run *r, struct err *err)
{
	int rc = 0;

	for (enum at at = 0; at < ATS; at++) {
		struct carry_way *way = at == AT_TO ? &r->result->to : &r->result->from;
		struct err bad = {0};

		if (r->marked[at] || way->rc < 0)
			continue;
		way->rc = marker_post(r->depot[at], &r->result->site, &bad);
		if (way->rc < 0 && rc == 0) {
			rc = way->rc;
			*err = bad;
		}
	}
	return rc;
}

/* The first thing to tell: what failed, then what was refused, then what is missing. */
static int verdict(struct run *r, int rc, struct err *err)
{
	const struct err *first = r->blind.rc < 0     ? &r->blind
				  : r->odd.rc < 0     ? &r->odd
				  : r->lacking.rc < 0 ? &r->lacking
						      : NULL;

	if (rc < 0 || first == NULL)
		return rc;
	*err = *first;
	if (first == &r->odd) {
		err->rc = RC_UNTRUSTED;
		return err_prefix(err, "%" PRIu64 " %s this site's and not carried",
				  r->result->refused,
				  r->result->refused == 1 ? "file is not" : "files are not");
	}
	if (first == &r->lacking)
		return err_prefix(err, "%" PRIu64 " %s not at hand whole", r->result->incomplete,
				  r->result->incomplete == 1 ? "file is" : "files are");
	return err->rc;
}

static int both_ways(struct run *r, struct err *err)
{
	int rc = 0;

	if ((r->c->flags & CARRY_DRY_RUN) == 0)
		rc = markers_post(r, err);
	for (int to = AT_TO; to >= AT_FROM; to--) {
		struct carry_way *way = to == AT_TO ? &r->result->to : &r->result->from;
		struct err bad = {0};

		/* A medium that takes no marker takes nothing. */
		if (way->rc == 0 && carry_way(r, (enum at)to, &bad) < 0 && rc == 0) {
			rc = bad.rc;
			*err = bad;
		}
	}
	return rc;
}

int carry_begin(struct run *r, struct err *err)
{
	int rc = r->c->to != NULL
		     ? depots_open(r, err)
		     : depot_open(r->c->from, 0, r->c->silence_s, &r->depot[AT_FROM], err);

	if (rc == 0)
		rc = site_find(r, err);
	for (enum at at = 0; rc == 0 && at < ATS; at++)
		if (r->depot[at] != NULL)
			rc = carry_volume_is(r->depot[at], &r->volume[at], err);
	for (enum at at = 0; rc == 0 && at < ATS; at++)
		if (r->volume[at] && !(at == AT_TO && (r->c->flags & CARRY_VOLUME)))
			say_info(
			    r->c->say,
			    "%s is one volume of several: only receipts and requests are written "
			    "into it",
			    depot_path(r->depot[at]));
	return rc < 0 ? rc : carry_plan(r, err);
}

int carry(const struct carry *c, struct carry_result *ret, struct err *err)
{
	OWNED(run_clear) struct run r = {.c = c, .result = ret};
	struct err own;
	int rc;

	if (err == NULL)
		err = &own;
	memset(ret, 0, sizeof(*ret));
	rc = carry_begin(&r, err);
	if (rc == 0)
		rc = both_ways(&r, err);
	if (rc == 0 && r.volume[AT_FROM] && r.depot[AT_TO] != NULL)
		rc = carry_volumes_missing(&r, err);
	return verdict(&r, rc, err);
}
