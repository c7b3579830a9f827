/* SPDX-License-Identifier: ISC */
/*
 * Paths before they touch a file system.  Whatever a bundle names goes through path_check, so that
 * ".." and absolute paths end here; one encoding and one order make lists comparable byte by byte.
 */
#include "core/format/bundle/path.h"

#include <string.h>

/*
 * Bytes that stand for themselves in the encoding: 0x21 to 0x7E without '%'.  Nearly all of every
 * list of changes is such bytes, so they are looked at by eight.
 */
static bool is_plain(uint8_t c)
{
	return c > 0x20 && c < 0x7f && c != '%';
}

#define EIGHT(c) ((uint64_t)(c)*0x0101010101010101u)

/* Not zero when a byte of ${x} is zero. */
static uint64_t zero_byte(uint64_t x)
{
	return (x - EIGHT(1)) & ~x & EIGHT(0x80);
}

static size_t plain_run(const uint8_t *p, size_t n)
{
	size_t i = 0;

	for (uint64_t x; i + sizeof(x) <= n; i += sizeof(x)) {
		memcpy(&x, p + i, sizeof(x));
		if (((x | ((x - EIGHT(0x21)) & ~x)) & EIGHT(0x80)) != 0 ||
		    (zero_byte(x ^ EIGHT('%')) | zero_byte(x ^ EIGHT(0x7f))) != 0)
			break;
	}
	while (i < n && is_plain(p[i]))
		i++;
	return i;
}

static int component_check(const char *name, size_t n, struct err *err)
{
	if (n == 0)
		return err_set(err, RC_PATH, "an empty name is not allowed in a path");
	if (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))
		return err_set(err, RC_PATH, "the name \"%.*s\" is not allowed in a path", (int)n,
			       name);
	if (n > LIMIT_NAME)
		return err_set(err, RC_PATH, "the name \"%.40s...\" has more than %d bytes", name,
			       LIMIT_NAME);
	return 0;
}

int path_check(const char *path, struct err *err)
{
	size_t depth = 0;
	int rc;

	for (const char *name = path;; name++) {
		const char *end = strchrnul(name, '/');

		if (end - path > LIMIT_PATH)
			return err_set(err, RC_PATH, "the path \"%.80s...\" has more than %d bytes",
				       path, LIMIT_PATH);
		rc = component_check(name, (size_t)(end - name), err);
		if (rc < 0)
			return err_prefix(err, "path \"%.200s\"", path);
		if (++depth > LIMIT_DEPTH)
			return err_set(err, RC_PATH,
				       "the path \"%.80s...\" is deeper than %d names", path,
				       LIMIT_DEPTH);
		if (*end == '\0')
			return 0;
		name = end;
	}
}

int text_encode(const char *text, struct buf *ret, struct err *err)
{
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t *in = (const uint8_t *)text;
	size_t n = strlen(text);
	uint8_t *out;
	int rc = buf_reserve(ret, n > SIZE_MAX / 3 ? SIZE_MAX : 3 * n, err);

	if (rc < 0)
		return rc;
	out = ret->p + ret->n;
	for (size_t i = 0; i < n;) {
		size_t run = plain_run(in + i, n - i);

		memcpy(out, in + i, run);
		out += run;
		i += run;
		if (i < n) {
			*out++ = '%';
			*out++ = (uint8_t)digits[in[i] >> 4];
			*out++ = (uint8_t)digits[in[i] & 15];
			i++;
		}
	}
	*out = '\0';
	ret->n = (size_t)(out - ret->p);
	return 0;
}

static int upper_hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that "%XX" at ${p} stands for, or -1: also when that byte has to stand for itself. */
static int escaped_byte(const uint8_t *p, size_t left)
{
	int high, low;

	if (left < 3 || p[0] != '%')
		return -1;
	high = upper_hex(p[1]);
	low = upper_hex(p[2]);
	if (high < 0 || low < 0 || (high == 0 && low == 0) || is_plain((uint8_t)(high << 4 | low)))
		return -1;
	return high << 4 | low;
}

static int too_long(struct bytes in, size_t size, struct err *err)
{
	return err_set(err, RC_PATH, "\"%.*s...\" has more than %zu bytes",
		       (int)(in.n < 80 ? in.n : 80), (const char *)in.p, size - 1);
}

int text_decode(struct bytes in, char *dst, size_t size, struct err *err)
{
	size_t used = 0;

	if (size == 0)
		return err_set(err, RC_INTERNAL, "no room for a text");
	for (size_t i = 0; i < in.n;) {
		size_t run = plain_run(in.p + i, in.n - i);
		int c;

		if (run >= size - used)
			return too_long(in, size, err);
		memcpy(dst + used, in.p + i, run);
		used += run;
		i += run;
		if (i == in.n)
			break;
		c = escaped_byte(in.p + i, in.n - i);
		if (c < 0)
			return err_set(
			    err, RC_MALFORMED,
			    "\"%.*s\" is not in the canonical percent-encoding (byte %zu "
			    "of it)",
			    (int)(in.n < 80 ? in.n : 80), (const char *)in.p, i + 1);
		if (used + 1 >= size)
			return too_long(in, size, err);
		dst[used++] = (char)c;
		i += 3;
	}
	dst[used] = '\0';
	return 0;
}

int path_compare(const char *a, const char *b)
{
	size_t i = 0;
	unsigned ca, cb;

	while (a[i] == b[i] && a[i] != '\0')
		i++;
	/* NUL is below everything, '/' comes next, then the other bytes in their order. */
	ca = a[i] == '/' ? 0 : (unsigned char)a[i];
	cb = b[i] == '/' ? 0 : (unsigned char)b[i];
	if (ca == 0 && cb == 0)
		return (a[i] != '\0') - (b[i] != '\0');
	return (ca > cb) - (ca < cb);
}

bool path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool path_reserved(const char *path)
{
	for (const char *p = path; p != NULL; p = strchr(p, '/')) {
		p += *p == '/';
		if (strncmp(p, PATH_RESERVED, strlen(PATH_RESERVED)) == 0)
			return true;
	}
	return false;
}
