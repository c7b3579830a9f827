/* SPDX-License-Identifier: ISC */
/* What a source may not touch, however it is reached. */
#include "bundler/source/site_source.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "bundler/documents/documents.h"
#include "bundler/keystore/keystore.h"
#include "bundler/outbox/site_post.h"
#include "bundler/publish/publish.h"
#include "core/os/dir_id.h"
#include "tests/support/server.h"

/* A database of ours as far as its first bytes go: SQLite's magic, zeros, the id at byte 68. */
#define DATABASE(name, id)                                                \
	"{ printf 'SQLite format 3\\0'; head -c 52 /dev/zero; printf " id \
	"; head -c 60 /dev/zero; } > " name ";"

static void surroundings_make(void)
{
	server_make();
	cr_assert_eq(
	    scratch_run(
		dir, "mkdir -p payload/a site/payload site/users other/state/keys "
		     "lab/state lab/handout/anna lab/root innocent/state.db.d;"
		     "echo one > payload/a/one; echo x > innocent/state.db;"
		     "ln -s site.state/keys link; ln -s ../site.state/keys site/link;"
		     "mkdir site/.git relay; cp depot/satchel.yaml relay; mkdir relay/x;" DATABASE(
			 "other/state/registry.db", "SARC") DATABASE("lab/state/state.db", "SATW")),
	    0);
}

TestSuite(site_source, .init = surroundings_make, .fini = server_teardown);

static int opened(struct site *s, const char *source, struct err *err)
{
	char path[2 * SCRATCH_PATH];
	struct site_channel c = {.name = "office", .source = path};
	int fd;

	*err = (struct err){0};
	snprintf(path, sizeof(path), "%s%s%s", source[0] == '.' ? "" : dir,
		 source[0] == '.' ? "" : "/", source);
	fd = site_source_open(s, &c, err);
	if (fd >= 0)
		close(fd);
	return fd;
}

static void refused(struct site *s, const char *source, const char *words)
{
	struct err err;

	cr_expect_eq(opened(s, source, &err), RC_POLICY, "%s: %s", source, err.text);
	cr_expect_not_null(strstr(err.text, words), "%s: %s", source, err.text);
	cr_expect_not_null(strstr(err.text, "satchel channel set office --source DIR"), "%s",
			   err.text);
}

static void allowed(struct site *s, const char *source)
{
	struct err err;

	cr_expect_geq(opened(s, source, &err), 0, "%s: %s", source, err.text);
}

Test(site_source, overlap_is_refused_in_both_directions)
{
	static const struct {
		const char *source, *words;
	} row[] = {
	    {"site.state", "it is the state of the site"},
	    {"site.state/keys", "it is the keys of the site"},
	    {"site.state/store", "it is the content store of the site"},
	    {"", "it holds the state of the site"},
	    {"link", "it is the keys of the site"},
	    {"./link", "it is the keys of the site"},
	    {"../site.state/keys", "it is the keys of the site"},
	    {"./.", "it is the documents of the site"},
	    {"./users", "it is documents of the site"},
	    {"./.git", "it is documents of the site"},
	    {"depot", "it is the depot"},
	    {"depot/trust", "it lies in the depot"},
	    {"other/state", "it holds registry.db, the registry of a server"},
	    {"other/state/keys", "it holds registry.db, the registry of a server"},
	    {"lab/state", "it holds state.db, the database of a workstation"},
	    {"lab/handout", "it holds the hand-out of a workstation"},
	    {"lab/handout/anna", "it holds the hand-out of a workstation"},
	    {"relay", "it holds satchel.yaml, the marker of a depot"},
	    {"relay/x", "it holds satchel.yaml, the marker of a depot"},
	};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		refused(s, row[i].source, row[i].words);
}

Test(site_source, what_overlaps_with_nothing_is_allowed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	allowed(s, "payload");
	allowed(s, "./payload"); /* beside the documents, where people keep it */
	allowed(s, "innocent");  /* another program's state.db */
	allowed(s, "lab/root");  /* what a workstation was sent is no secret of it */
}

