/* SPDX-License-Identifier: ISC */
/*
 * Allocations, defined once more so that each of them may fail: the program's own, and those of the
 * libraries that it uses.  A sanitizer has an allocator of its own, and keeps it.
 */
#include <stddef.h>

#include "core/base/sanitized.h"
#include "tests/seam/seam_internal.h"

#if !SANITIZED
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
void *malloc(size_t n)
{
	return seam_meets(SEAM_MEMORY) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return seam_meets(SEAM_MEMORY) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return seam_meets(SEAM_MEMORY) ? NULL : __libc_realloc(p, n);
}
#pragma GCC diagnostic pop
#endif
