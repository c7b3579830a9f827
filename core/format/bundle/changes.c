/* SPDX-License-Identifier: ISC */
/*
 * Lines of the list of changes, written, read and checked for their order.  The order makes the
 * list safe to follow as it comes: a directory stands before what it holds, no path comes twice,
 * and nothing can lie below what is a file or a link afterwards.
 */
#include "core/format/bundle/changes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"

/*
 * Lists of a hundred million lines are read and written, so nothing here formats or scans with
 * stdio, and a struct change (12 KiB) is neither cleared nor copied: only its fields are set.
 */

const char *const change_names[CHANGE_OPS] = {"put",       "patch", "copy",  "link",
					      "directory", "meta",  "delete"};

#define OWNER_NAME_MAX 64 /* of a user or a group: useradd's limit is 32 */

static const struct kind_row {
	enum entry_kind kind;
	const char *name;
} kind_rows[] = {{ENTRY_FILE, "file"}, {ENTRY_LINK, "link"}, {ENTRY_DIRECTORY, "directory"}};

/* Kinds that an operation leaves at its path; 0: the line says it. */
static const int op_kind[CHANGE_OPS] = {
    [CHANGE_PUT] = ENTRY_FILE,  [CHANGE_PATCH] = ENTRY_FILE,          [CHANGE_COPY] = ENTRY_FILE,
    [CHANGE_LINK] = ENTRY_LINK, [CHANGE_DIRECTORY] = ENTRY_DIRECTORY,
};

static bool has_content(enum change_op op)
{
	return op == CHANGE_PUT || op == CHANGE_PATCH || op == CHANGE_COPY;
}

static int owner_check(const char *owner, struct err *err)
{
	const char *colon = strchr(owner, ':');
	size_t user, group;

	if (strcmp(owner, "-") == 0)
		return 0;
	if (colon == NULL)
		return err_set(err, RC_MALFORMED, "owner \"%.80s\" is neither - nor user:group",
			       owner);
	user = (size_t)(colon - owner);
	group = strlen(colon + 1);
	if (user == 0 || group == 0 || strchr(colon + 1, ':') != NULL)
		return err_set(err, RC_MALFORMED, "owner \"%.80s\" is neither - nor user:group",
			       owner);
	if (user > OWNER_NAME_MAX || group > OWNER_NAME_MAX)
		return err_set(err, RC_LIMIT, "owner \"%.80s\" has a name of more than %d bytes",
			       owner, OWNER_NAME_MAX);
	return 0;
}

/* Writing: the short fields go into one small array, then the paths after it. */

struct change_line {
	char text[1024]; /* no operation's short fields take more than 800 bytes */
	size_t n;
};

static void line_text(struct change_line *l, const char *text)
{
	size_t n = strlen(text);

	memcpy(l->text + l->n, text, n);
	l->n += n;
	l->text[l->n++] = ' ';
}

static void line_u64(struct change_line *l, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do
		digits[--n] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	memcpy(l->text + l->n, digits + n, sizeof(digits) - n);
	l->n += sizeof(digits) - n;
	l->text[l->n++] = ' ';
}

static void line_i64(struct change_line *l, int64_t v)
{
	if (v < 0)
		l->text[l->n++] = '-';
	line_u64(l, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void line_mode(struct change_line *l, unsigned mode)
{
	for (int shift = 9; shift >= 0; shift -= 3)
		l->text[l->n++] = (char)('0' + (mode >> shift & 7));
	l->text[l->n++] = ' ';
}

static void line_digest(struct change_line *l, const struct digest *d)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		l->text[l->n++] = digits[d->b[i] >> 4];
		l->text[l->n++] = digits[d->b[i] & 15];
	}
	l->text[l->n++] = ' ';
}

static int line_owner(struct change_line *l, const char *owner, struct err *err)
{
	OWNED(buf_clear) struct buf encoded = BUF_INIT;
	int rc;

	if (owner[0] == '-' && owner[1] == '\0') {
		line_text(l, owner);
		return 0;
	}
	rc = text_encode(owner, &encoded, err);
	if (rc < 0)
		return rc;
	line_text(l, (const char *)encoded.p);
	return 0;
}

static const char *kind_name(enum entry_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kind_rows); i++)
		if (kind_rows[i].kind == kind)
			return kind_rows[i].name;
	return NULL;
}

