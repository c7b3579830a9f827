/* SPDX-License-Identifier: ISC */
/* A site with its depot in a directory of the test. */
#ifndef SATCHEL_TESTS_SUPPORT_SERVER_H
#define SATCHEL_TESTS_SUPPORT_SERVER_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/site/site.h"
#include "core/base/own.h"
#include "tests/support/scratch.h"

#define SERVER_NOW 1800000000 /* 2027-01-15, whatever the machine's clock says */

static char dir[SCRATCH_PATH], site_dir[SCRATCH_PATH + 16], depot_dir[SCRATCH_PATH + 16];

static inline void clock_set(int64_t at)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)at);
	setenv("SATCHEL_CLOCK", text, 1);
}

/** must(rc, err): a call that may not fail. */
#define must(call)                                                                 \
	do {                                                                       \
		int must_rc_ = (call);                                             \
		cr_assert_geq(must_rc_, 0, "%s: %s", rc_slug(must_rc_), err.text); \
	} while (0)

static inline int server_init(struct err *err)
{
	struct site_init in = {.dir = site_dir, .name = "Acme", .depot = depot_dir};

	return site_init(&in, NULL, err);
}

static inline struct site *server_open(enum site_flags flags)
{
	struct err err = {0};
	struct site *s = NULL;

	must(site_open(site_dir, flags, NULL, &s, &err));
	return s;
}

/** server_setup(): a scratch directory and the clock, no site yet.  server_make(): and a site. */
static inline void server_setup(void)
{
	scratch_make(dir);
	snprintf(site_dir, sizeof(site_dir), "%s/site", dir);
	snprintf(depot_dir, sizeof(depot_dir), "%s/depot", dir);
	clock_set(SERVER_NOW);
}

static inline void server_make(void)
{
	struct err err = {0};

	server_setup();
	must(server_init(&err));
}

/** server_channel(s, name, keep): a channel over ${dir}/source for everybody. */
static inline void server_channel(struct site *s, const char *name, uint64_t keep)
{
	char source[SCRATCH_PATH + 16], target[] = "/srv/office", all[] = "all";
	char *audience[] = {all};
	struct site_channel c = {.on_leave = "keep",
				 .keep = keep,
				 .source = source,
				 .target = target,
				 .audience = audience,
				 .audiences = 1};
	struct err err = {0};

	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(source, sizeof(source), "%s/source", dir);
	must(site_channel_write(s, &c, &err));
}

static inline void server_teardown(void)
{
	scratch_remove(dir);
}

/** server_number(s, sql): the first column of the first row. */
static inline int64_t server_number(struct site *s, const char *sql)
{
	struct err err = {0};
	int64_t n = -1;

	must(db_int(s->db, &err, &n, sql, ""));
	return n;
}

/** server_events(s, kind): how many events of a kind there are; with repetitions. */
static inline int64_t server_events(struct site *s, const char *kind)
{
	struct err err = {0};
	int64_t n = 0;

	must(db_int(s->db, &err, &n, "SELECT ifnull(sum(count), 0) FROM event WHERE kind = ?1", "t",
		    kind));
	return n;
}

#endif
