/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/keystore/keystore.h"
#include "bundler/site/site.h"
#include "core/os/durable.h"
#include "tests/support/server.h"

#define DAY 86400

static void run(struct site *s, const char *sql)
{
	struct err err = {0};

	must(db_exec(s->db, sql, &err));
}

/* Two workstations that are enrolled; nothing of them but ids matters here. */
static struct site *store_site(void)
{
	struct site *s;

	server_make();
	s = server_open(SITE_LOCK);
	run(s, "INSERT INTO workstation(id, name, sign, sign_number, seal, seal_number, state,"
	       " enrolled) VALUES('a', 'pc-1', x'00', 0, x'00', 0, 'enrolled', 1),"
	       " ('b', 'pc-2', x'00', 0, x'00', 0, 'enrolled', 1)");
	return s;
}

static void confirm(struct site *s, const char *id, int epoch, int generation)
{
	struct err err = {0};

	must(db_run(
	    s->db, &err,
	    "INSERT OR REPLACE INTO receipt(id, sequence, recorded, written, beat_epoch, beat,"
	    " trust, private_epoch, private_generation, private_tree, free_bytes, version,"
	    " formats, last_event) VALUES(?1, 1, 1, 1, 1, 1, 1, ?2, ?3, x'00', 0, '', 1, 0)",
	    "tii", id, (int64_t)epoch, (int64_t)generation));
}

static void sent(struct site *s, const char *id, const char *versions, int generation)
{
	struct key_version v[8];
	struct err err = {0};
	size_t n = 0;

	for (const char *at = versions; *at != '\0';
	     at += strcspn(at, " ") + (at[strcspn(at, " ")] != 0)) {
		const char *dot = strchr(at, '.');

		v[n] = (struct key_version){.version = strtoull(dot + 1, NULL, 10)};
		memcpy(v[n++].name, at, (size_t)(dot - at));
	}
	must(keystore_sent(s, id, v, n, 1, (uint64_t)generation, &err));
}

static struct keystore *keystore(struct site *s)
{
	struct keystore *k = NULL;

	cr_assert_eq(keystore_new(s, &k, ERR_IGNORED), 0);
	return k;
}

/* A copy that the test wipes. */
static void secret_of(struct site *s, const char *name, uint64_t version, uint8_t dst[32])
{
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct bytes b = {NULL, 0};
	struct err err = {0};

	must(keystore_secret(k, name, version, &b, &err));
	cr_assert_eq(b.n, 32);
	memcpy(dst, b.p, 32);
}

Test(keystore, the_first_key_makes_the_master_key_file_and_a_second_call_changes_nothing,
     .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};
	uint8_t before[32], after[32];
	struct stat st;

	cr_assert_lt(fstatat(s->statefd, "keys/store.key", &st, 0), 0);
	cr_assert_eq(keystore_make(k, "payroll", &err), 1, "%s", err.text);
	cr_assert_eq(fstatat(s->statefd, "keys/store.key", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0400);
	secret_of(s, "payroll", 1, before);
	cr_assert_eq(keystore_make(k, "payroll", &err), 0);
	secret_of(s, "payroll", 1, after);
	cr_assert_eq(memcmp(before, after, 32), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM secret"), 1);
}

Test(keystore, a_master_key_file_that_an_interrupted_run_left_is_taken, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};

	cr_assert_eq(
	    scratch_run(dir, "(umask 077; head -c 32 /dev/urandom > site.state/keys/store.key)"),
	    0);
	cr_assert_eq(keystore_make(k, "payroll", &err), 1, "%s", err.text);
	cr_assert_eq(scratch_run(dir, "test ! -e site.state/keys/store-2.key"), 0);
}

Test(keystore, no_byte_of_a_secret_lies_in_the_registry, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	OWNED(buf_clear) struct buf file = BUF_INIT;
	struct err err = {0};
	uint8_t secret[32];

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	secret_of(s, "payroll", 1, secret);
	run(s, "PRAGMA wal_checkpoint(TRUNCATE)");
	must(file_read(s->statefd, "registry.db", 1 << 26, &file, &err));
	for (size_t i = 0; i + 8 <= sizeof(secret); i++)
		cr_assert_null(memmem(file.p, file.n, secret + i, 8));
}

