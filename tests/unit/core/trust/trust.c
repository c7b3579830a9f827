/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/trust/trust.h"

/* Keys 0 to 7 are for roots, then one for each other role, and strangers. */
enum { PUBLISH = 8, BEAT, COLLECT, SPARE, STRANGER, POOL };

static struct key_secret *pool[POOL];
static char numbers[POOL][KEY_NUMBER_TEXT + 1];

static void setup(void)
{
	for (int i = 0; i < POOL; i++) {
		struct key_public public;

		cr_assert_eq(
		    key_generate(i == COLLECT ? KEY_SEAL : KEY_SIGN, &pool[i], ERR_IGNORED), 0);
		public = key_public_of(pool[i]);
		key_number_text(numbers[i], &public);
	}
}

static void teardown(void)
{
	for (int i = 0; i < POOL; i++)
		pool[i] = key_free(pool[i]);
}

TestSuite(trust, .init = setup, .fini = teardown);

static struct trust_key *key_add(struct trust *t, int i, unsigned roles)
{
	struct trust_key *k = &t->key[t->keys++];

	*k =
	    (struct trust_key){.key = key_public_of(pool[i]), .state = KEY_CURRENT, .roles = roles};
	return k;
}

/* A signed document around ${text}; bit i of ${signers}: key i of the pool signed. */
static void sign(struct buf *ret, const char *text, unsigned signers)
{
	buf_reset(ret);
	cr_assert_eq(buf_text(ret, text, ERR_IGNORED), 0);
	for (int i = 0; i < POOL; i++) {
		struct buf more = BUF_INIT;

		if ((signers >> i & 1) == 0)
			continue;
		cr_assert_eq(signed_make(pool[i], bytes_in(ret), &more, ERR_IGNORED), 0);
		buf_clear(ret);
		*ret = more;
	}
}

struct version {
	struct trust t;
	char text[128]; /* innermost bytes */
	struct buf file;
	struct signed_doc doc;
};

/* Sign anew, after a change. */
static void version_sign(struct version *v, unsigned signers)
{
	sign(&v->file, v->text, signers);
	cr_assert_eq(signed_split(bytes_in(&v->file), LIMIT_LAYERS, &v->doc, ERR_IGNORED), 0);
}

/* Version ${number} after ${before} (NULL: the first), with the root keys of the mask ${roots}. */
static void version_make(struct version *v, const struct version *before, uint64_t number,
			 unsigned roots, uint32_t threshold, unsigned signers)
{
	struct trust t = {.name = "Acme", .version = number, .created = 1000, .expires = 2000};

	memset(v, 0, sizeof(*v));
	snprintf(v->text, sizeof(v->text), "satchel: trust/1\nversion: %" PRIu64 "\nroots: %x/%u\n",
		 number, roots, threshold);
	for (int i = 0; i < 8; i++)
		if (roots >> i & 1)
			key_add(&t, i, 1u << ROLE_ROOT);
	key_add(&t, PUBLISH, 1u << ROLE_PUBLISH);
	key_add(&t, BEAT, 1u << ROLE_BEAT);
	key_add(&t, COLLECT, 1u << ROLE_COLLECT);
	t.threshold[ROLE_ROOT] = threshold;
	t.threshold[ROLE_PUBLISH] = t.threshold[ROLE_BEAT] = t.threshold[ROLE_COLLECT] = 1;
	t.identity = digest_of(bytes_of(v->text));
	t.site = before != NULL ? before->t.site : t.identity;
	if (before != NULL)
		t.previous = before->t.identity;
	v->t = t;
	version_sign(v, signers);
}

static void version_clear(struct version *v)
{
	buf_clear(&v->file);
}

#define FIVE             0x1fu
#define SAID(err, words) cr_expect(strstr((err).text, words) != NULL, "%s", (err).text)

Test(trust, a_sound_first_version_is_accepted)
{
	OWNED(version_clear) struct version v;
	struct err err = {0};

	version_make(&v, NULL, 1, FIVE, 3, 0x07);
	cr_expect_eq(trust_check(&v.t, &err), 0, "%s", err.text);
	cr_expect_eq(trust_first(&v.t, &v.doc, &v.t.identity, &err), 0, "%s", err.text);
}

