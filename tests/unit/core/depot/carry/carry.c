/* SPDX-License-Identifier: ISC */

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/site/site.h"
#include "core/depot/carry/carry_internal.h"
#include "core/depot/depot_internal.h"
#include "tests/support/published.h"

#define CHANNEL "office"
#define ABC     "bddd813c634239723171ef3fee98579b"
#define BUNDLE  "channels/office/1.0-1-" ABC ".bundle"

static char from[SCRATCH_PATH + 16], to[SCRATCH_PATH + 16];
static struct carry_result result;

/* A depot with one channel whose bundle has four blocks. */
static void site_make(void)
{
	struct err err = {0};
	OWNED(site_freep) struct site *s = NULL;

	server_make();
	s = server_open(SITE_LOCK);
	snprintf(from, sizeof(from), "%s/depot", dir);
	snprintf(to, sizeof(to), "%s/stick", dir);
	server_channel(s, CHANNEL, 2);
	cr_assert_eq(
	    scratch_run(dir, "mkdir source && head -c 3700000 /dev/urandom > source/noise"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

TestSuite(carry, .init = site_make, .fini = server_teardown, .timeout = 120);

static void sh(const char *command)
{
	cr_assert_eq(scratch_run(dir, command), 0, "%s", command);
}

static int carry_with(struct carry c, struct err *err)
{
	*err = (struct err){0};
	if (c.from == NULL)
		c.from = from;
	if (c.to == NULL)
		c.to = to;
	c.flags |= CARRY_CREATE;
	return carry(&c, &result, err);
}

static void carried(struct carry c)
{
	struct err err;
	int rc = carry_with(c, &err);

	cr_assert_eq(rc, 0, "%s: %s", rc_slug(rc), err.text);
}

static void same_depots(void)
{
	sh("diff -r depot stick");
}

static void no_dot_names(void)
{
	sh("test -z \"$(find depot stick -name '.?*')\"");
}

Test(carry, fills_an_empty_depot_and_then_has_nothing_to_do)
{
	carried((struct carry){0});
	cr_assert(result.verified);
	cr_assert_eq(result.beat, 1);
	cr_assert_gt(result.to.files, 3);
	cr_assert_eq(result.from.files, 0);
	same_depots();
	no_dot_names();
	carried((struct carry){.flags = CARRY_CHECK});
	cr_assert_eq(result.to.files + result.from.files, 0);
	cr_assert_gt(result.there, 3);
	carried((struct carry){.from = to, .to = from});
	cr_assert_eq(result.to.files + result.from.files, 0);
}

Test(carry, brings_back_what_the_source_lost)
{
	carried((struct carry){0});
	sh("rm -r depot/channels depot/shards");
	carried((struct carry){0});
	cr_assert_eq(result.to.files, 0);
	cr_assert_gt(result.from.files, 1);
	same_depots();
}

Test(carry, of_a_dry_run_writes_nothing_and_counts_the_same)
{
	uint64_t files, bytes;

	carried((struct carry){.flags = CARRY_DRY_RUN});
	files = result.to.files;
	bytes = result.to.bytes;
	cr_assert_neq(access(to, F_OK), 0);
	carried((struct carry){0});
	cr_assert_eq(result.to.files, files);
	cr_assert_eq(result.to.bytes, bytes);
}

Test(carry, knows_the_site_that_it_was_asked_for)
{
	struct digest other = digest_of(bytes_of("other"));
	struct err err;

	cr_assert_eq(carry_with((struct carry){.site = &other}, &err), RC_CONFLICT);
	cr_assert_eq(scratch_run(dir, "test -z \"$(ls stick)\""), 0, "nothing was written");
}

/* Something happens to the source while it is planned. */
struct meddling {
	const char *command;
	bool done;
};

static bool meddle(void *arg, const char *path, const struct name *name)
{
	struct meddling *m = arg;

	if (name->kind == NAME_BUNDLE && !m->done) {
		m->done = true;
		sh(m->command);
	}
	return true;
}

static void meddled(const char *command)
{
	struct meddling m = {command, false};
	struct err err;

	sh("rm -rf stick; cp depot/channels/office/*.bundle whole");
	cr_assert_eq(carry_with((struct carry){.wants = meddle, .arg = &m}, &err), RC_INCOMPLETE,
		     "%s: %s", command, err.text);
	cr_assert(m.done);
	cr_assert_eq(result.incomplete, 1);
	cr_assert_gt(result.to.files, 1, "the rest is carried");
	sh("test -z \"$(find stick -name '*.bundle')\"");
	no_dot_names();
	sh("rm -f depot/channels/office/*.bundle; mv whole \"depot/channels/office/$(cat name)\"");
	carried((struct carry){0});
	same_depots();
}

Test(carry, leaves_what_changes_while_it_is_read_and_takes_it_next_time)
{
	sh("cd depot/channels/office && ls *.bundle > ../../../name");
	meddled("echo more | tee -a depot/channels/office/*.bundle");
	meddled("truncate -s -1 depot/channels/office/*.bundle");
	meddled(
	    "printf 'not it' | dd of=\"$(ls depot/channels/office/*.bundle)\" bs=1 seek=1500000 "
	    "conv=notrunc status=none");
	meddled("rm depot/channels/office/*.bundle");
	meddled("rm depot/channels/office/*.bundle && mkfifo depot/channels/office/$(cat name)");
}

Test(carry, gives_a_depot_up_that_hangs_and_says_which)
{
	/* The first child is the helper of FROM; the shell is the last. */
	struct meddling m = {"set -- $(cat /proc/$PPID/task/$PPID/children); kill -STOP $1", false};
	struct err err;

	cr_assert_eq(carry_with((struct carry){.wants = meddle, .arg = &m, .silence_s = 1}, &err),
		     RC_TIMEOUT, "%s", err.text);
	cr_assert(m.done);
	cr_assert_not_null(strstr(err.text, from), "%s", err.text);
	no_dot_names();
	carried((struct carry){0});
	same_depots();
}

static bool no_bundles(void *arg, const char *path, const struct name *name)
{
	return name->kind != NAME_BUNDLE && name->kind != NAME_PART;
}

Test(carry, leaves_what_is_not_wanted_there_but_brings_everything_back)
{
	carried((struct carry){.wants = no_bundles});
	cr_assert_eq(result.unwanted, 1);
	sh("test -z \"$(find stick -name '*.bundle')\"");
	sh("mv depot/channels kept; mkdir -p stick/channels; cp -r kept/* stick/channels");
	carried((struct carry){.wants = no_bundles});
	same_depots();
}

Test(carry, takes_no_bundle_whose_beginning_does_not_fit_its_name)
{
	/* In the manifest's header, in the manifest, and in the list of blocks; under another name.
	 */
	static const char *const bad[] = {
	    "printf 'not it' | dd of=$f bs=1 seek=130 conv=notrunc status=none",
	    "printf 'not it' | dd of=$f bs=1 seek=900 conv=notrunc status=none",
	    "o=$(grep -abo blocks $f | head -n 1 | cut -d : -f 1); printf 'not it' | "
	    "dd of=$f bs=1 seek=$((o + 520)) conv=notrunc status=none",
	    "mv $f channels/office/1.0-1-" ABC ".bundle",
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char command[512];

		sh("rm -rf stick again; cp -r depot again");
		snprintf(command, sizeof(command),
			 "cd depot && f=$(ls channels/office/*.bundle) && %s", bad[i]);
		sh(command);
		cr_assert_eq(carry_with((struct carry){0}, &err), i == 3 ? 0 : RC_INCOMPLETE,
			     "%s: %s", bad[i], err.text);
		sh("test -z \"$(find stick -name '*.bundle')\"");
		sh("rm -r depot; mv again depot");
	}
}

/* Parts */

#define MIB (1ull << 20)

Test(carry, joins_parts_of_different_cuts)
{
	carried((struct carry){.max_file = 2 * MIB});
	sh("test $(ls stick/channels/office/*.bundle.00?-1 | wc -l) -eq 4");
	sh("mv stick ones");
	carried((struct carry){.max_file = 3 * MIB});
	sh("test $(ls stick/channels/office/*.bundle.00?-2 | wc -l) -eq 2");
	sh("rm stick/channels/office/*.001-2 ones/channels/office/*.003-1; mv stick twos");
	sh("cp -r twos stick; cp ones/channels/office/*-1 stick/channels/office; mv depot home; "
	   "mkdir depot");
	carried((struct carry){.from = to, .to = from});
	sh("rm depot/satchel.yaml home/satchel.yaml; diff -r depot home");
}

Test(carry, cuts_parts_that_are_verified_by_themselves)
{
	struct err err;

	carried((struct carry){.max_file = 3 * MIB});
	sh("printf 'not it' | dd of=\"$(ls stick/channels/office/*.001-2)\" bs=1 seek=2000000 "
	   "conv=notrunc status=none; rm stick/channels/office/*.002-2; mv depot home");
	snprintf(from, sizeof(from), "%s/stick", dir);
	snprintf(to, sizeof(to), "%s/far", dir);
	cr_assert_eq(carry_with((struct carry){0}, &err), RC_INCOMPLETE);
	cr_assert_eq(result.parts_missing, 0, "no part of it is good");
	sh("test -z \"$(find far -name '*.bundle*')\"");
}

Test(carry, refuses_a_limit_that_no_block_fits)
{
	struct err err;

	cr_assert_eq(carry_with((struct carry){.max_file = 1000000}, &err), RC_INCOMPLETE);
	cr_assert_not_null(strstr(err.text, "--max-file is too small"), "%s", err.text);
}

Test(part, holds_as_many_blocks_as_fit)
{
	cr_assert_eq(part_blocks(BLOCK_BYTES, 0), 1);
	cr_assert_eq(part_blocks(BLOCK_BYTES + 999, 1000), 0);
	cr_assert_eq(part_blocks(BLOCK_BYTES + 1000, 1000), 1);
	cr_assert_eq(part_blocks(10, 1000), 0);
	cr_assert_eq(part_blocks(UINT64_MAX, 1000), LIMIT_BLOCKS);
}

/* What is older */

static void generations(unsigned n)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	char command[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(command, sizeof(command), "echo %u > source/small", i);
		sh(command);
		must(publish_site(s, NULL, 0,
				  i == 5 ? PUBLISH_REREAD | PUBLISH_FULL : PUBLISH_REREAD, NULL,
				  NULL, &err));
	}
}

Test(carry, brings_nothing_back_that_was_pruned)
{
	generations(2);
	carried((struct carry){0});
	generations(30);
	sh("cp -r depot before; test ! -e \"$(ls stick/channels/office/1.1-2-*.bundle | "
	   "sed s/stick/depot/)\"");
	carried((struct carry){0});
	sh("diff -r depot before");
	cr_assert_gt(result.stale, 0);
	cr_assert_eq(result.to.pruned, 0);
	sh("test $(ls stick/beats | wc -l) -gt 8; ls stick/channels/office/1.1-2-*.bundle");
	carried((struct carry){.flags = CARRY_PRUNE});
	cr_assert_eq(result.to.pruned, result.stale);
	same_depots();
}

Test(carry, is_not_misled_by_a_stick_that_is_behind)
{
	carried((struct carry){0});
	generations(3);
	sh("cp -r depot before");
	/* From the old stick to the new depot with pruning: nothing that is current may go. */
	carried((struct carry){.from = to, .to = from, .flags = CARRY_PRUNE});
	sh("diff -r depot before");
}

Test(carry, carries_everything_when_the_newest_shard_is_not_there)
{
	struct err err;

	carried((struct carry){0});
	generations(1);
	sh("rm depot/shards/*; rm -r stick/shards");
	cr_assert_eq(carry_with((struct carry){.flags = CARRY_PRUNE}, &err), RC_INCOMPLETE);
	cr_assert_eq(result.to.pruned, 0, "what cannot be judged stays");
	sh("diff -r depot/channels stick/channels");
}

/* Formats that are newer than this program, and signatures */

static void signed_file(enum role role, const char *inner,
			void (*name)(char dst[DEPOT_NAME], const struct digest *d))
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(depot_freep) struct depot *d = NULL;
	struct digest identity, file;
	char path[DEPOT_NAME];
	struct err err = {0};

	must(document_sign(s, role, bytes_of(inner), "it", &doc, &identity, &err));
	file = digest_of(bytes_in(&doc));
	name(path, &file);
	must(site_depot_open(s, &d, &err));
	must(depot_post(d, path, bytes_in(&doc), &err));
}

static void head_2(char dst[DEPOT_NAME], const struct digest *d)
{
	name_head(dst, CHANNEL, 1, 2, d);
}

static void beat_2(char dst[DEPOT_NAME], const struct digest *d)
{
	name_beat(dst, 2, d);
}

Test(carry, of_formats_that_it_cannot_read_takes_what_is_signed)
{
	signed_file(ROLE_PRIVATE, "satchel: head/3\nnew: 1\n", head_2);
	signed_file(ROLE_BEAT, "satchel: beat/2\nnew: 1\n", beat_2);
	carried((struct carry){0});
	cr_assert_eq(result.beat, 1, "the newest that can be read");
	same_depots();
}

Test(carry, refuses_what_another_role_has_signed)
{
	struct err err;

	signed_file(ROLE_BEAT, "satchel: head/3\nnew: 1\n", head_2);
	cr_assert_eq(carry_with((struct carry){0}, &err), RC_UNTRUSTED);
	cr_assert_eq(result.refused, 1);
	sh("test $(ls depot/channels/office/*.head | wc -l) -eq 2");
	sh("test $(ls stick/channels/office/*.head | wc -l) -eq 1");
	cr_assert_eq(result.to.rc, 0, "the rest is carried");
}

/* Junk of strangers */

/* ${n} files ${dir}/N-DIGEST.${ending} with numbers from ${from}, all with the content "junk". */
static void junk(const char *where, unsigned first, unsigned n, const char *ending)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "echo junk >junk; d=$(b2sum -l 256 junk | cut -c 1-32); mkdir -p %s; "
		 "for i in $(seq %u %u); do cp junk %s/$i-$d.%s; done",
		 where, first, first + n - 1, where, ending);
	sh(command);
}

