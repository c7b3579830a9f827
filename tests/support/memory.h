/* SPDX-License-Identifier: ISC */
/*
 * What another process has in its memory, as somebody who has taken it over would find it.
 */
#ifndef SATCHEL_TESTS_SUPPORT_MEMORY_H
#define SATCHEL_TESTS_SUPPORT_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "core/base/bytes.h"

/* Larger ones are reserved and hold nothing of ours: what a sanitizer notes of each address. */
#define MEMORY_LARGEST (1ul << 26)

/* How often these bytes lie in it; -1: it cannot be looked into. */
static inline int memory_count(pid_t pid, struct bytes what)
{
	char path[64], line[512], may[5];
	unsigned long from, to;
	FILE *maps, *mem;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = fopen(path, "re");
	if (maps == NULL || mem == NULL)
		n = -1;
	while (n >= 0 && fgets(line, sizeof(line), maps) != NULL) {
		uint8_t *p, *at;
		size_t left;

		/* What is mapped from a file and cannot be written is the file's. */
		if (sscanf(line, "%lx-%lx %4s", &from, &to, may) != 3 || may[0] != 'r' ||
		    (may[1] != 'w' && strchr(line, '/') != NULL) || strstr(line, "[v") != NULL)
			continue;
		left = to - from;
		if (left > MEMORY_LARGEST)
			continue;
		p = malloc(left);
		if (p != NULL && fseek(mem, (long)from, SEEK_SET) == 0 &&
		    fread(p, 1, left, mem) == left)
			for (at = p;
			     (at = memmem(at, left - (size_t)(at - p), what.p, what.n)) != NULL;
			     at++)
				n++;
		clearerr(mem);
		if (p != NULL)
			explicit_bzero(p, left); /* the next process looked into may be our child */
		free(p);
	}
	if (maps != NULL)
		fclose(maps);
	if (mem != NULL)
		fclose(mem);
	return n;
}

#endif
