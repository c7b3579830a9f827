/* SPDX-License-Identifier: ISC */
/*
 * crowd: many simulated workstations on one site, to measure the server.
 *
 *   crowd make SITE KEYS N [GROUP LICENCE]
 *                               enrol N workstations: rows, documents, keys into the file KEYS; on
 *                               each a user of the group is active
 *   crowd receipts SITE KEYS    one receipt of each into the inbox: holds what the site wants
 *   crowd floor SITE KEYS       what the receipts cost SQLite, Ed25519 and X25519 alone, in seconds
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bundler/site/site.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/trust/key_internal.h"
#include "core/trust/signed.h"

#define BATCH 10000

struct machine {
	uint64_t sign_number, seal_number;
	uint8_t sign[KEY_SECRET_BYTES], seal[KEY_SECRET_BYTES];
};

static void stop(const struct err *err)
{
	fprintf(stderr, "crowd: %s\n", err->text);
	exit(1);
}

#define MUST(call)                  \
	do {                        \
		if ((call) < 0)     \
			stop(&err); \
	} while (0)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct key_secret *secret(enum key_kind kind, uint64_t number, const uint8_t *b)
{
	struct err err = {0};
	struct key_secret *k = NULL;

	MUST(key_secret_new(&k, &err));
	k->kind = kind;
	k->number = number;
	memcpy(k->b, b, KEY_SECRET_BYTES);
	return k;
}

static void machine_new(struct machine *m)
{
	randombytes_buf(&m->sign_number, 8);
	randombytes_buf(&m->seal_number, 8);
	crypto_sign_keypair(m->sign + 32, m->sign);
	crypto_box_keypair(m->seal + 32, m->seal);
}

static void machine_id(char id[WORKSTATION_ID + 1], const struct machine *m)
{
	struct key_public pub = {.kind = KEY_SIGN};

	memcpy(pub.b, m->sign + 32, KEY_PUBLIC_BYTES);
	workstation_id(id, &pub);
}

/* A document of the site. */
static void document(struct site *s, const char *path, const char *text)
{
	int fd = openat(s->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t n = strlen(text);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || close(fd) < 0) {
		perror(path);
		exit(1);
	}
}

static void user_make(struct site *s, size_t i, const char *id, const char *group,
		      const char *licence)
{
	char path[256], text[512], email[64];
	struct err err = {0};

	snprintf(email, sizeof(email), "u%06zu@acme.example", i);
	snprintf(path, sizeof(path), "users/%s.yaml", email);
	snprintf(text, sizeof(text), "satchel: user/1\nname: User %zu\ngroup: %s\nlicence: %s\n", i,
		 group, licence);
	document(s, path, text);
	MUST(db_run(s->db, &err,
		    "INSERT INTO activation(id, email, account, state, at, code)"
		    " VALUES(?1, ?2, 'user', 'active', ?3, '')",
		    "tti", id, email, clock_now()));
}

static void make(struct site *s, const char *keys, size_t n, const char *group, const char *licence)
{
	FILE *out = fopen(keys, "w");
	struct err err = {0};

	mkdirat(s->dirfd, "workstations", 0755);
	mkdirat(s->dirfd, "users", 0755);
	for (size_t i = 0; out != NULL && i < n; i++) {
		struct machine m;
		char id[WORKSTATION_ID + 1], name[32], path[64], text[128];

		if (i % BATCH == 0)
			MUST(db_begin(s->db, &err));
		machine_new(&m);
		machine_id(id, &m);
		snprintf(name, sizeof(name), "ws-%06zu", i);
		snprintf(path, sizeof(path), "workstations/%s.yaml", name);
		snprintf(text, sizeof(text), "satchel: workstation/1\nname: %s\n", name);
		document(s, path, text);
		MUST(db_run(
		    s->db, &err,
		    "INSERT INTO workstation(id, name, sign, sign_number, seal, seal_number,"
		    " state, enrolled) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 'enrolled', ?7)",
		    "ttbibii", id, name, (struct bytes){m.sign + 32, 32}, (int64_t)m.sign_number,
		    (struct bytes){m.seal + 32, 32}, (int64_t)m.seal_number, clock_now()));
		if (group != NULL)
			user_make(s, i, id, group, licence);
		fwrite(&m, sizeof(m), 1, out);
		if (i % BATCH == BATCH - 1 || i == n - 1)
			MUST(db_commit(s->db, &err));
	}
	if (out == NULL || fclose(out) != 0)
		exit(1);
}