static int link_check(const char *target, struct err *err)
{
	size_t n = strnlen(target, LIMIT_LINK);

	if (n == 0)
		return err_set(err, RC_PATH, "a link without a target");
	if (n >= LIMIT_LINK)
		return err_set(err, RC_PATH, "a link's target of more than %d bytes",
			       LIMIT_LINK - 1);
	return 0;
}

/* What the reader would refuse is not written. */
static int change_check(const struct change *c, struct err *err)
{
	int rc = path_check(c->path, err);

	if (rc < 0)
		return rc;
	if ((unsigned)c->op >= CHANGE_OPS)
		return err_set(err, RC_INTERNAL, "operation %d is not one of a change", (int)c->op);
	if (op_kind[c->op] != 0 ? (int)c->kind != op_kind[c->op] : kind_name(c->kind) == NULL)
		return err_set(err, RC_INTERNAL, "kind %d is not possible in a change \"%s\"",
			       (int)c->kind, change_names[c->op]);
	if (c->op == CHANGE_DELETE)
		return 0;
	if (c->mode > 07777)
		return err_set(err, RC_INTERNAL, "mode %o holds more than permissions", c->mode);
	if (c->mtime == INT64_MIN)
		return err_set(err, RC_LIMIT, "a time that 63 bits of nanoseconds do not hold");
	if (has_content(c->op) && c->size > INT64_MAX)
		return err_set(err, RC_LIMIT, "a size that no file can have");
	if (c->op == CHANGE_PATCH && c->patch == 0)
		return err_set(err, RC_INTERNAL, "a patch without its number");
	if (c->op == CHANGE_COPY && (rc = path_check(c->source, err)) < 0)
		return rc;
	if (c->op == CHANGE_LINK && (rc = link_check(c->target, err)) < 0)
		return rc;
	return owner_check(c->owner, err);
}

static int line_fill(struct change_line *l, const struct change *c, struct err *err)
{
	int rc;

	line_text(l, change_names[c->op]);
	if (op_kind[c->op] == 0)
		line_text(l, kind_name(c->kind));
	if (c->op == CHANGE_DELETE)
		return 0;
	if (c->op != CHANGE_LINK)
		line_mode(l, c->kind == ENTRY_LINK ? 0 : c->mode);
	rc = line_owner(l, c->owner, err);
	if (rc < 0)
		return rc;
	if (has_content(c->op))
		line_u64(l, c->size);
	line_i64(l, c->mtime);
	if (has_content(c->op))
		line_digest(l, &c->digest);
	if (c->op == CHANGE_PATCH) {
		line_digest(l, &c->old);
		line_u64(l, c->patch);
	}
	if (c->op == CHANGE_COPY)
		line_text(l, c->source_new ? "new" : "old");
	return 0;
}

static int line_append(const struct change *c, struct buf *ret, struct err *err)
{
	struct change_line l;
	int rc;

	l.n = 0;
	rc = line_fill(&l, c, err);
	if (rc < 0 || (rc = buf_add(ret, l.text, l.n, err)) < 0)
		return rc;
	if (c->op == CHANGE_COPY || c->op == CHANGE_LINK) {
		rc = text_encode(c->op == CHANGE_COPY ? c->source : c->target, ret, err);
		if (rc < 0 || (rc = buf_add(ret, " ", 1, err)) < 0)
			return rc;
	}
	rc = text_encode(c->path, ret, err);
	if (rc < 0)
		return rc;
	return buf_add(ret, "\n", 1, err);
}

int change_format(const struct change *c, struct buf *ret, struct err *err)
{
	size_t before = ret->n;
	int rc = change_check(c, err);

	if (rc < 0)
		return rc;
	rc = line_append(c, ret, err);
	if (rc < 0 && ret->p != NULL) {
		ret->n = before;
		ret->p[before] = '\0';
	}
	return rc;
}

/* Reading: fields are taken off the front of the line; what is left at last is the path. */

static int take(struct bytes *line, const char *what, struct bytes *ret, struct err *err)
{
	const uint8_t *space = line->n > 0 ? memchr(line->p, ' ', line->n) : NULL;

	if (space == NULL)
		return err_set(err, RC_MALFORMED, "the line ends before its %s", what);
	ret->p = line->p;
	ret->n = (size_t)(space - line->p);
	line->p = space + 1;
	line->n -= ret->n + 1;
	return 0;
}

