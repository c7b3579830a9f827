/* SPDX-License-Identifier: ISC */
/*
 * Several files at the cost of a few flushes: write a batch of dot-names, flush the file system
 * once, give them their names.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* Files per flush: bounds what a kill leaves lying, and still costs next to nothing for each. */
#define BATCH 1024u
/* Fewer than these are flushed by themselves: a flush of the whole file system waits for what
 * others write, too. */
#define ALONE 8u

static int one_begin(int dirfd, const struct durable_file *f, mode_t mode, struct durable *ret,
		     struct err *err)
{
	int rc = durable_begin(dirfd, f->name, mode, ret, err);

	if (rc == 0)
		rc = fd_write(ret->fd, f->content.p, f->content.n, err);
	return rc < 0 ? rc : fd_close(&ret->fd, err);
}

static int one_name(struct durable *d, const char *name, struct err *err)
{
	if (renameat(d->dirfd, d->temporary, d->dirfd, name) < 0)
		return err_sys(err, RC_IO, "cannot name \"%s\"", name);
	*d = (struct durable)DURABLE_INIT;
	return 0;
}

static int batch_write(int dirfd, const struct durable_file *list, size_t n, mode_t mode,
		       struct durable *d, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = one_begin(dirfd, &list[i], mode, &d[i], err);
	if (rc == 0 && syncfs(dirfd) < 0)
		rc = err_sys(err, RC_IO, "cannot flush");
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = one_name(&d[i], list[i].name, err);
	for (size_t i = 0; i < n; i++)
		durable_abort(&d[i]);
	return rc < 0 ? rc : dir_sync(dirfd, err);
}

static int each_write(int dirfd, const struct durable_file *list, size_t n, mode_t mode,
		      struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc =
		    durable_write(dirfd, list[i].name, list[i].content, mode, DURABLE_REPLACE, err);
	return rc;
}

int durable_write_many(int dirfd, const struct durable_file *list, size_t n, mode_t mode,
		       struct err *err)
{
	OWNED(freep) struct durable *d = NULL;
	int rc = 0;

	if (n < ALONE)
		return each_write(dirfd, list, n, mode, err);
	d = calloc(BATCH, sizeof(*d));
	if (d == NULL)
		return err_memory(err);
	for (size_t i = 0; i < BATCH; i++)
		d[i] = (struct durable)DURABLE_INIT;
	for (size_t i = 0; i < n && rc == 0; i += BATCH)
		rc = batch_write(dirfd, list + i, n - i < BATCH ? n - i : BATCH, mode, d, err);
	return rc;
}
