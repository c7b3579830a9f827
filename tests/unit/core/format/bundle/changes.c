/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/bundle/changes.h"

#define D1 "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
#define D2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

/* Good lines, as they must come back. */
static const char *const good[] = {
    "put 0644 - 0 0 " D1 " a",
    "put 7777 root:www-data 9223372036854775807 9223372036854775807 " D1 " usr/share/a%20b%25%0A",
    "put 0000 a%20b:%FF 1 -9223372036854775807 " D1 " ...",
    "patch 0755 - 12 -1 " D1 " " D2 " 1 bin/x",
    "patch 0755 - 12 1700000000123456789 " D1 " " D2 " 9223372036854775807 x",
    "copy 0644 - 7 5 " D1 " old from/here to",
    "copy 0644 - 7 5 " D1 " new old new",
    "link - 1 ../../etc/passwd l",
    "link u:g -5 %0A%FF l",
    "directory 1777 - 0 tmp",
    "meta file 0600 u:g 1 f",
    "meta link 0000 u:g 1 f",
    "meta directory 0700 - 1 f",
    "delete file f",
    "delete link f",
    "delete directory f/g",
};

Test(changes, every_line_comes_back_byte_for_byte)
{
	static struct change c;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		OWNED(buf_clear) struct buf b = BUF_INIT;
		struct err err = {0};

		memset(&c, 0xaa, sizeof(c));
		cr_assert_eq(change_parse(bytes_of(good[i]), &c, &err), 0, "%s: %s", good[i],
			     err.text);
		cr_assert_eq(change_format(&c, &b, &err), 0, "%s: %s", good[i], err.text);
		cr_expect_eq(b.p[b.n - 1], '\n');
		b.p[b.n - 1] = '\0';
		cr_expect_str_eq((char *)b.p, good[i]);
	}
}

Test(changes, the_fields_are_what_the_line_says)
{
	static struct change c;

	memset(&c, 0xaa, sizeof(c));
	cr_assert_eq(change_parse(bytes_of(good[3]), &c, ERR_IGNORED), 0);
	cr_expect_eq(c.op, CHANGE_PATCH);
	cr_expect_eq(c.kind, ENTRY_FILE);
	cr_expect_eq(c.mode, 0755);
	cr_expect_str_eq(c.owner, "-");
	cr_expect_eq(c.size, 12);
	cr_expect_eq(c.mtime, -1);
	cr_expect_eq(c.digest.b[0], 0x0e);
	cr_expect_eq(c.digest.b[31], 0xa8);
	cr_expect_eq(c.old.b[0], 0xfe);
	cr_expect_eq(c.old.b[31], 0x10);
	cr_expect_eq(c.patch, 1);
	cr_expect_str_eq(c.path, "bin/x");
	cr_expect_str_eq(c.source, "");
	cr_expect_str_eq(c.target, "");
	cr_assert_eq(change_parse(bytes_of(good[2]), &c, ERR_IGNORED), 0);
	cr_expect_str_eq(c.owner, "a b:\xff");
	cr_expect_eq(c.patch, 0, "nothing is left of the line before");
	cr_assert_eq(change_parse(bytes_of(good[6]), &c, ERR_IGNORED), 0);
	cr_expect(c.source_new);
	cr_expect_str_eq(c.source, "old");
	cr_expect_str_eq(c.path, "new");
	cr_assert_eq(change_parse(bytes_of(good[8]), &c, ERR_IGNORED), 0);
	cr_expect_eq(c.kind, ENTRY_LINK);
	cr_expect_str_eq(c.target, "\n\xff");
	cr_assert_eq(change_parse(bytes_of(good[15]), &c, ERR_IGNORED), 0);
	cr_expect_eq(c.op, CHANGE_DELETE);
	cr_expect_eq(c.kind, ENTRY_DIRECTORY);
	cr_expect_eq(c.mode, 0);
}

