/* SPDX-License-Identifier: ISC */
/*
 * Hand-out: what lies where people can read it, whose it is, and what a killed run leaves.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "applier/handout/handout_internal.h"
#include "applier/open/open.h"
#include "tests/support/fault.h"
#include "tests/support/people.h"

TestSuite(handout, .timeout = 300);

#define ANNA "anna@example.org"
#define BEN  "ben@example.org"

static const struct tree_key two_keys[] = {{"disk", 3, 2}, {"mail", 1, 0}};

/* As the tests run: root hands out to others, anybody else to themselves. */
static bool root(void)
{
	return geteuid() == 0;
}

static const char *first_account(void)
{
	return root() ? "nobody" : own_account();
}

static void effective(struct tree_files *t, const char *path, const char *settings)
{
	char text[1024];

	snprintf(text, sizeof(text), "satchel: effective/1\n%s", settings);
	tree_text(t, path, text);
}

#define WARN                                                                                     \
	"settings:\n  expiry: warn\norigins:\n  - path: settings.expiry\n    from: site policy " \
	"basic\n"

static void user_policy(struct tree_files *t, const char *email)
{
	char id[17], path[64];

	person_id(id, email);
	snprintf(path, sizeof(path), "people/%s.policy.yaml", id);
	effective(t, path, WARN);
}

static void sync_tree(struct fixture *f, struct tree_files *t)
{
	tree_publish(f, t);
	FIXTURE_SYNC(f, 0);
}

/* A workstation with anna, her keys and policies. */
static void one_user(struct fixture *f, struct tree_files *t)
{
	fixture_joined(f);
	tree_person(t, ANNA, first_account(), two_keys, 2);
	user_policy(t, ANNA);
	effective(t, "policy.yaml", WARN);
	sync_tree(f, t);
}

static void is_key(struct fixture *f, const char *path, const char *key, uint64_t version)
{
	OWNED(fd_closep) int here = os_open_dir(f->dir, &f->err);
	OWNED(buf_clear) struct buf is = BUF_INIT;
	uint8_t want[32];

	cr_assert_eq(file_read(here, path, 64, &is, &f->err), 0, "%s", f->err.text);
	secret_of(want, key, version);
	cr_assert_eq(is.n, 32);
	cr_assert_arr_eq(is.p, want, 32);
}

static void has_mode(struct fixture *f, const char *path, mode_t mode, const char *account,
		     bool roots)
{
	struct passwd *p = getpwnam(account);
	struct stat st;

	cr_assert_eq(lstat(fixture_path(f, path), &st), 0, "%s", path);
	cr_assert_eq(st.st_mode, mode, "%s: %o", path, st.st_mode);
	if (!root())
		return;
	cr_assert_eq(st.st_uid, roots ? 0 : p->pw_uid, "%s", path);
	cr_assert_eq(st.st_gid, p->pw_gid, "%s", path);
}

static const char *in_dir(struct fixture *f, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "ws/handout/%s%s%s", first_account(), *name ? "/" : "", name);
	return path;
}

static struct receipt_user user_of(struct fixture *f, const char *email)
{
	OWNED(receipt_clear) struct receipt r = {0};
	struct receipt_user u = {.result = "absent"};

	newest_receipt(f, &r);
	for (size_t i = 0; i < r.users; i++)
		if (strcmp(r.user[i].email, email) == 0)
			u = r.user[i];
	return u;
}

