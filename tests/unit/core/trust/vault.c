/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/durable.h"
#include "core/trust/vault.h"
#include "tests/support/scratch.h"

static struct vault *file_vault(struct vault_lock *lock)
{
	struct vault *v = NULL;
	struct err err = {0};

	cr_assert_eq(vault_make_file(scratch_fd, "store.key", lock, &v, &err), 0, "%s", err.text);
	return v;
}

Test(vault, what_was_sealed_opens_under_its_name_and_version_only, .init = scratch_setup,
     .fini = scratch_teardown)
{
	struct vault_lock lock;
	OWNED(vault_freep) struct vault *v = file_vault(&lock);
	OWNED(vault_secret_freep) struct vault_secret *s = NULL, *back = NULL;
	uint8_t sealed[VAULT_SEALED_BYTES];
	struct bytes in = {sealed, sizeof(sealed)};

	cr_assert_eq(vault_secret_new(&s, ERR_IGNORED), 0);
	cr_assert_eq(vault_seal(v, "payroll", 2, s, sealed, ERR_IGNORED), 0);
	cr_assert_eq(vault_open(v, "payroll", 1, in, &back, ERR_IGNORED), RC_UNTRUSTED);
	cr_assert_eq(vault_open(v, "payrol", 2, in, &back, ERR_IGNORED), RC_UNTRUSTED);
	cr_assert_null(back);
	cr_assert_eq(vault_open(v, "payroll", 2, in, &back, ERR_IGNORED), 0);
	cr_assert(bytes_equal(vault_secret_bytes(s), vault_secret_bytes(back)));
	cr_assert_eq(vault_secret_bytes(s).n, 32);
}

Test(vault, a_sealed_secret_with_any_byte_changed_or_of_another_length_does_not_open,
     .init = scratch_setup, .fini = scratch_teardown)
{
	struct vault_lock lock;
	OWNED(vault_freep) struct vault *v = file_vault(&lock);
	OWNED(vault_secret_freep) struct vault_secret *s = NULL, *back = NULL;
	uint8_t sealed[VAULT_SEALED_BYTES];

	cr_assert_eq(vault_secret_new(&s, ERR_IGNORED), 0);
	cr_assert_eq(vault_seal(v, "payroll", 1, s, sealed, ERR_IGNORED), 0);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		cr_assert_eq(vault_open(v, "payroll", 1, (struct bytes){sealed, sizeof(sealed)},
					&back, ERR_IGNORED),
			     RC_UNTRUSTED);
		cr_assert_eq(
		    vault_open(v, "payroll", 1, (struct bytes){sealed, i}, &back, ERR_IGNORED),
		    RC_UNTRUSTED);
		sealed[i] ^= 1;
	}
	cr_assert_null(back);
}

Test(vault, the_same_secret_is_never_sealed_to_the_same_bytes_and_none_of_it_shows,
     .init = scratch_setup, .fini = scratch_teardown)
{
	struct vault_lock lock;
	OWNED(vault_freep) struct vault *v = file_vault(&lock);
	OWNED(vault_secret_freep) struct vault_secret *s = NULL;
	uint8_t a[VAULT_SEALED_BYTES], b[VAULT_SEALED_BYTES];

	cr_assert_eq(vault_secret_new(&s, ERR_IGNORED), 0);
	cr_assert_eq(vault_seal(v, "k", 1, s, a, ERR_IGNORED), 0);
	cr_assert_eq(vault_seal(v, "k", 1, s, b, ERR_IGNORED), 0);
	cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
	cr_assert_null(memmem(a, sizeof(a), vault_secret_bytes(s).p, 8));
}

Test(vault, the_master_key_file_is_read_by_its_owner_alone_and_never_replaced,
     .init = scratch_setup, .fini = scratch_teardown)
{
	struct vault_lock lock, second = {0};
	OWNED(vault_freep) struct vault *v = file_vault(&lock);
	OWNED(vault_freep) struct vault *other = NULL;
	OWNED(buf_wipe) struct buf before = BUF_SECRET, after = BUF_SECRET;
	struct stat st;

	cr_assert_not_null(v);
	cr_assert_eq(fstatat(scratch_fd, "store.key", &st, AT_SYMLINK_NOFOLLOW), 0);
	cr_assert_eq(st.st_mode & 07777, 0400);
	cr_assert_eq(st.st_size, 32);
	cr_assert_eq(file_read(scratch_fd, "store.key", 64, &before, ERR_IGNORED), 0);
	cr_assert_eq(vault_make_file(scratch_fd, "store.key", &second, &other, ERR_IGNORED),
		     RC_CONFLICT);
	cr_assert_null(other);
	cr_assert_eq(file_read(scratch_fd, "store.key", 64, &after, ERR_IGNORED), 0);
	cr_assert(bytes_equal(bytes_in(&before), bytes_in(&after)));
}

Test(vault, a_file_opens_what_it_sealed_and_another_file_is_refused, .init = scratch_setup,
     .fini = scratch_teardown)
{
	struct vault_lock lock, foreign;
	OWNED(vault_freep) struct vault *v = file_vault(&lock);
	OWNED(vault_freep) struct vault *again = NULL, *other = NULL, *none = NULL;
	OWNED(vault_secret_freep) struct vault_secret *s = NULL, *back = NULL;
	uint8_t sealed[VAULT_SEALED_BYTES];
	struct err err = {0};

	cr_assert_eq(vault_secret_new(&s, ERR_IGNORED), 0);
	cr_assert_eq(vault_seal(v, "k", 1, s, sealed, ERR_IGNORED), 0);
	cr_assert_eq(vault_open_file(scratch_fd, "store.key", &lock, &again, ERR_IGNORED), 0);
	cr_assert_eq(
	    vault_open(again, "k", 1, (struct bytes){sealed, sizeof(sealed)}, &back, ERR_IGNORED),
	    0);
	cr_assert_eq(vault_make_file(scratch_fd, "other.key", &foreign, &other, ERR_IGNORED), 0);
	cr_assert_eq(vault_open_file(scratch_fd, "other.key", &lock, &none, &err), RC_UNTRUSTED);
	cr_assert_str_eq(err.text, "it is not the master key of this key store");
	cr_assert_null(none);
}