Test(site_source, a_bind_mount_and_a_directory_that_moved_are_what_they_are)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char from[2 * SCRATCH_PATH], to[2 * SCRATCH_PATH];

	allowed(s, "payload/a");
	cr_assert_eq(scratch_run(dir, "mv payload site.state/moved"), 0);
	refused(s, "site.state/moved/a", "it lies in the state of the site");
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		cr_skip_test("mount namespaces are not to be had here");
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(from, sizeof(from), "%s/site.state/keys", dir);
	snprintf(to, sizeof(to), "%s/innocent", dir);
	cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
	refused(s, "innocent", "it is the keys of the site");
	cr_assert_eq(umount(to), 0);
	snprintf(from, sizeof(from), "%s", dir);
	cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
	refused(s, "innocent", "it holds the state of the site");
	cr_assert_eq(umount(to), 0);
}

/* The lists of the owner */

static void list_write(const char *site, const char *sources)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "{ echo 'satchel: server/1'; echo 'site: %s'; printf '%s'; } > "
		 "site.state/server.yaml",
		 site, sources);
	cr_assert_eq(scratch_run(dir, command), 0);
}

Test(site_source, the_owners_list_narrows_where_sources_may_lie)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char sources[3 * SCRATCH_PATH];

	snprintf(sources, sizeof(sources), "sources: [%s/payload, %s/site.state, /nowhere]\n", dir,
		 dir);
	list_write(site_dir, sources);
	allowed(s, "payload");
	allowed(s, "payload/a");
	refused(s, "innocent", "it lies below none of the directories that sources may come from");
	refused(s, "innocent", "/nowhere (not there)");
	refused(s, "site.state/keys", "it is the keys of the site"); /* no list allows that */
}

Test(site_source, an_empty_list_allows_nothing_and_a_bad_one_neither)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err;

	list_write(site_dir, "sources: []\n");
	refused(s, "payload", "none");
	s = site_free(s);
	list_write(site_dir, "sources: payload\n");
	s = server_open(SITE_LOCK);
	cr_expect_eq(opened(s, "payload", &err), RC_MALFORMED, "%s", err.text);
}

Test(site_source, a_list_about_another_site_is_refused_and_says_what_to_write)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char says[3 * SCRATCH_PATH], sources[2 * SCRATCH_PATH];
	struct err err;

	snprintf(sources, sizeof(sources), "sources: [%s/payload]\n", dir);
	snprintf(says, sizeof(says),
		 "it says `site: /srv/other`, and the documents of this one are"
		 " in %s; write `site: %s` into it",
		 site_dir, site_dir);
	list_write("/srv/other", sources);
	cr_expect_eq(opened(s, "payload", &err), RC_CONFLICT, "%s", err.text);
	cr_expect_not_null(strstr(err.text, says), "%s", err.text);
	s = site_free(s);
	list_write(site_dir, sources); /* as it says */
	s = server_open(SITE_LOCK);
	allowed(s, "payload");
}

/* Else every channel would wait for a depot that hangs. */
Test(site_source, why_nothing_can_be_judged_is_found_out_once)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err;

	list_write(site_dir, "sources: payload\n");
	cr_expect_eq(opened(s, "payload", &err), RC_MALFORMED, "%s", err.text);
	cr_assert_eq(scratch_run(dir, "rm site.state/server.yaml"), 0);
	cr_expect_eq(opened(s, "payload", &err), RC_MALFORMED, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "server.yaml"), "%s", err.text);
	s = site_free(s);
	s = server_open(SITE_LOCK);
	allowed(s, "payload");
}

/* One run with /etc/satchel made by ${command}: what opening payload and innocent returns. */
static void machine_list(const char *command, int payload, int innocent)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err;
	int rc;

	cr_assert_eq(scratch_run(dir, "rm -rf etc/satchel"), 0);
	cr_assert_eq(scratch_run(dir, command), 0, "%s", command);
	rc = opened(s, "payload", &err);
	cr_expect_eq(rc < 0 ? rc : 0, payload, "%s: %s", command, err.text);
	rc = opened(s, "innocent", &err);
	cr_expect_eq(rc < 0 ? rc : 0, innocent, "%s: %s", command, err.text);
}

