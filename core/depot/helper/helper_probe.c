/* SPDX-License-Identifier: ISC */
/*
 * What the helper finds out about the depot itself.
 */
#include <errno.h>

#include "core/base/own.h"
#include "core/depot/helper/helper.h"
#include "core/os/beneath.h"
#include "core/os/dir_id.h"
#include "core/os/probe.h"

int helper_probe(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct probe_fs fs = {0};
	int rc = probe_fs(h->root, &fs, err);
	uint64_t number[] = {fs.polled,     fs.read_only, fs.bytes,
			     fs.bytes_free, fs.inodes,    fs.inodes_free};

	if (rc == 0)
		rc = pack_text(&b, fs.name, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(number); i++)
		rc = pack_number(&b, number[i], err);
	return rc < 0 ? rc : helper_done(h, &b, err);
}

int helper_try(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	OWNED(fd_closep) int dir = -1;
	char path[LIMIT_PATH + 1];
	int64_t at = 0;
	int rc;

	if (!field_text(&in, path))
		return helper_malformed(err);
	dir = beneath_dir(h->root, path, err);
	rc = dir < 0 ? dir : probe_write(dir, &at, err);
	if (rc == 0)
		rc = pack_number(&b, (uint64_t)at, err);
	return rc < 0 ? rc : helper_done(h, &b, err);
}

static int id_pack(void *arg, int fd, const struct dir_id *id, struct err *err)
{
	int rc = pack_number(arg, id->dev, err);

	(void)fd;
	return rc < 0 ? rc : pack_number(arg, id->ino, err);
}

int helper_above(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	int rc = dir_above_each(h->root, id_pack, &b, err);

	return rc < 0 ? rc : helper_done(h, &b, err);
}
