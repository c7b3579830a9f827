/* SPDX-License-Identifier: ISC */
/*
 * What a process gives up before it touches what strangers wrote: decompressors and parsers have
 * had holes, and one that is taken over here can use what its row in the table names and do nothing
 * else.  Three walls that do not need each other: limits, Landlock where the kernel has it,
 * seccomp.
 */
#include "core/os/confine.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/confine_internal.h"

/* Address space beyond what is there already.  Nobody needs more than some hundred MiB. */
#define MEMORY_MORE (2ull << 30)
/* 0, 1 and 2 are there, so that with this limit no new descriptor can be had; poll(2) refuses more
 * entries than it. */
#define HELD_ONLY 3
/* A directory, what lies between it and a file, listings within each other. */
#define SOME_FILES 64
/* A listing within each other for each level of a tree: half as many as a path has characters. */
#define TREE_LEVELS 2112

static const struct profile {
	const char *name;
	unsigned may;       /* enum confine_may */
	rlim_t descriptors; /* the highest number, and one */
} profiles[CONFINE_PROFILES] = {
    [CONFINE_READER] = {"reader", 0, HELD_ONLY},
    [CONFINE_UNSEALER] = {"unsealer", 0, HELD_ONLY},
    [CONFINE_PARSER] = {"parser", 0, HELD_ONLY},
    [CONFINE_INSPECTOR] = {"inspector", 0, HELD_ONLY},
    [CONFINE_DEPOT_READER] = {"depot-reader", MAY_READ | MAY_PASS, SOME_FILES},
    [CONFINE_DEPOT_WRITER] = {"depot-writer", MAY_READ | MAY_CHANGE | MAY_PASS, SOME_FILES},
    [CONFINE_POLLER] = {"poller", MAY_LIST, SOME_FILES},
    [CONFINE_HINT] = {"hint", MAY_LIST | MAY_NOTIFY, TREE_LEVELS},
};

const char *confine_name(enum confine_profile profile)
{
	return profiles[profile].name;
}

/* Bytes of address space in use; 0 when nobody says. */
static uint64_t memory_used(void)
{
	OWNED(fd_closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char text[64] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	return n <= 0 ? 0 : strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * Hard and soft together, so that it cannot be raised again; a limit that is lower already stays.
 */
static int limit(__rlimit_resource_t what, rlim_t most, struct err *err)
{
	struct rlimit old, new = {most, most};

	if (getrlimit(what, &old) < 0)
		return err_sys(err, RC_POLICY, "cannot confine this process: its limits");
	if (old.rlim_max < most)
		new.rlim_cur = new.rlim_max = old.rlim_max;
	if (setrlimit(what, &new) < 0)
		return err_sys(err, RC_POLICY, "cannot confine this process: its limits");
	return 0;
}

/* A core file would hold what the process was reading. */
static int limits_self(const struct profile *p, uint64_t used, struct err *err)
{
	int rc = limit(RLIMIT_CORE, 0, err);

	if (rc == 0 && (p->may & MAY_CHANGE) == 0)
		rc = limit(RLIMIT_FSIZE, 0, err);
	if (rc == 0)
		rc = limit(RLIMIT_NOFILE, p->descriptors, err);
	/* The sanitizer's shadow takes terabytes of addresses. */
	if (rc == 0 && used > 0 && !SANITIZED)
		rc = limit(RLIMIT_AS, (rlim_t)(used + MEMORY_MORE), err);
	return rc;
}

/*
 * Memory is measured first because Landlock forbids looking, and seccomp comes last because the
 * steps before it need calls that it refuses.
 */
int confine_self(enum confine_profile profile, int dirfd, struct err *err)
{
	const struct profile *p = &profiles[profile];
	uint64_t used = memory_used();
	int given = CONFINE_SECCOMP;
	int rc;

	if ((dirfd >= 0) != ((p->may & (MAY_READ | MAY_LIST)) != 0))
		return err_set(err, RC_INTERNAL,
			       "the profile %s and a directory do not go together", p->name);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, RC_POLICY, "cannot confine this process");
	if (landlock_self(p->may, dirfd))
		given |= CONFINE_LANDLOCK;
	rc = limits_self(p, used, err);
	if (rc == 0)
		rc = filter_self(p->may, err);
	return rc < 0 ? rc : given;
}