static bool is_word(struct bytes field, const char *word)
{
	size_t n = strlen(word);

	return field.n == n && memcmp(field.p, word, n) == 0;
}

static int take_op(struct bytes *line, enum change_op *ret, struct err *err)
{
	struct bytes f = {NULL, 0};
	int rc = take(line, "operation", &f, err);

	if (rc < 0)
		return rc;
	for (int op = 0; op < CHANGE_OPS; op++)
		if (is_word(f, change_names[op])) {
			*ret = (enum change_op)op;
			return 0;
		}
	return err_set(err, RC_MALFORMED, "\"%.*s\" is not an operation of this format",
		       (int)(f.n < 40 ? f.n : 40), (const char *)f.p);
}

static int take_kind(struct bytes *line, enum entry_kind *ret, struct err *err)
{
	struct bytes f = {NULL, 0};
	int rc = take(line, "kind", &f, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(kind_rows); i++)
		if (is_word(f, kind_rows[i].name)) {
			*ret = kind_rows[i].kind;
			return 0;
		}
	return err_set(err, RC_MALFORMED, "the kind is not file, link or directory");
}

static int take_mode(struct bytes *line, uint16_t *ret, struct err *err)
{
	struct bytes f = {NULL, 0};
	unsigned mode = 0;
	int rc = take(line, "mode", &f, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < f.n && f.n == 4; i++) {
		if (f.p[i] < '0' || f.p[i] > '7')
			return err_set(err, RC_MALFORMED, "the mode is not four octal digits");
		mode = mode << 3 | (unsigned)(f.p[i] - '0');
	}
	if (f.n != 4)
		return err_set(err, RC_MALFORMED, "the mode is not four octal digits");
	*ret = (uint16_t)mode;
	return 0;
}

static int take_owner(struct bytes *line, char ret[OWNER_MAX], struct err *err)
{
	struct bytes f = {NULL, 0};
	int rc = take(line, "owner", &f, err);

	if (rc < 0)
		return rc;
	rc = text_decode(f, ret, OWNER_MAX, err);
	if (rc == RC_PATH)
		return err_set(err, RC_LIMIT, "the owner has a name of more than %d bytes",
			       OWNER_NAME_MAX);
	return rc < 0 ? rc : owner_check(ret, err);
}

static int take_number(struct bytes *line, const char *what, uint64_t *ret, struct err *err)
{
	struct bytes f = {NULL, 0};
	int rc = take(line, what, &f, err);

	if (rc < 0)
		return rc;
	rc = number_u64((const char *)f.p, f.n, INT64_MAX, ret, err);
	return rc < 0 ? err_prefix(err, "the %s", what) : rc;
}

static int take_mtime(struct bytes *line, int64_t *ret, struct err *err)
{
	struct bytes f = {NULL, 0};
	int rc = take(line, "time", &f, err);

	if (rc < 0)
		return rc;
	rc = number_i64((const char *)f.p, f.n, ret, err);
	return rc < 0 ? err_prefix(err, "the time") : rc;
}

/* The value of each lower-case hexadecimal digit plus one; 0: no digit. */
static const uint8_t hex_plus_one[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* Not hex_decode: that one is for secrets too, takes its time, and wants a NUL. */
static int take_digest(struct bytes *line, struct digest *ret, struct err *err)
{
	struct bytes f = {NULL, 0};
	bool good = true;
	int rc = take(line, "digest", &f, err);

	if (rc < 0)
		return rc;
	if (f.n != DIGEST_HEX)
		return err_set(err, RC_MALFORMED, "the digest is not %d hexadecimal digits",
			       DIGEST_HEX);
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		unsigned high = hex_plus_one[f.p[2 * i]], low = hex_plus_one[f.p[2 * i + 1]];

		good &= high != 0 && low != 0;
		ret->b[i] = (uint8_t)((high - 1) << 4 | ((low - 1) & 15));
	}
	if (!good)
		return err_set(err, RC_MALFORMED,
			       "the digest is not %d lower-case hexadecimal digits", DIGEST_HEX);
	return 0;
}

static int take_source(struct bytes *line, struct change *ret, struct err *err)
{
	struct bytes f = {NULL, 0};
	int rc = take(line, "old or new", &f, err);

	if (rc < 0)
		return rc;
	if (!is_word(f, "old") && !is_word(f, "new"))
		return err_set(err, RC_MALFORMED, "the source is neither old nor new");
	ret->source_new = f.p[0] == 'n';
	rc = take(line, "source", &f, err);
	if (rc < 0 || (rc = text_decode(f, ret->source, sizeof(ret->source), err)) < 0)
		return rc;
	return path_check(ret->source, err);
}

