/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "applier/open/open.h"
#include "bundler/site/site.h"
#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "tests/support/sync_fixture.h"

TestSuite(enrol, .timeout = 120);

static void site_with_code(struct fixture *f, char code[INVITE_TEXT + 1])
{
	fixture_init(f);
	FIXTURE_RUN(f, "mkdir office; touch office/a");
	fixture_channel(f, "office", "/opt/office", "keep");
	fixture_invite(f, code);
	fixture_publish(f);
}

#define REQUESTS(f, n) FIXTURE_RUN(f, "test $(ls depot/inbox/*/*.request 2>/dev/null | wc -l) = " n)

static bool enrolled(struct fixture *f)
{
	struct station *s = fixture_station(f);
	bool ret = s->enrolled;

	station_free(s);
	return ret;
}

Test(enrol, by_a_code_leaves_one_request_that_the_server_takes)
{
	char code[INVITE_TEXT + 1];
	struct collect_counts counts;
	struct fixture f;
	struct station *s;

	site_with_code(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	REQUESTS(&f, "1");
	s = fixture_station(&f);
	cr_assert(s->enrolled);
	cr_assert_eq(s->trust.version, 1);
	cr_assert_str_eq(s->trust.name, "Acme");
	cr_assert_eq(s->depots.n, 1);
	station_free(s);
	counts = fixture_collect(&f);
	cr_assert_eq(counts.requests, 1);
	cr_assert_eq(counts.enrolled, 1);
	fixture_end(&f);
}

Test(enrol, the_same_code_again_sends_the_same_bytes)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "ls depot/inbox/* > before; rm depot/inbox/*/*.request");
	fixture_clock(FIXTURE_NOW + 60);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "ls depot/inbox/* | diff before -");
	fixture_end(&f);
}

Test(enrol, another_code_of_the_same_site_keeps_the_keys)
{
	char code[INVITE_TEXT + 1], second[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "cat ws/state/keys/* | cksum > before");
	fixture_invite(&f, second);
	cr_assert_eq(fixture_enrol(&f, second, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "cat ws/state/keys/* | cksum | diff before -");
	REQUESTS(&f, "1"); /* the first may have been typed by mistake */
	fixture_end(&f);
}

static void invite_as(struct fixture *f, const char *name, char code[INVITE_TEXT + 1])
{
	struct site *s = fixture_site(f);

	cr_assert_eq(enrolment_invite(s, name, 14, code, &f->err), 0, "%s", f->err.text);
	site_free(s);
}

Test(enrol, the_code_that_was_typed_last_decides_on_the_name)
{
	char code[INVITE_TEXT + 1], other[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	invite_as(&f, "beta", other);
	cr_assert_eq(fixture_enrol(&f, other, "depot"), 0, "%s", f.err.text);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	cr_assert_eq(fixture_collect(&f).enrolled, 1);
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "sqlite3 site.state/registry.db \"SELECT name FROM workstation\" | "
			"grep -qx alpha");
	fixture_end(&f);
}

/* Its answer took the request out of the outbox. */
Test(enrol, a_code_that_is_good_again_makes_another_request)
{
	char code[INVITE_TEXT + 1], other[INVITE_TEXT + 1];
	struct fixture f;
	struct site *s;

	site_with_code(&f, code);
	invite_as(&f, "beta", other);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	cr_assert_eq(fixture_collect(&f).enrolled, 1);
	cr_assert_eq(fixture_enrol(&f, other, "depot"), 0, "%s", f.err.text);
	cr_assert_eq(fixture_collect(&f).enrolled, 0);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	s = fixture_site(&f);
	cr_assert_eq(enrolment_revoke(s, "alpha", &f.err), 0, "%s", f.err.text);
	site_free(s);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, RC_ADDRESSEE);
	REQUESTS(&f, "0");
	cr_assert_eq(fixture_enrol(&f, other, "depot"), 0, "%s", f.err.text);
	REQUESTS(&f, "1");
	cr_assert_eq(fixture_collect(&f).enrolled, 1);
	fixture_end(&f);
}

