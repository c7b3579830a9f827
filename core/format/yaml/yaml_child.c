/* SPDX-License-Identifier: ISC */
/*
 * Both sides of the process that parses.  A question is a frame 'y': LE 32-bit number: most bytes,
 * the type with its NUL, the text.  An answer is 'y' with a layout (yaml_layout.c), or '-' with a
 * positive LE 32-bit code and a sentence.
 */
#include "core/format/yaml/yaml_child.h"

#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"
#include "core/os/confine.h"

#define SILENCE_MS 10000 /* it only computes: this is a hang */
#define DEATHS     20    /* of one caller; more are not the fault of a document */

/* The child's side */

static int parse(struct bytes question, struct buf *ret, struct err *err)
{
	const uint8_t *end = question.n > 4 ? memchr(question.p + 4, '\0', question.n - 4) : NULL;
	OWNED(yaml_freep) struct yaml *y = NULL;
	const char *type;
	struct bytes in;
	int rc;

	if (end == NULL)
		return err_set(err, RC_INTERNAL, "a question without a type");
	type = (const char *)question.p + 4;
	in = (struct bytes){end + 1, question.n - (size_t)(end + 1 - question.p)};
	rc = yaml_decode(in, get_u32(question.p), schema_find(type), type, &y, err);
	return rc < 0 ? rc : yaml_pack(y, ret, err);
}

static int answer(int fd, struct bytes question, struct err *err)
{
	OWNED(buf_clear) struct buf out = BUF_INIT;
	struct err why = {0};
	uint8_t code[4];
	int rc = parse(question, &out, &why);

	if (rc == 0)
		return frame_send(fd, 'y', bytes_in(&out), err);
	buf_reset(&out);
	put_u32(code, (uint32_t)-rc);
	rc = buf_add(&out, code, sizeof(code), err);
	if (rc == 0)
		rc = buf_text(&out, why.text, err);
	return rc < 0 ? rc : frame_send(fd, '-', bytes_in(&out), err);
}

static int child_main(void *arg, int fd)
{
	OWNED(buf_clear) struct buf in = BUF_INIT;
	struct err err = {0};
	uint8_t type;
	int rc = confine_self(CONFINE_PARSER, -1, &err);

	if (rc >= 0)
		rc = frame_send(fd, '+', (struct bytes){NULL, 0}, &err);
	while (rc >= 0 && (rc = frame_receive(fd, LIMIT_DOCUMENT, -1, &type, &in, &err)) == 1)
		rc = answer(fd, bytes_in(&in), &err);
	return rc < 0 ? 1 : 0;
}

/* Our side */

int yaml_child_start(struct yaml_child *c, struct err *err)
{
	OWNED(buf_clear) struct buf in = BUF_INIT;
	uint8_t type = 0;
	int rc;

	if (c->child.pid > 0)
		return 0;
	rc = child_start(child_main, NULL, NULL, 0, &c->child, err);
	if (rc == 0)
		rc = child_patience(&c->child, SILENCE_MS, err);
	if (rc == 0)
		rc = frame_receive(c->child.fd, 0, SILENCE_MS, &type, &in, err);
	if (rc == 1 && type == '+')
		return 0;
	yaml_child_end(c);
	return rc < 0 ? rc
		      : err_set(err, RC_POLICY,
				"the process that parses did not start: it cannot confine itself "
				"(see satchel doctor)");
}

void yaml_child_end(struct yaml_child *c)
{
	child_kill(&c->child);
	c->answered = 0;
}

/* Its code is one of a document's faults, or it is taken for malformed. */
static int refused(struct bytes in, struct err *why)
{
	uint32_t code = in.n >= 4 ? get_u32(in.p) : 0;
	int rc = code == (uint32_t)-RC_LIMIT ? RC_LIMIT : RC_MALFORMED;

	err_set(why, rc, "%.*s", in.n > 4 ? (int)in.n - 4 : 0,
		in.n > 4 ? (const char *)in.p + 4 : "");
	if (why->text[0] == '\0')
		err_set(why, rc, "it cannot be read");
	return 0;
}

static int question_make(struct bytes in, size_t max, const char *type, struct buf *ret,
			 struct err *err)
{
	uint8_t most[4];
	int rc;

	put_u32(most, (uint32_t)max);
	rc = buf_add(ret, most, sizeof(most), err);
	if (rc == 0)
		rc = buf_add(ret, type, strlen(type) + 1, err);
	return rc < 0 ? rc : buf_add(ret, in.p, in.n, err);
}

/* ask(...): 1 answered, 0 the child ended on it. */
static int ask(struct yaml_child *c, struct bytes question, uint8_t *ret_type, struct buf *ret,
	       struct err *err)
{
	size_t most = yaml_layout_most(question.n) + ERR_TEXT_MAX;
	struct err died = {0};
	int rc = yaml_child_start(c, err);

	if (rc < 0)
		return rc;
	rc = frame_send(c->child.fd, 'y', question, &died);
	if (rc == 0)
		rc = frame_receive(c->child.fd, most, SILENCE_MS, ret_type, ret, &died);
	if (rc == 1 && (*ret_type == 'y' || *ret_type == '-')) {
		c->answered++;
		return 1;
	}
	yaml_child_end(c);
	if (++c->deaths > DEATHS)
		return err_set(err, RC_INTERNAL, "the process that parses ended %u times",
			       c->deaths);
	return 0;
}

int yaml_child_decode(struct yaml_child *c, struct bytes in, size_t max, const char *type,
		      struct yaml **ret, struct err *why, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf layout = BUF_INIT;
	uint8_t said = 0;
	int rc;

	if (in.n > max) {
		err_set(why, RC_LIMIT, "%s: a document of %zu bytes", type, in.n);
		return 0;
	}
	rc = question_make(in, max, type, &question, err);
	/* Once more, because it may have been killed for reasons of its own, such as memory. */
	if (rc == 0)
		rc = ask(c, bytes_in(&question), &said, &layout, err);
	if (rc == 0)
		rc = ask(c, bytes_in(&question), &said, &layout, err);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		err_set(why, RC_MALFORMED, "reading it ended the process that did, twice");
		return 0;
	}
	if (said == '-')
		return refused(bytes_in(&layout), why);
	rc = yaml_unpack(bytes_in(&layout), in, schema_find(type), type, ret, why);
	return rc == RC_MEMORY ? err_memory(err) : rc == 0;
}
