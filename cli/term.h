/*
 * What a person sees on stderr: finished sentences, and one live line for long work (bytes, rate,
 * time left) when stderr is a terminal.  And on stdout: tables and coloured words.
 */
#ifndef SATCHEL_CLI_TERM_H
#define SATCHEL_CLI_TERM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/say.h"

struct term {
	struct say say;  /* first: what libraries see */
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

void term_init(struct term *t, bool quiet, bool verbose);
/** term_begin(t, priority): what stands before a line on stderr: "satchel: ", or "<4>". */
const char *term_begin(const struct term *t, char priority);
/** term_line_end(t): remove the progress line, so that something else can be printed. */
void term_line_end(struct term *t);
/** term_warned(t, text): was this very sentence a warning of this run? */
bool term_warned(const struct term *t, const char *text);

/** bytes_text(dst, n): "1.2 GB", powers of ten.  count_text: "78,667".  age_text: "3 minutes ago",
 * "never". duration_text: seconds in words. */
#define TEXT_SIZE 32
void bytes_text(char dst[TEXT_SIZE], uint64_t n);
void count_text(char dst[TEXT_SIZE], uint64_t n);
/** plural(n, one, many): the word that goes with ${n}. */
const char *plural(uint64_t n, const char *one, const char *many);
void age_text(char dst[TEXT_SIZE], int64_t at, int64_t now);

/** colour_word(t, name): the word with its colour around it when stdout shows colours (owned by the
 * caller's buffer). */
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
void table_init(struct table *t, size_t columns, int colour_column);
int table_cell(struct table *t, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** table_rows(t, from, max, err): append the first rows of a table with as many columns; returns
 * how many they were. */
int table_rows(struct table *t, const struct table *from, size_t max, struct err *err);
void table_print(struct table *t, const struct term *term, FILE *out);
void table_clear(struct table *t);

/*
 * JSON (RFC 8259), written as it goes; commas and escapes are ours, the shape is the caller's.
 * Bytes that are not UTF-8 are shown as err_escape does.
 */
struct json {
	FILE *out;
	bool comma; /* one is due before the next value */
};
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_raw(struct json *j, const char *key, const char *value); /* JSON already */
void json_time(struct json *j, const char *key, int64_t seconds);  /* null for 0 */

#endif
