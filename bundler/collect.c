#include "bundler/collect.h"

#include <stdio.h>
#include <string.h>

#include "bundler/collect_internal.h"
#include "bundler/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Files read in one run, so that a flood cannot hold it for ever; the next run goes on from there.
 */
#define FILES_MAX 100000
/* Names of one directory that are held in memory; fewer than files, so that one directory alone
 * never takes a whole run. */
#define NAMES_MAX 65536
_Static_assert(NAMES_MAX < FILES_MAX, "the first directory of a run is looked at whole");

struct shards {
	bool there[256];
};

static int shard_take(void *arg, const char *name, struct err *err)
{
	struct shards *l = arg;
	uint8_t xx;

	if (strlen(name) == 2 && hex_decode(&xx, 1, name, NULL) == 0)
		l->there[xx] = true;
	return 0;
}

static void collect_clear(struct collect *c)
{
	opener_end(&c->opener);
	depot_freep(&c->depot);
	tally_clear(&c->tally);
}

/* cursor_set(s, next, err): where the next run begins, when this one could not finish. */
static int cursor_set(struct site *s, unsigned next, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT INTO counter(name, value) VALUES('collect', ?1)"
		      " ON CONFLICT(name) DO UPDATE SET value = excluded.value"
		      " WHERE value <> excluded.value",
		      "i", (int64_t)next);
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
		say_progress(c->s->say, "collect", 0, 0, c->counts.files, 0);
	}
	/* Where the budget ended is where the next run begins, with all of its own. */
	if (rc == 0)
		rc = cursor_set(c->s, c->budget == 0 ? (unsigned)(begin + i - 1) % 256 : 0, err);
	return rc;
}

int collect_site(struct site *s, struct collect_counts *ret, struct err *err)
{
	OWNED(collect_clear)
	struct collect c = {.s = s,
			    .now = clock_now(),
			    .budget = FILES_MAX,
			    .names_max = NAMES_MAX,
			    .opener = {.child = CHILD_INIT}};
	int rc;

	/*
	 * The child first: a fork copies what is in memory, and nothing of the registry has been
	 * read for this run yet.
	 */
	rc = opener_start(&c.opener, s, err);
	if (rc == 0)
		rc = site_depot_open(s, &c.depot, err);
	if (rc == 0)
		rc = db_int(s->db, err, &c.remembered, "SELECT count(*) FROM inbox", "");
	if (rc >= 0)
		rc = collect_inbox(&c, err);
	*ret = c.counts;
	if (rc == 0 && c.more)
		say_info(s->say, "more files wait in the inbox: run collect again");
	if (rc == 0 && c.unread.rc < 0)
		rc = err_set(err, c.unread.rc, "%s", c.unread.text);
	return rc;
}
