/* SPDX-License-Identifier: ISC */
/*
 * Ownership: a variable marked OWNED(f) is released by f when its scope ends, whatever the way out.
 * TAKE(v) hands the value over and leaves the variable empty, so success is visible in the code.
 *
 * Source: the cleanup attribute of GCC and clang.
 */
#ifndef SATCHEL_CORE_BASE_OWN_H
#define SATCHEL_CORE_BASE_OWN_H

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define OWNED(release) __attribute__((cleanup(release)))

#define TAKE(pointer)                                  \
	__extension__({                                \
		__typeof__(pointer) take_ = (pointer); \
		(pointer) = NULL;                      \
		take_;                                 \
	})

#define TAKE_FD(fd)               \
	__extension__({           \
		int take_ = (fd); \
		(fd) = -1;        \
		take_;            \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** fd_closep: for files that were only read; a written file is closed with fd_close, and checked.
 */
static inline void fd_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void dir_closep(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
	*d = NULL;
}

#endif
