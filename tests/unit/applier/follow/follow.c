/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/os/durable.h"
#include "tests/support/sync_fixture.h"

TestSuite(follow, .timeout = 120);

/* The forger has the depot, and in some tests a key of the site. */

static void forge_write(struct fixture *f, const char *name, struct bytes content)
{
	char path[DEPOT_NAME + 16];
	FILE *to;

	snprintf(path, sizeof(path), "depot/%s", name);
	to = fopen(fixture_path(f, path), "w");
	cr_assert_not_null(to);
	cr_assert_eq(fwrite(content.p, 1, content.n, to), content.n);
	fclose(to);
}

static struct digest forge_sign(struct fixture *f, const struct key_secret *key, enum role role,
				const struct buf *inner, struct buf *ret)
{
	OWNED(key_freep) struct key_secret *own = NULL;

	if (key == NULL) {
		struct site *s = fixture_site(f);

		cr_assert_eq(site_key(s, role, &own, &f->err), 0, "%s", f->err.text);
		site_free(s);
		key = own;
	}
	cr_assert_eq(signed_make(key, bytes_in(inner), ret, &f->err), 0);
	return digest_of(bytes_in(ret));
}

/* The newest beat of the depot, decoded. */
static struct beat newest_beat(struct fixture *f)
{
	struct beat ret = {0};
	struct station *s = fixture_station(f);
	struct digest identity;

	cr_assert_eq(station_beat_current(s, &ret, &identity, &f->err), 1);
	station_free(s);
	return ret;
}

static void forge_beat(struct fixture *f, const struct key_secret *key, const struct beat *b)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT, doc = BUF_INIT;
	char name[DEPOT_NAME];
	struct digest d;

	cr_assert_eq(beat_encode(b, &inner, &f->err), 0, "%s", f->err.text);
	d = forge_sign(f, key, ROLE_BEAT, &inner, &doc);
	name_beat(name, b->sequence, &d);
	forge_write(f, name, bytes_in(&doc));
}

static bool event_told(struct fixture *f, const char *kind)
{
	struct station *s = fixture_station(f);
	int64_t n = 0;

	cr_assert_geq(
	    db_int(s->db, &f->err, &n, "SELECT count(*) FROM event WHERE kind = ?", "t", kind), 0);
	station_free(s);
	return n > 0;
}

static void joined(struct fixture *f)
{
	fixture_joined(f);
	cr_assert_eq(fixture_sync(f), 0, "%s", f->err.text);
	FIXTURE_RUN(f, "find ws/root -printf '%p %i %T@ %C@\\n' | sort > before");
}

static void unchanged(struct fixture *f)
{
	FIXTURE_RUN(f, "find ws/root -printf '%p %i %T@ %C@\\n' | sort | diff before -");
}

