/* SPDX-License-Identifier: ISC */
/*
 * Where sources may come from.  Whoever edits the site's documents chooses sources; the owner of
 * the server, whose files lie all around, lists where they may lie, in a file that is no document.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bundler/source/site_source_internal.h"
#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/base/places.h"
#include "core/format/yaml/yaml.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

static int root_add(struct site_source_roots *r, const char *path, struct err *err)
{
	OWNED(fd_closep) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct site_source_root *root = list_add(&r->root, err);

	if (root == NULL)
		return err->rc;
	root->list = r->file.n - 1;
	root->path = strdup(path);
	if (root->path == NULL)
		return err_memory(err);
	root->there = fd >= 0 && dir_id(fd, &root->id, ERR_IGNORED) == 0;
	return 0;
}

static int list_take(const struct node *sources, const char *file, struct site_source_roots *ret,
		     struct err *err)
{
	int rc = strings_add(&ret->file, file, err);

	for (size_t i = 0; rc == 0 && i < node_count(sources); i++)
		rc = root_add(ret, node_text(node_at(sources, i), ""), err);
	return rc;
}

/* about_site(s, dir, file, err): 1: ${dir} is the directory of this site's documents, by whatever
 * path; 0: it is not, or is not there, while ours is; negative: nobody can tell. */
static int about_site(const struct site *s, const char *dir, const char *file, struct err *err)
{
	OWNED(fd_closep) int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct dir_id ours, named;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(err, RC_IO, "the site %s of %s", dir, file);
	if (dir_id(fd, &named, err) < 0 || dir_id(s->dirfd, &ours, err) < 0)
		return err->rc;
	return dir_id_compare(&ours, &named) == 0;
}

/* file_take(s, dirfd, dir, ret, err): 1 when there is one and it is about this site; 0 when there
 * is none; RC_CONFLICT when it is about another. */
static int file_take(struct site *s, int dirfd, const char *dir, struct site_source_roots *ret,
		     struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	char file[LIMIT_PATH + sizeof(SOURCE_CONFIG) + 2];
	const struct node *sources;
	const char *site;
	int rc = file_read(dirfd, SOURCE_CONFIG, LIMIT_DOCUMENT, &text, err);

	snprintf(file, sizeof(file), "%s/" SOURCE_CONFIG, dir);
	if (rc == RC_ABSENT)
		return 0;
	if (rc < 0)
		return err_prefix(err, "%s", dir);
	rc = yaml_decode(bytes_in(&text), LIMIT_DOCUMENT, schema_find("server/1"), file, &y, err);
	if (rc < 0)
		return rc;
	site = node_text(node_get(yaml_root(y), "site"), "");
	rc = about_site(s, site, file, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, RC_CONFLICT,
			       "%s is about another site: it says `site: %s`, and the documents of "
			       "this one are in %s; write `site: %s` into it, or remove it",
			       file, site, s->dir, s->dir);
	sources = node_get(yaml_root(y), "sources");
	rc = sources == NULL ? 0 : list_take(sources, file, ret, err);
	return rc < 0 ? rc : 1;
}

int site_source_roots_load(struct site *s, struct site_source_roots *ret, struct err *err)
{
	/* By O_PATH: a directory that may be searched and not listed holds a list all the same. */
	OWNED(fd_closep) int etc = open(PLACE_CONFIG, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (etc < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "the lists of sources that %s may hold", PLACE_CONFIG);
	rc = etc < 0 ? 0 : file_take(s, etc, PLACE_CONFIG, ret, err);
	if (rc < 0 && rc != RC_CONFLICT)
		return rc;
	rc = file_take(s, s->statefd, s->state, ret, err);
	return rc < 0 ? rc : 0;
}

void site_source_roots_clear(struct site_source_roots *r)
{
	for (size_t i = 0; i < r->root.n; i++)
		free(r->root.items[i].path);
	list_clear(&r->root);
	strings_clear(&r->file);
}

static bool root_holds(const struct site_source_root *root, const struct dir_ids *above)
{
	for (size_t i = 0; root->there && i < above->n; i++)
		if (dir_id_compare(&root->id, &above->items[i]) == 0)
			return true;
	return false;
}

/* The directories of one list, for a sentence. */
static void roots_text(const struct site_source_roots *r, size_t list, char *dst, size_t size)
{
	size_t n = 0;

	snprintf(dst, size, "none");
	for (size_t i = 0; i < r->root.n; i++) {
		if (r->root.items[i].list != list || n >= size)
			continue;
		n += (size_t)snprintf(dst + n, size - n, "%s%s%s", n > 0 ? ", " : "",
				      r->root.items[i].path,
				      r->root.items[i].there ? "" : " (not there)");
	}
}

int site_source_roots_check(const struct site_source_roots *r, const struct dir_ids *above,
			    struct err *err)
{
	char text[ERR_TEXT_MAX / 2];

	for (size_t list = 0; list < r->file.n; list++) {
		bool held = false;

		for (size_t i = 0; i < r->root.n && !held; i++)
			held =
			    r->root.items[i].list == list && root_holds(&r->root.items[i], above);
		if (held)
			continue;
		roots_text(r, list, text, sizeof(text));
		return err_set(err, RC_POLICY,
			       "it lies below none of the directories that sources may come from "
			       "(sources: in %s): %s",
			       r->file.items[list], text);
	}
	return 0;
}
