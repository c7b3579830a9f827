/* SPDX-License-Identifier: ISC */
/*
 * Where each tree lies on this machine.  Kept, so that recovery and leaving find it whatever the
 * private channel says by then.
 */
#include "applier/trees/tree.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station/station_config.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

static const char tree_tables[] = "CREATE TABLE target ("
				  " tree TEXT PRIMARY KEY,"
				  " path TEXT NOT NULL," /* on this machine */
				  " owners INTEGER NOT NULL,"
				  " special_modes INTEGER NOT NULL,"
				  " on_leave TEXT NOT NULL," /* 'keep' or 'remove' */
				  " head BLOB NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const tree_steps[] = {tree_tables};
const struct db_schema station_tree_schema = DB_SCHEMA("target", tree_steps);

void tree_place_clear(struct tree_place *p)
{
	free(p->path);
	p->path = NULL;
	if (p->rootfd > 0)
		fd_closep(&p->rootfd);
}

int tree_place_load(struct station *s, const char *tree, struct tree_place *ret, struct err *err)
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
	ret->remove = strcmp(db_text(st, 3), "remove") == 0;
	if (!db_digest(st, 4, &ret->head))
		memset(&ret->head, 0, sizeof(ret->head));
	return 1;
}

int tree_place_put(struct station *s, const struct tree_place *p, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO target "
		      "(tree, path, owners, special_modes, on_leave, head) "
		      "VALUES (?, ?, ?, ?, ?, ?)",
		      "ttiitd", p->tree, p->path, (int64_t)p->owners, (int64_t)p->special_modes,
		      p->remove ? "remove" : "keep", &p->head);
}

/*
 * Below the descriptor that apply gets, neither a link nor another mount is entered.  What lies
 * above it is the owner's own word: the deepest directory of allow: that holds the path, else the
 * root, else (when they have changed since) the whole machine.
 */
static const char *place_base(const struct station *s, const char *path)
{
	const char *best = station_within(path, s->root) ? s->root : "/";

	for (size_t i = 0; i < s->allow.n; i++)
		if (station_within(path, s->allow.items[i]) &&
		    strlen(s->allow.items[i]) > strlen(best))
			best = s->allow.items[i];
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

int tree_place_target(struct station *s, struct tree_place *p, struct apply_target *ret,
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

struct apply_target tree_private_target(const struct station *s)
{
	return (struct apply_target){
	    .tree = TREE_PRIVATE, .rootfd = s->statefd, .path = "private", .local = LOCAL_REPLACE};
}

int tree_recover(struct station *s, const char *tree, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place p = TREE_PLACE_INIT;
	struct apply_target target = tree_private_target(s);
	int rc = 1;

	if (strcmp(tree, TREE_PRIVATE) != 0) {
		rc = tree_place_load(s, tree, &p, err);
		if (rc == 1)
			rc = tree_place_target(s, &p, &target, err);
	}
	if (rc < 0)
		return rc;
	rc = apply_recover(s, &target, err);
	if (rc == 1)
		reporter_info(s->reporter, "finished what an interrupted run left in %s",
			      p.path == NULL ? "the private channel" : p.path);
	return rc;
}

int tree_list(struct station *s, struct strings *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT tree FROM target ORDER BY tree", &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = strings_add(ret, db_text(st, 0), err);
	return rc;
}