Test(trust, a_first_version_of_another_site_or_with_too_few_signatures_is_refused)
{
	OWNED(version_clear) struct version v;
	OWNED(version_clear) struct version second;
	struct digest pinned;
	struct err err = {0};

	version_make(&v, NULL, 1, FIVE, 3, 0x03);
	cr_expect_eq(trust_first(&v.t, &v.doc, &v.t.identity, &err), RC_UNTRUSTED);
	SAID(err,
	     "trust version 1: signed by 2 root keys, but trust version 1 of site Acme asks for "
	     "3");
	version_sign(&v, 0x07);
	pinned = v.t.identity;
	pinned.b[31] ^= 1;
	cr_expect_eq(trust_first(&v.t, &v.doc, &pinned, &err), RC_UNTRUSTED);
	SAID(err, "another site");
	version_make(&second, &v, 2, FIVE, 3, 0x07);
	cr_expect_eq(trust_first(&second.t, &second.doc, &second.t.identity, &err), RC_UNTRUSTED);
	SAID(err, "begins with version 1");
	second.t.identity.b[0] ^= 1;
	second.t.version = 1;
	cr_expect_eq(trust_first(&second.t, &second.doc, &second.doc.identity, &err), RC_INTERNAL);
}

/* The cases of tuf-conformance's test_key_rotations, and some more. */
static const struct rotation {
	const char *descr;
	unsigned old_keys;
	uint32_t old_threshold;
	unsigned new_keys;
	uint32_t new_threshold;
	unsigned signers;
	int rc;
	const char *says;
} rotations[] = {
    {"1 of 1, the same key", 0x01, 1, 0x01, 1, 0x01, 0, ""},
    {"1 of 1, rotated, both signed", 0x01, 1, 0x02, 1, 0x03, 0, ""},
    {"1 of 1, signatures that nobody needs", 0x01, 1, 0x01, 1, 0x1001, 0, ""},
    {"1 of 1, rotated, only the new signed", 0x01, 1, 0x02, 1, 0x02, RC_UNTRUSTED,
     "which trust version 1 of site Acme does not know"},
    {"1 of 1, rotated, only the old signed", 0x01, 1, 0x02, 1, 0x01, RC_UNTRUSTED,
     "which trust version 2 of site Acme does not know"},
    {"1 of 1, rotated, a stranger signed", 0x01, 1, 0x02, 1, 0x1000, RC_UNTRUSTED, "does not know"},
    {"3 of 5, keys 0 1 2", 0x1f, 3, 0x1f, 3, 0x07, 0, ""},
    {"3 of 5, keys 0 2 4", 0x1f, 3, 0x1f, 3, 0x15, 0, ""},
    {"3 of 5, keys 2 3 4", 0x1f, 3, 0x1f, 3, 0x1c, 0, ""},
    {"3 of 5, all five", 0x1f, 3, 0x1f, 3, 0x1f, 0, ""},
    {"3 of 5, two", 0x1f, 3, 0x1f, 3, 0x03, RC_UNTRUSTED,
     "by 2 root keys, but trust version 1 of site Acme asks for 3"},
    {"3 of 5, none of them", 0x1f, 3, 0x1f, 3, 0x1000, RC_UNTRUSTED, "does not know"},
    {"3 of 5, one key rotated, kept ones signed", 0x1f, 3, 0x2f, 3, 0x07, 0, ""},
    {"3 of 5, one key rotated, old and new counted apart", 0x1f, 3, 0x2f, 3, 0x33, 0, ""},
    {"3 of 5, one key rotated, three in all but two old", 0x1f, 3, 0x2f, 3, 0x23, RC_UNTRUSTED,
     "by 2 root keys, but trust version 1 of site Acme asks for 3"},
    {"3 of 5, one key rotated, three in all but two new", 0x1f, 3, 0x2f, 3, 0x13, RC_UNTRUSTED,
     "by 2 root keys, but trust version 2 of site Acme asks for 3"},
    {"2 of 3, all rotated, two of each", 0x07, 2, 0x38, 2, 0x1b, 0, ""},
    {"2 of 3, all rotated, one old", 0x07, 2, 0x38, 2, 0x39, RC_UNTRUSTED,
     "by 1 root key, but trust version 1 of site Acme asks for 2"},
    {"2 of 3, all rotated, one new", 0x07, 2, 0x38, 2, 0x0f, RC_UNTRUSTED,
     "by 1 root key, but trust version 2 of site Acme asks for 2"},
    {"threshold up, new one reached", 0x1f, 1, 0x1f, 3, 0x07, 0, ""},
    {"threshold up, only the old one reached", 0x1f, 1, 0x1f, 3, 0x01, RC_UNTRUSTED,
     "by 1 root key, but trust version 2 of site Acme asks for 3"},
    {"threshold down, old one reached", 0x1f, 3, 0x1f, 2, 0x07, 0, ""},
    {"threshold down, only the new one reached", 0x1f, 3, 0x1f, 2, 0x03, RC_UNTRUSTED,
     "by 2 root keys, but trust version 1 of site Acme asks for 3"},
    {"8 of 8", 0xff, 8, 0xff, 8, 0xff, 0, ""},
    {"keys of other roles do not count", 0x03, 2, 0x03, 2, 0x301, RC_UNTRUSTED,
     "by 1 root key, but trust version 1 of site Acme asks for 2"},
};

