/* SPDX-License-Identifier: ISC */
/*
 * A child process is looked into while its parent holds every kind of secret.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/format/bundle/content.h"
#include "core/os/child.h"
#include "core/os/confine.h"
#include "core/trust/key_internal.h"
#include "core/trust/vault.h"
#include "tests/support/memory.h"
#include "tests/support/scratch.h"

#define LONG 20000

TestSuite(secrets, .init = scratch_setup, .fini = scratch_teardown);

static int waits(void *arg, int fd)
{
	OWNED(buf_clear) struct buf b = BUF_SECRET;
	struct err err = {0};
	uint8_t type;

	if (arg != NULL && confine_self(CONFINE_READER, -1, &err) < 0)
		return 1;
	if (frame_send(fd, '+', bytes_of("here"), &err) < 0)
		return 1;
	while (frame_receive(fd, 4096, -1, &type, &b, &err) == 1)
		if (frame_send(fd, '+', bytes_of("kept"), &err) < 0)
			return 1;
	return 0;
}

static void heard(const struct child *c)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type = 0;

	cr_assert_eq(frame_receive(c->fd, 4096, LONG, &type, &b, &err), 1, "%s", err.text);
}

static struct child looked_at(bool confined)
{
	struct child c = CHILD_INIT;
	struct err err = {0};

	cr_assert_eq(child_start(waits, confined ? &c : NULL, NULL, 0, &c, &err), 0, "%s",
		     err.text);
	heard(&c);
	return c;
}

/* Here it lies, and in neither kind of child. */
static void kept_from_children(const char *what, struct bytes secret)
{
	cr_expect_gt(memory_count(getpid(), secret), 0, "%s: the test looks for nothing", what);
	for (int confined = 0; confined < 2; confined++) {
		OWNED(child_killp) struct child c = looked_at(confined);
		int n = memory_count(c.pid, secret);

		if (n < 0 && geteuid() != 0)
			cr_skip("cannot look into other processes");
		cr_expect_eq(n, 0, "%s: %d times in a child, confined: %d", what, n, confined);
	}
}

Test(secrets, keys_that_were_made_signed_with_and_read_are_not_in_children)
{
	OWNED(key_freep) struct key_secret *sign = NULL, *seal = NULL, *again = NULL;
	OWNED(fd_closep) int dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWNED(buf_clear) struct buf sealed = BUF_INIT, plain = BUF_SECRET;
	uint8_t *text = secret_new(32);
	struct key_public to;
	struct err err = {0};
	uint8_t sig[64];

	cr_assert_eq(key_generate(KEY_SIGN, &sign, &err), 0, "%s", err.text);
	cr_assert_eq(key_generate(KEY_SEAL, &seal, &err), 0, "%s", err.text);
	cr_assert_eq(key_write(dir, "k", seal, &err), 0, "%s", err.text);
	cr_assert_eq(key_read(dir, "k", NULL, &again, &err), 0, "%s", err.text);
	randombytes_buf(text, 32);
	cr_assert_eq(key_sign(sign, bytes_of("text"), sig, &err), 0);
	to = key_public_of(seal);
	cr_assert_eq(key_seal(&to, (struct bytes){text, 32}, &sealed, &err), 0);
	cr_assert_eq(key_unseal(again, bytes_in(&sealed), &plain, &err), 0, "%s", err.text);
	kept_from_children("signing key", (struct bytes){sign->b, 32});
	kept_from_children("sealing key", (struct bytes){seal->b, 32});
	kept_from_children("what it opened", bytes_in(&plain));
	secret_free(text);
}

Test(secrets, master_key_and_keys_of_users_are_not_in_children)
{
	OWNED(fd_closep) int dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWNED(vault_freep) struct vault *v = NULL;
	OWNED(vault_secret_freep) struct vault_secret *s = NULL, *back = NULL;
	uint8_t sealed[VAULT_SEALED_BYTES];
	struct vault_lock lock;
	struct err err = {0};

	cr_assert_eq(vault_make_file(dir, "master", &lock, &v, &err), 0, "%s", err.text);
	cr_assert_eq(vault_secret_new(&s, &err), 0);
	cr_assert_eq(vault_seal(v, "k", 1, s, sealed, &err), 0);
	cr_assert_eq(vault_open(v, "k", 1, (struct bytes){sealed, sizeof(sealed)}, &back, &err), 0);
	kept_from_children("master key", (struct bytes){(const uint8_t *)v, 32});
	kept_from_children("key of a user", vault_secret_bytes(back));
}

static int passphrase_say(struct key_ask *ask, const char *what, char *dst, size_t size,
			  struct err *err)
{
	(void)ask;
	(void)what;
	(void)err;
	for (size_t i = 0; i < 20 && i < size; i++)
		dst[i] = (char)('a' + i * 7 % 26);
	return 0;
}

/* The whole text lies nowhere but where it is asked for, also in this program. */
Test(secrets, a_passphrase_is_gone_when_it_was_used)
{
	struct key_ask ask = {passphrase_say};
	OWNED(vault_freep) struct vault *v = NULL;
	char wanted[20];
	struct vault_lock lock;
	struct err err = {0};

	cr_assert_eq(vault_make_passphrase(&ask, &lock, &v, &err), 0, "%s", err.text);
	passphrase_say(NULL, NULL, wanted, sizeof(wanted), NULL);
	cr_expect_eq(memory_count(getpid(), (struct bytes){(uint8_t *)wanted, 20}), 1);
}

Test(secrets, a_content_key_is_in_the_child_that_was_told_and_in_no_other)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	OWNED(key_freep) struct key_secret *seal = NULL;
	struct manifest *m = calloc(1, sizeof(*m));
	OWNED(child_killp) struct child told = looked_at(true);
	struct key_public to;
	struct err err = {0};
	struct bytes key;

	cr_assert_eq(key_generate(KEY_SEAL, &seal, &err), 0);
	to = key_public_of(seal);
	cr_assert_eq(content_key_new(&to, m, &k, &err), 0, "%s", err.text);
	free(m);
	key = content_key_bytes(k);
	cr_assert_eq(frame_send(told.fd, 'k', key, &err), 0);
	heard(&told);
	key.n = 32; /* the key is the first part of libsodium's state */
	cr_expect_gt(memory_count(told.pid, key), 0);
	kept_from_children("content key", key);
}
