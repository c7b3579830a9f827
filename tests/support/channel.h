/* SPDX-License-Identifier: ISC */
/* A site with one channel, and its runs of publish. */
#ifndef SATCHEL_TESTS_SUPPORT_CHANNEL_H
#define SATCHEL_TESTS_SUPPORT_CHANNEL_H

#include <sqlite3.h>

#include "bundler/publish/publish_internal.h"
#include "tests/support/published.h"

#define CHANNEL "office"

/** source_make(): a site with one channel over ${dir}/source, and a few files in it. */
static inline void source_make(void)
{
	OWNED(site_freep) struct site *s = NULL;

	server_make();
	s = server_open(SITE_LOCK);
	server_channel(s, CHANNEL, 2);
	cr_assert_eq(
	    scratch_run(dir, "mkdir -p source/a/b source/empty; echo one > source/a/one;"
			     "echo two > source/a/b/two; echo three > source/three;"
			     "ln -s three source/link; head -c 20000 /dev/urandom > source/noise"),
	    0);
}

static inline void change(const char *command)
{
	cr_assert_eq(scratch_run(dir, command), 0, "%s", command);
}

/** settle(s): everything in the source is older than the last scan, whatever the clock's steps are.
 */
static inline void settle(struct site *s)
{
	struct err err = {0};

	must(db_exec(s->db, "UPDATE scanned SET hashed = 9000000000000000000", &err));
}

static inline int publish(struct site *s, enum publish_flags flags, struct publish_counts *c,
			  struct err *err)
{
	*err = (struct err){0};
	return publish_channel(s, site_channel(s, CHANNEL), flags, c, err);
}

static inline void publish_good(struct site *s, enum publish_flags flags, struct publish_counts *c)
{
	struct err err;

	must(publish(s, flags, c, &err));
}

static inline void run(struct site *s)
{
	struct err err = {0};

	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

static inline int64_t writes(struct site *s)
{
	return sqlite3_total_changes64(db_handle(s->db));
}

#endif
