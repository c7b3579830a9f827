/* SPDX-License-Identifier: ISC */
/*
 * The two processes of an inspection: the confined child that parses what a stranger may have
 * written, and the parent that prints its answers.
 */
#include "cli/inspect/inspect_child.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/frame/show.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/os/child.h"
#include "core/os/confine.h"
#include "core/os/durable.h"
#include "core/trust/signed.h"

/* A child that says nothing for so long hangs in a dead share. */
#define SILENCE_MS (LIMIT_DEPOT_SILENCE * 1000)
#define FRAME_MAX  (8 * LIMIT_PATH + 1024)
/* Between two signs that it goes on. */
#define GOING_ON_MS 5000
/*
 * And what it may take in all, since a file can be made to keep its reader busy: a few megabytes
 * unpack to terabytes.  A medium that gives 2 MiB a second is as slow as any, and what is well
 * packed takes longer than its bytes say.
 */
#define INSPECT_SECONDS   300
#define INSPECT_BYTES_A_S (2u << 20)

/* Tests cannot wait for minutes; the environment can take from the budget and never adds to it. */
static int64_t budget_ms(const struct inspection *in)
{
	const char *set = secure_getenv("SATCHEL_INSPECT_SECONDS");
	int64_t most = INSPECT_SECONDS + (int64_t)(in->size / INSPECT_BYTES_A_S), seconds;

	if (set == NULL || number_i64(set, strlen(set), &seconds, ERR_IGNORED) < 0 || seconds < 0 ||
	    seconds > most)
		seconds = most;
	return seconds * 1000;
}

enum inspect_kind inspect_kind(struct bytes first)
{
	if (bytes_start(first, "untrusted comment: satchel signed document\n"))
		return INSPECT_SIGNED;
	if (bytes_start(first, "satchel-sealed/1 "))
		return INSPECT_SEALED;
	if (bytes_start(first, "untrusted comment: "))
		return INSPECT_KEY;
	if (bytes_start(first, "satchel: trust/") || bytes_start(first, "satchel: release/"))
		return INSPECT_PLAIN;
	/* The outer tar's first member; the NUL ends its name. */
	if (first.n >= 9 && memcmp(first.p, "manifest", 9) == 0)
		return INSPECT_BUNDLE;
	return INSPECT_UNKNOWN;
}

int inspect_tell(struct teller *t, struct err *err, const char *name, const char *fmt, ...)
{
	OWNED(buf_clear) struct buf body = BUF_INIT;
	char value[FRAME_MAX / 2];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	rc = buf_add(&body, name, strlen(name) + 1, err);
	if (rc == 0)
		rc = buf_text(&body, value, err);
	return rc < 0 ? rc : frame_send(t->fd, 'v', bytes_in(&body), err);
}

int inspect_tell_going_on(struct teller *t, struct err *err)
{
	int64_t now = clock_monotonic_ms();

	if (now < t->told + GOING_ON_MS)
		return 0;
	t->told = now;
	return frame_send(t->fd, 'p', (struct bytes){NULL, 0}, err);
}

int inspect_tell_change(struct teller *t, const char *line, struct err *err)
{
	return frame_send(t->fd, 'c', bytes_of(line), err);
}

int inspect_same(const struct inspection *in, struct bytes doc, struct err *err)
{
	struct digest is = digest_of(doc);

	if (in->verified == NULL || digest_equal(&is, in->verified))
		return 0;
	return err_set(err, RC_AGAIN, "it changed while it was read; try again");
}

static int inspect_signed(const struct inspection *in, struct teller *t, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct signed_doc doc;
	int rc;

	if (in->size > LIMIT_DOCUMENT)
		return err_set(err, RC_LIMIT, "a signed document has at most %u bytes",
			       LIMIT_DOCUMENT);
	rc = buf_reserve(&text, in->size, err);
	if (rc == 0)
		rc = fd_pread(in->fd, text.p, in->size, 0, err);
	if (rc < 0)
		return rc;
	text.n = in->size;
	rc = inspect_same(in, bytes_in(&text), err);
	if (rc == 0 && in->kind == INSPECT_PLAIN)
		return inspect_document(bytes_in(&text), t, err);
	if (rc == 0)
		rc = signed_split(bytes_in(&text), LIMIT_LAYERS, &doc, err);
	if (rc == 0)
		rc = inspect_document(doc.inner, t, err);
	return rc;
}

