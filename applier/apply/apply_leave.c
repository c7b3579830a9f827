/* SPDX-License-Identifier: ISC */
/*
 * Leaving: what a tree brought is removed, unless somebody changed it.  Who may write to the target
 * can put something else under a name between a look and a removal.  So each entry is taken out
 * first, into the staging area, is judged there, and is removed or put back.
 *
 * Can be cut off and run again: what was removed is gone, and the rest is judged as before.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"

struct leaving {
	struct apply *a;     /* borrowed */
	struct strings dirs; /* owned; directories, parents first */
	uint64_t kept;       /* files that somebody changed */
	uint32_t n;          /* of the next slot */
};

static int slot_back(struct leaving *l, const char *path, const char *slot, struct err *err)
{
	const char *name;
	int fd = dirs_parent(&l->a->dirs, path, &name, ERR_IGNORED);

	l->kept++;
	if (fd >= 0 && move_entry(l->a->stage.fd, slot, fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	return keep_slot(l->a, slot, path, err);
}

/** The rename changed its ctime, so that the rest of what stat says has to do. */
static int slot_judge(struct leaving *l, const char *path, const char *slot, const struct seen *was,
		      struct err *err)
{
	struct seen now;
	int rc = seen_at(l->a->stage.fd, slot, &now, err);

	if (rc <= 0)
		return rc;
	if (!seen_same(was, &now))
		return slot_back(l, path, slot, err);
	if (unlinkat(l->a->stage.fd, slot, 0) < 0)
		return err_sys(err, RC_IO, "cannot remove %s", path);
	return 0;
}

static int leave_entry(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct leaving *l = arg;
	struct apply *a = l->a;
	const char *name;
	char slot[16];
	struct seen s;
	int fd;

	if (e->kind == ENTRY_DIRECTORY)
		return strings_add(&l->dirs, path, err);
	fd = dirs_parent(&a->dirs, path, &name, ERR_IGNORED);
	if (fd < 0 || seen_at(fd, name, &s, ERR_IGNORED) <= 0)
		return 0; /* gone, or no longer where we put it */
	if (!row_certain(e, &s)) {
		l->kept++;
		return 0;
	}
	if (a->stage.fd < 0 && stage_open(a, err) < 0)
		return err->rc;
	stage_slot(slot, 'o', ++l->n);
	if (move_entry(fd, name, a->stage.fd, slot, RENAME_NOREPLACE) < 0)
		return errno == ENOENT ? 0 : err_sys(err, RC_IO, "cannot remove %s", path);
	return slot_judge(l, path, slot, &s, err);
}

/** Children first; one that holds something else stays. */
static int leave_dirs(struct leaving *l, struct err *err)
{
	for (size_t i = l->dirs.n; i-- > 0;) {
		const char *path = l->dirs.items[i], *name;
		int fd = dirs_parent(&l->a->dirs, path, &name, ERR_IGNORED);

		if (fd >= 0 && unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
		    errno != EEXIST && errno != ENOENT && errno != ENOTDIR)
			return err_sys(err, RC_IO, "cannot remove the directory %s", path);
	}
	return 0;
}

static int leave_all(struct leaving *l, struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	struct apply *a = l->a;
	struct applied now;

	if (applied_load(a->s, a->t->tree, &now, err) < 0 || area_mark(a, true, err) < 0 ||
	    index_open(a->s->db, a->t->tree, &x, err) < 0)
		return err->rc;
	a->run.generation = now.generation; /* of which the kept ones are a change */
	if (index_walk(x, leave_entry, l, err) < 0)
		return err->rc;
	stage_remove(a);
	if (leave_dirs(l, err) < 0)
		return err->rc;
	return syncfs(a->targetfd) == 0 ? 0
					: err_sys(err, RC_IO, "cannot flush %s", target_name(a->t));
}

int apply_leave(struct station *s, const struct apply_target *target, uint64_t *ret_kept,
		struct err *err)
{
	OWNED(freep) struct apply *a = calloc(1, sizeof(*a));
	struct leaving l = {.a = a};
	int rc;

	if (a == NULL)
		return err_memory(err);
	rc = apply_open(a, s, target, err);
	if (rc == 0 && a->targetfd >= 0)
		rc = leave_all(&l, err);
	strings_clear(&l.dirs);
	apply_clear(a);
	if (rc == 0)
		*ret_kept = l.kept;
	return rc;
}
