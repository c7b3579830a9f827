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
	struct plan p = {0};
	struct watchfile f = {0};
	struct buf again = BUF_INIT;

	if (mounts_parse(in, &m, NULL) == 0)
		for (size_t i = 0; i < m.n; i++)
			if (m.mount[i].point == NULL ||
			    !mounts_has(&m, m.mount[i].id, m.mount[i].point))
				abort();
	mounts_clear(&m);
	/* What is read is written as it was read. */
	if (plan_unpack(in, &p, NULL) == 0 && plan_pack(&p, &again, NULL) < 0)
		abort();
	plan_clear(&p);
	buf_reset(&again);
	if (watchfile_decode(in, &f, NULL) == 0 && watchfile_encode(&f, &again, NULL) < 0)
		abort();
	watchfile_clear(&f);
	buf_clear(&again);
	return 0;
}
