/* SPDX-License-Identifier: ISC */
/* The processes that unseal and parse, and what one of them may say. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"
#include "tests/support/machine.h"

TestSuite(collect_child, .init = server_make, .fini = server_teardown);

Test(collect_child, opens_files_in_a_process_that_is_started_again_when_it_dies)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(opened_clear) struct opened first = {0}, second = {0}, third = {0};
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	static uint8_t deadly[LIMIT_RECEIPT + 1]; /* more than it takes: it ends */
	struct unsealer o = {.child = CHILD_INIT};
	struct receipt r = machine_receipt(s, &m, 1);
	struct err err = {0};

	must(receipt_encode(&r, NULL, &inner, &err));
	sealed_by(s, m.sign, bytes_in(&inner), &sealed);
	must(unsealer_start(&o, s, &err));
	kill(o.child.pid, SIGKILL);
	must(unsealer_ask(&o, bytes_in(&sealed), &first, &err));
	cr_assert_eq(first.rc, 0, "killed by somebody else: %s", first.why);
	must(unsealer_ask(&o, (struct bytes){deadly, sizeof(deadly)}, &second, &err));
	cr_assert_eq(second.rc, RC_MALFORMED, "that file is refused");
	cr_assert_eq(o.deaths, 3);
	must(unsealer_ask(&o, bytes_in(&sealed), &third, &err));
	cr_assert_eq(third.rc, 0, "%s", third.why);
	cr_assert_gt(third.doc.n, inner.n);
	unsealer_end(&o);
}

Test(collect_child, opens_files_where_nothing_else_can_be_done)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct unsealer o = {.child = CHILD_INIT};
	char command[256];
	struct err err = {0};

	must(unsealer_start(&o, s, &err));
	snprintf(
	    command, sizeof(command),
	    "grep -q 'NoNewPrivs:.1' /proc/%d/status && grep -q 'Seccomp:.2' /proc/%d/status &&"
	    " test $(ls /proc/%d/fd | wc -l) -le 4",
	    o.child.pid, o.child.pid, o.child.pid);
	cr_assert_eq(scratch_run(dir, command), 0, "not confined, or with more than its socket");
	unsealer_end(&o);
}

/* A process that parses and was taken over by an earlier document: it says what it was told to. */
struct lie {
	uint8_t type;
	struct bytes body;
};

static int liar(void *arg, int fd)
{
	const struct lie *lie = arg;
	OWNED(buf_clear) struct buf in = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	while (frame_receive(fd, LIMIT_DOCUMENT, -1, &type, &in, &err) == 1)
		if (frame_send(fd, lie->type, lie->body, &err) < 0)
			return 1;
	return 0;
}

static struct yaml_child taken_over(struct lie *lie)
{
	struct yaml_child p = YAML_CHILD_INIT;
	struct err err = {0};

	must(child_start(liar, lie, NULL, 0, &p.child, &err));
	p.answered = 1;
	return p;
}

static void layout_of(const struct receipt *r, struct buf *inner, struct buf *layout)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct err err = {0};

	must(receipt_encode(r, NULL, inner, &err));
	must(yaml_decode(bytes_in(inner), LIMIT_RECEIPT, schema_find("receipt/1"), "", &y, &err));
	must(yaml_pack(y, layout, &err));
}

Test(collect_child, what_a_document_made_of_its_parser_is_not_said_of_another)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf inner = BUF_INIT, other = BUF_INIT;
	OWNED(buf_clear) struct buf truth = BUF_INIT, forged = BUF_INIT;
	struct receipt r = machine_receipt(s, &m, 7);
	struct lie lies[3];

	layout_of(&r, &inner, &truth);
	r.sequence = 1000;
	layout_of(&r, &other, &forged);
	lies[0] = (struct lie){'y', bytes_in(&forged)};
	lies[1] = (struct lie){'-', bytes_of("\1\0\0\0it is bad")};
	lies[2] = (struct lie){'y', bytes_of("nonsense")};
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		OWNED(receipt_clear) struct receipt got = {0};
		struct yaml_child p = taken_over(&lies[i]);
		struct err why = {0}, err = {0};

		cr_expect_eq(parse_receipt(&p, bytes_in(&inner), &got, &why, &err), 1, "%s%s",
			     why.text, err.text);
		cr_expect_eq(got.sequence, 7);
		yaml_child_end(&p);
	}
}

Test(collect_child, what_is_exactly_the_text_costs_no_new_process)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf inner = BUF_INIT, layout = BUF_INIT;
	struct receipt r = machine_receipt(s, &m, 7);
	struct yaml_child p = YAML_CHILD_INIT;
	struct receipt again;
	struct err why = {0}, err = {0};

	layout_of(&r, &inner, &layout);
	for (int i = 0; i < 3; i++) {
		OWNED(receipt_clear) struct receipt got = {0};

		cr_assert_eq(parse_receipt(&p, bytes_in(&inner), &got, &why, &err), 1);
	}
	cr_assert_eq(p.answered, 3);
	must(buf_text(&inner, "# another form\n", &err));
	again = (struct receipt){0};
	cr_assert_eq(parse_receipt(&p, bytes_in(&inner), &again, &why, &err), 1, "%s", why.text);
	cr_assert_eq(again.sequence, 7);
	cr_assert_eq(p.answered, 1, "read by one that has read nothing else");
	receipt_clear(&again);
	yaml_child_end(&p);
}

Test(collect_child, gives_up_when_the_process_ends_again_and_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	static uint8_t deadly[LIMIT_RECEIPT + 1];
	struct unsealer o = {.child = CHILD_INIT};
	struct err err = {0};
	int rc = 0;

	must(unsealer_start(&o, s, &err));
	for (int i = 0; rc == 0 && i < 100; i++) {
		OWNED(opened_clear) struct opened got = {0};

		rc = unsealer_ask(&o, (struct bytes){deadly, sizeof(deadly)}, &got, &err);
	}
	cr_assert_eq(rc, RC_INTERNAL, "so many crashes are not the fault of one file");
	unsealer_end(&o);
}

Test(collect_child, opens_nothing_that_is_sealed_to_somebody_else_or_altered)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	struct key_public to = key_public_of(m.seal);
	struct unsealer o = {.child = CHILD_INIT};
	struct err err = {0};

	must(sealed_make(&to, bytes_of("x"), &sealed, &err));
	must(unsealer_start(&o, s, &err));
	for (size_t i = 0; i < 2; i++) {
		OWNED(opened_clear) struct opened got = {0};

		must(unsealer_ask(&o, bytes_in(&sealed), &got, &err));
		cr_assert_eq(got.rc, i == 0 ? RC_ADDRESSEE : RC_UNTRUSTED, "%s", got.why);
		cr_assert_eq(got.doc.n, 0);
		buf_reset(&sealed);
		must(sealed_make(trust_collect(&s->trust), bytes_of("x"), &sealed, &err));
		sealed.p[sealed.n - 1] ^= 1;
	}
	unsealer_end(&o);
}