Test(handout, keys_and_policies_are_the_accounts_alone_and_the_receipt_says_so)
{
	struct tree_files t = {0};
	struct receipt_user u;
	struct fixture f;

	one_user(&f, &t);
	has_mode(&f, in_dir(&f, ""), S_IFDIR | 0750, first_account(), true);
	has_mode(&f, in_dir(&f, "keys"), S_IFDIR | 0750, first_account(), true);
	has_mode(&f, in_dir(&f, "policy.yaml"), S_IFREG | 0400, first_account(), false);
	has_mode(&f, in_dir(&f, "keys/disk"), S_IFREG | 0400, first_account(), false);
	is_key(&f, in_dir(&f, "keys/disk"), "disk", 3);
	is_key(&f, in_dir(&f, "keys/disk.3"), "disk", 3);
	is_key(&f, in_dir(&f, "keys/disk.2"), "disk", 2);
	is_key(&f, in_dir(&f, "keys/mail"), "mail", 1);
	FIXTURE_RUN(&f, "test $(stat -c %a ws/handout/policy.yaml) = 644 && "
			"cmp ws/handout/policy.yaml ws/state/private/policy.yaml");
	FIXTURE_RUN(&f, "test $(ls ws/handout/*/keys | wc -l) -eq 5");
	u = user_of(&f, ANNA);
	cr_assert_str_eq(u.result, "handed-out", "%s", u.reason);
	cr_assert_str_eq(u.account, first_account());
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, nothing_is_touched_that_is_as_it_should_be)
{
	struct tree_files t = {0};
	struct fixture f;

	one_user(&f, &t);
	FIXTURE_RUN(&f, "find ws/handout -printf '%p %i %C@\\n' | sort > before");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "find ws/handout -printf '%p %i %C@\\n' | sort | diff before -");
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, what_was_edited_removed_opened_or_added_is_made_again)
{
	static const char *const harm[] = {
	    "chmod 600 keys/disk; echo x > keys/disk",
	    "rm -f keys/mail",
	    "rm -rf keys",
	    "chmod 444 keys/disk.3",
	    "chmod 755 .",
	    "chmod 777 keys",
	    "rm -f policy.yaml; echo mine > policy.yaml; chmod 400 policy.yaml",
	    "rm -f keys/disk; ln -s /etc/passwd keys/disk",
	    "mv keys elsewhere; ln -s elsewhere keys",
	    "rm -f keys/mail; mkfifo keys/mail; chmod 400 keys/mail",
	};
	struct tree_files t = {0};
	struct fixture f;
	char command[1024];

	one_user(&f, &t);
	for (size_t i = 0; i < ARRAY_LEN(harm); i++) {
		snprintf(command, sizeof(command), "cd %s && %s", in_dir(&f, ""), harm[i]);
		FIXTURE_RUN(&f, command);
		FIXTURE_SYNC(&f, 0);
		has_mode(&f, in_dir(&f, ""), S_IFDIR | 0750, first_account(), true);
		has_mode(&f, in_dir(&f, "keys"), S_IFDIR | 0750, first_account(), true);
		has_mode(&f, in_dir(&f, "keys/disk.3"), S_IFREG | 0400, first_account(), false);
		is_key(&f, in_dir(&f, "keys/disk"), "disk", 3);
		is_key(&f, in_dir(&f, "keys/mail"), "mail", 1);
		FIXTURE_RUN(&f, "cmp ws/handout/*/policy.yaml ws/state/private/policy.yaml");
		cr_assert_str_eq(user_of(&f, ANNA).result, "handed-out", "%s", harm[i]);
	}
	FIXTURE_RUN(&f, "grep -q root /etc/passwd");
	FIXTURE_RUN(&f, "rm ws/handout/policy.yaml && ln -s /etc/passwd ws/handout/policy.yaml");
	cr_assert_eq(fixture_sync(&f), RC_CONFLICT, "%s", f.err.text);
	cr_assert_str_eq(user_of(&f, ANNA).result, "failed");
	FIXTURE_RUN(&f, "rm ws/handout/policy.yaml");
	FIXTURE_SYNC(&f, 0);
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, a_key_that_is_withdrawn_goes_and_a_user_who_is_not_active_keeps_nothing)
{
	static const struct tree_key one[] = {{"mail", 1, 0}};
	struct tree_files t = {0};
	struct fixture f;

	one_user(&f, &t);
	tree_clear(&t);
	tree_person(&t, ANNA, first_account(), one, 1);
	sync_tree(&f, &t);
	FIXTURE_RUN(&f, "test \"$(ls ws/handout/*/keys | tr '\\n' ' ')\" = 'mail mail.1 '");
	FIXTURE_RUN(&f, "test ! -e ws/handout/policy.yaml && test ! -e ws/handout/*/policy.yaml");
	tree_clear(&t);
	sync_tree(&f, &t);
	FIXTURE_RUN(&f, "test \"$(ls -A ws/handout)\" = .satchel");
	cr_assert_str_eq(user_of(&f, ANNA).result, "absent");
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, what_somebody_put_there_stays_and_stops_nobody)
{
	struct tree_files t = {0};
	struct fixture f;
	char command[2048];

	one_user(&f, &t);
	snprintf(command, sizeof(command),
		 "echo keep > %s/notes && echo keep > $(dirname %s)/beside", in_dir(&f, ""),
		 in_dir(&f, ""));
	FIXTURE_RUN(&f, command);
	snprintf(command, sizeof(command), "echo keep > %s/keys/other; echo keep > %s/keys/UPPER",
		 in_dir(&f, ""), in_dir(&f, ""));
	FIXTURE_RUN(&f, command);
	FIXTURE_SYNC(&f, 0);
	cr_assert_str_eq(user_of(&f, ANNA).result, "handed-out");
	FIXTURE_RUN(&f, "grep -qx keep ws/handout/.kept-*/notes ws/handout/.kept-*/keys/other && "
			"grep -qx keep ws/handout/.kept-*/keys/UPPER && "
			"grep -qx keep ws/handout/beside");
	FIXTURE_RUN(&f, "test $(ls ws/handout/.kept-*/keys | wc -l) -eq 2"); /* and no key */
	tree_clear(&t);
	sync_tree(&f, &t);
	FIXTURE_RUN(&f,
		    "grep -qx keep ws/handout/.kept-*/notes && grep -qx keep ws/handout/beside");
	fixture_end(&f);
}

