/* SPDX-License-Identifier: ISC */
/*
 * Names that the target's file system cannot hold, refused by name before anything is renamed.
 * Which those are the file system itself says: a name of a kind that it has trouble with is tried
 * in the staging area, and so are two names that could be one to it.
 */
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"

#define TRIAL "t" /* in the staging area */

/* Kinds of names */

/** Length of the character at ${p} of UTF-8, its number in ${ret}; 0: it is none. */
static size_t utf8_next(const uint8_t *p, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80   ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	if (n <= 1) {
		*ret = p[0];
		return n;
	}
	*ret = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*ret = *ret << 6 | (p[i] & 0x3fu);
	}
	return *ret < least[n] || *ret > 0x10ffff || (*ret >= 0xd800 && *ret < 0xe000) ? 0 : n;
}

static bool is_utf8(const char *name)
{
	const uint8_t *p = (const uint8_t *)name;
	uint32_t c;
	size_t n;

	for (; *p != '\0'; p += n)
		if ((n = utf8_next(p, &c)) == 0)
			return false;
	return true;
}

/** Names that mean a device elsewhere, whatever comes after a dot. */
static bool is_device(const char *name)
{
	static const char *const words[] = {"con", "prn", "aux", "nul", "com", "lpt"};
	size_t n = strcspn(name, ".");

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strncasecmp(name, words[i], 3) == 0 && (n == 3 || n == 4))
			return true;
	return false;
}

/** The kinds of trouble that a name could make, as bits of enum holds. */
static unsigned name_kinds(const char *name)
{
	size_t n = strlen(name);
	unsigned kinds = 0;

	for (const char *p = name; *p != '\0'; p++)
		if (strchr(":*?\"<>|\\", *p) != NULL || (uint8_t)*p < 0x20 || *p == 0x7f)
			kinds |= HOLDS_SIGNS;
	if (n > 0 && (name[n - 1] == '.' || name[n - 1] == ' '))
		kinds |= HOLDS_ENDS;
	if (is_device(name))
		kinds |= HOLDS_ENDS;
	if (!is_utf8(name))
		kinds |= HOLDS_BYTES;
	if (n > 120)
		kinds |= HOLDS_LONG;
	return kinds;
}

/* Folding: what could be one name where case does not count */

/** As widely as any of them: what is told apart after all, the file system says. */
static uint32_t fold(locale_t utf8, uint32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	return utf8 != (locale_t)0 ? (uint32_t)towlower_l((wint_t)towupper_l((wint_t)c, utf8), utf8)
				   : c;
}

static uint64_t fold_hash(locale_t utf8, const char *path)
{
	const uint8_t *p = (const uint8_t *)path;
	uint64_t h = 1469598103934665603ull;

	while (*p != '\0') {
		uint32_t c;
		size_t n = utf8_next(p, &c);

		h = (h ^ fold(utf8, n > 0 ? c : *p)) * 1099511628211ull;
		p += n > 0 ? n : 1;
	}
	return h;
}

