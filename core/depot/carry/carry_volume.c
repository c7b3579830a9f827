/* SPDX-License-Identifier: ISC */
/*
 * Several volumes: a plan of what would go into an empty depot is spread over as many as are
 * needed, and each is then an ordinary carry of its share.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/carry/carry_internal.h"

/* What a volume needs beside its files: its listing, directories, the file system's own. */
#define VOLUME_OWN (3u << 20)

struct carry_set {
	uint64_t max_file;    /* so that a part fits */
	struct volumes files; /* owned; everything but what is on all, ascending by path */
	size_t volumes;
};

void carry_set_freep(struct carry_set **at)
{
	if (*at != NULL)
		volumes_clear(&(*at)->files);
	free(*at);
	*at = NULL;
}

size_t carry_set_volumes(const struct carry_set *set)
{
	return set->volumes;
}

/* Small, and without them a volume would be no depot by itself. */
static bool on_all(uint8_t kind)
{
	return kind == NAME_TRUST || kind == NAME_BEAT || kind == NAME_SHARD || kind == NAME_HEAD;
}

static int by_path(const void *va, const void *vb)
{
	const struct volumes_row *a = va, *b = vb;

	return strcmp(a->path, b->path);
}

struct spread {
	struct carry_run *r;
	uint64_t room;  /* of an empty volume, after what is on all */
	uint64_t *left; /* owned; of each */
	size_t left_room;
	struct carry_set *set;
};

static void spread_clear(struct spread *s)
{
	free(s->left);
}

/* The first volume with room: large ones come in order of name, so that parts lie side by side. */
static int place(struct spread *s, const struct move *m, struct err *err)
{
	uint64_t needs = carry_allocated(m->size);
	struct carry_set *set = s->set;
	size_t v = 0;

	if (needs > s->room)
		return err_set(err, RC_LIMIT, "%s needs more space than a volume has",
			       (const char *)s->r->paths.p + m->path);
	while (v < set->volumes && s->left[v] < needs)
		v++;
	if (v == set->volumes) {
		if (v == VOLUMES_MAX)
			return err_set(err, RC_LIMIT, "more than %u volumes", VOLUMES_MAX);
		if (items_reserve(s->left, v, s->left_room, 1, err) < 0)
			return err->rc;
		s->left[set->volumes++] = s->room;
	}
	s->left[v] -= needs;
	set->files.row[set->files.rows].volume = (uint32_t)v + 1;
	snprintf(set->files.row[set->files.rows++].path, DEPOT_NAME, "%s",
		 (const char *)s->r->paths.p + m->path);
	return 0;
}

static int spread_over(struct carry_run *r, uint64_t size, struct carry_set *set, struct err *err)
{
	OWNED(spread_clear) struct spread s = {.r = r, .set = set, .room = size - VOLUME_OWN};
	uint64_t common = 0;
	int rc = 0;

	for (size_t i = 0; i < r->moves; i++)
		if (on_all(r->move[i].kind))
			common += carry_allocated(r->move[i].size);
	if (common > size / 4)
		return err_set(err, RC_LIMIT,
			       "what every volume has to hold takes %" PRIu64
			       " bytes: choose larger volumes",
			       common);
	s.room -= common;
	set->volumes = 0;
	set->files.row = calloc(r->moves + 1, sizeof(*set->files.row));
	if (set->files.row == NULL)
		return err_memory(err);
	/* The same files are spread in the same way each time. */
	carry_sort(r);
	for (size_t i = 0; rc == 0 && i < r->moves; i++)
		if (!on_all(r->move[i].kind))
			rc = place(&s, &r->move[i], err);
	if (rc < 0)
		return rc;
	if (set->files.rows > 0)
		qsort(set->files.row, set->files.rows, sizeof(*set->files.row), by_path);
	set->volumes += set->volumes == 0;
	return 0;
}