/* A process that is forked has no secrets; this one is told what opens its one file. */
static int key_hear(int fd, struct content_key **ret, struct err *err)
{
	OWNED(buf_clear) struct buf in = BUF_SECRET;
	uint8_t type = 0;
	int rc = frame_receive(fd, FRAME_MAX, SILENCE_MS, &type, &in, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || type != 'k')
		return err_set(err, RC_INTERNAL, "no content key was told");
	return content_key_take(bytes_in(&in), ret, err);
}

static int inspect_main(void *arg, int fd)
{
	struct inspection *in = arg;
	OWNED(content_key_freep) struct content_key *key = NULL;
	struct teller t = {fd, in->flags, 0};
	struct err err = {0};
	uint8_t code[4];
	OWNED(buf_clear) struct buf body = BUF_INIT;
	int rc = in->key != NULL ? key_hear(fd, &key, &err) : 0;

	in->key = key;
	if (rc >= 0)
		rc = confine_self(CONFINE_INSPECTOR, -1, &err);
	if (rc >= 0)
		rc = in->kind == INSPECT_BUNDLE ? inspect_bundle(in, &t, &err)
						: inspect_signed(in, &t, &err);
	put_u32(code, (uint32_t)-rc);
	if (buf_add(&body, code, sizeof(code), ERR_IGNORED) < 0 ||
	    buf_text(&body, rc < 0 ? err.text : "", ERR_IGNORED) < 0 ||
	    frame_send(fd, 'e', bytes_in(&body), ERR_IGNORED) < 0)
		return 1;
	return 0;
}

/* The code is the child's word, so anything that is no code of ours becomes "malformed". */
static int verdict(const struct buf *body, struct err *err)
{
	uint32_t code = body->n >= 4 ? get_u32(body->p) : UINT32_MAX;
	int rc = code < 1000 ? -(int)code : RC_MALFORMED;

	if (rc == 0)
		return 0;
	return err_set(err, rc_from_slug(rc_slug(rc)), "%.900s",
		       body->n > 4 ? (const char *)body->p + 4 : "refused");
}

/* The next answer, waited for no longer than the whole inspection may take. */
static int next(const struct child *c, int64_t until, uint8_t *ret_type, struct buf *ret,
		struct err *err)
{
	int64_t left = until - clock_monotonic_ms();
	int rc = left <= 0
		     ? RC_TIMEOUT
		     : frame_receive(c->fd, FRAME_MAX, left < SILENCE_MS ? (int)left : SILENCE_MS,
				     ret_type, ret, err);

	if (rc != RC_TIMEOUT || clock_monotonic_ms() < until)
		return rc;
	return err_set(
	    err, RC_LIMIT,
	    "it takes longer than a file of its size may: it was not read to the end, and "
	    "may have been made to keep its reader busy");
}

static int receive(const struct child *c, int64_t until, inspect_answer *answer, void *arg,
		   struct err *err)
{
	OWNED(buf_clear) struct buf body = BUF_INIT;
	uint8_t type;

	for (;;) {
		int rc = next(c, until, &type, &body, err);
		const char *text = (const char *)body.p;

		if (rc == 0)
			return err_set(err, RC_INTERNAL,
				       "the process that reads the file ended unexpectedly");
		if (rc < 0)
			return rc;
		if (type == 'e')
			return verdict(&body, err);
		if (type == 'p')
			continue;
		if (type == 'v' && memchr(body.p, 0, body.n) != NULL)
			rc = answer(arg, text, text + strlen(text) + 1, err);
		else if (type == 'c')
			rc = answer(arg, NULL, text, err);
		else
			return err_set(err, RC_INTERNAL,
				       "the process that reads the file sent a malformed answer");
		if (rc < 0)
			return rc;
	}
}

int inspect_run(const struct inspection *in, inspect_answer *answer, void *arg, struct err *err)
{
	OWNED(child_killp) struct child c = CHILD_INIT;
	struct inspection copy = *in;
	int64_t until = clock_monotonic_ms() + budget_ms(in);
	int rc = child_start(inspect_main, &copy, &in->fd, 1, &c, err);

	if (rc == 0 && in->key != NULL)
		rc = frame_send(c.fd, 'k', content_key_bytes(in->key), err);
	if (rc == 0)
		rc = receive(&c, until, answer, arg, err);
	return rc;
}
