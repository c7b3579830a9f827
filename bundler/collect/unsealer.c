/* SPDX-License-Identifier: ISC */
/*
 * Unsealing in a process of its own.  The frames that go there are 's' with the sealed bytes; back
 * come
 *
 *   '+'   ready: the keys are loaded, the door is shut
 *   's'   the signed document
 *   '-'   LE 32-bit positive code, a sentence
 *
 * It holds keys, so it parses nothing: that is done by a process that never had them
 * (collect_parse.c).  A hijacked child can return what it likes.  Whatever it returns is verified
 * here with a key that it does not choose.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/trust/site_keys.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/confine.h"

#define OPENER_SILENCE_MS 10000 /* the child only computes: this is a hang */
#define OPENER_DEATHS     20    /* in one run; the next one goes on behind these files */
/* The longest answer: a document is shorter than what it was sealed into; or a sentence. */
#define OPENER_ANSWER LIMIT_RECEIPT

void opened_clear(struct opened *o)
{
	buf_clear(&o->doc);
}

/* The child's side */

struct unsealer_keys {
	int keysfd;
	struct key_secret *key[LIMIT_KEYS];
	size_t n;
};

static int key_load(void *arg, const char *name, struct err *err)
{
	struct unsealer_keys *l = arg;
	int rc;

	/* The oldest one falls out: who seals to it has not seen a trust document for years. */
	if (l->n == ARRAY_LEN(l->key)) {
		key_free(l->key[0]);
		memmove(l->key, l->key + 1, --l->n * sizeof(l->key[0]));
	}
	rc = key_read(l->keysfd, name, NULL, &l->key[l->n], err);
	if (rc == 0)
		l->n++;
	return rc;
}

/* Old collect keys stay as long as sticks may bring receipts that were sealed to them. */
static struct key_secret *key_for(struct key_secret *const *key, size_t n, const char *recipient)
{
	for (size_t i = 0; i < n; i++) {
		struct key_public pub = key_public_of(key[i]);
		char id[17];

		key_seal_id(id, &pub);
		if (strcmp(id, recipient) == 0)
			return key[i];
	}
	return NULL;
}

static int serve(struct key_secret *const *key, size_t n, struct bytes sealed, struct opened *ret,
		 struct err *err)
{
	struct key_secret *k;
	char recipient[17];

	if (!sealed_recipient(sealed, recipient))
		return err_set(err, RC_MALFORMED, "not a sealed document");
	k = key_for(key, n, recipient);
	if (k == NULL)
		return err_set(err, RC_ADDRESSEE, "sealed to a key that this site does not have");
	return sealed_open(k, sealed, &ret->doc, err);
}

void unsealer_serve(struct key_secret *const *key, size_t n, struct bytes sealed,
		    struct opened *ret)
{
	struct err err = {0};

	ret->rc = serve(key, n, sealed, ret, &err);
	if (ret->rc < 0)
		snprintf(ret->why, sizeof(ret->why), "%.255s", err.text);
}

static int answer_error(int fd, int rc, const char *text, struct err *err)
{
	OWNED(buf_clear) struct buf out = BUF_INIT;
	uint8_t code[4];

	put_u32(code, (uint32_t)-rc);
	if (buf_add(&out, code, sizeof(code), err) < 0 || buf_text(&out, text, err) < 0)
		return RC_MEMORY;
	return frame_send(fd, '-', bytes_in(&out), err);
}

static int answer(int fd, const struct opened *o, struct err *err)
{
	return o->rc < 0 ? answer_error(fd, o->rc, o->why, err)
			 : frame_send(fd, 's', bytes_in(&o->doc), err);
}