Test(enrol, a_mistyped_code_is_a_usage_error_and_nothing_happens)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	code[3] = code[3] == '0' ? '1' : '0';
	cr_assert_eq(fixture_enrol(&f, code, "depot"), RC_USAGE);
	cr_assert_not(enrolled(&f));
	FIXTURE_RUN(&f, "test ! -e ws/state/keys");
	REQUESTS(&f, "0");
	fixture_end(&f);
}

Test(enrol, the_code_of_another_site_is_refused)
{
	char code[INVITE_TEXT + 1], foreign[INVITE_TEXT + 1];
	struct fixture f, other;

	site_with_code(&f, code);
	site_with_code(&other, foreign);
	cr_assert_eq(fixture_enrol(&f, foreign, "depot"), RC_ADDRESSEE, "%s", f.err.text);
	cr_assert_not(enrolled(&f));
	REQUESTS(&f, "0");
	fixture_end(&other);
	fixture_end(&f);
}

Test(enrol, a_machine_of_one_site_does_not_join_another)
{
	char code[INVITE_TEXT + 1], foreign[INVITE_TEXT + 1];
	struct fixture f, other;
	struct station *s;

	site_with_code(&f, code);
	site_with_code(&other, foreign);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0);
	s = fixture_station(&f);
	cr_assert_eq(station_enrol(s, foreign, fixture_path(&other, "depot"), "alpha", &f.err),
		     RC_CONFLICT, "%s", f.err.text);
	station_free(s);
	REQUESTS(&other, "0");
	fixture_end(&other);
	fixture_end(&f);
}

Test(enrol, an_empty_depot_is_incomplete_and_gets_nothing)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	FIXTURE_RUN(&f, "mkdir empty");
	cr_assert_eq(fixture_enrol(&f, code, "empty"), RC_INCOMPLETE, "%s", f.err.text);
	FIXTURE_RUN(&f, "test -z \"$(ls empty)\"");
	fixture_end(&f);
}

Test(enrol, a_depot_without_the_trust_version_of_the_code_is_behind)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;
	struct site *s;

	fixture_init(&f);
	FIXTURE_RUN(&f, "mkdir office; touch office/a");
	fixture_channel(&f, "office", "/opt/office", "keep");
	s = fixture_site(&f);
	cr_assert_eq(trust_change_renew(s, 1000, NULL, &f.err), 1, "%s", f.err.text);
	site_free(s);
	fixture_publish(&f);
	fixture_invite(&f, code);
	FIXTURE_RUN(&f, "mkdir away; mv depot/trust/2-* away");
	cr_assert_eq(fixture_enrol(&f, code, "depot"), RC_INCOMPLETE, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "has trust version 1, the code asks for 2"), "%s",
			   f.err.text);
	cr_assert_not(enrolled(&f));
	FIXTURE_RUN(&f, "mv away/* depot/trust");
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	fixture_end(&f);
}

Test(enrol, an_expired_code_is_refused_while_the_clock_can_be_right)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	fixture_clock(FIXTURE_NOW + 20 * 86400);
	FIXTURE_RUN(&f, "echo x > office/a");
	fixture_publish(&f); /* a beat of that day */
	cr_assert_eq(fixture_enrol(&f, code, "depot"), RC_EXPIRED, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "satchel invite"));
	cr_assert_not(enrolled(&f));
	REQUESTS(&f, "0");
	fixture_end(&f);
}

Test(enrol, a_clock_far_ahead_of_the_site_does_not_refuse_the_code)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	fixture_clock(FIXTURE_NOW + 4000ll * 86400);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	REQUESTS(&f, "1");
	fixture_end(&f);
}

Test(enrol, uninvited_by_the_digest_of_a_trust_document_waits_for_a_person)
{
	char code[INVITE_TEXT + 1], digest[DIGEST_HEX + 1];
	struct fixture f;
	struct site *s;

	site_with_code(&f, code);
	s = fixture_site(&f);
	cr_assert_eq(trust_change_renew(s, 1000, NULL, &f.err), 1, "%s", f.err.text);
	digest_hex(digest, &s->trust.identity);
	site_free(s);
	cr_assert_eq(fixture_enrol(&f, digest, "depot"), RC_ADDRESSEE, "not posted yet: %s",
		     f.err.text);
	fixture_publish(&f);
	cr_assert_eq(fixture_enrol(&f, digest, "depot"), 0, "%s", f.err.text);
	cr_assert_eq(fixture_collect(&f).enrolled, 0);
	digest[0] = digest[0] == '0' ? '1' : '0';
	cr_assert_eq(fixture_enrol(&f, digest, "depot"), RC_ADDRESSEE);
	fixture_end(&f);
}

