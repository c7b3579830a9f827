/* SPDX-License-Identifier: ISC */
/* Shared by child.c and frame.c only. */
#ifndef SATCHEL_CORE_OS_CHILD_INTERNAL_H
#define SATCHEL_CORE_OS_CHILD_INTERNAL_H

/** wait_readable(fd, ms): 1 when there is something to read (or an end), 0 after ${ms} without
 * (-1: never), negative with errno.  Signals do not lengthen the wait. */
int wait_readable(int fd, int ms);

#endif
