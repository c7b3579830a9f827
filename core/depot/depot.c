/* SPDX-License-Identifier: ISC */
/*
 * Asking the helper.  Its answers come from a process that parses what strangers wrote, so each is
 * checked as if it were hostile; after silence or nonsense the helper is killed for good, because
 * a late answer could be taken for that to another question.
 */
#include "core/depot/depot.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "core/depot/helper/helper.h"
#include "core/os/dir_id.h"

/* How long an idle helper may take to end before it is killed. */
#define END_MS 1000

/*
 * A helper that was silent may speak later, and nobody could tell which question it answers: it is
 * killed, and this depot is over.
 */
static int depot_give_up(struct depot *d, int rc, struct err *err)
{
	child_kill(&d->child);
	d->dead = rc == RC_TIMEOUT ? RC_TIMEOUT : RC_IO;
	if (rc == RC_TIMEOUT) {
		err_set(err, rc,
			"the depot \"%s\" has not answered for %d seconds; check the mount or the "
			"network and try again",
			d->path, d->silence_ms / 1000);
		d->over = *err;
		return rc;
	}
	return err_set(err, RC_IO,
		       "the helper of the depot \"%s\" has ended unexpectedly; try again", d->path);
}

static int depot_answer(struct depot *d, size_t max, struct buf *ret, uint64_t total,
			struct reporter *reporter, struct err *err);

int depot_owed(struct depot *d, struct err *err)
{
	OWNED(buf_clear) struct buf answer = BUF_INIT;

	if (!d->owed)
		return 0;
	d->owed = false;
	return depot_answer(d, 0, &answer, 0, NULL, err);
}

static int depot_ask(struct depot *d, enum ask type, struct bytes question, int pass,
		     struct err *err)
{
	int64_t since;
	int rc;

	if (d->dead != 0)
		return depot_gone(d, err);
	if (question.n > ASK_MAX)
		return err_set(err, RC_LIMIT,
			       "a document of more than %u bytes for the depot \"%s\"", ASK_MAX,
			       d->path);
	rc = depot_owed(d, err);
	if (rc < 0)
		return rc;
	since = clock_monotonic_ms();
	rc = frame_send_fd(d->child.fd, (uint8_t)type, question, pass, err);
	return rc < 0 ? depot_give_up(d, rc, err) : depot_waited(d, since, err);
}

int depot_send(struct depot *d, enum ask type, struct bytes question, struct err *err)
{
	int rc = depot_ask(d, type, question, -1, err);

	d->owed = rc == 0;
	return rc;
}

int depot_malformed(struct depot *d, struct err *err)
{
	return depot_give_up(d, RC_IO, err);
}

/*
 * Codes that mean trouble of our own, after which nobody goes on.  What a share says while it is
 * read can be none of them, whatever errno it made up; no space is said of a depot that is written.
 */
static int depot_code(const struct depot *d, int rc)
{
	bool ours = rc == RC_INTERNAL || rc == RC_MEMORY || rc == RC_STATE || rc == RC_BUSY ||
		    rc == RC_USAGE;

	return ours || (rc == RC_SPACE && !d->posting) ? RC_IO : rc;
}

/* The code and sentence that the helper sent, with the depot's path before it. */
static int depot_failed(struct depot *d, const struct buf *answer, struct err *err)
{
	struct bytes in = bytes_in(answer);
	uint64_t rc, system;

	if (!field_number(&in, &rc) || !field_number(&in, &system) || rc == 0 || rc > INT16_MAX ||
	    system > INT16_MAX)
		return depot_give_up(d, RC_IO, err);
	err_set(err, depot_code(d, -(int)rc), "depot \"%s\": %.*s", d->path, (int)in.n,
		(const char *)in.p);
	errno = (int)system;
	return err->rc;
}

/* What is written is known to be good.  ${before}: how far it was the last time. */
static void depot_progress(struct depot *d, const struct buf *answer, uint64_t total,
			   struct reporter *reporter, uint64_t *before)
{
	static const char *const phases[PHASE_COUNT] = {
	    [PHASE_CHECK] = "checking what is there",
	    [PHASE_POST] = "writing to the depot",
	    [PHASE_VERIFY] = "reading back",
	};
	struct bytes in = bytes_in(answer);
	uint64_t phase, done;

