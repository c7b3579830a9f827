/* SPDX-License-Identifier: ISC */
/*
 * The statement behind a confirmation code.  Workstation and server make it independently from the
 * same receipt and compare only a MAC, so it has one form: fixed order, plain decimal numbers.
 */
#include "core/format/documents/confirm.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/own.h"

static int by_name(const void *a, const void *b)
{
	const struct receipt_channel *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static bool is_held(const struct receipt_channel *c)
{
	return strcmp(c->result, "left") != 0;
}

static int holding(const char *name, uint64_t epoch, uint64_t generation, const struct digest *tree,
		   struct buf *ret, struct err *err)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, tree);
	return buf_printf(ret, err, "%s %" PRIu64 " %" PRIu64 " %s\n", name, epoch, generation,
			  hex);
}

int confirm_statement(const struct receipt *r, struct buf *ret, struct err *err)
{
	OWNED(freep)
	const struct receipt_channel **sorted = calloc(r->channels + 1, sizeof(*sorted));
	char site[DIGEST_HEX + 1];
	size_t n = 0;
	int rc;

	if (sorted == NULL)
		return err_memory(err);
	for (size_t i = 0; i < r->channels; i++)
		if (is_held(&r->channel[i]))
			sorted[n++] = &r->channel[i];
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), by_name);
	digest_hex(site, &r->site);
	rc = buf_printf(ret, err, "satchel confirm 1\n%s %s %" PRIu64 "\n", site, r->workstation,
			r->sequence);
	/* "@private" can be no channel's name. */
	if (rc == 0)
		rc = holding("@private", r->private_epoch, r->private_generation, &r->private_tree,
			     ret, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = holding(sorted[i]->name, sorted[i]->epoch, sorted[i]->generation,
			     &sorted[i]->tree, ret, err);
	return rc;
}

bool confirm_good(const struct receipt *r)
{
	for (size_t i = 0; i < r->channels; i++) {
		const struct receipt_channel *c = &r->channel[i];
		bool good = strcmp(c->result, "applied") == 0 || strcmp(c->result, "current") == 0;

		if (is_held(c) && (!good || c->drift > 0 || c->deviations > 0))
			return false;
	}
	for (size_t i = 0; i < r->users; i++)
		if (strcmp(r->user[i].result, "handed-out") != 0)
			return false;
	return r->private_generation > 0 && !r->wiped;
}
