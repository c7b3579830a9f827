/* SPDX-License-Identifier: ISC */
/*
 * Documents are one list in the order of paths, and a counter says how far it was read: each run
 * reads on from there, and begins again at its end.  A bundle is due a week after it was last
 * compared.  A workstation that could not read a channel makes all of that due at once.
 */
#include "bundler/outbox/site_verify.h"

#include <string.h>

#include "bundler/outbox/site_post.h"
#include "bundler/published/published.h"
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define BUNDLE_DAYS 7
/* Counters: the place in the list, and when complaints were last followed. */
#define PLACE    "depot-verified"
#define FOLLOWED "depot-complaints"

struct verifying {
	struct site *s;
	struct depot *depot;     /* borrowed */
	struct strings channel;  /* owned: that somebody could not read */
	struct strings document; /* owned: paths that are due */
	struct strings bundle;   /* owned: likewise */
	uint64_t bytes;          /* of bundles so far */
};

static void verifying_clear(struct verifying *v)
{
	strings_clear(&v->channel);
	strings_clear(&v->document);
	strings_clear(&v->bundle);
}

static int documents_due(struct verifying *v, sqlite3_stmt *st, uint64_t *taken, struct err *err)
{
	int rc = 0;

	while (rc == 0 && (rc = db_step(v->s->db, st, err)) == 1) {
		++*taken;
		rc = strings_add(&v->document, db_text(st, 0), err);
	}
	return rc;
}

/* The share of the documents that is due, from the place where the last run ended.  When all of
 * them are, nothing is written. */
static int share_find(struct verifying *v, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int64_t files = 0;
	uint64_t place = 0, taken = 0, most;
	int rc = registry_last(v->s->db, PLACE, &place, err);

	if (rc == 0)
		rc = db_int(v->s->db, err, &files, "SELECT count(*) FROM outbox_sent", "");
	if (rc < 0 || files == 0)
		return rc < 0 ? rc : 0;
	most = (uint64_t)files / VERIFY_RUNS;
	most = most < VERIFY_FILES ? VERIFY_FILES : most;
	place = place >= (uint64_t)files ? 0 : place;
	rc = db_query(v->s->db, "SELECT path FROM outbox_sent ORDER BY path LIMIT ?1 OFFSET ?2",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ii", (int64_t)most, (int64_t)place);
	if (rc == 0)
		rc = documents_due(v, st, &taken, err);
	taken = (place + taken) % (uint64_t)files;
	return rc < 0 || taken == place
		   ? rc
		   : registry_counter_set(v->s->db, PLACE, (int64_t)taken, err);
}

/* Channels that somebody could not read, by receipts that came since complaints were followed. */
static int complaints_find(struct verifying *v, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	uint64_t followed = 0;
	int rc = registry_last(v->s->db, FOLLOWED, &followed, err);

	if (rc == 0)
		rc = db_query(v->s->db,
			      "SELECT DISTINCT c.channel FROM receipt_newest_channel c JOIN"
			      " receipt_newest r ON r.id = c.id WHERE r.recorded > ?1 AND"
			      " (c.reason GLOB 'incomplete:*' OR c.reason GLOB 'malformed:*')"
			      " ORDER BY c.channel",
			      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)followed);
	while (rc == 0 && (rc = db_step(v->s->db, st, err)) == 1)
		rc = strings_add(&v->channel, db_text(st, 0), err);
	return rc < 0 || v->channel.n == 0
		   ? rc
		   : registry_counter_set(v->s->db, FOLLOWED, clock_now(), err);
}

static int document_each(void *arg, const char *path, struct bytes content, struct err *err)
{
	struct verifying *v = arg;

	(void)content;
	return strings_has(&v->document, path) ? 0 : strings_add(&v->document, path, err);
}

static int heads_find(struct verifying *v, struct err *err)
{
	char glob[200];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < v->channel.n; i++) {
		snprintf(glob, sizeof(glob), "channels/%s/*", v->channel.items[i]);
		rc = registry_documents(v->s->db, glob, document_each, v, err);
	}
	return rc;
}

