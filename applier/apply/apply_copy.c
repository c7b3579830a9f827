/* SPDX-License-Identifier: ISC */
/*
 * Copies.  A line says where to look first, but the digest decides: what is not there (because it
 * was edited here) is looked for elsewhere, in rounds, each handed to the threads as a whole.
 *
 *   from the base         the source's path on disk -> any path that the index has for the digest
 *                         (that of the very path when only owner or mode change, but not in place)
 *   from this bundle      where the source was staged -> its path on disk, where it was equal and
 * so was not staged -> any path of the index
 *
 * Those from the base come first, because those from this bundle may stand on them.
 */
#include <string.h>

#include "applier/apply/apply_fill.h"
#include "core/base/own.h"

#define ROUNDS 3
/* A list that was made here: the path itself, equal contents of the target, what was fetched, what
 * was kept of earlier generations. */
#define LOCAL_EQUAL  4u
#define LOCAL_ROUNDS (1 + LOCAL_EQUAL + 1 + PAST_PLACES)

/** Where the source of a copy was staged: 1 found, 0 it was not. */
static int staged_source(struct fill *f, char dst[LIMIT_PATH + 32], struct err *err)
{
	OWNED(freep) struct change *source = malloc(sizeof(*source));
	const struct line *l;
	uint64_t line;
	int rc;

	if (source == NULL)
		return err_memory(err);
	rc = changelist_find(&f->a->list, f->c->source, source, &line, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || source->kind != ENTRY_FILE || source->op == CHANGE_DELETE ||
	    source->op == CHANGE_META || !digest_equal(&source->digest, &f->c->digest))
		return err_set(err, RC_MALFORMED, "%s: copies %s, which this bundle does not bring",
			       f->c->path, f->c->source);
	l = &f->a->line[line];
	if (l->ino == 0 || l->op == 0 || l->action == LINE_META)
		return 0;
	if (l->action != LINE_TREE)
		stage_path(dst, l->op, "", 0);
	else if (fill_root(f, l, err) < 0)
		return err->rc;
	else
		stage_path(dst, l->op, source->path, strlen(f->root));
	return 1;
}

/** The same for a list that was made here. */
static int candidate_local(struct fill *f, char dst[LIMIT_PATH + 32], int *ret_fd, struct err *err)
{
	unsigned round = f->round;

	*ret_fd = f->a->targetfd;
	if (round == 0) {
		memcpy(dst, f->c->source, strlen(f->c->source) + 1);
		return 1;
	}
	if (round <= LOCAL_EQUAL)
		return index_find_next(f->a->index, &f->c->digest, round - 1, dst, err);
	if (round == LOCAL_EQUAL + 1) {
		digest_hex(dst, &f->c->digest);
		*ret_fd = f->a->local->contentfd;
		return *ret_fd >= 0;
	}
	*ret_fd = past_content(f->a, &f->c->digest, round - LOCAL_EQUAL - 2, dst, err);
	return *ret_fd < -1 ? *ret_fd : *ret_fd >= 0;
}

static unsigned rounds_of(const struct fill *f)
{
	return f->a->local != NULL ? LOCAL_ROUNDS : ROUNDS;
}

static int nowhere(struct fill *f, struct err *err)
{
	if (f->a->local != NULL)
		return err_set(err, RC_ABSENT,
			       "%s: its content is not on this machine any more, neither in the "
			       "target nor in what was kept of earlier generations",
			       f->c->path);
	return err_set(err, RC_AGAIN,
		       "%s: copies %s, which has changed since; this needs a full bundle",
		       f->c->path, f->c->source);
}

/** What this round tries: 1 with a path below ${*ret_fd}, 0 nothing. */
static int candidate(struct fill *f, char dst[LIMIT_PATH + 32], int *ret_fd, struct err *err)
{
	unsigned round = f->round + (f->c->source_new ? 0 : 1);

	if (f->a->local != NULL)
		return candidate_local(f, dst, ret_fd, err);
	*ret_fd = round == 0 ? f->a->stage.fd : f->a->targetfd;
	if (round == 0)
		return staged_source(f, dst, err);
	if (round > 1)
		return round == 2 ? index_find(f->a->index, &f->c->digest, dst, err) : 0;
	memcpy(dst, f->c->source, strlen(f->c->source) + 1);
	return 1;
}

static int copy_line(struct fill *f, bool from_new, struct err *err)
{
	const struct line *l = &f->a->line[f->line];
	char source[LIMIT_PATH + 32], staged[LIMIT_PATH + 32];
	const char *name;
	struct file_spec w;
	int fd, rc;

	if (f->c->source_new != from_new || l->ino != 0 ||
	    (l->action != LINE_TREE && l->action != LINE_PLACE))
		return 0;
	f->tried++;
	if (f->round == rounds_of(f))
		return nowhere(f, err);
	rc = candidate(f, source, &fd, err);
	if (rc <= 0)
		return rc;
	if (fill_root(f, l, err) < 0 || fill_want(f, &w, err) < 0 ||
	    fill_place(f, staged, &name, err) < 0 ||
	    pool_copy(f->pool, fd, source, f->c->path, &w, err) < 0)
		return err->rc;
	if (f->round == 0)
		fill_done(f, w.size);
	return 0;
}

static int copy_new(struct fill *f, struct err *err)
{
	return f->c->op == CHANGE_COPY ? copy_line(f, true, err) : 0;
}

static int copy_base(struct fill *f, struct err *err)
{
	if (f->c->op != CHANGE_META)
		return copy_line(f, false, err);
	if (f->a->line[f->line].action != LINE_PLACE)
		return 0;
	if (base_of(f, err) < 0)
		return err->rc;
	memcpy(f->c->source, f->c->path, strlen(f->c->path) + 1);
	f->c->source_new = false;
	return copy_line(f, false, err);
}

static int copy_rounds(struct fill *f, int (*each)(struct fill *f, struct err *err),
		       struct err *err)
{
	static const char *const words[] = {"copy ", "meta file ", NULL};

	for (f->round = 0; f->round <= rounds_of(f); f->round++) {
		f->tried = 0;
		if (fill_each(f, words, each, err) < 0 || pool_wait(f->pool, err) < 0)
			return err->rc;
		if (f->tried == 0)
			break;
	}
	return 0;
}

int copies_fill(struct fill *f, struct err *err)
{
	if (f->a->b->manifest->count[CHANGE_COPY] == 0 && f->a->renewed == 0)
		return 0;
	return copy_rounds(f, copy_base, err) < 0 ? err->rc : copy_rounds(f, copy_new, err);
}
