/* SPDX-License-Identifier: ISC */
/*
 * Reading the private channel: by the index, so that only what was published is ever believed.
 */
#include "applier/private/private.h"

#include <stdio.h>
#include <string.h>

#include "applier/apply/applied.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

int private_open(struct station *s, struct private_tree *ret, struct err *err)
{
	struct private_tree t = {.s = s, .dirfd = beneath_dir(s->statefd, PRIVATE_DIR, err)};
	int rc = t.dirfd < 0 ? t.dirfd : index_open(s->db, TREE_PRIVATE, &t.index, err);

	if (rc < 0) {
		private_close(&t);
		return rc;
	}
	*ret = t;
	return 0;
}

void private_close(struct private_tree *t)
{
	fd_closep(&t->dirfd);
	t->index = index_free(t->index);
}

int private_digest(struct private_tree *t, const char *path, struct digest *ret, struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	int rc = e == NULL ? err_memory(err) : index_get(t->index, path, e, err);

	if (rc <= 0 || e->kind != ENTRY_FILE)
		return rc < 0 ? rc : 0;
	*ret = e->digest;
	return 1;
}

int private_read(struct private_tree *t, const char *path, struct buf *ret, struct err *err)
{
	struct digest want, is;
	int rc = private_digest(t, path, &want, err);

	if (rc == 0)
		return err_set(err, RC_STATE, "the private channel has no %s", path);
	if (rc < 0)
		return rc;
	if (file_read(t->dirfd, path, LIMIT_DOCUMENT, ret, err) < 0)
		return err_prefix(err, "%s/" PRIVATE_DIR "/%s", t->s->state, path);
	is = digest_of(bytes_in(ret));
	if (!digest_equal(&is, &want))
		return err_set(err, RC_STATE, "%s/" PRIVATE_DIR "/%s was changed on this machine",
			       t->s->state, path);
	return 0;
}

static int intact_each(void *arg, const char *path, const struct entry *e, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_SECRET;

	return e->kind == ENTRY_FILE ? private_read(arg, path, &text, err) : 0;
}

int private_intact(struct private_tree *t, struct err *err)
{
	return index_walk(t->index, intact_each, t, err);
}

struct names {
	const char *suffix;
	struct strings *ret; /* borrowed */
};

static int names_each(void *arg, const char *name, const struct entry *e, struct err *err)
{
	struct names *list = arg;
	size_t len = strlen(name), end = strlen(list->suffix);

	if (e->kind != ENTRY_FILE || len <= end || strcmp(name + len - end, list->suffix) != 0)
		return 0;
	return strings_add(list->ret, name, err);
}

int private_files(struct private_tree *t, const char *dir, const char *suffix, struct strings *ret,
		  struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	struct names list = {suffix, ret};
	int rc = e == NULL ? err_memory(err) : index_get(t->index, dir, e, err);

	if (rc == 1)
		rc = index_children(t->index, dir, names_each, &list, err);
	return rc < 0 ? rc : 0;
}

int private_generation(struct station *s, uint64_t *ret, struct err *err)
{
	struct applied now = {0};
	int rc = applied_load(s, TREE_PRIVATE, &now, err);

	*ret = now.generation;
	return rc;
}

int private_membership(struct private_tree *t, struct membership *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = private_read(t, "workstation.yaml", &text, err);

	if (rc == 0)
		rc = membership_decode(bytes_in(&text), "workstation.yaml", ret, err);
	if (rc < 0)
		return rc;
	if (!digest_equal(&ret->site, &t->s->site) || strcmp(ret->id, t->s->id) != 0)
		return err_set(err, RC_ADDRESSEE,
			       "the private channel is made for another site or workstation");
	return 0;
}
