/* SPDX-License-Identifier: ISC */
/*
 * Random names, from the kernel: one place, so that none is ever made of a clock or a process
 * number.
 */
#include "core/os/random.h"

#include <sys/random.h>

#include "core/base/bytes.h"

int random_hex(char *dst, size_t n, struct err *err)
{
	uint8_t random[RANDOM_MOST];

	if (n > sizeof(random))
		return err_set(err, RC_INTERNAL, "a random name of %zu bytes", n);
	if (getrandom(random, n, 0) != (ssize_t)n)
		return err_sys(err, RC_IO, "the kernel gives no random bytes");
	hex_encode(dst, random, n);
	return 0;
}
