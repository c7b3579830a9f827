/* SPDX-License-Identifier: ISC */
/* The listing of a volume: what is taken for one is exactly what is written again. */
#include <stdlib.h>

#include "core/base/own.h"
#include "core/depot/carry/carry_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	OWNED(volumes_clear) struct volumes v = {0};
	OWNED(buf_clear) struct buf again = BUF_INIT;
	struct bytes in = {p, n};

	if (volumes_parse(in, &v, ERR_IGNORED) < 0)
		return 0;
	if (volumes_write(&v, &again, ERR_IGNORED) < 0)
		abort();
	/* Rows at the very end of a listing of full size may be left out. */
	if (n < LIMIT_DOCUMENT - 2 * DEPOT_NAME && !bytes_equal(in, bytes_in(&again)))
		abort();
	return 0;
}
