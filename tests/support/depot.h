/* SPDX-License-Identifier: ISC */
/* A depot in the directory of the test. */
#ifndef SATCHEL_TESTS_SUPPORT_DEPOT_H
#define SATCHEL_TESTS_SUPPORT_DEPOT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "core/depot/helper/helper.h"
#include "core/depot/marker.h"
#include "tests/support/scratch.h"

#define ABC   "bddd813c634239723171ef3fee98579b" /* of "abc" */
#define BEAT  "beats/1-" ABC ".beat"
#define MEGA  ((size_t)1 << 20)
#define WAITS 20 /* seconds of silence that no test here should need */

static inline void run(const char *command)
{
	cr_assert_eq(scratch_run(scratch, command), 0, "%s", command);
}

static inline struct depot *opened(enum depot_flags flags)
{
	struct depot *d = NULL;
	struct err err = {0};

	cr_assert_eq(depot_open(scratch, flags, WAITS, &d, &err), 0, "%s", err.text);
	return d;
}

/* A line of /proc/PID/status; "" when it has none. */
static inline void status_line(pid_t pid, const char *what, char dst[80])
{
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	while (fgets(dst, 80, f) != NULL && strncmp(dst, what, strlen(what)) != 0)
		*dst = '\0';
	fclose(f);
}

static inline void expect_content(const char *path, struct bytes want)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(depot_read(d, path, 64 * MEGA, &b, &err), 0, "%s", err.text);
	cr_assert(bytes_equal(bytes_in(&b), want));
}

static inline uint8_t *pattern(size_t n)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	return p;
}

struct seen {
	struct depot *d;
	unsigned int count, read, stop_at;
	uint64_t bytes;
	bool wrong;
};

static inline int count(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct seen *s = arg;

	s->count++;
	s->bytes += size;
	s->wrong = s->wrong || name[0] == '.' || strcspn(name, "/ABC~ \n") != strlen(name);
	if (s->count == s->stop_at)
		return err_set(err, RC_POLICY, "enough");
	return 0;
}

static inline int count_dir(void *arg, const char *name, struct err *err)
{
	return count(arg, name, 0, err);
}

static inline void expect_dead(struct depot *d, int want)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	struct seen s = {0};
	uint64_t n;
	uint8_t byte;

	cr_assert_eq(d->child.pid, 0);
	cr_assert_eq(depot_read(d, BEAT, 99, &b, &err), want);
	cr_assert_eq(depot_size(d, BEAT, &n, &err), want);
	cr_assert_eq(depot_fetch(d, BEAT, 0, &byte, 1, &err), want);
	cr_assert_eq(depot_fd(d, BEAT, &err), want);
	cr_assert_eq(depot_list(d, "beats", count, &s, &err), want);
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), want);
	cr_assert_eq(depot_remove(d, BEAT, &err), want);
	cr_assert_eq(depot_free_bytes(d, &n, &err), want);
}

#endif
