/* SPDX-License-Identifier: ISC */
/*
 * Edits of the documents.  What is to be written is first read back by the rules that an editor's
 * text would be read by, and judged together with everything else as the site would be with it; so
 * no command can write a site that the next one refuses.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* Documents of one kind that are to be written, or one that is to be removed. */
struct edit {
	struct site *s;
	const struct site_kind *kind;
	struct buf *text; /* owned: ${n} of them */
	char *fresh;      /* owned: ${n} elements, ascending by name; emptied when they are taken */
	size_t n;
	const char *removed; /* a name, or NULL */
	void *before; /* the list of the site as it was: owned while the new one is in place */
	size_t before_n;
};

static void edit_clear(struct edit *e)
{
	for (size_t i = 0; i < e->n; i++) {
		e->kind->clear(e->fresh + i * e->kind->size);
		buf_clear(&e->text[i]);
	}
	freep(&e->fresh);
	freep(&e->text);
}

static int edit_begin(struct site *s, const struct site_kind *kind, size_t n, struct edit *ret,
		      struct err *err)
{
	*ret = (struct edit){.s = s, .kind = kind};
	ret->text = calloc(n + 1, sizeof(*ret->text));
	ret->fresh = calloc(n + 1, kind->size);
	if (ret->text == NULL || ret->fresh == NULL)
		return err_memory(err);
	ret->n = n;
	return 0;
}

/*
 * old_read(e, name, ret, err): the text that is there; nothing when there is none yet.  Read from
 * the disk and not from the cache: a person may have edited the file since the site was opened.
 */
static int old_read(const struct edit *e, const char *name, struct buf *ret, struct err *err)
{
	char file[SITE_DOCUMENT_PATH];
	int rc;

	if (site_find(e->s, e->kind, name) == NULL)
		return 0;
	snprintf(file, sizeof(file), "%s/%s" SITE_SUFFIX, e->kind->directory, name);
	rc = file_read(e->s->dirfd, file, LIMIT_DOCUMENT, ret, err);
	return rc < 0 ? err_prefix(err, "%s", file) : 0;
}

/* element_encode(...): with the additions that are in the old text: no command knows them. */
static int element_encode(const struct site_kind *kind, const void *element, struct bytes old,
			  struct buf *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", kind->schema);
	kind->encode(element, w);
	if (yaml_decode(old, LIMIT_DOCUMENT, schema_find(kind->schema), "", &y, ERR_IGNORED) == 0)
		yaml_node(w, "more", node_get(yaml_root(y), "more"));
	return yaml_writer_end(w, ret, err);
}

/* text_make(e, i, element, err): what is written for the i-th one. */
static int text_make(struct edit *e, size_t i, const void *element, struct err *err)
{
	OWNED(buf_clear) struct buf old = BUF_INIT;
	OWNED(buf_clear) struct buf new = BUF_INIT;
	int rc = old_read(e, element, &old, err);

	if (rc == 0)
		rc = element_encode(e->kind, element, bytes_in(&old), &new, err);
	if (rc < 0)
		return rc;
	if (old.n == 0)
		return buf_add(&e->text[i], new.p, new.n, err);
	rc = yaml_patch(bytes_in(&old), bytes_in(&new), LIMIT_DOCUMENT,
			schema_find(e->kind->schema), &e->text[i], err);
	return rc < 0
		   ? err_prefix(err, "%s/%s" SITE_SUFFIX, e->kind->directory, (const char *)element)
		   : 0;
}