static const struct {
	const char *descr, *make;
	int rc;
} files[] = {
    {"absent", "rm -f store.key", RC_ABSENT},
    {"a link", "mv store.key real; ln -s real store.key", RC_PATH},
    {"readable by the group", "chmod 0440 store.key", RC_POLICY},
    {"writable by all", "chmod 0602 store.key", RC_POLICY},
    {"one byte short", "chmod 600 store.key; truncate -s 31 store.key", RC_MALFORMED},
    {"one byte long", "chmod 600 store.key; truncate -s 33 store.key", RC_MALFORMED},
    {"empty", "chmod 600 store.key; truncate -s 0 store.key", RC_MALFORMED},
    {"a directory", "rm -f store.key; mkdir store.key", RC_TYPE},
    {"a fifo", "rm -f store.key; mkfifo -m 600 store.key", RC_TYPE},
};

Test(vault, a_master_key_file_that_is_not_as_it_was_made_is_refused, .init = scratch_setup,
     .fini = scratch_teardown)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct vault_lock lock;
		OWNED(vault_freep) struct vault *v = NULL, *again = NULL;

		scratch_run(scratch, "rm -rf store.key real");
		v = file_vault(&lock);
		cr_assert_eq(scratch_run(scratch, files[i].make), 0);
		cr_assert_eq(vault_open_file(scratch_fd, "store.key", &lock, &again, ERR_IGNORED),
			     files[i].rc, "%s", files[i].descr);
		cr_assert_null(again);
	}
}

/* Somebody who is asked. */
struct person {
	struct key_ask ask;
	const char *says;
	int asked;
};

static int answer(struct key_ask *ask, const char *what, char *dst, size_t size, struct err *err)
{
	struct person *p = (struct person *)ask;

	(void)err;
	cr_assert_str_eq(what, "the key store");
	p->asked++;
	snprintf(dst, size, "%s", p->says);
	return 0;
}

Test(vault, the_right_passphrase_opens_and_every_other_is_refused)
{
	struct person p = {.ask = {answer}, .says = "correct horse battery"};
	struct vault_lock lock = {0};
	OWNED(vault_freep) struct vault *v = NULL, *again = NULL, *none = NULL;
	OWNED(vault_secret_freep) struct vault_secret *s = NULL, *back = NULL;
	uint8_t sealed[VAULT_SEALED_BYTES];
	struct err err = {0};

	cr_assert_eq(vault_make_passphrase(&p.ask, &lock, &v, &err), 0, "%s", err.text);
	cr_assert_eq(lock.passes, VAULT_PASSES);
	cr_assert_eq(lock.memory, VAULT_MEMORY);
	cr_assert_eq(vault_secret_new(&s, ERR_IGNORED), 0);
	cr_assert_eq(vault_seal(v, "k", 1, s, sealed, ERR_IGNORED), 0);
	cr_assert_eq(vault_open_passphrase(&p.ask, &lock, &again, ERR_IGNORED), 0);
	cr_assert_eq(
	    vault_open(again, "k", 1, (struct bytes){sealed, sizeof(sealed)}, &back, ERR_IGNORED),
	    0);
	p.says = "correct horse batterz";
	cr_assert_eq(vault_open_passphrase(&p.ask, &lock, &none, &err), RC_UNTRUSTED);
	cr_assert_str_eq(err.text, "the passphrase of the key store is wrong");
	cr_assert_eq(vault_open_passphrase(NULL, &lock, &none, &err), RC_UNTRUSTED);
	cr_assert_not_null(strstr(err.text, "no terminal to ask"));
	cr_assert_null(none);
	cr_assert_eq(p.asked, 3);
}

Test(vault, a_registry_cannot_ask_for_more_work_than_is_ever_set)
{
	struct person p = {.ask = {answer}, .says = "correct horse battery"};
	struct vault_lock lock = {
	    .kind = VAULT_PASSPHRASE, .passes = VAULT_PASSES_MOST + 1, .memory = VAULT_MEMORY};
	OWNED(vault_freep) struct vault *none = NULL;

	cr_assert_eq(vault_open_passphrase(&p.ask, &lock, &none, ERR_IGNORED), RC_LIMIT);
	lock.passes = VAULT_PASSES;
	lock.memory = (uint64_t)VAULT_MEMORY_MOST + 1;
	cr_assert_eq(vault_open_passphrase(&p.ask, &lock, &none, ERR_IGNORED), RC_LIMIT);
	cr_assert_eq(p.asked, 0);
}

Test(vault, a_short_passphrase_is_not_set)
{
	struct person p = {.ask = {answer}, .says = "elevenchars"};
	struct vault_lock lock = {0};
	OWNED(vault_freep) struct vault *none = NULL;

	cr_assert_eq(vault_make_passphrase(&p.ask, &lock, &none, ERR_IGNORED), RC_POLICY);
	cr_assert_null(none);
}
