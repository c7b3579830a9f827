/* SPDX-License-Identifier: ISC */

#include <criterion/criterion.h>
#include <string.h>

#include "bundler/carry/carry_select.h"
#include "bundler/carry/consignment.h"
#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/publish/publish.h"
#include "bundler/site/site.h"
#include "tests/support/machine.h"
#include "tests/support/published.h"

#define CHANNEL "office"

static struct machine lab;

/* A site with a channel for everybody, and one workstation that has enrolled. */
static void site_make(void)
{
	struct err err = {0};
	OWNED(site_freep) struct site *s = NULL;
	char code[INVITE_TEXT + 1], path[DEPOT_NAME];
	struct collect_counts counts = {0};
	struct request request;

	server_make();
	s = server_open(SITE_LOCK);
	server_channel(s, CHANNEL, 2);
	cr_assert_eq(scratch_run(dir, "mkdir source && head -c 9000 /dev/urandom > source/noise"),
		     0);
	lab = machine_new();
	must(enrolment_invite(s, "lab-1", 14, code, &err));
	request = machine_request(s, &lab, code);
	request_post(s, &lab, &request, path);
	must(collect_site(s, &counts, &err));
	cr_assert_eq(counts.enrolled, 1);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

static void teardown(void)
{
	machine_clear(&lab);
	server_teardown();
}

TestSuite(selection, .init = site_make, .fini = teardown, .timeout = 60);

static struct selection selected(struct site *s, const char *who)
{
	struct selection sel = {0};
	struct err err = {0};
	char name[64];
	char *list[] = {name};

	snprintf(name, sizeof(name), "%s", who);
	must(selection_make(s, list, 1, &sel, &err));
	return sel;
}

/* How many of the paths hold a text. */
static unsigned having(const struct selection *sel, const char *text)
{
	unsigned n = 0;

	for (size_t i = 0; i < sel->path.n; i++)
		n += strstr(sel->path.items[i], text) != NULL;
	return n;
}

/* The newest receipt, as far as the selection asks. */
static void receipt(struct site *s, uint64_t generation, const char *result)
{
	struct err err = {0};
	struct digest tree = {{0}};

	must(db_run(s->db, &err, "DELETE FROM receipt_channel", ""));
	must(db_run(
	    s->db, &err,
	    "INSERT INTO receipt_channel(id, channel, epoch, generation, tree, result, reason,"
	    " wanted, deviations, adaptations, drift, at, milliseconds)"
	    " VALUES(?1, 'office', 1, ?2, ?3, ?4, '', 0, 0, 0, 0, 0, 0)",
	    "tidt", lab.id, (int64_t)generation, &tree, result));
}

static void generations(struct site *s, unsigned n)
{
	struct err err = {0};

	for (unsigned i = 0; i < n; i++) {
		char command[64];

		snprintf(command, sizeof(command), "echo %u > source/small", i);
		cr_assert_eq(scratch_run(dir, command), 0);
		must(publish_site(s, NULL, 0, PUBLISH_REREAD, NULL, NULL, &err));
	}
}

Test(selection, for_a_newcomer_leads_from_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(selection_clear) struct selection sel = selected(s, "lab-1");

	cr_assert_eq(sel.id.n, 1);
	cr_assert_eq(sel.beat, 1);
	cr_assert_eq(having(&sel, "beats/"), 1);
	cr_assert_eq(having(&sel, "workstations/"), 1);
	cr_assert_eq(having(&sel, ".head"), 1);
	cr_assert_eq(having(&sel, "channels/office/1.0-1-"), 1);
	cr_assert_geq(having(&sel, "shards/"), 1);
	cr_assert_leq(sel.path.n, 6);
}

Test(selection, goes_on_from_what_the_newest_receipt_says)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(selection_clear) struct selection before = {0}, step = {0}, none = {0}, failed = {0};

	generations(s, 3);
	before = selected(s, "lab-1");
	receipt(s, 3, "applied");
	step = selected(s, "all");
	cr_assert_eq(having(&step, ".bundle") - having(&step, "workstations/"), 1);
	cr_assert_eq(having(&step, "channels/office/1.3-4-"), 1);
	cr_assert_lt(step.bytes, before.bytes);
	receipt(s, 4, "current");
	none = selected(s, "lab-1");
	cr_assert_eq(having(&none, "channels/office/1.3-4-"), 0);
	cr_assert_eq(none.bytes, 0);
	cr_assert_eq(having(&none, ".head"), 1, "the head is small, and is read by who looks");
	receipt(s, 3, "failed");
	failed = selected(s, "lab-1");
	cr_assert_eq(having(&failed, "channels/office/1.0-"), 1,
		     "what failed may need the way from nothing");
}

Test(selection, leads_from_nothing_when_no_bundle_goes_on_from_what_is_held)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(selection_clear) struct selection sel = {0};
	struct err err = {0};

	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	generations(s, 1);
	must(publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &err));
	generations(s, 1);
	must(db_exec(s->db, "DELETE FROM bundle WHERE base = 1", &err));
	receipt(s, 1, "applied");
	sel = selected(s, "lab-1");
	cr_assert_eq(having(&sel, "channels/office/1.0-"), 1);
}

Test(selection, does_not_believe_what_is_on_the_way)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(selection_clear) struct selection before = selected(s, "lab-1"), after = {0};
	char *who[] = {(char[]){"lab-1"}};
	struct err err = {0};

	must(consignment_note(s, "/media/stick", &before, who, 1, before.beat, &err));
	after = selected(s, "lab-1");
	cr_assert_eq(after.path.n, before.path.n);
	for (size_t i = 0; i < after.path.n; i++)
		cr_assert_str_eq(after.path.items[i], before.path.items[i]);
}

Test(selection, wants_parts_of_what_it_wants)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(selection_clear) struct selection sel = selected(s, "lab-1");

	for (size_t i = 0; i < sel.path.n; i++) {
		char part[DEPOT_NAME];
		struct name name;

		cr_assert(
		    selection_wants(&sel, sel.path.items[i], &(struct name){.kind = NAME_BEAT}));
		if (name_parse(sel.path.items[i], &name) != NAME_BUNDLE)
			continue;
		name_part(part, sel.path.items[i], 2, 100);
		cr_assert_eq(name_parse(part, &name), NAME_PART);
		cr_assert(selection_wants(&sel, part, &name));
		part[20]++;
		cr_assert_not(selection_wants(&sel, part, &name));
	}
}

/* Consignments */

static int noted(void *arg, const struct consignment *c, struct err *err)
{
	struct consignment *to = arg;

	*to = *c;
	cr_assert_str_eq(c->depot, "/media/stick");
	cr_assert_str_eq(c->audience, "lab-1");
	to->depot = to->audience = NULL;
	return 0;
}

Test(selection, of_what_is_on_the_way_says_how_far_it_is)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(selection_clear) struct selection sel = selected(s, "lab-1");
	char *who[] = {(char[]){"lab-1"}};
	struct consignment c = {.machines = 1};
	struct err err = {0};

	must(consignment_note(s, "/media/stick", &sel, who, 1, sel.beat, &err));
	must(consignments(s, noted, &c, &err));
	cr_assert(c.beat == 1 && c.behind == 0 && c.machines == 1 && c.confirmed == 0);
	cr_assert_eq(c.at, SERVER_NOW);
	generations(s, 2);
	must(consignments(s, noted, &c, &err));
	cr_assert_eq(c.behind, 2);
	must(consignment_revert(s, "/media/stick", &err));
	cr_assert_eq(consignment_revert(s, "/media/stick", &err), RC_USAGE);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM consigned"), 0);
}
