/* SPDX-License-Identifier: ISC */
/*
 * What a run takes out is kept for a while, so that the generation before can come back without a
 * depot: the staging area, where the old contents are anyway, is not cleared but given another name
 * and another mark, and the database says what every path was (applier/undo/undo.h).  That costs no
 * copy and no second rename of any file.
 *
 *   committed with step.staged = name of the staging area
 *     -> cleared of everything else -> other mark -> other name, flushed -> step.staged = ''
 *
 * A run that dies between two of these is finished by the next one; an area that is lost meanwhile
 * is lost, because nothing is believed of an old content before it was hashed again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/dir.h"
#include "core/os/random.h"

#define PAST_NAME ".satchel-undo"

static struct undo_generation generation_of(const struct applied *a)
{
	return (struct undo_generation){a->epoch, a->generation, a->tree};
}

static bool same_generation(const struct undo_generation *a, const struct undo_generation *b)
{
	return a->epoch == b->epoch && a->generation == b->generation &&
	       digest_equal(&a->tree, &b->tree);
}

/* Recorded */

struct recording {
	struct apply *a;
	int64_t step;
	struct entry e; /* what the index has at a path */
};

static int record_line(struct recording *r, const struct change *c, const struct line *l,
		       struct err *err)
{
	int rc = index_get(r->a->index, c->path, &r->e, err);
	bool out = l->action == LINE_PLACE || l->action == LINE_OUT;

	if (rc < 0)
		return rc;
	return undo_add_entry(r->a->s, r->step, c->path, rc > 0 ? &r->e : NULL,
			      rc > 0 && out && r->e.kind == ENTRY_FILE ? l->op : 0, err);
}

static int record_lines(struct recording *r, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader line_reader = {0};
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	int rc;

	if (c == NULL)
		return err_memory(err);
	if (line_reader_open(&r->a->list, &line_reader, err) < 0)
		return err->rc;
	while ((rc = line_reader_next(&line_reader, c, err)) > 0)
		if (record_line(r, c, &r->a->line[line_reader.line - 1], err) < 0)
			return err->rc;
	return rc;
}

static int step_make(struct apply *a, const struct applied *before, const struct applied *now,
		     int64_t *ret, struct err *err)
{
	struct undo_step step = {
	    .from = generation_of(before), .to = generation_of(now), .inside = a->stage.inside};
	struct undo_generation rest;
	char hex[RANDOM_HEX];
	int rc = undo_health_load(a->s, a->t->tree, &rest, err);

	if (rc < 0)
		return rc;
	step.rest = rc == 0 || same_generation(&rest, &step.from);
	if (index_salted(a->index, &step.salt, err) < 0 || random_hex(hex, 16, err) < 0)
		return err->rc;
	snprintf(step.staged, sizeof(step.staged), "%s", a->stage.name);
	snprintf(step.area, sizeof(step.area), PAST_NAME "-%s-%.8s", a->t->tree, hex);
	snprintf(step.mark, sizeof(step.mark), PATH_RESERVED "%s", hex);
	if (undo_add(a->s, a->t->tree, &step, err) < 0)
		return err->rc;
	*ret = step.id;
	return 0;
}

/** Steps are a chain from what is held; one that does not end there leads nowhere. */
static int chain_check(struct apply *a, const struct applied *before, struct err *err)
{
	const struct undo_generation held = generation_of(before);
	struct undo_step newest;
	int rc = undo_newest(a->s, a->t->tree, 0, &newest, err);

	if (rc <= 0 || same_generation(&newest.to, &held))
		return rc < 0 ? rc : 0;
	return undo_over(a->s, a->t->tree, 0, err);
}

int past_record(struct apply *a, struct err *err)
{
	const struct applied now = {a->run.epoch, a->run.generation, a->run.tree};
	OWNED(freep) struct recording *r = NULL;
	struct applied before;
	char why[8];
	int64_t step;
	int intent = undo_intent_load(a->s, a->t->tree, &step, why, sizeof(why), err);

	if (intent < 0 || applied_load(a->s, a->t->tree, &before, err) < 0)
		return err->rc;
	if (intent != UNDO_FORWARD || before.generation == 0 || a->s->undo_keep == 0 ||
	    strcmp(a->t->tree, TREE_PRIVATE) == 0 || !applied_later(&now, &before))
		return 0;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_memory(err);
	r->a = a;
	if (chain_check(a, &before, err) < 0 || step_make(a, &before, &now, &r->step, err) < 0)
		return err->rc;
	return record_lines(r, err);
}

