/* SPDX-License-Identifier: ISC */
/*
 * request/1: what a workstation asks.
 */
#include <string.h>

#include "core/format/documents/document_key.h"
#include "core/format/documents/member.h"

static const struct member request_members[] = {
    MEMBER(request, site, "site", DIGEST),
    MEMBER(request, kind, "kind", TEXT),
    MEMBER(request, workstation, "workstation", TEXT),
    MEMBER(request, sequence, "sequence", U64),
    MEMBER(request, written, "written", TIME),
    MEMBER_MAYBE(request, name, "name", FOREIGN),
    MEMBER_MAYBE(request, invitation, "invitation", TEXT),
    MEMBER_MAYBE(request, activation, "activation", TEXT),
    MEMBER_MAYBE(request, account, "account", TEXT),
    MEMBER_MAYBE(request, proof, "proof", DIGEST),
    MEMBER_MAYBE(request, channel, "channel", TEXT),
    MEMBER_MAYBE(request, generation, "generation", U64),
};

static int request_fields(const struct node *root, const char *const *names, bool present,
			  const char *kind, struct err *err)
{
	for (; *names != NULL; names++) {
		const struct node *n = node_get(root, *names);

		if (n == NULL && present)
			return node_error(root, err, "field `%s` is missing in a request to %s",
					  *names, kind);
		if (n != NULL && !present)
			return node_error(n, err, "does not belong in a request to %s", kind);
	}
	return 0;
}

static int request_enrol(const struct node *root, struct request *r, struct err *err)
{
	static const char *const needed[] = {"sign", "seal", NULL};
	static const char *const foreign[] = {"channel", "generation", "activation", "account",
					      NULL};
	char id[WORKSTATION_ID + 1];
	int rc = request_fields(root, needed, true, r->kind, err);

	if (rc == 0)
		rc = request_fields(root, foreign, false, r->kind, err);
	if (rc == 0)
		rc = node_public_key(node_get(root, "sign"), KEY_SIGN, &r->sign, err);
	if (rc == 0)
		rc = node_public_key(node_get(root, "seal"), KEY_SEAL, &r->seal, err);
	if (rc < 0)
		return rc;
	if ((node_get(root, "invitation") == NULL) != (node_get(root, "proof") == NULL))
		return node_error(root, err, "an invitation and a proof are given together");
	workstation_id(id, &r->sign);
	if (strcmp(id, r->workstation) != 0)
		return node_error(node_get(root, "workstation"), err, "is not the id of its key");
	node_addition_key(node_get(node_get(root, "more"), "codes"), &r->codes);
	return 0;
}

/* An addition: what is no digest is ignored. */
static void contents_read(const struct node *list, struct request *r)
{
	for (size_t i = 0; node_is_list(list) && i < node_count(list); i++)
		if (r->contents < REQUEST_CONTENTS &&
		    digest_parse(node_text(node_at(list, i), ""), &r->content[r->contents],
				 ERR_IGNORED) == 0)
			r->contents++;
}

static int request_resend(const struct node *root, struct request *r, struct err *err)
{
	static const char *const needed[] = {"channel", NULL};
	static const char *const foreign[] = {"sign",       "seal",    "invitation", "proof",
					      "activation", "account", NULL};
	int rc = request_fields(root, needed, true, r->kind, err);

	if (rc == 0)
		rc = request_fields(root, foreign, false, r->kind, err);
	if (rc == 0)
		contents_read(node_get(node_get(root, "more"), "contents"), r);
	return rc;
}

/* Its signer is a workstation that the server knows, so it brings no keys. */
static int request_activate(const struct node *root, struct request *r, struct err *err)
{
	static const char *const needed[] = {"activation", "account", "proof", NULL};
	static const char *const foreign[] = {"sign",    "seal",       "invitation",
					      "channel", "generation", NULL};
	int rc = request_fields(root, needed, true, r->kind, err);

	return rc < 0 ? rc : request_fields(root, foreign, false, r->kind, err);
}

static const struct request_kind {
	const char *name;
	int (*check)(const struct node *root, struct request *r, struct err *err);
} request_kinds[] = {
    {"enrol", request_enrol}, {"resend", request_resend}, {"activate", request_activate}};

static int request_check(const struct node *root, struct request *r, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(request_kinds); i++)
		if (strcmp(r->kind, request_kinds[i].name) == 0)
			return request_kinds[i].check(root, r, err);
	return node_error(node_get(root, "kind"), err, "is not a kind known here");
}

int request_from(const struct yaml *y, struct request *ret, struct err *err)
{
	struct request r = {0};
	int rc = members_decode(yaml_root(y), request_members, ARRAY_LEN(request_members), &r, err);

	if (rc == 0)
		rc = request_check(yaml_root(y), &r, err);
	if (rc < 0)
		return rc;
	*ret = r;
	return 0;
}

int request_decode(struct bytes in, struct request *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc = document_read(in, LIMIT_REQUEST, "request/1", NULL, &y, err);

	return rc < 0 ? rc : request_from(y, ret, err);
}

static int request_again(struct bytes text, struct err *err)
{
	struct request same;

	return request_decode(text, &same, err);
}

static int request_write(const struct request *r, struct yaml_writer **ret, struct err *err)
{
	int rc = document_write("request/1", ret, err);
	struct yaml_writer *w = *ret;

	if (rc < 0)
		return rc;
	members_encode(w, request_members, ARRAY_LEN(request_members), r);
	if (strcmp(r->kind, "enrol") == 0) {
		yaml_public_key(w, "sign", &r->sign);
		yaml_public_key(w, "seal", &r->seal);
	}
	if (key_absent(&r->codes) && r->contents == 0)
		return 0;
	yaml_map(w, "more");
	if (!key_absent(&r->codes))
		yaml_public_key(w, "codes", &r->codes);
	yaml_list(w, "contents");
	for (size_t i = 0; i < r->contents; i++)
		yaml_digest(w, NULL, &r->content[i]);
	yaml_close(w);
	yaml_close(w);
	return 0;
}

int request_encode(const struct request *r, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	int rc = request_write(r, &w, err);

	return rc < 0 ? rc : document_end(w, request_again, ret, err);
}

int request_exact(const struct request *r, struct bytes in, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct yaml_writer *w = NULL;
	int rc = request_write(r, &w, err);

	if (rc == 0)
		rc = yaml_writer_end(w, &text, err);
	if (rc < 0)
		return rc == RC_MEMORY ? rc : 0;
	return bytes_equal(bytes_in(&text), in);
}