int carry_set_make(const struct carry *c, uint64_t size, struct carry_set **ret, struct err *err)
{
	OWNED(carry_set_freep) struct carry_set *set = calloc(1, sizeof(*set));
	struct carry_result result = {.beat = 0};
	struct carry plan = *c;
	OWNED(run_clear) struct carry_run r = {.c = &plan, .result = &result};
	int rc;

	if (set == NULL)
		return err_memory(err);
	if (size < CARRY_VOLUME_LEAST)
		return err_set(err, RC_USAGE, "a volume has at least %u bytes", CARRY_VOLUME_LEAST);
	/* What is on all may take a quarter. */
	set->max_file = size - VOLUME_OWN - size / 4;
	if (c->max_file > 0 && c->max_file < set->max_file)
		set->max_file = c->max_file;
	plan.max_file = set->max_file;
	plan.to = NULL;
	plan.flags |= CARRY_DRY_RUN;
	rc = carry_begin(&r, err);
	if (rc == 0)
		rc = spread_over(&r, size, set, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(set);
	return 0;
}

/* One volume's share, as a filter. */
struct share {
	const struct carry_set *set;
	const struct carry *c;
	uint32_t volume;
};

static bool share_wants(void *arg, const char *path, const struct name *name)
{
	const struct share *s = arg;
	const struct volumes *v = &s->set->files;
	struct volumes_row key = {.volume = 0};
	const struct volumes_row *row;

	if (on_all((uint8_t)name->kind))
		return s->c->wants == NULL || s->c->wants(s->c->arg, path, name);
	snprintf(key.path, sizeof(key.path), "%s", path);
	row = v->rows == 0 ? NULL : bsearch(&key, v->row, v->rows, sizeof(*v->row), by_path);
	return row != NULL && row->volume == s->volume;
}

/* Bundles and parts only: what is told of others' private bundles is their names, on every volume.
 */
static int listing_make(const struct carry_set *set, size_t n, struct buf *ret, struct err *err)
{
	struct volumes v = {.volume = (uint32_t)n, .of = (uint32_t)set->volumes};
	int rc;

	v.row = calloc(set->files.rows + 1, sizeof(*v.row));
	if (v.row == NULL)
		return err_memory(err);
	for (size_t i = 0; i < set->files.rows; i++)
		if (strncmp(set->files.row[i].path, "channels/", 9) == 0)
			v.row[v.rows++] = set->files.row[i];
	rc = volumes_write(&v, ret, err);
	volumes_clear(&v);
	return rc;
}

struct listings {
	struct depot *d;
	const char *keep;
};

/* Of a set that this directory was part of before. */
static int listing_drop(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct listings *l = arg;
	char path[DEPOT_NAME];
	struct name name;

	snprintf(path, sizeof(path), "volumes/%.200s", file);
	if (name_parse(path, &name) != NAME_VOLUME || strcmp(path, l->keep) == 0)
		return 0;
	return depot_remove(l->d, path, err);
}

static int listing_post(const struct carry *c, const struct carry_set *set, size_t n,
			struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char path[DEPOT_NAME];
	struct digest digest;
	struct listings l;
	int rc = listing_make(set, n, &text, err);

	if (rc < 0)
		return rc;
	digest = digest_of(bytes_in(&text));
	name_volume(path, n, set->volumes, &digest);
	rc = depot_open(c->to, DEPOT_WRITE | DEPOT_VERIFY, c->silence_s, &d, err);
	if (rc == 0)
		rc = depot_post(d, path, bytes_in(&text), err);
	l = (struct listings){d, path};
	return rc < 0 ? rc : depot_list(d, "volumes", listing_drop, &l, err);
}

int carry_volume(const struct carry *c, const struct carry_set *set, size_t n,
		 struct carry_result *ret, struct err *err)
{
	struct share share = {set, c, (uint32_t)n};
	struct carry one = *c;
	int rc;

	one.max_file = set->max_file;
	one.wants = share_wants;
	one.arg = &share;
	one.flags |= CARRY_VOLUME;
	rc = carry(&one, ret, err);
	if (ret->to.rc < 0 || (c->flags & CARRY_DRY_RUN) || digest_is_zero(&ret->site))
		return rc;
	if (listing_post(c, set, n, rc == 0 ? err : ERR_IGNORED) < 0 && rc == 0)
		rc = err->rc;
	return rc;
}

/* The listing that a volume holds, and how many there are. */
struct found {
	char path[DEPOT_NAME];
	unsigned n;
};

static int volume_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct found *f = arg;
	char path[DEPOT_NAME];
	struct name name;

	snprintf(path, sizeof(path), "volumes/%.200s", file);
	if (name_parse(path, &name) != NAME_VOLUME)
		return 0;
	snprintf(f->path, sizeof(f->path), "%s", path);
	return ++f->n > 1 ? RC_CONFLICT : 0;
}

