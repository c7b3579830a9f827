/* SPDX-License-Identifier: ISC */
/*
 * One carry from beginning to end: open both depots, find out whose they are, plan, and write each
 * direction.  A stranger's stick is the usual FROM, so nothing is written before both sides are
 * known to be of one site.
 */
#include "core/depot/carry/carry.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"
#include "core/depot/marker.h"
#include "core/format/documents/trustchain.h"
#include "core/os/dir.h"
#include "core/os/mounts.h"

void run_clear(struct carry_run *r)
{
	for (enum at at = 0; at < ATS; at++)
		r->depot[at] = depot_free(r->depot[at]);
	known_clear(&r->known);
	buf_clear(&r->paths);
	free(r->move);
	r->move = NULL;
}

/* What is a depot already may lie wherever it likes. */
static bool is_depot(const char *path, int silence_s)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct digest site;

	return depot_open(path, 0, silence_s, &d, ERR_IGNORED) == 0 &&
	       marker_read(d, &site, ERR_IGNORED) == MARKER_SITE;
}

/* A new depot below a stick that is not plugged in would be found by nobody. */
static int unmounted_check(const struct carry *c, struct err *err)
{
	OWNED(freep) char *to = NULL;
	char where[PATH_MAX];
	int rc;

	if (!(c->flags & CARRY_CREATE) || (c->flags & CARRY_UNMOUNTED))
		return 0;
	rc = dir_absolute(c->to, &to, err);
	if (rc < 0 || !mount_missing(to, "/etc/fstab", where, sizeof(where)) ||
	    is_depot(c->to, c->silence_s))
		return rc;
	return err_set(
	    err, RC_ABSENT,
	    "%s is to be on what is mounted at %s, and nothing is mounted there: plug "
	    "it in and mount it; carry --unmounted makes a depot in the directory itself",
	    c->to, where);
}

static int depots_open(struct carry_run *r, struct err *err)
{
	const struct carry *c = r->c;
	OWNED(buf_clear) struct buf from = BUF_INIT, to = BUF_INIT;
	enum depot_flags flags = DEPOT_WRITE | DEPOT_VERIFY;
	bool dry = (c->flags & CARRY_DRY_RUN) != 0;
	int rc = depot_open(c->from, flags, c->silence_s, &r->depot[AT_FROM], err);

	if (rc == 0)
		rc = unmounted_check(c, err);
	if (rc < 0)
		return rc;
	if ((c->flags & CARRY_CREATE) && !dry)
		flags |= DEPOT_CREATE;
	if (rc == 0 && (c->flags & CARRY_NO_LINK))
		flags |= DEPOT_NO_LINK;
	if (rc == 0)
		rc = depot_open(c->to, flags, c->silence_s, &r->depot[AT_TO], err);
	if (rc == RC_ABSENT && r->depot[AT_FROM] != NULL && dry && (c->flags & CARRY_CREATE))
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
#define FIRST_TRIES 1000u

struct first {
	struct depot *d;
	struct digest *site;
	LIST(char *) name; /* owned; of files that could be such a version */
	bool other, ours;
};

static void first_clear(struct first *f)
{
	for (size_t i = 0; i < f->name.n; i++)
		free(f->name.items[i]);
	list_clear(&f->name);
}

static int first_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct first *f = arg;
	char path[DEPOT_NAME];
	struct name name;
	char *copy;

	snprintf(path, sizeof(path), "trust/%.200s", file);
	if (f->name.n == CARRY_TRIES || name_parse(path, &name) != NAME_TRUST || name.number != 1)
		return 0;
	copy = strdup(path);
	if (copy == NULL)
		return err_memory(err);
	if (list_push(&f->name, copy, err) == 0)
		return 0;
	free(copy);
	return err->rc;
}

static int first_try(struct first *f, const char *path, struct err *err)
{
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct signed_doc doc;
	struct trust *t;
	int rc = depot_read(f->d, path, LIMIT_DOCUMENT, &raw, err);

	if (rc < 0 || signed_split(bytes_in(&raw), LIMIT_LAYERS, &doc, ERR_IGNORED) < 0)
		return carry_fatal(rc) ? rc : 0;
	t = malloc(sizeof(*t));
	if (t == NULL)
		return err_memory(err);
	rc = trustchain_first(bytes_in(&raw), &doc.identity, t, ERR_IGNORED);
	free(t);
	if (rc < 0)
		return 0;
	if (digest_is_zero(f->site))
		*f->site = doc.identity;
	f->ours = digest_equal(f->site, &doc.identity);
	f->other = f->other || !f->ours;
	return 0;
}

static int other_site(const struct carry_run *r, enum at at, struct err *err)
{
	return err_set(err, RC_CONFLICT,
		       "the depot \"%s\" belongs to another site%s; nothing was carried",
		       depot_path(r->depot[at]), r->c->site == NULL ? " than the other one" : "");
}