static locale_t folding(void)
{
	return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

bool names_fold(const char *a, const char *b)
{
	locale_t utf8 = folding();
	bool same = fold_hash(utf8, a) == fold_hash(utf8, b);

	if (utf8 != (locale_t)0)
		freelocale(utf8);
	return same;
}

/* Trials */

struct names {
	struct apply *a;
	int fd; /* owned; of the trial's directory; -1: not made yet */
	locale_t utf8;
	LIST(uint64_t) hash; /* of every path of the tree */
	uint64_t twice;      /* the one that is looked for */
	char *first;         /* owned; the first path that has it */
	struct line_reader lines;
	struct change *c; /* owned; the line read last */
	bool have;
	int (*each)(struct names *n, const char *path, struct err *err);
};

static int names_open(struct names *n, struct err *err)
{
	if (n->fd >= 0)
		return 0;
	if (mkdirat(n->a->stage.fd, TRIAL, 0700) < 0 && errno != EEXIST)
		return err_sys(err, RC_IO, "cannot make a directory in the staging area");
	n->fd = beneath_dir(n->a->stage.fd, TRIAL, err);
	return n->fd < 0 ? n->fd : 0;
}

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static int line_check(struct names *n, const struct change *c, struct err *err)
{
	const char *name = last_of(c->path);
	unsigned kinds = name_kinds(name);
	bool held = true;

	if (c->kind == ENTRY_LINK && !disk_holds(n->a, HOLDS_LINKS))
		return err_set(err, RC_TYPE,
			       "%s: it is a link, and the file system of %s holds none: leave it "
			       "out at the source, or choose another target",
			       c->path, target_name(n->a->t));
	for (unsigned bit = 1; kinds != 0 && bit != 0 && held; bit <<= 1)
		held = (kinds & bit) == 0 || disk_holds(n->a, bit);
	if (held)
		return 0;
	if (names_open(n, err) < 0)
		return err->rc;
	if (name_held(n->fd, name))
		return 0;
	return err_set(err, RC_PATH,
		       "%s: the file system of %s cannot hold this name: rename it at the source, "
		       "leave it out there, or choose another target",
		       c->path, target_name(n->a->t));
}

static int lines_check(struct names *n, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader lines = {0};
	int rc = line_reader_open(&n->a->list, &lines, err);

	while (rc == 0 && (rc = line_reader_next(&lines, n->c, err)) > 0) {
		uint8_t action = n->a->line[lines.line - 1].action;

		rc = n->c->op != CHANGE_DELETE && (action == LINE_PLACE || action == LINE_TREE)
			 ? line_check(n, n->c, err)
			 : 0;
	}
	return rc;
}

/* The tree as it will be: the index, and the lines over it. */

static int line_next(struct names *n, struct err *err)
{
	int rc = line_reader_next(&n->lines, n->c, err);

	n->have = rc > 0;
	return rc < 0 ? rc : 0;
}

/** The line, unless it takes away. */
static int line_take(struct names *n, struct err *err)
{
	int rc = n->c->op == CHANGE_DELETE ? 0 : n->each(n, n->c->path, err);

	return rc != 0 ? rc : line_next(n, err);
}

static int entry_each(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct names *n = arg;
	int rc = 0;

	(void)e;
	while (rc == 0 && n->have && path_compare(n->c->path, path) < 0)
		rc = line_take(n, err);
	if (rc == 0 && n->have && strcmp(n->c->path, path) == 0)
		return line_take(n, err);
	return rc != 0 ? rc : n->each(n, path, err);
}

static int tree_each(struct names *n,
		     int (*each)(struct names *n, const char *path, struct err *err),
		     struct err *err)
{
	int rc;

	n->each = each;
	line_reader_clear(&n->lines);
	rc = line_reader_open(&n->a->list, &n->lines, err);
	if (rc == 0)
		rc = line_next(n, err);
	if (rc == 0)
		rc = index_walk(n->a->index, entry_each, n, err);
	while (rc == 0 && n->have)
		rc = line_take(n, err);
	return rc;
}

static int hash_each(struct names *n, const char *path, struct err *err)
{
	return list_push(&n->hash, fold_hash(n->utf8, path), err);
}

static int hash_compare(const void *va, const void *vb)
{
	const uint64_t *a = va, *b = vb;

	return (*a > *b) - (*a < *b);
}

/** Are both names there at once? */
static bool told_apart(struct names *n, const char *one, const char *two)
{
	bool both = mkdirat(n->fd, one, 0700) == 0 && mkdirat(n->fd, two, 0700) == 0;

	unlinkat(n->fd, one, AT_REMOVEDIR);
	unlinkat(n->fd, two, AT_REMOVEDIR);
	return both;
}

static int pair_each(struct names *n, const char *path, struct err *err)
{
	if (fold_hash(n->utf8, path) != n->twice)
		return 0;
	if (n->first == NULL) {
		n->first = strdup(path);
		return n->first == NULL ? err_memory(err) : 0;
	}
	if (names_open(n, err) < 0)
		return err->rc;
	if (strcmp(last_of(n->first), last_of(path)) != 0 &&
	    told_apart(n, last_of(n->first), last_of(path)))
		return 0;
	return err_set(err, RC_PATH,
		       "%s and %s: the file system of %s takes the two for one name: rename one of "
		       "them at the source, or choose another target",
		       n->first, path, target_name(n->a->t));
}

static int pairs_check(struct names *n, struct err *err)
{
	int rc = tree_each(n, hash_each, err);

	list_sort(&n->hash, hash_compare);
	for (size_t i = 1; rc == 0 && i < n->hash.n; i++) {
		if (n->hash.items[i] != n->hash.items[i - 1] || n->hash.items[i] == n->twice)
			continue;
		n->twice = n->hash.items[i];
		free(TAKE(n->first));
		rc = tree_each(n, pair_each, err);
	}
	return rc;
}

static void names_clear(struct names *n)
{
	if (n->fd >= 0)
		unlinkat(n->a->stage.fd, TRIAL, AT_REMOVEDIR);
	fd_closep(&n->fd);
	if (n->utf8 != (locale_t)0)
		freelocale(n->utf8);
	line_reader_clear(&n->lines);
	list_clear(&n->hash);
	free(n->first);
	free(n->c);
}

int names_check(struct apply *a, struct err *err)
{
	struct names n = {.a = a, .fd = -1};
	int rc;

	if ((a->holds & HOLDS_TABLE) == HOLDS_TABLE || !(a->holds & HOLDS_TRIED))
		return 0;
	if (!disk_holds(a, HOLDS_MOVES))
		return err_set(err, RC_POLICY,
			       "the file system of %s loses what is in a directory when it is "
			       "renamed: choose another target, or mount it with another driver",
			       target_name(a->t));
	n.utf8 = folding();
	n.c = malloc(sizeof(*n.c));
	rc = n.c == NULL ? err_memory(err) : lines_check(&n, err);
	if (rc == 0 && !disk_holds(a, HOLDS_CASE))
		rc = pairs_check(&n, err);
	names_clear(&n);
	return rc;
}

/* What a name is called on the disk */

struct spelling {
	const char *name;
	char *found; /* LIMIT_NAME + 1 bytes; as it is spelled; NULL: nobody asks */
	bool exact, other;
};

static int spelling_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct spelling *s = arg;

	(void)err;
	if (strcmp(entry->name, s->name) == 0) {
		s->exact = true;
		return 1;
	}
	if (s->found != NULL && !s->other && names_fold(entry->name, s->name)) {
		s->other = true;
		memcpy(s->found, entry->name, strlen(entry->name) + 1);
	}
	return 0;
}

int name_spelled(struct apply *a, int dirfd, const char *name, char found[LIMIT_NAME + 1],
		 struct err *err)
{
	struct spelling s = {.name = name, .found = found};
	int rc;

	if (disk_holds(a, HOLDS_CASE))
		return 1;
	if (found != NULL)
		found[0] = '\0';
	rc = dir_each(dirfd, ".", 0, spelling_each, &s, err);
	return rc < 0 ? rc : s.exact;
}