#define LISTED(site)                                                               \
	"mkdir etc/satchel; { echo 'satchel: server/1'; echo \"site: " site "\"; " \
	"echo \"sources: [$PWD/payload]\"; } > etc/satchel/server.yaml"

Test(site_source, nothing_but_a_list_that_is_not_there_lifts_the_machines_list)
{
	char etc[2 * SCRATCH_PATH];

	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		cr_skip_test("mount namespaces are not to be had here");
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(etc, sizeof(etc), "%s/etc", dir);
	cr_assert_eq(scratch_run(dir, "mkdir etc"), 0);
	cr_assert_eq(mount(etc, "/etc", NULL, MS_BIND, NULL), 0);
	machine_list("true", 0, 0);
	machine_list("mkdir etc/satchel", 0, 0);
	machine_list(LISTED("$PWD/site"), 0, RC_POLICY);
	machine_list(LISTED("$PWD/nowhere"), 0, 0); /* of another site */
	machine_list(LISTED("$PWD/other"), 0, 0);
	machine_list("echo x > etc/satchel", RC_IO, RC_IO);
	machine_list("ln -s satchel etc/satchel", RC_IO, RC_IO);
	machine_list("mkdir -p etc/satchel/server.yaml", RC_TYPE, RC_TYPE);
	machine_list(LISTED("$PWD/payload/a/one/x"), RC_IO, RC_IO);
	machine_list("mkdir etc/satchel; echo x > etc/satchel/server.yaml", RC_MALFORMED,
		     RC_MALFORMED);
	cr_assert_eq(umount("/etc"), 0);
}

/* What only the scan and the packer meet */

static int channel_run(struct site *s, const char *source, struct err *err)
{
	char path[2 * SCRATCH_PATH];
	struct site_channel c = {
	    .name = "office", .source = path, .target = (char[]){"/srv"}, .on_leave = "keep"};
	struct publish_counts counts;

	*err = (struct err){0};
	snprintf(path, sizeof(path), "%s/%s", dir, source);
	return publish_channel(s, &c, 0, &counts, err);
}

static void caught(struct site *s, const char *plant, const char *words)
{
	struct err err;

	cr_assert_eq(scratch_run(dir, "rm -rf tree; mkdir -p tree/deep/er; echo x > tree/deep/x"),
		     0);
	cr_assert_eq(scratch_run(dir, plant), 0, "%s", plant);
	cr_expect_eq(channel_run(s, "tree", &err), RC_POLICY, "%s: %s", plant, err.text);
	cr_expect_not_null(strstr(err.text, words), "%s: %s", plant, err.text);
	cr_expect_eq(server_number(s, "SELECT count(*) FROM generation"), 0);
	cr_expect_eq(server_number(s, "SELECT count(*) FROM pack"), 0);
	cr_expect_eq(scratch_run(dir, "[ -z \"$(ls site.state/store)\" ]"), 0);
}

Test(site_source, secrets_are_found_wherever_they_lie_below_a_source)
{
	OWNED(site_freep) struct site *s = NULL;

	/* A master key has no form by which it is known. */
	cr_assert_eq(scratch_run(dir, "head -c 32 /dev/urandom > site.state/keys/store.key"), 0);
	s = server_open(SITE_LOCK);
	caught(s, "cp -r other/state tree/deep/er",
	       "\"deep/er/state\": it holds registry.db, the registry of a server");
	caught(s, "cp -r lab/state tree/deep/er/backup", "the database of a workstation");
	caught(s, "cp depot/satchel.yaml tree/deep", "the marker of a depot");
	caught(s, "ln site.state/keys/beat.key tree/deep/er/notes", "is a hard link to");
	caught(s, "ln site.state/registry.db tree/deep/er/notes", "registry.db of the site");
	caught(s, "ln site.state/registry.db tree/deep/er/", "registry.db of the site");
	caught(s, "cp site.state/keys/publish.key tree/deep/er/", "a secret key of satchel");
	caught(s, "cp site.state/keys/publish.key tree/deep/er/notes.txt",
	       "deep/er/notes.txt of channel office: it is a secret key of satchel");
	caught(s, "sed 1s/.*/'untrusted comment: x'/ site.state/keys/collect.key > tree/notes",
	       "notes of channel office: it is a secret key of satchel");
	caught(s, "cp other/state/registry.db tree/notes", "it is the registry of a server");
	caught(s,
	       "head -c 20M /dev/zero > tree/n; cp lab/state/state.db tree/m;"
	       "dd if=tree/m of=tree/n conv=notrunc status=none; rm tree/m",
	       "n of channel office: it is the database of a workstation");
	caught(s, "cp site.state/keys/store.key tree/deep/noise",
	       "deep/noise of channel office: it is a copy of");
}