Test(carry, with_pruning_removes_no_beat_because_of_junk)
{
	struct err err;

	generations(9);
	carried((struct carry){0});
	sh("cp -r stick before");
	junk("depot/beats", 1000, 40, "beat");
	setenv("SATCHEL_SEARCH_TRIES", "30", 1); /* fewer than there is junk */
	cr_assert_eq(carry_with((struct carry){.flags = CARRY_PRUNE}, &err), RC_AGAIN, "%s",
		     err.text);
	cr_assert_not_null(strstr(err.text, "beats of the depot"), "%s", err.text);
	cr_assert_eq(result.beat, 10, "the newest is found");
	sh("diff -r stick before");
	/* So few that the newest is not found: what it leads to stays as well. */
	setenv("SATCHEL_SEARCH_TRIES", "9", 1);
	for (result.beat = 10; result.beat == 10;) { /* some tries fall where chance wants */
		cr_assert_eq(carry_with((struct carry){.flags = CARRY_PRUNE}, &err), RC_AGAIN, "%s",
			     err.text);
		sh("diff -r stick before");
	}
	setenv("SATCHEL_SEARCH_TRIES", "100", 1);
	cr_assert_eq(carry_with((struct carry){.flags = CARRY_PRUNE}, &err), RC_UNTRUSTED, "%s",
		     err.text);
	cr_assert_eq(result.refused, 40);
	sh("diff -r stick before");
}

