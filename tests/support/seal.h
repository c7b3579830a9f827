/* SPDX-License-Identifier: ISC */
/*
 * A workstation whose sealing key is due to be renewed, for tests of that.
 */
#ifndef SATCHEL_TESTS_SUPPORT_SEAL_H
#define SATCHEL_TESTS_SUPPORT_SEAL_H

#include <fcntl.h>

#include "applier/report/report.h"
#include "bundler/collect/confirm.h"
#include "core/os/beneath.h"
#include "tests/support/sync_fixture.h"

/* The id of a key of the workstation; "" when there is none of the name. */
struct seal_digits {
	char text[KEY_SEAL_ID + 1];
};

static inline struct seal_digits seal_digits(struct fixture *f, const char *name)
{
	OWNED(fd_closep)
	int dir = open(fixture_path(f, "ws/state/keys"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWNED(key_freep) struct key_secret *key = NULL;
	struct seal_digits ret = {""};
	struct key_public is;

	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return ret;
	cr_assert_eq(key_read(dir, name, NULL, &key, &f->err), 0, "%s: %s", name, f->err.text);
	is = key_public_of(key);
	key_seal_id(ret.text, &is);
	return ret;
}

/* ${days} from now, with a beat of then. */
static inline void seal_later(struct fixture *f, int days)
{
	fixture_clock((int64_t)atoll(getenv("SATCHEL_CLOCK")) + days * 86400LL);
	fixture_publish(f);
}

static inline void seal_answered(struct fixture *f)
{
	fixture_collect(f);
	fixture_publish(f);
}

static inline void seal_made(struct fixture *f, int64_t when)
{
	struct station *s = fixture_station(f);

	cr_assert_eq(station_property_put_number(s, PROPERTY_SEAL_MADE, (uint64_t)when, &f->err),
		     0);
	station_free(s);
}

/* Synced, acknowledged, and a month later: the next run begins to renew.  DIR/requests: the inbox
 * with the request to enrol. */
static inline void seal_due(struct fixture *f)
{
	char code[INVITE_TEXT + 1];

	fixture_init(f);
	FIXTURE_RUN(f, "mkdir -p office; echo one > office/a");
	fixture_channel(f, "office", "/opt/office", "remove");
	fixture_invite(f, code);
	fixture_publish(f);
	cr_assert_eq(fixture_enrol(f, code, "depot"), 0, "%s", f->err.text);
	FIXTURE_RUN(f, "cp -a depot/inbox requests");
	seal_answered(f);
	FIXTURE_SYNC(f, 0);
	seal_answered(f);
	FIXTURE_SYNC(f, 0);
	seal_later(f, 31);
}

static inline int seal_code(struct fixture *f, char code[CONFIRM_TEXT + 1])
{
	struct station *s = fixture_station(f);
	int rc;

	f->err = (struct err){0};
	rc = report_code(s, code, &f->err);
	station_free(s);
	return rc;
}

static inline int seal_typed(struct fixture *f, const char *code)
{
	OWNED(confirmed_clear) struct confirmed c = {.channel = NULL};
	struct site *s = fixture_site(f);
	int rc;

	f->err = (struct err){0};
	rc = confirm_code(s, code, &c, &f->err);
	site_free(s);
	return rc;
}

static inline int64_t seal_count(struct db *db, struct fixture *f, const char *sql)
{
	int64_t n = 0;

	cr_assert_geq(db_int(db, &f->err, &n, sql, ""), 0, "%s", f->err.text);
	return n;
}

/* Events of the workstation of this kind, acknowledged or not. */
static inline int64_t seal_events(struct fixture *f, const char *kind)
{
	struct station *s = fixture_station(f);
	int64_t n = 0;

	cr_assert_geq(
	    db_int(s->db, &f->err, &n, "SELECT count(*) FROM event WHERE kind = ?1", "t", kind), 0);
	station_free(s);
	return n;
}

static inline int64_t seal_pending(struct fixture *f)
{
	struct site *s = fixture_site(f);
	int64_t n = seal_count(s->db, f, "SELECT count(*) FROM pending_request");

	site_free(s);
	return n;
}

static inline void seal_inbox_forget(struct fixture *f)
{
	struct site *s = fixture_site(f);

	cr_assert_eq(db_exec(s->db, "DELETE FROM inbox", &f->err), 0, "%s", f->err.text);
	site_free(s);
}

#endif
