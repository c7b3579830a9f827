/* SPDX-License-Identifier: ISC */
/*
 * Finding what a depot has of this site that is signed.  Names say where to look; signatures, and
 * the digests in what was signed, decide.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/recover/recover_internal.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/format/documents/trustchain.h"

/* Well-named files that are read for one document; behind more junk than that it is not found. */
#define FOUND_TRIES 512u
/* The private channel of one workstation, as a file. */
#define FOUND_PRIVATE (64u << 20)

struct listing {
	const char *dir;
	const struct found_filter *filter;
	struct found_names *ret;
};

static int listing_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct listing *l = arg;
	char path[DEPOT_NAME];
	struct found_name *to;
	struct name n;

	(void)size;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", l->dir, file) >= sizeof(path) ||
	    name_parse(path, &n) != l->filter->kind || l->ret->n == FOUND_NAMES)
		return 0;
	if (l->filter->kind != NAME_SHARD && n.number <= l->filter->above)
		return 0;
	if (l->filter->id != NULL && strcmp(n.id, l->filter->id) != 0)
		return 0;
	to = list_add(l->ret, err);
	if (to == NULL)
		return err->rc;
	to->epoch = n.epoch;
	to->number = n.number;
	to->xx = n.xx;
	memcpy(to->path, path, sizeof(path));
	return 0;
}

static int by_number(const void *va, const void *vb)
{
	const struct found_name *a = va, *b = vb;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? 1 : -1;
	return a->number < b->number ? 1 : a->number > b->number ? -1 : 0;
}

int found_list(struct depot *d, const char *dir, const struct found_filter *f,
	       struct found_names *ret, struct err *err)
{
	struct listing l = {dir, f, ret};
	int rc = depot_list(d, dir, listing_each, &l, err);

	if (rc < 0)
		return rc;
	list_sort(ret, by_number);
	return 0;
}

void found_names_clear(struct found_names *l)
{
	list_clear(l);
}

void found_document_clear(struct found_document *f)
{
	buf_clear(&f->raw);
}

void found_version_clear(struct found_version *v)
{
	free(v->trust);
	buf_clear(&v->raw);
}

/* What is wrong with one file keeps nobody from the next. */
static bool fatal(int rc)
{
	return rc == RC_TIMEOUT || rc == RC_MEMORY || rc == RC_INTERNAL;
}

/* 1: read, whole, signed at least in form; 0: not this one. */
static int document_read(struct depot *d, const char *path, size_t max, unsigned layers,
			 struct found_document *ret, struct signed_doc *ret_doc, struct err *err)
{
	struct err why = {0};
	int rc;

	buf_reset(&ret->raw);
	rc = depot_read(d, path, max, &ret->raw, &why);
	if (rc == 0)
		rc = signed_split(bytes_in(&ret->raw), layers, ret_doc, &why);
	if (fatal(rc))
		return err_set(err, rc, "%s", why.text);
	if (rc < 0)
		return 0;
	ret->identity = ret_doc->identity;
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	return 1;
}

int found_trust(struct depot *d, const struct trust *t, struct found_version *ret, struct err *err)
{
	OWNED(found_names_clear) struct found_names l = {.n = 0};
	const struct found_filter f = {.kind = NAME_TRUST, .above = t->version};
	int rc = found_list(d, "trust", &f, &l, err);

	ret->trust = ret->trust == NULL ? calloc(1, sizeof(*ret->trust)) : ret->trust;
	if (ret->trust == NULL)
		return err_memory(err);
	for (size_t i = 0, tries = FOUND_TRIES; rc == 0 && i < l.n && tries > 0; i++) {
		struct err why = {0};

		if (l.items[i].number != t->version + 1)
			continue;
		tries--;
		buf_reset(&ret->raw);
		rc = depot_read(d, l.items[i].path, LIMIT_DOCUMENT, &ret->raw, &why);
		if (rc == 0)
			rc = trustchain_next(t, bytes_in(&ret->raw), ret->trust, &why);
		if (fatal(rc))
			return err_set(err, rc, "%s", why.text);
		if (rc == 0)
			return 1;
		rc = 0;
	}
	return rc;
}

/* 1: by the key of today, of this site and epoch. */
static int beat_read(struct depot *d, const struct trust *t, const char *path, struct beat *ret,
		     struct found_document *ret_document, struct err *err)
{
	struct signed_doc doc;
	int rc = document_read(d, path, LIMIT_BEAT, 1, ret_document, &doc, err);

	if (rc <= 0)
		return rc;
	return signed_type(doc.inner, "beat/1") &&
	       trust_role(t, ROLE_BEAT, &doc, "beat", ERR_IGNORED) == 0 &&
	       beat_decode(doc.inner, ret, ERR_IGNORED) == 0 &&
	       digest_equal(&ret->site, &t->site) && ret->epoch == t->epoch[ROLE_BEAT];
}

int found_beat(struct depot *d, const struct trust *t, uint64_t above, struct beat *ret,
	       struct found_document *ret_document, struct err *err)
{
	OWNED(found_names_clear) struct found_names l = {.n = 0};
	const struct found_filter f = {.kind = NAME_BEAT, .above = above};
	int rc = found_list(d, "beats", &f, &l, err);