Test(carry, begins_its_chain_of_trust_wherever_junk_lies)
{
	unsigned found = 0;
	struct err err;

	junk("depot/trust", 1, 1, "trust"); /* one name, one digest: make more of them */
	sh("cd depot/trust && for i in $(seq 100 130); do "
	   "echo junk >1-00000000000000000000000000000$i.trust; done");
	setenv("SATCHEL_SEARCH_TRIES", "20", 1);
	for (unsigned i = 0; i < 40 && found == 0; i++) {
		sh("rm -rf stick");
		carry_with((struct carry){0}, &err);
		found += result.verified;
		cr_assert(result.verified || err.rc == RC_AGAIN, "%s", err.text);
		sh("test -z \"$(find stick -name '1-0000*')\"");
	}
	cr_assert_eq(found, 1);
}

Test(carry, finds_a_channel_among_more_directories_than_it_looks_into)
{
	carried((struct carry){0});
	sh("rm -r stick/channels; cd depot/channels && seq -f 'junk-%g' 2000 | xargs mkdir");
	setenv("SATCHEL_SEARCH_TRIES", "50", 1);
	carried((struct carry){0});
	sh("diff -r depot/channels/office stick/channels/office");
}

/* The budget */

static bool poor(void *arg, const char *path, const struct name *name)
{
	struct depot_budget *b = &((struct carry_run *)arg)->depot[AT_FROM]->budget;

	if (name->kind == NAME_BEAT)
		b->wait_ms = b->wait_most / 2;
	return true;
}

