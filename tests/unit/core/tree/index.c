/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/tree/index.h"

/* A database in a directory of its own. */

struct box {
	char dir[64], file[80];
	struct db *db;   /* owned */
	struct index *x; /* owned; tree "t" */
};

static void box_open(struct box *b)
{
	static const struct db_schema *const rooms[] = {&index_schema};
	static const struct db_layout layout = {.application_id = 1, .room = rooms, .rooms = 1};
	const char *tmp = getenv("TMPDIR");
	struct err err = {0};

	snprintf(b->dir, sizeof(b->dir), "%s/index-XXXXXX", tmp != NULL ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(b->dir));
	snprintf(b->file, sizeof(b->file), "%s/db", b->dir);
	cr_assert_eq(db_open(b->file, &layout, &b->db, &err), 0, "%s", err.text);
	cr_assert_eq(index_open(b->db, "t", &b->x, &err), 0, "%s", err.text);
	cr_assert_eq(db_begin(b->db, &err), 0);
}

static void box_close(struct box *b)
{
	char name[96];

	index_freep(&b->x);
	db_freep(&b->db);
	unlink(b->file);
	snprintf(name, sizeof(name), "%s-wal", b->file);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", b->file);
	unlink(name);
	rmdir(b->dir);
}

static struct entry entry_of(enum entry_kind kind, unsigned seed)
{
	struct entry e = {.kind = kind, .mode = (uint16_t)(0600 + seed % 0177), .owner = "-"};

	if (seed % 7 == 0)
		strcpy(e.owner, "www data:gr\xc3\xb6up");
	e.mtime = (int64_t)seed * 1000000007 - 5000000000;
	e.disk_mtime = seed % 3 == 0 ? e.mtime : e.mtime - e.mtime % 1000000000;
	e.dev = 5;
	e.ino = seed + 1;
	e.ctime = e.mtime + 12;
	if (kind == ENTRY_FILE) {
		e.size = seed;
		e.digest = digest_of((struct bytes){(const uint8_t *)&seed, sizeof(seed)});
	} else if (kind == ENTRY_LINK) {
		snprintf(e.target, sizeof(e.target), "../to/%u", seed);
		e.size = strlen(e.target);
		e.digest = digest_of(bytes_of(e.target));
		e.mode = 0;
	}
	return e;
}

static void put(struct box *b, const char *path, enum entry_kind kind, unsigned seed)
{
	struct entry e = entry_of(kind, seed);
	struct err err = {0};

	cr_assert_eq(index_put(b->x, path, &e, &err), 0, "%s: %s", path, err.text);
}

static bool same(const struct entry *a, const struct entry *b)
{
	return a->kind == b->kind && a->mode == b->mode && strcmp(a->owner, b->owner) == 0 &&
	       a->size == b->size && a->mtime == b->mtime && strcmp(a->target, b->target) == 0 &&
	       a->dev == b->dev && a->ino == b->ino && a->disk_mtime == b->disk_mtime &&
	       a->ctime == b->ctime &&
	       (a->kind == ENTRY_DIRECTORY || digest_equal(&a->digest, &b->digest));
}

/*
 * The model: a list of paths and entries, and digests made as FORMAT.md section 7 says, without any
 * of the index's code.
 */
#define MODEL_MAX 600
struct model {
	size_t n;
	struct {
		char path[64];
		struct entry e;
	} row[MODEL_MAX]; /* ascending by path */
};

static size_t model_find(const struct model *m, const char *path, bool *found)
{
	size_t i = 0;

	while (i < m->n && path_compare(m->row[i].path, path) < 0)
		i++;
	*found = i < m->n && strcmp(m->row[i].path, path) == 0;
	return i;
}

static void model_put(struct model *m, const char *path, const struct entry *e)
{
	bool found;
	size_t i = model_find(m, path, &found);

	if (!found) {
		cr_assert_lt(m->n, MODEL_MAX);
		memmove(&m->row[i + 1], &m->row[i], (m->n - i) * sizeof(m->row[0]));
		m->n++;
	}
	snprintf(m->row[i].path, sizeof(m->row[i].path), "%s", path);
	m->row[i].e = *e;
}

static void model_remove(struct model *m, const char *path)
{
	bool found;
	size_t i = model_find(m, path, &found);

	cr_assert(found);
	m->n--;
	memmove(&m->row[i], &m->row[i + 1], (m->n - i) * sizeof(m->row[0]));
}