Test(trust, a_next_version_needs_a_threshold_of_the_old_and_of_the_new_root_keys)
{
	for (size_t i = 0; i < ARRAY_LEN(rotations); i++) {
		const struct rotation *r = &rotations[i];
		OWNED(version_clear) struct version old;
		OWNED(version_clear) struct version next;
		struct err err = {0};

		version_make(&old, NULL, 1, r->old_keys, r->old_threshold, r->old_keys);
		version_make(&next, &old, 2, r->new_keys, r->new_threshold, r->signers);
		cr_expect_eq(trust_next(&old.t, &next.t, &next.doc, &err), r->rc, "%s: %s",
			     r->descr, err.text);
		cr_expect(strstr(err.text, r->says) != NULL, "%s: %s", r->descr, err.text);
	}
}

Test(trust, every_single_signature_that_is_needed_is_needed)
{
	OWNED(version_clear) struct version old;

	version_make(&old, NULL, 1, 0x07, 2, 0x07);
	for (unsigned signers = 1; signers < 64; signers++) {
		OWNED(version_clear) struct version next;
		bool enough = __builtin_popcount(signers & 0x07) >= 2 &&
			      __builtin_popcount(signers & 0x38) >= 2;

		version_make(&next, &old, 2, 0x38, 2, signers);
		cr_expect_eq(trust_next(&old.t, &next.t, &next.doc, ERR_IGNORED),
			     enough ? 0 : RC_UNTRUSTED, "signers %x", signers);
	}
}

Test(trust, a_machine_catches_up_step_by_step_and_never_by_a_jump)
{
	struct version v[21];
	struct err err = {0};

	for (unsigned n = 0; n < ARRAY_LEN(v); n++) {
		unsigned was = 1u << (n + 7) % 8, is = 1u << n % 8;

		version_make(&v[n], n > 0 ? &v[n - 1] : NULL, n + 1, is, 1, n > 0 ? was | is : is);
	}
	cr_assert_eq(trust_first(&v[0].t, &v[0].doc, &v[0].t.identity, &err), 0, "%s", err.text);
	for (unsigned n = 1; n < ARRAY_LEN(v); n++) {
		cr_expect_eq(trust_next(&v[n - 1].t, &v[n].t, &v[n].doc, &err), 0, "%s", err.text);
		if (n < 2)
			continue;
		cr_expect_eq(trust_next(&v[n - 2].t, &v[n].t, &v[n].doc, &err), RC_INCOMPLETE);
		cr_expect_eq(trust_next(&v[n].t, &v[n - 1].t, &v[n - 1].doc, &err), RC_REPLAY);
		cr_expect_eq(trust_next(&v[n].t, &v[n].t, &v[n].doc, &err), RC_REPLAY);
	}
	cr_expect_eq(trust_next(&v[3].t, &v[5].t, &v[5].doc, &err), RC_INCOMPLETE);
	SAID(err, "trust version 6 cannot follow version 4: version 5 is missing");
	cr_expect_eq(trust_next(&v[5].t, &v[3].t, &v[3].doc, &err), RC_REPLAY);
	SAID(err, "trust version 4 is older than version 6, which is held");
	cr_expect_eq(trust_next(&v[5].t, &v[5].t, &v[5].doc, &err), RC_REPLAY);
	SAID(err, "trust version 6 is held already");
	for (unsigned n = 0; n < ARRAY_LEN(v); n++)
		version_clear(&v[n]);
}

