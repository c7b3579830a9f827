/* SPDX-License-Identifier: ISC */
/*
 * Patterns of what is left out.  They mean what they mean in the ignore files of other tools, since
 * that is what people write; a pattern that silently leaves out nothing publishes what somebody
 * meant to keep to themselves.
 */
#include "core/tree/exclude.h"

#include <fnmatch.h>
#include <string.h>

#include "core/base/limits.h"

/* One part of a pattern or of a path: up to the next slash. */
struct part {
	const char *at;
	size_t n;
};

static struct part part_of(const char *text)
{
	return (struct part){text, strcspn(text, "/")};
}

/* What comes after it; NULL: it was the last. */
static const char *part_after(struct part p)
{
	return p.at[p.n] == '/' ? p.at + p.n + 1 : NULL;
}

static bool part_any_depth(struct part p)
{
	return p.n == 2 && memcmp(p.at, "**", 2) == 0;
}

static bool part_fits(struct part glob, struct part name)
{
	char g[LIMIT_PATH + 1], s[LIMIT_NAME + 1];

	if (glob.n >= sizeof(g) || name.n >= sizeof(s))
		return false;
	memcpy(g, glob.at, glob.n);
	g[glob.n] = '\0';
	memcpy(s, name.at, name.n);
	s[name.n] = '\0';
	return fnmatch(g, s, 0) == 0;
}

/*
 * A two-star part takes as few names as will do, and one more whenever what follows it does not
 * fit.  Only the last one needs to be gone back to, so this costs at most parts times names.
 */
static bool path_fits(const char *glob, const char *path)
{
	const char *again_glob = NULL, *again_path = NULL;

	while (path != NULL) {
		struct part name = part_of(path);
		struct part g = glob != NULL ? part_of(glob) : (struct part){"", 0};

		if (glob != NULL && part_any_depth(g)) {
			glob = again_glob = part_after(g);
			again_path = path;
			if (glob == NULL)
				return true; /* all that is below */
		} else if (glob != NULL && part_fits(g, name)) {
			glob = part_after(g);
			path = part_after(name);
		} else if (again_path != NULL) {
			path = again_path = part_after(part_of(again_path));
			glob = again_glob;
		} else {
			return false;
		}
	}
	return glob == NULL;
}

static enum exclude_fit pattern_fits(const char *glob, const char *path)
{
	size_t n = strlen(glob);
	bool directory = n > 0 && glob[n - 1] == '/';
	char text[LIMIT_PATH + 1];
	const char *slash = strrchr(path, '/');
	bool anchored;

	n -= directory;
	if (n > LIMIT_PATH)
		return EXCLUDE_NO;
	memcpy(text, glob, n);
	text[n] = '\0';
	glob = text;
	anchored = strchr(glob, '/') != NULL;
	if (strncmp(glob, "./", 2) == 0)
		glob += 2;
	else if (glob[0] == '/')
		glob++;
	/* Without a slash within, a pattern is one of names, wherever they are. */
	if (anchored ? !path_fits(glob, path)
		     : fnmatch(glob, slash == NULL ? path : slash + 1, 0) != 0)
		return EXCLUDE_NO;
	return directory ? EXCLUDE_DIRECTORY : EXCLUDE_YES;
}

enum exclude_fit exclude_fits(const char *const *globs, size_t n, const char *path)
{
	enum exclude_fit fit = EXCLUDE_NO;

	for (size_t i = 0; i < n && fit != EXCLUDE_YES; i++) {
		enum exclude_fit one = pattern_fits(globs[i], path);

		fit = one > fit ? one : fit;
	}
	return fit;
}

void exclude_only(const char *path, char dst[EXCLUDE_MAX])
{
	size_t n = strnlen(path, LIMIT_PATH);

	*dst++ = '/';
	for (size_t i = 0; i < n; i++) {
		bool glob = strchr("*?[", path[i]) != NULL;
		bool care = (unsigned char)path[i] < ' ' || strchr("\\\"\x7f", path[i]) != NULL;

		if (glob)
			*dst++ = '[';
		*dst++ = care ? '?' : path[i];
		if (glob)
			*dst++ = ']';
	}
	*dst = '\0';
}

bool exclude_good(const char *glob)
{
	const char *at = glob;

	if (strncmp(at, "./", 2) == 0)
		at += 2;
	else if (at[0] == '/')
		at++;
	if (*at == '\0')
		return false;
	while (at != NULL && *at != '\0') {
		struct part p = part_of(at);

		if (p.n == 0 || (p.n == 1 && p.at[0] == '.') ||
		    (p.n == 2 && memcmp(p.at, "..", 2) == 0))
			return false;
		at = part_after(p);
	}
	return true;
}
