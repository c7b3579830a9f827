/* SPDX-License-Identifier: ISC */
/*
 * Errors as values: the table of codes and exit classes, and how a sentence is put together.
 * Nothing is allocated here, so running out of memory can still be reported; a sentence that is
 * too long is cut, never refused.
 */
#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct rc_row {
	int rc;
	enum exit_class class;
	const char *slug;
	const char *text;
} rc_rows[] = {
#define X(code, class, slug, text) {code, class, slug, text},
    RC_TABLE(X)
#undef X
};

static const struct rc_row *rc_find(int rc)
{
	for (size_t i = 0; i < sizeof(rc_rows) / sizeof(rc_rows[0]); i++)
		if (rc_rows[i].rc == rc)
			return &rc_rows[i];
	return &rc_rows[0];
}

enum exit_class rc_class(int rc)
{
	return rc == RC_OK ? EXIT_CLASS_DONE : rc_find(rc)->class;
}

const char *rc_slug(int rc)
{
	return rc == RC_OK ? "ok" : rc_find(rc)->slug;
}

const char *rc_text(int rc)
{
	return rc == RC_OK ? "done" : rc_find(rc)->text;
}

int rc_from_slug(const char *slug)
{
	if (strcmp(slug, "ok") == 0)
		return RC_OK;
	for (size_t i = 0; i < sizeof(rc_rows) / sizeof(rc_rows[0]); i++)
		if (strcmp(rc_rows[i].slug, slug) == 0)
			return rc_rows[i].rc;
	return RC_INTERNAL;
}

int rc_of_class(enum exit_class class)
{
	for (size_t i = 0; i < sizeof(rc_rows) / sizeof(rc_rows[0]); i++)
		if (rc_rows[i].class == class)
			return rc_rows[i].rc;
	return RC_OK;
}

int err_set(struct err *err, int rc, const char *fmt, ...)
{
	va_list ap;

	err->rc = rc;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return rc;
}

int err_sys(struct err *err, int rc, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t used;

	if (saved == ENOSPC || saved == EDQUOT)
		rc = RC_SPACE;
	else if (saved == ENOMEM)
		rc = RC_MEMORY;
	err->rc = rc;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
	return rc;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char said[ERR_TEXT_MAX];
	va_list ap;
	size_t used;

	memcpy(said, err->text, sizeof(said));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", said);
	return err->rc;
}

int err_memory(struct err *err)
{
	return err_set(err, RC_MEMORY, "out of memory");
}

/*
 * What may pass as it is: printable ASCII and well-formed UTF-8 outside the C1 controls, the
 * bidirectional controls and the other invisible format characters (U+200B-200F, 202A-202E,
 * 2060-206F, FEFF).  Everything else is shown as \xNN, so no name can repaint a terminal.
 */
static size_t printable_length(const unsigned char *s)
{
	uint32_t c;
	size_t n;

	if (s[0] >= 0x20 && s[0] < 0x7f)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2, c = s[0] & 0x1f;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3, c = s[0] & 0x0f;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4, c = s[0] & 0x07;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	if (c < 0xa0 || c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x061c || c >= 0xe0000)
		return 0;
	return n;
}

void err_escape(char *dst, size_t size, const char *src)
{
	const unsigned char *s = (const unsigned char *)src;
	size_t used = 0;

	if (size == 0)
		return;
	while (*s != '\0') {
		size_t n = printable_length(s);
		size_t need = n > 0 ? n : 4;

		if (used + need + 1 > size)
			break;
		if (n > 0) {
			memcpy(dst + used, s, n);
			s += n;
		} else {
			snprintf(dst + used, 5, "\\x%02x", *s++);
		}
		used += need;
	}
	dst[used] = '\0';
}
