/*
 * Unsealing in a process of its own.  The frames that go there are 'r' (a receipt) or 'q' (a
 * request) with the sealed bytes; back come
 *
 *   '+'   ready: the keys are loaded, the door is shut
 *   'r'   the signed document
 *   'q'   LE 32-bit length of the signed document, the document, its contents encoded again
 *   '-'   LE 32-bit positive code, a sentence
 *
 * A hijacked child can return what it likes.  Whatever it returns is verified here with a key that
 * it does not choose, and what is parsed afterwards was either signed by an enrolled workstation,
 * or is bounded by a request's few fields and bound to an invitation by its proof.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "bundler/collect_internal.h"
#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/confine.h"

#define OPENER_SILENCE_MS 10000 /* the child only computes: this is a hang */
#define OPENER_DEATHS     20    /* in one run; the next one goes on behind these files */
/* The longest answer: a request may grow by being encoded again, a receipt does not. */
#define OPENER_ANSWER (2 * LIMIT_RECEIPT + 4096)

void opened_clear(struct opened *o)
{
	buf_clear(&o->doc);
	buf_clear(&o->canonical);
}

/* The child's side */

struct opener_keys {
	int keysfd;
	struct key_secret *key[LIMIT_KEYS];
	size_t n;
};

static int key_load(void *arg, const char *name, struct err *err)
{
	struct opener_keys *l = arg;
	int rc;

	if (l->n == ARRAY_LEN(l->key))
		return err_set(err, RC_LIMIT, "more than %zu collect keys", ARRAY_LEN(l->key));
	rc = key_read(l->keysfd, name, NULL, &l->key[l->n], err);
	if (rc == 0)
		l->n++;
	return rc;
}

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

static int request_again(struct bytes inner, struct buf *ret, struct err *err)
{
	struct request r = {0};
	int rc;

	if (!signed_type(inner, "request/1"))
		return err_set(err, RC_MALFORMED, "not a request of a format known here");
	rc = request_decode(inner, &r, err);
	if (rc == 0)
		rc = request_encode(&r, ret, err);
	return rc;
}

static int serve(struct key_secret *const *key, size_t n, enum name_kind kind, struct bytes sealed,
		 struct opened *ret, struct err *err)
{
	struct key_secret *k;
	struct signed_doc doc;
	char recipient[17];
	int rc;

	if (!sealed_recipient(sealed, recipient))
		return err_set(err, RC_MALFORMED, "not a sealed document");
	k = key_for(key, n, recipient);
	if (k == NULL)
		return err_set(err, RC_ADDRESSEE, "sealed to a key that this site does not have");
	rc = sealed_open(k, sealed, &ret->doc, err);
	if (rc < 0 || kind == NAME_RECEIPT)
		return rc;
	rc = signed_split(bytes_in(&ret->doc), 1, &doc, err);
	if (rc == 0)
		rc = request_again(doc.inner, &ret->canonical, err);
	return rc;
}

void opener_serve(struct key_secret *const *key, size_t n, enum name_kind kind, struct bytes sealed,
		  struct opened *ret)
{
	struct err err = {0};