Test(trust, the_highest_version_has_no_next_and_nothing_overflows)
{
	OWNED(version_clear) struct version v;
	OWNED(version_clear) struct version next;
	OWNED(version_clear) struct version first;

	version_make(&first, NULL, 1, 0x01, 1, 0x01);
	version_make(&v, &first, LIMIT_NUMBER, 0x01, 1, 0x01);
	version_make(&next, &v, LIMIT_NUMBER + 1, 0x01, 1, 0x01);
	cr_expect_eq(trust_next(&v.t, &next.t, &next.doc, ERR_IGNORED), RC_MALFORMED);
	v.t.version = UINT64_MAX;
	next.t.version = 0;
	cr_expect_eq(trust_next(&v.t, &next.t, &next.doc, ERR_IGNORED), RC_REPLAY);
}

Test(trust, a_fork_is_said_only_of_what_trusted_keys_signed)
{
	OWNED(version_clear) struct version one;
	OWNED(version_clear) struct version two;
	OWNED(version_clear) struct version other;
	OWNED(version_clear) struct version three;
	struct err err = {0};

	version_make(&one, NULL, 1, 0x03, 1, 0x01);
	version_make(&two, &one, 2, 0x03, 1, 0x01);
	version_make(&other, &one, 2, 0x03, 2, 0x03);
	cr_expect_eq(trust_next(&two.t, &other.t, &other.doc, &err), RC_FORK);
	SAID(err, "two different versions 2 of the trust of site Acme");
	version_sign(&other, 1u << STRANGER);
	cr_expect_eq(trust_next(&two.t, &other.t, &other.doc, &err), RC_UNTRUSTED,
		     "anybody can write a number");
	version_make(&three, &other, 3, 0x03, 1, 0x01);
	cr_expect_eq(trust_next(&two.t, &three.t, &three.doc, &err), RC_FORK);
	SAID(err, "follows another version 2 than the one that is held");
	version_sign(&three, 1u << STRANGER);
	cr_expect_eq(trust_next(&two.t, &three.t, &three.doc, &err), RC_UNTRUSTED);
}

Test(trust, one_signature_twice_counts_once)
{
	OWNED(version_clear) struct version one;
	OWNED(version_clear) struct version two;
	OWNED(buf_clear) struct buf twice = BUF_INIT;
	struct err err = {0};

	version_make(&one, NULL, 1, 0x03, 2, 0x03);
	version_make(&two, &one, 2, 0x03, 2, 0x01);
	cr_assert_eq(signed_make(pool[0], bytes_in(&two.file), &twice, ERR_IGNORED), 0);
	cr_assert_eq(signed_split(bytes_in(&twice), LIMIT_LAYERS, &two.doc, ERR_IGNORED), 0);
	cr_assert_eq(two.doc.layers, 2);
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_UNTRUSTED);
	SAID(err, "by 1 root key, but trust version 1 of site Acme asks for 2");
	SAID(err, "more than once");
	/* The very same layer twice in the list, which no file can say. */
	two.doc.layer[1] = two.doc.layer[0];
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_UNTRUSTED);
}

Test(trust, one_key_under_two_numbers_counts_once_and_is_refused_in_a_document)
{
	OWNED(version_clear) struct version one;
	OWNED(version_clear) struct version two;
	struct trust_key *alias;
	struct err err = {0};

	version_make(&one, NULL, 1, 0x01, 2, 0x01);
	alias = key_add(&one.t, 0, 1u << ROLE_ROOT);
	alias->key.number++;
	cr_expect_eq(trust_check(&one.t, &err), RC_MALFORMED);
	SAID(err, "listed twice");
	/* Even when it got past that: the two layers are by one key. */
	version_make(&two, &one, 2, 0x03, 1, 0x01);
	two.doc.layer[two.doc.layers] = two.doc.layer[0];
	two.doc.layer[two.doc.layers++].number++;
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_UNTRUSTED);
	SAID(err, "by 1 root key, but trust version 1 of site Acme asks for 2");
}

Test(trust, two_keys_with_one_number_are_told_apart_by_their_signatures)
{
	OWNED(version_clear) struct version one;
	OWNED(version_clear) struct version two;
	struct err err = {0};

	version_make(&one, NULL, 1, 0x03, 1, 0x01);
	version_make(&two, &one, 2, 0x03, 1, 0x02);
	one.t.key[0].key.number = one.t.key[1].key.number;
	cr_expect_eq(trust_check(&one.t, &err), RC_MALFORMED);
	SAID(err, "two keys have the number");
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), 0, "%s", err.text);
}

