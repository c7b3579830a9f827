/* SPDX-License-Identifier: ISC */
/*
 * Comma-separated values as RFC 4180 has them, row by row: fields between commas, a field in quotes
 * may hold commas, ends of lines and doubled quotes, blanks belong to the field.  Lines end with
 * CR LF or LF; a byte order mark at the beginning and empty lines are passed over.
 *
 * Strict where spreadsheets guess: a quote inside a field without quotes, anything behind a closing
 * quote, a quote that is never closed and text that is not UTF-8 are errors, with their line.
 */
#ifndef SATCHEL_CORE_FORMAT_CSV_CSV_H
#define SATCHEL_CORE_FORMAT_CSV_CSV_H

#include "core/base/bytes.h"

/* A whole file: 100,000 users with long names take 10 MB. */
#define CSV_FILE (64u << 20)
/* Fields in one row. */
#define CSV_FIELDS 64u
/* Bytes of one row: a user with a thousand keys. */
#define CSV_ROW (256u << 10)

struct csv {
	struct bytes in; /* borrowed */
	size_t at;       /* bytes read */
	unsigned line;   /* from 1: of the next byte */
};

struct csv_row {
	unsigned line;                 /* where it begins */
	const char *field[CSV_FIELDS]; /* with their NUL; live until the row is read into again */
	size_t fields;
	struct buf text; /* owned */
};

/** csv_init(c, in): from the beginning of ${in}. */
void csv_init(struct csv *c, struct bytes in);
/** csv_next(c, row, err): 1 and the next row, 0 at the end.  RC_MALFORMED, RC_LIMIT: "line 7: ...".
 */
int csv_next(struct csv *c, struct csv_row *row, struct err *err);
/**
 * csv_row_clear(row): release its text; all zero afterwards, as it must be before the first
 * csv_next.
 */
void csv_row_clear(struct csv_row *row);

#endif
