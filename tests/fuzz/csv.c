/* SPDX-License-Identifier: ISC */
/* Comma-separated values: what was read, written again in quotes, reads the same. */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/csv/csv.h"

static void must(int rc)
{
	if (rc < 0)
		abort();
}

static void row_write(const struct csv_row *row, struct buf *ret)
{
	for (size_t i = 0; i < row->fields; i++) {
		must(buf_text(ret, i > 0 ? ",\"" : "\"", ERR_IGNORED));
		for (const char *p = row->field[i]; *p != '\0'; p++) {
			must(buf_add(ret, p, 1, ERR_IGNORED));
			if (*p == '"')
				must(buf_add(ret, p, 1, ERR_IGNORED));
		}
		must(buf_text(ret, "\"", ERR_IGNORED));
	}
	must(buf_text(ret, "\r\n", ERR_IGNORED));
}

static void row_check(const struct csv_row *row)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(csv_row_clear) struct csv_row again = {0};
	struct csv c;

	row_write(row, &text);
	csv_init(&c, bytes_in(&text));
	if (csv_next(&c, &again, ERR_IGNORED) != 1 || again.fields != row->fields ||
	    again.text.n != row->text.n || memcmp(again.text.p, row->text.p, row->text.n) != 0)
		abort();
	if (csv_next(&c, &again, ERR_IGNORED) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	OWNED(csv_row_clear) struct csv_row row = {0};
	struct err err = {0};
	unsigned last = 0;
	struct csv c;

	csv_init(&c, (struct bytes){p, n});
	while (csv_next(&c, &row, &err) == 1) {
		if (row.line <= last || row.fields == 0)
			abort();
		last = row.line;
		row_check(&row);
	}
	return 0;
}
