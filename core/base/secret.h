/* SPDX-License-Identifier: ISC */
/*
 * Memory for secrets: keys, passphrases, what is sealed to somebody.  It lies between pages that
 * nobody may touch, is neither swapped (as far as RLIMIT_MEMLOCK goes) nor dumped, and a process
 * that is forked has zeros in its place, so a child that is taken over has nothing to give away.
 * What a child needs is told to it after the fork.
 */
#ifndef SATCHEL_CORE_BASE_SECRET_H
#define SATCHEL_CORE_BASE_SECRET_H

#include <stddef.h>

#include "core/base/err.h"

/** secret_new(size): ${size} zero bytes; NULL without memory.  Owned by the caller (secret_free).
 * The same process only: in a forked one they are zero again, or not there at all. */
void *secret_new(size_t size);
/** secret_make(size, ret, err): the same into ${*ret}, a pointer of any type.  RC_MEMORY. */
int secret_make(size_t size, void *ret, struct err *err);
/** secret_readonly(p): from now on writing there ends the process.  In a forked one as well. */
void secret_readonly(void *p);
/** secret_free(p): wipe and release; NULL is fine.  Also in a forked process. */
void secret_free(void *p);
/** secret_freep(p): secret_free of what the pointer at ${p} points to, which becomes NULL. */
void secret_freep(void *p);

/** secret_stack_wipe(): what functions that have returned left on the stack. */
void secret_stack_wipe(void);

#endif
