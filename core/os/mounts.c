/* SPDX-License-Identifier: ISC */
/*
 * What is to be mounted, compared with what is.
 */
#include "core/os/mounts.h"

#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

/* A line of such a table; longer ones are cut, and then match nothing. */
#define LINE_MAX_BYTES 8192

static void mntent_closep(FILE **f)
{
	if (*f != NULL)
		endmntent(*f);
}

static bool below(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	return strncmp(dir, path, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The deepest directory of the table that ${path} is or lies in, and that is not "/". */
static bool table_find(const char *table, const char *path, char *dst, size_t size)
{
	OWNED(mntent_closep) FILE *f = setmntent(table, "re");
	char line[LINE_MAX_BYTES];
	struct mntent entry;
	size_t best = 0;

	while (f != NULL && getmntent_r(f, &entry, line, sizeof(line)) != NULL) {
		size_t n = strlen(entry.mnt_dir);

		while (n > 1 && entry.mnt_dir[n - 1] == '/')
			entry.mnt_dir[--n] = '\0';
		if (entry.mnt_dir[0] != '/' || n < 2 || n <= best || n >= size ||
		    !below(entry.mnt_dir, path))
			continue;
		memcpy(dst, entry.mnt_dir, n + 1);
		best = n;
	}
	return best > 0;
}

bool mount_missing(const char *path, const char *fstab, char *dst, size_t size)
{
	static const char *const media[] = {"/media", "/run/media"};
	char mounted[PATH_MAX] = "", wanted[PATH_MAX];
	bool is = table_find("/proc/self/mounts", path, mounted, sizeof(mounted));

	if (table_find(fstab, path, wanted, sizeof(wanted))) {
		snprintf(dst, size, "%s", wanted);
		return !is || !below(wanted, mounted);
	}
	for (size_t i = 0; i < ARRAY_LEN(media); i++) {
		if (!below(media[i], path) || path[strlen(media[i])] == '\0')
			continue;
		snprintf(dst, size, "%s", media[i]);
		return !is || !below(media[i], mounted);
	}
	return false;
}