Test(follow, the_same_number_with_other_content_is_a_fork)
{
	struct fixture f;
	struct beat b;

	joined(&f);
	b = newest_beat(&f);
	b.issued++;
	forge_beat(&f, NULL, &b);
	cr_assert_eq(fixture_sync(&f), RC_FORK, "%s", f.err.text);
	cr_assert(event_told(&f, "fork"));
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_beat_by_an_unknown_key_is_told_and_does_no_harm)
{
	OWNED(key_freep) struct key_secret *key = NULL;
	struct fixture f;
	struct beat b;

	joined(&f);
	cr_assert_eq(key_generate(KEY_SIGN, &key, &f.err), 0);
	b = newest_beat(&f);
	b.sequence += 7;
	b.shards = 0;
	forge_beat(&f, key, &b);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	cr_assert_not(event_told(&f, "untrusted"), "its key may be on its way");
	fixture_clock(FIXTURE_NOW + 3600);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	cr_assert(event_told(&f, "untrusted"));
	unchanged(&f);
	/* Alone in a depot it is what the depot offers. */
	FIXTURE_RUN(
	    &f, "mkdir beats; mv depot/beats/*-*.beat beats; cp $(ls -d beats/* | sort -t/ -k2n "
		"| tail -1) depot/beats");
	cr_assert_eq(fixture_sync(&f), RC_UNTRUSTED, "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_well_signed_beat_of_another_site_is_refused)
{
	struct fixture f;
	struct beat b;

	joined(&f);
	b = newest_beat(&f);
	b.sequence++;
	b.site.b[0] ^= 1;
	forge_beat(&f, NULL, &b);
	FIXTURE_RUN(&f, "ls depot/beats | sort -n | head -n -1 | sed s,^,depot/beats/, | xargs rm");
	cr_assert_eq(fixture_sync(&f), RC_ADDRESSEE, "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_beat_that_stands_on_trust_that_has_not_arrived_waits)
{
	struct fixture f;
	struct beat b;

	joined(&f);
	b = newest_beat(&f);
	b.sequence++;
	b.trust = 9;
	forge_beat(&f, NULL, &b);
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "trust version 9"), "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_beat_signed_by_another_role_is_refused)
{
	OWNED(key_freep) struct key_secret *key = NULL;
	struct fixture f;
	struct site *s;
	struct beat b;

	joined(&f);
	s = fixture_site(&f);
	cr_assert_eq(site_key(s, ROLE_PUBLISH, &key, &f.err), 0);
	site_free(s);
	b = newest_beat(&f);
	b.sequence++;
	forge_beat(&f, key, &b);
	FIXTURE_RUN(&f, "ls depot/beats | sort -n | head -n -1 | sed s,^,depot/beats/, | xargs rm");
	cr_assert_eq(fixture_sync(&f), RC_UNTRUSTED, "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_renamed_beat_counts_as_what_it_says)
{
	struct fixture f;

	joined(&f);
	FIXTURE_RUN(&f, "cp -r depot old; echo x >> office/a");
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "cd depot/beats; new=$(ls | sort -n | tail -1); d=${new#*-}; "
			"old=$(ls ../../old/beats | sort -n | tail -1); "
			"cp ../../old/beats/$old 4711-${old#*-}; mv $new 77-$d");
	/* The newest is 77 by name, above it an old one, and both are known already. */
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

/* The same innermost bytes under a signature that is not good. */
/* ${n} well-named files of junk that claim the numbers from ${first} on, or all of them that one.
 */
static void forge_junk(struct fixture *f, uint64_t first, unsigned n, bool same)
{
	for (unsigned i = 0; i < n; i++) {
		char text[32], name[DEPOT_NAME];
		struct digest d;

		snprintf(text, sizeof(text), "junk %u", i);
		d = digest_of(bytes_of(text));
		name_beat(name, same ? first : first + i, &d);
		forge_write(f, name, bytes_of(text));
	}
}

/* A new beat among junk: the newest name, the next one, and the same one. */
static void expect_found(uint64_t first, unsigned n, bool same)
{
	struct fixture f;
	struct beat b;

	joined(&f);
	b = newest_beat(&f);
	b.sequence += 50;
	forge_junk(&f, b.sequence + first, n, same);
	forge_beat(&f, NULL, &b);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	cr_assert_eq(newest_beat(&f).sequence, b.sequence);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_beat_is_found_among_junk_of_its_number)
{
	expect_found(0, 3000, true);
}

Test(follow, a_beat_is_found_below_junk_with_higher_numbers)
{
	expect_found(1, 3000, false);
}

Test(follow, a_beat_is_found_above_junk_with_lower_numbers)
{
	expect_found((uint64_t)-45, 3045, false);
}

Test(follow, junk_without_a_beat_is_told_and_changes_nothing)
{
	struct fixture f;

	joined(&f);
	forge_junk(&f, newest_beat(&f).sequence + 1, 3000, false);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

/* A shard hidden by junk that is more than one search reads is found by another one. */
Test(follow, what_junk_hides_from_one_run_it_does_not_hide_from_all)
{
	struct fixture f;
	int rc = -1;

	joined(&f);
	FIXTURE_RUN(&f, "echo more > office/more");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cd depot/shards && for s in *.shard; do for i in 1 2 3 4 5 6 7 8; do "
			"echo junk > ${s%%-*}-$(printf %032d $i).shard; done; done");
	setenv("SATCHEL_SEARCH_TRIES", "5", 1);
	for (int run = 0; run < 60 && rc != 0; run++)
		rc = fixture_sync(&f);
	cr_assert_eq(rc, 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "test -e ws/root/opt/office/more");
	fixture_end(&f);
}

/* The search itself, with a budget that a test can reach. */
Test(follow, too_many_false_beats_are_said_and_the_best_that_was_found_is_taken)
{
	struct fixture f;
	struct beat b;

	joined(&f);
	b = newest_beat(&f);
	b.sequence++;
	forge_beat(&f, NULL, &b);
	forge_junk(&f, b.sequence + 1, 300, false);
	setenv("SATCHEL_SEARCH_TRIES", "20", 1);
	cr_assert_eq(fixture_sync(&f), RC_LIMIT, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "too many false beats"), "%s", f.err.text);
	cr_assert_eq(newest_beat(&f).sequence, b.sequence);
	cr_assert(event_told(&f, "limit"));
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_copy_of_a_shard_under_a_false_signature_does_not_hide_it)
{
	OWNED(key_freep) struct key_secret *key = NULL;
	char dir[512];
	struct fixture f;
	struct dirent *d;
	DIR *list;
	int forged = 0;

	fixture_joined(&f);
	cr_assert_eq(key_generate(KEY_SIGN, &key, &f.err), 0);
	snprintf(dir, sizeof(dir), "%s/depot/shards", f.dir);
	list = opendir(dir);
	cr_assert_not_null(list);
	while ((d = readdir(list)) != NULL && forged < 64) {
		OWNED(buf_clear) struct buf raw = BUF_INIT, doc = BUF_INIT, inner = BUF_INIT;
		char path[DEPOT_NAME], to[DEPOT_NAME];
		struct signed_doc split;
		struct name name;
		struct digest digest;

		snprintf(path, sizeof(path), "shards/%.200s", d->d_name);
		if (name_parse(path, &name) != NAME_SHARD)
			continue;
		cr_assert_eq(file_read(dirfd(list), d->d_name, LIMIT_DOCUMENT, &raw, &f.err), 0);
		cr_assert_eq(signed_split(bytes_in(&raw), 1, &split, &f.err), 0);
		cr_assert_eq(buf_add(&inner, split.inner.p, split.inner.n, &f.err), 0);
		digest = forge_sign(&f, key, ROLE_BEAT, &inner, &doc);
		name_shard(to, name.xx, &digest);
		forge_write(&f, to, bytes_in(&doc));
		forged++;
	}
	closedir(list);
	cr_assert_gt(forged, 0);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

/* Somebody has the beat key: a newer beat whose shard goes back, or aside. */

static bool shard_load(struct fixture *f, int dirfd, const char *file,
		       const struct digest *identity, struct shard *ret)
{
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct signed_doc doc;

	return file_read(dirfd, file, LIMIT_DOCUMENT, &raw, ERR_IGNORED) == 0 &&
	       signed_split(bytes_in(&raw), 1, &doc, ERR_IGNORED) == 0 &&
	       digest_equal(&doc.identity, identity) && shard_decode(doc.inner, ret, &f->err) == 0;
}

/* The shard that the newest beat names for channel office. */
static void shard_find(struct fixture *f, const struct beat_shard *row, struct shard *ret)
{
	char dir[512];
	struct dirent *d;
	bool found = false;
	DIR *list;

	snprintf(dir, sizeof(dir), "%s/depot/shards", f->dir);
	list = opendir(dir);
	cr_assert_not_null(list);
	while (!found && (d = readdir(list)) != NULL)
		found = shard_load(f, dirfd(list), d->d_name, &row->digest, ret);
	closedir(list);
	cr_assert(found);
}

static struct beat_shard *beat_row(struct beat *b)
{
	for (size_t i = 0; i < b->shards; i++)
		if (b->shard[i].xx == shard_of("office"))
			return &b->shard[i];
	cr_assert_fail("the beat names no shard of office");
	return NULL;
}

static struct shard_channel *shard_row(struct shard *shard)
{
	for (size_t i = 0; i < shard->channels; i++)
		if (strcmp(shard->channel[i].name, "office") == 0)
			return &shard->channel[i];
	cr_assert_fail("the shard has no row of office");
	return NULL;
}

/* A newer beat, by the key of beats, and the shard that it names, by that of ${role}. */
static void forge_shard(struct fixture *f, enum role role,
			void (*edit)(struct fixture *f, struct shard *shard))
{
	OWNED(buf_clear) struct buf inner = BUF_INIT, doc = BUF_INIT;
	struct beat b = newest_beat(f);
	struct beat_shard *named = beat_row(&b);
	struct shard shard = {0};
	char name[DEPOT_NAME];
	struct digest d;

	shard_find(f, named, &shard);
	edit(f, &shard);
	cr_assert_eq(shard_encode(&shard, &inner, &f->err), 0, "%s", f->err.text);
	d = forge_sign(f, NULL, role, &inner, &doc);
	name_shard(name, shard.xx, &d);
	forge_write(f, name, bytes_in(&doc));
	shard_clear(&shard);
	named->digest = digest_of(bytes_in(&inner));
	b.sequence++;
	forge_beat(f, NULL, &b);
}

static void (*row_edit)(struct fixture *f, struct shard_channel *row);

static void row_edit_in(struct fixture *f, struct shard *shard)
{
	row_edit(f, shard_row(shard));
}

static void forge_row(struct fixture *f, void (*edit)(struct fixture *f, struct shard_channel *row))
{
	row_edit = edit;
	forge_shard(f, ROLE_BEAT, row_edit_in);
}

static void row_back(struct fixture *f, struct shard_channel *row)
{
	row->generation--;
	memset(&row->head, 7, sizeof(row->head));
}

static void row_epoch(struct fixture *f, struct shard_channel *row)
{
	row->epoch += 5;
	memset(&row->head, 7, sizeof(row->head));
}

static void row_lost(struct fixture *f, struct shard_channel *row)
{
	row->generation++;
	memset(&row->head, 7, sizeof(row->head));
}

/* A head with another tree than the site's, signed by ${key} (NULL: the publish key). */
static void head_forge(struct fixture *f, struct shard_channel *row, const struct key_secret *key)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT, doc = BUF_INIT;
	struct head_bundle bundle = {.generation = row->generation, .size = 4096};
	struct head head = {.epoch = row->epoch,
			    .generation = row->generation,
			    .created = FIXTURE_NOW,
			    .bundle = &bundle,
			    .bundles = 1};
	struct beat b = newest_beat(f);
	char name[DEPOT_NAME];
	struct digest d;

	memset(&bundle.prefix, 3, sizeof(bundle.prefix));
	memset(&bundle.manifest, 4, sizeof(bundle.manifest));
	memset(&head.tree, 5, sizeof(head.tree));
	head.site = b.site;
	snprintf(head.channel, sizeof(head.channel), "office");
	cr_assert_eq(head_encode(&head, &inner, &f->err), 0, "%s", f->err.text);
	d = forge_sign(f, key, ROLE_PUBLISH, &inner, &doc);
	name_head(name, "office", row->epoch, row->generation, &d);
	forge_write(f, name, bytes_in(&doc));
	row->head = digest_of(bytes_in(&inner));
}

/* A head of the generation that is held, with another tree. */
static void row_fork(struct fixture *f, struct shard_channel *row)
{
	head_forge(f, row, NULL);
}

/* The next generation, by the publish key that the site had at first. */
static void row_old_key(struct fixture *f, struct shard_channel *row)
{
	OWNED(key_freep) struct key_secret *key = NULL;
	int fd = open(fixture_path(f, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(key_read(fd, "old.key", NULL, &key, &f->err), 0, "%s", f->err.text);
	close(fd);
	row->generation++;
	head_forge(f, row, key);
}

static void refused(void (*edit)(struct fixture *f, struct shard_channel *row), int rc)
{
	struct fixture f;

	fixture_joined(&f);
	FIXTURE_RUN(&f, "echo x >> office/a");
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "find ws/root -printf '%p %i %T@ %C@\\n' | sort > before");
	forge_row(&f, edit);
	cr_assert_eq(fixture_sync(&f), rc, "%s", f.err.text);
	cr_assert_eq(fixture_said(&f, "office")->rc, rc);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_generation_older_than_the_one_held_is_a_replay)
{
	refused(row_back, RC_REPLAY);
}

Test(follow, an_epoch_that_trust_does_not_give_is_refused)
{
	refused(row_epoch, RC_UNTRUSTED);
}

Test(follow, a_head_that_is_nowhere_is_waited_for)
{
	refused(row_lost, RC_INCOMPLETE);
}

Test(follow, another_tree_under_the_generation_held_is_a_fork)
{
	refused(row_fork, RC_FORK);
}

/* What a shard says, or does not say */

static void row_next(struct fixture *f, struct shard *shard)
{
	struct shard_channel *row = shard_row(shard);

	row->generation++;
	head_forge(f, row, NULL);
}

Test(follow, a_shard_by_another_role_is_not_taken)
{
	struct fixture f;

	joined(&f);
	forge_shard(&f, ROLE_PUBLISH, row_next);
	cr_assert_eq(fixture_sync(&f), RC_UNTRUSTED, "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_shard_that_is_nowhere_is_waited_for)
{
	struct fixture f;
	struct beat b;

	joined(&f);
	b = newest_beat(&f);
	b.sequence++;
	beat_row(&b)->digest.b[0] ^= 1;
	forge_beat(&f, NULL, &b);
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

static void row_gone(struct fixture *f, struct shard *shard)
{
	struct shard_channel *row = shard_row(shard), *end = shard->channel + shard->channels;

	memmove(row, row + 1, (size_t)(end - (row + 1)) * sizeof(*row));
	shard->channels--;
}

/* Only the private channel says that a workstation leaves a channel. */
Test(follow, a_channel_that_a_shard_leaves_out_stays_as_it_is_and_that_is_told)
{
	struct fixture f;

	joined(&f);
	forge_shard(&f, ROLE_BEAT, row_gone);
	cr_assert_eq(fixture_sync(&f), RC_ADDRESSEE, "%s", f.err.text);
	cr_expect_not_null(strstr(fixture_said(&f, "office")->reason, "does not list it any more"),
			   "%s", fixture_said(&f, "office")->reason);
	unchanged(&f);
	fixture_end(&f);
}

Test(follow, a_well_signed_head_that_no_shard_names_brings_nothing_in)
{
	struct shard_channel row = {.epoch = 1, .generation = 2};
	struct fixture f;

	joined(&f);
	head_forge(&f, &row, NULL);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

/* Both are signed by the key of beats. */
Test(follow, a_shard_in_the_place_of_a_beat_is_none)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT, doc = BUF_INIT;
	struct fixture f;
	struct beat b;
	struct shard shard = {0};
	char name[DEPOT_NAME];
	struct digest d;

	joined(&f);
	b = newest_beat(&f);
	shard_find(&f, beat_row(&b), &shard);
	cr_assert_eq(shard_encode(&shard, &inner, &f.err), 0, "%s", f.err.text);
	shard_clear(&shard);
	d = forge_sign(&f, NULL, ROLE_BEAT, &inner, &doc);
	name_beat(name, b.sequence + 1, &d);
	forge_write(&f, name, bytes_in(&doc));
	fixture_sync(&f);
	cr_assert_eq(newest_beat(&f).sequence, b.sequence);
	unchanged(&f);
	fixture_end(&f);
}

/* Numbers in names are hints: what is looked for under its own is not there. */

Test(follow, a_trust_document_under_another_number_does_not_count)
{
	struct fixture f;
	struct station *st;
	struct site *s;

	joined(&f);
	s = fixture_site(&f);
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_RETIRED, NULL, &f.err), 1, "%s",
		     f.err.text);
	site_free(s);
	FIXTURE_RUN(&f, "echo x >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cd depot/trust; f=$(ls 2-*); mv $f 3-${f#*-}");
	fixture_sync(&f);
	unchanged(&f);
	st = fixture_station(&f);
	cr_assert_eq(st->trust.version, 1);
	station_free(st);
	FIXTURE_RUN(&f, "cd depot/trust; f=$(ls 3-*); mv $f 2-${f#*-}");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

Test(follow, a_head_under_another_number_does_not_count)
{
	struct fixture f;

	joined(&f);
	FIXTURE_RUN(&f, "echo x >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cd depot/channels/office; f=$(ls 1.2-*.head); mv $f 1.3-${f#*-}");
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	unchanged(&f);
	FIXTURE_RUN(&f, "cd depot/channels/office; f=$(ls 1.3-*.head); mv $f 1.2-${f#*-}");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

/* A publish key that is current no longer */

static void key_replaced(struct fixture *f, enum role role, enum key_state old)
{
	struct site *s = fixture_site(f);

	cr_assert_eq(trust_change_rotate(s, role, old, NULL, &f->err), 1, "%s", f->err.text);
	site_free(s);
}

static void publish_key_replaced(struct fixture *f, enum key_state old)
{
	FIXTURE_RUN(f, "cp site.state/keys/publish.key old.key");
	key_replaced(f, ROLE_PUBLISH, old);
}

/* A thief has the retired publish key and the key of beats that is in use. */
Test(follow, a_retired_publish_key_and_the_key_of_beats_bring_nothing_in)
{
	struct fixture f;

	joined(&f);
	publish_key_replaced(&f, KEY_RETIRED);
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	forge_row(&f, row_old_key);
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "retired"), "%s", f.err.text);
	unchanged(&f);
	fixture_end(&f);
}

/* What the old key signed is signed anew, and machines of every age go on. */
static void machines_follow(enum key_state old)
{
	struct fixture f;

	joined(&f); /* at generation 1 */
	FIXTURE_RUN(&f, "echo two > office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cp -r depot before-rotation");
	publish_key_replaced(&f, old);
	/* Also when no source can be read. */
	FIXTURE_RUN(&f, "mv office away");
	fixture_publish_fails(&f);
	FIXTURE_RUN(&f, "mv away office");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	FIXTURE_RUN(&f, "rm -r ws"); /* a newcomer, which needs the path from 0 */
	{
		char code[INVITE_TEXT + 1];

		fixture_invite(&f, code);
		cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
		fixture_collect(&f);
		fixture_publish(&f);
	}
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	/* Nothing more to sign: another publish leaves the depot as it is. */
	FIXTURE_RUN(&f, "find depot -type f ! -path '*/inbox/*' | sort > files");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "find depot -type f ! -path '*/inbox/*' | sort | diff files -");
	fixture_end(&f);
}

Test(follow, every_machine_follows_when_the_publish_key_is_retired)
{
	machines_follow(KEY_RETIRED);
}

Test(follow, every_machine_follows_when_the_publish_key_is_revoked)
{
	machines_follow(KEY_REVOKED);
}

Test(follow, a_depot_with_heads_of_before_the_rotation_is_behind_and_no_alarm)
{
	struct fixture f;

	joined(&f);
	FIXTURE_RUN(&f, "echo two > office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cp -r depot stick");
	publish_key_replaced(&f, KEY_RETIRED);
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cp depot/trust/* stick/trust");
	cr_assert_eq(fixture_sync_with(&f, "stick", 0), RC_INCOMPLETE, "%s", f.err.text);
	cr_assert_not(event_told(&f, "untrusted"));
	unchanged(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

/* What a workstation holds is the same generation; the old file counts for nobody any more. */
static void private_signed_anew(enum key_state old)
{
	struct fixture f;

	fixture_joined(&f);
	FIXTURE_RUN(&f, "cp -a ws young");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(
	    &f,
	    "find ws/root -printf '%p %i %T@ %C@\\n' | sort > before; ls depot/workstations/*/* > names;"
	    " cp -a depot before-rotation");
	key_replaced(&f, ROLE_PRIVATE, old);
	fixture_publish(&f);
	FIXTURE_RUN(&f, "ls depot/workstations/*/* | sort > after; comm -13 names after > new;"
			" test $(wc -l < new) = 1");
	/* The same workstation and generation. */
	FIXTURE_RUN(&f, "grep -qF \"$(sed 's/-[0-9a-f]*.bundle//' new)-\" names");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	cr_expect_eq(fixture_said(&f, "")->before, fixture_said(&f, "")->after);
	unchanged(&f);
	/* One that holds nothing yet takes the new file, and not the old one. */
	FIXTURE_RUN(&f, "rm -rf ws; cp -a young ws; mv depot now; cp -a now depot;"
			" rm -r depot/workstations; cp -a before-rotation/workstations depot/");
	cr_assert_eq(fixture_sync(&f), old == KEY_REVOKED ? RC_UNTRUSTED : RC_INCOMPLETE, "%s",
		     f.err.text);
	FIXTURE_RUN(&f, "test ! -e ws/root/opt/office; rm -rf depot; mv now depot");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	cr_expect_eq(fixture_said(&f, "")->after, 1);
	/* Nothing is signed twice. */
	fixture_publish(&f);
	FIXTURE_RUN(&f, "ls depot/workstations/*/* | sort | cmp - after");
	fixture_end(&f);
}

Test(follow, private_bundles_are_signed_anew_when_the_private_key_is_retired)
{
	private_signed_anew(KEY_RETIRED);
}

Test(follow, private_bundles_are_signed_anew_when_the_private_key_is_revoked)
{
	private_signed_anew(KEY_REVOKED);
}