Test(carry, plans_only_so_long_that_the_moves_can_still_be_made)
{
	OWNED(run_clear) struct carry_run r = {.result = &result};
	struct carry c = {.from = from, .to = to, .flags = CARRY_CREATE, .wants = poor, .arg = &r};
	struct err err = {0};

	r.c = &c;
	must(carry_begin(&r, &err));
	cr_assert_eq(r.unreadable.rc, RC_AGAIN);
	cr_assert_not_null(strstr(r.unreadable.text, from), "%s", r.unreadable.text);
	cr_assert_gt(r.moves, 0);
	must(carry_direction(&r, AT_TO, &err));
	sh("diff -r depot/beats stick/beats; diff -r depot/trust stick/trust");
	sh("test ! -e stick/shards");
	carried((struct carry){0});
	same_depots();
}

/* ${n} requests of one machine, sealed to whoever: only the form is looked at.  ${where} becomes
 * their directory. */
static void requests_put(unsigned n, char where[DEPOT_NAME])
{
	static const char sealed[] = "satchel-sealed/1 0123456789abcdef\nx";
	struct digest d = digest_of(bytes_of(sealed));

	for (unsigned i = 0; i < n; i++) {
		char path[DEPOT_NAME], command[1024];

		name_inbox(path, "0123456789abcdef0123456789abcdef", i, &d, "request");
		snprintf(where, DEPOT_NAME, "%.8s", path);
		snprintf(command, sizeof(command),
			 "mkdir -p depot/%s; printf '%%s\\nx' 'satchel-sealed/1 "
			 "0123456789abcdef' >depot/%s",
			 where, path);
		sh(command);
	}
}

