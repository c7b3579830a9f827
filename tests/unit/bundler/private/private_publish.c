/* SPDX-License-Identifier: ISC */
/* What anybody, and its workstation, can see of a private channel. */

#include <criterion/criterion.h>
#include <string.h>

#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "bundler/publish/publish.h"
#include "tests/support/machine.h"
#include "tests/support/published.h"

TestSuite(private_channel, .init = server_make, .fini = server_teardown);

static void private_make(struct site *s, const struct machine *m, const struct private_file *f,
			 size_t n)
{
	struct key_public sign = key_public_of(m->sign), seal = key_public_of(m->seal);
	struct err err = {0};

	must(private_publish(s, &sign, &seal, &(struct private_content){.file = f, .files = n},
			     &err));
}

Test(private_channel, is_one_full_bundle_that_only_its_workstation_opens)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(machine_clear) struct machine other = machine_new();
	OWNED(content_key_freep) struct content_key *key = NULL;
	OWNED(buf_clear) struct buf changes = BUF_INIT;
	const struct private_file f[] = {{"channels/a.yaml", bytes_of("secret policy")},
					 {"channels/b.yaml", bytes_of("secret policy")},
					 {"channels.yaml", bytes_of("x")},
					 {"workstation.yaml", bytes_of("salt")}};
	struct manifest mf;
	struct err err = {0};
	char path[DEPOT_NAME];

	private_make(s, &m, f, ARRAY_LEN(f));
	must(site_post(s, &err));
	published_path(s, "SELECT path FROM private", NULL, path);
	published_bundle(s, path, m.seal, &mf, &changes);
	cr_assert(mf.private_channel);
	cr_assert_str_eq(mf.recipient, m.id);
	cr_assert_str_eq(mf.channel, "");
	cr_assert_eq(mf.base, 0);
	cr_assert_eq(mf.generation, 1);
	cr_assert_eq(mf.count[CHANGE_PUT], 4, "the padding is one");
	cr_assert_eq(mf.count[CHANGE_COPY], 1);
	cr_assert_eq(mf.count[CHANGE_DIRECTORY], 1);
	cr_assert_not_null(strstr((char *)changes.p, " new channels/a.yaml channels/b.yaml\n"));
	cr_assert_eq(content_key_open(other.seal, &mf, &key, &err), RC_UNTRUSTED);
	cr_assert_eq(scratch_run(dir, "! grep -rq 'secret\\|channels' depot/workstations"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM tree_entry"), 0,
		     "no copy stays behind");
}

Test(private_channel, the_next_generation_takes_the_place_of_the_last)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf changes = BUF_INIT;
	const struct private_file f[] = {{"workstation.yaml", bytes_of("salt")}};
	struct manifest mf;
	struct err err = {0};
	char path[DEPOT_NAME];

	private_make(s, &m, f, 1);
	must(site_post(s, &err));
	private_make(s, &m, f, 1);
	must(site_post(s, &err));
	cr_assert_eq(server_number(s, "SELECT generation FROM private"), 2);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM outbox WHERE path GLOB 'workstations/*'"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM retired"), 1);
	published_path(s, "SELECT path FROM private", NULL, path);
	published_bundle(s, path, m.seal, &mf, &changes);
	cr_assert_eq(mf.generation, 2);
}

static bool is_step(uint64_t n, uint64_t least)
{
	return n >= least && (n <= 1 << 20 ? (n & (n - 1)) == 0 : n % (1 << 19) == 0);
}

/* What anybody can see of it: the length packed, and in the manifest that unpacked. */
Test(private_channel, has_one_of_few_lengths)
{
	static char text[1500000];
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct err err = {0};

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * i % 23);
	for (size_t n = 0; n < sizeof(text); n = n * 2 + 37) {
		struct private_file f[] = {{"secret", {(const uint8_t *)text, n}},
					   {"workstation.yaml", bytes_of("salt")}};
		OWNED(buf_clear) struct buf changes = BUF_INIT;
		char path[DEPOT_NAME];
		struct manifest mf;
		uint64_t sealing;

		if (n % 2 == 1) /* also what cannot be packed */
			randombytes_buf(text, n);
		private_make(s, &m, f, 2);
		must(site_post(s, &err));
		published_path(s, "SELECT path FROM private", NULL, path);
		published_bundle(s, path, m.seal, &mf, &changes);
		cr_expect(is_step(mf.unpacked, 8192), "%zu: %ju unpacked", n,
			  (uintmax_t)mf.unpacked);
		sealing = 17 * ((mf.payload + (1 << 20) - 1) >> 20);
		cr_expect(is_step(mf.payload - sealing, 1024), "%zu: %ju packed", n,
			  (uintmax_t)(mf.payload - sealing));
	}
}

Test(private_channel, refuses_files_out_of_order_and_commits_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct key_public sign = key_public_of(m.sign), seal = key_public_of(m.seal);
	const struct private_file f[] = {{"b", bytes_of("1")}, {"a", bytes_of("2")}};
	const struct private_file g[] = {{"../a", bytes_of("2")}};
	const struct private_content order = {.file = f, .files = 2},
				     path = {.file = g, .files = 1};
	struct err err = {0};

	cr_assert_eq(private_publish(s, &sign, &seal, &order, &err), RC_INTERNAL);
	cr_assert_eq(private_publish(s, &sign, &seal, &path, &err), RC_PATH);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM private"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM tree_entry"), 0);
}