static int take_target(struct bytes *line, char ret[LIMIT_LINK + 1], struct err *err)
{
	struct bytes f = {NULL, 0};
	int rc = take(line, "target", &f, err);

	if (rc < 0 || (rc = text_decode(f, ret, LIMIT_LINK + 1, err)) < 0)
		return rc;
	return link_check(ret, err);
}

/* The fields of files: size before the time, the digest and its kin after it. */
static int take_content(struct bytes *line, struct change *ret, struct err *err)
{
	int rc = take_digest(line, &ret->digest, err);

	if (rc == 0 && ret->op == CHANGE_PATCH)
		rc = take_digest(line, &ret->old, err);
	if (rc == 0 && ret->op == CHANGE_PATCH)
		rc = take_number(line, "patch number", &ret->patch, err);
	if (rc == 0 && ret->op == CHANGE_PATCH && ret->patch == 0)
		return err_set(err, RC_MALFORMED, "patches count from 1");
	if (rc == 0 && ret->op == CHANGE_COPY)
		rc = take_source(line, ret, err);
	return rc;
}

static int take_attributes(struct bytes *line, struct change *ret, struct err *err)
{
	int rc = 0;

	if (ret->op != CHANGE_LINK)
		rc = take_mode(line, &ret->mode, err);
	if (rc == 0 && ret->kind == ENTRY_LINK && ret->mode != 0)
		return err_set(err, RC_MALFORMED, "the mode of a link is 0000");
	if (rc == 0)
		rc = take_owner(line, ret->owner, err);
	if (rc == 0 && has_content(ret->op))
		rc = take_number(line, "size", &ret->size, err);
	if (rc == 0)
		rc = take_mtime(line, &ret->mtime, err);
	if (rc == 0 && has_content(ret->op))
		rc = take_content(line, ret, err);
	if (rc == 0 && ret->op == CHANGE_LINK)
		rc = take_target(line, ret->target, err);
	return rc;
}

/* Everything that a line may leave out gets a value, so that no reader sees the line before. */
static void change_start(struct change *c)
{
	c->mode = 0;
	c->owner[0] = '-';
	c->owner[1] = '\0';
	c->size = 0;
	c->mtime = 0;
	c->digest = (struct digest){{0}};
	c->old = (struct digest){{0}};
	c->patch = 0;
	c->source_new = false;
	c->source[0] = c->target[0] = c->path[0] = '\0';
}

int change_parse(struct bytes line, struct change *ret, struct err *err)
{
	int rc;

	if (line.n > LIMIT_CHANGE_LINE)
		return err_set(err, RC_LIMIT, "a change takes more than %u bytes",
			       LIMIT_CHANGE_LINE);
	change_start(ret);
	rc = take_op(&line, &ret->op, err);
	if (rc < 0)
		return rc;
	ret->kind = (enum entry_kind)op_kind[ret->op];
	if (op_kind[ret->op] == 0 && (rc = take_kind(&line, &ret->kind, err)) < 0)
		return rc;
	if (ret->op != CHANGE_DELETE && (rc = take_attributes(&line, ret, err)) < 0)
		return rc;
	rc = text_decode(line, ret->path, sizeof(ret->path), err);
	return rc < 0 ? rc : path_check(ret->path, err);
}

/*
 * The reader keeps the line before, for the order, and the start of a line whose end has not come
 * yet.  Below a path that ends as something else than a directory only deletions make sense; all
 * such lines follow it at once, so its length is all there is to remember.
 */
struct changes_reader {
	int (*each)(void *arg, const struct change *c, struct err *err);
	void *arg;            /* borrowed */
	struct change two[2]; /* the line at hand and the one before take turns */
	unsigned turn;
	uint64_t lines;
	uint64_t patches;
	size_t closed;   /* length of the path below which only deletions may come; 0: none */
	bool leaf;       /* the line before has nothing below it, on either side */
	int failed;      /* what ended it; 0 while all is well */
	struct buf part; /* owned; a line without its end */
};