Test(carry, wins_time_back_by_what_it_plans)
{
	OWNED(run_clear) struct carry_run r = {.result = &result};
	struct carry c = {.from = from, .to = to, .flags = CARRY_CREATE};
	struct depot_budget *b;
	char inbox[DEPOT_NAME];
	struct err err = {0};
	int64_t spent;

	r.c = &c;
	must(carry_begin(&r, &err));
	b = &r.depot[AT_FROM]->budget;
	spent = b->wait_most - 5000;
	b->wait_ms = spent;
	must(carry_known_trust(&r, &err));
	cr_assert_gt(b->wait_ms, spent, "the chain of trust is worth its time");
	b->wait_ms = spent;
	must(carry_channel(&r, "channels/" CHANNEL, &err));
	cr_assert_gt(b->wait_ms, spent + LIMIT_DEPOT_FILE_MS, "so are head and bundle");
	requests_put(20, inbox);
	b->wait_ms = spent;
	must(carry_inbox(&r, inbox, &err));
	cr_assert_gt(b->wait_ms, spent, "and what has the form of a request");
}

/* Volumes */

static void volume(const struct carry_set *set, size_t n)
{
	struct carry c = {.from = from, .to = to, .flags = CARRY_CREATE};
	struct err err = {0};

	must(carry_volume(&c, set, n, &result, &err));
}