/* A depot without a marker says by its trust documents whose it is, if anything does. */
static int site_first(struct carry_run *r, enum at at, struct err *err)
{
	OWNED(first_clear) struct first f = {.d = r->depot[at], .site = &r->result->site};
	OWNED(freep) uint32_t *order = NULL;
	unsigned tries = candidates_tries(FIRST_TRIES);
	int rc = depot_list(r->depot[at], "trust", first_each, &f, err);

	if (carry_fatal(rc))
		return rc;
	rc = candidates_order(f.name.n, &order, err);
	for (size_t i = 0; rc == 0 && i < f.name.n && i < tries && !f.ours; i++)
		rc = first_try(&f, f.name.items[order[i]], err);
	if (rc < 0)
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
static int from_check(struct carry_run *r, struct err *err)
{
	bool any = false;
	int rc = depot_dirs(r->depot[AT_FROM], ".", any_dir, &any, err);

	if (rc < 0)
		return rc;
	if (!any || digest_is_zero(&r->result->site))
		return err_set(err, RC_AGAIN,
			       "\"%s\" holds no " MARKER " and no trust document: is it mounted?",
			       r->c->from);
	return 0;
}

/* Whose depots are these?  Markers are hints: what decides is what the site has signed, so a false
 * one costs a refusal and no more. */
static int trust_find(struct carry_run *r, struct err *err)
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

static int markers_post(struct carry_run *r, struct err *err)
{
	int rc = 0;

	for (enum at at = 0; at < ATS; at++) {
		struct carry_direction *direction = at == AT_TO ? &r->result->to : &r->result->from;
		struct err bad = {0};

		if (r->marked[at] || direction->rc < 0)
			continue;
		direction->rc = marker_post(r->depot[at], &r->result->site, &bad);
		if (direction->rc < 0 && rc == 0) {
			rc = direction->rc;
			*err = bad;
		}
	}
	return rc;
}

/* The first thing to tell: what failed, then what was refused, then what is missing. */
static int verdict(struct carry_run *r, int rc, struct err *err)
{
	const struct err *first = r->unreadable.rc < 0 ? &r->unreadable
				  : r->refused.rc < 0  ? &r->refused
				  : r->missing.rc < 0  ? &r->missing
						       : NULL;

	if (rc < 0 || first == NULL)
		return rc;
	*err = *first;
	if (first == &r->refused) {
		err->rc = RC_UNTRUSTED;
		return err_prefix(err, "%" PRIu64 " %s this site's and not carried",
				  r->result->refused,
				  r->result->refused == 1 ? "file is not" : "files are not");
	}
	if (first == &r->missing)
		return err_prefix(err, "%" PRIu64 " %s not at hand whole", r->result->incomplete,
				  r->result->incomplete == 1 ? "file is" : "files are");
	return err->rc;
}

static int both_directions(struct carry_run *r, struct err *err)
{
	int rc = 0;

	if ((r->c->flags & CARRY_DRY_RUN) == 0)
		rc = markers_post(r, err);
	for (int to = AT_TO; to >= AT_FROM; to--) {
		struct carry_direction *direction = to == AT_TO ? &r->result->to : &r->result->from;
		struct err bad = {0};

		/* A medium that takes no marker takes nothing. */
		if (direction->rc == 0 && carry_direction(r, (enum at)to, &bad) < 0 && rc == 0) {
			rc = bad.rc;
			*err = bad;
		}
	}
	return rc;
}

int carry_begin(struct carry_run *r, struct err *err)
{
	int rc = r->c->to != NULL
		     ? depots_open(r, err)
		     : depot_open(r->c->from, 0, r->c->silence_s, &r->depot[AT_FROM], err);

	if (rc == 0)
		rc = trust_find(r, err);
	for (enum at at = 0; rc == 0 && at < ATS; at++)
		if (r->depot[at] != NULL && !(at == AT_TO && (r->c->flags & CARRY_VOLUME)))
			rc = carry_volume_is(r, at, err);
	return rc < 0 ? rc : carry_plan(r, err);
}

int carry(const struct carry *c, struct carry_result *ret, struct err *err)
{
	OWNED(run_clear) struct carry_run r = {.c = c, .result = ret};
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = carry_begin(&r, err);
	if (rc == 0)
		rc = both_directions(&r, err);
	if (rc == 0 && r.volume[AT_FROM] && r.depot[AT_TO] != NULL)
		rc = carry_volumes_missing(&r, err);
	rc = verdict(&r, rc, err);
	return r.volume[AT_FROM] || r.volume[AT_TO] ? carry_volumes_told(&r, rc, err) : rc;
}