Test(trust, a_threshold_of_zero_is_never_reached)
{
	OWNED(version_clear) struct version one;
	OWNED(version_clear) struct version two;
	struct err err = {0};

	version_make(&one, NULL, 1, 0x01, 1, 0x01);
	version_make(&two, &one, 2, 0x01, 1, 0x01);
	one.t.threshold[ROLE_ROOT] = 0;
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_UNTRUSTED);
	one.t.threshold[ROLE_ROOT] = 1;
	two.t.threshold[ROLE_ROOT] = 0;
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_MALFORMED);
	one.t.threshold[ROLE_PUBLISH] = 0;
	cr_expect_eq(trust_role(&one.t, ROLE_PUBLISH, &one.doc, "head", &err), RC_UNTRUSTED);
}

/* Flip a bit in the signature of the layer that begins at ${layer}; a second call flips it back. */
static void alter(uint8_t *layer)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *letter = (char *)layer + 43 + 50;

	*letter = letters[(strchr(letters, *letter) - letters) ^ 1];
}

Test(trust, a_bad_signature_beside_enough_good_ones_does_not_matter)
{
	OWNED(version_clear) struct version one;
	OWNED(version_clear) struct version two;
	struct err err = {0};

	version_make(&one, NULL, 1, 0x07, 2, 0x03);
	version_make(&two, &one, 2, 0x07, 2, 0x07);
	alter(two.file.p);
	cr_assert_eq(signed_split(bytes_in(&two.file), LIMIT_LAYERS, &two.doc, ERR_IGNORED), 0);
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), 0, "%s", err.text);
	version_sign(&two, 0x03);
	alter(two.file.p);
	cr_assert_eq(signed_split(bytes_in(&two.file), LIMIT_LAYERS, &two.doc, ERR_IGNORED), 0);
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_UNTRUSTED);
	SAID(err, "does not match its content");
}

Test(trust, retired_and_revoked_root_keys_do_not_count)
{
	static const enum key_state states[] = {KEY_RETIRED, KEY_REVOKED};

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		OWNED(version_clear) struct version one;
		OWNED(version_clear) struct version two;
		struct err err = {0};

		version_make(&one, NULL, 1, 0x03, 1, 0x01);
		version_make(&two, &one, 2, 0x03, 1, 0x01);
		one.t.key[0].state = states[i];
		cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_UNTRUSTED);
		SAID(err, numbers[0]);
		SAID(err, states[i] == KEY_RETIRED ? "has retired" : "has revoked");
		one.t.key[0].state = KEY_CURRENT;
		two.t.key[0].state = states[i];
		cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_UNTRUSTED,
			     "revoked by the version that it signs");
		version_sign(&two, 0x03);
		cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), 0,
			     "it may still sign its own end: %s", err.text);
	}
}

Test(trust, epochs_do_not_fall)
{
	for (int role = 0; role < ROLE_PRIVATE; role++) {
		OWNED(version_clear) struct version one;
		OWNED(version_clear) struct version two;
		struct err err = {0};

		version_make(&one, NULL, 1, 0x01, 1, 0x01);
		version_make(&two, &one, 2, 0x01, 1, 0x01);
		one.t.epoch[role] = two.t.epoch[role] = 7;
		cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), 0, "%s", err.text);
		two.t.epoch[role] = 8;
		cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), 0, "%s", err.text);
		two.t.epoch[role] = 6;
		cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_REPLAY);
		SAID(err, "from 7 to 6");
		SAID(err, role_names[role]);
	}
}

/* What is wrong with a document by itself */

static void expect_malformed(const struct trust *t, const char *says)
{
	struct err err = {0};

	cr_expect_lt(trust_check(t, &err), 0, "%s", says);
	cr_expect(strstr(err.text, says) != NULL, "%s: %s", says, err.text);
	cr_expect_lt(trust_check(t, ERR_IGNORED), 0);
}

