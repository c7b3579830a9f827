/* SPDX-License-Identifier: ISC */
/*
 * A workstation with people on it: private channels with persons, keys, policies and messages, as
 * the server would compile them.
 */
#ifndef SATCHEL_TESTS_SUPPORT_PEOPLE_H
#define SATCHEL_TESTS_SUPPORT_PEOPLE_H

#include <pwd.h>
#include <unistd.h>

#include "applier/sync/activate.h"
#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/trust/signed.h"
#include "tests/support/sync_fixture.h"

#define PEOPLE_FILES 64

/* What the next generation of the private channel holds besides its membership. */
struct tree_files {
	struct {
		char path[256];
		struct buf content; /* owned */
	} file[PEOPLE_FILES];
	size_t n;
	bool decommission;
};

static inline void tree_clear(struct tree_files *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_clear(&t->file[i].content);
	memset(t, 0, sizeof(*t));
}

static inline void tree_add(struct tree_files *t, const char *path, struct bytes content)
{
	struct err err = {0};

	cr_assert_lt(t->n, PEOPLE_FILES);
	snprintf(t->file[t->n].path, sizeof(t->file[0].path), "%s", path);
	cr_assert_eq(buf_add(&t->file[t->n].content, content.p, content.n, &err), 0);
	t->n++;
}

static inline void tree_text(struct tree_files *t, const char *path, const char *text)
{
	tree_add(t, path, bytes_of(text));
}

static inline void tree_sub(struct tree_files *t, const char *name, const char *target,
			    const char *on_leave)
{
	OWNED(freep) struct subscription *sub = calloc(1, sizeof(*sub));
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};
	char path[256];

	snprintf(sub->name, sizeof(sub->name), "%s", name);
	snprintf(sub->target, sizeof(sub->target), "%s", target);
	snprintf(sub->on_leave, sizeof(sub->on_leave), "%s", on_leave);
	snprintf(path, sizeof(path), "channels/%s.yaml", name);
	cr_assert_eq(subscription_encode(sub, &text, &err), 0, "%s", err.text);
	tree_add(t, path, bytes_in(&text));
}

/* 32 bytes that a version of a key could be. */
static inline void secret_of(uint8_t dst[32], const char *key, uint64_t version)
{
	char text[256];
	struct digest d;

	snprintf(text, sizeof(text), "%s %llu", key, (unsigned long long)version);
	d = digest_of(bytes_of(text));
	memcpy(dst, d.b, 32);
}

/* One key of a person: its current version, and one older one (0: none). */
struct tree_key {
	const char *name;
	uint64_t current, older;
};

static inline void tree_secret(struct tree_files *t, const char *key, uint64_t version)
{
	uint8_t secret[32];
	char path[256];

	snprintf(path, sizeof(path), "secrets/%s.%llu", key, (unsigned long long)version);
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->file[i].path, path) == 0)
			return;
	secret_of(secret, key, version);
	tree_add(t, path, (struct bytes){secret, 32});
}

static inline void tree_person(struct tree_files *t, const char *email, const char *account,
			       const struct tree_key *key, size_t keys)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct person p = {.keys = keys};
	struct err err = {0};
	char id[17], path[64];

	snprintf(p.email, sizeof(p.email), "%s", email);
	snprintf(p.name, sizeof(p.name), "Somebody");
	snprintf(p.account, sizeof(p.account), "%s", account);
	p.key = calloc(keys + 1, sizeof(*p.key));
	for (size_t i = 0; i < keys; i++) {
		snprintf(p.key[i].name, sizeof(p.key[i].name), "%s", key[i].name);
		p.key[i].current = key[i].current;
		p.key[i].older[0] = key[i].older;
		p.key[i].olders = key[i].older > 0;
		tree_secret(t, key[i].name, key[i].current);
		if (key[i].older > 0)
			tree_secret(t, key[i].name, key[i].older);
	}
	person_id(id, email);
	snprintf(path, sizeof(path), "people/%s.yaml", id);
	cr_assert_eq(person_encode(&p, &text, &err), 0, "%s", err.text);
	person_clear(&p);
	tree_add(t, path, bytes_in(&text));
}

static inline void tree_message(struct tree_files *t, const struct message *m)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};
	char path[64];

	snprintf(path, sizeof(path), "messages/%s.yaml", m->id);
	cr_assert_eq(message_encode(m, &text, &err), 0, "%s", err.text);
	tree_add(t, path, bytes_in(&text));
}

static inline int tree_order(const void *a, const void *b)
{
	const struct private_file *x = a, *y = b;
	const uint8_t *p = (const uint8_t *)x->path, *q = (const uint8_t *)y->path;

	/* Component by component: "/" before everything. */
	for (; *p == *q && *p != 0; p++, q++)
		;
	return (*p == '/' ? 0 : *p) - (*q == '/' ? 0 : *q);
}