/* 1: the depot has these bytes under that path. */
static int document_whole(struct verifying *v, const char *path, struct err *err)
{
	OWNED(buf_clear) struct buf ours = BUF_INIT;
	OWNED(buf_clear) struct buf there = BUF_INIT;
	int rc = registry_document_get(v->s->db, path, &ours, err);

	if (rc <= 0 || ours.n == 0) /* it was taken back since */
		return rc < 0 ? rc : 1;
	if (buf_reserve(&there, ours.n, err) < 0)
		return err->rc;
	rc = depot_fetch(v->depot, path, 0, there.p, ours.n, err);
	if (rc == RC_INCOMPLETE)
		return 0;
	return rc < 0 ? rc : memcmp(ours.p, there.p, ours.n) == 0;
}

static int documents_verify(struct verifying *v, struct strings *ret, struct err *err)
{
	int rc = 1;

	for (size_t i = 0; rc >= 0 && i < v->document.n; i++) {
		const char *path = v->document.items[i];
		struct err e = {0};

		rc = document_whole(v, path, &e);
		if (rc < 0 && depot_over(v->depot, ERR_IGNORED))
			return 0;
		if (rc == 0 && !strings_has(ret, path))
			rc = strings_add(ret, path, err);
		rc = rc == RC_MEMORY ? rc : 1;
	}
	return rc < 0 ? rc : 0;
}

/* One that only the depot has must not count as lost: that would take it away. */
static int bundle_add(struct verifying *v, const struct published_file *file, struct err *err)
{
	OWNED(fd_closep) int fd = site_pack_open(v->s, file, err);

	if (fd == RC_ABSENT || fd == RC_IO || fd == RC_PATH)
		return 0;
	for (size_t i = 0; i < BUNDLE_PIECES; i++)
		v->bytes += file->piece[i].length;
	return fd < 0 ? fd : strings_add(&v->bundle, file->path, err);
}

static int complained_each(void *arg, const struct published_file *file, struct err *err)
{
	struct verifying *v = arg;
	char dir[200];

	for (size_t i = 0; i < v->channel.n; i++) {
		snprintf(dir, sizeof(dir), "channels/%s/", v->channel.items[i]);
		if (strncmp(file->path, dir, strlen(dir)) == 0)
			return bundle_add(v, file, err);
	}
	return 0;
}

static int due_each(void *arg, const struct published_file *file, struct err *err)
{
	struct verifying *v = arg;

	return v->bytes >= VERIFY_BYTES || strings_has(&v->bundle, file->path)
		   ? 0
		   : bundle_add(v, file, err);
}

static int bundles_find(struct verifying *v, struct err *err)
{
	int64_t before = clock_now() - BUNDLE_DAYS * INT64_C(86400);
	int rc = v->channel.n == 0 ? 0 : published_sent(v->s->db, complained_each, v, err);

	v->bytes = 0;
	return rc < 0 ? rc : published_sent_before(v->s->db, before, due_each, v, err);
}

static int mark(struct verifying *v, const struct strings *wrong, size_t known, struct err *err)
{
	int rc = 0;

	for (size_t i = known; rc == 0 && i < wrong->n; i++)
		rc = registry_post_again(v->s->db, wrong->items[i], err);
	for (size_t i = 0; rc == 0 && i < v->bundle.n; i++)
		rc = published_post_again(v->s->db, v->bundle.items[i], err);
	if (rc == 0 && wrong->n > known)
		rc = registry_eventf(v->s->db, err, "depot-changed", "",
				     "%zu %s in the depot %s had other bytes than were posted",
				     wrong->n - known, wrong->n - known == 1 ? "file" : "files",
				     v->s->depot);
	return rc;
}

int site_verify(struct site *s, struct depot *d, struct strings *ret, struct err *err)
{
	OWNED(verifying_clear) struct verifying v = {.s = s, .depot = d};
	OWNED(db_tx_end) struct db_tx tx = {0};
	size_t known = ret->n;
	int rc = db_tx_join(&tx, s->db, err);

	if (rc == 0)
		rc = share_find(&v, err);
	if (rc == 0)
		rc = complaints_find(&v, err);
	if (rc == 0)
		rc = heads_find(&v, err);
	if (rc == 0)
		rc = documents_verify(&v, ret, err);
	if (rc == 0)
		rc = bundles_find(&v, err);
	if (rc == 0)
		rc = mark(&v, ret, known, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}
