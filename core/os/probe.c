/* SPDX-License-Identifier: ISC */
/*
 * Questions to this machine that only trying answers: kernels and containers refuse what their
 * version promises.  What might kill or block the asker is tried in a child.
 */
#include "core/os/probe.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <seccomp.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <yaml.h>
#include <zstd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/child.h"
#include "core/os/confine.h"

/* A child that does next to nothing has so long. */
#define PROBE_MS 5000

#define LANDLOCK_VERSION 1u

void probe_kernel(struct probe_kernel *ret)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
	struct utsname name;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));

	ret->openat2 = fd >= 0 || errno != ENOSYS;
	fd_closep(&fd);
	ret->landlock = abi > 0 ? (int)abi : 0;
	snprintf(ret->release, sizeof(ret->release), "%s",
		 uname(&name) == 0 ? name.release : "unknown");
}

static int confine_main(void *arg, int fd)
{
	int given = confine_self(CONFINE_READER, -1, ERR_IGNORED);

	return given < 0 ? 0 : given;
}

int probe_confine(int *ret, struct err *err)
{
	struct child c = CHILD_INIT;
	int status = 0;
	int rc = child_start(confine_main, NULL, NULL, 0, &c, err);

	if (rc == 0)
		rc = child_end(&c, PROBE_MS, &status, err);
	if (rc < 0)
		return rc;
	if ((status & CONFINE_SECCOMP) == 0 || status > (CONFINE_SECCOMP | CONFINE_LANDLOCK))
		return err_set(err, RC_POLICY,
			       "a process cannot confine itself here (seccomp, no_new_privs)");
	*ret = status;
	return 0;
}

uint64_t probe_number(const char *path)
{
	OWNED(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	uint64_t value;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	return n > 0 && number_u64(text, (size_t)n, UINT64_MAX, &value, ERR_IGNORED) == 0
		   ? value
		   : UINT64_MAX;
}

static const char *archive_text(void)
{
	const char *text = archive_version_string();
	const char *blank = strchr(text, ' ');

	return blank == NULL ? text : blank + 1;
}

/* What they were when this program was built, and are now; libyaml keeps the former to itself. */
static const struct {
	const char *name, *built;
	const char *(*now)(void);
} libraries[] = {
    {"libarchive", ARCHIVE_VERSION_ONLY_STRING, archive_text},
    {"libsodium", SODIUM_VERSION_STRING, sodium_version_string},
    {"libzstd", ZSTD_VERSION_STRING, ZSTD_versionString},
    {"libyaml", "0", yaml_get_version_string},
    {"SQLite", SQLITE_VERSION, sqlite3_libversion},
};

int probe_libraries(struct buf *ret, struct err *err)
{
	const struct scmp_version *seccomp = seccomp_version();
	bool older = false;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(libraries); i++) {
		rc = buf_printf(ret, err, "%s %s, ", libraries[i].name, libraries[i].now());
		older = older || strverscmp(libraries[i].now(), libraries[i].built) < 0;
	}
	if (rc == 0)
		rc = buf_printf(ret, err, "libseccomp %u.%u.%u", seccomp->major, seccomp->minor,
				seccomp->micro);
	return rc < 0 ? rc : older;
}

static int unit_main(void *arg, int fd)
{
	if (dup2(fd, STDOUT_FILENO) < 0)
		return 127;
	execlp("systemctl", "systemctl", "show", "--no-pager",
	       "--property=LoadState,UnitFileState,ActiveState,ProtectSystem,ReadWritePaths", "--",
	       (const char *)arg, (char *)NULL);
	return 127;
}

/* Everything that the child says, at most ${size} - 1 bytes, until it ends or is silent. */
static void child_text(const struct child *c, char *dst, size_t size)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	int64_t until = clock_monotonic_ms() + PROBE_MS;
	size_t n = 0;

	while (n + 1 < size && clock_monotonic_ms() < until) {
		ssize_t got = poll(&p, 1, PROBE_MS) > 0 ? read(c->fd, dst + n, size - 1 - n) : -1;

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	dst[n] = '\0';
}

static bool unit_says(const char *text, const char *line)
{
	const char *at = strstr(text, line);
	char end = at == NULL ? 'x' : at[strlen(line)];

	return at != NULL && (at == text || at[-1] == '\n') && (end == '\n' || end == '\0');
}

#define WRITABLE "ReadWritePaths="

void probe_unit_parse(const char *text, struct probe_unit *ret)
{
	const char *writable = strstr(text, WRITABLE);

	ret->systemd = true;
	ret->present = unit_says(text, "LoadState=loaded");
	ret->enabled = unit_says(text, "UnitFileState=enabled") ||
		       unit_says(text, "UnitFileState=enabled-runtime") ||
		       unit_says(text, "UnitFileState=static");
	ret->active = unit_says(text, "ActiveState=active") ||
		      unit_says(text, "ActiveState=activating") ||
		      unit_says(text, "ActiveState=reloading");
	ret->failed = unit_says(text, "ActiveState=failed");
	ret->strict = unit_says(text, "ProtectSystem=strict");
	if (writable != NULL)
		snprintf(ret->writable, sizeof(ret->writable), "%.*s",
			 (int)strcspn(writable + strlen(WRITABLE), "\n"),
			 writable + strlen(WRITABLE));
}

bool probe_unit_writes(const struct probe_unit *u, const char *path)
{
	const char *at = u->writable;

	while (u->strict && *at != '\0') {
		size_t n = strcspn(at, " "), skip = strspn(at, "-+");

		if (n > skip && strncmp(path, at + skip, n - skip) == 0 &&
		    (path[n - skip] == '/' || path[n - skip] == '\0' || n - skip == 1))
			return true;
		at += n + strspn(at + n, " ");
	}
	return !u->strict;
}

int probe_unit(const char *name, struct probe_unit *ret, struct err *err)
{
	struct child c = CHILD_INIT;
	char text[4096];
	int status = 0;
	int rc = child_start(unit_main, (void *)(uintptr_t)name, NULL, 0, &c, err);

	if (rc < 0)
		return rc;
	child_text(&c, text, sizeof(text));
	rc = child_end(&c, PROBE_MS, &status, err);
	if (rc < 0)
		return rc;
	*ret = (struct probe_unit){0};
	if (status == 0)
		probe_unit_parse(text, ret);
	return 0;
}
