/* SPDX-License-Identifier: ISC */
/* What libarchive writes, in memory. */
#ifndef SATCHEL_TESTS_SUPPORT_INTO_BUF_H
#define SATCHEL_TESTS_SUPPORT_INTO_BUF_H

#include <archive.h>
#include <criterion/criterion.h>

#include "core/base/bytes.h"

/** into_buf: an archive_write_callback; ${arg} is a struct buf. */
static inline la_ssize_t into_buf(struct archive *a, void *arg, const void *p, size_t n)
{
	struct err err = {0};

	if (((struct buf *)arg)->n > 1 << 20)
		return -1; /* nobody wants the padding of a large member */
	return buf_add(arg, p, n, &err) < 0 ? -1 : (la_ssize_t)n;
}

#endif
