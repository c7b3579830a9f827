#include "applier/sync_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

void sync_place_clear(struct sync_place *p)
{
	free(p->path);
	p->path = NULL;
	if (p->rootfd > 0)
		fd_closep(&p->rootfd);
}

int sync_place_load(struct station *s, const char *tree, struct sync_place *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT path, owners, special_modes, on_leave, head FROM target "
			  "WHERE tree = ?",
			  &st, err);

	memset(ret, 0, sizeof(*ret));
	ret->rootfd = -1;
	ret->tree = tree;
	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	ret->path = strdup(db_text(st, 0));
	if (ret->path == NULL)
		return err_memory(err);
	ret->owners = db_i64(st, 1) != 0;
	ret->special_modes = db_i64(st, 2) != 0;
	snprintf(ret->on_leave, sizeof(ret->on_leave), "%s", db_text(st, 3));
	if (!db_digest(st, 4, &ret->head))
		memset(&ret->head, 0, sizeof(ret->head));
	return 1;
}

int sync_place_keep(struct station *s, const struct sync_place *p, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO target "
		      "(tree, path, owners, special_modes, on_leave, head) "
		      "VALUES (?, ?, ?, ?, ?, ?)",
		      "ttiitd", p->tree, p->path, (int64_t)p->owners, (int64_t)p->special_modes,
		      p->on_leave, &p->head);
}

/*
 * Below the descriptor that apply gets, neither a link nor another mount is entered.  What lies
 * above it is the owner's own word: the deepest directory of allow: that holds the path, else the
 * root, else (when they have changed since) the whole machine.
 */
static const char *place_base(const struct station *s, const char *path)
{
	const char *best = station_within(path, s->root) ? s->root : "/";

	for (size_t i = 0; i < s->allows; i++)
		if (station_within(path, s->allow[i]) && strlen(s->allow[i]) > strlen(best))
			best = s->allow[i];
	return best;
}

static int dirs_make(const char *path, struct err *err)
{
	OWNED(freep) char *copy = strdup(path);

	if (copy == NULL)
		return err_memory(err);
	for (char *p = copy + 1;; p++) {
		char was = *p;

		if (was != '/' && was != '\0')
			continue;
		*p = '\0';
		if (copy[1] != '\0' && mkdir(copy, 0755) < 0 && errno != EEXIST)
			return err_sys(err, RC_IO, "cannot make %s", copy);
		*p = was;
		if (was == '\0')
			return 0;
	}
}

int sync_place_target(struct station *s, struct sync_place *p, struct apply_target *ret,
		      struct err *err)
{
	const char *base = place_base(s, p->path);
	const char *path = p->path + (base[1] == '\0' ? 0 : strlen(base));

	if (p->rootfd < 0) {
		if (dirs_make(base, err) < 0)
			return err_prefix(err, "a directory of %s", s->config);
		p->rootfd = os_open_dir(base, err);
	}
	if (p->rootfd < 0)
		return err_prefix(err, "a directory of %s", s->config);
	memset(ret, 0, sizeof(*ret));
	ret->tree = p->tree;
	ret->rootfd = p->rootfd;
	ret->path = *path == '/' ? path + 1 : path;
	ret->shown = p->path;
	ret->owners = p->owners;
	ret->special_modes = p->special_modes;
	ret->local = s->local;
	return 0;
}

static int recover_one(struct station *s, const char *tree, struct err *err)
{
	OWNED(sync_place_clear) struct sync_place p = {.rootfd = -1};
	struct apply_target target = {
	    .tree = TREE_PRIVATE, .rootfd = s->statefd, .path = "private", .local = LOCAL_REPLACE};
	int rc = 1;

	if (strcmp(tree, TREE_PRIVATE) != 0) {
		rc = sync_place_load(s, tree, &p, err);
		if (rc == 1)
			rc = sync_place_target(s, &p, &target, err);
	}
	if (rc < 0)
		return rc;
	rc = apply_recover(s, &target, err);
	if (rc == 1)
		say_info(s->say, "finished what an interrupted run left in %s",
			 p.path == NULL ? "the private channel" : p.path);
	return rc;
}

int sync_trees(struct station *s, char ***ret, size_t *ret_n, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT tree FROM target ORDER BY tree", &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = station_list_add(ret, ret_n, db_text(st, 0), err);
	return rc;
}

int sync_recover(struct sync *y, struct err *err)
{
	char **tree = NULL;
	size_t trees = 0;
	int rc = station_list_add(&tree, &trees, TREE_PRIVATE, err);

	if (rc == 0)
		rc = sync_trees(y->s, &tree, &trees, err);
	for (size_t i = 0; rc == 0 && i < trees; i++) {
		struct err bad = {0};

		if (recover_one(y->s, tree[i], &bad) < 0)
			rc = sync_event(y, &bad, err);
	}
	station_list_free(&tree, &trees);
	return rc;
}
