/* SPDX-License-Identifier: ISC */
/*
 * The status file is a YAML document like all others, so that it is read back by the same strict
 * rules and people can read it as it is.
 */
#include "watcher/watchfile.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/format/yaml/yaml.h"
#include "core/os/durable.h"

static void row_clear(struct watchfile_row *r)
{
	free(r->kind);
	free(r->path);
	free(r->name);
	free(r->how);
}

int watchfile_add(struct watchfile_rows *list, const char *kind, const char *path, const char *name,
		  const char *how, struct err *err)
{
	struct watchfile_row row = {strdup(kind), strdup(path), strdup(name), strdup(how)};
	int rc = row.kind != NULL && row.path != NULL && row.name != NULL && row.how != NULL
		     ? list_push(list, row, err)
		     : err_memory(err);

	if (rc < 0)
		row_clear(&row);
	return rc;
}

static void rows_clear(struct watchfile_rows *list)
{
	for (size_t i = 0; i < list->n; i++)
		row_clear(&list->items[i]);
	list_clear(list);
}

void watchfile_clear(struct watchfile *f)
{
	rows_clear(&f->place);
	rows_clear(&f->removable);
	memset(f, 0, sizeof(*f));
}

/* A path may be any bytes, a reason may be a stranger's. */
static void escaped(struct yaml_writer *w, const char *key, const char *text)
{
	char shown[4 * LIMIT_PATH];

	if (text[0] == '\0')
		return;
	err_escape(shown, sizeof(shown), text);
	yaml_text(w, key, shown);
}

static void time_maybe(struct yaml_writer *w, const char *key, int64_t at)
{
	if (at > 0)
		yaml_time(w, key, at);
}

static void rows_encode(struct yaml_writer *w, const char *key, const struct watchfile_rows *list,
			const char *how)
{
	yaml_list(w, key);
	for (size_t i = 0; i < list->n; i++) {
		const struct watchfile_row *row = &list->items[i];

		yaml_map(w, NULL);
		escaped(w, "kind", row->kind);
		escaped(w, "path", row->path);
		escaped(w, "name", row->name);
		escaped(w, how, row->how);
		yaml_close(w);
	}
	yaml_close(w);
}

int watchfile_encode(const struct watchfile *f, struct buf *ret, struct err *err)
{
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "watch/1");
	yaml_u64(w, "process", f->process);
	yaml_time(w, "started", f->started);
	yaml_u64(w, "interval", f->interval);
	yaml_u64(w, "jitter", f->jitter);
	escaped(w, "running", f->running);
	time_maybe(w, "last", f->last);
	escaped(w, "reason", f->reason);
	escaped(w, "result", f->result);
	escaped(w, "text", f->text);
	time_maybe(w, "next", f->next);
	rows_encode(w, "places", &f->place, "how");
	rows_encode(w, "sticks", &f->removable, "state");
	return yaml_writer_end(w, ret, err);
}

static int rows_decode(const struct node *list, const char *how, struct watchfile_rows *ret,
		       struct err *err)
{
	for (size_t i = 0; i < node_count(list); i++) {
		const struct node *row = node_at(list, i);
		int rc = watchfile_add(
		    ret, node_text(node_get(row, "kind"), ""), node_text(node_get(row, "path"), ""),
		    node_text(node_get(row, "name"), ""), node_text(node_get(row, how), ""), err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int texts_decode(const struct node *root, struct watchfile *f, struct err *err)
{
	int rc = node_copy(node_get(root, "running"), f->running, sizeof(f->running), err);

	if (rc == 0)
		rc = node_copy(node_get(root, "reason"), f->reason, sizeof(f->reason), err);
	if (rc == 0)
		rc = node_copy(node_get(root, "result"), f->result, sizeof(f->result), err);
	return rc < 0 ? rc : node_copy(node_get(root, "text"), f->text, sizeof(f->text), err);
}

int watchfile_decode(struct bytes in, struct watchfile *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(watchfile_clear) struct watchfile f = {0};
	const struct node *root;
	int rc = yaml_decode(in, WATCHFILE_BYTES, schema_find("watch/1"), WATCHFILE, &y, err);

	if (rc < 0)
		return rc;
	root = yaml_root(y);
	f.process = node_u64(node_get(root, "process"), 0);
	f.interval = node_u64(node_get(root, "interval"), 0);
	f.jitter = node_u64(node_get(root, "jitter"), 0);
	rc = texts_decode(root, &f, err);
	if (rc == 0)
		rc = node_time(node_get(root, "started"), &f.started, err);
	if (rc == 0)
		rc = node_time(node_get(root, "last"), &f.last, err);
	if (rc == 0)
		rc = node_time(node_get(root, "next"), &f.next, err);
	if (rc == 0)
		rc = rows_decode(node_get(root, "places"), "how", &f.place, err);
	if (rc == 0)
		rc = rows_decode(node_get(root, "sticks"), "state", &f.removable, err);
	if (rc < 0)
		return rc;
	*ret = f;
	memset(&f, 0, sizeof(f));
	return 0;
}

int watchfile_write(int dirfd, struct bytes text, struct err *err)
{
	return durable_write(dirfd, WATCHFILE, text, 0644, DURABLE_REPLACE, err);
}

int watchfile_read(int dirfd, struct watchfile *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = file_read(dirfd, WATCHFILE, WATCHFILE_BYTES, &text, err);

	if (rc == RC_ABSENT)
		return 0;
	if (rc == 0)
		rc = watchfile_decode(bytes_in(&text), ret, err);
	return rc < 0 ? rc : 1;
}

bool watchfile_runs(const struct watchfile *f)
{
	return f->process > 0 && f->process <= INT32_MAX &&
	       (kill((pid_t)f->process, 0) == 0 || errno == EPERM);
}