int changes_reader_new(int (*each)(void *arg, const struct change *c, struct err *err), void *arg,
		       struct changes_reader **ret, struct err *err)
{
	struct changes_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_memory(err);
	r->each = each;
	r->arg = arg;
	*ret = r;
	return 0;
}

void changes_reader_freep(struct changes_reader **r)
{
	if (*r != NULL)
		buf_clear(&(*r)->part);
	free(*r);
	*r = NULL;
}

static int order_check(struct changes_reader *r, const struct change *before,
		       const struct change *c, struct err *err)
{
	size_t same = 0;
	bool below;

	while (before->path[same] == c->path[same] && c->path[same] != '\0')
		same++;
	if (r->lines > 0 && path_compare(before->path + same, c->path + same) >= 0)
		return err_set(err, RC_MALFORMED, "\"%.200s\" %s \"%.200s\"", c->path,
			       before->path[same] == c->path[same] ? "comes again after"
								   : "must come before",
			       before->path);
	below = r->lines > 0 && before->path[same] == '\0' && c->path[same] == '/';
	if (below && r->leaf)
		return err_set(err, RC_MALFORMED,
			       "\"%.200s\" lies below a path that is not a directory", c->path);
	if (r->closed > 0 && (same < r->closed || c->path[r->closed] != '/'))
		r->closed = 0;
	if (r->closed > 0 && c->op != CHANGE_DELETE)
		return err_set(err, RC_MALFORMED,
			       "\"%.200s\" lies below \"%.*s\", which is not a directory "
			       "afterwards",
			       c->path, (int)(r->closed < 200 ? r->closed : 200), c->path);
	return 0;
}

static int reader_line(struct changes_reader *r, struct bytes line, struct err *err)
{
	const struct change *before = &r->two[r->turn];
	struct change *c = &r->two[r->turn ^ 1];
	int rc = change_parse(line, c, err);

	if (rc == 0)
		rc = order_check(r, before, c, err);
	if (rc == 0 && r->lines >= LIMIT_ENTRIES)
		rc = err_set(err, RC_LIMIT, "more than %u changes", LIMIT_ENTRIES);
	if (rc == 0 && c->op == CHANGE_PATCH && c->patch != ++r->patches)
		rc = err_set(err, RC_MALFORMED,
			     "patch number %" PRIu64 " where %" PRIu64 " is expected", c->patch,
			     r->patches);
	if (rc < 0)
		return err_prefix(err, "changes, line %" PRIu64, r->lines + 1);
	r->leaf = c->kind != ENTRY_DIRECTORY && (c->op == CHANGE_DELETE || c->op == CHANGE_META);
	if (r->closed == 0 && (c->op == CHANGE_DELETE || c->kind != ENTRY_DIRECTORY))
		r->closed = strlen(c->path);
	r->turn ^= 1;
	r->lines++;
	return r->each(r->arg, c, err);
}

static int reader_piece(struct changes_reader *r, struct bytes in, struct err *err)
{
	while (in.n > 0) {
		const uint8_t *end = memchr(in.p, '\n', in.n);
		size_t n = end != NULL ? (size_t)(end - in.p) : in.n;
		int rc;

		if (r->part.n + n > LIMIT_CHANGE_LINE)
			return err_set(err, RC_LIMIT,
				       "changes, line %" PRIu64 ": more than %u bytes",
				       r->lines + 1, LIMIT_CHANGE_LINE);
		if (end == NULL)
			return buf_add(&r->part, in.p, n, err);
		if (r->part.n == 0) {
			rc = reader_line(r, (struct bytes){in.p, n}, err);
		} else {
			rc = buf_add(&r->part, in.p, n, err);
			if (rc == 0)
				rc = reader_line(r, bytes_in(&r->part), err);
			buf_reset(&r->part);
		}
		if (rc < 0)
			return rc;
		in.p += n + 1;
		in.n -= n + 1;
	}
	return 0;
}

int changes_add_bytes(struct changes_reader *r, struct bytes in, struct err *err)
{
	if (r->failed < 0)
		return err_set(err, r->failed, "the list of changes was refused before");
	r->failed = reader_piece(r, in, err);
	return r->failed;
}

int changes_end(struct changes_reader *r, struct err *err)
{
	if (r->failed < 0)
		return err_set(err, r->failed, "the list of changes was refused before");
	if (r->part.n > 0)
		return err_set(err, RC_MALFORMED, "changes, line %" PRIu64 ": it has no end",
			       r->lines + 1);
	return 0;
}
