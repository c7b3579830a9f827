/*
 * A depot under the doctor's eyes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/finding.h"
#include "core/base/own.h"
#include "core/depot/marker.h"
#include "core/os/examine.h"

/* Clocks of file servers that differ by less are nobody's fault. */
#define DEPOT_SKEW 600

static enum finding_level bad(const struct depot_examined *in)
{
	return in->needed ? FINDING_WRONG : FINDING_WARNING;
}

static void examine_marker(const struct depot_examined *in, struct depot *d, struct findings *f)
{
	struct digest site;
	struct err err = {0};
	int rc = marker_read(d, &site, &err);

	if (rc < 0) {
		found(f, bad(in), rc, "%s", err.text);
		found_remedy(
		    f, "put it back from another copy of the depot: it is the same in all of them");
	} else if (rc != MARKER_SITE) {
		found(f, bad(in), RC_AGAIN,
		      rc == MARKER_NONE ? "the depot %s holds no " MARKER
					: "the marker " MARKER " of the depot %s is empty",
		      in->path);
		found_remedy(f, "mount what belongs there");
	} else if (!digest_equal(&site, in->site)) {
		found(f, bad(in), RC_CONFLICT, "the depot %s says that it is another site's",
		      in->path);
		found_remedy(f, "name another directory, or mount the right medium");
	}
}

static void examine_depot_clock(const struct depot_examined *in, int64_t at, struct findings *f)
{
	char apart[EXAMINE_WORDS];

	if (at == 0 || (at - in->now <= DEPOT_SKEW && in->now - at <= DEPOT_SKEW))
		return;
	time_words(apart, at - in->now);
	found_warning(f, "the clock of the depot %s and that of this machine are %s apart",
		      in->path, apart);
	found_remedy(f,
		     "set the one that is wrong: nothing breaks, but ages and expiry are judged by "
		     "this machine's");
}

/* 1 when we can write there, 0 when it is not there. */
static int examine_dir(const struct depot_examined *in, struct depot *d, const char *dir,
		       int64_t *at, struct findings *f)
{
	struct err err = {0};
	int rc = depot_try(d, dir, at, &err);

	if (rc == 0 || errno == ENOENT)
		return rc == 0;
	found(f, bad(in), rc, "%s", err.text);
	found_remedy(
	    f,
	    "let this machine write in %s%s%s (mount options, share permissions, owner and "
	    "mode)",
	    in->path, dir[0] == '.' ? "" : "/", dir[0] == '.' ? "" : dir);
	return rc;
}

/* True when we may write wherever we have to. */
static bool examine_writing(const struct depot_examined *in, struct depot *d, struct findings *f)
{
	size_t there = 0;
	int64_t at = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < in->dirs_n; i++) {
		rc = examine_dir(in, d, in->dirs[i], &at, f);
		there += rc == 1;
	}
	/* What is not there has to be made. */
	if (rc >= 0 && there == 0)
		rc = examine_dir(in, d, ".", &at, f);
	if (rc >= 0)
		examine_depot_clock(in, at, f);
	return rc >= 0;
}

static int count_one(void *arg, const char *name, struct err *err)
{
	++*(uint64_t *)arg;
	return 0;
}

struct counting {
	struct depot *d;
	const char *dir;
	uint64_t n;
};

static int count_below(void *arg, const char *name, struct err *err)
{
	struct counting *c = arg;
	char path[LIMIT_NAME * 2];

	c->n++;
	snprintf(path, sizeof(path), "%s", name);
	return depot_dirs(c->d, path, count_one, &c->n, err);
}

static void examine_watching(const struct depot_examined *in, struct depot *d,
			     const struct probe_fs *fs, struct findings *f)
{
	struct counting c = {.d = d, .n = 1};
	struct err err = {0};

	if (fs->blind) {
		found_ok(
		    f,
		    "the depot %s is on %s, where inotify does not see what other machines do: "
		    "it is looked at by timer",
		    in->path, fs->name);
		return;
	}
	if (depot_dirs(d, ".", count_below, &c, &err) < 0) {
		found(f, bad(in), err.rc, "%s", err.text);
		return;
	}
	examine_watches(f, c.n, probe_number("/proc/sys/fs/inotify/max_user_watches"));
}

unsigned depot_examine(const struct depot_examined *in, struct findings *f)
{
	OWNED(depot_freep) struct depot *d = NULL;
	char what[LIMIT_PATH + 16];
	struct probe_fs fs;
	struct err err = {0};
	bool writable;
	int rc = depot_open(in->path, DEPOT_WRITE, in->silence_s, &d, &err);

	if (rc == 0)
		rc = depot_probe(d, &fs, &err);
	if (rc < 0) {
		found(f, bad(in), rc, "%s", err.text);
		found_remedy(f, "mount it, plug it in, or name another depot");
		return 0;
	}
	snprintf(what, sizeof(what), "depot %s", in->path);
	examine_marker(in, d, f);
	examine_space(f, what, &fs);
	writable = examine_writing(in, d, f);
	examine_watching(in, d, &fs, f);
	return EXAMINED_REACHED | (writable ? EXAMINED_WRITABLE : 0u);
}
