/* SPDX-License-Identifier: ISC */
/*
 * A site with its server, its home depot, and one workstation, for tests of what passes between
 * them.  Each call opens and closes what it needs, as the commands do.
 */
#ifndef SATCHEL_TESTS_SUPPORT_SYNC_FIXTURE_H
#define SATCHEL_TESTS_SUPPORT_SYNC_FIXTURE_H

#include <string.h>

#include "applier/enrol/enrol.h"
#include "applier/open/open.h"
#include "applier/station/station_state.h"
#include "applier/sync/sync.h"
#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/publish/publish.h"
#include "bundler/site/site.h"
#include "tests/support/scratch.h"

#define FIXTURE_NOW 1800000000

struct fixture {
	char dir[SCRATCH_PATH];
	char path[SCRATCH_PATH + 512]; /* of fixture_path */
	struct err err;
	/* What the last sync said. */
	struct sync_channel said[16];
	size_t saids;
};

static inline void fixture_clock(int64_t now)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)now);
	setenv("SATCHEL_CLOCK", text, 1);
}

static inline const char *fixture_path(struct fixture *f, const char *below)
{
	snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, below);
	return f->path;
}

static inline int fixture_run(struct fixture *f, const char *command)
{
	return scratch_run(f->dir, command);
}

#define FIXTURE_RUN(f, command) cr_assert_eq(fixture_run(f, command), 0, "%s", command)

static inline struct site *fixture_site(struct fixture *f)
{
	struct site *s = NULL;

	cr_assert_eq(site_open(fixture_path(f, "site"), SITE_LOCK, NULL, &s, &f->err), 0, "%s",
		     f->err.text);
	return s;
}

static inline void fixture_init(struct fixture *f)
{
	char site[SCRATCH_PATH + 16], depot[SCRATCH_PATH + 16];
	struct site_init in = {.dir = site, .name = "Acme", .depot = depot};

	memset(f, 0, sizeof(*f));
	fixture_clock(FIXTURE_NOW);
	scratch_make(f->dir);
	snprintf(site, sizeof(site), "%s/site", f->dir);
	snprintf(depot, sizeof(depot), "%s/depot", f->dir);
	cr_assert_eq(site_init(&in, NULL, &f->err), 0, "%s", f->err.text);
}

/* A channel whose source is DIR/<name>. */
static inline void fixture_channel(struct fixture *f, const char *name, const char *target,
				   const char *on_leave)
{
	char source[SCRATCH_PATH + 64], where[256], all[] = "all", *audience[] = {all};
	struct site_channel c = {
	    .source = source, .target = where, .audience = audience, .audiences = 1, .keep = 10};
	struct site *s = fixture_site(f);

	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(c.on_leave, sizeof(c.on_leave), "%s", on_leave);
	snprintf(source, sizeof(source), "%s/%s", f->dir, name);
	snprintf(where, sizeof(where), "%s", target);
	cr_assert_eq(site_channel_write(s, &c, &f->err), 0, "%s", f->err.text);
	site_free(s);
}

static inline void fixture_publish(struct fixture *f)
{
	struct site *s = fixture_site(f);

	cr_assert_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &f->err), 0, "%s", f->err.text);
	site_free(s);
}

/* For a run that cannot read a source: what it can do is done all the same. */
static inline void fixture_publish_fails(struct fixture *f)
{
	struct site *s = fixture_site(f);

	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &f->err), 0);
	site_free(s);
}

static inline struct collect_counts fixture_collect(struct fixture *f)
{
	struct collect_counts counts = {0};
	struct site *s = fixture_site(f);

	cr_assert_eq(collect_site(s, &counts, &f->err), 0, "%s", f->err.text);
	site_free(s);
	return counts;
}

static inline void fixture_invite(struct fixture *f, char code[INVITE_TEXT + 1])
{
	struct site *s = fixture_site(f);

	cr_assert_eq(enrolment_invite(s, "alpha", 14, code, &f->err), 0, "%s", f->err.text);
	site_free(s);
}

static inline struct station *fixture_station(struct fixture *f)
{
	struct station *s = NULL;

	cr_assert_eq(
	    station_open(fixture_path(f, "ws"), STATION_LOCK | STATION_CREATE, NULL, &s, &f->err),
	    0, "%s", f->err.text);
	return s;
}

/* "depot" and the like are below the fixture's directory. */
static inline int fixture_enrol(struct fixture *f, const char *code, const char *depot)
{
	struct station *s = fixture_station(f);
	int rc;

	f->err = (struct err){0};
	rc = station_enrol(s, code, fixture_path(f, depot), "alpha", &f->err);
	station_free(s);
	return rc;
}

static inline void fixture_each(void *arg, const struct sync_channel *c)
{
	struct fixture *f = arg;

	cr_assert_lt(f->saids, 16);
	f->said[f->saids++] = *c;
}

static inline int fixture_sync_with(struct fixture *f, const char *only, enum sync_flags flags)
{
	struct station *s = fixture_station(f);
	int rc;

	f->err = (struct err){0};
	f->saids = 0;
	rc = sync_station(s, only == NULL ? NULL : fixture_path(f, only), flags, fixture_each, f,
			  &f->err);
	station_free(s);
	return rc;
}

static inline int fixture_sync(struct fixture *f)
{
	return fixture_sync_with(f, NULL, 0);
}

#define FIXTURE_SYNC(f, rc) cr_assert_eq(fixture_sync(f), rc, "%s", (f)->err.text)

static inline const struct sync_channel *fixture_said(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->saids; i++)
		if (strcmp(f->said[i].name, name) == 0)
			return &f->said[i];
	cr_assert_fail("nothing was said about %s", name);
	return NULL;
}

/* A site with channel office in DIR/office, published, and the workstation enrolled and approved;
 * not yet synced. */
static inline void fixture_joined(struct fixture *f)
{
	char code[INVITE_TEXT + 1];

	fixture_init(f);
	FIXTURE_RUN(f, "mkdir -p office/sub; echo one > office/a; echo two > office/sub/b; "
		       "ln -s a office/l");
	fixture_channel(f, "office", "/opt/office", "remove");
	fixture_invite(f, code);
	fixture_publish(f);
	cr_assert_eq(fixture_enrol(f, code, "depot"), 0, "%s", f->err.text);
	cr_assert_eq(fixture_collect(f).enrolled, 1);
	fixture_publish(f);
}

static inline void fixture_end(struct fixture *f)
{
	scratch_remove(f->dir);
}

static inline void fixture_synced(struct fixture *f)
{
	fixture_joined(f);
	FIXTURE_SYNC(f, 0);
}

/* A second channel, which leaves its files when it is left. */
static inline void fixture_tools(struct fixture *f, const char *target)
{
	FIXTURE_RUN(f, "mkdir -p tools; echo t > tools/t");
	fixture_channel(f, "tools", target, "keep");
	fixture_publish(f);
}

#endif
