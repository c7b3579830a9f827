/* SPDX-License-Identifier: ISC */
/*
 * A file that a person named on the command line, read whole and with a limit.
 */
#include <fcntl.h>
#include <unistd.h>

#include "cli/frame/cli.h"
#include "core/base/own.h"
#include "core/os/durable.h"

int cli_public_read(const char *path, struct key_public *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = cli_file_read(path, 4096, &text, err);

	if (rc == 0)
		rc = key_public_parse(bytes_in(&text), ret, err);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

int cli_file_read(const char *path, size_t max, struct buf *ret, struct err *err)
{
	/* O_NONBLOCK: a fifo put there by somebody must not hang us. */
	OWNED(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t n = 0;
	int rc;

	if (fd < 0)
		return err_sys(err, RC_IO, "cannot open %s", path);
	rc = buf_reserve(ret, max + 1, err);
	if (rc == 0)
		rc = fd_read(fd, ret->p, max + 1, &n, err);
	if (rc < 0)
		return err_prefix(err, "%s", path);
	if (n > max)
		return err_set(err, RC_LIMIT, "%s is larger than %zu bytes", path, max);
	ret->n = n;
	return 0;
}
