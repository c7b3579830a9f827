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

static void list_encode(struct yaml_writer *w, const char *key, char *const *list, size_t n)
{
	if (n == 0)
		return;
	yaml_list(w, key);
	for (size_t i = 0; i < n; i++)
		yaml_text(w, NULL, list[i]);
	yaml_close(w);
}

static int channel_encode(const struct site_channel *c, struct buf *ret, struct err *err)
{
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "channel/1");
	yaml_text(w, "source", c->source == NULL ? "" : c->source);
	yaml_text(w, "target", c->target == NULL ? "" : c->target);
	list_encode(w, "for", c->audience, c->audiences);
	list_encode(w, "exclude", c->exclude, c->excludes);
	if (c->owners)
		yaml_bool(w, "owners", true);
	if (c->special_modes)
		yaml_bool(w, "special-modes", true);
	if (c->on_leave[0] != '\0')
		yaml_text(w, "on-leave", c->on_leave);
	if (c->keep != 0)
		yaml_u64(w, "keep", c->keep);
	return yaml_writer_end(w, ret, err);
}

static int workstation_encode(const struct site_workstation *ws, struct buf *ret, struct err *err)
{
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "workstation/1");
	yaml_text(w, "name", ws->name);
	list_encode(w, "labels", ws->label, ws->labels);
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

/* slot_make(list, n, size, at): room for one more element at index ${at}. */
static void *slot_make(void *list, size_t n, size_t size, size_t at)
{
	char *more = reallocarray(list, n + 1, size);

	if (more == NULL)
		return NULL;
	memmove(more + (at + 1) * size, more + at * size, (n - at) * size);
	memset(more + at * size, 0, size);
	return more;
}

static int channel_put(struct site *s, struct site_channel *c, struct err *err)
{
	struct site_channel *old = site_channel(s, c->name), *more;
	size_t at = 0;

	if (old == NULL) {
		while (at < s->channels && strcmp(s->channel[at].name, c->name) < 0)
			at++;
		more = slot_make(s->channel, s->channels, sizeof(*more), at);
		if (more == NULL)
			return err_memory(err);
		s->channel = more;
		s->channels++;
		old = &more[at];
	}
	site_channel_clear(old);
	*old = *c;
	memset(c, 0, sizeof(*c));
	return 0;
}

static int workstation_put(struct site *s, struct site_workstation *w, struct err *err)
{
	struct site_workstation *old = site_workstation(s, w->name), *more;
	size_t at = 0;

	if (old == NULL) {
		while (at < s->workstations && strcmp(s->workstation[at].name, w->name) < 0)
			at++;
		more = slot_make(s->workstation, s->workstations, sizeof(*more), at);
		if (more == NULL)
			return err_memory(err);
		s->workstation = more;
		s->workstations++;
		old = &more[at];
	}
	site_workstation_clear(old);
	*old = *w;
	memset(w, 0, sizeof(*w));
	return 0;
}

int site_channel_write(struct site *s, const struct site_channel *c, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(site_channel_clear) struct site_channel read = {0};
	int rc;

	rc = site_channel_name_check(c->name, RC_USAGE, err);
	if (rc == 0)
		rc = channel_encode(c, &text, err);
	if (rc == 0)
		rc = site_channel_decode(bytes_in(&text), c->name, &read, err);
	for (size_t i = 0; rc == 0 && i < s->channels; i++) {
		if (strcmp(s->channel[i].name, c->name) != 0)
			rc = site_targets_check(s, &read, &s->channel[i], err);
	}
	if (rc == 0)
		rc = document_write(s, SITE_CHANNELS, c->name, bytes_in(&text), err);
	if (rc < 0)
		return rc;
	return channel_put(s, &read, err);
}

int site_channel_remove(struct site *s, const char *name, struct err *err)
{
	struct site_channel *c = site_channel(s, name);
	OWNED(fd_closep) int fd = -1;
	char file[SITE_DOCUMENT_PATH];
	size_t at;
	int rc;

	if (c == NULL)
		return err_set(err, RC_USAGE, "there is no channel called %s", name);
	fd = beneath_dir(s->dirfd, SITE_CHANNELS, err);
	if (fd < 0)
		return fd;
	snprintf(file, sizeof(file), "%s" SITE_SUFFIX, name);
	if (unlinkat(fd, file, 0) < 0)
		return err_sys(err, RC_IO, "cannot remove " SITE_CHANNELS "/%s", file);
	rc = dir_sync(fd, err);
	at = (size_t)(c - s->channel);
	site_channel_clear(c);
	s->channels--;
	memmove(c, c + 1, (s->channels - at) * sizeof(*c));
	return rc;
}

int site_workstation_write(struct site *s, const struct site_workstation *w, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(site_workstation_clear) struct site_workstation read = {0};
	int rc;

	rc = site_workstation_name_check(w->name, RC_USAGE, err);
	if (rc == 0)
		rc = workstation_encode(w, &text, err);
	if (rc == 0)
		rc = site_workstation_decode(bytes_in(&text), w->name, &read, err);
	if (rc == 0)
		rc = document_write(s, SITE_WORKSTATIONS, w->name, bytes_in(&text), err);
	if (rc < 0)
		return rc;
	return workstation_put(s, &read, err);
}