static const struct {
	const char *descr;
	const char *line;
	int rc;
} bad[] = {
    {"nothing", "", RC_MALFORMED},
    {"unknown operation", "rename a b", RC_MALFORMED},
    {"upper case", "PUT 0644 - 0 0 " D1 " a", RC_MALFORMED},
    {"operation alone", "delete", RC_MALFORMED},
    {"two blanks", "delete  file a", RC_MALFORMED},
    {"blank at the end", "delete file a ", RC_MALFORMED},
    {"blank before", " delete file a", RC_MALFORMED},
    {"tab", "delete\tfile a", RC_MALFORMED},
    {"CR", "delete file a\r", RC_MALFORMED},
    {"no path", "delete file ", RC_PATH},
    {"no kind", "delete a", RC_MALFORMED},
    {"unknown kind", "delete fifo a", RC_MALFORMED},
    {"two paths", "delete file a b", RC_MALFORMED},
    {"absolute", "delete file /a", RC_PATH},
    {"upwards", "delete file a/../../b", RC_PATH},
    {"upwards in a source", "copy 0644 - 7 5 " D1 " old ../x to", RC_PATH},
    {"encoded letter", "delete file %61", RC_MALFORMED},
    {"encoded slash", "delete file a%2Fb", RC_MALFORMED},
    {"NUL in a path", "delete file a%00", RC_MALFORMED},
    {"three digits of mode", "directory 755 - 0 a", RC_MALFORMED},
    {"five digits of mode", "directory 00755 - 0 a", RC_MALFORMED},
    {"mode with 8", "directory 0785 - 0 a", RC_MALFORMED},
    {"mode above permissions", "directory 10000 - 0 a", RC_MALFORMED},
    {"link with a mode", "meta link 0777 - 0 a", RC_MALFORMED},
    {"empty owner", "directory 0755  0 a", RC_MALFORMED},
    {"owner without group", "directory 0755 root 0 a", RC_MALFORMED},
    {"owner with empty group", "directory 0755 root: 0 a", RC_MALFORMED},
    {"owner with empty user", "directory 0755 :root 0 a", RC_MALFORMED},
    {"owner with three parts", "directory 0755 a:b:c 0 a", RC_MALFORMED},
    {"time -0", "directory 0755 - -0 a", RC_MALFORMED},
    {"time with +", "directory 0755 - +1 a", RC_MALFORMED},
    {"time with a zero", "directory 0755 - 01 a", RC_MALFORMED},
    {"time too late", "directory 0755 - 9223372036854775808 a", RC_LIMIT},
    {"time too early", "directory 0755 - -9223372036854775808 a", RC_LIMIT},
    {"time with a fraction", "directory 0755 - 1.5 a", RC_MALFORMED},
    {"negative size", "put 0644 - -1 0 " D1 " a", RC_MALFORMED},
    {"size above 63 bits", "put 0644 - 9223372036854775808 0 " D1 " a", RC_LIMIT},
    {"size above 64 bits", "put 0644 - 18446744073709551616 0 " D1 " a", RC_LIMIT},
    {"no size", "put 0644 - 0 " D1 " a", RC_MALFORMED},
    {"short digest", "put 0644 - 0 0 0e57 a", RC_MALFORMED},
    {"long digest", "put 0644 - 0 0 " D1 "0 a", RC_MALFORMED},
    {"digest with upper case", "put 0644 - 0 0 0E" D1 " a", RC_MALFORMED},
    {"patch 0", "patch 0755 - 12 -1 " D1 " " D2 " 0 x", RC_MALFORMED},
    {"patch without number", "patch 0755 - 12 -1 " D1 " " D2 " x", RC_MALFORMED},
    {"copy from nowhere", "copy 0644 - 7 5 " D1 " a b", RC_MALFORMED},
    {"copy from both", "copy 0644 - 7 5 " D1 " both a b", RC_MALFORMED},
    {"link without target", "link - 1  l", RC_PATH},
    {"link with NUL", "link - 1 %00 l", RC_MALFORMED},
};

Test(changes, every_other_form_is_refused_with_a_sentence)
{
	static struct change c;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		cr_expect_eq(change_parse(bytes_of(bad[i].line), &c, &err), bad[i].rc, "%s: %s",
			     bad[i].descr, err.text);
		cr_expect(err.text[0] != '\0', "%s", bad[i].descr);
		cr_expect_eq(change_parse(bytes_of(bad[i].line), &c, ERR_IGNORED), bad[i].rc, "%s",
			     bad[i].descr);
	}
}