/* A thief of the first root key signs another chain, up to the version that the site has today. */
static void forge_chain(struct fixture *f, const char *stolen, uint64_t until)
{
	OWNED(key_freep) struct key_secret *root = NULL;
	struct site *s = fixture_site(f);
	struct trust t = s->trust;
	int fd = open(fixture_path(f, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(key_read(fd, stolen, NULL, &root, &f->err), 0, "%s", f->err.text);
	site_free(s);
	FIXTURE_RUN(
	    f, "mkdir -p evil/trust; cp depot/satchel.yaml evil; cp depot/trust/1-* evil/trust");
	t.previous = t.site;
	for (size_t i = 0; i < t.keys; i++)
		t.key[i].state = KEY_CURRENT;
	for (t.version = 2; t.version <= until; t.version++) {
		OWNED(buf_clear) struct buf inner = BUF_INIT, raw = BUF_INIT;
		char path[DEPOT_NAME], full[DEPOT_NAME + 8];
		struct signed_doc doc;
		struct digest digest;
		FILE *file;

		cr_assert_eq(trustdoc_encode(&t, &inner, &f->err), 0, "%s", f->err.text);
		cr_assert_eq(signed_make(root, bytes_in(&inner), &raw, &f->err), 0);
		cr_assert_eq(signed_split(bytes_in(&raw), 1, &doc, &f->err), 0);
		t.previous = doc.identity;
		digest = digest_of(bytes_in(&raw));
		name_trust(path, t.version, &digest);
		snprintf(full, sizeof(full), "evil/%s", path);
		file = fopen(fixture_path(f, full), "wb");
		cr_assert_not_null(file);
		cr_assert_eq(fwrite(raw.p, 1, raw.n, file), raw.n);
		cr_assert_eq(fclose(file), 0);
	}
	close(fd);
}

Test(enrol, a_revoked_root_key_leads_no_newcomer_astray)
{
	char code[INVITE_TEXT + 1], first[INVITE_TEXT + 1], digest[DIGEST_HEX + 1];
	struct fixture f;
	struct site *s;

	site_with_code(&f, first);
	FIXTURE_RUN(&f, "cp site.state/keys/root.key stolen.key");
	s = fixture_site(&f);
	cr_assert_eq(trust_change_rotate(s, ROLE_ROOT, KEY_REVOKED, NULL, &f.err), 1, "%s",
		     f.err.text);
	digest_hex(digest, &s->trust.identity);
	site_free(s);
	fixture_publish(&f);
	fixture_invite(&f, code);
	forge_chain(&f, "stolen.key", 4);
	cr_assert_eq(fixture_enrol(&f, code, "evil"), RC_ADDRESSEE, "%s", f.err.text);
	cr_assert_eq(fixture_enrol(&f, digest, "evil"), RC_ADDRESSEE, "%s", f.err.text);
	cr_assert_not(enrolled(&f));
	FIXTURE_RUN(&f, "test ! -e evil/inbox; test ! -e ws/state/keys");
	/* The site's own documents beside the forged ones are found. */
	FIXTURE_RUN(&f, "cp -r depot/* evil");
	cr_assert_eq(fixture_enrol(&f, code, "evil"), 0, "%s", f.err.text);
	FIXTURE_RUN(
	    &f,
	    "cp evil/inbox/*/*.request .; mkdir -p depot/inbox; cp -r evil/inbox/* depot/inbox");
	cr_assert_eq(fixture_collect(&f).enrolled, 1, "the request opens with the site's own key");
	fixture_end(&f);
}

Test(enrol, names_of_junk_keep_no_newcomer_out)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	setenv("SATCHEL_SEARCH_TRIES", "20", 1);
	FIXTURE_RUN(&f, "i=100; while [ $i -lt 200 ]; do i=$((i + 1)); : > "
			"depot/trust/$i-00112233445566778899aabbccddeeff.trust; done");
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	fixture_end(&f);
}

Test(enrol, the_pinned_document_that_is_not_whole_is_waited_for)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	FIXTURE_RUN(&f,
		    "cp -r depot copy; f=$(echo copy/trust/1-*); chmod u+w $f; truncate -s 200 $f");
	cr_assert_eq(fixture_enrol(&f, code, "copy"), RC_INCOMPLETE, "%s", f.err.text);
	cr_assert_not(enrolled(&f));
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	fixture_end(&f);
}

