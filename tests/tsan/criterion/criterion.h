/* SPDX-License-Identifier: ISC */
/*
 * Enough of Criterion for the tests that run under ThreadSanitizer.  Criterion keeps its own memory
 * at an address that ThreadSanitizer does not allow, so there a test is a function in a forked
 * process, and this header comes before <criterion/criterion.h> in the search path.
 */
#ifndef SATCHEL_TESTS_TSAN_CRITERION_H
#define SATCHEL_TESTS_TSAN_CRITERION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHIM_SKIPPED 77

struct shim_options {
	void (*init)(void);
	void (*fini)(void);
	double timeout; /* seconds */
};

struct shim_test {
	const char *suite, *name;
	void (*run)(void);
	const struct shim_options *of_suite; /* NULL: the suite has none */
	struct shim_options own;
	struct shim_test *next;
};

/* Both are weak: every file that includes this has them, and the program one of each. */
__attribute__((weak)) struct shim_test *shim_tests;
__attribute__((weak)) int shim_faults;

#define TestSuite(suite, ...) struct shim_options shim_suite_##suite = {__VA_ARGS__}

#define Test(group, what, ...)                                                \
	static void group##_##what##_test(void);                              \
	extern struct shim_options shim_suite_##group __attribute__((weak));  \
	__attribute__((constructor)) static void group##_##what##_known(void) \
	{                                                                     \
		static struct shim_test test = {.suite = #group,              \
						.name = #what,                \
						.run = group##_##what##_test, \
						.own = {__VA_ARGS__}};        \
		test.of_suite = &shim_suite_##group;                          \
		test.next = shim_tests;                                       \
		shim_tests = &test;                                           \
	}                                                                     \
	static void group##_##what##_test(void)

static inline void shim_check(bool good, bool fatal, const char *said, const char *file, int line,
			      const char *fmt, ...)
{
	va_list ap;

	if (good)
		return;
	printf("[----] %s:%d: Assertion Failed\n[----]   %s ", file, line, said);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	puts("");
	fflush(stdout);
	shim_faults++;
	if (fatal)
		_exit(1);
}

#define SHIM(good, fatal, said, ...) \
	shim_check((good), fatal, said, __FILE__, __LINE__, "" __VA_ARGS__)

#define cr_assert(c, ...)           SHIM((c), true, #c, __VA_ARGS__)
#define cr_assert_not(c, ...)       SHIM(!(c), true, "not " #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)     SHIM((a) == (b), true, #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)    SHIM((a) != (b), true, #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)     SHIM((a) < (b), true, #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)    SHIM((a) <= (b), true, #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)     SHIM((a) > (b), true, #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)    SHIM((a) >= (b), true, #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(p, ...)      SHIM((p) == NULL, true, #p " == NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...)  SHIM((p) != NULL, true, #p " != NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) SHIM(strcmp((a), (b)) == 0, true, #a " eq " #b, __VA_ARGS__)
#define cr_assert_fail(...)         SHIM(false, true, "fail", __VA_ARGS__)
#define cr_expect(c, ...)           SHIM((c), false, #c, __VA_ARGS__)
#define cr_expect_not(c, ...)       SHIM(!(c), false, "not " #c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)     SHIM((a) == (b), false, #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)    SHIM((a) != (b), false, #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)     SHIM((a) < (b), false, #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)    SHIM((a) <= (b), false, #a " <= " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)     SHIM((a) > (b), false, #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)    SHIM((a) >= (b), false, #a " >= " #b, __VA_ARGS__)
#define cr_expect_null(p, ...)      SHIM((p) == NULL, false, #p " == NULL", __VA_ARGS__)
#define cr_expect_not_null(p, ...)  SHIM((p) != NULL, false, #p " != NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) SHIM(strcmp((a), (b)) == 0, false, #a " eq " #b, __VA_ARGS__)
#define cr_skip_test(...)           _exit((puts("[SKIP] " __VA_ARGS__), fflush(stdout), SHIM_SKIPPED))
#define cr_skip(...)                cr_skip_test(__VA_ARGS__)

/* In the child. */
static inline void shim_run(const struct shim_test *t)
{
	static const struct shim_options none;
	const struct shim_options *suite = t->of_suite != NULL ? t->of_suite : &none;
	void (*init)(void) = t->own.init != NULL ? t->own.init : suite->init;
	void (*fini)(void) = t->own.fini != NULL ? t->own.fini : suite->fini;

	alarm(600);
	if (init != NULL)
		init();
	t->run();
	if (fini != NULL)
		fini();
	/* By exit, because that is where ThreadSanitizer says what it saw. */
	exit(shim_faults > 0);
}

__attribute__((weak)) int main(void)
{
	unsigned all = 0, good = 0;

	for (const struct shim_test *t = shim_tests; t != NULL; t = t->next) {
		int status = 0;
		pid_t child = fork();

		if (child == 0)
			shim_run(t);
		waitpid(child, &status, 0);
		all++;
		if (WIFEXITED(status) &&
		    (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SHIM_SKIPPED))
			good++;
		else
			printf("[FAIL] %s::%s (status %d)\n", t->suite, t->name, status);
		fflush(stdout);
	}
	printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", all,
	       good, all - good);
	return good == all ? 0 : 1;
}

#endif
