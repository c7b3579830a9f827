/* SPDX-License-Identifier: ISC */
/*
 * Private channels that our own server would never write: what the workstation checks itself.
 */
#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "core/base/own.h"
#include "tests/support/sync_fixture.h"

TestSuite(sync_private, .timeout = 120);

struct subs {
	struct {
		const char *file, *name, *target;
	} row[4];
	size_t n;
	bool other_site, other_id, no_membership;
	uint64_t ahead; /* epochs, of what trust gives */
};

static void membership_make(struct fixture *f, const struct subs *subs, const struct station *st,
			    struct buf *ret)
{
	struct membership m = {.site = st->site, .name = "alpha"};

	memcpy(m.id, st->id, sizeof(m.id));
	if (subs->other_site)
		m.site.b[0] ^= 1;
	if (subs->other_id)
		m.id[0] = m.id[0] == '0' ? '1' : '0';
	cr_assert_eq(membership_encode(&m, ret, &f->err), 0, "%s", f->err.text);
}

static void sub_make(struct fixture *f, const char *name, const char *target, struct buf *ret)
{
	OWNED(freep) struct subscription *sub = calloc(1, sizeof(*sub));

	snprintf(sub->name, sizeof(sub->name), "%s", name);
	snprintf(sub->target, sizeof(sub->target), "%s", target);
	snprintf(sub->on_leave, sizeof(sub->on_leave), "keep");
	cr_assert_eq(subscription_encode(sub, ret, &f->err), 0, "%s", f->err.text);
}

