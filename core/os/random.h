/* SPDX-License-Identifier: ISC */
/*
 * Random names: for what must not be guessed, or must not meet what another run makes.
 */
#ifndef SATCHEL_CORE_OS_RANDOM_H
#define SATCHEL_CORE_OS_RANDOM_H

#include <stddef.h>

#include "core/base/err.h"

#define RANDOM_MOST 16 /* bytes */
#define RANDOM_HEX  (2 * RANDOM_MOST + 1)

/** random_hex(dst, n, err): ${n} random bytes, at most RANDOM_MOST, as 2n lower-case digits and a
 * NUL.  RC_IO: the kernel gives none. */
int random_hex(char *dst, size_t n, struct err *err);

#endif
