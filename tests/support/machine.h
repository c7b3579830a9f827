/* SPDX-License-Identifier: ISC */
/* A workstation as the server sees it: keys, and what it puts into the inbox. */
#ifndef SATCHEL_TESTS_SUPPORT_MACHINE_H
#define SATCHEL_TESTS_SUPPORT_MACHINE_H

#include <sys/stat.h>

#include "bundler/collect/collect.h"
#include "bundler/enrolment/enrolment.h"
#include "core/depot/depot.h"
#include "core/trust/code.h"
#include "tests/support/server.h"

struct machine {
	struct key_secret *sign, *seal; /* owned */
	char id[WORKSTATION_ID + 1];
};

static inline void machine_clear(struct machine *m)
{
	key_freep(&m->sign);
	key_freep(&m->seal);
}

static inline struct machine machine_new(void)
{
	struct machine m = {0};
	struct key_public pub;
	struct err err = {0};

	must(key_generate(KEY_SIGN, &m.sign, &err));
	must(key_generate(KEY_SEAL, &m.seal, &err));
	pub = key_public_of(m.sign);
	workstation_id(m.id, &pub);
	return m;
}

/** machine_request(s, m, code, ret): a request to be enrolled; ${code} NULL: nobody invited it. */
static inline struct request machine_request(struct site *s, const struct machine *m,
					     const char *code)
{
	struct request r = {.site = s->id,
			    .kind = "enrol",
			    .sequence = 1,
			    .written = SERVER_NOW,
			    .name = "its own name"};
	struct invite in;
	struct err err = {0};

	memcpy(r.workstation, m->id, sizeof(r.workstation));
	r.sign = key_public_of(m->sign);
	r.seal = key_public_of(m->seal);
	if (code == NULL)
		return r;
	must(invite_parse(code, &in, &err));
	invite_id(r.invitation, in.secret);
	r.proof = invite_proof(in.secret, &s->id, &r.sign, &r.seal);
	return r;
}

/** machine_enrol(s, m, name): invited under ${name}, and let in by the code. */
static inline void machine_enrol(struct site *s, const struct machine *m, const char *name)
{
	char code[INVITE_TEXT + 1];
	struct request r;
	struct err err = {0};

	must(enrolment_invite(s, name, 7, code, &err));
	r = machine_request(s, m, code);
	cr_assert_eq(enrolment_request(s, &r, ENROLMENT_EXACT, &err), 1, "%s", err.text);
}

/** machine_activation(s, m, code, account): a request to make the user of ${code} active there. */
static inline struct request machine_activation(struct site *s, const struct machine *m,
						const char *code, const char *account)
{
	struct request r = {
	    .site = s->id, .kind = "activate", .sequence = 2, .written = SERVER_NOW};
	struct key_public sign = key_public_of(m->sign);
	struct activation in;
	struct err err = {0};

	memcpy(r.workstation, m->id, sizeof(r.workstation));
	must(activation_parse(code, &in, &err));
	activation_id(r.activation, in.secret);
	snprintf(r.account, sizeof(r.account), "%s", account);
	r.proof = activation_proof(in.secret, &s->id, &sign, account);
	return r;
}

/** inbox_put(id, sequence, sealed, extension, path): a file as the workstation would post it. */
static inline void inbox_put(const char *id, uint64_t sequence, struct bytes sealed,
			     const char *extension, char path[DEPOT_NAME])
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct digest digest = digest_of(sealed);
	struct err err = {0};

	must(depot_open(depot_dir, DEPOT_WRITE, 10, &d, &err));
	name_inbox(path, id, sequence, &digest, extension);
	must(depot_post(d, path, sealed, &err));
}

static inline bool inbox_has(const char *path)
{
	char full[1024];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", depot_dir, path);
	return lstat(full, &st) == 0;
}

/** sealed_by(s, k, inner, ret): sign with ${k}, seal to the site's collect key. */
static inline void sealed_by(const struct site *s, const struct key_secret *k, struct bytes inner,
			     struct buf *ret)
{
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct err err = {0};

	must(signed_make(k, inner, &doc, &err));
	must(sealed_make(trust_collect(&s->trust), bytes_in(&doc), ret, &err));
}

/** request_post(s, m, r, path), receipt_post(s, m, r, path): into the inbox. */
static inline void request_post(struct site *s, const struct machine *m, const struct request *r,
				char path[DEPOT_NAME])
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	struct err err = {0};

	must(request_encode(r, &inner, &err));
	sealed_by(s, m->sign, bytes_in(&inner), &sealed);
	inbox_put(m->id, r->sequence, bytes_in(&sealed), "request", path);
}

/** collected(s): what a run of collect counted. */
static inline struct collect_counts collected(struct site *s)
{
	struct collect_counts n;
	struct err err = {0};

	must(collect_site(s, &n, &err));
	return n;
}

/** machine_joins(s, m, name): as machine_enrol, but through the inbox, as in life. */
static inline void machine_joins(struct site *s, const struct machine *m, const char *name)
{
	char code[INVITE_TEXT + 1], path[DEPOT_NAME];
	struct request r;
	struct err err = {0};

	must(enrolment_invite(s, name, 7, code, &err));
	r = machine_request(s, m, code);
	request_post(s, m, &r, path);
	cr_assert_eq(collected(s).enrolled, 1);
	cr_assert_not(inbox_has(path), "what was recorded is pruned");
}

static inline struct receipt machine_receipt(struct site *s, const struct machine *m,
					     uint64_t sequence)
{
	struct receipt r = {.site = s->id,
			    .sequence = sequence,
			    .written = SERVER_NOW,
			    .trust = 1,
			    .formats = 1,
			    .version = "0.1.0"};

	memcpy(r.workstation, m->id, sizeof(r.workstation));
	return r;
}

static inline void receipt_post(struct site *s, const struct machine *m, const struct receipt *r,
				char path[DEPOT_NAME])
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	struct err err = {0};

	must(receipt_encode(r, NULL, &inner, &err));
	sealed_by(s, m->sign, bytes_in(&inner), &sealed);
	inbox_put(m->id, r->sequence, bytes_in(&sealed), "receipt", path);
}

#endif