Test(keystore, another_or_no_master_key_is_refused_with_what_to_do, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s), *other = NULL, *none = NULL;
	struct err err = {0};
	struct bytes b = {NULL, 0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	other = keystore(s);
	cr_assert_eq(scratch_run(dir, "cd site.state/keys; mv store.key kept;"
				      "(umask 077; head -c 32 /dev/urandom > store.key)"),
		     0);
	cr_assert_eq(keystore_secret(other, "payroll", 1, &b, &err), RC_UNTRUSTED);
	cr_assert_not_null(strstr(err.text, "not the master key of this key store"), "%s",
			   err.text);
	cr_assert_eq(keystore_make(other, "second", &err), RC_UNTRUSTED);
	cr_assert_eq(scratch_run(dir, "rm -f site.state/keys/store.key"), 0);
	none = keystore(s);
	cr_assert_eq(keystore_secret(none, "payroll", 1, &b, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "from your backup"), "%s", err.text);
	cr_assert_eq(keystore_make(none, "second", &err), RC_STATE);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM secret"), 1);
	cr_assert_eq(scratch_run(dir, "test ! -e site.state/keys/store.key"), 0);
}

Test(keystore, rotating_makes_a_new_current_version_and_keeps_the_old_one_handed_out,
     .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	OWNED(key_snapshot_clear) struct key_snapshot look = {.holders = 0};
	struct err err = {0};
	uint8_t first[32], again[32], second[32];
	uint64_t version = 0;

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	secret_of(s, "payroll", 1, first);
	must(keystore_rotate(k, "payroll", &version, &err));
	cr_assert_eq(version, 2);
	secret_of(s, "payroll", 1, again);
	secret_of(s, "payroll", 2, second);
	cr_assert_eq(memcmp(first, again, 32), 0);
	cr_assert_neq(memcmp(first, second, 32), 0);
	must(keystore_describe(s, "payroll", &look, &err));
	cr_assert_eq(look.version.n, 2);
	cr_assert_eq(look.version.items[0].state, KEY_VERSION_RETIRING);
	cr_assert_eq(look.version.items[1].state, KEY_VERSION_CURRENT);
	cr_assert_eq(look.version.items[0].made, SERVER_NOW);
}

/* 1 when every holder has confirmed a private generation with the current version. */
static int confirmed(struct site *s, const char *name, struct err *err)
{
	OWNED(key_snapshot_clear) struct key_snapshot k = {.holders = 0};
	int rc = keystore_describe(s, name, &k, err);

	return rc < 0 ? rc : k.unconfirmed == 0;
}

