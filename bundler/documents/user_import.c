/* SPDX-License-Identifier: ISC */
/*
 * Users from a spreadsheet, as a whole.  Rows are judged one by one and then all together, because
 * seats and groups are counted over all of them; the file is refused as a whole rather than left
 * half done, so a person can correct it and run it again.
 */
#include "bundler/documents/user_import.h"

#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/csv/csv.h"

#define BLANKS " \t\r\n"

enum column { EMAIL, NAME, GROUP, LICENCE, EXTRA, WITHHELD, STATE, COLUMNS };
static const char *const column_names[COLUMNS] = {
    "email", "name", "group", "licence", "extra-keys", "withheld-keys", "state",
};

/* A user as a row wants it. */
struct wanted_user {
	struct site_user u;       /* its texts are borrowed: from ${text}, and from the site */
	struct buf text;          /* owned */
	char **extra, **withheld; /* owned */
};

/* An e-mail address and the line that gives it. */
struct given {
	char *email; /* owned */
	unsigned line;
};

struct import {
	struct site *s;
	enum import_flags flags;
	size_t at[COLUMNS];            /* index of the column in a row; SIZE_MAX: it is not there */
	size_t fields;                 /* of every row */
	LIST(struct given) given;      /* ascending by address, then line */
	LIST(struct wanted_user) user; /* what is to be written */
	struct buf shown[COLUMNS][2];  /* owned: fields of the current row, before and after */
	void (*each)(void *arg, const struct import_row *row);
	void *arg;
	struct import_counts *counts;
};

static void wanted_clear(struct wanted_user *w)
{
	free(w->extra);
	free(w->withheld);
	buf_clear(&w->text);
}

static void import_clear(struct import *im)
{
	for (size_t i = 0; i < im->given.n; i++)
		free(im->given.items[i].email);
	for (size_t i = 0; i < im->user.n; i++)
		wanted_clear(&im->user.items[i]);
	for (size_t i = 0; i < COLUMNS; i++) {
		buf_clear(&im->shown[i][0]);
		buf_clear(&im->shown[i][1]);
	}
	list_clear(&im->given);
	list_clear(&im->user);
}

/* trim(text): without the blanks around it. */
static char *trim(char *text)
{
	size_t n;

	text += strspn(text, BLANKS);
	n = strlen(text);
	while (n > 0 && strchr(BLANKS, text[n - 1]) != NULL)
		text[--n] = '\0';
	return text;
}

/* The texts of a row are ours to cut up: they lie in its buffer. */
static char *cell(const struct import *im, const struct csv_row *row, enum column c)
{
	if (im->at[c] >= row->fields)
		return NULL;
	return trim((char *)(uintptr_t)row->field[im->at[c]]);
}

