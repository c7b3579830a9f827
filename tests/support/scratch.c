/* SPDX-License-Identifier: ISC */
/*
 * Every test works in a directory of its own, and some make thousands of them: what they all do is
 * done here by calls, because a shell for each costs more than the test.
 */
#include "tests/support/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char scratch[SCRATCH_PATH];
int scratch_fd = -1;

void scratch_setup(void)
{
	scratch_make(scratch);
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(scratch_fd, 0);
}

void scratch_teardown(void)
{
	close(scratch_fd);
	scratch_remove(scratch);
}

void scratch_make(char dst[SCRATCH_PATH])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dst, SCRATCH_PATH, "%s/satchel-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dst));
}

int scratch_run(const char *dir, const char *command)
{
	char text[4096];

	snprintf(text, sizeof(text), "cd '%s' && { %s\n}", dir, command);
	return system(text);
}

void scratch_directory(const char *dir, const char *name)
{
	char path[2 * SCRATCH_PATH];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(mkdir(path, 0755), 0, "%s: %s", path, strerror(errno));
}

static void remove_below(int at, const char *name)
{
	struct dirent *e;
	DIR *d;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
	fchmod(fd, 0700);
	d = fdopendir(fd);
	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			continue;
		cr_assert(errno == EISDIR || errno == EPERM, "%s: %s", e->d_name, strerror(errno));
		remove_below(fd, e->d_name);
	}
	closedir(d);
	cr_assert_eq(unlinkat(at, name, AT_REMOVEDIR), 0, "%s: %s", name, strerror(errno));
}

void scratch_remove(const char *dir)
{
	remove_below(AT_FDCWD, dir);
}