/* Is row i directly in ${dir}? */
static const char *child_of(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	const char *name = n == 0 ? path : path + n + 1;

	if (n > 0 && (strncmp(path, dir, n) != 0 || path[n] != '/'))
		return NULL;
	return strchr(name, '/') == NULL ? name : NULL;
}

static struct digest model_digest(const struct model *m, const char *dir)
{
	struct buf b = BUF_INIT;
	struct err err = {0};
	struct digest d;
	uint8_t n[8];

	buf_text(&b, "satchel directory 1\n", &err);
	for (size_t i = 0; i < m->n; i++) {
		const struct entry *e = &m->row[i].e;
		const char *name = child_of(m->row[i].path, dir);
		const char *owner = strcmp(e->owner, "-") == 0 ? "-" : "www%20data:gr%C3%B6up";

		if (name == NULL)
			continue;
		buf_add(&b,
			e->kind == ENTRY_FILE   ? "f"
			: e->kind == ENTRY_LINK ? "l"
						: "d",
			1, &err);
		put_u16(n, (uint16_t)strlen(name));
		buf_add(&b, n, 2, &err);
		buf_text(&b, name, &err);
		put_u16(n, e->mode);
		buf_add(&b, n, 2, &err);
		put_u16(n, (uint16_t)strlen(owner));
		buf_add(&b, n, 2, &err);
		buf_text(&b, owner, &err);
		put_u64(n, (uint64_t)e->mtime);
		buf_add(&b, n, 8, &err);
		put_u64(n, e->size);
		buf_add(&b, n, 8, &err);
		d = e->kind == ENTRY_DIRECTORY ? model_digest(m, m->row[i].path) : e->digest;
		buf_add(&b, d.b, sizeof(d.b), &err);
	}
	d = digest_of(bytes_in(&b));
	buf_clear(&b);
	return d;
}

static void check_seal(struct box *b, const struct model *m)
{
	struct digest have, want = model_digest(m, "");
	struct err err = {0};

	cr_assert_eq(index_seal(b->x, &have, &err), 0, "%s", err.text);
	cr_assert(digest_equal(&have, &want));
}

/* Counts and contents, as the plain list has them. */
static void check_answers(struct box *b, const struct model *m)
{
	uint64_t entries, bytes, want = 0;
	struct err err = {0};

	for (size_t i = 0; i < m->n; i++)
		want += m->row[i].e.kind == ENTRY_FILE ? m->row[i].e.size : 0;
	cr_assert_eq(index_counts(b->x, &entries, &bytes, &err), 0, "%s", err.text);
	cr_assert_eq(entries, m->n);
	cr_assert_eq(bytes, want);
	for (unsigned seed = 0; seed < 1000; seed += 37) {
		struct entry e = entry_of(ENTRY_FILE, seed);
		char path[LIMIT_PATH + 1];
		bool known = false;
		int rc = index_find(b->x, &e.digest, path, &err);

		for (size_t i = 0; i < m->n; i++)
			known = known || (m->row[i].e.kind == ENTRY_FILE &&
					  digest_equal(&m->row[i].e.digest, &e.digest));
		cr_assert_eq(rc, known, "%s", err.text);
		if (rc == 1) {
			bool found;
			size_t i = model_find(m, path, &found);

			cr_assert(found && digest_equal(&m->row[i].e.digest, &e.digest), "%s",
				  path);
		}
	}
}

struct follow {
	const struct model *m;
	size_t at;
};

static int follow_entry(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct follow *f = arg;

	cr_assert_lt(f->at, f->m->n);
	cr_assert_str_eq(path, f->m->row[f->at].path);
	cr_assert(same(e, &f->m->row[f->at].e), "%s", path);
	f->at++;
	return 0;
}

