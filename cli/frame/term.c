/* SPDX-License-Identifier: ISC */
/*
 * What a person sees: lines on stderr, a live line for long work, tables and coloured words.
 */
#include "cli/frame/term.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/own.h"

/* A progress line is redrawn at most this often. */
#define REDRAW_MS 120

void count_text(char dst[TEXT_SIZE], uint64_t n)
{
	char digits[24];
	size_t len, used = 0;

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			dst[used++] = ',';
		dst[used++] = digits[i];
	}
	dst[used] = '\0';
}

void age_text(char dst[TEXT_SIZE], int64_t at, int64_t now)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}};
	int64_t age = now - at;

	if (at == 0) {
		snprintf(dst, TEXT_SIZE, "never");
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		int64_t n = age / units[i].seconds;

		if (n >= 2 || (n == 1 && i < 2)) {
			snprintf(dst, TEXT_SIZE, "%lld %s%s ago", (long long)n, units[i].name,
				 n == 1 ? "" : "s");
			return;
		}
	}
	snprintf(dst, TEXT_SIZE, "%s", age < -120 ? "in the future" : "just now");
}

const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

void term_line_end(struct term *t)
{
	if (!t->drawn)
		return;
	fputs("\r\033[K", stderr);
	t->drawn = false;
}

static uint64_t text_hash(const char *text)
{
	struct digest d = digest_of(bytes_of(text));

	return get_u64(d.b);
}

bool term_warned(const struct term *t, const char *text)
{
	uint64_t hash = text_hash(text);

	for (unsigned i = 0; i < t->warnings && i < ARRAY_LEN(t->warned); i++)
		if (t->warned[i] == hash)
			return true;
	return false;
}

const char *term_begin(const struct term *t, char priority)
{
	static const char *const words[] = {"<0>", "<1>", "<2>", "<3>", "<4>", "<5>", "<6>", "<7>"};

	return t->journal ? words[(priority - '0') & 7] : "satchel: ";
}

/* JOURNAL_STREAM is device and inode of the socket that the journal reads. */
static bool stderr_is_journal(void)
{
	const char *said = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (said == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(said, mine) == 0;
}

static void term_line(struct reporter *reporter, enum reporter_level level, const char *text)
{
	struct term *t = (struct term *)reporter;
	char shown[2 * ERR_TEXT_MAX];

	if ((level == REPORTER_DEBUG && !t->verbose) || (level == REPORTER_INFO && t->quiet))
		return;
	term_line_end(t);
	if (level == REPORTER_WARNING)
		t->warned[t->warnings++ % ARRAY_LEN(t->warned)] = text_hash(text);
	err_escape(shown, sizeof(shown), text);
	if (t->journal)
		fprintf(stderr, "%s%s\n",
			term_begin(t, level == REPORTER_WARNING ? '4'
				      : level == REPORTER_INFO  ? '6'
								: '7'),
			shown);
	else
		fprintf(stderr, "satchel: %s%s\n", level == REPORTER_WARNING ? "warning: " : "",
			shown);
}

static void draw(struct term *t, uint64_t done, uint64_t total, uint64_t items,
		 uint64_t items_total, int64_t now)
{
	char did[TEXT_SIZE], whole[TEXT_SIZE], rate[TEXT_SIZE], things[TEXT_SIZE];
	int64_t spent = now - t->began_ms;
	uint64_t a_second = spent > 0 ? done * 1000 / (uint64_t)spent : 0;

	size_text(did, done);
	size_text(whole, total);
	size_text(rate, a_second);
	count_text(things, items);
	fprintf(stderr, "\r\033[K%s:", t->phase);
	if (items > 0 || items_total > 0)
		fprintf(stderr, " %s entries", things);
	if (total > 0)
		fprintf(stderr, " %s of %s (%u%%)", did, whole,
			(unsigned)(done >= total ? 100 : done * 100 / total));
	else if (done > 0)
		fprintf(stderr, " %s", did);
	if (done > 0 && spent > 500)
		fprintf(stderr, ", %s/s", rate);
	if (total > done && a_second > 0 && spent > 1000)
		fprintf(stderr, ", %llu s left",
			(unsigned long long)((total - done) / a_second + 1));
	fflush(stderr);
	t->drawn = true;
}

static void term_progress(struct reporter *reporter, const char *phase, uint64_t done,
			  uint64_t total, uint64_t items, uint64_t items_total)
{
	struct term *t = (struct term *)reporter;
	int64_t now;

	if (!t->live || t->quiet)
		return;
	now = clock_monotonic_ms();
	if (strcmp(phase, t->phase) != 0) {
		snprintf(t->phase, sizeof(t->phase), "%s", phase);
		t->began_ms = t->last_ms = now;
		return;
	}
	/* Short work shows nothing: a line that flashes up helps nobody. */
	if (now - t->began_ms < 400 || now - t->last_ms < REDRAW_MS)
		return;
	t->last_ms = now;
	draw(t, done, total, items, items_total, now);
}

void term_init(struct term *t, bool quiet, bool verbose)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *kind = getenv("TERM");
	bool able = kind != NULL && strcmp(kind, "dumb") != 0;

	*t = (struct term){.quiet = quiet, .verbose = verbose};
	t->reporter.line = term_line;
	t->reporter.progress = term_progress;
	t->journal = stderr_is_journal();
	t->live = able && isatty(STDERR_FILENO);
	t->colour_out =
	    able && isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0');
}