	ret->rc = serve(key, n, kind, sealed, ret, &err);
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

static int answer(int fd, enum name_kind kind, const struct opened *o, struct err *err)
{
	OWNED(buf_clear) struct buf out = BUF_INIT;
	uint8_t length[4];

	if (o->rc < 0)
		return answer_error(fd, o->rc, o->why, err);
	if (kind == NAME_RECEIPT)
		return frame_send(fd, 'r', bytes_in(&o->doc), err);
	put_u32(length, (uint32_t)o->doc.n);
	if (buf_add(&out, length, sizeof(length), err) < 0 ||
	    buf_add(&out, o->doc.p, o->doc.n, err) < 0 ||
	    buf_add(&out, o->canonical.p, o->canonical.n, err) < 0)
		return RC_MEMORY;
	return frame_send(fd, 'q', bytes_in(&out), err);
}

static int opener_loop(const struct opener_keys *l, int fd, struct err *err)
{
	OWNED(buf_clear) struct buf in = BUF_INIT;
	uint8_t type;
	int rc;

	while ((rc = frame_receive(fd, LIMIT_RECEIPT, -1, &type, &in, err)) == 1) {
		enum name_kind kind = type == 'r' ? NAME_RECEIPT : NAME_REQUEST;
		OWNED(opened_clear) struct opened o = {0};

		opener_serve(l->key, l->n, kind, bytes_in(&in), &o);
		rc = answer(fd, kind, &o, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int opener_main(void *arg, int fd)
{
	struct opener_keys l = {.keysfd = *(int *)arg};
	struct err err = {0};
	int rc;

	rc = site_keys_each(l.keysfd, ROLE_COLLECT, key_load, &l, &err);
	close(l.keysfd);
	if (rc == 0)
		rc = confine_self(&err);
	if (rc < 0) {
		answer_error(fd, rc, err.text, NULL);
		return 1;
	}
	rc = frame_send(fd, '+', (struct bytes){NULL, 0}, &err);
	if (rc == 0)
		rc = opener_loop(&l, fd, &err);
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

int opener_start(struct opener *o, struct site *s, struct err *err)
{
	int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	OWNED(buf_clear) struct buf in = BUF_INIT;
	struct opened said = {0};
	uint8_t type = 0;
	int rc;

	if (keysfd < 0)
		return keysfd;
	o->s = s;
	rc = child_start(opener_main, &keysfd, &keysfd, 1, &o->child, err);
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
	opener_end(o);
	return rc;
}

void opener_end(struct opener *o)
{
	child_kill(&o->child);
}

static int answer_take(uint8_t type, enum name_kind kind, struct bytes in, struct opened *ret,
		       struct err *err)
{
	size_t n;
	int rc;

	if (type == 'r' && kind == NAME_RECEIPT)
		return buf_add(&ret->doc, in.p, in.n, err);
	if (type == 'q' && kind == NAME_REQUEST && in.n >= 4 && get_u32(in.p) <= in.n - 4) {
		n = get_u32(in.p);
		rc = buf_add(&ret->doc, in.p + 4, n, err);
		return rc < 0 ? rc : buf_add(&ret->canonical, in.p + 4 + n, in.n - 4 - n, err);
	}
	error_take(type == '-' ? in : (struct bytes){NULL, 0}, ret);
	return 0;
}

/* ask_once(...): 1 answered, 0 the child ended on it. */
static int ask_once(struct opener *o, enum name_kind kind, struct bytes sealed, struct opened *ret,
		    struct err *err)
{
	OWNED(buf_clear) struct buf in = BUF_INIT;
	struct err died = {0};
	uint8_t type = 0;
	int rc = 0;

	if (o->child.pid == 0)
		rc = opener_start(o, o->s, err);
	if (rc < 0)
		return rc;
	rc = frame_send(o->child.fd, kind == NAME_RECEIPT ? 'r' : 'q', sealed, &died);
	if (rc == 0)
		rc =
		    frame_receive(o->child.fd, OPENER_ANSWER, OPENER_SILENCE_MS, &type, &in, &died);
	if (rc == 1) {
		rc = answer_take(type, kind, bytes_in(&in), ret, err);
		return rc < 0 ? rc : 1;
	}
	opener_end(o);
	if (++o->deaths > OPENER_DEATHS)
		return err_set(
		    err, RC_INTERNAL,
		    "the process that opens receipts ended %u times: see the events, and "
		    "move what lies in the inbox of the depot away",
		    o->deaths);
	return 0;
}

int opener_ask(struct opener *o, enum name_kind kind, struct bytes sealed, struct opened *ret,
	       struct err *err)
{
	/* Once more, because it may have been killed for reasons of its own, such as memory. */
	int rc = ask_once(o, kind, sealed, ret, err);

	if (rc == 0)
		rc = ask_once(o, kind, sealed, ret, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	ret->rc = RC_MALFORMED;
	snprintf(ret->why, sizeof(ret->why), "opening it ended the process that did, twice");
	return 0;
}
