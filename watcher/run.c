/* SPDX-License-Identifier: ISC */
/*
 * Everything that touches a depot, a database or a document happens in a child, so that the watcher
 * can end what hangs, and begins each run with nothing left over from the one before.
 */
#include "watcher/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"

/* One frame: a line, an answer of a page, or a plan. */
#define FRAME_MAX (64u << 20)

enum run_frame { FRAME_LINE, FRAME_PROGRESS, FRAME_PLAN, FRAME_ANSWER, FRAME_RESULT };

void run_reasons(char *dst, size_t size, unsigned reasons)
{
	static const char *const words[] = {
	    "start",
	    "timer",
	    "asked for",
	    "news in a depot",
	    "a source changed",
	    "documents changed",
	    "a stick",
	    "again",
	    "news in a depot",
	};
	size_t used = 0;

	dst[0] = '\0';
	if ((reasons & RUN_NEWS) && (reasons & RUN_DEPOT))
		reasons &= ~(unsigned)RUN_NEWS;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if ((reasons & (1u << i)) && used < size)
			used += (size_t)snprintf(dst + used, size - used, "%s%s",
						 used > 0 ? ", " : "", words[i]);
}

/* In the child */

struct run_child {
	struct reporter reporter; /* first: what the callback sees */
	int fd;
	const struct watch_work *work;
	const struct run_order *order;
};

static void child_line(struct reporter *reporter, enum reporter_level level, const char *text)
{
	struct run_child *r = (struct run_child *)reporter;
	OWNED(buf_clear) struct buf b = BUF_INIT;
	uint8_t first = (uint8_t)level;
	struct err err;

	if (buf_add(&b, &first, 1, &err) == 0 && buf_text(&b, text, &err) == 0)
		frame_send(r->fd, FRAME_LINE, bytes_in(&b), &err);
}

static void child_progress(struct reporter *reporter, const char *phase, uint64_t done,
			   uint64_t total, uint64_t items, uint64_t items_total)
{
	struct run_child *r = (struct run_child *)reporter;
	const uint64_t number[] = {done, total, items, items_total};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(number); i++) {
		uint8_t raw[8];

		put_u64(raw, number[i]);
		rc = buf_add(&b, raw, sizeof(raw), &err);
	}
	if (rc == 0 && buf_text(&b, phase, &err) == 0)
		frame_send(r->fd, FRAME_PROGRESS, bytes_in(&b), &err);
}

/* Code, two marks, media. */
#define RESULT_HEAD (3 + 8)

static int result_send(int fd, const struct run_result *result, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	uint8_t head[RESULT_HEAD] = {(uint8_t)-result->rc, result->later, result->nothing};
	int rc;

	put_u64(head + 3, result->safe);
	rc = buf_add(&b, head, sizeof(head), err);

	if (rc == 0)
		rc = buf_text(&b, result->text, err);
	return rc < 0 ? rc : frame_send(fd, FRAME_RESULT, bytes_in(&b), err);
}

static int run_main(void *arg, int fd)
{
	struct run_child *r = arg;
	OWNED(buf_clear) struct buf packed = BUF_INIT, answer = BUF_INIT;
	OWNED(watch_plan_clear) struct watch_plan plan = {0};
	struct run_result result = {0};
	struct err err;
	int rc = 0;

	r->fd = fd;
	r->reporter = (struct reporter){child_line, child_progress};
	r->work->run(r->work->arg, r->order, &r->reporter, &plan, &answer, &result);
	if (plan.interval_ms > 0 && watch_plan_pack(&plan, &packed, &err) == 0)
		rc = frame_send(fd, FRAME_PLAN, bytes_in(&packed), &err);
	if (rc == 0 && answer.n > 0)
		rc = frame_send(fd, FRAME_ANSWER, bytes_in(&answer), &err);
	if (rc == 0)
		rc = result_send(fd, &result, &err);
	return rc < 0;
}

/* In the watcher */

int run_start(const struct watch_work *w, const struct run_order *order, struct run_process *ret,
	      struct err *err)
{
	struct run_child r = {.fd = -1, .work = w, .order = order};

	ret->reasons = order->reasons;
	return child_start(run_main, &r, NULL, 0, &ret->child, err);
}

static void frame_line(struct buf *body, struct reporter *reporter)
{
	const char *text = (const char *)body->p + 1;

	if (body->n == 0)
		return;
	if (body->p[0] == REPORTER_WARNING)
		reporter_warning(reporter, "%s", text);
	else if (body->p[0] == REPORTER_INFO)
		reporter_info(reporter, "%s", text);
	else
		reporter_debug(reporter, "%s", text);
}

static void frame_progress(struct buf *body, struct reporter *reporter)
{
	if (body->n >= 32)
		reporter_progress(reporter, (const char *)body->p + 32, get_u64(body->p),
				  get_u64(body->p + 8), get_u64(body->p + 16),
				  get_u64(body->p + 24));
}

static int frame_result(struct buf *body, struct run_result *ret)
{
	if (body->n < RESULT_HEAD)
		return 0;
	ret->rc = -(int)body->p[0];
	ret->later = body->p[1] != 0;
	ret->nothing = body->p[2] != 0;
	snprintf(ret->text, sizeof(ret->text), "%s", (const char *)body->p + RESULT_HEAD);
	ret->safe = get_u64(body->p + 3);
	return 1;
}

static void frame_plan(struct buf *body, struct watch_plan *plan)
{
	struct watch_plan fresh;

	if (plan == NULL || watch_plan_unpack(bytes_in(body), &fresh, ERR_IGNORED) < 0)
		return;
	watch_plan_clear(plan);
	*plan = fresh;
}

int run_read(struct run_process *r, struct reporter *reporter, struct watch_plan *plan,
	     struct buf *answer, struct run_result *ret)
{
	OWNED(buf_clear) struct buf body = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	if (frame_receive(r->child.fd, FRAME_MAX, 1000, &type, &body, &err) <= 0) {
		int status = 0;

		child_end(&r->child, 1000, &status, &err);
		*ret = (struct run_result){.rc = RC_INTERNAL};
		snprintf(ret->text, sizeof(ret->text), "the run ended unexpectedly (status %d)",
			 status);
		return 1;
	}
	switch (type) {
	case FRAME_LINE:
		frame_line(&body, reporter);
		return 0;
	case FRAME_PROGRESS:
		frame_progress(&body, reporter);
		return 0;
	case FRAME_PLAN:
		frame_plan(&body, plan);
		return 0;
	case FRAME_ANSWER:
		return answer != NULL && buf_add(answer, body.p, body.n, &err) < 0 ? 1 : 0;
	default:
		if (frame_result(&body, ret) == 0)
			return 0;
		child_end(&r->child, 1000, NULL, &err);
		return 1;
	}
}

void run_stop(struct run_process *r)
{
	child_kill(&r->child);
}