Test(enrol, once_approved_there_is_nothing_to_do)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	fixture_joined(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	fixture_invite(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 1, "%s", f.err.text);
	REQUESTS(&f, "0");
	fixture_end(&f);
}

Test(enrol, trust_changed_in_the_database_is_noticed_when_it_is_loaded)
{
	struct fixture f;
	struct station *s;

	fixture_joined(&f);
	s = fixture_station(&f);
	cr_assert_eq(
	    db_exec(s->db,
		    "UPDATE trust SET document = CAST(replace(document, 'Acme', 'Evil') AS BLOB)",
		    &f.err),
	    0);
	station_free(s);
	s = NULL;
	cr_assert_eq(station_open(fixture_path(&f, "ws"), 0, NULL, &s, &f.err), RC_STATE, "%s",
		     f.err.text);
	cr_assert_null(s);
	fixture_end(&f);
}

/* Rotation */

Test(follow_trust, a_machine_that_slept_walks_through_every_version)
{
	struct fixture f;
	struct station *st;

	fixture_joined(&f);
	for (int i = 0; i < 5; i++) {
		struct site *s = fixture_site(&f);

		cr_assert_eq(trust_change_rotate(s, i % 2 ? ROLE_ROOT : ROLE_BEAT, KEY_REVOKED,
						 NULL, &f.err),
			     1, "%s", f.err.text);
		site_free(s);
		FIXTURE_RUN(&f, "date +%N >> office/a");
		fixture_publish(&f);
	}
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	st = fixture_station(&f);
	cr_assert_eq(st->trust.version, 6);
	station_free(st);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

Test(follow_trust, a_version_that_is_missing_is_waited_for)
{
	struct fixture f;
	struct site *s;

	fixture_joined(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	s = fixture_site(&f);
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_REVOKED, NULL, &f.err), 1);
	site_free(s);
	FIXTURE_RUN(&f, "echo x >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "mkdir away; mv depot/trust/2-* away");
	fixture_sync(&f);
	FIXTURE_RUN(&f, "test ! -s ws/root/opt/office/a || ! grep -q x ws/root/opt/office/a");
	FIXTURE_RUN(&f, "mv away/* depot/trust");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

Test(follow_trust, a_raised_epoch_restarts_the_count)
{
	struct fixture f;
	struct site *s;

	fixture_joined(&f);
	for (int i = 0; i < 3; i++) {
		FIXTURE_RUN(&f, "date +%N >> office/a");
		fixture_publish(&f);
	}
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	s = fixture_site(&f);
	cr_assert_eq(trust_change_epoch(s, ROLE_PUBLISH, NULL, &f.err), 1, "%s", f.err.text);
	site_free(s);
	s = fixture_site(&f);
	cr_assert_eq(trust_change_epoch(s, ROLE_BEAT, NULL, &f.err), 1, "%s", f.err.text);
	site_free(s);
	FIXTURE_RUN(&f, "date +%N >> office/a; rm office/l");
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

/* The next version as the site's root key signs it, with what ${edit} makes of it. */
static void next_post(struct fixture *f, void (*edit)(struct buf *text))
{
	OWNED(buf_clear) struct buf inner = BUF_INIT, raw = BUF_INIT;
	OWNED(key_freep) struct key_secret *root = NULL;
	struct site *s = fixture_site(f);
	struct trust t = s->trust;
	char path[DEPOT_NAME], full[DEPOT_NAME + 8];
	struct digest digest;
	FILE *file;
	int fd = open(fixture_path(f, "site.state/keys"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	site_free(s);
	cr_assert_eq(key_read(fd, "root.key", NULL, &root, &f->err), 0, "%s", f->err.text);
	close(fd);
	t.version++;
	t.previous = t.identity;
	cr_assert_eq(trustdoc_encode(&t, &inner, &f->err), 0, "%s", f->err.text);
	edit(&inner);
	cr_assert_eq(signed_make(root, bytes_in(&inner), &raw, &f->err), 0);
	digest = digest_of(bytes_in(&raw));
	name_trust(path, t.version, &digest);
	snprintf(full, sizeof(full), "depot/%s", path);
	file = fopen(fixture_path(f, full), "wb");
	cr_assert_not_null(file);
	cr_assert_eq(fwrite(raw.p, 1, raw.n, file), raw.n);
	cr_assert_eq(fclose(file), 0);
}

/* What the encoder would not write: the text is changed behind it. */
static void threshold_unsupported(struct buf *text)
{
	char *at;

	cr_assert_eq(buf_add(text, "", 1, ERR_IGNORED), 0);
	at = strstr((char *)text->p, "publish:");
	cr_assert_not_null(at);
	at = strstr(at, "threshold: 1");
	cr_assert_not_null(at);
	at[strlen("threshold: ")] = '2';
	text->n--;
}

static void key_twice(struct buf *text)
{
	OWNED(buf_clear) struct buf more = BUF_INIT;
	char *first, *second;

	cr_assert_eq(buf_add(text, "", 1, ERR_IGNORED), 0);
	first = strstr((char *)text->p, "- key:");
	cr_assert_not_null(first);
	second = strstr(first + 1, "- key:");
	cr_assert_not_null(second);
	cr_assert_eq(buf_add(&more, text->p, (size_t)(second - (char *)text->p), ERR_IGNORED), 0);
	cr_assert_eq(buf_text(&more, first, ERR_IGNORED), 0);
	buf_clear(text);
	*text = more;
	more = (struct buf)BUF_INIT;
}

static void refused_and_told(void (*edit)(struct buf *text), const char *says)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;
	struct station *s;
	int64_t events = 0;

	fixture_joined(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	next_post(&f, edit);
	cr_assert_eq(fixture_sync(&f), RC_MALFORMED, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, says), "%s", f.err.text);
	s = fixture_station(&f);
	cr_assert_eq(s->trust.version, 1);
	cr_assert_geq(db_int(s->db, &f.err, &events,
			     "SELECT count(*) FROM event WHERE kind = 'malformed'", ""),
		      0);
	cr_assert_eq(events, 1);
	station_free(s);
	/* What the trusted version vouches for still arrives. */
	FIXTURE_RUN(&f, "echo news > office/a");
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), RC_MALFORMED, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	/* And nobody joins without hearing of it. */
	fixture_invite(&f, code);
	FIXTURE_RUN(&f, "mv ws ws-1");
	cr_assert_eq(fixture_enrol(&f, code, "depot"), RC_MALFORMED, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, says), "%s", f.err.text);
	cr_assert_not(enrolled(&f));
	fixture_end(&f);
}

Test(follow_trust, a_signed_version_with_a_threshold_that_is_not_supported_is_told)
{
	refused_and_told(threshold_unsupported, "the threshold of publish is 2");
}

Test(follow_trust, a_signed_version_with_a_key_twice_is_told)
{
	refused_and_told(key_twice, "is listed twice");
}

/* A revocation, and behind it junk that claims to be what comes next. */
Test(follow_trust, what_was_found_good_is_kept_whatever_stops_the_search_behind_it)
{
	struct fixture f;
	struct station *st;
	struct site *s;

	fixture_joined(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	s = fixture_site(&f);
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_REVOKED, NULL, &f.err), 1);
	site_free(s);
	fixture_publish(&f);
	setenv("SATCHEL_SEARCH_TRIES", "20", 1);
	FIXTURE_RUN(&f, "i=1000; while [ $i -lt 1100 ]; do i=$((i + 1)); : > "
			"depot/trust/3-0011223344556677889900aabbcc$i.trust; done");
	fixture_sync(&f);
	st = fixture_station(&f);
	cr_assert_eq(st->trust.version, 2);
	station_free(st);
	fixture_end(&f);
}

Test(follow_trust, litter_under_the_name_of_the_next_version_raises_no_alarm)
{
	struct fixture f;

	fixture_joined(&f);
	FIXTURE_RUN(&f, "f=$(echo depot/trust/1-*); cp $f depot/trust/2-${f#*-}; "
			"echo junk > depot/trust/2-00112233445566778899aabbccddeeff.trust");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	fixture_end(&f);
}