/* Bundles are joined from their parts, and cut into others. */
static bool lies_in(struct depot *d, const char *path)
{
	char whole[DEPOT_NAME];
	struct name name;
	uint64_t size;

	if (depot_size(d, path, &size, ERR_IGNORED) == 0)
		return true;
	if (name_parse(path, &name) != NAME_PART)
		return false;
	snprintf(whole, sizeof(whole), "%s", path);
	*strrchr(whole, '.') = '\0';
	return depot_size(d, whole, &size, ERR_IGNORED) == 0;
}

/* Does it lack something that lies on another volume?  Else it is a whole depot by now. */
static bool is_share(struct depot *d, const struct volumes *v)
{
	for (size_t i = 0; i < v->rows; i++)
		if (v->row[i].volume != v->volume && !lies_in(d, v->row[i].path))
			return true;
	return false;
}

/*
 * Nobody signs a listing, and whoever may write to a depot can put one there, or copy it there with
 * the rest of a disc.  So it counts only while it is true of what lies beside it.
 */
static int volume_read(struct depot *d, struct volumes *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct found f = {.n = 0};
	int rc = depot_list(d, "volumes", volume_each, &f, err);

	if (rc < 0 || f.n == 0)
		return carry_fatal(rc) ? rc : f.n > 0 ? RC_CONFLICT : 0;
	rc = depot_read(d, f.path, LIMIT_DOCUMENT, &text, err);
	return rc < 0 ? rc : volumes_parse(bytes_in(&text), ret, err);
}

int carry_volume_is(struct carry_run *r, enum at at, struct err *err)
{
	OWNED(volumes_clear) struct volumes v = {0};
	struct depot *d = r->depot[at];
	struct err why = {0};
	int rc = volume_read(d, &v, &why);

	if (carry_fatal(rc)) {
		*err = why;
		return rc;
	}
	r->volume[at] = rc == 0 && v.volume > 0 && is_share(d, &v);
	if (r->volume[at])
		reporter_info(r->c->reporter,
			      "%s is volume %" PRIu32 " of %" PRIu32
			      ": only receipts and requests are written into it",
			      depot_path(d), v.volume, v.of);
	else if (rc < 0 || v.of > 1)
		reporter_warning(r->c->reporter,
				 "%s has a directory `volumes`, but is not one volume of several: "
				 "everything is written into it; remove that directory",
				 depot_path(d));
	return 0;
}

/* A volume that is only a volume by name would get nothing for ever: whoever may write to a depot
 * can make it look like one. */
int carry_volumes_told(struct carry_run *r, int rc, struct err *err)
{
	static const char remedy[] =
	    "make the volumes anew; or, if it is a depot by itself, remove "
	    "its directory `volumes` and carry again";
	const char *to = r->c->to, *from = r->c->from;

	if (r->newer[AT_FROM])
		reporter_warning(r->c->reporter,
				 "%s is one volume of several, and older than %s: %s", from, to,
				 remedy);
	if (rc < 0 || r->withheld == 0)
		return rc;
	return err_set(err, RC_INCOMPLETE,
		       "%" PRIu64
		       " %s not written into %s, because it is one volume of several: %s",
		       r->withheld, r->withheld == 1 ? "file was" : "files were", to, remedy);
}

static void missing_count(struct carry_run *r, const struct volumes *v, const bool *lacks)
{
	struct carry_result *ret = r->result;
	size_t used = 0;

	ret->volume = v->volume;
	ret->volumes = v->of;
	for (uint32_t n = 1; n <= v->of; n++) {
		if (!lacks[n])
			continue;
		if (used < sizeof(ret->missing))
			used += (size_t)snprintf(ret->missing + used, sizeof(ret->missing) - used,
						 "%s%" PRIu32, used > 0 ? ", " : "", n);
		ret->volumes_missing++;
	}
}

int carry_volumes_missing(struct carry_run *r, struct err *err)
{
	OWNED(volumes_clear) struct volumes v = {0};
	bool *lacks OWNED(freep) = calloc(VOLUMES_MAX + 1, sizeof(*lacks));

	if (lacks == NULL)
		return err_memory(err);
	/* Nobody signed it: what it says is told, and nothing else comes of it. */
	if (volume_read(r->depot[AT_FROM], &v, ERR_IGNORED) < 0)
		return 0;
	for (size_t i = 0; i < v.rows; i++)
		if (!lacks[v.row[i].volume] && !lies_in(r->depot[AT_TO], v.row[i].path))
			lacks[v.row[i].volume] = true;
	missing_count(r, &v, lacks);
	return 0;
}
