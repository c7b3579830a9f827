/* SPDX-License-Identifier: ISC */
/*
 * What a person sees on stderr: finished sentences, and one live line for long work (bytes, rate,
 * time left) when stderr is a terminal.  And on stdout: tables and coloured words.
 */
#ifndef SATCHEL_CLI_FRAME_TERM_H
#define SATCHEL_CLI_FRAME_TERM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/reporter.h"

struct term {
	struct reporter reporter; /* first: what libraries see */
	bool live;       /* stderr is a terminal: a progress line may be drawn and redrawn */
	bool colour_out; /* stdout is a terminal and NO_COLOR is not set */
	bool quiet, verbose;
	bool journal; /* stderr is the journal: lines begin with their priority, sd-daemon(3) */
	bool drawn;   /* a progress line stands there */
	char phase[64];
	int64_t began_ms, last_ms; /* of the phase; of the last redraw */
	uint64_t warned[32];       /* hashes of the latest warnings */
	unsigned warnings;
};

/** term_init(t, quiet, verbose):
 * Find out what stdout and stderr are: a terminal, the journal, or something else.  ${quiet}: only
 * warnings and errors are shown; ${verbose}: debug lines as well. */
void term_init(struct term *t, bool quiet, bool verbose);
/** term_begin(t, priority): what stands before a line on stderr: "satchel: ", or in the journal the
 * priority, '0' to '7', as "<4>".  Source: sd-daemon(3). */
const char *term_begin(const struct term *t, char priority);
/** term_line_end(t): remove the progress line, so that something else can be printed. */
void term_line_end(struct term *t);
/** term_warned(t, text): was this very sentence a warning of this run? */
bool term_warned(const struct term *t, const char *text);

/* Bytes of the short texts below, with their NUL. */
#define TEXT_SIZE 32
/** count_text(dst, n): "78,667". */
void count_text(char dst[TEXT_SIZE], uint64_t n);
/** age_text(dst, at, now): "3 minutes ago"; "never" when ${at} is 0.  Both are seconds since 1970.
 */
void age_text(char dst[TEXT_SIZE], int64_t at, int64_t now);
/** plural(n, one, many): the word that goes with ${n}; the text is the caller's. */
const char *plural(uint64_t n, const char *one, const char *many);

/** colour_word(t, name, dst, size): the word, with the codes that colour it when stdout shows
 * colours.  A word that is no colour stays plain. */
void colour_word(const struct term *t, const char *name, char *dst, size_t size);

/*
 * A table: rows of cells, widths found when printed; cells are escaped.  The first row is the
 * heading.
 */
struct table {
	struct buf cells; /* NUL-ended texts */
	size_t columns, count;
	int colour_column; /* -1: none */
};
/** table_init(t, columns, colour_column): an empty table without a heading.  ${colour_column}: the
 * column whose words are shown in colour; -1: none. */
void table_init(struct table *t, size_t columns, int colour_column);
/** table_head(t, heading, columns, colour_column, err): table_init, and the heading as first row.
 * Errors: RC_MEMORY. */
int table_head(struct table *t, const char *const *heading, size_t columns, int colour_column,
	       struct err *err);
/** table_cell(t, err, fmt, ...): the next cell, row by row; printed escaped.  Errors: RC_MEMORY. */
int table_cell(struct table *t, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** table_row(t, err, ...): the next row: as many const char * as there are columns.  Errors:
 * RC_MEMORY. */
int table_row(struct table *t, struct err *err, ...);
/** table_rows(t, from, max, err): append the first rows of a table with as many columns; returns
 * how many they were.  Errors: RC_MEMORY. */
int table_rows(struct table *t, const struct table *from, size_t max, struct err *err);
/** table_print(t, term, out): all rows, their columns aligned.  ${term} says whether colours are
 * shown. */
void table_print(struct table *t, const struct term *term, FILE *out);
/** table_clear(t): release it; an empty one is fine. */
void table_clear(struct table *t);

/*
 * JSON (RFC 8259), written as it goes; commas and escapes are ours, the shape is the caller's.
 * Bytes that are not UTF-8 are shown as err_escape does.
 */
struct json {
	FILE *out;
	bool comma; /* one is due before the next value */
};
/** json_open(j, key, bracket), json_close(j, bracket): '{' and '}', '[' and ']'.  The ${key} is
 * NULL inside a list, here and below. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
/** json_text(j, key, value): a string. */
void json_text(struct json *j, const char *key, const char *value);
/** json_u64(j, key, value), json_bool(j, key, value): the plain values. */
void json_u64(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
/** json_raw(j, key, value): a value that is JSON already, printed as it is. */
void json_raw(struct json *j, const char *key, const char *value);
/** json_time(j, key, seconds): a time as a string in UTC; null for 0. */
void json_time(struct json *j, const char *key, int64_t seconds);

#endif