/* Domains have no case, and two mailboxes that differ in case only do not exist in practice. */
static char *email_of(const struct import *im, const struct csv_row *row)
{
	char *email = cell(im, row, EMAIL);

	for (char *p = email; p != NULL && *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	return email;
}

/* The first row */

static int column_take(struct import *im, const struct csv_row *row, size_t i, struct err *err)
{
	char *name = trim((char *)(uintptr_t)row->field[i]);

	for (size_t c = 0; c < COLUMNS; c++) {
		if (strcasecmp(name, column_names[c]) != 0)
			continue;
		if (im->at[c] != SIZE_MAX)
			return err_set(err, RC_MALFORMED, "line %u: the column %s is listed twice",
				       row->line, column_names[c]);
		im->at[c] = i;
		return 0;
	}
	return err_set(err, RC_MALFORMED,
		       "line %u: \"%s\" is none of the columns email, name, group, licence, "
		       "extra-keys, withheld-keys, state%s",
		       row->line, name,
		       strchr(name, ';') != NULL ? ": fields are separated by commas" : "");
}

static int heading_read(struct import *im, struct csv *c, struct csv_row *row, struct err *err)
{
	int rc = csv_next(c, row, err);

	for (size_t i = 0; i < COLUMNS; i++)
		im->at[i] = SIZE_MAX;
	if (rc == 0)
		return err_set(err, RC_MALFORMED,
			       "there is nothing in it: the first row names the columns");
	for (size_t i = 0; rc == 1 && i < row->fields; i++)
		rc = column_take(im, row, i, err) < 0 ? RC_MALFORMED : 1;
	if (rc < 0)
		return rc;
	im->fields = row->fields;
	if (im->at[EMAIL] == SIZE_MAX)
		return err_set(err, RC_MALFORMED, "line %u: there is no column email", row->line);
	return 0;
}

/* The first reading: which addresses there are, so that a second row for one is seen. */

static int by_address(const void *a, const void *b)
{
	const struct given *x = a, *y = b;
	int order = strcmp(x->email, y->email);

	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static int given_add(struct import *im, const struct csv_row *row, struct err *err)
{
	const char *email = email_of(im, row);
	struct given *g = list_add(&im->given, err);

	if (g == NULL)
		return err->rc;
	g->line = row->line;
	g->email = strdup(email != NULL ? email : "");
	return g->email == NULL ? err_memory(err) : 0;
}

static int addresses_read(struct import *im, struct bytes in, struct err *err)
{
	OWNED(csv_row_clear) struct csv_row row = {0};
	struct csv c;
	int rc;

	csv_init(&c, in);
	rc = heading_read(im, &c, &row, err);
	while (rc == 0 && (rc = csv_next(&c, &row, err)) == 1)
		rc = given_add(im, &row, err);
	if (rc == 0)
		list_sort(&im->given, by_address);
	return rc;
}

static int address_compare(const void *key, const void *item)
{
	return strcmp(key, ((const struct given *)item)->email);
}

/* first_line(im, email): of those that give it. */
static unsigned first_line(const struct import *im, const char *email)
{
	return im->given
	    .items[search_sorted(email, im->given.items, im->given.n, sizeof(*im->given.items),
				 address_compare, NULL)]
	    .line;
}

/* The second reading: row by row */

static int word_take(char dst[WORD_NAME], enum column c, const char *text, struct err *err)
{
	if (strlen(text) >= WORD_NAME)
		return err_set(err, RC_POLICY, "%s: a word of at most %d characters is expected",
			       column_names[c], WORD_NAME - 1);
	memcpy(dst, text, strlen(text) + 1);
	return 0;
}

static int state_take(bool *dst, const char *text, struct err *err)
{
	*dst = strcmp(text, "suspended") == 0;
	if (*dst || text[0] == '\0' || strcmp(text, "active") == 0)
		return 0;
	return err_set(err, RC_POLICY, "state: expected active or suspended, not \"%s\"", text);
}

/* keys_take(text, own, ret, ret_n, err): words with blanks between; ${own} keeps the list. */
static int keys_take(char *text, char ***own, char ***ret, size_t *ret_n, struct err *err)
{
	char *rest = NULL;

	/* Every word but the last has a blank behind it. */
	*own = calloc(strlen(text) / 2 + 1, sizeof(**own));
	if (*own == NULL)
		return err_memory(err);
	*ret = *own;
	*ret_n = 0;
	for (char *word = strtok_r(text, BLANKS, &rest); word != NULL;
	     word = strtok_r(NULL, BLANKS, &rest))
		(*own)[(*ret_n)++] = word;
	return 0;
}

static int column_use(struct wanted_user *w, enum column c, char *text, struct err *err)
{
	struct site_user *u = &w->u;

	switch (c) {
	case NAME:
		u->name = text[0] == '\0' ? NULL : text;
		return 0;
	case GROUP:
		return word_take(u->group, c, text, err);
	case LICENCE:
		return word_take(u->licence, c, text, err);
	case EXTRA:
		return keys_take(text, &w->extra, &u->extra, &u->extras, err);
	case WITHHELD:
		return keys_take(text, &w->withheld, &u->withheld, &u->withhelds, err);
	case STATE:
		return state_take(&u->suspended, text, err);
	default:
		return 0;
	}
}

static int keys_text(char *const *list, size_t n, struct buf *ret, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = buf_printf(ret, err, "%s%s", i > 0 ? " " : "", list[i]);
	return rc;
}

static int column_text(const struct site_user *u, enum column c, struct buf *ret, struct err *err)
{
	buf_reset(ret);
	switch (c) {
	case NAME:
		return buf_text(ret, u->name != NULL ? u->name : "", err);
	case GROUP:
		return buf_text(ret, u->group, err);
	case LICENCE:
		return buf_text(ret, u->licence, err);
	case EXTRA:
		return keys_text(u->extra, u->extras, ret, err);
	case WITHHELD:
		return keys_text(u->withheld, u->withhelds, ret, err);
	case STATE:
		return buf_text(ret, u->suspended ? "suspended" : "active", err);
	default:
		return 0;
	}
}

static const char *shown_text(const struct buf *b)
{
	return b->n == 0 ? "" : (const char *)b->p;
}

/* changes_find(...): what is different; what a new user gets is what differs from one without
 * anything. */
static int changes_find(struct import *im, const struct site_user *old, const struct site_user *now,
			struct import_change change[COLUMNS], size_t *ret_n, struct err *err)
{
	*ret_n = 0;
	for (enum column c = NAME; c < COLUMNS; c++) {
		struct buf *shown = im->shown[c];
		const char *was, *is;

		if (column_text(old, c, &shown[0], err) < 0 ||
		    column_text(now, c, &shown[1], err) < 0)
			return RC_MEMORY;
		was = shown_text(&shown[0]);
		is = shown_text(&shown[1]);
		if (strcmp(was, is) != 0)
			change[(*ret_n)++] = (struct import_change){column_names[c], was, is};
	}
	return 0;
}

/* wanted_make(...): the user that is there, or a new one, as the row wants it.  RC_MEMORY ends the
 * import; any other error is about the row. */
static int wanted_make(const struct import *im, struct csv_row *row, const struct site_user *old,
		       struct wanted_user *ret, struct err *err)
{
	int rc = 0;

	ret->u = *old;
	for (enum column c = NAME; rc == 0 && c < COLUMNS; c++) {
		char *text = cell(im, row, c);

		if (text != NULL)
			rc = column_use(ret, c, text, err);
	}
	ret->text = row->text; /* what the user's texts point into */
	row->text = (struct buf)BUF_INIT;
	return rc;
}

static int wanted_keep(struct import *im, struct wanted_user *w, struct err *err)
{
	int rc = list_push(&im->user, *w, err);

	if (rc == 0)
		memset(w, 0, sizeof(*w));
	return rc;
}

static int row_judge(const struct import *im, const struct wanted_user *w, bool there,
		     size_t changes, struct err *err)
{
	if (there && changes > 0 && (im->flags & IMPORT_UPDATE) == 0)
		return err_set(err, RC_POLICY,
			       "is there already, with another %s: --update changes it",
			       changes == 1 ? "field" : "fields");
	return site_user_check(im->s, &w->u, err);
}

static void row_tell(struct import *im, struct import_row *r)
{
	uint64_t *const count[] = {&im->counts->added, &im->counts->changed, &im->counts->same,
				   &im->counts->refused};

	++*count[r->what];
	if (im->each != NULL)
		im->each(im->arg, r);
}

static int row_refused(struct import *im, struct import_row *r, const char *why)
{
	r->what = IMPORT_REFUSED;
	r->changes = 0;
	r->why = why;
	row_tell(im, r);
	return 0;
}

static int row_use(struct import *im, struct csv_row *row, struct import_row *r, struct err *err)
{
	static const struct site_user nobody = {.email = ""};
	OWNED(wanted_clear) struct wanted_user w = {0};
	struct import_change change[COLUMNS];
	const struct site_user *old = site_user(im->s, r->email);
	struct err why = {0};
	int rc;

	rc = wanted_make(im, row, old != NULL ? old : &nobody, &w, &why);
	snprintf(w.u.email, sizeof(w.u.email), "%s", r->email);
	if (rc == 0)
		rc = changes_find(im, old != NULL ? old : &nobody, &w.u, change, &r->changes, &why);
	if (rc == 0)
		rc = row_judge(im, &w, old != NULL, r->changes, &why);
	if (rc == RC_MEMORY)
		return err_memory(err);
	if (rc < 0)
		return row_refused(im, r, why.text);
	r->change = change;
	r->what = old == NULL ? IMPORT_ADDED : r->changes > 0 ? IMPORT_CHANGED : IMPORT_SAME;
	row_tell(im, r);
	return r->what == IMPORT_SAME ? 0 : wanted_keep(im, &w, err);
}

static int user_row_read(struct import *im, struct csv_row *row, struct err *err)
{
	char email[USER_EMAIL], why[128];
	struct import_row r = {.line = row->line, .email = email};
	const char *given = email_of(im, row);

	snprintf(email, sizeof(email), "%s", given != NULL ? given : "");
	if (row->fields != im->fields) {
		snprintf(why, sizeof(why), "a row of %zu %s, where the first one has %zu",
			 row->fields, row->fields == 1 ? "field" : "fields", im->fields);
		return row_refused(im, &r, why);
	}
	/*
	 * As many fields as the first row has: the column email is among them, and ${given} is not
	 * NULL.
	 */
	if (strlen(given) >= sizeof(email))
		return row_refused(im, &r, "the e-mail address is too long");
	if (first_line(im, given) != row->line) {
		snprintf(why, sizeof(why), "line %u has the same e-mail address",
			 first_line(im, given));
		return row_refused(im, &r, why);
	}
	return row_use(im, row, &r, err);
}

static int rows_read(struct import *im, struct bytes in, struct err *err)
{
	OWNED(csv_row_clear) struct csv_row row = {0};
	struct csv c;
	int rc;

	csv_init(&c, in);
	rc = csv_next(&c, &row, err);
	while (rc == 1) {
		rc = csv_next(&c, &row, err);
		if (rc == 1)
			rc = user_row_read(im, &row, err) < 0 ? RC_MEMORY : 1;
	}
	return rc;
}

static int users_write(struct import *im, struct err *err)
{
	OWNED(freep) struct site_user *list = calloc(im->user.n + 1, sizeof(*list));

	if (list == NULL)
		return err_memory(err);
	for (size_t i = 0; i < im->user.n; i++)
		list[i] = im->user.items[i].u;
	return site_users_write(im->s, list, im->user.n,
				(im->flags & IMPORT_DRY_RUN) != 0 ? SITE_WRITE_DRY_RUN : 0, err);
}

int user_import(struct site *s, struct bytes in, enum import_flags flags,
		void (*each)(void *arg, const struct import_row *row), void *arg,
		struct import_counts *ret, struct err *err)
{
	OWNED(import_clear)
	struct import im = {.s = s, .flags = flags, .each = each, .arg = arg, .counts = ret};
	int rc = addresses_read(&im, in, err);

	*ret = (struct import_counts){0};
	if (rc == 0)
		rc = rows_read(&im, in, err);
	if (rc < 0)
		return rc;
	if (ret->refused > 0)
		return err_set(err, RC_POLICY, "%llu %s refused: nothing was changed",
			       (unsigned long long)ret->refused,
			       ret->refused == 1 ? "row is" : "rows are");
	return users_write(&im, err);
}
