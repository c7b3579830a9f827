/*
 * The dispatcher: items are gathered to jobs, large files cut into pieces.
 */
#include <string.h>

#include "bundler/pack_internal.h"

/* What a member takes beside its content and its name: two headers (pax) and padding. */
#define MEMBER_ROOM 1536u
/* A file from here on is cut into pieces. */
#define LARGE_BYTES(p) ((p)->job_bytes - (64u << 10))

void pack_progress(struct pack *p, uint64_t done)
{
	say_progress(p->o.say, "packing", done, p->o.bytes, 0, 0);
}

/* Wait for the job that is to be filled next to be free. */
static int job_wait(struct pack *p, struct pack_job **ret, struct err *err)
{
	struct pack_job *j = pack_job_at(p, p->next);
	uint64_t done;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->stop && j->state != JOB_FREE)
		pthread_cond_wait(&p->moved, &p->lock);
	if (p->stop)
		rc = err_set(err, p->err.rc, "%s", p->err.text);
	done = p->done;
	pthread_mutex_unlock(&p->lock);
	pack_progress(p, done);
	*ret = j;
	return rc;
}

static void job_begin(struct pack *p, struct pack_job *j)
{
	j->ticket = p->next;
	j->items = 0;
	j->strings_n = 0;
	j->estimate = 0;
	j->large = NULL;
	j->offset = 0;
	j->length = 0;
	j->last = j->torn = j->redo = j->unwanted = j->written = false;
}

/* Hand the job that is being filled over. */
static void job_submit(struct pack *p, struct pack_job *j)
{
	pthread_mutex_lock(&p->lock);
	p->next++;
	p->filling = NULL;
	pack_state(p, j, JOB_FILLED);
	pthread_mutex_unlock(&p->lock);
}

static const char *job_text(struct pack_job *j, const char *text)
{
	char *at = j->strings + j->strings_n;
	size_t n = strlen(text) + 1;

	memcpy(at, text, n);
	j->strings_n += n;
	return at;
}

static size_t item_strings(const struct pack_item *it)
{
	return strlen(it->path) + strlen(it->target) + strlen(it->now.owner) +
	       strlen(it->old.owner) + 4;
}

static void job_put(struct pack_job *j, const struct pack_item *it)
{
	struct pack_item *to = &j->item[j->items];

	*to = *it;
	j->member[j->items++] = (struct pack_member){0};
	to->path = job_text(j, it->path);
	to->target = job_text(j, it->target);
	to->now.owner = job_text(j, it->now.owner);
	to->old.owner = job_text(j, it->old.owner);
}

static int job_filling(struct pack *p, struct err *err)
{
	int rc = 0;

	if (p->filling == NULL) {
		rc = job_wait(p, &p->filling, err);
		if (rc < 0)
			p->filling = NULL;
		else
			job_begin(p, p->filling);
	}
	return rc;
}

void pack_flush(struct pack *p)
{
	if (p->filling != NULL && p->filling->items > 0)
		job_submit(p, p->filling);
}

/* One piece of a large file: a job of its own. */
static int piece_add(struct pack *p, const struct pack_item *it, struct pack_large *l, uint64_t at,
		     size_t n, struct err *err)
{
	struct pack_job *j;
	int rc = job_filling(p, err);

	if (rc < 0)
		return rc;
	j = p->filling;
	job_put(j, it);
	j->large = l;
	j->offset = at;
	j->length = n;
	j->last = at + n == (uint64_t)l->st.st_size;
	job_submit(p, j);
	return 0;
}

static void large_own(struct pack *p, struct pack_large *l)
{
	pthread_mutex_lock(&p->lock);
	l->next = p->large;
	p->large = l;
	pthread_mutex_unlock(&p->lock);
}

static int add_large(struct pack *p, const struct pack_item *it, struct err *err)
{
	struct pack_large *l = NULL;
	uint64_t size, at = 0;
	int rc = pack_large_open(p, it, &l, err);

	if (rc < 0)
		return rc;
	large_own(p, l);
	size = (uint64_t)l->st.st_size; /* ${l} may be gone when its last piece was handed over */
	do {
		size_t n = size - at < p->job_bytes ? (size_t)(size - at) : p->job_bytes;

		rc = piece_add(p, it, l, at, n, err);
		at += n;
	} while (rc == 0 && at < size);
	return rc;
}

/* A content of the store that spans several frames: each of them is a piece. */
static int add_stored(struct pack *p, const struct pack_item *it, struct err *err)
{
	struct pack_item piece = *it;
	struct pack_large *l = pack_large_stored(it->now.size);
	uint64_t size = it->now.size, at = 0;
	int rc = 1;

	if (l == NULL)
		return err_memory(err);
	large_own(p, l);
	while (rc > 0) {
		struct pack_from *from = &piece.from;
		uint64_t n = from->unpacked - from->where.skip;

		if (from->where.skip >= from->unpacked)
			break;
		n = n < size - at ? n : size - at;
		rc = piece_add(p, &piece, l, at, (size_t)n, err);
		at += n;
		if (rc < 0 || at == size)
			return rc;
		from->where.frame += from->length;
		from->where.skip = 0;
		rc = p->o.find_frame(p->o.arg, from->where.pack, from->where.frame, &from->length,
				     &from->unpacked, err);
	}
	return rc < 0 ? rc
		      : err_set(err, RC_STATE,
				"the content store is damaged: %s of channel %s ends early",
				it->path, p->o.channel);
}

/* Whole frames of the store stay whole only when a job begins where they begin. */
static bool frame_ends(const struct pack *p, const struct pack_item *it)
{
	const struct pack_job *j = p->filling;

	return it->from.where.pack != 0 && j->estimate > p->job_bytes / 2 &&
	       (j->from.pack != it->from.where.pack || j->from.frame != it->from.where.frame);
}

/* Is it cut into pieces?  From the store: exactly when it was when it was packed. */
static bool is_large(const struct pack *p, const struct pack_item *it)
{
	if (it->from.where.pack != 0)
		return it->now.size > it->from.unpacked ||
		       it->from.where.skip > it->from.unpacked - it->now.size;
	return it->now.size >= LARGE_BYTES(p);
}

int pack_add(struct pack *p, const struct pack_item *it, struct err *err)
{
	size_t room = 0, strings = item_strings(it);
	int rc;

	if (it->op == PACK_CONTENT && is_large(p, it)) {
		pack_flush(p);
		return it->from.where.pack != 0 ? add_stored(p, it, err) : add_large(p, it, err);
	}
	if (it->op == PACK_CONTENT)
		room = (size_t)it->now.size + 3 * strlen(it->path) + MEMBER_ROOM;
	if (p->filling != NULL && (p->filling->items == PACK_JOB_ITEMS ||
				   p->filling->strings_n + strings > PACK_JOB_STRINGS ||
				   p->filling->estimate + room > p->job_bytes || frame_ends(p, it)))
		pack_flush(p);
	rc = job_filling(p, err);
	if (rc < 0)
		return rc;
	job_put(p->filling, it);
	p->filling->estimate += room;
	if (it->op == PACK_CONTENT)
		p->filling->from = it->from.where;
	return 0;
}
