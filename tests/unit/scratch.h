/* A directory for one test, and commands in it. */
#ifndef SATCHEL_TESTS_SCRATCH_H
#define SATCHEL_TESTS_SCRATCH_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_PATH 128

/** scratch_make(dst): a new empty directory below TMPDIR. */
static inline void scratch_make(char dst[SCRATCH_PATH])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dst, SCRATCH_PATH, "%s/satchel-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dst));
}

/** scratch_run(dir, command): a shell command in it; returns its exit status. */
static inline int scratch_run(const char *dir, const char *command)
{
	char text[4096];

	snprintf(text, sizeof(text), "cd '%s' && { %s\n}", dir, command);
	return system(text);
}

/** scratch_remove(dir): all of it, sealed directories too. */
static inline void scratch_remove(const char *dir)
{
	char text[2 * SCRATCH_PATH + 64];

	snprintf(text, sizeof(text), "chmod -R u+rwX '%s'; rm -rf '%s'", dir, dir);
	cr_assert_eq(system(text), 0);
}

#endif