Test(trust, documents_that_no_site_can_live_with_are_refused)
{
	OWNED(version_clear) struct version v;
	struct trust t;

#define BROKEN(says, change)                \
	do {                                \
		t = v.t;                    \
		change;                     \
		expect_malformed(&t, says); \
	} while (0)
	version_make(&v, NULL, 1, FIVE, 3, 0x07);
	cr_assert_eq(trust_check(&v.t, ERR_IGNORED), 0);
	BROKEN("threshold of root is 0", t.threshold[ROLE_ROOT] = 0);
	BROKEN("threshold of root is 9", t.threshold[ROLE_ROOT] = 9);
	BROKEN("only 5 of its keys are current", t.threshold[ROLE_ROOT] = 6);
	BROKEN("only 2 of its keys are current",
	       t.key[0].state = t.key[1].state = t.key[2].state = KEY_RETIRED);
	BROKEN("threshold of publish is 2; it can be 1 to 1", t.threshold[ROLE_PUBLISH] = 2);
	BROKEN("threshold of beat is 0", t.threshold[ROLE_BEAT] = 0);
	BROKEN("threshold of collect is 1, but only 0", t.keys--);
	BROKEN("threshold of publish is 1, but only 0", t.key[5].state = KEY_REVOKED);
	BROKEN("2 current collect keys", key_add(&t, COLLECT, 1u << ROLE_COLLECT);
	       t.key[t.keys - 1].key.b[0] ^= 1; t.key[t.keys - 1].key.number ^= 1);
	BROKEN("listed twice", key_add(&t, 0, 1u << ROLE_ROOT));
	BROKEN("listed twice", key_add(&t, PUBLISH, 1u << ROLE_ROOT));
	BROKEN("two keys have the number", t.key[1].key.number = t.key[0].key.number);
	BROKEN("is a signing key", t.key[0].roles |= 1u << ROLE_COLLECT);
	BROKEN("is a sealing key", t.key[7].roles |= 1u << ROLE_BEAT);
	BROKEN("cannot have all of its roles", t.key[0].roles |= 1u << ROLE_COUNT);
	BROKEN("neither current, retired nor revoked", t.key[0].state = (enum key_state)3);
	BROKEN("count from 1", t.version = 0);
	BROKEN("count from 1", t.version = LIMIT_NUMBER + 1);
	BROKEN("cannot name a version before it", t.previous.b[0] = 1);
	BROKEN("does not name a version before it", t.version = 2);
	BROKEN("ends before it begins", t.expires = t.created);
	BROKEN("more than 64 keys", t.keys = LIMIT_KEYS + 1);
	BROKEN("epoch of beat", t.epoch[ROLE_BEAT] = LIMIT_NUMBER + 1);
}

Test(trust, a_retired_collect_key_may_stand_beside_the_current_one)
{
	OWNED(version_clear) struct version v;
	struct key_secret *old = NULL;
	struct err err = {0};

	version_make(&v, NULL, 1, 0x01, 1, 0x01);
	cr_assert_eq(key_generate(KEY_SEAL, &old, ERR_IGNORED), 0);
	v.t.key[v.t.keys] = v.t.key[v.t.keys - 1];
	v.t.key[v.t.keys - 1].key = key_public_of(old);
	v.t.key[v.t.keys++ - 1].state = KEY_RETIRED;
	cr_expect_eq(trust_check(&v.t, &err), 0, "%s", err.text);
	cr_expect_eq(trust_collect(&v.t)->number, key_public_of(pool[COLLECT]).number);
	v.t.keys--;
	cr_expect_null(trust_collect(&v.t));
	key_free(old);
}

/* Roles */

struct signed_by_case {
	const char *descr;
	int signer;
	int rc;
	const char *says; /* with the number of the signer for %s */
};

static void role_cases(const struct trust *t, bool named, const struct signed_by_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		OWNED(buf_clear) struct buf file = BUF_INIT;
		struct signed_doc doc;
		struct err err = {0};
		char says[256];
		int rc;

		sign(&file, "satchel: head/1\n", 1u << c[i].signer);
		cr_assert_eq(signed_split(bytes_in(&file), 1, &doc, ERR_IGNORED), 0);
		rc = (named ? trust_role_named : trust_role)(
		    t, ROLE_PUBLISH, &doc, "bundle 41-42 of channel office", &err);
		cr_expect_eq(rc, c[i].rc, "%s: %s", c[i].descr, err.text);
		snprintf(says, sizeof(says), "bundle 41-42 of channel office: signed by key %s, %s",
			 numbers[c[i].signer], c[i].says);
		cr_expect_str_eq(err.text, c[i].rc < 0 ? says : "");
	}
}