void colour_word(const struct term *t, const char *name, char *dst, size_t size)
{
	static const struct {
		const char *name, *code;
	} codes[] = {{"grey", "90"},   {"blue", "34"},    {"red", "1;31"},
		     {"orange", "33"}, {"green", "32"},   {"purple", "35"},
		     {"ok", "32"},     {"warning", "33"}, {"wrong", "1;31"}};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (t->colour_out && strcmp(name, codes[i].name) == 0) {
			snprintf(dst, size, "\033[%sm%s\033[0m", codes[i].code, name);
			return;
		}
	snprintf(dst, size, "%s", name);
}

void table_init(struct table *t, size_t columns, int colour_column)
{
	*t = (struct table){.cells = BUF_INIT, .columns = columns, .colour_column = colour_column};
}

int table_head(struct table *t, const char *const *heading, size_t columns, int colour_column,
	       struct err *err)
{
	int rc = 0;

	table_init(t, columns, colour_column);
	for (size_t i = 0; i < columns && rc == 0; i++)
		rc = table_cell(t, err, "%s", heading[i]);
	return rc;
}

int table_cell(struct table *t, struct err *err, const char *fmt, ...)
{
	char text[2048], shown[4096];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_escape(shown, sizeof(shown), text);
	rc = buf_add(&t->cells, shown, strlen(shown) + 1, err);
	if (rc == 0)
		t->count++;
	return rc;
}

int table_row(struct table *t, struct err *err, ...)
{
	va_list ap;
	int rc = 0;

	va_start(ap, err);
	for (size_t i = 0; i < t->columns && rc == 0; i++)
		rc = table_cell(t, err, "%s", va_arg(ap, const char *));
	va_end(ap);
	return rc;
}

int table_rows(struct table *t, const struct table *from, size_t max, struct err *err)
{
	const char *cell = (const char *)from->cells.p;
	size_t rows = from->columns > 0 ? from->count / from->columns : 0, n = 0;
	int rc;

	if (rows > max)
		rows = max;
	for (size_t i = 0; i < rows * from->columns; i++)
		n += strlen(cell + n) + 1;
	rc = buf_add(&t->cells, cell, n, err);
	if (rc < 0)
		return rc;
	t->count += rows * from->columns;
	return (int)rows;
}

/* Columns that a text takes: UTF-8 continuation bytes take none. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void table_print(struct table *t, const struct term *term, FILE *out)
{
	enum { COLUMNS_MAX = 16 };
	size_t width[COLUMNS_MAX] = {0};
	const char *cell = (const char *)t->cells.p;

	for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1)
		if (text_width(cell) > width[i % t->columns % COLUMNS_MAX])
			width[i % t->columns % COLUMNS_MAX] = text_width(cell);
	cell = (const char *)t->cells.p;
	for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1) {
		size_t column = i % t->columns;
		char word[64];
		bool last = column + 1 == t->columns;

		if ((int)column == t->colour_column && i >= t->columns) {
			colour_word(term, cell, word, sizeof(word));
			fputs(word, out);
		} else {
			fputs(cell, out);
		}
		if (last)
			fputc('\n', out);
		else
			fprintf(out, "%*s",
				(int)(width[column % COLUMNS_MAX] - text_width(cell) + 2), "");
	}
}

void table_clear(struct table *t)
{
	buf_clear(&t->cells);
}
