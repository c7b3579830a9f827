/* SPDX-License-Identifier: ISC */
/*
 * Memory for secrets, seen from forked processes.
 */
#include "core/base/secret.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/own.h"

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static int ended(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Test(secret, is_zero_at_first_and_aligned_whatever_its_size)
{
	static const size_t sizes[] = {0, 1, 15, 16, 32, 80, 4095, 4096, 4097, 1 << 20};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t *p = secret_new(sizes[i]);

		cr_assert_not_null(p);
		cr_expect_eq((uintptr_t)p % 16, 0, "%zu", sizes[i]);
		cr_expect(all_zero(p, sizes[i]), "%zu", sizes[i]);
		memset(p, 7, sizes[i]);
		secret_free(p);
	}
	cr_expect_null(secret_new(SIZE_MAX - 100));
}

Test(secret, without_memory_is_an_error_and_no_pointer)
{
	uint8_t *p = NULL;
	struct err err = {0};

	cr_assert_eq(secret_make(32, &p, &err), 0, "%s", err.text);
	cr_expect(all_zero(p, 32));
	secret_freep(&p);
	cr_expect_eq(secret_make(SIZE_MAX - 100, &p, &err), RC_MEMORY);
	cr_expect_null(p);
}

Test(secret, is_not_in_a_forked_process_which_may_release_it)
{
	uint8_t *p = secret_new(32), *closed = secret_new(32);
	pid_t pid;

	memset(p, 0x5a, 32);
	memset(closed, 0x5a, 32);
	secret_readonly(closed);
	pid = fork();
	if (pid == 0) {
		int bad = !all_zero(p, 32) + !all_zero(closed, 32);

		secret_free(p);
		secret_free(closed);
		_exit(bad);
	}
	cr_expect_eq(ended(pid), 0);
	cr_expect_eq(p[31], 0x5a, "here it stays");
	cr_expect_eq(closed[0], 0x5a);
	secret_free(p);
	secret_free(closed);
}

Test(secret, ends_the_process_that_writes_behind_it_or_into_what_is_closed)
{
	for (int closed = 0; closed < 2; closed++) {
		uint8_t *p = secret_new(32);
		volatile uint8_t *at = closed ? p : p + 32;
		pid_t pid;

		if (closed)
			secret_readonly(p);
		pid = fork();
		if (pid == 0) {
			signal(SIGSEGV, SIG_DFL);
			*at = 1;
			_exit(0);
		}
		cr_expect_eq(ended(pid), 128 + SIGSEGV, "%d", closed);
		secret_free(p);
	}
}

Test(secret, buffers_of_secrets_keep_their_content_while_they_grow_and_give_children_none)
{
	OWNED(buf_clear) struct buf b = BUF_SECRET;
	struct err err = {0};
	pid_t pid;

	for (int i = 0; i < 20000; i++)
		cr_assert_eq(buf_add(&b, "x", 1, &err), 0, "%s", err.text);
	cr_expect_eq(b.n, 20000);
	cr_expect_eq(strspn((const char *)b.p, "x"), 20000);
	pid = fork();
	if (pid == 0)
		_exit(!all_zero(b.p, b.n));
	cr_expect_eq(ended(pid), 0);
	buf_reset(&b);
	cr_expect(all_zero(b.p, b.cap));
}