static void check_walk(struct box *b, const struct model *m)
{
	struct follow f = {m, 0};
	struct err err = {0};

	cr_assert_eq(index_walk(b->x, follow_entry, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.at, m->n);
}

/* Tests */

Test(index, digest_of_the_empty_tree_is_that_of_its_first_line)
{
	OWNED(box_close) struct box b = {0};
	struct digest d, want = digest_of(bytes_of("satchel directory 1\n"));
	struct err err = {0};

	box_open(&b);
	cr_assert_eq(index_seal(b.x, &d, &err), 0);
	cr_assert(digest_equal(&d, &want));
}

/* The same sequence in every run, so that a failure can be looked at again. */
static unsigned random_below(unsigned n)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

/* A path that the model may have: up to four levels of few names, some of which sort oddly. */
static void random_path(char dst[64])
{
	static const char *const names[] = {"a", "a-b", "a.", "b", "\xff\x01", "Z", "0", "a b"};
	unsigned depth = 1 + random_below(4);

	dst[0] = '\0';
	for (unsigned i = 0; i < depth; i++) {
		if (i > 0)
			strcat(dst, "/");
		strcat(dst, names[random_below(ARRAY_LEN(names))]);
	}
}

static bool model_parent(const struct model *m, const char *path)
{
	char parent[64];
	char *slash;
	bool found;
	size_t i;

	strcpy(parent, path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		return true;
	*slash = '\0';
	i = model_find(m, parent, &found);
	return found && m->row[i].e.kind == ENTRY_DIRECTORY;
}

static bool model_has_children(const struct model *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++)
		if (path_below(m->row[i].path, path) && strcmp(m->row[i].path, path) != 0)
			return true;
	return false;
}

/* One random step on both sides; they must agree about whether it can be done. */
static void random_step(struct box *b, struct model *m)
{
	static const enum entry_kind kinds[] = {ENTRY_FILE, ENTRY_LINK, ENTRY_DIRECTORY,
						ENTRY_DIRECTORY};
	struct entry e = entry_of(kinds[random_below(4)], random_below(1000));
	struct err err = {0};
	char path[64];
	bool found, can;
	size_t i;
	int rc;

	random_path(path);
	i = model_find(m, path, &found);
	if (random_below(4) == 0) {
		can = found && !model_has_children(m, path);
		rc = index_remove(b->x, path, &err);
		if (can)
			model_remove(m, path);
	} else {
		can = model_parent(m, path) &&
		      !(found && m->row[i].e.kind == ENTRY_DIRECTORY && e.kind != ENTRY_DIRECTORY &&
			model_has_children(m, path));
		rc = index_put(b->x, path, &e, &err);
		if (can)
			model_put(m, path, &e);
	}
	cr_assert_eq(rc, can ? 0 : RC_STATE, "%s: %s", path, err.text);
}

Test(index, agrees_with_a_plain_list_after_any_sequence_of_changes)
{
	OWNED(box_close) struct box b = {0};
	OWNED(freep) struct model *m = calloc(1, sizeof(*m));

	box_open(&b);
	for (int round = 0; round < 300; round++) {
		for (int step = 0; step < 12 && m->n < MODEL_MAX - 20; step++)
			random_step(&b, m);
		if (round % 3 == 0)
			check_walk(&b, m);
		if (round % 5 == 0 && round > 50)
			check_answers(&b, m);
		check_seal(&b, m);
		if (round % 7 == 0 && round > 50)
			check_answers(&b, m);
		if (round == 200) {
			struct err err = {0};

			cr_assert_eq(index_clear(b.x, &err), 0);
			m->n = 0;
			check_seal(&b, m);
		}
	}
	cr_assert_gt(m->n, 20, "the test had something to do");
}

Test(index, what_was_put_is_got_and_found_and_counted)
{
	OWNED(box_close) struct box b = {0};
	struct entry e, want = entry_of(ENTRY_FILE, 21);
	struct err err = {0};
	char path[LIMIT_PATH + 1];
	uint64_t entries, bytes;

	box_open(&b);
	put(&b, "d", ENTRY_DIRECTORY, 1);
	put(&b, "d/e", ENTRY_DIRECTORY, 2);
	put(&b, "d/e/file", ENTRY_FILE, 21);
	put(&b, "link", ENTRY_LINK, 3);
	cr_assert_eq(index_get(b.x, "d/e/file", &e, &err), 1);
	cr_assert(same(&e, &want));
	cr_assert_eq(index_get(b.x, "d/e/other", &e, &err), 0);
	cr_assert_eq(index_get(b.x, "no/such", &e, &err), 0);
	cr_assert_eq(index_get(b.x, "link/below", &e, &err), 0);
	cr_assert_eq(index_find(b.x, &want.digest, path, &err), 1);
	cr_assert_str_eq(path, "d/e/file");
	want = entry_of(ENTRY_LINK, 3);
	cr_assert_eq(index_find(b.x, &want.digest, path, &err), 0, "a link is no content");
	cr_assert_eq(index_counts(b.x, &entries, &bytes, &err), 0);
	cr_assert_eq(entries, 4);
	cr_assert_eq(bytes, 21);
	put(&b, "d/e/file", ENTRY_FILE, 22);
	want = entry_of(ENTRY_FILE, 21);
	cr_assert_eq(index_find(b.x, &want.digest, path, &err), 0, "the old content is gone");
	cr_assert_eq(index_remove(b.x, "d/e/file", &err), 0);
	want = entry_of(ENTRY_FILE, 22);
	cr_assert_eq(index_find(b.x, &want.digest, path, &err), 0);
}

Test(index, contents_are_found_in_a_tree_that_was_asked_while_it_was_empty)
{
	OWNED(box_close) struct box b = {0};
	struct entry e = entry_of(ENTRY_FILE, 5);
	struct digest tree;
	struct err err = {0};
	char path[LIMIT_PATH + 1];

	box_open(&b);
	cr_assert_eq(index_find(b.x, &e.digest, path, &err), 0);
	put(&b, "a", ENTRY_FILE, 5);
	cr_assert_eq(index_seal(b.x, &tree, &err), 0);
	cr_assert_eq(index_find(b.x, &e.digest, path, &err), 1);
	cr_assert_str_eq(path, "a");
	cr_assert_eq(index_clear(b.x, &err), 0);
	cr_assert_eq(index_find(b.x, &e.digest, path, &err), 0);
	put(&b, "b", ENTRY_FILE, 5);
	index_freep(&b.x);
	cr_assert_eq(index_open(b.db, "t", &b.x, &err), 0);
	cr_assert_eq(index_find(b.x, &e.digest, path, &err), 1, "not listed yet");
	cr_assert_str_eq(path, "b");
	index_freep(&b.x);
	cr_assert_eq(index_open(b.db, "t", &b.x, &err), 0);
	put(&b, "b", ENTRY_FILE, 6);
	cr_assert_eq(index_find(b.x, &e.digest, path, &err), 0, "listed, and changed since");
}

Test(index, contents_that_begin_alike_are_told_apart_and_none_is_listed_that_is_gone)
{
	OWNED(box_close) struct box b = {0};
	struct entry e = entry_of(ENTRY_FILE, 5);
	struct err err = {0};
	char path[LIMIT_PATH + 1];
	int64_t listed = -1;

	box_open(&b);
	for (int i = 0; i < 3; i++) {
		e.digest.b[DIGEST_BYTES - 1] = (uint8_t)i;
		path[0] = (char)('a' + i);
		path[1] = '\0';
		cr_assert_eq(index_put(b.x, path, &e, &err), 0);
	}
	for (int i = 0; i < 3; i++) {
		e.digest.b[DIGEST_BYTES - 1] = (uint8_t)i;
		cr_assert_eq(index_find(b.x, &e.digest, path, &err), 1);
		cr_assert_eq(path[0], 'a' + i);
	}
	e.digest.b[DIGEST_BYTES - 1] = 3;
	cr_assert_eq(index_find(b.x, &e.digest, path, &err), 0);
	put(&b, "a", ENTRY_FILE, 6);
	put(&b, "b", ENTRY_LINK, 7);
	cr_assert_eq(index_remove(b.x, "c", &err), 0);
	cr_assert_eq(db_int(b.db, &err, &listed, "SELECT count(*) FROM tree_content", ""), 1);
	cr_assert_eq(listed, 1);
}

Test(index, longest_path_and_deepest_directory_are_kept_and_found)
{
	OWNED(box_close) struct box b = {0};
	struct entry e = entry_of(ENTRY_FILE, 5);
	struct err err = {0};
	char path[LIMIT_PATH + 1] = "", found[LIMIT_PATH + 1];

	box_open(&b);
	for (size_t n = 0; n < 15 * 256; n += 256) {
		if (n > 0)
			strcat(path, "/");
		memset(path + strlen(path), 'n', 255);
		path[n + 255] = '\0';
		put(&b, path, ENTRY_DIRECTORY, 1);
	}
	strcat(path, "/");
	memset(path + strlen(path), 'x', 255);
	path[LIMIT_PATH - 1] = '\0';
	cr_assert_eq(index_put(b.x, path, &e, &err), 0, "%s", err.text);
	cr_assert_eq(index_find(b.x, &e.digest, found, &err), 1);
	cr_assert_str_eq(found, path);
	cr_assert_eq(index_clear(b.x, &err), 0);
	path[0] = '\0';
	for (size_t i = 0; i < LIMIT_DEPTH; i++) {
		strcat(path, i == 0 ? "d" : "/d");
		put(&b, path, ENTRY_DIRECTORY, 1);
	}
	strcat(path, "/f");
	put(&b, path, ENTRY_FILE, 9);
	cr_assert_eq(index_find(b.x, &(struct entry){0}.digest, found, &err), 0);
	e = entry_of(ENTRY_FILE, 9);
	cr_assert_eq(index_find(b.x, &e.digest, found, &err), 1);
	cr_assert_str_eq(found, path);
}

static int count_children(void *arg, const char *name, const struct entry *e, struct err *err)
{
	strcat(strcat(arg, name), " ");
	return 0;
}

Test(index, children_come_in_byte_order_and_only_those_of_the_directory)
{
	OWNED(box_close) struct box b = {0};
	struct err err = {0};
	char list[256] = "";

	box_open(&b);
	put(&b, "b", ENTRY_FILE, 1);
	put(&b, "a", ENTRY_DIRECTORY, 1);
	put(&b, "a/z", ENTRY_FILE, 1);
	put(&b, "a-", ENTRY_FILE, 1);
	put(&b, "\xff", ENTRY_FILE, 1);
	put(&b, "B", ENTRY_FILE, 1);
	cr_assert_eq(index_children(b.x, "", count_children, list, &err), 0);
	cr_assert_str_eq(list, "B a a- b \xff ");
	list[0] = '\0';
	cr_assert_eq(index_children(b.x, "a", count_children, list, &err), 0);
	cr_assert_str_eq(list, "z ");
	cr_assert_eq(index_children(b.x, "b", count_children, list, &err), RC_STATE);
}

static int stop_at_once(void *arg, const char *path, const struct entry *e, struct err *err)
{
	return err_set(err, RC_POLICY, "enough");
}

Test(index, a_callback_ends_a_walk_and_the_next_one_begins_anew)
{
	OWNED(box_close) struct box b = {0};
	OWNED(freep) struct model *m = calloc(1, sizeof(*m));
	struct entry e = entry_of(ENTRY_FILE, 1);
	struct err err = {0};

	box_open(&b);
	put(&b, "a", ENTRY_FILE, 1);
	model_put(m, "a", &e);
	cr_assert_eq(index_walk(b.x, stop_at_once, NULL, &err), RC_POLICY);
	cr_assert_eq(index_children(b.x, "", stop_at_once, NULL, &err), RC_POLICY);
	check_walk(&b, m);
}

Test(index, trees_of_one_database_do_not_touch_each_other)
{
	OWNED(box_close) struct box b = {0};
	OWNED(index_freep) struct index *other = NULL;
	struct entry e = entry_of(ENTRY_FILE, 5);
	struct digest before, after;
	struct err err = {0};
	char path[LIMIT_PATH + 1];

	box_open(&b);
	put(&b, "d", ENTRY_DIRECTORY, 1);
	put(&b, "d/f", ENTRY_FILE, 2);
	cr_assert_eq(index_seal(b.x, &before, &err), 0);
	cr_assert_eq(index_open(b.db, "other", &other, &err), 0);
	cr_assert_eq(index_put(other, "d", &e, &err), 0);
	cr_assert_eq(index_find(b.x, &e.digest, path, &err), 0);
	cr_assert_eq(index_clear(other, &err), 0);
	cr_assert_eq(index_drop(b.db, "other", &err), 0);
	cr_assert_eq(index_drop(b.db, "never there", &err), 0);
	cr_assert_eq(index_seal(b.x, &after, &err), 0);
	cr_assert(digest_equal(&before, &after));
	cr_assert_eq(index_get(b.x, "d/f", &e, &err), 1);
}

Test(index, a_change_that_was_never_sealed_is_sealed_after_reopening)
{
	OWNED(box_close) struct box b = {0};
	OWNED(freep) struct model *m = calloc(1, sizeof(*m));
	struct entry d = entry_of(ENTRY_DIRECTORY, 1), f = entry_of(ENTRY_FILE, 2);
	struct err err = {0};

	box_open(&b);
	put(&b, "d", ENTRY_DIRECTORY, 1);
	put(&b, "d/e", ENTRY_DIRECTORY, 1);
	model_put(m, "d", &d);
	model_put(m, "d/e", &d);
	check_seal(&b, m);
	put(&b, "d/e/f", ENTRY_FILE, 2);
	model_put(m, "d/e/f", &f);
	cr_assert_eq(db_commit(b.db, &err), 0);
	index_freep(&b.x);
	cr_assert_eq(index_open(b.db, "t", &b.x, &err), 0);
	check_seal(&b, m);
	check_walk(&b, m);
}

Test(index, names_that_no_directory_has_are_refused)
{
	OWNED(box_close) struct box b = {0};
	struct entry e = entry_of(ENTRY_FILE, 1);
	struct err err = {0};
	char name[LIMIT_NAME + 2];

	box_open(&b);
	memset(name, 'n', sizeof(name) - 1);
	name[LIMIT_NAME + 1] = '\0';
	cr_assert_eq(index_put(b.x, name, &e, &err), RC_PATH);
	cr_assert_eq(index_put(b.x, "", &e, &err), RC_PATH);
	cr_assert_eq(index_put(b.x, "a/b", &e, &err), RC_STATE);
	cr_assert_eq(index_remove(b.x, "a", &err), RC_STATE);
	name[LIMIT_NAME] = '\0';
	cr_assert_eq(index_put(b.x, name, &e, &err), 0);
	cr_assert_eq(index_put(b.x, "f", &e, &err), 0);
	cr_assert_eq(index_put(b.x, "f/below", &e, &err), RC_STATE, "a file holds nothing");
}

/* Salts */

Test(index, a_salt_keys_the_digest_of_the_tree_and_nothing_below_it)
{
	OWNED(box_close) struct box b;
	struct digest plain, salted, other, salt = digest_of(bytes_of("salt")), none = {{0}};
	struct entry e = entry_of(ENTRY_FILE, 1);
	struct err err = {0};

	box_open(&b);
	cr_assert_eq(index_put(b.x, "a", &e, &err), 0, "%s", err.text);
	cr_assert_eq(index_seal(b.x, &plain, &err), 0, "%s", err.text);
	cr_assert_eq(index_salt(b.x, &salt, &err), 0, "%s", err.text);
	cr_assert_eq(index_seal(b.x, &salted, &err), 0, "%s", err.text);
	cr_expect_not(digest_equal(&plain, &salted));
	other = digest_keyed(&salt, "satchel sealed tree 1\n", &plain);
	cr_expect(digest_equal(&other, &salted));
	salt.b[0] ^= 1;
	cr_assert_eq(index_salt(b.x, &salt, &err), 0);
	cr_assert_eq(index_seal(b.x, &other, &err), 0);
	cr_expect_not(digest_equal(&other, &salted));
	cr_assert_eq(index_salt(b.x, &none, &err), 0);
	cr_assert_eq(index_seal(b.x, &other, &err), 0);
	cr_expect(digest_equal(&other, &plain));
}

Test(index, a_tree_that_is_cleared_has_no_salt_and_a_rollback_brings_the_old_one_back)
{
	OWNED(box_close) struct box b;
	struct digest plain, d, salt = digest_of(bytes_of("salt"));
	struct err err = {0};

	box_open(&b);
	cr_assert_eq(index_seal(b.x, &plain, &err), 0);
	cr_assert_eq(db_exec(b.db, "SAVEPOINT salt", &err), 0);
	cr_assert_eq(index_salt(b.x, &salt, &err), 0);
	cr_assert_eq(db_exec(b.db, "ROLLBACK TO salt; RELEASE salt", &err), 0);
	cr_assert_eq(index_seal(b.x, &d, &err), 0);
	cr_expect(digest_equal(&d, &plain));
	cr_assert_eq(index_salt(b.x, &salt, &err), 0);
	cr_assert_eq(index_clear(b.x, &err), 0);
	cr_assert_eq(index_seal(b.x, &d, &err), 0);
	cr_expect(digest_equal(&d, &plain));
}
