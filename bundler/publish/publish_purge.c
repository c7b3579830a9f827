/* SPDX-License-Identifier: ISC */
/*
 * Content that should never have been published.  To take out what one old generation had, its
 * digest would have to be known, and it is known nowhere but in what is to go.  So everything of
 * the channel goes, and one full bundle of the newest tree, read from the source, takes its place.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/documents/documents.h"
#include "bundler/pack/store.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "core/base/own.h"
#include "core/format/bundle/path.h"
#include "core/os/beneath.h"
#include "core/tree/exclude.h"

/* Retired files stay as long as a kept beat leads to them: BEAT_ALL_NEW ends that. */
int publish_purge_drop(struct publishing *p, struct err *err)
{
	struct published_generation newest;
	struct db *db = p->s->db;
	int rc = published_latest(db, p->c->name, &newest, err);

	if (rc <= 0)
		return rc;
	if (newest.epoch != p->epoch || newest.generation != p->last)
		return err_set(err, RC_CONFLICT,
			       "a generation of channel %s waits for signatures: satchel release "
			       "list shows it",
			       p->c->name);
	rc = published_release_all(db, p->c->name, &newest, err);
	if (rc == 0)
		rc = published_offers_drop(db, p->c->name, 0, err);
	if (rc == 0)
		rc = published_bundles_take(db, p->c->name, EPOCHS_ALL, publish_path_retire, p->s,
					    err);
	if (rc == 0)
		rc = store_forget_channel(p->s, p->c->name, err);
	if (rc < 0)
		return rc;
	/* Opened here, so that no pack file is swept before its row is gone for good. */
	p->storefd = store_dir(p->s, err);
	p->flags |= PUBLISH_FULL;
	return p->storefd < 0 ? p->storefd : 0;
}

static int published_still(const char *channel, const char *path, struct err *err)
{
	return err_set(err, RC_CONFLICT,
		       "%s is still published: remove it from the source, or leave it out with "
		       "satchel channel set %s --exclude, and run this again",
		       path, channel);
}

/* Is it, or what it lies in, left out? */
static bool left_out(const struct site_channel *c, const char *path)
{
	char part[LIMIT_PATH + 1];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash;; *slash = '\0') {
		if (exclude_fits((const char *const *)c->exclude, c->excludes, part))
			return true;
		slash = strrchr(part, '/');
		if (slash == NULL)
			return false;
	}
}

/* Before anything is done: would it be published again? */
static int source_check(struct site *s, const struct site_channel *c, char *const *path, size_t n,
			struct err *err)
{
	OWNED(fd_closep) int fd = site_source_open(s, c, err);
	struct err ignored = {0};
	struct stat st;

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < n; i++) {
		if (path_check(path[i], err) < 0)
			return err->rc;
		if (!left_out(c, path[i]) && beneath_stat(fd, path[i], &st, &ignored) == 0)
			return published_still(c->name, path[i], err);
	}
	return 0;
}

static int gone_check(struct site *s, const char *channel, char *const *path, size_t n,
		      struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	struct entry e;
	int rc = index_open(s->db, channel, &x, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = index_get(x, path[i], &e, err);
		if (rc > 0)
			return published_still(channel, path[i], err);
	}
	return rc;
}

/* Who holds an earlier generation, by the newest receipts. */
static int
holders_tell(struct site *s, const char *channel, const struct published_generation *newest,
	     int (*each)(void *arg, const char *workstation, uint64_t generation, struct err *err),
	     void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(s->db,
			  "SELECT w.name, c.generation FROM receipt_newest_channel c"
			  " JOIN workstation_member w ON w.id = c.id WHERE c.channel = ?1"
			  " AND c.generation > 0 AND (c.epoch, c.generation) < (?2, ?3)"
			  " ORDER BY w.name",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tii", channel, (int64_t)newest->epoch,
			     (int64_t)newest->generation);
	while (rc == 0 && (rc = db_step(s->db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), (uint64_t)db_i64(st, 1), err);
	return rc;
}

int publish_purge(struct site *s, const char *channel, char *const *path, size_t n,
		  int (*each)(void *arg, const char *workstation, uint64_t generation,
			      struct err *err),
		  void *arg, struct err *err)
{
	const char *const only[] = {channel};
	struct published_generation newest = {.generation = 0};
	int rc = source_check(s, site_channel(s, channel), path, n, err);

	if (rc == 0)
		rc = publish_site(s, only, 1, 0, NULL, NULL, err);
	if (rc == 0)
		rc = gone_check(s, channel, path, n, err);
	if (rc == 0)
		rc = publish_site(s, only, 1, PUBLISH_PURGE | PUBLISH_FULL, NULL, NULL, err);
	if (rc == 0)
		rc = published_latest(s->db, channel, &newest, err);
	if (rc >= 0)
		rc = registry_eventf(s->db, err, "purged", channel,
				     "%s%s: every bundle was made anew", path[0],
				     n > 1 ? " and more" : "");
	return rc < 0 ? rc : holders_tell(s, channel, &newest, each, arg, err);
}