static int unsealer_loop(const struct unsealer_keys *l, int fd, struct err *err)
{
	OWNED(buf_clear) struct buf in = BUF_INIT;
	uint8_t type;
	int rc;

	while ((rc = frame_receive(fd, LIMIT_RECEIPT, -1, &type, &in, err)) == 1) {
		OWNED(opened_clear) struct opened o = {0};

		unsealer_serve(l->key, l->n, bytes_in(&in), &o);
		rc = answer(fd, &o, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/*
 * Keys are loaded before the door is shut: afterwards no file can be opened, nor anything be sent
 * but through the socket.
 */
static int unsealer_main(void *arg, int fd)
{
	struct unsealer_keys l = {.keysfd = *(int *)arg};
	struct err err = {0};
	int rc;

	rc = site_keys_each(l.keysfd, ROLE_COLLECT, key_load, &l, &err);
	close(l.keysfd);
	if (rc == 0)
		rc = confine_self(CONFINE_UNSEALER, -1, &err);
	if (rc < 0) {
		answer_error(fd, rc, err.text, ERR_IGNORED);
		return 1;
	}
	rc = frame_send(fd, '+', (struct bytes){NULL, 0}, &err);
	if (rc == 0)
		rc = unsealer_loop(&l, fd, &err);
	for (size_t i = 0; i < l.n; i++)
		key_free(l.key[i]);
	return rc < 0 ? 1 : 0;
}

/* Our side */

/* error_take(in, ret): a '-' frame; its code is one of ours or it is taken for malformed. */
static void error_take(struct bytes in, struct opened *ret)
{
	uint32_t code = in.n >= 4 ? get_u32(in.p) : 0;

	ret->rc = code > 0 && code <= (uint32_t)-RC_STATE ? -(int)code : RC_MALFORMED;
	snprintf(ret->why, sizeof(ret->why), "%.*s", in.n > 4 ? (int)(in.n - 4) : 0,
		 in.n > 4 ? (const char *)in.p + 4 : "");
	if (ret->why[0] == '\0')
		snprintf(ret->why, sizeof(ret->why), "cannot be opened");
}

int unsealer_start(struct unsealer *o, struct site *s, struct err *err)
{
	int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	OWNED(buf_clear) struct buf in = BUF_INIT;
	struct opened said = {0};
	uint8_t type = 0;
	int rc;

	if (keysfd < 0)
		return keysfd;
	o->s = s;
	rc = child_start(unsealer_main, &keysfd, &keysfd, 1, &o->child, err);
	close(keysfd);
	if (rc == 0)
		rc = frame_receive(o->child.fd, OPENER_ANSWER, OPENER_SILENCE_MS, &type, &in, err);
	if (rc == 1 && type == '+')
		return 0;
	if (rc == 1) {
		error_take(bytes_in(&in), &said);
		rc = err_set(err, said.rc, "the process that opens receipts: %s", said.why);
	} else if (rc == 0) {
		rc = err_set(err, RC_INTERNAL, "the process that opens receipts did not start");
	}
	unsealer_end(o);
	return rc;
}

void unsealer_end(struct unsealer *o)
{
	child_kill(&o->child);
}

static int answer_take(uint8_t type, struct bytes in, struct opened *ret, struct err *err)
{
	if (type == 's')
		return buf_add(&ret->doc, in.p, in.n, err);
	error_take(type == '-' ? in : (struct bytes){NULL, 0}, ret);
	return 0;
}

/* ask_once(...): 1 answered, 0 the child ended on it. */
static int ask_once(struct unsealer *o, struct bytes sealed, struct opened *ret, struct err *err)
{
	OWNED(buf_clear) struct buf in = BUF_INIT;
	struct err died = {0};
	uint8_t type = 0;
	int rc = 0;

	if (o->child.pid == 0)
		rc = unsealer_start(o, o->s, err);
	if (rc < 0)
		return rc;
	rc = frame_send(o->child.fd, 's', sealed, &died);
	if (rc == 0)
		rc =
		    frame_receive(o->child.fd, OPENER_ANSWER, OPENER_SILENCE_MS, &type, &in, &died);
	if (rc == 1) {
		rc = answer_take(type, bytes_in(&in), ret, err);
		return rc < 0 ? rc : 1;
	}
	unsealer_end(o);
	if (++o->deaths > OPENER_DEATHS)
		return err_set(
		    err, RC_INTERNAL,
		    "the process that opens receipts ended %u times: see the events, and "
		    "move what lies in the inbox of the depot away",
		    o->deaths);
	return 0;
}

int unsealer_ask(struct unsealer *o, struct bytes sealed, struct opened *ret, struct err *err)
{
	/* Once more, because it may have been killed for reasons of its own, such as memory. */
	int rc = ask_once(o, sealed, ret, err);

	if (rc == 0)
		rc = ask_once(o, sealed, ret, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	ret->rc = RC_MALFORMED;
	snprintf(ret->why, sizeof(ret->why), "opening it ended the process that did, twice");
	return 0;
}
