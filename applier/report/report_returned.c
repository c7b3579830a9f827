/* SPDX-License-Identifier: ISC */
/*
 * Keys given back: a server that was restored from a backup says so in its beat, and has lost the
 * versions that were made since.  This machine has those of its own users, and sends them back,
 * sealed to the collect key by themselves, so that nobody who reads a receipt reads them.
 *
 * The text: "NAME VERSION HEX\n" for each.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "applier/private/private.h"
#include "applier/report/event.h"
#include "applier/report/report_internal.h"
#include "applier/station/station_state.h"
#include "core/base/own.h"
#include "core/trust/signed.h"

/* Bytes of the text; what is more than that waits until somebody looks for it. */
#define RETURNED_MOST (24u << 10)
#define SECRET_BYTES  32

/* "NAME.VERSION"; other files of the directory say nothing. */
static int secret_add(struct private_tree *t, const char *file, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf secret = BUF_SECRET;
	char path[300], hex[2 * SECRET_BYTES + 1];
	const char *dot = strrchr(file, '.');
	int rc;

	if (dot == NULL || (size_t)snprintf(path, sizeof(path), "secrets/%s", file) >= sizeof(path))
		return 0;
	rc = private_read(t, path, &secret, err);
	if (rc < 0 || secret.n != SECRET_BYTES)
		return rc < 0 ? rc : 0;
	hex_encode(hex, secret.p, secret.n);
	rc = buf_printf(ret, err, "%.*s %s %s\n", (int)(dot - file), file, dot + 1, hex);
	sodium_memzero(hex, sizeof(hex));
	return rc;
}

static int secrets_text(struct station *s, struct buf *ret, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(strings_clear) struct strings files = {0};
	int rc = private_open(s, &t, err);

	if (rc == 0)
		rc = private_files(&t, "secrets", "", &files, err);
	for (size_t i = 0; rc == 0 && i < files.n; i++) {
		if (ret->n > RETURNED_MOST)
			return station_event(s, "keys",
					     "not all keys could be given back to the server", err);
		rc = secret_add(&t, files.items[i], ret, err);
	}
	return rc;
}

int report_returned(struct station *s, struct receipt *r, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_SECRET;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	size_t size;
	int rc = station_property_set(s, PROPERTY_RECOVERED, err);

	if (rc <= 0 || trust_collect(&s->trust) == NULL)
		return rc < 0 ? rc : 0;
	rc = secrets_text(s, &text, err);
	if (rc < 0 || text.n == 0)
		return rc;
	rc = sealed_make(trust_collect(&s->trust), bytes_in(&text), &sealed, err);
	if (rc < 0)
		return rc;
	size = (sealed.n + 2) / 3 * 4 + 1;
	r->returned = malloc(size);
	if (r->returned == NULL)
		return err_memory(err);
	base64_encode(r->returned, size, sealed.p, sealed.n);
	return 0;
}