Test(handout, a_key_that_is_withdrawn_is_wiped_from_the_private_channel_as_well)
{
	static const struct tree_key one[] = {{"mail", 1, 0}};
	static const uint8_t zeros[32];
	struct tree_files t = {0};
	uint8_t is[32] = {1};
	struct fixture f;
	int fd;

	one_user(&f, &t);
	fd = open(fixture_path(&f, "ws/state/private/secrets/disk.3"), O_RDONLY);
	cr_assert_geq(fd, 0);
	tree_clear(&t);
	tree_person(&t, ANNA, first_account(), one, 1);
	sync_tree(&f, &t);
	FIXTURE_RUN(&f, "test ! -e ws/state/private/secrets/disk.3");
	cr_assert_eq(pread(fd, is, sizeof(is), 0), 32);
	cr_expect_arr_eq(is, zeros, 32);
	close(fd);
	tree_clear(&t);
	fixture_end(&f);
}

/* An account owns its files, and can make holes of any size of them. */
Test(handout, what_an_account_blew_up_is_not_filled_with_zeros)
{
	struct tree_files t = {0};
	struct fixture f;
	struct stat st;
	char command[1024];
	int fd;

	one_user(&f, &t);
	snprintf(command, sizeof(command),
		 "cd %s && chmod 600 keys/disk && truncate -s 64M keys/disk", in_dir(&f, ""));
	FIXTURE_RUN(&f, command);
	fd = open(fixture_path(&f, in_dir(&f, "keys/disk")), O_RDONLY);
	cr_assert_geq(fd, 0);
	FIXTURE_SYNC(&f, 0);
	is_key(&f, in_dir(&f, "keys/disk"), "disk", 3);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_leq(st.st_blocks, (2 << 20) / 512, "%lld KiB", (long long)st.st_blocks / 2);
	close(fd);
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, a_lease_on_a_key_keeps_no_old_one_and_stops_nothing)
{
	static const struct tree_key one[] = {{"mail", 1, 0}};
	struct tree_files t = {0};
	struct fixture f;
	int fd;

	one_user(&f, &t);
	signal(SIGIO, SIG_IGN);
	fd = open(fixture_path(&f, in_dir(&f, "keys/mail")), O_RDONLY);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		cr_skip("no leases here");
	tree_clear(&t);
	tree_person(&t, ANNA, first_account(), one, 1);
	sync_tree(&f, &t);
	cr_assert_str_eq(user_of(&f, ANNA).result, "handed-out", "%s", user_of(&f, ANNA).reason);
	FIXTURE_RUN(&f, "test \"$(ls ws/handout/*/keys | tr '\\n' ' ')\" = 'mail mail.1 '");
	close(fd);
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, a_directory_that_is_not_ours_gets_nothing)
{
	struct tree_files t = {0};
	struct fixture f;

	fixture_joined(&f);
	FIXTURE_RUN(&f, "mkdir -p ws/handout/nobody && echo mine > ws/handout/nobody/policy.yaml");
	tree_person(&t, ANNA, first_account(), two_keys, 2);
	tree_publish(&f, &t);
	cr_assert_eq(fixture_sync(&f), RC_POLICY, "%s", f.err.text);
	FIXTURE_RUN(&f, "test \"$(find ws/handout | sort | tr '\\n' ' ')\" = "
			"'ws/handout ws/handout/nobody ws/handout/nobody/policy.yaml '");
	cr_assert_str_eq(user_of(&f, ANNA).result, "failed");
	FIXTURE_RUN(&f, "rm -r ws/handout && mkdir -m 777 ws/handout");
	cr_assert_eq(fixture_sync(&f), RC_POLICY, "%s", f.err.text);
	FIXTURE_RUN(&f, "test -z \"$(ls -A ws/handout)\" && chmod 755 ws/handout");
	FIXTURE_SYNC(&f, 0);
	cr_assert_str_eq(user_of(&f, ANNA).result, "handed-out");
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, one_user_who_cannot_have_theirs_does_not_stop_the_others)
{
	struct tree_files t = {0};
	struct receipt_user u;
	struct fixture f;

	fixture_joined(&f);
	tree_person(&t, ANNA, first_account(), two_keys, 2);
	tree_person(&t, BEN, "nobody-of-that-name", two_keys, 1);
	tree_person(&t, "also@example.org", first_account(), two_keys, 1);
	sync_tree(&f, &t);
	u = user_of(&f, BEN);
	cr_assert_str_eq(u.result, "failed");
	cr_assert_not_null(strstr(u.reason, "there is no account nobody-of-that-name"), "%s",
			   u.reason);
	/* The first by e-mail has the account. */
	cr_assert_str_eq(user_of(&f, "also@example.org").result, "handed-out");
	u = user_of(&f, ANNA);
	cr_assert_str_eq(u.result, "failed");
	cr_assert_not_null(strstr(u.reason, "also@example.org"), "%s", u.reason);
	FIXTURE_RUN(&f, "test ! -e ws/handout/nobody-of-that-name");
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, a_secret_that_is_not_there_is_told_and_what_was_handed_out_stays)
{
	static const struct tree_key more[] = {{"disk", 3, 2}, {"mail", 1, 0}, {"web", 7, 0}};
	struct tree_files t = {0};
	struct receipt_user u;
	struct fixture f;

	one_user(&f, &t);
	tree_clear(&t);
	tree_person(&t, ANNA, first_account(), more, 3);
	for (size_t i = 0; i < t.n; i++)
		if (strcmp(t.file[i].path, "secrets/web.7") == 0)
			snprintf(t.file[i].path, sizeof(t.file[i].path), "secrets/web.8");
	sync_tree(&f, &t);
	u = user_of(&f, ANNA);
	cr_assert_str_eq(u.result, "failed");
	cr_assert_not_null(strstr(u.reason, "secrets/web.7"), "%s", u.reason);
	is_key(&f, in_dir(&f, "keys/disk"), "disk", 3);
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, a_document_of_a_person_that_cannot_be_read_stops_no_channel)
{
	struct tree_files t = {0};
	struct fixture f;

	one_user(&f, &t);
	tree_sub(&t, "office", "/opt/office", "keep");
	tree_text(&t, "people/0123456789abcdef.yaml",
		  "satchel: person/1\nemail: ben@example.org\nname: Ben\naccount: daemon\n");
	tree_publish(&f, &t);
	cr_assert_eq(fixture_sync(&f), RC_MALFORMED, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	is_key(&f, in_dir(&f, "keys/disk"), "disk", 3);
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, a_file_of_the_private_channel_that_was_changed_here_is_applied_again)
{
	struct tree_files t = {0};
	struct fixture f;

	one_user(&f, &t);
	FIXTURE_RUN(&f,
		    "cd ws/state/private/secrets && rm disk.3 && head -c 32 /dev/zero > disk.3");
	FIXTURE_SYNC(&f, 0);
	is_key(&f, "ws/state/private/secrets/disk.3", "disk", 3);
	is_key(&f, in_dir(&f, "keys/disk"), "disk", 3);
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, no_name_leads_out_of_the_directory)
{
	static const char *const names[] = {"..",          ".", "../../evil", "/etc", ".satchel",
					    "policy.yaml", ""};
	struct tree_files t = {0};
	struct fixture f;

	one_user(&f, &t);
	FIXTURE_RUN(&f,
		    "touch before after; find . -path ./ws/state -prune -o -print | sort > before");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		OWNED(private_close) struct private_tree tree = PRIVATE_TREE_INIT;
		struct station *s = fixture_station(&f);
		OWNED(people_clear) struct private_people people = {0};
		struct handout_counts counts;

		cr_assert_eq(private_open(s, &tree, &f.err), 0);
		cr_assert_eq(people_read(&tree, &people, &f.err), 0);
		people.person = realloc(people.person, 2 * sizeof(*people.person));
		memset(&people.person[1], 0, sizeof(*people.person));
		snprintf(people.person[1].email, EMAIL_NAME, "zoe@example.org");
		snprintf(people.person[1].account, ACCOUNT_NAME, "%s", names[i]);
		people.persons = 2;
		cr_assert_eq(handout(s, &tree, &people, 0, &counts, &f.err), 0, "%s", f.err.text);
		cr_assert_eq(counts.failed, 1, "\"%s\"", names[i]);
		cr_assert_eq(counts.handed, 1);
		private_close(&tree);
		station_free(s);
	}
	FIXTURE_RUN(&f,
		    "find . -path ./ws/state -prune -o -print | sort > after; diff before after");
	tree_clear(&t);
	fixture_end(&f);
}