static inline void tree_membership(struct fixture *f, const struct station *st, bool decommission,
				   struct buf *ret)
{
	struct membership m = {.site = st->site, .name = "alpha", .decommission = decommission};

	memcpy(m.id, st->id, sizeof(m.id));
	randombytes_buf(m.salt, sizeof(m.salt));
	cr_assert_eq(membership_encode(&m, ret, &f->err), 0, "%s", f->err.text);
}

/** tree_publish(f, t): one more generation of the private channel, and a beat for it. */
static inline void tree_publish(struct fixture *f, const struct tree_files *t)
{
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(key_freep) struct key_secret *seal = NULL;
	OWNED(buf_clear) struct buf membership = BUF_INIT;
	struct private_file file[PEOPLE_FILES + 1];
	struct station *st = fixture_station(f);
	struct key_public psign, pseal;
	struct site *s;

	cr_assert_eq(station_keys(st, 0, &sign, &seal, &f->err), 0, "%s", f->err.text);
	psign = key_public_of(sign);
	pseal = key_public_of(seal);
	tree_membership(f, st, t->decommission, &membership);
	station_free(st);
	file[0] = (struct private_file){"workstation.yaml", bytes_in(&membership)};
	for (size_t i = 0; i < t->n; i++)
		file[i + 1] = (struct private_file){t->file[i].path, bytes_in(&t->file[i].content)};
	qsort(file, t->n + 1, sizeof(*file), tree_order);
	s = fixture_site(f);
	cr_assert_eq(private_publish(s, &psign, &pseal,
				     &(struct private_content){.file = file, .files = t->n + 1},
				     &f->err),
		     0, "%s", f->err.text);
	cr_assert_eq(db_begin(s->db, &f->err), 0);
	cr_assert_eq(publish_beat(s, 0, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(db_commit(s->db, &f->err), 0);
	cr_assert_eq(site_post(s, &f->err), 0, "%s", f->err.text);
	site_free(s);
}

/** inbox_newest(f, extension, ret): the newest file of that kind in the inbox of the depot, opened
 * as the server would: ${ret} is the signed document. */
static inline void inbox_newest(struct fixture *f, const char *extension, struct buf *ret)
{
	OWNED(key_freep) struct key_secret *collect = NULL;
	OWNED(fd_closep) int keys = os_open_dir(fixture_path(f, "site.state/keys"), &f->err);
	OWNED(fd_closep) int here = os_open_dir(f->dir, &f->err);
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	char command[512];

	snprintf(command, sizeof(command),
		 "cat \"$(find depot/inbox -name '*.%s' | sort -t - -k 2n | tail -n 1)\" > newest",
		 extension);
	FIXTURE_RUN(f, command);
	cr_assert_eq(key_read(keys, "collect.key", NULL, &collect, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(file_read(here, "newest", LIMIT_DOCUMENT, &sealed, &f->err), 0);
	cr_assert_eq(sealed_open(collect, bytes_in(&sealed), ret, &f->err), 0, "%s", f->err.text);
}

static inline void newest_request(struct fixture *f, struct request *ret)
{
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct signed_doc d;

	inbox_newest(f, "request", &doc);
	cr_assert_eq(signed_split(bytes_in(&doc), 1, &d, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(request_decode(d.inner, ret, &f->err), 0, "%s", f->err.text);
}

/** newest_receipt(f, ret): the caller's (receipt_clear). */
static inline void newest_receipt(struct fixture *f, struct receipt *ret)
{
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct signed_doc d;

	inbox_newest(f, "receipt", &doc);
	cr_assert_eq(signed_split(bytes_in(&doc), 1, &d, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(receipt_decode(d.inner, ret, &f->err), 0, "%s", f->err.text);
}

/* The account that the tests run as. */
static inline const char *own_account(void)
{
	struct passwd *p = getpwuid(geteuid());

	cr_assert_not_null(p);
	return p->pw_name;
}

/* One setting, as it would be compiled. */
static inline void tree_setting(struct tree_files *t, const char *name, const char *value)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "satchel: effective/1\nsettings:\n  %s: %s\norigins:\n  - path: settings.%s\n    "
		 "from: site policy basic\n",
		 name, value, name);
	tree_text(t, "policy.yaml", text);
}

static inline void tree_policy_synced(struct fixture *f, struct tree_files *t, const char *name,
				      const char *value)
{
	memset(t, 0, sizeof(*t));
	fixture_joined(f);
	tree_sub(t, "office", "/opt/office", "keep");
	tree_setting(t, name, value);
	tree_publish(f, t);
	FIXTURE_SYNC(f, 0);
}

#endif
