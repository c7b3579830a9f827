/* SPDX-License-Identifier: ISC */
/* A directory for one test, and commands in it. */
#ifndef SATCHEL_TESTS_SUPPORT_SCRATCH_H
#define SATCHEL_TESTS_SUPPORT_SCRATCH_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_PATH 128

/** scratch_setup(), scratch_teardown(): the directory that most tests work in, for a test's .init
 * and .fini. */
void scratch_setup(void);
void scratch_teardown(void);
extern char scratch[SCRATCH_PATH];
extern int scratch_fd; /* open on it */

/** scratch_make(dst): a new empty directory below TMPDIR. */
void scratch_make(char dst[SCRATCH_PATH]);

/** scratch_run(dir, command): a shell command in it; returns its exit status. */
int scratch_run(const char *dir, const char *command);

/** scratch_directory(dir, name): a new directory ${name} in it, without the price of a shell. */
void scratch_directory(const char *dir, const char *name);

/** scratch_remove(dir): all of it, sealed directories too; without the price of a shell. */
void scratch_remove(const char *dir);

#endif
