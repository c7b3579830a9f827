/* SPDX-License-Identifier: ISC */
/*
 * Collect from beginning to end: which directories of the inbox are looked at, how many files in
 * one run, and what the run says.  Anybody can fill the inbox, so a run has a budget and the next
 * one goes on where it ended.
 */
#include "bundler/collect/collect.h"

#include <stdio.h>
#include <string.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Files read in one run, so that a flood cannot hold it for ever; the next run goes on from there.
 */
#define FILES_MAX 100000
/* Names of one directory that are held in memory; fewer than files, so that one directory alone
 * never takes a whole run. */
#define NAMES_MAX 65536
_Static_assert(NAMES_MAX < FILES_MAX, "the first directory of a run is read whole");

static const char tables[] =
    /* files of the inbox that need no look, or none before `again` */
    "CREATE TABLE inbox(path TEXT PRIMARY KEY, done INTEGER NOT NULL, first INTEGER NOT NULL,"
    " again INTEGER NOT NULL, size INTEGER NOT NULL, reported INTEGER NOT NULL) STRICT,"
    " WITHOUT ROWID;"
    /* wrong confirmation codes of late */
    "CREATE TABLE confirm_try(at INTEGER NOT NULL) STRICT;";
static const char *const steps[] = {tables};
const struct db_schema collect_schema = DB_SCHEMA("collect", steps);

struct shards {
	bool there[256];
};

/*
 * Any other name in the inbox is litter, and anybody may put it there: it is neither looked into
 * nor reported.
 */
static int shard_take(void *arg, const char *name, struct err *err)
{
	struct shards *l = arg;
	uint8_t xx;

	if (strlen(name) == 2 && hex_decode(&xx, 1, name, ERR_IGNORED) == 0)
		l->there[xx] = true;
	return 0;
}

/* The child first: it holds keys, and nothing needs it any more. */
static void collect_clear(struct collect *c)
{
	unsealer_end(&c->unsealer);
	yaml_child_end(&c->parser);
	depot_freep(&c->depot);
	event_counts_clear(&c->event_counts);
}

int collect_inbox(struct collect *c, struct err *err)
{
	struct shards l = {0};
	uint64_t begin = 0;
	unsigned i = 0;
	int rc;

	rc = registry_last(c->s->db, "collect", &begin, err);
	if (rc == 0)
		rc = depot_dirs(c->depot, "inbox", shard_take, &l, err);
	for (; rc == 0 && i < 256 && c->budget > 0; i++) {
		unsigned at = (unsigned)(begin + i) % 256;
		char xx[3];

		if (!l.there[at])
			continue;
		snprintf(xx, sizeof(xx), "%02x", at);
		rc = collect_directory(c, xx, err);
		reporter_progress(c->s->reporter, "collect", 0, 0, c->counts.files, 0);
	}
	/* A directory that ate all that the depot may cost must not keep the others waiting. */
	if (rc == RC_TIMEOUT && i > 0 &&
	    registry_counter_set(c->s->db, "collect", (int64_t)(begin + i) % 256, ERR_IGNORED) < 0)
		return rc;
	/* Where the budget ended is where the next run begins, with all of its own. */
	if (rc == 0)
		rc = registry_counter_set(c->s->db, "collect",
					  c->budget == 0 ? (int64_t)(begin + i - 1) % 256 : 0, err);
	return rc;
}

int collect_site(struct site *s, struct collect_counts *ret, struct err *err)
{
	OWNED(collect_clear)
	struct collect c = {.s = s,
			    .now = clock_now(),
			    .budget = FILES_MAX,
			    .names_max = NAMES_MAX,
			    .unsealer = {.child = CHILD_INIT},
			    .parser = YAML_CHILD_INIT};
	int rc;

	/*
	 * The children first: a fork copies what is in memory, and nothing of the registry has been
	 * read for this run yet.
	 */
	rc = yaml_child_start(&c.parser, err);
	if (rc == 0)
		rc = unsealer_start(&c.unsealer, s, err);
	if (rc == 0)
		rc = site_depot_open(s, &c.depot, err);
	if (rc >= 0)
		rc = db_int(s->db, err, &c.known, "SELECT count(*) FROM inbox", "");
	if (rc >= 0)
		rc = collect_inbox(&c, err);
	*ret = c.counts;
	if (rc == 0 && c.more)
		reporter_info(s->reporter, "more files wait in the inbox: run collect again");
	/*
	 * Last, so that one directory that cannot be listed hides nothing of what the others held;
	 * the run still fails, because somebody has to look.
	 */
	if (rc == 0 && c.unread.rc < 0)
		rc = err_set(err, c.unread.rc, "%s", c.unread.text);
	if (rc == 0 && s->unread.rc < 0)
		rc = err_set(err, s->unread.rc,
			     "receipts were recorded, and requests wait for a document that cannot "
			     "be read: %s",
			     s->unread.text);
	return rc;
}
