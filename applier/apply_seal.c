/*
 * Metadata of staged directories: set when all below has its own, because a directory may forbid
 * even its owner to look inside.
 */
#include <string.h>

#include "applier/apply_fill.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

struct sealing {
	size_t len; /* of its path */
	uint32_t op, skip;
	struct meta meta;
};
struct seals {
	struct sealing level[LIMIT_DEPTH + 2];
	size_t depth;
	char path[LIMIT_PATH + 1];
};

static int seal_leave(struct fill *f, struct err *err)
{
	struct seals *s = f->seals;
	const struct sealing *l = &s->level[--s->depth];
	OWNED(fd_closep) int fd = -1;
	char staged[LIMIT_PATH + 32];

	stage_path(staged, l->op, s->path, l->skip);
	s->path[s->depth > 0 ? s->level[s->depth - 1].len : 0] = '\0';
	fd = beneath_dir(f->a->stage.fd, staged, err);
	return fd < 0 ? fd : meta_set_fd(fd, &l->meta, err);
}

static int seal_line(struct fill *f, struct err *err)
{
	const struct line *line = &f->a->line[f->line];
	const struct change *c = f->c;
	struct seals *s = f->seals;
	struct sealing *l;

	while (s->depth > 0 && !path_below(c->path, s->path))
		if (seal_leave(f, err) < 0)
			return err->rc;
	if (line->action != LINE_TREE)
		return 0;
	if (fill_root(f, line, err) < 0)
		return err->rc;
	l = &s->level[s->depth++];
	l->len = strlen(c->path);
	memcpy(s->path, c->path, l->len + 1);
	l->op = line->op;
	l->skip = (uint32_t)strlen(f->root);
	return meta_of(f->a, c->path, c->mode, c->owner, c->mtime, &l->meta, err);
}

int seals_fill(struct fill *f, struct err *err)
{
	static const char *const words[] = {"directory ", "meta directory ", NULL};
	int rc;

	f->seals = calloc(1, sizeof(*f->seals));
	if (f->seals == NULL)
		return err_memory(err);
	rc = fill_each(f, words, seal_line, err);
	while (rc == 0 && f->seals->depth > 0)
		rc = seal_leave(f, err);
	return rc;
}