	if (!field_number(&in, &phase) || phase >= PHASE_COUNT || !field_number(&in, &done))
		return;
	depot_worked(d, done > *before ? done - *before : done);
	*before = done;
	if (total > 0)
		reporter_progress(reporter, phases[phase], done, total, 0, 0);
}

/* Wait for the end of an answer; ${total} is for the progress only. */
static int depot_answer(struct depot *d, size_t max, struct buf *ret, uint64_t total,
			struct reporter *reporter, struct err *err)
{
	size_t most = max > ERR_TEXT_MAX + 16 ? max : ERR_TEXT_MAX + 16;
	uint64_t before = 0;

	for (;;) {
		int64_t since = clock_monotonic_ms();
		uint8_t type;
		int rc = frame_receive(d->child.fd, most, depot_waiting(d), &type, ret, err);

		if (depot_waited(d, since, err) < 0)
			return RC_TIMEOUT;
		if (rc <= 0)
			return depot_give_up(d, rc, err);
		if (type == TELL_DONE && ret->n <= max)
			return 0;
		if (type == TELL_FAIL)
			return depot_failed(d, ret, err);
		if (type != TELL_ALIVE)
			return depot_give_up(d, RC_IO, err);
		depot_progress(d, ret, total, reporter, &before);
	}
}

int depot_talk(struct depot *d, enum ask type, const struct buf *question, size_t max,
	       struct buf *ret, struct err *err)
{
	int rc = depot_ask(d, type, bytes_in(question), -1, err);

	return rc < 0 ? rc : depot_answer(d, max, ret, 0, NULL, err);
}

/* Paths of ours only: lower-case names, none that begins with a dot. */
static int path_check_ours(const char *path, struct err *err)
{
	const char *at = path;

	if (strlen(path) > LIMIT_PATH)
		return err_set(err, RC_PATH, "a path of more than %d bytes", LIMIT_PATH);
	for (;;) {
		size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789._-");

		if (n == 0 || n > LIMIT_NAME || at[0] == '.' || (at[n] != '/' && at[n] != '\0'))
			return err_set(err, RC_PATH, "\"%s\" is not a path that a depot has", path);
		if (at[n] == '\0')
			return 0;
		at += n + 1;
	}
}

int depot_question_path(struct buf *question, const char *path, struct err *err)
{
	int rc = path_check_ours(path, err);

	return rc < 0 ? rc : pack_text(question, path, err);
}

static int depot_start(struct depot *d, struct err *err)
{
	struct helper_start start = {d->path, (d->flags & DEPOT_CREATE) != 0,
				     (d->flags & DEPOT_NO_LINK) != 0,
				     (d->flags & DEPOT_WRITE) != 0};
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	int rc = child_start(helper_main, &start, NULL, 0, &d->child, err);

	if (rc == 0)
		rc = child_patience(&d->child, d->silence_ms, err);
	return rc < 0 ? rc : depot_answer(d, 0, &answer, 0, NULL, err);
}

int depot_open(const char *path, enum depot_flags flags, int silence_s, struct depot **ret,
	       struct err *err)
{
	OWNED(depot_freep) struct depot *d = calloc(1, sizeof(*d));
	int rc, saved;

	if (d == NULL)
		return err_memory(err);
	d->child = (struct child)CHILD_INIT;
	d->flags = flags;
	d->silence_ms = (silence_s > 0 ? silence_s : LIMIT_DEPOT_SILENCE) * 1000;
	d->budget = budget_begin();
	d->path = strdup(path);
	if (d->path == NULL)
		return err_memory(err);
	rc = depot_start(d, err);
	if (rc < 0) {
		saved = errno;
		d = depot_free(d);
		errno = saved;
		return rc;
	}
	*ret = TAKE(d);
	return 0;
}

