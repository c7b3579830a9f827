/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/documents/trusted.h"

/* Two keys for all channels, one for those that begin with "lab-", and the private key. */
enum { ANY, OTHER, LAB, PRIVATE, KEYS };
static struct key_secret *key[KEYS];

static void setup(void)
{
	for (int i = 0; i < KEYS; i++)
		cr_assert_eq(key_generate(KEY_SIGN, &key[i], ERR_IGNORED), 0);
}

static void teardown(void)
{
	for (int i = 0; i < KEYS; i++)
		key[i] = key_free(key[i]);
}

TestSuite(trusted, .init = setup, .fini = teardown);

static struct trust trust_of(uint32_t threshold)
{
	struct trust t = {.format = 2, .name = "Acme", .version = 1, .keys = KEYS};

	for (int i = 0; i < KEYS; i++)
		t.key[i] =
		    (struct trust_key){.key = key_public_of(key[i]),
				       .state = KEY_CURRENT,
				       .roles = 1u << (i == PRIVATE ? ROLE_PRIVATE : ROLE_PUBLISH)};
	strcpy(t.key[LAB].only, "lab-*");
	for (int role = 0; role < ROLE_COUNT; role++)
		t.threshold[role] = 1;
	t.threshold[ROLE_PUBLISH] = threshold;
	return t;
}

static void sign(struct buf *ret, struct bytes inner, unsigned signers)
{
	buf_reset(ret);
	cr_assert_eq(buf_add(ret, inner.p, inner.n, ERR_IGNORED), 0);
	for (int i = 0; i < KEYS; i++) {
		struct buf more = BUF_INIT;

		if ((signers >> i & 1) == 0)
			continue;
		cr_assert_eq(signed_make(key[i], bytes_in(ret), &more, ERR_IGNORED), 0);
		buf_clear(ret);
		*ret = more;
	}
}

static void release_for(const char *channel, uint64_t generation, unsigned signers, struct buf *ret)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	struct release r = {.epoch = 1, .generation = generation, .created = 1700000000};

	snprintf(r.channel, sizeof(r.channel), "%s", channel);
	memset(&r.site, 1, sizeof(r.site));
	memset(&r.tree, 2, sizeof(r.tree));
	cr_assert_eq(release_encode(&r, &inner, ERR_IGNORED), 0);
	sign(ret, bytes_in(&inner), signers);
}

/* Is a head of generation 3 believed?  ${release} NULL: a head/1. */
static int head_by(const struct trust *t, const char *channel, const struct buf *release,
		   unsigned signers, struct err *err)
{
	struct head_bundle bundle = {.generation = 3, .size = 1};
	struct head h = {
	    .epoch = 1, .generation = 3, .created = 1700000000, .bundle = &bundle, .bundles = 1};
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf file = BUF_INIT;
	OWNED(release_clear) struct release r = {0};
	OWNED(head_clear) struct head got = {0};
	struct signed_doc doc;

	snprintf(h.channel, sizeof(h.channel), "%s", channel);
	memset(&h.site, 1, sizeof(h.site));
	memset(&h.tree, 2, sizeof(h.tree));
	memset(&bundle.prefix, 3, sizeof(bundle.prefix));
	memset(&bundle.manifest, 4, sizeof(bundle.manifest));
	if (release != NULL)
		h.release = *release;
	cr_assert_eq(head_encode(&h, &inner, err), 0, "%s", err->text);
	sign(&file, bytes_in(&inner), signers);
	cr_assert_eq(signed_split(bytes_in(&file), LIMIT_LAYERS, &doc, err), 0);
	return trusted_head(t, &doc, "head", &got, &r, err);
}

Test(trusted, a_head_needs_the_private_key_and_a_release_by_publish_keys)
{
	OWNED(buf_clear) struct buf good = BUF_INIT;
	OWNED(buf_clear) struct buf bad = BUF_INIT;
	struct trust t = trust_of(1);
	struct err err = {0};

	release_for("office", 3, 1u << ANY, &good);
	cr_expect_eq(head_by(&t, "office", &good, 1u << PRIVATE, &err), 0, "%s", err.text);
	cr_expect_eq(head_by(&t, "office", &good, 1u << ANY, &err), RC_UNTRUSTED);
	release_for("office", 3, 1u << PRIVATE, &bad);
	cr_expect_eq(head_by(&t, "office", &bad, 1u << PRIVATE, &err), RC_UNTRUSTED);
	release_for("office", 2, 1u << ANY, &bad);
	cr_expect_eq(head_by(&t, "office", &bad, 1u << PRIVATE, &err), RC_ADDRESSEE);
	release_for("lab-plan", 3, 1u << ANY, &bad);
	cr_expect_eq(head_by(&t, "office", &bad, 1u << PRIVATE, &err), RC_ADDRESSEE);
}

/* The form of before there were two hands is not a way round what a key may sign for. */
Test(trusted, a_head_of_format_1_needs_enough_keys_that_may_sign_for_its_channel)
{
	struct trust t = trust_of(1);
	struct err err = {0};

	cr_expect_eq(head_by(&t, "office", NULL, 1u << ANY, &err), 0, "%s", err.text);
	cr_expect_eq(head_by(&t, "lab-plan", NULL, 1u << LAB, &err), 0, "%s", err.text);
	cr_expect_eq(head_by(&t, "office", NULL, 1u << LAB, &err), RC_UNTRUSTED);
	cr_expect(strstr(err.text, "other channels only") != NULL, "%s", err.text);
	cr_expect_eq(head_by(&t, "office", NULL, 1u << PRIVATE, &err), RC_UNTRUSTED);
	t = trust_of(2);
	cr_expect_eq(head_by(&t, "office", NULL, 1u << ANY, &err), RC_UNTRUSTED);
}

Test(trusted, what_a_publish_key_released_once_is_told_from_a_lie)
{
	OWNED(buf_clear) struct buf once = BUF_INIT;
	OWNED(buf_clear) struct buf never = BUF_INIT;
	struct trust t = trust_of(2);
	struct head h = {0};

	release_for("office", 3, 1u << ANY, &once);
	release_for("office", 3, 1u << PRIVATE, &never);
	h.release = once;
	cr_expect(trusted_release_before(&t, &h), "one signature of two");
	t.key[ANY].state = KEY_RETIRED;
	cr_expect(trusted_release_before(&t, &h));
	t.key[ANY].state = KEY_REVOKED;
	cr_expect_not(trusted_release_before(&t, &h));
	h.release = never;
	cr_expect_not(trusted_release_before(&t, &h));
}
