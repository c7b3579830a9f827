/* SPDX-License-Identifier: ISC */
/* The content key of a channel: many bundles under one key, each the same bytes whenever it is
 * made. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/bundle/content.h"

static const uint8_t secret_bytes[CONTENT_KEY_BYTES] = "a content key of a channel, 32 b";
static const struct bytes secret = {secret_bytes, sizeof(secret_bytes)};

static struct digest salt_make(void)
{
	struct digest salt;

	memset(salt.b, 0x5a, sizeof(salt.b));
	return salt;
}

/* A stream of ${n} bytes of ones in as many messages as it takes. */
static void stream(struct content_key *k, size_t n, struct buf *ret)
{
	OWNED(buf_clear) struct buf plain = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(buf_reserve(&plain, CONTENT_BYTES, &err), 0);
	memset(plain.p, 1, CONTENT_BYTES);
	while (n > 0) {
		plain.n = n < CONTENT_BYTES ? n : CONTENT_BYTES;
		n -= plain.n;
		cr_assert_eq(content_seal(k, bytes_in(&plain), n == 0, ret, &err), 0, "%s",
			     err.text);
	}
}

Test(channel_content, is_the_same_bytes_when_it_is_sealed_again)
{
	OWNED(content_key_freep) struct content_key *first = NULL;
	OWNED(content_key_freep) struct content_key *again = NULL;
	OWNED(buf_clear) struct buf one = BUF_INIT, two = BUF_INIT;
	struct digest salt = salt_make();
	struct manifest m = {.key = 1};
	struct err err = {0};

	cr_assert_eq(content_channel_new(secret, &salt, &m, &first, &err), 0, "%s", err.text);
	cr_assert_eq(content_channel_again(secret, &m, &again, &err), 0, "%s", err.text);
	stream(first, 2 * BLOCK_BYTES, &one);
	stream(again, 2 * BLOCK_BYTES, &two);
	cr_assert(bytes_equal(bytes_in(&one), bytes_in(&two)));
}

/* What libsodium's documentation does not promise, and the sealing of what is posted relies on. */
Test(channel_content, a_header_gives_both_ends_of_a_stream_the_same_state)
{
	crypto_secretstream_xchacha20poly1305_state push, pull;
	uint8_t header[crypto_secretstream_xchacha20poly1305_HEADERBYTES];

	for (int i = 0; i < 100; i++) {
		cr_assert_eq(
		    crypto_secretstream_xchacha20poly1305_init_push(&push, header, secret_bytes),
		    0);
		cr_assert_eq(
		    crypto_secretstream_xchacha20poly1305_init_pull(&pull, header, secret_bytes),
		    0);
		cr_assert_eq(memcmp(&push.k, &pull.k, sizeof(push.k)), 0);
		cr_assert_eq(memcmp(&push.nonce, &pull.nonce, sizeof(push.nonce)), 0);
	}
}

Test(channel_content, opens_with_its_key_and_gives_the_salt)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	OWNED(content_key_freep) struct content_key *open = NULL;
	OWNED(buf_clear) struct buf sealed = BUF_INIT, plain = BUF_INIT;
	struct digest salt = salt_make();
	struct manifest m = {.key = 1};
	struct err err = {0};

	cr_assert_eq(content_channel_new(secret, &salt, &m, &k, &err), 0, "%s", err.text);
	cr_expect(digest_is_zero(content_key_salt(NULL)));
	stream(k, 100, &sealed);
	cr_assert_eq(content_channel_open(secret, &m, &open, &err), 0, "%s", err.text);
	cr_assert(digest_equal(content_key_salt(open), &salt));
	cr_assert_eq(content_open(open, bytes_in(&sealed), true, &plain, &err), 0, "%s", err.text);
	cr_assert_eq(plain.n, 100);
	cr_assert_eq(plain.p[99], 1);
}

Test(channel_content, opens_with_no_other_key_and_with_no_other_header_or_salt)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	OWNED(content_key_freep) struct content_key *open = NULL;
	uint8_t other[CONTENT_KEY_BYTES];
	struct digest salt = salt_make();
	struct manifest m = {.key = 1}, changed;
	struct err err = {0};

	cr_assert_eq(content_channel_new(secret, &salt, &m, &k, &err), 0, "%s", err.text);
	memcpy(other, secret_bytes, sizeof(other));
	other[31] ^= 1;
	cr_expect_eq(content_channel_open((struct bytes){other, 32}, &m, &open, &err),
		     RC_UNTRUSTED);
	cr_expect_eq(content_channel_open((struct bytes){other, 31}, &m, &open, &err),
		     RC_MALFORMED);
	changed = m;
	changed.stream_header[3] ^= 1;
	cr_expect_eq(content_channel_open(secret, &changed, &open, &err), RC_UNTRUSTED);
	changed = m;
	changed.sealed_salt[40] ^= 1;
	cr_expect_eq(content_channel_open(secret, &changed, &open, &err), RC_UNTRUSTED);
	cr_expect_null(open);
}

/* All zero is what stands for "no salt", so a bundle cannot ask for digests that are not keyed. */
Test(channel_content, has_always_a_salt)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	OWNED(content_key_freep) struct content_key *open = NULL;
	struct digest none = {{0}};
	struct manifest m = {.key = 1};
	struct err err = {0};

	cr_assert_eq(content_channel_new(secret, &none, &m, &k, &err), 0, "%s", err.text);
	cr_expect_eq(content_channel_open(secret, &m, &open, &err), RC_UNTRUSTED);
}

Test(channel_content, never_seals_two_bundles_in_the_same_stream)
{
	struct digest salt = salt_make();
	struct manifest a = {.key = 1}, b = {.key = 1};
	OWNED(content_key_freep) struct content_key *one = NULL;
	OWNED(content_key_freep) struct content_key *two = NULL;
	struct err err = {0};

	cr_assert_eq(content_channel_new(secret, &salt, &a, &one, &err), 0);
	cr_assert_eq(content_channel_new(secret, &salt, &b, &two, &err), 0);
	cr_expect_neq(memcmp(a.stream_header, b.stream_header, sizeof(a.stream_header)), 0);
	cr_expect_neq(memcmp(a.sealed_salt, b.sealed_salt, sizeof(a.sealed_salt)), 0);
}

Test(channel_content, a_digest_of_changes_is_keyed_only_with_a_salt)
{
	struct digest plain = digest_of(bytes_of("put\n")), none = {{0}}, salt = salt_make(), d;

	d = content_changes(&none, &plain);
	cr_expect(digest_equal(&d, &plain));
	d = content_changes(&salt, &plain);
	cr_expect_not(digest_equal(&d, &plain));
}