Test(trust, refusals_name_the_key_and_the_role)
{
	OWNED(version_clear) struct version v;
	struct err err = {0};
	static const struct signed_by_case cases[] = {
	    {"publish key", PUBLISH, 0, ""},
	    {"stranger", STRANGER, RC_UNTRUSTED, "which site Acme does not know"},
	    {"beat key", BEAT, RC_UNTRUSTED, "which is not a publish key of site Acme"},
	    {"root key", 0, RC_UNTRUSTED, "which is not a publish key of site Acme"},
	    {"revoked key", 1, RC_UNTRUSTED, "which site Acme has revoked"},
	    {"retired key", SPARE, RC_UNTRUSTED, "a publish key that site Acme has retired"},
	};
	static const struct signed_by_case named[] = {
	    {"publish key", PUBLISH, 0, ""},
	    {"retired key", SPARE, 0, ""},
	    {"revoked key", 1, RC_UNTRUSTED, "which site Acme has revoked"},
	    {"beat key", BEAT, RC_UNTRUSTED, "which is not a publish key of site Acme"},
	    {"stranger", STRANGER, RC_UNTRUSTED, "which site Acme does not know"},
	};

	version_make(&v, NULL, 1, 0x03, 1, 0x01);
	v.t.key[1].state = KEY_REVOKED;
	v.t.key[1].roles |= 1u << ROLE_PUBLISH;
	key_add(&v.t, SPARE, 1u << ROLE_PUBLISH)->state = KEY_RETIRED;
	role_cases(&v.t, false, cases, ARRAY_LEN(cases));
	role_cases(&v.t, true, named, ARRAY_LEN(named));
	cr_expect_eq(trust_role(&v.t, ROLE_COLLECT, &v.doc, "x", &err), RC_UNTRUSTED,
		     "collect keys sign nothing");
}

Test(trust, an_altered_document_is_told_from_an_unknown_signer)
{
	OWNED(version_clear) struct version v;
	OWNED(buf_clear) struct buf file = BUF_INIT;
	struct signed_doc doc;
	struct err err = {0};
	char says[256];

	version_make(&v, NULL, 1, 0x01, 1, 0x01);
	sign(&file, "satchel: head/1\n", 1u << PUBLISH);
	file.p[file.n - 1] ^= 1;
	cr_assert_eq(signed_split(bytes_in(&file), 1, &doc, ERR_IGNORED), 0);
	cr_expect_eq(trust_role(&v.t, ROLE_PUBLISH, &doc, "head of office", &err), RC_UNTRUSTED);
	snprintf(says, sizeof(says),
		 "head of office: the signature by key %s does not match its content, which was "
		 "altered or damaged",
		 numbers[PUBLISH]);
	cr_expect_str_eq(err.text, says);
}

Test(trust, signers_are_told_in_words)
{
	OWNED(version_clear) struct version v;
	struct signed_doc doc;
	char text[512], says[512], little[8];

	version_make(&v, NULL, 1, 0x01, 1, 0x101 | 1u << STRANGER);
	v.t.key[0].roles |= 1u << ROLE_BEAT;
	v.t.key[1].state = KEY_RETIRED;
	trust_signer(&v.t, &v.doc, text, sizeof(text));
	snprintf(says, sizeof(says),
		 "unknown key %s, publish key %s (retired), root and beat key %s (current)",
		 numbers[STRANGER], numbers[PUBLISH], numbers[0]);
	cr_expect_str_eq(text, says);
	doc = v.doc;
	doc.layers = 2;
	doc.layer[1].sig[0] ^= 1;
	trust_signer(&v.t, &doc, text, sizeof(text));
	snprintf(says, sizeof(says), "unknown key %s, not key %s (its signature does not match)",
		 numbers[STRANGER], numbers[PUBLISH]);
	cr_expect_str_eq(text, says);
	trust_signer(&v.t, &v.doc, little, sizeof(little));
	cr_expect_str_eq(little, "unknown");
}

/* Two hands */

/* Keys 0 to 2 publish, the last for some channels only; BEAT is the private key. */
static struct trust two_hands(uint32_t threshold)
{
	struct trust t = {
	    .format = 2, .name = "Acme", .version = 1, .created = 1000, .expires = 2000};

	key_add(&t, PUBLISH, 1u << ROLE_ROOT);
	for (int i = 0; i < 3; i++)
		key_add(&t, i, 1u << ROLE_PUBLISH);
	snprintf(t.key[3].only, sizeof(t.key[3].only), "lab-*");
	key_add(&t, BEAT, 1u << ROLE_PRIVATE | 1u << ROLE_BEAT);
	key_add(&t, COLLECT, 1u << ROLE_COLLECT);
	for (int role = 0; role < ROLE_COUNT; role++)
		t.threshold[role] = 1;
	t.threshold[ROLE_PUBLISH] = threshold;
	return t;
}