Test(changes, no_digit_of_a_digest_may_be_another_byte)
{
	static struct change c;
	char line[] = "put 0644 - 0 0 " D1 " a";
	char *digest = strstr(line, D1);

	for (size_t i = 0; i < DIGEST_HEX; i++)
		for (int byte = 0; byte < 256; byte++) {
			char was = digest[i];
			bool digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
			int rc;

			digest[i] = (char)byte;
			rc = change_parse((struct bytes){(uint8_t *)line, sizeof(line) - 1}, &c,
					  ERR_IGNORED);
			cr_expect_eq(rc == 0, digit, "byte %d at %zu", byte, i);
			digest[i] = was;
		}
}

/* ${before}, ${n} times ${unit}, ${after} */
static char *line_of(const char *before, const char *unit, size_t n, const char *after)
{
	char *s = malloc(strlen(before) + n * strlen(unit) + strlen(after) + 1);

	strcpy(s, before);
	for (size_t i = 0; i < n; i++)
		strcat(s, unit);
	strcat(s, after);
	return s;
}

static int parse_of(const char *before, const char *unit, size_t n, const char *after)
{
	static struct change c;
	char *line = line_of(before, unit, n, after);
	int rc = change_parse(bytes_of(line), &c, ERR_IGNORED);

	free(line);
	return rc;
}

Test(changes, lengths_end_where_the_format_says)
{
	cr_expect_eq(parse_of("link - 1 ", "t", 4095, " l"), 0);
	cr_expect_eq(parse_of("link - 1 ", "t", 4096, " l"), RC_PATH);
	cr_expect_eq(parse_of("link - 1 ", "%FF", 4095, " l"), 0);
	cr_expect_eq(parse_of("link - 1 ", "t", 5000, " l"), RC_PATH);
	cr_expect_eq(parse_of("directory 0755 ", "u", 64, ":g 0 a"), 0);
	cr_expect_eq(parse_of("directory 0755 ", "u", 65, ":g 0 a"), RC_LIMIT);
	cr_expect_eq(parse_of("directory 0755 u:", "g", 64, " 0 a"), 0);
	cr_expect_eq(parse_of("directory 0755 u:", "g", 65, " 0 a"), RC_LIMIT);
	cr_expect_eq(parse_of("directory 0755 u:", "g", 500, " 0 a"), RC_LIMIT);
	cr_expect_eq(parse_of("delete file ", "aa/", 1365, "a"), RC_PATH, "too deep");
	cr_expect_eq(parse_of("delete file ", "a", 255, ""), 0);
	cr_expect_eq(parse_of("delete file ", "a", 256, ""), RC_PATH);
	cr_expect_eq(parse_of("delete file ", "a", 30000, ""), RC_LIMIT);
}

Test(changes, the_longest_line_fits_the_limit)
{
	static struct change c = {.op = CHANGE_COPY, .kind = ENTRY_FILE, .mode = 07777};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	memset(c.owner, 1, 129);
	c.owner[64] = ':';
	c.size = INT64_MAX;
	c.mtime = -INT64_MAX;
	memset(c.path, 1, LIMIT_PATH);
	for (size_t i = 255; i < LIMIT_PATH; i += 256)
		c.path[i] = '/';
	c.path[LIMIT_PATH - 1] = 1;
	c.path[LIMIT_PATH - 2] = '/';
	memcpy(c.source, c.path, sizeof(c.source));
	cr_assert_eq(change_format(&c, &b, &err), 0, "%s", err.text);
	cr_expect_leq(b.n - 1, LIMIT_CHANGE_LINE);
	b.n--;
	cr_expect_eq(change_parse(bytes_in(&b), &c, &err), 0, "%s", err.text);
}