	for (size_t i = 0; rc == 0 && i < l.n && i < FOUND_TRIES; i++) {
		rc = beat_read(d, t, l.items[i].path, ret, ret_document, err);
		if (rc == 1 && ret->sequence <= above) /* under a false name */
			rc = 0;
	}
	return rc;
}

int found_other_beat(struct depot *d, const struct trust *t, const char *path, uint64_t sequence,
		     struct beat *ret, struct found_document *ret_document, struct err *err)
{
	OWNED(found_names_clear) struct found_names l = {.n = 0};
	const struct found_filter f = {.kind = NAME_BEAT, .above = sequence - 1};
	int rc = found_list(d, "beats", &f, &l, err);

	for (size_t i = 0, tries = FOUND_TRIES; rc == 0 && i < l.n && tries > 0; i++) {
		if (l.items[i].number != sequence || strcmp(l.items[i].path, path) == 0)
			continue;
		tries--;
		rc = beat_read(d, t, l.items[i].path, ret, ret_document, err);
		if (rc == 1 && ret->sequence != sequence)
			rc = 0;
	}
	return rc;
}

int found_shard(struct depot *d, const struct trust *t, const struct beat_shard *which,
		struct shard *ret, struct found_document *ret_document, struct err *err)
{
	OWNED(found_names_clear) struct found_names l = {.n = 0};
	const struct found_filter f = {.kind = NAME_SHARD};
	int rc = found_list(d, "shards", &f, &l, err);

	for (size_t i = 0, tries = FOUND_TRIES; rc == 0 && i < l.n && tries > 0; i++) {
		struct signed_doc doc;

		if (l.items[i].xx != which->xx)
			continue;
		tries--;
		rc = document_read(d, l.items[i].path, LIMIT_DOCUMENT, 1, ret_document, &doc, err);
		if (rc <= 0 || !digest_equal(&doc.identity, &which->digest) ||
		    trust_role_named(t, ROLE_BEAT, &doc, "shard", ERR_IGNORED) < 0)
			rc = rc < 0 ? rc : 0;
		else
			rc = shard_decode(doc.inner, ret, ERR_IGNORED) == 0;
	}
	return rc;
}

int found_head(struct depot *d, const struct trust *t, const struct shard_channel *which,
	       struct head *ret, struct found_document *ret_document, struct err *err)
{
	OWNED(found_names_clear) struct found_names l = {.n = 0};
	const struct found_filter f = {.kind = NAME_HEAD, .above = which->generation - 1};
	char dir[16 + CHANNEL_NAME];
	int rc;

	snprintf(dir, sizeof(dir), "channels/%s", which->name);
	rc = found_list(d, dir, &f, &l, err);
	for (size_t i = 0, tries = FOUND_TRIES; rc == 0 && i < l.n && tries > 0; i++) {
		struct signed_doc doc;

		if (l.items[i].number != which->generation || l.items[i].epoch != which->epoch)
			continue;
		tries--;
		rc = document_read(d, l.items[i].path, LIMIT_DOCUMENT, LIMIT_LAYERS, ret_document,
				   &doc, err);
		if (rc <= 0)
			continue;
		/* The shard, which is signed, names it by its identity. */
		rc = digest_equal(&doc.identity, &which->head) &&
		     head_decode(doc.inner, ret, ERR_IGNORED) == 0 &&
		     digest_equal(&ret->site, &t->site);
	}
	return rc;
}

static int private_judge(const struct found_document *f, const struct shard_workstation *which,
			 struct manifest *ret)
{
	struct bundle_form form;
	struct signed_doc doc;
	size_t need = 0;

	return bundle_form(bytes_in(&f->raw), &need, &form, ERR_IGNORED) == 1 &&
	       signed_split(form.manifest, 1, &doc, ERR_IGNORED) == 0 &&
	       digest_equal(&doc.identity, &which->manifest) &&
	       manifest_decode(doc.inner, ret, ERR_IGNORED) == 0;
}

int found_private(struct depot *d, const struct shard_workstation *which, struct manifest *ret,
		  struct found_document *ret_document, struct err *err)
{
	OWNED(found_names_clear) struct found_names l = {.n = 0};
	const struct found_filter f = {
	    .kind = NAME_PRIVATE, .id = which->id, .above = which->generation - 1};
	char dir[32];
	int rc;

	snprintf(dir, sizeof(dir), "workstations/%02x", shard_of(which->id));
	rc = found_list(d, dir, &f, &l, err);
	for (size_t i = 0, tries = FOUND_TRIES; rc == 0 && i < l.n && tries > 0; i++) {
		struct err why = {0};

		if (l.items[i].number != which->generation || l.items[i].epoch != which->epoch)
			continue;
		tries--;
		buf_reset(&ret_document->raw);
		rc = depot_read(d, l.items[i].path, FOUND_PRIVATE, &ret_document->raw, &why);
		if (fatal(rc))
			return err_set(err, rc, "%s", why.text);
		snprintf(ret_document->path, sizeof(ret_document->path), "%s", l.items[i].path);
		rc = rc == 0 ? private_judge(ret_document, which, ret) : 0;
	}
	return rc;
}