/* element_read_back(e, i, name, err): the text is there; the element comes from it. */
static int element_read_back(struct edit *e, size_t i, const char *name, struct err *err)
{
	return site_document_decode(e->kind, bytes_in(&e->text[i]), name,
				    e->fresh + i * e->kind->size, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int edit_elements(struct edit *e, const void *list, struct err *err)
{
	OWNED(freep) const char **name = calloc(e->n + 1, sizeof(*name));
	int rc = 0;

	if (name == NULL)
		return err_memory(err);
	for (size_t i = 0; i < e->n; i++)
		name[i] = (const char *)list + i * e->kind->size;
	if (e->n > 0)
		qsort((void *)name, e->n, sizeof(*name), by_name);
	for (size_t i = 0; rc == 0 && i < e->n; i++) {
		if (i > 0 && strcmp(name[i - 1], name[i]) == 0)
			return err_set(err, RC_USAGE, "%s %s is listed twice", e->kind->noun,
				       name[i]);
		rc = e->kind->name_check(name[i], RC_USAGE, err);
		if (rc == 0)
			rc = text_make(e, i, name[i], err);
		if (rc == 0)
			rc = element_read_back(e, i, name[i], err);
	}
	return rc;
}

/* The site's list and the fresh ones, merged into ${into}; both are ascending by name, and where
 * both have one, the fresh one counts.  Elements are copied flat: who owns what they point to is
 * decided when it is known which list stays. */
static size_t edit_merge(const struct edit *e, char *into)
{
	size_t size = e->kind->size, have = site_count(e->s, e->kind), n = 0, i = 0, k = 0;

	while (i < have || k < e->n) {
		const char *old = i < have ? site_element(e->s, e->kind, i) : NULL;
		const char *fresh = k < e->n ? e->fresh + k * size : NULL;
		int order = old == NULL ? 1 : fresh == NULL ? -1 : strcmp(old, fresh);

		i += order <= 0;
		k += order >= 0;
		if (order < 0 && e->removed != NULL && strcmp(old, e->removed) == 0)
			continue;
		memcpy(into + n++ * size, order < 0 ? old : fresh, size);
	}
	return n;
}

/*
 * The judging functions look at the site's own lists, so the new state is put in place to be
 * judged, and taken out again when it is refused.
 */
static void edit_swap(struct edit *e)
{
	size_t n = site_count(e->s, e->kind);
	void *now = site_element(e->s, e->kind, 0);

	site_elements_set(e->s, e->kind, e->before, e->before_n);
	e->before = now;
	e->before_n = n;
}

static int edit_in_place(struct edit *e, struct err *err)
{
	size_t have = site_count(e->s, e->kind);
	char *merged = calloc(have + e->n + 1, e->kind->size);

	if (merged == NULL)
		return err_memory(err);
	e->before_n = edit_merge(e, merged);
	e->before = merged;
	edit_swap(e);
	return 0;
}

/*
 * edit_keep(e): the new list stays; of the old one, what was replaced or removed goes.  Elements
 * were copied flat, so only those that no list holds any more may be released.
 */
static void edit_keep(struct edit *e)
{
	for (size_t i = 0; i < e->before_n; i++) {
		char *old = (char *)e->before + i * e->kind->size;
		const char *now = site_find(e->s, e->kind, old);

		if (now == NULL || memcmp(now, old, e->kind->size) != 0)
			e->kind->clear(old);
	}
	freep(&e->before);
	memset(e->fresh, 0, e->n * e->kind->size);
}

static void edit_undo(struct edit *e)
{
	edit_swap(e);
	freep(&e->before);
}

struct known_fault {
	struct digest about;
	uint64_t weight;
};

/* Faults that were there before, by digest of what they are about. */
struct known_faults {
	LIST(struct known_fault) fault;
	size_t left;             /* faults of the new state that are known */
	struct site_fault first; /* one of them */
};

static void known_faults_clear(struct known_faults *k)
{
	list_clear(&k->fault);
}

static int known_add(void *arg, const struct site_fault *f, struct err *err)
{
	struct known_faults *k = arg;

	return list_push(&k->fault,
			 ((struct known_fault){digest_of(bytes_of(f->about)), f->weight}), err);
}

static int by_about(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

/*
 * By subject and weight, not by sentence: a fault that got worse (more users without a seat) is a
 * new one.
 */
static int known_or_refused(void *arg, const struct site_fault *f, struct err *err)
{
	struct known_faults *k = arg;
	struct known_fault sought = {digest_of(bytes_of(f->about)), 0};
	const struct known_fault *found = list_find(&k->fault, &sought, by_about);

	if (found == NULL || found->weight < f->weight)
		return err_set(err, RC_POLICY, "%s", f->text);
	if (k->left++ == 0)
		k->first = *f;
	return 0;
}

/* edit_judge(e, err): with the new list in place: RC_POLICY when something is worse than it was. */
static int edit_judge(struct edit *e, struct err *err)
{
	OWNED(known_faults_clear) struct known_faults k = {0};
	int rc;

	if (site_references_check(e->s, ERR_IGNORED) == 0)
		return 0;
	edit_swap(e);
	rc = site_faults(e->s, known_add, &k, err);
	edit_swap(e);
	list_sort(&k.fault, by_about);
	if (rc == 0)
		rc = site_faults(e->s, known_or_refused, &k, err);
	if (rc == 0 && k.left > 0)
		reporter_warning(e->s->reporter, "%s; publish waits until it is corrected",
				 k.first.text);
	return rc;
}

static int edit_directory(const struct edit *e, struct err *err)
{
	int rc = beneath_mkdirs_durable(e->s->dirfd, e->kind->directory, 0755, err);

	return rc < 0 ? rc : beneath_dir(e->s->dirfd, e->kind->directory, err);
}

/* What is to be written, and the names that it points to. */
struct files {
	struct durable_file *file; /* owned */
	size_t n;
	char (*name)[SITE_DOCUMENT_PATH]; /* owned */
};

static void files_clear(struct files *l)
{
	free(l->file);
	free(l->name);
}

static bool is_there(int fd, const char *file, struct bytes text)
{
	OWNED(buf_clear) struct buf old = BUF_INIT;

	return file_read(fd, file, LIMIT_DOCUMENT, &old, ERR_IGNORED) == 0 &&
	       bytes_equal(bytes_in(&old), text);
}

/* files_make(...): those whose text is not just what the file holds already. */
static int files_make(const struct edit *e, int fd, struct files *ret, struct err *err)
{
	ret->file = calloc(e->n + 1, sizeof(*ret->file));
	ret->name = calloc(e->n + 1, sizeof(*ret->name));
	if (ret->file == NULL || ret->name == NULL)
		return err_memory(err);
	for (size_t i = 0; i < e->n; i++) {
		char *name = ret->name[ret->n];

		snprintf(name, sizeof(*ret->name), "%s" SITE_SUFFIX, e->fresh + i * e->kind->size);
		if (!is_there(fd, name, bytes_in(&e->text[i])))
			ret->file[ret->n++] = (struct durable_file){name, bytes_in(&e->text[i])};
	}
	return 0;
}

static int edit_write(const struct edit *e, struct err *err)
{
	OWNED(fd_closep) int fd = edit_directory(e, err);
	OWNED(files_clear) struct files l = {0};
	char file[SITE_DOCUMENT_PATH];
	int rc = fd < 0 ? fd : files_make(e, fd, &l, err);

	/* What a run that was killed left; our lock keeps others from writing meanwhile. */
	if (rc == 0 && l.n > 1)
		rc = durable_sweep_all(fd, SITE_SUFFIX, err);
	if (rc == 0)
		rc = durable_write_many(fd, l.file, l.n, 0644, err);
	if (rc < 0)
		return err_prefix(err, "%s", e->kind->directory);
	if (e->removed == NULL)
		return 0;
	snprintf(file, sizeof(file), "%s" SITE_SUFFIX, e->removed);
	if (unlinkat(fd, file, 0) < 0)
		return err_sys(err, RC_IO, "cannot remove %s/%s", e->kind->directory, file);
	return dir_sync(fd, err);
}

static int edit_commit(struct edit *e, enum site_write_flags flags, struct err *err)
{
	bool dry = (flags & SITE_WRITE_DRY_RUN) != 0;
	int rc = edit_in_place(e, err);

	if (rc < 0)
		return rc;
	rc = edit_judge(e, err);
	if (rc == 0 && !dry)
		rc = edit_write(e, err);
	if (rc < 0 || dry)
		edit_undo(e);
	else
		edit_keep(e);
	return rc;
}

static int elements_write(struct site *s, const struct site_kind *kind, const void *list, size_t n,
			  enum site_write_flags flags, struct err *err)
{
	OWNED(edit_clear) struct edit e = {0};
	int rc = edit_begin(s, kind, n, &e, err);

	if (rc == 0)
		rc = edit_elements(&e, list, err);
	return rc < 0 ? rc : edit_commit(&e, flags, err);
}

int site_document_remove(struct site *s, enum site_document document, const char *name,
			 struct err *err)
{
	const struct site_kind *kind = site_kinds(document);
	OWNED(edit_clear) struct edit e = {0};
	OWNED(buf_clear) struct buf list = BUF_INIT;
	size_t n;
	int rc;

	if (site_find(s, kind, name) == NULL)
		return err_set(err, RC_USAGE, "there is no %s called %s", kind->noun, name);
	rc = site_referrers(s, kind, name, &list, &n, err);
	if (rc < 0)
		return rc;
	if (n > 0)
		return err_set(err, RC_CONFLICT,
			       "the %s %s is still named by %.700s: change %s first", kind->noun,
			       name, (const char *)list.p, n == 1 ? "that" : "those");
	rc = edit_begin(s, kind, 0, &e, err);
	e.removed = name;
	return rc < 0 ? rc : edit_commit(&e, 0, err);
}

int site_channel_write(struct site *s, const struct site_channel *c, struct err *err)
{
	return elements_write(s, &site_channel_kind, c, 1, 0, err);
}

int site_workstation_write(struct site *s, const struct site_workstation *w, struct err *err)
{
	return elements_write(s, &site_workstation_kind, w, 1, 0, err);
}

int site_group_write(struct site *s, const struct site_group *g, struct err *err)
{
	return elements_write(s, &site_group_kind, g, 1, 0, err);
}

int site_licence_write(struct site *s, const struct site_licence *l, struct err *err)
{
	return elements_write(s, &site_licence_kind, l, 1, 0, err);
}

int site_key_write(struct site *s, const struct site_key *k, struct err *err)
{
	return elements_write(s, &site_key_kind, k, 1, 0, err);
}

int site_users_write(struct site *s, const struct site_user *list, size_t n,
		     enum site_write_flags flags, struct err *err)
{
	return elements_write(s, &site_user_kind, list, n, flags, err);
}

int site_user_check(const struct site *s, const struct site_user *u, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct site_user read = {.email = ""};
	int rc = site_user_kind.name_check(u->email, RC_USAGE, err);

	if (rc == 0)
		rc = element_encode(&site_user_kind, u, (struct bytes){NULL, 0}, &text, err);
	if (rc == 0)
		rc = site_document_decode(&site_user_kind, bytes_in(&text), u->email, &read, err);
	site_user_kind.clear(&read);
	return rc < 0 ? rc : site_element_references(s, &site_user_kind, u, err);
}

int site_policy_write(struct site *s, const char *name, struct bytes text, struct err *err)
{
	OWNED(edit_clear) struct edit e = {0};
	int rc = site_policy_kind.name_check(name, RC_USAGE, err);

	if (rc == 0)
		rc = edit_begin(s, &site_policy_kind, 1, &e, err);
	if (rc == 0)
		rc = buf_add(&e.text[0], text.p, text.n, err);
	if (rc == 0)
		rc = element_read_back(&e, 0, name, err);
	return rc < 0 ? rc : edit_commit(&e, 0, err);
}
