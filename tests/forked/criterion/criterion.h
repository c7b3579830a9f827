/* SPDX-License-Identifier: ISC */
/*
 * Enough of Criterion for the tests that run under sanitizers: there a test is a function in a
 * forked process, and this header comes before <criterion/criterion.h> in the search path.
 * Criterion begins every test as a program of its own, which costs a sanitizer a quarter of a
 * second, and keeps memory at an address that ThreadSanitizer does not allow.
 */
#ifndef SATCHEL_TESTS_FORKED_CRITERION_H
#define SATCHEL_TESTS_FORKED_CRITERION_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A suite that was declared in the same file is known by then, and not weak. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wignored-attributes"
#endif

/* Most assertions have nothing to add. */
#pragma GCC diagnostic ignored "-Wformat-zero-length"

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
__attribute__((weak)) const struct shim_test *shim_now; /* in the child */

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

__attribute__((format(printf, 5, 6))) static inline void
shim_fault(bool fatal, const char *said, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

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

__attribute__((format(printf, 1, 2))) static inline _Noreturn void shim_skip(const char *fmt, ...)
{
	va_list ap;

	printf("[SKIP] %s::%s: ", shim_now->suite, shim_now->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	puts("");
	fflush(stdout);
	_exit(SHIM_SKIPPED);
}

/* What a message is made of may make sense only when there is something to say. */
#define SHIM(good, fatal, said, ...) \
	((good) ? (void)0 : shim_fault((fatal), said, __FILE__, __LINE__, "" __VA_ARGS__))

#define cr_assert(c, ...)            SHIM((c), true, #c, __VA_ARGS__)
#define cr_assert_not(c, ...)        SHIM(!(c), true, "not " #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)      SHIM((a) == (b), true, #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)     SHIM((a) != (b), true, #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)      SHIM((a) < (b), true, #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)     SHIM((a) <= (b), true, #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)      SHIM((a) > (b), true, #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)     SHIM((a) >= (b), true, #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(p, ...)       SHIM((p) == NULL, true, #p " == NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...)   SHIM((p) != NULL, true, #p " != NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)  SHIM(strcmp((a), (b)) == 0, true, #a " eq " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) SHIM(strcmp((a), (b)) != 0, true, #a " ne " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) \
	SHIM(memcmp((a), (b), (n)) == 0, true, #a " eq " #b, __VA_ARGS__)
#define cr_assert_fail(...)          SHIM(false, true, "fail", __VA_ARGS__)
#define cr_expect(c, ...)            SHIM((c), false, #c, __VA_ARGS__)
#define cr_expect_not(c, ...)        SHIM(!(c), false, "not " #c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)      SHIM((a) == (b), false, #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)     SHIM((a) != (b), false, #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)      SHIM((a) < (b), false, #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)     SHIM((a) <= (b), false, #a " <= " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)      SHIM((a) > (b), false, #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)     SHIM((a) >= (b), false, #a " >= " #b, __VA_ARGS__)
#define cr_expect_null(p, ...)       SHIM((p) == NULL, false, #p " == NULL", __VA_ARGS__)
#define cr_expect_not_null(p, ...)   SHIM((p) != NULL, false, #p " != NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)  SHIM(strcmp((a), (b)) == 0, false, #a " eq " #b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) SHIM(strcmp((a), (b)) != 0, false, #a " ne " #b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) \
	SHIM(memcmp((a), (b), (n)) == 0, false, #a " eq " #b, __VA_ARGS__)
#define cr_expect_fail(...) SHIM(false, false, "fail", __VA_ARGS__)
#define cr_log_info(...)    ((void)(printf("[----] " __VA_ARGS__), puts("")))
#define cr_skip_test(...)   shim_skip("" __VA_ARGS__)
#define cr_skip(...)        cr_skip_test(__VA_ARGS__)

/* In the child. */
static inline void shim_run(const struct shim_test *t)
{
	static const struct shim_options none;
	const struct shim_options *suite = t->of_suite != NULL ? t->of_suite : &none;
	void (*init)(void) = t->own.init != NULL ? t->own.init : suite->init;
	void (*fini)(void) = t->own.fini != NULL ? t->own.fini : suite->fini;

	shim_now = t;
	alarm(1800);
	if (init != NULL)
		init();
	t->run();
	if (fini != NULL)
		fini();
	/* By exit, because that is where a sanitizer says what it saw. */
	exit(shim_faults > 0);
}

/* One that runs. */
struct shim_child {
	pid_t pid;
	int said; /* what it prints, kept until it ends: children run side by side */
	const struct shim_test *test;
};

static inline void shim_begin(struct shim_child *c, const struct shim_test *t)
{
	c->test = t;
	c->said = memfd_create("said", MFD_CLOEXEC);
	fflush(NULL);
	c->pid = fork();
	if (c->pid == 0) {
		dup2(c->said, STDOUT_FILENO);
		dup2(c->said, STDERR_FILENO);
		shim_run(t);
	}
	if (c->pid < 0) {
		perror("fork");
		exit(2);
	}
}

/* Returns what the test ended with: 0, SHIM_SKIPPED, or it failed. */
static inline int shim_end(struct shim_child *c, int status)
{
	int ended = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	char text[65536];
	ssize_t n = 0;
	off_t at = 0;

	while ((n = pread(c->said, text, sizeof(text), at)) > 0) {
		fwrite(text, 1, (size_t)n, stdout);
		at += n;
	}
	close(c->said);
	if (ended != 0 && ended != SHIM_SKIPPED)
		printf("[FAIL] %s::%s (status %d)\n", c->test->suite, c->test->name, status);
	fflush(stdout);
	c->pid = 0;
	return ended;
}

/* PROGRAM [PART OF SUITE::NAME]...: all tests, or those that are named. */
static inline bool shim_wanted(const struct shim_test *t, int argc, char *const *argv)
{
	char name[256];
	bool any = false;

	snprintf(name, sizeof(name), "%s::%s", t->suite, t->name);
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		any = true;
		if (strstr(name, argv[i]) != NULL)
			return true;
	}
	return !any;
}

__attribute__((weak)) int main(int argc, char **argv)
{
	struct shim_child child[16] = {{0}};
	const char *jobs = getenv("UNIT_JOBS");
	unsigned all = 0, good = 0, skipped = 0, running = 0,
		 places = jobs != NULL ? (unsigned)atoi(jobs) : 2;
	const struct shim_test *t = shim_tests;

	if (places < 1 || places > 16)
		places = 16;
	for (;;) {
		unsigned i = 0;
		int status = 0, ended;
		pid_t pid = 0;

		while (t != NULL && !shim_wanted(t, argc, argv))
			t = t->next;
		if (t != NULL && running < places) {
			while (child[i].pid != 0)
				i++;
			shim_begin(&child[i], t);
			t = t->next;
			running++;
			all++;
			continue;
		}
		if (running == 0)
			break;
		pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno == EINTR)
			continue;
		for (i = 0; i < places && child[i].pid != pid; i++)
			;
		if (i == places)
			continue;
		ended = shim_end(&child[i], status);
		good += ended == 0;
		skipped += ended == SHIM_SKIPPED;
		running--;
	}
	printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", all,
	       good, all - good - skipped);
	return good + skipped == all ? 0 : 1;
}

#endif