/* In a child: hand out what is held, with the fault armed. */
static int run_with_fault(struct fixture *f, long at, int error, bool no_exchange)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct private_tree tree = PRIVATE_TREE_INIT;
		struct private_people people = {0};
		struct handout_counts counts;
		struct station *s = NULL;
		struct err err = {0};
		int rc;

		if (station_open(fixture_path(f, "ws"), STATION_LOCK, NULL, &s, &err) < 0 ||
		    private_open(s, &tree, &err) < 0 || people_read(&tree, &people, &err) < 0)
			_exit(99);
		fault.no_exchange = no_exchange;
		fault_arm(at, error, at);
		rc = handout(s, &tree, &people, 0, &counts, &err);
		fault.pid = 0;
		_exit(rc < 0 || counts.failed > 0 ? 1 : atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The account has what it had, or what it is to have, and nothing in between. */
#define OLD_OR_NEW                                                                                  \
	"d=ws/handout/$a; if test -d $d; then diff -r $d old/$a > /dev/null || diff -r $d new/$a; " \
	"else test -d ws/handout/.old-$a; fi"

static void killed_everywhere(int error, bool no_exchange)
{
	static const struct tree_key later[] = {{"disk", 4, 3}, {"web", 1, 0}};
	struct tree_files t = {0};
	struct fixture f;
	char command[1024];
	long at = 1;
	int status;

	one_user(&f, &t);
	FIXTURE_RUN(&f, "cp -a ws/handout old");
	tree_clear(&t);
	tree_person(&t, ANNA, first_account(), later, 2);
	effective(&t, "policy.yaml", "");
	sync_tree(&f, &t);
	FIXTURE_RUN(&f, "cp -a ws/handout new");
	for (;; at++) {
		FIXTURE_RUN(&f, "rm -rf ws/handout; cp -a old ws/handout");
		status = run_with_fault(&f, at, error, no_exchange);
		if (status == 42)
			break;
		cr_assert(status == 0 || status == 1 || status == 128 + SIGKILL, "call %ld: %d", at,
			  status);
		snprintf(command, sizeof(command), "a=%s; " OLD_OR_NEW, first_account());
		cr_assert_eq(fixture_run(&f, command), 0, "call %ld", at);
		cr_assert_eq(run_with_fault(&f, 100000, 0, no_exchange), 42, "call %ld", at);
		snprintf(
		    command, sizeof(command),
		    "diff -r ws/handout new && test \"$(ls -A ws/handout)\" = \"$(ls -A new)\"");
		cr_assert_eq(fixture_run(&f, command), 0, "call %ld", at);
		has_mode(&f, in_dir(&f, "keys/web"), S_IFREG | 0400, first_account(), false);
	}
	cr_assert_gt(at, 15);
	tree_clear(&t);
	fixture_end(&f);
}

Test(handout, killed_anywhere_it_is_the_old_or_the_new_and_the_next_run_makes_it_whole)
{
	killed_everywhere(0, false);
}

Test(handout, likewise_where_the_file_system_cannot_exchange)
{
	killed_everywhere(0, true);
}

Test(handout, an_error_anywhere_leaves_the_old_or_the_new)
{
	killed_everywhere(ENOSPC, false);
	killed_everywhere(EIO, true);
}