struct depot *depot_free(struct depot *d)
{
	if (d == NULL)
		return NULL;
	if (d->child.pid > 0)
		child_end(&d->child, END_MS, NULL, ERR_IGNORED);
	free(d->path);
	free(d);
	return NULL;
}

void depot_freep(struct depot **d)
{
	*d = depot_free(*d);
}

const char *depot_path(const struct depot *d)
{
	return d->path;
}

/* One batch of a listing to the caller, who may ask other questions in between. */
static int batch_give(struct bytes in, depot_each *each, void *arg, struct err *err)
{
	char name[LIMIT_PATH + 1];
	uint64_t size;

	while (in.n > 0) {
		int rc;

		if (!field_number(&in, &size) || !field_text(&in, name))
			return err_set(err, RC_INTERNAL, "a listing that cannot be read");
		rc = each(arg, name, size, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Whatever stopped the listing is what is told. */
static void listing_stop(struct depot *d, uint64_t listing)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct err err;
	int saved = errno;

	if (d->dead == 0 && pack_number(&question, listing, &err) == 0)
		depot_talk(d, ASK_STOP, &question, 0, &answer, &err);
	errno = saved;
}

static int listing(struct depot *d, bool dirs, const char *dir, uint64_t most, depot_each *each,
		   void *arg, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	uint64_t number, seen, more = 1;
	enum ask ask = ASK_LIST;
	int rc = pack_number(&question, dirs, err);

	if (rc == 0)
		rc = pack_number(&question, most, err);
	if (rc == 0)
		rc = strcmp(dir, ".") == 0 ? pack_text(&question, dir, err)
					   : depot_question_path(&question, dir, err);
	while (rc == 0 && more != 0) {
		OWNED(buf_clear) struct buf answer = BUF_INIT;
		struct bytes in;

		rc = depot_talk(d, ask, &question, ASK_MAX, &answer, err);
		if (rc < 0)
			return rc;
		in = bytes_in(&answer);
		if (!field_number(&in, &number) || !field_number(&in, &more) ||
		    !field_number(&in, &seen))
			return depot_give_up(d, RC_IO, err);
		rc = depot_charge(d, seen, 0, err);
		if (rc < 0)
			return rc;
		rc = batch_give(in, each, arg, err);
		if (rc < 0 && more != 0)
			listing_stop(d, number);
		buf_reset(&question);
		if (rc == 0)
			rc = pack_number(&question, number, err);
		ask = ASK_NEXT;
	}
	return rc;
}

int depot_list(struct depot *d, const char *dir,
	       int (*each)(void *arg, const char *name, uint64_t size, struct err *err), void *arg,
	       struct err *err)
{
	return listing(d, false, dir, LIMIT_DEPOT_FILES, each, arg, err);
}

int depot_list_most(struct depot *d, const char *dir, uint64_t most,
		    int (*each)(void *arg, const char *name, uint64_t size, struct err *err),
		    void *arg, struct err *err)
{
	return listing(d, false, dir, most, each, arg, err);
}

struct each_dir {
	int (*each)(void *arg, const char *name, struct err *err);
	void *arg;
};

static int each_dir_call(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct each_dir *e = arg;

	return e->each(e->arg, name, err);
}

int depot_dirs(struct depot *d, const char *dir,
	       int (*each)(void *arg, const char *name, struct err *err), void *arg,
	       struct err *err)
{
	struct each_dir e = {each, arg};

	return listing(d, true, dir, LIMIT_DEPOT_FILES, each_dir_call, &e, err);
}

/* Bundles are named after their prefix, and their readers check them block by block. */
static int name_check(struct depot *d, const char *path, struct bytes content, struct err *err)
{
	struct name name;
	enum name_kind kind = name_parse(path, &name);

	if (kind == NAME_OTHER || kind == NAME_BUNDLE || kind == NAME_PRIVATE ||
	    kind == NAME_PART || name_fits(&name, content))
		return 0;
	return err_set(
	    err, RC_INCOMPLETE,
	    "depot \"%s\": \"%s\" is not whole yet: its content does not match its name; satchel "
	    "tries again later",
	    d->path, path);
}

int depot_read(struct depot *d, const char *path, size_t max, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	size_t most = max < ASK_MAX ? max : ASK_MAX;
	int rc = pack_number(&question, most, err);

	if (rc == 0)
		rc = depot_question_path(&question, path, err);
	if (rc == 0)
		rc = depot_talk(d, ASK_READ, &question, most, &answer, err);
	if (rc == 0)
		rc = depot_charge(d, 0, answer.n, err);
	if (rc == 0)
		rc = name_check(d, path, bytes_in(&answer), err);
	if (rc < 0)
		return rc;
	buf_clear(ret);
	*ret = answer;
	answer = (struct buf)BUF_INIT;
	return 0;
}

/* The body of an answer: waiting for it counts as waiting for its head does. */
static int answer_body(struct depot *d, uint8_t *dst, size_t n, struct err *err)
{
	int64_t since = clock_monotonic_ms();
	int rc = frame_body(d->child.fd, dst, n, depot_waiting(d), err);

	if (depot_waited(d, since, err) < 0)
		return RC_TIMEOUT;
	return rc < 0 ? depot_give_up(d, rc, err) : 0;
}

/* The next piece of a file, straight to its place. */
static int fetch_piece(struct depot *d, uint8_t *dst, size_t n, size_t *ret_n, struct err *err)
{
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	size_t most = n > ERR_TEXT_MAX + 16 ? n : ERR_TEXT_MAX + 16;
	int64_t since = clock_monotonic_ms();
	uint8_t type;
	size_t got;
	int rc = frame_head(d->child.fd, most, depot_waiting(d), &type, &got, err);

	if (depot_waited(d, since, err) < 0)
		return RC_TIMEOUT;
	if (rc <= 0)
		return depot_give_up(d, rc, err);
	if (type == TELL_DATA && got > 0 && got <= n) {
		rc = answer_body(d, dst, got, err);
		*ret_n = got;
		return rc < 0 ? rc : depot_charge(d, 0, got, err);
	}
	if (type != TELL_FAIL)
		return depot_give_up(d, RC_IO, err);
	rc = buf_reserve(&answer, got, err);
	rc = rc < 0 ? depot_give_up(d, rc, err) : answer_body(d, answer.p, got, err);
	if (rc < 0)
		return rc;
	answer.n = got;
	return depot_failed(d, &answer, err);
}

int depot_fetch(struct depot *d, const char *path, uint64_t offset, uint8_t *dst, size_t n,
		struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	int rc = pack_number(&question, offset, err);

	/* Nothing would come back, a refusal apart, and nobody would read that. */
	if (n == 0)
		return 0;
	if (rc == 0)
		rc = pack_number(&question, n, err);
	if (rc == 0)
		rc = depot_question_path(&question, path, err);
	if (rc == 0)
		rc = depot_ask(d, ASK_FETCH, bytes_in(&question), -1, err);
	while (rc == 0 && n > 0) {
		size_t got = 0;

		rc = fetch_piece(d, dst, n, &got, err);
		dst += got;
		n -= got;
	}
	return rc;
}

static int talk_number(struct depot *d, enum ask type, const struct buf *question, uint64_t *ret,
		       struct err *err)
{
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	int rc = depot_talk(d, type, question, 8, &answer, err);

	if (rc < 0)
		return rc;
	if (answer.n != 8)
		return depot_give_up(d, RC_IO, err);
	*ret = get_u64(answer.p);
	return 0;
}

int depot_size(struct depot *d, const char *path, uint64_t *ret, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	int rc = depot_question_path(&question, path, err);

	return rc < 0 ? rc : talk_number(d, ASK_SIZE, &question, ret, err);
}

int depot_free_bytes(struct depot *d, uint64_t *ret, struct err *err)
{
	struct buf nothing = BUF_INIT;

	return talk_number(d, ASK_FREE, &nothing, ret, err);
}

int depot_where(struct depot *d, struct buf *ret, struct err *err)
{
	struct buf nothing = BUF_INIT;

	return depot_talk(d, ASK_WHERE, &nothing, PATH_MAX, ret, err);
}

int depot_above(struct depot *d, struct dir_ids *ret, struct err *err)
{
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct buf nothing = BUF_INIT;
	struct bytes in;
	int rc = depot_talk(d, ASK_ABOVE, &nothing, PATH_MAX * 16, &answer, err);

	in = bytes_in(&answer);
	while (rc == 0 && in.n > 0) {
		struct dir_id id;

		if (!field_number(&in, &id.dev) || !field_number(&in, &id.ino))
			return depot_malformed(d, err);
		rc = list_push(ret, id, err);
	}
	return rc;
}

int depot_fd(struct depot *d, const char *path, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	OWNED(fd_closep) int fd = -1;
	uint8_t type = 0;
	int64_t since;
	size_t n = 0;
	int rc = depot_question_path(&question, path, err);

	if (rc == 0)
		rc = depot_ask(d, ASK_FD, bytes_in(&question), -1, err);
	if (rc < 0)
		return rc;
	since = clock_monotonic_ms();
	rc = frame_head_fd(d->child.fd, ERR_TEXT_MAX + 16, depot_waiting(d), &type, &n, &fd, err);
	if (depot_waited(d, since, err) < 0)
		return RC_TIMEOUT;
	if (rc <= 0)
		return depot_give_up(d, rc, err);
	rc = buf_reserve(&answer, n, err);
	rc = rc < 0 ? depot_give_up(d, rc, err) : answer_body(d, answer.p, n, err);
	if (rc < 0)
		return rc;
	answer.n = n;
	if (type == TELL_FAIL)
		return depot_failed(d, &answer, err);
	if (type != TELL_DONE || fd < 0)
		return depot_give_up(d, RC_IO, err);
	return TAKE_FD(fd);
}

/* Everything before the prefix. */
static int question_post(struct depot *d, struct buf *question, const char *path,
			 const struct depot_piece *pieces, size_t n, size_t tail, struct err *err)
{
	int rc = pack_number(question, (d->flags & DEPOT_VERIFY) != 0, err);

	if (rc == 0)
		rc = depot_question_path(question, path, err);
	if (rc == 0)
		rc = pack_number(question, tail, err);
	if (rc == 0)
		rc = pack_number(question, n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = pack_number(question, pieces[i].offset, err);
		if (rc == 0)
			rc = pack_number(question, pieces[i].length, err);
	}
	return rc;
}

int depot_post_file(struct depot *d, const char *path, struct bytes prefix, int fd,
		    const struct depot_piece *pieces, size_t n, size_t tail,
		    struct reporter *reporter, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	uint64_t total = prefix.n + tail;
	int rc;

	if ((d->flags & DEPOT_WRITE) == 0)
		return err_set(err, RC_INTERNAL, "the depot \"%s\" was opened for reading only",
			       d->path);
	for (size_t i = 0; i < n; i++)
		total += pieces[i].length;
	rc = question_post(d, &question, path, pieces, n, tail, err);
	if (rc == 0)
		rc = buf_add(&question, prefix.p, prefix.n, err);
	d->posting = true;
	if (rc == 0)
		rc = depot_ask(d, ASK_POST, bytes_in(&question), fd, err);
	depot_work(d, total);
	if (rc == 0)
		rc = depot_answer(d, 0, &answer, total, reporter, err);
	d->posting = false;
	depot_work(d, 0);
	if (rc == 0)
		depot_credit(d, 1, 0);
	return rc;
}

int depot_post(struct depot *d, const char *path, struct bytes content, struct err *err)
{
	return depot_post_file(d, path, content, -1, NULL, 0, 0, NULL, err);
}

int depot_remove(struct depot *d, const char *path, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	int rc = depot_question_path(&question, path, err);

	if ((d->flags & DEPOT_WRITE) == 0)
		return err_set(err, RC_INTERNAL, "the depot \"%s\" was opened for reading only",
			       d->path);
	return rc < 0 ? rc : depot_talk(d, ASK_REMOVE, &question, 0, &answer, err);
}