static int release_by(const struct trust *t, const char *channel, unsigned signers, struct err *err)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	struct signed_doc doc;

	sign(&file, "satchel: release/1\n", signers);
	cr_assert_eq(signed_split(bytes_in(&file), LIMIT_LAYERS, &doc, ERR_IGNORED), 0);
	return trust_release(t, channel, &doc, "release", err);
}

Test(trust, a_release_needs_a_threshold_of_the_publish_keys_that_may_sign_for_its_channel)
{
	struct trust t = two_hands(2);
	struct err err = {0};

	cr_expect_eq(trust_check(&t, &err), 0, "%s", err.text);
	cr_expect_eq(release_by(&t, "office", 0x3, &err), 0, "%s", err.text);
	cr_expect_eq(release_by(&t, "office", 0x1, &err), RC_UNTRUSTED);
	SAID(err, "signed by 1 publish key, but site Acme asks for 2");
	cr_expect_eq(release_by(&t, "office", 0x5, &err), RC_UNTRUSTED);
	SAID(err, "trusts for other channels only");
	cr_expect_eq(release_by(&t, "lab-plan", 0x5, &err), 0, "%s", err.text);
	cr_expect_eq(release_by(&t, "lab", 0x5, &err), RC_UNTRUSTED);
	cr_expect_eq(release_by(&t, "office", 1u << BEAT | 0x1, &err), RC_UNTRUSTED,
		     "the private key makes no content");
	t.key[1].state = KEY_RETIRED;
	cr_expect_eq(release_by(&t, "office", 0x3, &err), RC_UNTRUSTED);
	SAID(err, "has retired");
}

Test(trust, a_restriction_is_a_name_or_the_beginning_of_names)
{
	cr_expect(trust_only("", "office"));
	cr_expect(trust_only("office", "office"));
	cr_expect_not(trust_only("office", "office-b"));
	cr_expect_not(trust_only("office-b", "office"));
	cr_expect(trust_only("lab-*", "lab-"));
	cr_expect(trust_only("lab-*", "lab-plan"));
	cr_expect_not(trust_only("lab-*", "la"));
}

Test(trust, without_two_hands_publish_keys_make_private_channels)
{
	struct trust t = two_hands(1);
	struct err err = {0};

	t.epoch[ROLE_PUBLISH] = 3;
	t.epoch[ROLE_PRIVATE] = 4;
	cr_expect_eq(trust_acting(&t, ROLE_PRIVATE), ROLE_PRIVATE);
	cr_expect_eq(trust_epoch(&t, ROLE_PRIVATE), 4);
	t.format = 1;
	cr_expect_eq(trust_acting(&t, ROLE_PRIVATE), ROLE_PUBLISH);
	cr_expect_eq(trust_epoch(&t, ROLE_PRIVATE), 3);
	cr_expect_eq(trust_check(&t, &err), RC_MALFORMED, "it names what format 1 does not know");
}

Test(trust, what_makes_no_sense_with_two_hands_is_refused)
{
	struct trust t = two_hands(4);

	expect_malformed(&t, "only 3 of its keys are current");
	t = two_hands(1);
	t.threshold[ROLE_PRIVATE] = 2;
	expect_malformed(&t, "it can be 1 to 1");
	t = two_hands(1);
	snprintf(t.key[4].only, sizeof(t.key[4].only), "office");
	expect_malformed(&t, "which only a publish key can be");
	t = two_hands(1);
	t.key[4].state = KEY_RETIRED;
	expect_malformed(&t, "are current");
}

Test(trust, the_private_epoch_does_not_fall_below_that_of_publish_before_there_were_two_hands)
{
	OWNED(version_clear) struct version one;
	OWNED(version_clear) struct version two;
	struct err err = {0};

	version_make(&one, NULL, 1, FIVE, 1, 0x01);
	one.t.epoch[ROLE_PUBLISH] = 7;
	version_make(&two, &one, 2, FIVE, 1, 0x01);
	two.t.format = 2;
	two.t.epoch[ROLE_PUBLISH] = 7;
	two.t.threshold[ROLE_PRIVATE] = 1;
	key_add(&two.t, POOL - 1, 1u << ROLE_PRIVATE);
	two.t.epoch[ROLE_PRIVATE] = 6;
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), RC_REPLAY, "%s", err.text);
	two.t.epoch[ROLE_PRIVATE] = 7;
	cr_expect_eq(trust_next(&one.t, &two.t, &two.doc, &err), 0, "%s", err.text);
}