Test(changes, what_a_reader_would_refuse_is_not_written)
{
	static struct change c;
	OWNED(buf_clear) struct buf b = BUF_INIT;

#define REFUSED(line, field, value)                                              \
	do {                                                                     \
		cr_assert_eq(change_parse(bytes_of(line), &c, ERR_IGNORED), 0);  \
		c.field = value;                                                 \
		cr_expect_lt(change_format(&c, &b, ERR_IGNORED), 0, "%s", line); \
		cr_expect_eq(b.n, 3);                                            \
	} while (0)
	cr_assert_eq(buf_text(&b, "abc", ERR_IGNORED), 0);
	REFUSED(good[0], path[0], '/');
	REFUSED(good[0], path[0], '\0');
	REFUSED(good[0], mode, 010000);
	REFUSED(good[0], owner[0], 'x');
	REFUSED(good[0], size, (uint64_t)INT64_MAX + 1);
	REFUSED(good[0], mtime, INT64_MIN);
	REFUSED(good[0], kind, ENTRY_DIRECTORY);
	REFUSED(good[0], op, CHANGE_OPS);
	REFUSED(good[3], patch, 0);
	REFUSED(good[5], source[0], '\0');
	REFUSED(good[7], target[0], '\0');
	REFUSED(good[10], kind, 'x');
	cr_expect_str_eq((char *)b.p, "abc");
}

Test(changes, a_link_has_no_mode_whatever_the_file_system_said)
{
	static struct change c = {
	    .op = CHANGE_META, .kind = ENTRY_LINK, .mode = 0777, .owner = "-", .path = "l"};
	OWNED(buf_clear) struct buf b = BUF_INIT;

	cr_assert_eq(change_format(&c, &b, ERR_IGNORED), 0);
	cr_expect_str_eq((char *)b.p, "meta link 0000 - 0 l\n");
}

/* The reader */

struct seen {
	size_t n;
	char paths[1024];
	int stop_at; /* line at which ${each} gives up; 0: never */
};

static int see(void *arg, const struct change *c, struct err *err)
{
	struct seen *s = arg;

	if (++s->n == (size_t)s->stop_at)
		return err_set(err, RC_CONFLICT, "enough");
	strcat(strcat(s->paths, c->path), ",");
	return 0;
}

static int read_all(const char *text, size_t piece, struct seen *s, struct err *err)
{
	OWNED(changes_reader_freep) struct changes_reader *r = NULL;
	size_t n = strlen(text);

	cr_assert_eq(changes_reader_new(see, s, &r, err), 0);
	for (size_t at = 0; at < n; at += piece) {
		size_t more = n - at < piece ? n - at : piece;
		/* Its own memory, so that a sanitizer sees any look past the piece. */
		uint8_t *copy = malloc(more);
		int rc;

		memcpy(copy, text + at, more);
		rc = changes_add_bytes(r, (struct bytes){copy, more}, err);
		free(copy);
		if (rc < 0) {
			cr_expect_eq(
			    changes_add_bytes(r, bytes_of("delete file zzzz\n"), ERR_IGNORED), rc,
			    "what failed stays failed");
			cr_expect_eq(changes_end(r, ERR_IGNORED), rc);
			return rc;
		}
	}
	return changes_end(r, err);
}

Test(changes, pieces_of_any_size_give_the_same_lines)
{
	static const char list[] = "put 0644 - 3 0 " D1 " a\n"
				   "directory 0755 - 0 b\n"
				   "patch 0644 - 3 0 " D1 " " D2 " 1 b/c\n"
				   "delete directory b/d\n"
				   "delete file b/d/e\n"
				   "patch 0644 - 3 0 " D1 " " D2 " 2 b/f\n"
				   "link - 0 x b-\n";

	for (size_t piece = 1; piece <= sizeof(list); piece++) {
		struct seen s = {0};
		struct err err = {0};

		cr_assert_eq(read_all(list, piece, &s, &err), 0, "%s", err.text);
		cr_expect_str_eq(s.paths, "a,b,b/c,b/d,b/d/e,b/f,b-,");
	}
}

