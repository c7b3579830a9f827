/* SPDX-License-Identifier: ISC */
/*
 * The listing of a volume, as lines of text:
 *
 *   satchel-volumes/1 <volume> <of>
 *   <volume> <path>        a bundle or a part, in ascending order of path
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry/carry_internal.h"

#define HEADING "satchel-volumes/1 "

void volumes_clear(struct volumes *v)
{
	free(v->row);
	memset(v, 0, sizeof(*v));
}

static int not_a_listing(struct err *err)
{
	return err_set(err, RC_MALFORMED, "not the listing of a volume");
}

/* Up to ${end}, which is taken as well. */
static int number_take(struct bytes *in, char end, uint32_t *ret, struct err *err)
{
	const uint8_t *at = memchr(in->p, end, in->n);
	uint64_t v = 0;

	if (at == NULL ||
	    number_u64((const char *)in->p, (size_t)(at - in->p), VOLUMES_MAX, &v, ERR_IGNORED) <
		0 ||
	    v == 0)
		return not_a_listing(err);
	in->n -= (size_t)(at - in->p) + 1;
	in->p = at + 1;
	*ret = (uint32_t)v;
	return 0;
}

static int row_take(struct bytes *in, struct volumes *v, struct err *err)
{
	struct volumes_row *row = &v->row[v->rows];
	const uint8_t *end;
	struct name name;
	size_t n;
	int rc = number_take(in, ' ', &row->volume, err);

	if (rc < 0)
		return rc;
	end = memchr(in->p, '\n', in->n);
	n = end == NULL ? 0 : (size_t)(end - in->p);
	if (end == NULL || n >= sizeof(row->path) || memchr(in->p, 0, n) != NULL ||
	    row->volume > v->of)
		return not_a_listing(err);
	memcpy(row->path, in->p, n);
	row->path[n] = '\0';
	if ((name_parse(row->path, &name) != NAME_BUNDLE && name.kind != NAME_PART) ||
	    (v->rows > 0 && strcmp(v->row[v->rows - 1].path, row->path) >= 0))
		return not_a_listing(err);
	in->p += n + 1;
	in->n -= n + 1;
	v->rows++;
	return 0;
}

int volumes_parse(struct bytes in, struct volumes *ret, struct err *err)
{
	OWNED(volumes_clear) struct volumes v = {0};
	size_t lines = 0;
	int rc;

	if (in.n > LIMIT_DOCUMENT || !bytes_start(in, HEADING))
		return not_a_listing(err);
	in.p += strlen(HEADING);
	in.n -= strlen(HEADING);
	rc = number_take(&in, ' ', &v.volume, err);
	if (rc == 0)
		rc = number_take(&in, '\n', &v.of, err);
	if (rc < 0)
		return rc;
	if (v.volume > v.of)
		return not_a_listing(err);
	for (size_t i = 0; i < in.n; i++)
		lines += in.p[i] == '\n';
	v.row = calloc(lines + 1, sizeof(*v.row));
	if (v.row == NULL)
		return err_memory(err);
	while (rc == 0 && in.n > 0)
		rc = row_take(&in, &v, err);
	if (rc < 0)
		return rc;
	*ret = v;
	memset(&v, 0, sizeof(v));
	return 0;
}

int volumes_write(const struct volumes *v, struct buf *ret, struct err *err)
{
	int rc = buf_printf(ret, err, HEADING "%" PRIu32 " %" PRIu32 "\n", v->volume, v->of);

	for (size_t i = 0; rc == 0 && i < v->rows && ret->n < LIMIT_DOCUMENT - DEPOT_NAME - 8; i++)
		rc = buf_printf(ret, err, "%" PRIu32 " %s\n", v->row[i].volume, v->row[i].path);
	return rc;
}
