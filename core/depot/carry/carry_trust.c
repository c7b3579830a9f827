/* SPDX-License-Identifier: ISC */
/*
 * What both depots say of the site: the chain of trust documents from version 1, whose digest the
 * site id is.  The names say where to look, the signatures decide.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"
#include "core/format/documents/trustchain.h"

/* Signed by a key that had the role once and has it no longer: from before a rotation, no more. */
static bool signed_before(const struct trust *t, enum role role, const struct signed_doc *doc)
{
	for (size_t i = 0; i < t->keys; i++)
		if ((t->key[i].roles & 1u << trust_acting(t, role)) != 0 &&
		    t->key[i].state != KEY_CURRENT && signed_by(doc, &t->key[i].key))
			return true;
	return false;
}

/* Workstations take a head by a current key only. */
static int signer_check(const struct trust *t, const char *type, enum role role,
			const struct signed_doc *doc, struct err *err)
{
	if (strcmp(type, "head") == 0)
		return trust_role(t, role, doc, "it", err);
	if (strcmp(type, "manifest") == 0)
		return trust_manifest(t, doc, "it", err);
	return trust_role_named(t, role, doc, "it", err);
}

int carry_signed(struct carry_run *r, struct document *d, const char *type, enum role role,
		 struct err *err)
{
	const struct trust *t = &r->known.trust;
	char begin[32];
	int rc = signed_split(bytes_in(&d->content), 1, &d->doc, err);

	/* Of any format: a relay may be older than what it carries. */
	snprintf(begin, sizeof(begin), "satchel: %s/", type);
	if (rc == 0 && !bytes_start(d->doc.inner, begin))
		rc = err_set(err, RC_MALFORMED, "it is not a %s", type);
	if (rc == 0 && signed_type(d->doc.inner, "head/1"))
		role = ROLE_PUBLISH; /* before there were two hands */
	if (rc == 0 && signer_check(t, type, role, &d->doc, err) < 0)
		rc = err->rc;
	if (rc == RC_UNTRUSTED)
		rc = signed_before(t, role, &d->doc)
			 ? err_set(err, RC_REPLAY, "signed with a key that is no longer good")
			 : err->rc;
	if (rc < 0)
		return err_prefix(err, "%s", d->path);
	carry_read(r, d);
	return 0;
}

/* One version: does it follow? */
static int trust_try(struct carry_run *r, const struct document *d, uint64_t version,
		     struct trust *ret, struct err *err)
{
	if (version == 1)
		return trustchain_first(bytes_in(&d->content), &r->result->site, ret, err);
	return trustchain_next(&r->known.trust, bytes_in(&d->content), ret, err);
}

/* The first row whose name begins with "<version>-". */
static size_t trust_row(const struct merged_listing *l, uint64_t version, char dst[24])
{
	size_t low = 0, high = l->rows;

	snprintf(dst, 24, "%" PRIu64 "-", version);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(listed_name(l, &l->row[middle]), dst) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int trust_judge(struct carry_run *r, const struct document *d, uint64_t version,
		       struct trust *next, bool *found, struct err *err)
{
	struct trust *t = calloc(1, sizeof(*t));
	struct err bad = {0};
	int rc = t == NULL ? err_memory(err) : 0;

	if (rc == 0 && trust_try(r, d, version, t, &bad) < 0) {
		err_prefix(&bad, "%s", d->path);
		rc = carry_refuse(r, &bad, err);
	} else if (rc == 0 && *found && !digest_equal(&next->identity, &t->identity)) {
		err_set(&bad, RC_FORK,
			"%s: another trust document %" PRIu64
			" of the same site: tell its administrator",
			d->path, version);
		rc = carry_refuse(r, &bad, err);
	} else if (rc == 0) {
		*next = *t;
		*found = true;
		carry_read(r, d);
		rc = carry_plan_document(r, d, err);
	}
	free(t);
	return rc;
}

/* How many rows from ${row} on begin so. */
static size_t trust_rows(const struct merged_listing *l, size_t row, const char *begin)
{
	size_t n = 0;

	while (row + n < l->rows &&
	       strncmp(listed_name(l, &l->row[row + n]), begin, strlen(begin)) == 0)
		n++;
	return n;
}

/* 1 with the document; 0: it is whole nowhere. */
static int trust_read(struct carry_run *r, const struct merged_listing *l, size_t row,
		      struct document *ret, struct err *err)
{
	char path[DEPOT_NAME];
	int rc;

	snprintf(path, sizeof(path), "trust/%.200s", listed_name(l, &l->row[row]));
	r->tries--;
	rc = carry_document(r, path, &l->row[row], LIMIT_DOCUMENT, ret, err);
	if (rc == 0)
		carry_lack(r, "%s is not whole", path);
	return rc;
}

/* All documents of one version; those whose predecessor is known. */
static int trust_version(struct carry_run *r, const struct merged_listing *l, uint64_t version,
			 bool *found, struct err *err)
{
	struct trust *next = calloc(1, sizeof(*next));
	OWNED(freep) uint32_t *order = NULL;
	char begin[24];
	size_t row = trust_row(l, version, begin), n = trust_rows(l, row, begin);
	int rc = next == NULL ? err_memory(err) : candidates_order(n, &order, err);

	r->tries = candidates_tries(CARRY_TRIES);
	for (size_t i = 0; rc == 0 && i < n && !carry_enough(r, "trust"); i++) {
		OWNED(document_clear) struct document d = {0};

		rc = trust_read(r, l, row + order[i], &d, err);
		if (rc == 1)
			rc = trust_judge(r, &d, version, next, found, err);
	}
	if (rc == 0 && *found)
		r->known.trust = *next;
	free(next);
	return rc;
}

/* Nobody can say whose they are: the union of what is whole. */
static int trust_all(struct carry_run *r, const struct merged_listing *l, struct err *err)
{
	OWNED(freep) uint32_t *order = NULL;
	int rc = candidates_order(l->rows, &order, err);

	for (size_t i = 0; rc == 0 && i < l->rows && !carry_enough(r, "trust"); i++) {
		OWNED(document_clear) struct document d = {0};

		rc = trust_read(r, l, order[i], &d, err);
		if (rc == 1)
			rc = carry_plan_document(r, &d, err);
	}
	return rc;
}

int carry_known_trust(struct carry_run *r, struct err *err)
{
	OWNED(merged_listing_clear) struct merged_listing l = {0};
	int rc;

	r->tries = candidates_tries(CARRY_TRIES);
	r->floor = FLOOR_TRUST;
	rc = carry_list(r, "trust", &l, err);
	for (uint64_t version = 1; rc == 0 && version <= LIMIT_TRUST_CHAIN; version++) {
		bool found = false;

		rc = trust_version(r, &l, version, &found, err);
		if (rc < 0 || !found)
			break;
		r->known.chain = true;
	}
	if (rc < 0 || r->known.chain)
		return rc;
	/* Whose everything else is must not be left open because there was too much junk. */
	if (r->unreadable.rc == RC_AGAIN)
		return err_set(err, RC_AGAIN, "%s", r->unreadable.text);
	return trust_all(r, &l, err);
}