/** Gone back: what was held until now stays the floor under everything that comes. */
static int went_back(struct apply *a, const struct applied *before, int64_t step, const char *why,
		     struct err *err)
{
	struct undo_floor f = {.accepted = generation_of(before)}, was;
	int rc = undo_floor_load(a->s, a->t->tree, &was, err);

	if (rc > 0 && applied_later(&(struct applied){.epoch = was.accepted.epoch,
						      .generation = was.accepted.generation},
				    before))
		f.accepted = was.accepted;
	snprintf(f.why, sizeof(f.why), "%s", why);
	if (rc < 0 || undo_floor_put(a->s, a->t->tree, &f, err) < 0 ||
	    undo_over(a->s, a->t->tree, step, err) < 0)
		return err->rc;
	return undo_health_drop(a->s, a->t->tree, err);
}

int past_commit(struct apply *a, const struct applied *before, const struct applied *now,
		struct err *err)
{
	struct undo_floor floor;
	char why[sizeof(floor.why)];
	int64_t step = 0;
	int intent = undo_intent_load(a->s, a->t->tree, &step, why, sizeof(why), err), rc;

	if (intent == UNDO_BACK && went_back(a, before, step, why, err) < 0)
		return err->rc;
	if (intent < 0 || undo_intent_put(a->s, a->t->tree, UNDO_FORWARD, 0, "", err) < 0)
		return err->rc;
	if (intent != UNDO_FORWARD)
		return 0;
	rc = undo_floor_load(a->s, a->t->tree, &floor, err);
	if (rc <= 0)
		return rc;
	return applied_later(&(struct applied){.epoch = floor.accepted.epoch,
					       .generation = floor.accepted.generation},
			     now)
		   ? 0
		   : undo_floor_drop(a->s, a->t->tree, err);
}

int past_floor(const struct apply *a, const struct applied *offered, struct err *err)
{
	struct undo_floor floor;
	struct applied accepted;
	int rc = undo_floor_load(a->s, a->t->tree, &floor, err);

	if (rc <= 0)
		return rc;
	accepted =
	    (struct applied){floor.accepted.epoch, floor.accepted.generation, floor.accepted.tree};
	if (applied_later(offered, &accepted) ||
	    (floor.why[0] == '\0' && !applied_later(&accepted, offered)))
		return 0;
	return err_set(
	    err, RC_REPLAY,
	    "%s: generation %llu of epoch %llu was left again here, and only a later one "
	    "is applied",
	    a->t->tree, (unsigned long long)offered->generation,
	    (unsigned long long)offered->epoch);
}

/* Settled */

struct settling {
	struct apply *a;
	const struct undo_step *step;
	uint64_t bytes;
};