static void receipt_fill(struct site *s, struct receipt *r, const char *id)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct err err = {0};

	r->site = s->id;
	snprintf(r->workstation, sizeof(r->workstation), "%s", id);
	r->written = clock_now();
	r->trust = r->formats = 1;
	snprintf(r->version, sizeof(r->version), "0.1.0");
	MUST(db_query(s->db,
		      "SELECT p.epoch, p.generation, p.tree, ifnull(r.sequence, 0) FROM private p"
		      " LEFT JOIN receipt r ON r.id = p.id WHERE p.id = ?1",
		      &st, &err));
	MUST(db_bind(st, &err, "t", id));
	if (db_step(s->db, st, &err) == 1) {
		r->private_epoch = (uint64_t)db_i64(st, 0);
		r->private_generation = (uint64_t)db_i64(st, 1);
		db_digest(st, 2, &r->private_tree);
		r->sequence = (uint64_t)db_i64(st, 3) + 1;
	}
}

/* Whoever is active there, and has what is theirs. */
static void user_fill(struct site *s, struct receipt *r, struct receipt_user *u)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct err err = {0};

	MUST(db_query(s->db, "SELECT email, account FROM activation WHERE id = ?1", &st, &err));
	MUST(db_bind(st, &err, "t", r->workstation));
	if (db_step(s->db, st, &err) != 1)
		return;
	*u = (struct receipt_user){.result = "handed-out", .at = r->written};
	snprintf(u->email, sizeof(u->email), "%s", db_text(st, 0));
	snprintf(u->account, sizeof(u->account), "%s", db_text(st, 1));
	r->user = u;
	r->users = 1;
}

static int channels_fill(struct site *s, struct receipt_channel *c)
{
	struct err err = {0};
	int n = 0;

	for (size_t i = 0; i < s->channels && n < 64; i++) {
		sqlite3_stmt *st OWNED(db_done) = NULL;

		MUST(db_query(s->db,
			      "SELECT epoch, generation, tree FROM generation WHERE channel = ?1"
			      " ORDER BY epoch DESC, generation DESC LIMIT 1",
			      &st, &err));
		MUST(db_bind(st, &err, "t", s->channel[i].name));
		if (db_step(s->db, st, &err) != 1)
			continue;
		memset(&c[n], 0, sizeof(c[n]));
		snprintf(c[n].name, sizeof(c[n].name), "%s", s->channel[i].name);
		c[n].epoch = (uint64_t)db_i64(st, 0);
		c[n].generation = (uint64_t)db_i64(st, 1);
		db_digest(st, 2, &c[n].tree);
		snprintf(c[n].result, sizeof(c[n].result), "current");
		c[n].at = clock_now();
		n++;
	}
	return n;
}

static void post(struct site *s, const char *path, struct bytes text)
{
	char full[4400];
	int fd;

	snprintf(full, sizeof(full), "%s/inbox", s->depot);
	mkdir(full, 0755);
	snprintf(full, sizeof(full), "%s/%.8s", s->depot, path);
	mkdir(full, 0755);
	snprintf(full, sizeof(full), "%s/%s", s->depot, path);
	fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n || close(fd) < 0) {
		perror(full);
		exit(1);
	}
}