Test(carry, spreads_over_volumes_that_each_have_room)
{
	OWNED(carry_set_freep) struct carry_set *set = NULL;
	struct carry c = {.from = from};
	struct err err = {0};

	sh("head -c 9000000 /dev/urandom > source/large");
	generations(1);
	cr_assert_eq(carry_set_make(&c, CARRY_VOLUME_LEAST - 1, &set, &err), RC_USAGE);
	must(carry_set_make(&c, CARRY_VOLUME_LEAST, &set, &err));
	cr_assert_geq(carry_set_volumes(set), 3);
	for (size_t n = carry_set_volumes(set); n > 0; n--) {
		snprintf(to, sizeof(to), "%s/v%u", dir, (unsigned)n);
		volume(set, n);
		volume(set, n);
		cr_assert_eq(result.to.files, 0, "again: nothing to do");
	}
	sh("for v in v*; do test $(du -sk $v | cut -f 1) -le 8192 || exit 1; done");
	sh("mkdir all");
	for (size_t n = 1; n <= carry_set_volumes(set); n++) {
		struct carry in = {.from = to, .to = "all"};
		char all[SCRATCH_PATH + 32];

		snprintf(all, sizeof(all), "%s/all", dir);
		in.to = all;
		snprintf(to, sizeof(to), "%s/v%u", dir, (unsigned)n);
		carry_with(in, &err);
		cr_assert_eq(result.volume, n);
		cr_assert_eq(result.volumes_missing == 0, n == carry_set_volumes(set), "%zu", n);
	}
	sh("diff -r depot all");
}

static int parsed(const char *text)
{
	OWNED(volumes_clear) struct volumes v = {0};
	OWNED(buf_clear) struct buf again = BUF_INIT;
	int rc = volumes_parse(bytes_of(text), &v, ERR_IGNORED);

	if (rc == 0) {
		cr_assert_eq(volumes_write(&v, &again, ERR_IGNORED), 0);
		cr_assert_str_eq((char *)again.p, text);
	}
	return rc;
}

Test(volumes, are_listed_in_one_form_only)
{
	static const char *const bad[] = {
	    "",
	    "satchel-volumes/1 ",
	    "satchel-volumes/1 1 2",
	    "satchel-volumes/2 1 2\n",
	    "satchel-volumes/1 0 2\n",
	    "satchel-volumes/1 3 2\n",
	    "satchel-volumes/1 01 2\n",
	    "satchel-volumes/1 1 10000\n",
	    "satchel-volumes/1 1 2\n1 trust/1-" ABC ".trust\n",
	    "satchel-volumes/1 1 2\n3 " BUNDLE "\n",
	    "satchel-volumes/1 1 2\n1 " BUNDLE,
	    "satchel-volumes/1 1 2\n1 " BUNDLE "\n1 " BUNDLE "\n",
	    "satchel-volumes/1 1 2\n1 " BUNDLE ".001-4\n1 " BUNDLE "\n",
	    "satchel-volumes/1 1 2\n1  " BUNDLE "\n",
	    "satchel-volumes/1 1 2\n\n",
	};

	cr_assert_eq(parsed("satchel-volumes/1 1 2\n"), 0);
	cr_assert_eq(
	    parsed("satchel-volumes/1 2 2\n1 " BUNDLE "\n2 " BUNDLE ".001-4\n1 " BUNDLE ".002-4\n"),
	    0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_assert_eq(parsed(bad[i]), RC_MALFORMED, "%s", bad[i]);
}