static const struct {
	const char *descr;
	const char *text;
	int rc;
	const char *says;
} lists[] = {
    {"an empty list", "", 0, ""},
    {"no newline at the end", "delete file a", RC_MALFORMED, "line 1: it has no end"},
    {"an empty line", "delete file a\n\n", RC_MALFORMED, "line 2"},
    {"a path twice", "delete file a\nput 0644 - 0 0 " D1 " a\n", RC_MALFORMED, "line 2"},
    {"wrong order", "delete file b\ndelete file a\n", RC_MALFORMED, "\"a\" must come before \"b\""},
    {"order of whole strings", "delete file a-\ndelete file a/b\n", RC_MALFORMED,
     "must come before"},
    {"a parent after its child", "delete file a/b\ndelete directory a\n", RC_MALFORMED, "before"},
    {"a file below a file", "put 0644 - 0 0 " D1 " a\nput 0644 - 0 0 " D1 " a/b\n", RC_MALFORMED,
     "not a directory afterwards"},
    {"a file below a new link", "link - 0 /etc a\nput 0644 - 0 0 " D1 " a/passwd\n", RC_MALFORMED,
     "\"a/passwd\" lies below \"a\""},
    {"a file far below a copy",
     "copy 0644 - 0 0 " D1 " old x a\ndelete directory a/b\n"
     "delete file a/b/c\nmeta file 0644 - 0 a/b/d\n",
     RC_MALFORMED, "line 4"},
    {"a file below a deleted directory", "delete directory a\nput 0644 - 0 0 " D1 " a/b\n",
     RC_MALFORMED, "not a directory afterwards"},
    {"something deleted below a deleted file", "delete file a\ndelete file a/b\n", RC_MALFORMED,
     "not a directory"},
    {"something deleted below a deleted link far below",
     "delete directory a\ndelete link a/b\ndelete file a/b/c/d\n", RC_MALFORMED, "not a directory"},
    {"something deleted below a file that stays", "meta file 0644 - 0 a\ndelete file a/b\n",
     RC_MALFORMED, "not a directory"},
    {"a file in the place of a directory",
     "put 0644 - 0 0 " D1 " a\ndelete file a/b\n"
     "delete directory a/c\ndelete file a/c/d\n",
     0, ""},
    {"a file beside a deleted directory",
     "delete directory a\ndelete file a/b\n"
     "put 0644 - 0 0 " D1 " a!\nput 0644 - 0 0 " D1 " b/c\n",
     0, ""},
    {"files below a directory with new metadata",
     "meta directory 0755 - 0 a\nput 0644 - 0 0 " D1 " a/b\n", 0, ""},
    {"patches out of order", "patch 0644 - 0 0 " D1 " " D2 " 2 a\n", RC_MALFORMED,
     "patch number 2 where 1 is expected"},
    {"one patch twice", "patch 0644 - 0 0 " D1 " " D2 " 1 a\npatch 0644 - 0 0 " D1 " " D2 " 1 b\n",
     RC_MALFORMED, "patch number 1 where 2 is expected"},
};

Test(changes, lists_that_contradict_themselves_are_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t piece = 1; piece < 100; piece += 33) {
			struct seen s = {0};
			struct err err = {0};

			cr_expect_eq(read_all(lists[i].text, piece, &s, &err), lists[i].rc,
				     "%s: %s", lists[i].descr, err.text);
			cr_expect(strstr(err.text, lists[i].says) != NULL, "%s: %s", lists[i].descr,
				  err.text);
		}
}

Test(changes, the_end_comes_when_the_caller_has_enough)
{
	struct seen s = {.stop_at = 2};
	struct err err = {0};

	cr_expect_eq(read_all("delete file a\ndelete file b\ndelete file c\n", 100, &s, &err),
		     RC_CONFLICT);
	cr_expect_eq(s.n, 2);
	cr_expect_str_eq(err.text, "enough");
}

Test(changes, a_line_that_never_ends_is_refused_in_bounded_memory)
{
	OWNED(changes_reader_freep) struct changes_reader *r = NULL;
	struct seen s = {0};
	struct err err = {0};
	char piece[1000];
	size_t fed = 0;
	int rc = 0;

	memset(piece, 'x', sizeof(piece));
	cr_assert_eq(changes_reader_new(see, &s, &r, &err), 0);
	while (rc == 0 && fed < 10 * LIMIT_CHANGE_LINE) {
		rc = changes_add_bytes(r, (struct bytes){(uint8_t *)piece, sizeof(piece)}, &err);
		fed += sizeof(piece);
	}
	cr_expect_eq(rc, RC_LIMIT);
	cr_expect_leq(fed, LIMIT_CHANGE_LINE + sizeof(piece));
}