Test(site_source, a_master_key_that_lies_outside_of_the_state_is_known)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(keystore_freep) struct keystore *k = NULL;
	char path[2 * SCRATCH_PATH], old[KEYSTORE_PATH];
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "mkdir safe"), 0);
	snprintf(path, sizeof(path), "%s/safe/word", dir);
	must(keystore_new(s, &k, &err));
	must(keystore_lock_file(k, path, old, &err));
	caught(s, "ln safe/word tree/deep/er/notes", "safe/word of the site");
	caught(s, "mv safe/word tree/deep/er/; ln tree/deep/er/word safe/word",
	       "is a hard link to");
	caught(s, "cp safe/word tree/deep/noise", "it is a copy of");
	keystore_freep(&k);
	s = site_free(s);
	cr_assert_eq(scratch_run(dir, "mv safe away"), 0);
	s = server_open(SITE_LOCK);
	allowed(s, "payload"); /* a stick that is not plugged in */
	s = site_free(s);
	cr_assert_eq(scratch_run(dir, "echo x > safe"), 0);
	s = server_open(SITE_LOCK);
	cr_expect_eq(opened(s, "payload", &err), RC_IO, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "the master key of the key store"), "%s", err.text);
}

Test(site_source, a_directory_of_ours_that_moved_into_a_source_is_known)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err;

	allowed(s, "innocent"); /* from here on it is known what is ours */
	cr_assert_eq(scratch_run(dir, "mkdir -p innocent/deep; mv site.state/keys innocent/deep/x"),
		     0);
	cr_expect_eq(channel_run(s, "innocent", &err), RC_POLICY, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "\"deep/x\": it is the keys of the site"), "%s",
			   err.text);
}

Test(site_source, keys_of_other_programs_and_public_keys_are_payload)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	OWNED(key_freep) struct key_secret *k = NULL;
	OWNED(fd_closep) int fd = -1;

	fd = openat(s->dirfd, "../other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(key_generate(KEY_SIGN, &k, &err));
	must(key_write(fd, "sign.key", k, &err));
	cr_assert_eq(scratch_run(dir,
				 "cp site.state/keys/*.pub payload;"
				 "echo '-----BEGIN PRIVATE KEY-----' > payload/tls.key;"
				 "sed 1s/.*/'untrusted comment: minisign secret key'/ "
				 "other/sign.key > payload/minisign.key; : > payload/empty.key"),
		     0);
	must(channel_run(s, "payload", &err));
	cr_expect_eq(server_number(s, "SELECT count(*) FROM generation"), 1);
}

Test(site_source, a_source_that_is_refused_keeps_no_other_channel_back)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(
	    scratch_run(dir, "mkdir -p site/channels; for c in bad:../site.state/keys "
			     "good:../payload; do printf 'satchel: channel/1\\nsource: \"%s\"\\n"
			     "target: /srv/%s\\nfor: [all]\\n' ${c#*:} ${c%:*} > "
			     "site/channels/${c%:*}.yaml; done"),
	    0);
	s = site_free(s);
	s = server_open(SITE_LOCK);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_POLICY, "%s", err.text);
	cr_expect_eq(scratch_run(dir, "ls depot/channels/good/*.head > /dev/null"), 0);
	cr_expect_eq(scratch_run(dir, "[ ! -e depot/channels/bad ]"), 0);
}