/* One more generation of the private channel, and a beat for it. */
static void private_write(struct fixture *f, const struct subs *subs)
{
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(key_freep) struct key_secret *seal = NULL;
	struct buf text[5] = {BUF_INIT};
	struct private_file file[5];
	struct station *st = fixture_station(f);
	struct key_public psign, pseal;
	struct site *s;
	size_t n = 0;

	cr_assert_eq(station_keys(st, 0, &sign, &seal, &f->err), 0);
	psign = key_public_of(sign);
	pseal = key_public_of(seal);
	for (size_t i = 0; i < subs->n; i++, n++) {
		sub_make(f, subs->row[i].name, subs->row[i].target, &text[n]);
		file[n] = (struct private_file){subs->row[i].file, bytes_in(&text[n])};
	}
	if (!subs->no_membership) {
		membership_make(f, subs, st, &text[n]);
		file[n] = (struct private_file){"workstation.yaml", bytes_in(&text[n])};
		n++;
	}
	station_free(st);
	s = fixture_site(f);
	s->trust.epoch[ROLE_PRIVATE] += subs->ahead;
	cr_assert_eq(private_publish(s, &psign, &pseal,
				     &(struct private_content){.file = file, .files = n}, &f->err),
		     0, "%s", f->err.text);
	cr_assert_eq(db_begin(s->db, &f->err), 0);
	cr_assert_eq(publish_beat(s, 0, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(db_commit(s->db, &f->err), 0);
	cr_assert_eq(site_post(s, &f->err), 0, "%s", f->err.text);
	site_free(s);
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		buf_clear(&text[i]);
}

static void two_channels(struct fixture *f)
{
	fixture_joined(f);
	FIXTURE_RUN(f, "mkdir tools; echo t > tools/t");
	fixture_channel(f, "tools", "/opt/tools", "keep");
	fixture_publish(f);
	cr_assert_eq(fixture_sync(f), 0, "%s", f->err.text);
}

static void sync_is(struct fixture *f, int rc)
{
	int got = fixture_sync(f);

	cr_assert_eq(got, rc, "%d: %s", got, f->err.text);
}

#define OFFICE "channels/office.yaml", "office"
#define TOOLS  "channels/tools.yaml", "tools"

Test(sync_private, a_target_within_that_of_another_channel_is_refused_and_the_older_one_stays)
{
	static const char *const targets[] = {"/opt/tools", "/opt/tools/below", "/opt", "/"};

	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct subs subs = {.row = {{OFFICE, targets[i]}, {TOOLS, "/opt/tools"}}, .n = 2};
		struct fixture f;

		two_channels(&f);
		private_write(&f, &subs);
		sync_is(&f, RC_POLICY);
		cr_assert_eq(fixture_said(&f, "office")->rc, RC_POLICY, "%s", targets[i]);
		cr_assert_eq(fixture_said(&f, "tools")->rc, 0, "%s", targets[i]);
		FIXTURE_RUN(&f, "test -e ws/root/opt/tools/t && test ! -e ws/root/opt/tools/a && "
				"diff -r office ws/root/opt/office");
		fixture_end(&f);
	}
}

Test(sync_private, a_name_that_only_begins_alike_is_another_place)
{
	struct subs subs = {.row = {{OFFICE, "/opt/tools2"}, {TOOLS, "/opt/tools"}}, .n = 2};
	struct fixture f;

	two_channels(&f);
	private_write(&f, &subs);
	sync_is(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/tools2");
	fixture_end(&f);
}

Test(sync_private, of_another_site_or_workstation_it_is_not_followed)
{
	for (int i = 0; i < 2; i++) {
		struct subs subs = {.row = {{OFFICE, "/opt/elsewhere"}},
				    .n = 1,
				    .other_site = i == 0,
				    .other_id = i == 1};
		struct fixture f;

		two_channels(&f);
		private_write(&f, &subs);
		sync_is(&f, RC_ADDRESSEE);
		FIXTURE_RUN(&f,
			    "test ! -e ws/root/opt/elsewhere && diff -r office ws/root/opt/office");
		fixture_end(&f);
	}
}

Test(sync_private, without_a_membership_it_is_not_followed)
{
	struct subs subs = {.row = {{OFFICE, "/opt/elsewhere"}}, .n = 1, .no_membership = true};
	struct fixture f;

	two_channels(&f);
	private_write(&f, &subs);
	sync_is(&f, RC_STATE);
	FIXTURE_RUN(&f, "test ! -e ws/root/opt/elsewhere");
	fixture_end(&f);
}

/* Who stole the online keys could else run the epoch up, and raising it would not help any more. */
Test(sync_private, an_epoch_that_trust_does_not_give_is_refused)
{
	struct subs subs = {.row = {{OFFICE, "/opt/elsewhere"}}, .n = 1, .ahead = 5};
	struct fixture f;

	two_channels(&f);
	private_write(&f, &subs);
	sync_is(&f, RC_UNTRUSTED);
	FIXTURE_RUN(&f, "test ! -e ws/root/opt/elsewhere && diff -r office ws/root/opt/office");
	fixture_end(&f);
}

Test(sync_private, a_document_under_the_name_of_another_channel_is_malformed)
{
	struct subs subs = {.row = {{"channels/office.yaml", "olives", "/opt/x"}}, .n = 1};
	struct fixture f;

	two_channels(&f);
	private_write(&f, &subs);
	sync_is(&f, RC_MALFORMED);
	FIXTURE_RUN(&f, "test ! -e ws/root/opt/x");
	fixture_end(&f);
}

Test(sync_private, no_target_leads_out_of_the_root_by_a_link)
{
	struct subs subs = {.row = {{OFFICE, "/out/x"}}, .n = 1};
	struct fixture f;

	two_channels(&f);
	FIXTURE_RUN(&f, "mkdir outside; ln -s ../../outside ws/root/out");
	private_write(&f, &subs);
	sync_is(&f, RC_PATH);
	FIXTURE_RUN(&f, "test -z \"$(ls outside)\"");
	fixture_end(&f);
}

Test(sync_private, a_channel_that_nobody_published_holds_nothing_yet)
{
	struct subs subs = {
	    .row = {{"channels/new.yaml", "new", "/opt/new"}, {OFFICE, "/opt/office"}}, .n = 2};
	struct fixture f;

	two_channels(&f);
	private_write(&f, &subs);
	sync_is(&f, 0);
	cr_assert_eq(fixture_said(&f, "new")->wanted, 0);
	FIXTURE_RUN(&f, "test ! -e ws/root/opt/new && test -e ws/root/opt/tools/t");
	fixture_end(&f);
}

Test(sync_private, by_hand_it_may_run_ahead_of_the_beat)
{
	struct subs subs = {.row = {{OFFICE, "/opt/office"}}, .n = 1};
	struct fixture f;
	struct station *s;

	two_channels(&f);
	FIXTURE_RUN(&f, "cp -r depot old; mkdir hand; ls depot/workstations/*/* > before");
	private_write(&f, &subs);
	FIXTURE_RUN(&f, "cp $(ls depot/workstations/*/* | grep -vxFf before) hand/p.bundle; "
			"rm -r depot; mv old depot");
	s = fixture_station(&f);
	cr_assert_eq(sync_file(s, fixture_path(&f, "hand/p.bundle"), 0, NULL, NULL, &f.err), 0,
		     "%s", f.err.text);
	station_free(s);
	sync_is(&f, 0);
	fixture_end(&f);
}

Test(sync_private, of_somebody_else_it_is_refused_by_hand)
{
	struct fixture f, other;
	char path[SCRATCH_PATH + 64];
	struct station *s;

	two_channels(&f);
	fixture_joined(&other);
	FIXTURE_RUN(&other, "cp depot/workstations/*/* p.bundle");
	snprintf(path, sizeof(path), "%s/p.bundle", other.dir);
	s = fixture_station(&f);
	cr_assert_eq(sync_file(s, path, 0, NULL, NULL, &f.err), RC_UNTRUSTED, "%s", f.err.text);
	station_free(s);
	fixture_end(&other);
	fixture_end(&f);
}
