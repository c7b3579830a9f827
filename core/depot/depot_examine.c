/* SPDX-License-Identifier: ISC */
/*
 * A depot under the doctor's eyes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/finding.h"
#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "core/depot/marker.h"
#include "core/os/examine.h"
#include "core/os/probe.h"

/* Clocks of file servers that differ by less are nobody's fault. */
#define DEPOT_SKEW 600

static int depot_probe(struct depot *d, struct probe_fs *ret, struct err *err)
{
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct buf nothing = BUF_INIT;
	struct probe_fs fs = {.polled = false};
	char name[LIMIT_PATH + 1];
	uint64_t polled, read_only;
	struct bytes in;
	int rc = depot_talk(d, ASK_PROBE, &nothing, LIMIT_PATH, &answer, err);

	if (rc < 0)
		return rc;
	in = bytes_in(&answer);
	if (!field_text(&in, name) || strlen(name) >= sizeof(fs.name) ||
	    !field_number(&in, &polled) || !field_number(&in, &read_only) ||
	    !field_number(&in, &fs.bytes) || !field_number(&in, &fs.bytes_free) ||
	    !field_number(&in, &fs.inodes) || !field_number(&in, &fs.inodes_free))
		return depot_malformed(d, err);
	memcpy(fs.name, name, strlen(name) + 1);
	fs.polled = polled != 0;
	fs.read_only = read_only != 0;
	*ret = fs;
	return 0;
}

/* Can we write in ${dir} ("." for the top)?  A dot-name is made there, flushed and removed again;
 * ${ret_time} is when the depot's own clock says that was.  Errors keep errno: ENOENT, EROFS,
 * EACCES. */
static int depot_try(struct depot *d, const char *dir, int64_t *ret_time, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct bytes in;
	uint64_t at;
	int rc;

	if ((d->flags & DEPOT_WRITE) == 0)
		return err_set(err, RC_INTERNAL, "the depot \"%s\" was opened for reading only",
			       d->path);
	rc = strcmp(dir, ".") == 0 ? pack_text(&question, dir, err)
				   : depot_question_path(&question, dir, err);
	if (rc == 0)
		rc = depot_talk(d, ASK_TRY, &question, 8, &answer, err);
	if (rc < 0)
		return rc;
	in = bytes_in(&answer);
	if (!field_number(&in, &at))
		return depot_malformed(d, err);
	if (ret_time != NULL)
		*ret_time = (int64_t)at;
	return 0;
}

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
		found_remedy(f, "%s",
			     in->no_marker != NULL ? in->no_marker : "mount what belongs there");
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

/* What lies in the place of a directory is no matter of rights. */
static void remedy_writing(const struct depot_examined *in, const char *dir, bool in_place,
			   struct findings *f)
{
	const char *slash = dir[0] == '.' ? "" : "/", *name = dir[0] == '.' ? "" : dir;

	if (in_place)
		found_remedy(f,
			     "move away what is in the place of the directory %s%s%s: it is made "
			     "when it is needed",
			     in->path, slash, name);
	else
		found_remedy(f,
			     "let this machine write in %s%s%s (mount options, share permissions, "
			     "owner and mode)",
			     in->path, slash, name);
}

/* 1 when we can write there, 0 when it is not there. */
static int examine_dir(const struct depot_examined *in, struct depot *d, const char *dir,
		       int64_t *at, struct findings *f)
{
	struct err err = {0};
	int rc = depot_try(d, dir, at, &err);
	bool in_place;

	if (rc == 0 || rc == RC_ABSENT)
		return rc == 0;
	in_place = rc == RC_PATH || errno == ENOTDIR;
	found(f, bad(in), rc, "%s", err.text);
	remedy_writing(in, dir, in_place, f);
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

	if (fs->polled) {
		found_ok(
		    f,
		    "the depot %s is on %s, where inotify does not see what other machines do: "
		    "it is checked by timer",
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