static void receipts(struct site *s, FILE *in)
{
	struct receipt_channel channel[64];
	size_t channels = (size_t)channels_fill(s, channel);
	struct err err = {0};
	struct machine m;

	while (fread(&m, sizeof(m), 1, in) == 1) {
		OWNED(key_freep) struct key_secret *k = secret(KEY_SIGN, m.sign_number, m.sign);
		OWNED(buf_clear) struct buf inner = BUF_INIT;
		OWNED(buf_clear) struct buf doc = BUF_INIT;
		OWNED(buf_clear) struct buf sealed = BUF_INIT;
		struct receipt r = {.channel = channel, .channels = channels};
		char id[WORKSTATION_ID + 1], path[DEPOT_NAME];
		struct receipt_user user;
		struct digest d;

		machine_id(id, &m);
		receipt_fill(s, &r, id);
		user_fill(s, &r, &user);
		MUST(receipt_encode(&r, NULL, &inner, &err));
		MUST(signed_make(k, bytes_in(&inner), &doc, &err));
		MUST(sealed_make(trust_collect(&s->trust), bytes_in(&doc), &sealed, &err));
		d = digest_of(bytes_in(&sealed));
		name_inbox(path, id, r.sequence, &d, "receipt");
		post(s, path, bytes_in(&sealed));
	}
}

/* What no server can do without: unseal, verify, and three rows, for each receipt. */
static void floor_of(struct site *s, FILE *in)
{
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	uint8_t text[600], sig[64], plain[800];
	char path[] = "/tmp/crowd-floor.XXXXXX";
	struct machine m = {0};
	size_t n = 0, inserted = 0;
	struct err err = {0};
	double t0, open_s, verify_s, rows_s;
	sqlite3 *db;
	sqlite3_stmt *st;
	int fd = mkstemp(path);

	close(fd);
	while (fread(&m, sizeof(m), 1, in) == 1)
		n++;
	randombytes_buf(text, sizeof(text));
	crypto_sign_detached(sig, NULL, text, sizeof(text), m.sign);
	MUST(buf_reserve(&sealed, sizeof(text) + crypto_box_SEALBYTES, &err));
	crypto_box_seal(sealed.p, text, sizeof(text), m.seal + 32);
	t0 = now();
	for (size_t i = 0; i < n; i++)
		if (crypto_box_seal_open(plain, sealed.p, sizeof(text) + crypto_box_SEALBYTES,
					 m.seal + 32, m.seal) != 0)
			exit(1);
	open_s = now() - t0;
	t0 = now();
	for (size_t i = 0; i < n; i++)
		if (crypto_sign_verify_detached(sig, text, sizeof(text), m.sign + 32) != 0)
			exit(1);
	verify_s = now() - t0;
	t0 = now();
	sqlite3_open(path, &db);
	sqlite3_exec(db,
		     "PRAGMA journal_mode=WAL; CREATE TABLE r(id TEXT PRIMARY KEY, a, b, c)"
		     " WITHOUT ROWID; BEGIN",
		     NULL, NULL, NULL);
	sqlite3_prepare_v2(db, "INSERT INTO r VALUES(?1, 1, 2, ?2)", -1, &st, NULL);
	for (; inserted < 3 * n; inserted++) {
		uint8_t raw[16];
		char id[33];

		randombytes_buf(raw, sizeof(raw));
		sodium_bin2hex(id, sizeof(id), raw, sizeof(raw));
		sqlite3_bind_text(st, 1, id, 32, SQLITE_TRANSIENT);
		sqlite3_bind_blob(st, 2, text, 100, SQLITE_STATIC);
		sqlite3_step(st);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
	rows_s = now() - t0;
	unlink(path);
	printf("%zu receipts: unseal %.2f s, verify %.2f s, %zu rows %.2f s, together %.2f s\n", n,
	       open_s, verify_s, inserted, rows_s, open_s + verify_s + rows_s);
	(void)s;
}

int main(int argc, char **argv)
{
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};
	FILE *in;

	if (argc < 4 || sodium_init() < 0)
		return 2;
	MUST(site_open(argv[2], 0, NULL, &s, &err));
	if (strcmp(argv[1], "make") == 0 && (argc == 5 || argc == 7)) {
		make(s, argv[3], (size_t)atol(argv[4]), argc == 7 ? argv[5] : NULL,
		     argc == 7 ? argv[6] : NULL);
		return 0;
	}
	in = fopen(argv[3], "r");
	if (in == NULL)
		return 1;
	if (strcmp(argv[1], "receipts") == 0)
		receipts(s, in);
	else
		floor_of(s, in);
	fclose(in);
	return 0;
}