/** Old contents stay; everything else goes as it would have gone without them. */
static int settle_entry(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct settling *w = arg;
	struct stat st;
	int rc = 0;

	if (strcmp(entry->name, w->a->mark) == 0 || strcmp(entry->name, w->step->mark) == 0 ||
	    fstatat(entry->dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISREG(st.st_mode))
		rc = undo_slots(w->a->s, w->step->id, (uint32_t)strtoul(entry->name + 1, NULL, 10),
				err);
	if (rc > 0)
		w->bytes += (uint64_t)st.st_size;
	return rc != 0 ? (rc < 0 ? rc : 0) : area_clear_entry(w->a, entry, err);
}

static int area_rename(struct apply *a, const struct undo_step *step, struct err *err)
{
	struct stage *st = &a->stage;

	/* The old mark goes when the new one is on the disk: without one, it would be nobody's. */
	if ((mkdirat(st->fd, step->mark, 0700) < 0 && errno != EEXIST) || fsync(st->fd) < 0)
		return err_sys(err, RC_IO, "cannot mark it");
	if (unlinkat(st->fd, a->mark, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot mark it");
	if (move_entry(st->holderfd, st->name, st->holderfd, step->area, RENAME_NOREPLACE) < 0 ||
	    fsync(st->holderfd) < 0)
		return err_sys(err, RC_IO, "cannot rename it");
	return 0;
}

static int settle(struct apply *a, const struct undo_step *step, struct err *err)
{
	struct settling w = {.a = a, .step = step};
	OWNED(db_tx_end) struct db_tx tx = {0};

	if (dir_each(a->stage.fd, ".", 0, settle_entry, &w, err) < 0 ||
	    area_rename(a, step, err) < 0 || db_tx_begin(&tx, a->s->db, err) < 0 ||
	    undo_bytes(a->s, step->id, w.bytes, err) < 0 || undo_settled(a->s, step->id, err) < 0)
		return err->rc;
	return db_tx_commit(&tx, err);
}

/** With the mark of a step for that of the run: so its area can be told.  One that is to go may
 * have lost its mark in a run that was cut off, and is empty then. */
static int area_of(struct apply *a, int holderfd, const char *name, const char *mark, bool goes)
{
	char own[sizeof(a->mark)];
	int fd;

	memcpy(own, a->mark, sizeof(own));
	snprintf(a->mark, sizeof(a->mark), "%.*s", (int)sizeof(a->mark) - 1, mark);
	fd = area_open(a, holderfd, name, !goes);
	memcpy(a->mark, own, sizeof(own));
	return fd;
}

/* The budget */

/** The area of a step: 1 with its holder open, 0 it is not there (or its holder is not). */
static int step_open(struct apply *a, const struct undo_step *step, bool goes, int *ret_holderfd,
		     int *ret_fd)
{
	*ret_fd = -1;
	*ret_holderfd = stage_holder_open(a, step->inside, ERR_IGNORED);
	if (*ret_holderfd < 0)
		return 0;
	*ret_fd = area_of(a, *ret_holderfd, step->area, step->mark, goes);
	return *ret_fd >= 0;
}

static int step_remove(struct apply *a, const struct undo_step *step, struct err *err)
{
	OWNED(fd_closep) int holderfd = -1;
	OWNED(fd_closep) int fd = -1;
	char own[sizeof(a->mark)];
	int rc = 0;

	if (step_open(a, step, true, &holderfd, &fd) > 0) {
		memcpy(own, a->mark, sizeof(own));
		snprintf(a->mark, sizeof(a->mark), "%.*s", (int)sizeof(a->mark) - 1, step->mark);
		rc = area_remove(a, holderfd, step->area, fd, err);
		memcpy(a->mark, own, sizeof(own));
	}
	return rc < 0 ? rc : undo_drop(a->s, step->id, err);
}

static int prune_over(struct apply *a, struct err *err)
{
	struct undo_step step;
	int rc = 0;

	while (rc == 0 && (rc = undo_over_next(a->s, a->t->tree, &step, err)) > 0)
		rc = step_remove(a, &step, err);
	return rc;
}

/** The steps that are more than the owner wants to keep, and those that lead nowhere. */
static int prune(struct apply *a, uint64_t keep, uint64_t limit, struct err *err)
{
	struct undo_step step;
	uint64_t n = 0, bytes = 0;
	int64_t before = 0;
	int rc;

	while ((rc = undo_newest(a->s, a->t->tree, before, &step, err)) > 0) {
		before = step.id;
		bytes += step.bytes;
		if (n < keep && bytes <= limit) {
			n += step.rest;
			continue;
		}
		if (step.staged[0] == '\0' && step_remove(a, &step, err) < 0)
			return err->rc;
	}
	return rc < 0 ? rc : prune_over(a, err);
}

static void prune_told(struct apply *a, uint64_t keep, uint64_t limit)
{
	struct err why = {0};

	if (prune(a, keep, limit, &why) < 0)
		reporter_warning(a->s->reporter,
				 "what is kept of earlier generations of %s could not be removed "
				 "(%.300s); the next run tries again",
				 target_name(a->t), why.text);
}

void past_settle(struct apply *a)
{
	struct undo_step step;
	struct err why = {0};
	int rc = a->stage.fd < 0 ? 0 : undo_waiting(a->s, a->t->tree, &step, &why);

	if (rc > 0 && strcmp(step.staged, a->stage.name) == 0) {
		rc = settle(a, &step, &why);
		if (rc == 0) {
			fd_closep(&a->stage.fd);
			fd_closep(&a->stage.holderfd);
		}
	} else if (rc >= 0) {
		stage_remove(a);
	}
	if (rc < 0)
		reporter_warning(a->s->reporter,
				 "what %s was before could not be put aside (%.300s); the next run "
				 "tries again",
				 target_name(a->t), why.text);
	fd_closep(&a->stage.fd);
	fd_closep(&a->stage.holderfd);
	prune_told(a, a->s->undo_keep, a->s->undo_bytes);
}

/** The area of a step that waits, under whichever name and mark it has by now. */
static int waiting_find(struct apply *a, const struct undo_step *step)
{
	struct stage *st = &a->stage;

	st->inside = step->inside;
	st->holderfd = stage_holder_open(a, step->inside, ERR_IGNORED);
	if (st->holderfd < 0)
		return 0;
	snprintf(st->name, sizeof(st->name), "%.*s", (int)sizeof(st->name) - 1, step->staged);
	st->fd = area_open(a, st->holderfd, step->staged, true);
	if (st->fd < 0)
		st->fd = area_of(a, st->holderfd, step->staged, step->mark, false);
	if (st->fd >= 0)
		return 1;
	st->fd = -1;
	fd_closep(&st->holderfd);
	return 0;
}

int past_recover(struct apply *a, struct err *err)
{
	struct undo_step step;
	int rc = undo_waiting(a->s, a->t->tree, &step, err);

	if (rc > 0 && waiting_find(a, &step) > 0)
		past_settle(a);
	else if (rc > 0) /* it has its name, or is lost */
		rc = undo_settled(a->s, step.id, err);
	return rc < 0 ? rc : prune_over(a, err);
}

bool past_release(struct apply *a)
{
	struct undo_step step;

	if (a->local != NULL || undo_newest(a->s, a->t->tree, 0, &step, ERR_IGNORED) <= 0)
		return false;
	reporter_info(a->s->reporter,
		      "what is kept of earlier generations of %s is removed to make room",
		      target_name(a->t));
	prune_told(a, 0, 0);
	return true;
}

int apply_past_clear(struct station *s, const struct apply_target *t, struct err *err)
{
	OWNED(freep) struct apply *a = calloc(1, sizeof(*a));
	int rc;

	if (a == NULL)
		return err_memory(err);
	rc = apply_open(a, s, t, err);
	if (rc == 0)
		rc = area_mark(a, false, err);
	if (rc == 0)
		rc = past_recover(a, err);
	if (rc == 0)
		rc = prune(a, 0, 0, err);
	apply_clear(a);
	return rc;
}

/* Contents */

int past_content(struct apply *a, const struct digest *digest, unsigned n,
		 char dst[LIMIT_PATH + 32], struct err *err)
{
	struct undo_step step;
	struct past_area *at;
	uint32_t op = 0;
	int rc = undo_content(a->s, a->t->tree, digest, n / 2, &step, &op, err), holderfd;

	if (rc <= 0)
		return rc < 0 ? rc : -1;
	stage_slot(dst, n % 2 == 0 ? 'n' : 'o', op);
	for (size_t i = 0; i < a->past.n; i++)
		if (a->past.items[i].step == step.id)
			return a->past.items[i].fd;
	at = list_add(&a->past, err);
	if (at == NULL)
		return err->rc;
	at->step = step.id;
	step_open(a, &step, false, &holderfd, &at->fd);
	fd_closep(&holderfd);
	return at->fd >= 0 ? at->fd : -1;
}

void past_clear(struct apply *a)
{
	for (size_t i = 0; i < a->past.n; i++)
		fd_closep(&a->past.items[i].fd);
	list_clear(&a->past);
}
