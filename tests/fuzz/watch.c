/* SPDX-License-Identifier: ISC */
/*
 * What the watcher reads that it did not write: the kernel's list of mounts, whose paths anybody
 * may choose who can mount; a plan, from a child; the status file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/mount.h"
#include "watcher/plan.h"
#include "watcher/watchfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = {data, size};
	struct mounts m = {NULL, 0};
	struct watch_plan p = {0};
	struct watchfile f = {0};
	struct buf again = BUF_INIT;

	if (mounts_parse(in, &m, ERR_IGNORED) == 0)
		for (size_t i = 0; i < m.n; i++)
			if (m.mount[i].point == NULL ||
			    !mounts_has(&m, m.mount[i].id, m.mount[i].point))
				abort();
	mounts_clear(&m);
	/* What is read is written as it was read. */
	if (watch_plan_unpack(in, &p, ERR_IGNORED) == 0 &&
	    watch_plan_pack(&p, &again, ERR_IGNORED) < 0)
		abort();
	watch_plan_clear(&p);
	buf_reset(&again);
	if (watchfile_decode(in, &f, ERR_IGNORED) == 0 &&
	    watchfile_encode(&f, &again, ERR_IGNORED) < 0)
		abort();
	watchfile_clear(&f);
	buf_clear(&again);
	return 0;
}