Test(keystore, an_old_version_is_withdrawn_only_when_every_holder_has_confirmed_the_new_one,
     .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};
	uint64_t version;

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	sent(s, "a", "payroll.1", 1);
	sent(s, "b", "payroll.1", 1);
	confirm(s, "a", 1, 1);
	confirm(s, "b", 1, 1);
	cr_assert_eq(confirmed(s, "payroll", &err), 1);
	must(keystore_rotate(k, "payroll", &version, &err));
	/* made, not published */
	cr_assert_eq(keystore_withdraw(s, "payroll", 0, KEYSTORE_DATA_MAY_NEED_IT, &err),
		     RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "waiting for pc-1, pc-2"), "%s", err.text);
	sent(s, "a", "payroll.1 payroll.2", 2);
	sent(s, "b", "payroll.1 payroll.2", 2);
	confirm(s, "a", 1, 2);
	cr_assert_eq(keystore_withdraw(s, "payroll", 0, KEYSTORE_DATA_MAY_NEED_IT, &err),
		     RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "waiting for pc-2"), "%s", err.text);
	confirm(s, "b", 1, 2);
	cr_assert_eq(confirmed(s, "payroll", &err), 1);
	/* and not without the word */
	cr_assert_eq(keystore_withdraw(s, "payroll", 0, 0, &err), RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "--data-may-need-it"), "%s", err.text);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM secret WHERE state = 'retiring'"), 1);
	must(keystore_withdraw(s, "payroll", 0, KEYSTORE_DATA_MAY_NEED_IT, &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM secret WHERE state = 'withdrawn'"), 1);
}

Test(keystore, whoever_failed_to_hand_out_has_not_confirmed, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	sent(s, "a", "payroll.1", 3);
	confirm(s, "a", 1, 3);
	run(s, "INSERT INTO receipt_user(id, email, account, result, reason, at)"
	       " VALUES('a', 'ann@example.org', 'ann', 'failed', '', 1)");
	cr_assert_eq(confirmed(s, "payroll", &err), 0);
	run(s, "UPDATE receipt_user SET result = 'handed-out'");
	cr_assert_eq(confirmed(s, "payroll", &err), 1);
}

Test(keystore, a_later_epoch_confirms_and_an_earlier_one_does_not, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	must(keystore_sent(s, "a", &(struct key_version){"payroll", 1}, 1, 2, 1, &err));
	confirm(s, "a", 1, 99);
	cr_assert_eq(confirmed(s, "payroll", &err), 0);
	confirm(s, "a", 2, 1);
	cr_assert_eq(confirmed(s, "payroll", &err), 1);
	confirm(s, "a", 3, 1);
	cr_assert_eq(confirmed(s, "payroll", &err), 1);
}

Test(keystore, a_workstation_that_is_believed_no_longer_holds_nobody_up, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	sent(s, "a", "payroll.1", 1);
	sent(s, "b", "payroll.1", 1);
	confirm(s, "b", 1, 1);
	cr_assert_eq(confirmed(s, "payroll", &err), 0);
	run(s, "UPDATE workstation SET state = 'revoked' WHERE id = 'a'");
	cr_assert_eq(confirmed(s, "payroll", &err), 1);
}

Test(keystore, what_was_taken_away_may_be_there_until_that_is_confirmed, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	OWNED(key_snapshot_clear) struct key_snapshot look = {.holders = 0};
	struct err err = {0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	sent(s, "a", "payroll.1", 1);
	confirm(s, "a", 1, 1);
	sent(s, "a", "", 2);
	sent(s, "a", "", 3);
	must(keystore_describe(s, "payroll", &look, &err));
	cr_assert_eq(look.holders, 0);
	cr_assert_eq(look.version.items[0].holders, 1);
	must(keystore_lost(s, "a", "pc-1", &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM key_mark"), 1);
	run(s, "DELETE FROM key_mark");
	confirm(s, "a", 1, 2);
	must(keystore_lost(s, "a", "pc-1", &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM key_mark"), 0);
}

Test(keystore, a_key_that_comes_back_is_confirmed_by_the_new_generation_only,
     .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	sent(s, "a", "payroll.1", 1);
	sent(s, "a", "", 2);
	sent(s, "a", "payroll.1", 3);
	confirm(s, "a", 1, 2);
	cr_assert_eq(confirmed(s, "payroll", &err), 0);
	confirm(s, "a", 1, 3);
	cr_assert_eq(confirmed(s, "payroll", &err), 1);
}

Test(keystore, keys_of_a_lost_workstation_are_marked_until_they_are_rotated,
     .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	OWNED(key_snapshot_clear) struct key_snapshot look = {.holders = 0};
	struct err err = {0};
	uint64_t version, marked = 9;
	char first[WORD_NAME] = "";

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	cr_assert_eq(keystore_make(k, "stock", &err), 1);
	cr_assert_eq(keystore_make(k, "other", &err), 1);
	sent(s, "a", "payroll.1 stock.1", 1);
	must(keystore_lost(s, "a", "pc-1", &err));
	must(keystore_lost(s, "a", "pc-1", &err));
	must(keystore_marked(s, &marked, first, &err));
	cr_assert_eq(marked, 2);
	cr_assert_str_eq(first, "payroll");
	must(keystore_describe(s, "payroll", &look, &err));
	cr_assert_eq(look.mark.n, 1);
	cr_assert_str_eq(look.mark.items[0].workstation, "pc-1");
	cr_assert_eq(look.mark.items[0].at, SERVER_NOW);
	must(keystore_rotate(k, "payroll", &version, &err));
	must(keystore_marked(s, &marked, first, &err));
	cr_assert_eq(marked, 1);
}

Test(keystore, a_withdrawn_version_can_be_handed_out_again_with_the_same_secret,
     .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};
	uint8_t before[32], after[32];
	uint64_t version;

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	must(keystore_rotate(k, "payroll", &version, &err));
	secret_of(s, "payroll", 1, before);
	must(keystore_withdraw(s, "payroll", 1, KEYSTORE_DATA_MAY_NEED_IT, &err));
	must(keystore_restore(s, "payroll", 1, &err));
	secret_of(s, "payroll", 1, after);
	cr_assert_eq(memcmp(before, after, 32), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM secret WHERE state = 'retiring'"), 1);
}

static const struct {
	const char *name;
	uint64_t version;
	const char *says;
} refusals[] = {
    {"payroll", 2, "the current one"}, {"payroll", 3, "no version 3"},
    {"single", 0, "no old version"},   {"payrol", 0, "no key payrol"},
    {"gone", 1, "withdrawn already"},
};

Test(keystore, what_cannot_be_withdrawn_is_said, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};
	uint64_t version;

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	cr_assert_eq(keystore_make(k, "single", &err), 1);
	cr_assert_eq(keystore_make(k, "gone", &err), 1);
	must(keystore_rotate(k, "payroll", &version, &err));
	must(keystore_rotate(k, "gone", &version, &err));
	must(keystore_withdraw(s, "gone", 0, KEYSTORE_DATA_MAY_NEED_IT, &err));
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		cr_assert_eq(keystore_withdraw(s, refusals[i].name, refusals[i].version,
					       KEYSTORE_DATA_MAY_NEED_IT, &err),
			     RC_USAGE);
		cr_assert_not_null(strstr(err.text, refusals[i].says), "%s", err.text);
	}
	cr_assert_eq(keystore_restore(s, "payroll", 1, &err), RC_USAGE);
}

/* Somebody who is asked. */
struct asked {
	struct key_ask ask;
	const char *says;
};

static int answer(struct key_ask *ask, const char *what, char *dst, size_t size, struct err *err)
{
	(void)what;
	(void)err;
	snprintf(dst, size, "%s", ((struct asked *)ask)->says);
	return 0;
}

Test(keystore, another_master_key_opens_the_same_secrets_and_the_old_one_none,
     .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s), *old = NULL;
	struct asked p = {.ask = {answer}, .says = "correct horse battery"};
	struct err err = {0};
	uint8_t before[32], after[32];
	char was[KEYSTORE_PATH] = "", path[512];
	struct bytes b = {NULL, 0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	secret_of(s, "payroll", 1, before);
	must(keystore_lock_passphrase(k, &p.ask, was, &err));
	snprintf(path, sizeof(path), "%s/keys/store.key", s->state);
	cr_assert_str_eq(was, path);
	s->ask = &p.ask;
	secret_of(s, "payroll", 1, after);
	cr_assert_eq(memcmp(before, after, 32), 0);
	p.says = "correct horse battera";
	old = keystore(s);
	cr_assert_eq(keystore_secret(old, "payroll", 1, &b, &err), RC_UNTRUSTED);
	cr_assert_not_null(strstr(err.text, "passphrase of the key store is wrong"), "%s",
			   err.text);
	p.says = "correct horse battery";
	/* to a file again: one that is new, not the old one */
	must(keystore_lock_file(k, NULL, was, &err));
	cr_assert_str_eq(was, "");
	s->ask = NULL;
	secret_of(s, "payroll", 1, after);
	cr_assert_eq(memcmp(before, after, 32), 0);
	cr_assert_eq(
	    scratch_run(dir, "cd site.state/keys; test -f store.key && test -f store-2.key"), 0);
}

Test(keystore, a_master_key_that_cannot_be_changed_stays_what_it_was, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};
	uint8_t secret[32];
	char was[KEYSTORE_PATH] = "";

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	cr_assert_eq(keystore_make(k, "second", &err), 1);
	/* one sealed secret is damaged: none is sealed again */
	run(s, "UPDATE secret SET sealed = zeroblob(72) WHERE name = 'second'");
	cr_assert_eq(keystore_lock_file(k, NULL, was, &err), RC_UNTRUSTED);
	cr_assert_eq(scratch_run(dir, "test ! -e site.state/keys/store-2.key"), 0);
	secret_of(s, "payroll", 1, secret);
	cr_assert_eq(keystore_lock_file(k, "relative.key", was, &err), RC_USAGE);
}

Test(keystore, a_passphrase_may_come_before_the_first_key, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct asked p = {.ask = {answer}, .says = "correct horse battery"};
	struct err err = {0};
	char was[KEYSTORE_PATH] = "", text[KEYSTORE_PATH + 64];

	must(keystore_lock_text(s, text, &err));
	cr_assert_not_null(strstr(text, "none yet"));
	must(keystore_lock_passphrase(k, &p.ask, was, &err));
	cr_assert_str_eq(was, "");
	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	cr_assert_eq(scratch_run(dir, "test ! -e site.state/keys/store.key"), 0);
	must(keystore_lock_text(s, text, &err));
	cr_assert_str_eq(text, "passphrase");
}

Test(keystore, a_version_that_was_moved_to_another_key_opens_nothing, .fini = server_teardown)
{
	OWNED(site_freep) struct site *s = store_site();
	OWNED(keystore_freep) struct keystore *k = keystore(s);
	struct err err = {0};
	struct bytes b = {NULL, 0};

	cr_assert_eq(keystore_make(k, "payroll", &err), 1);
	run(s, "INSERT INTO secret SELECT 'public', 1, 'current', made, sealed FROM secret");
	cr_assert_eq(keystore_secret(k, "public", 1, &b, &err), RC_UNTRUSTED);
	cr_assert_null(b.p);
}
