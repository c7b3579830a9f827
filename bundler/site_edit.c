/*
 * Edits of the documents.  What is to be written is first read back by the rules that an editor's
 * text would be read by, so that no command can write a site that the next one refuses to open.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

static int element_encode(const struct site_kind *kind, const void *element, struct buf *ret,
			  struct err *err)
{
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", kind->schema);
	kind->encode(element, w);
	return yaml_writer_end(w, ret, err);
}

/* document_write(s, dir, name, text, err): DIR/NAME.yaml, durably, in the place of what was there.
 */
static int document_write(struct site *s, const char *dir, const char *name, struct bytes text,
			  struct err *err)
{
	OWNED(fd_closep) int fd = -1;
	char file[SITE_DOCUMENT_PATH];
	int rc;

	rc = beneath_mkdirs(s->dirfd, dir, 0755, err);
	if (rc < 0)
		return rc;
	fd = beneath_dir(s->dirfd, dir, err);
	if (fd < 0)
		return fd;
	snprintf(file, sizeof(file), "%s" SITE_SUFFIX, name);
	rc = durable_write(fd, file, text, 0644, DURABLE_REPLACE, err);
	if (rc < 0)
		return err_prefix(err, "%s/%s", dir, file);
	return 0;
}

/* element_put(s, kind, element, err): in the place of the one of its name; ${element} is empty
 * afterwards. */
static int element_put(struct site *s, const struct site_kind *kind, void *element, struct err *err)
{
	void *old = site_find(s, kind, element);
	size_t n = site_count(s, kind), at = 0;
	char *more;

	if (old != NULL) {
		kind->clear(old);
	} else {
		while (at < n && strcmp(site_element(s, kind, at), element) < 0)
			at++;
		more = reallocarray(n > 0 ? site_element(s, kind, 0) : NULL, n + 1, kind->size);
		if (more == NULL)
			return err_memory(err);
		site_elements_set(s, kind, more, n + 1);
		old = more + at * kind->size;
		memmove(more + (at + 1) * kind->size, old, (n - at) * kind->size);
	}
	memcpy(old, element, kind->size);
	memset(element, 0, kind->size);
	return 0;
}

/* An element of any kind, decoded from what is to be written. */
struct draft {
	const struct site_kind *kind;
	void *element;   /* owned */
	struct buf text; /* owned */
};

static void draft_clear(struct draft *d)
{
	if (d->element != NULL)
		d->kind->clear(d->element);
	freep(&d->element);
	buf_clear(&d->text);
}

static int draft_make(const struct site_kind *kind, const void *element, struct draft *ret,
		      struct err *err)
{
	const char *name = element;
	int rc = kind->name_check(name, RC_USAGE, err);

	ret->kind = kind;
	if (rc == 0)
		rc = element_encode(kind, element, &ret->text, err);
	if (rc < 0)
		return rc;
	ret->element = calloc(1, kind->size);
	if (ret->element == NULL)
		return err_memory(err);
	return site_document_decode(kind, bytes_in(&ret->text), name, ret->element, err);
}

static int draft_write(struct site *s, struct draft *d, struct err *err)
{
	int rc = document_write(s, d->kind->directory, d->element, bytes_in(&d->text), err);

	return rc < 0 ? rc : element_put(s, d->kind, d->element, err);
}

static int element_remove(struct site *s, const struct site_kind *kind, const char *name,
			  struct err *err)
{
	char *at = site_find(s, kind, name);
	OWNED(fd_closep) int fd = -1;
	char file[SITE_DOCUMENT_PATH];
	size_t n = site_count(s, kind), after;
	int rc;

	if (at == NULL)
		return err_set(err, RC_USAGE, "there is no %s called %s", kind->noun, name);
	fd = beneath_dir(s->dirfd, kind->directory, err);
	if (fd < 0)
		return fd;
	snprintf(file, sizeof(file), "%s" SITE_SUFFIX, name);
	if (unlinkat(fd, file, 0) < 0)
		return err_sys(err, RC_IO, "cannot remove %s/%s", kind->directory, file);
	rc = dir_sync(fd, err);
	kind->clear(at);
	after = (size_t)((char *)site_element(s, kind, n - 1) - at);
	memmove(at, at + kind->size, after);
	site_elements_set(s, kind, site_element(s, kind, 0), n - 1);
	return rc;
}

int site_channel_write(struct site *s, const struct site_channel *c, struct err *err)
{
	OWNED(draft_clear) struct draft d = {0};
	int rc = draft_make(&site_channel_kind, c, &d, err);

	for (size_t i = 0; rc == 0 && i < s->channels; i++) {
		if (strcmp(s->channel[i].name, c->name) != 0)
			rc = site_targets_check(s, d.element, &s->channel[i], err);
	}
	return rc < 0 ? rc : draft_write(s, &d, err);
}

int site_channel_remove(struct site *s, const char *name, struct err *err)
{
	return element_remove(s, &site_channel_kind, name, err);
}

int site_workstation_write(struct site *s, const struct site_workstation *w, struct err *err)
{
	OWNED(draft_clear) struct draft d = {0};
	int rc = draft_make(&site_workstation_kind, w, &d, err);

	return rc < 0 ? rc : draft_write(s, &d, err);
}
