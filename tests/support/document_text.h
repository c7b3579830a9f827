/* SPDX-License-Identifier: ISC */
/* The text of a document that crosses a depot, changed line by line. */
#ifndef SATCHEL_TESTS_SUPPORT_DOCUMENT_TEXT_H
#define SATCHEL_TESTS_SUPPORT_DOCUMENT_TEXT_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/documents/documents.h"
#include "core/format/yaml/yaml.h"

static inline struct digest digest_number(uint8_t n)
{
	return digest_of((struct bytes){&n, 1});
}

/* One decoder behind one signature, so that refusals are rows of tables. */
#define KIND(name, type, clear, ...)                             \
	static int name##_read(struct bytes in, struct err *err) \
	{                                                        \
		struct type v = {0};                             \
		int rc = name##_decode(in __VA_ARGS__, &v, err); \
                                                                 \
		clear;                                           \
		return rc;                                       \
	}

/* Replace the first ${from} of ${text} by ${to}. */
static inline void replace(struct buf *ret, const struct buf *text, const char *from,
			   const char *to)
{
	const char *at = strstr((char *)text->p, from);

	cr_assert_not_null(at, "\"%s\" is not in\n%s", from, (char *)text->p);
	buf_reset(ret);
	buf_add(ret, text->p, (size_t)((const uint8_t *)at - text->p), ERR_IGNORED);
	buf_text(ret, to, ERR_IGNORED);
	buf_text(ret, at + strlen(from), ERR_IGNORED);
}

struct change_row {
	const char *from, *to, *says; /* says NULL: still good */
};

static inline void refuses(int (*read)(struct bytes in, struct err *err), const struct buf *text,
			   const struct change_row *rows, size_t n)
{
	OWNED(buf_clear) struct buf other = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		struct err err = {0};
		int rc;

		replace(&other, text, rows[i].from, rows[i].to);
		rc = read(bytes_in(&other), &err);
		cr_expect_eq(rc, rows[i].says == NULL ? 0 : RC_MALFORMED, "%s -> %s: %d %s",
			     rows[i].from, rows[i].to, rc, err.text);
		if (rows[i].says != NULL)
			cr_expect_not_null(strstr(err.text, rows[i].says), "%s -> %s: %s",
					   rows[i].from, rows[i].to, err.text);
	}
}

/* Every line is needed, or is meant to be left out; nothing may stand twice or be added. */
static inline void refuses_unknown_and_missing(int (*read)(struct bytes in, struct err *err),
					       const struct buf *text)
{
	OWNED(buf_clear) struct buf other = BUF_INIT;
	struct err err = {0};

	buf_add(&other, text->p, text->n, ERR_IGNORED);
	buf_text(&other, "surprise: 1\n", ERR_IGNORED);
	cr_expect_eq(read(bytes_in(&other), &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "field `surprise`: not known here"), "%s", err.text);
	buf_reset(&other);
	buf_add(&other, text->p, text->n, ERR_IGNORED);
	if (memmem(text->p, text->n, "\nmore:\n", 7) == NULL)
		buf_text(&other, "more:\n", ERR_IGNORED);
	buf_text(&other, "  surprise: 1\n", ERR_IGNORED);
	cr_expect_eq(read(bytes_in(&other), &err), 0, "%s", err.text);
	for (size_t n = 0; n < text->n; n++)
		if (n == 0 || text->p[n - 1] == '\n' || text->p[n] == ':')
			(void)read((struct bytes){text->p, n}, &err);
	cr_expect_eq(read((struct bytes){text->p, 15}, &err), RC_MALFORMED);
}

static inline void starts(const struct buf *text, const char *line)
{
	cr_expect(bytes_start(bytes_in(text), line), "%.40s", (char *)text->p);
}

#endif
