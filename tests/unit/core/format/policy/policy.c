/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/format/policy/policy_internal.h"

/* A policy of a few lines, and what keeps its nodes alive. */
struct written {
	struct yaml *y;
	struct policy p;
};

static int take(struct written *w, const char *text, const char *origin, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	int rc;

	cr_assert_eq(buf_printf(&b, ERR_IGNORED, "satchel: effective/1\n%s", text), 0);
	cr_assert_eq(yaml_decode(bytes_in(&b), LIMIT_DOCUMENT, schema_find("effective/1"), "p.yaml",
				 &w->y, err),
		     0, "%s", err->text);
	rc = policy_make(node_get(yaml_root(w->y), "settings"), node_get(yaml_root(w->y), "values"),
			 origin, &w->p, err);
	return rc;
}

static struct written written(const char *text, const char *origin)
{
	struct written w = {0};
	struct err err = {0};

	cr_assert_eq(take(&w, text, origin, &err), 0, "%s", err.text);
	return w;
}

static void written_clear(struct written *w)
{
	policy_clear(&w->p);
	yaml_freep(&w->y);
}

static void refused(const char *text, const char *says)
{
	OWNED(written_clear) struct written w = {0};
	struct err err = {0};

	cr_assert_eq(take(&w, text, "x", &err), RC_MALFORMED, "%s", text);
	cr_assert_not_null(strstr(err.text, says), "%s", err.text);
}

static void encodes(const struct policy *p, const char *text)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(effective_encode(p, &b, &err), 0, "%s", err.text);
	cr_assert_str_eq((char *)b.p, text);
}

Test(policy, the_schema_and_the_table_agree_on_names_and_bounds)
{
	const struct schema *s = schema_find("policy/1")->fields[1].schema;

	cr_assert_eq(s->field_count, POLICY_SETTINGS);
	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		const struct policy_row *r = &policy_rows[i];
		const struct schema *f = s->fields[i].schema;

		cr_assert_str_eq(s->fields[i].name, r->name);
		cr_assert_eq(policy_setting_find(r->name), i);
		if (r->kind == ROW_NUMBER) {
			cr_assert_eq(f->minimum, r->min);
			cr_assert_eq(f->maximum, r->max);
		}
		if (r->kind == ROW_WINDOWS) {
			cr_assert_eq(f->minimum, r->min);
			cr_assert_eq(f->maximum, r->max);
		}
		for (uint64_t k = r->min; r->kind == ROW_WORD && k <= r->max; k++)
			cr_assert_str_eq(f->choices[k - r->min], r->words[k]);
	}
	cr_assert_eq(policy_setting_find("sync"), POLICY_SETTINGS);
}

Test(policy, nothing_said_is_what_satchel_does_by_itself)
{
	struct policy_settings p;

	cr_assert_eq(policy_settings_decode(NULL, &p, ERR_IGNORED), 0);
	cr_assert_eq(p.said, 0);
	cr_assert_eq(p.sync_minutes, 60);
	cr_assert_eq(p.jitter_percent, 10);
	cr_assert_eq(p.poll_seconds, 60);
	cr_assert_eq(p.stale_hours, 0);
	cr_assert_eq(p.expiry, POLICY_EXPIRY_WARN);
	cr_assert_eq(p.local_changes, POLICY_LOCAL_OWNER);
	cr_assert_eq(p.windows, 0);
	cr_assert_eq(p.disable_hours, 0);
	cr_assert(policy_window_open(&p, 0));
}

static const struct {
	const char *descr, *windows;
	unsigned minute;
	bool open;
} windows[] = {
    {"first minute", "\"08:00-09:30\"", 480, true},
    {"minute before", "\"08:00-09:30\"", 479, false},
    {"last minute", "\"08:00-09:30\"", 569, true},
    {"the end is outside", "\"08:00-09:30\"", 570, false},
    {"over midnight, before it", "\"22:00-06:00\"", 1439, true},
    {"over midnight, begin", "\"22:00-06:00\"", 1320, true},
    {"over midnight, before begin", "\"22:00-06:00\"", 1319, false},
    {"over midnight, after it", "\"22:00-06:00\"", 0, true},
    {"over midnight, end", "\"22:00-06:00\"", 360, false},
    {"whole day", "\"00:00-24:00\"", 1439, true},
    {"until midnight", "\"23:00-00:00\"", 1439, true},
    {"until midnight, not after it", "\"23:00-00:00\"", 0, false},
    {"second of two", "\"08:00-09:00\", \"12:00-13:00\"", 725, true},
    {"between two", "\"08:00-09:00\", \"12:00-13:00\"", 600, false},
};

Test(policy, a_window_is_open_from_its_begin_to_before_its_end)
{
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		OWNED(buf_clear) struct buf b = BUF_INIT;
		OWNED(written_clear) struct written w = {0};

		buf_printf(&b, ERR_IGNORED, "settings: {apply-windows: [%s]}\n",
			   windows[i].windows);
		w = written((char *)b.p, "x");
		cr_assert_eq(policy_window_open(&w.p.settings, windows[i].minute), windows[i].open,
			     "%s", windows[i].descr);
	}
}

Test(policy, a_window_that_is_none_is_refused)
{
	refused("settings: {apply-windows: [\"08:00-08:00\"]}\n", "00:00-24:00");
}

static const struct {
	const char *a, *b, *left;
} stricter[] = {
    {"sync-minutes: 30", "sync-minutes: 45", "30"},
    {"sync-minutes: 45", "sync-minutes: 30", "30"},
    {"jitter-percent: 0", "jitter-percent: 10", "0"},
    {"poll-seconds: 20", "poll-seconds: 300", "20"},
    {"stale-hours: 0", "stale-hours: 500", "500"},
    {"stale-hours: 500", "stale-hours: 0", "500"},
    {"stale-hours: 100", "stale-hours: 500", "100"},
    {"disable-hours: 0", "disable-hours: 48", "48"},
    {"expiry: warn", "expiry: refuse", "\"refuse\""},
    {"expiry: refuse", "expiry: warn", "\"refuse\""},
    {"local-changes: replace", "local-changes: keep", "\"keep\""},
    {"local-changes: fail", "local-changes: keep", "\"fail\""},
    {"local-changes: replace", "sync-minutes: 60", "\"replace\""},
    {"apply-windows: [\"22:00-06:00\"]", "apply-windows: [\"23:00-04:00\"]", "[\"23:00-04:00\"]"},
    {"apply-windows: [\"00:00-24:00\"]", "apply-windows: [\"00:00-23:59\"]", "[\"00:00-23:59\"]"},
    /* overlapping ones are not counted twice */
    {"apply-windows: [\"10:00-12:00\"]", "apply-windows: [\"10:00-11:00\", \"10:00-11:00\"]",
     "[\"10:00-11:00\", \"10:00-11:00\"]"},
};

Test(policy, of_two_that_disagree_the_stricter_stays_whoever_says_it)
{
	for (size_t i = 0; i < ARRAY_LEN(stricter); i++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		OWNED(written_clear) struct written a = {0}, b = {0};
		char line[128], name[64];

		snprintf(line, sizeof(line), "settings: {%s}\n", stricter[i].a);
		a = written(line, "A");
		snprintf(line, sizeof(line), "settings: {%s}\n", stricter[i].b);
		b = written(line, "B");
		cr_assert_eq(policy_strictest(&a.p, &b.p, ERR_IGNORED), 0);
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(stricter[i].a, ":"),
			 stricter[i].a);
		cr_assert_eq(policy_setting_text(&a.p.settings, policy_setting_find(name), &text,
						 ERR_IGNORED),
			     0);
		cr_assert_str_eq((char *)text.p, stricter[i].left, "%s", stricter[i].a);
	}
}

Test(policy, the_origin_follows_the_stricter_one_and_stays_when_both_say_the_same)
{
	OWNED(written_clear)
	struct written a = written("settings: {expiry: warn, sync-minutes: 5}\n", "A");
	OWNED(written_clear)
	struct written b = written("settings: {expiry: refuse, sync-minutes: 5}\n", "B");

	cr_assert_eq(policy_strictest(&a.p, &b.p, ERR_IGNORED), 0);
	cr_assert_str_eq(a.p.origin[POLICY_EXPIRY], "B");
	cr_assert_str_eq(a.p.origin[POLICY_SYNC_MINUTES], "A");
}

Test(policy, a_later_policy_replaces_what_it_says_and_nothing_else)
{
	OWNED(written_clear)
	struct written a = written("settings: {sync-minutes: 5, apply-windows: [\"01:00-02:00\"]}\n"
				   "values: {proxy: {host: a, port: 80, \"off\": [x, z]}, z: 1}\n",
				   "A");
	OWNED(written_clear)
	struct written b =
	    written("settings: {sync-minutes: 90, apply-windows: [\"00:00-24:00\"]}\n"
		    "values: {proxy: {port: 8080, \"off\": [], user: \"\"}, b: true}\n",
		    "B");

	cr_assert_eq(policy_overlay(&a.p, &b.p, ERR_IGNORED), 0);
	encodes(&a.p, "satchel: effective/1\n"
		      "settings:\n"
		      "  sync-minutes: 90\n"
		      "  apply-windows:\n  - \"00:00-24:00\"\n"
		      "values:\n"
		      "  b: true\n"
		      "  proxy:\n"
		      "    host: a\n"
		      "    \"off\": []\n"
		      "    port: 8080\n"
		      "    user: \"\"\n"
		      "  z: 1\n"
		      "origins:\n"
		      "- path: settings.sync-minutes\n"
		      "  from: B\n"
		      "- path: settings.apply-windows\n"
		      "  from: B\n"
		      "- path: values.b\n"
		      "  from: B\n"
		      "- path: values.proxy.host\n"
		      "  from: A\n"
		      "- path: values.proxy.off\n"
		      "  from: B\n"
		      "- path: values.proxy.port\n"
		      "  from: B\n"
		      "- path: values.proxy.user\n"
		      "  from: B\n"
		      "- path: values.z\n"
		      "  from: A\n");
}

static const struct {
	const char *descr, *under, *over, *left;
} layers[] = {
    {"a map over text", "{a: x}", "{a: {b: 1}}", "{\"b\": 1}"},
    {"text over a map", "{a: {b: 1}}", "{a: x}", "\"x\""},
    {"a list over a list", "{a: [1, 2]}", "{a: [3]}", "[3]"},
    {"an empty map over text", "{a: x}", "{a: {}}", "{}"},
    {"an empty map over a map changes nothing", "{a: {b: 1}}", "{a: {}}", "{\"b\": 1}"},
    {"a map over an empty map", "{a: {}}", "{a: {b: 1}}", "{\"b\": 1}"},
    {"no values over some", "{a: 1}", "{}", "1"},
    {"some over none", "{}", "{a: 1}", "1"},
};

/* The value of `a`, or of its only entry in a map. */
static int show(void *arg, const struct policy_item *it, struct err *err)
{
	bool deep = strcmp(it->path, "values.a.b") == 0;
	int rc = buf_text(arg, deep ? "{\"b\": " : "", err);

	if (rc == 0)
		rc = policy_item_text(NULL, it, arg, err);
	return rc < 0 ? rc : buf_text(arg, deep ? "}" : "", err);
}

Test(policy, maps_are_merged_and_anything_else_is_replaced_as_a_whole)
{
	for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		OWNED(written_clear) struct written a = {0}, b = {0};
		char line[128];

		snprintf(line, sizeof(line), "values: %s\n", layers[i].under);
		a = written(line, "A");
		snprintf(line, sizeof(line), "values: %s\n", layers[i].over);
		b = written(line, "B");
		cr_assert_eq(policy_overlay(&a.p, &b.p, ERR_IGNORED), 0);
		cr_assert_eq(policy_each(&a.p, show, &text, ERR_IGNORED), 0);
		cr_assert_str_eq((char *)text.p, layers[i].left, "%s", layers[i].descr);
	}
}

Test(policy, of_values_that_two_users_disagree_on_the_first_ones_stay)
{
	OWNED(written_clear) struct written a = written("values: {m: {x: 1}, s: a}\n", "A");
	OWNED(written_clear) struct written b = written("values: {m: {x: 2, w: 3}, t: b}\n", "B");

	cr_assert_eq(policy_strictest(&a.p, &b.p, ERR_IGNORED), 0);
	encodes(&a.p, "satchel: effective/1\n"
		      "values:\n"
		      "  m:\n"
		      "    w: 3\n"
		      "    x: 1\n"
		      "  s: a\n"
		      "  t: b\n"
		      "origins:\n"
		      "- path: values.m.w\n"
		      "  from: B\n"
		      "- path: values.m.x\n"
		      "  from: A\n"
		      "- path: values.s\n"
		      "  from: A\n"
		      "- path: values.t\n"
		      "  from: B\n");
}

Test(policy, every_value_is_read_again_as_it_was)
{
	static const char text[] = "satchel: effective/1\n"
				   "values:\n"
				   "  a:\n"
				   "  - 1\n"
				   "  - \"1\"\n"
				   "  - true\n"
				   "  - \"true\"\n"
				   "  - -1\n"
				   "  - 0.5\n"
				   "  - -12.25\n"
				   "  - \"no\"\n"
				   "  - \"12:30\"\n"
				   "  - \"\"\n"
				   "  - \"a\\nb\\e\"\n"
				   "  - []\n"
				   "  - {}\n"
				   "  - - 1\n"
				   "    - k: v\n"
				   "  \"no\": x\n"
				   "origins:\n"
				   "- path: values.a\n"
				   "  from: x\n"
				   "- path: values.no\n"
				   "  from: x\n";
	OWNED(effective_clear) struct effective e = {0};
	OWNED(buf_clear) struct buf json = BUF_INIT;
	struct policy_item it = {"", "x", POLICY_SETTINGS, NULL};
	struct err err = {0};

	cr_assert_eq(effective_decode(bytes_of(text), "p.yaml", &e, &err), 0, "%s", err.text);
	encodes(&e.policy, text);
	it.value = policy_value_at(&e.policy, "values.a");
	cr_assert_not_null(it.value);
	cr_assert_eq(policy_item_text(&e.policy, &it, &json, ERR_IGNORED), 0);
	cr_assert_str_eq((char *)json.p,
			 "[1, \"1\", true, \"true\", -1, 0.5, -12.25, \"no\", \"12:30\", \"\", "
			 "\"a\\u000ab\\u001b\", [], {}, [1, {\"k\": \"v\"}]]");
}

Test(policy, values_that_readers_take_for_different_things_are_refused)
{
	static const char *const values[] = {
	    "null", "~",  "yes",   "010",  "1e3",   "0x1F",       "1_000", "+1", "-0", "-01",
	    "1.",   ".5", "1.2.3", ".inf", "12:30", "2026-11-26", "00.5",  "- ", "-",  ""};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		OWNED(written_clear) struct written w = {0};
		struct err err = {0};
		char text[64];

		snprintf(text, sizeof(text), "values:\n  a:\n    b: %s\n", values[i]);
		if (values[i][0] == '-' && strspn(values[i], "- ") == strlen(values[i]))
			continue;
		cr_assert_eq(take(&w, text, "x", &err), RC_MALFORMED, "%s", text);
		cr_assert_not_null(strstr(err.text, "p.yaml:4: field `values.a.b`"), "%s",
				   err.text);
	}
	refused("values: {a: 9007199254740992}\n", "2^53-1");
	refused("values: {a: [1, null]}\n", "values.a[1]");
}

Test(policy, a_key_of_128_bytes_is_written_on_one_line_and_one_more_is_refused)
{
	char key[130], text[160], out[700];

	memset(key, 'k', sizeof(key));
	key[128] = '\0';
	snprintf(text, sizeof(text), "values: {%s: 1}\n", key);
	{
		OWNED(written_clear) struct written w = written(text, "x");

		snprintf(out, sizeof(out),
			 "satchel: effective/1\nvalues:\n  %s: 1\norigins:\n- path: values.%s\n"
			 "  from: x\n",
			 key, key);
		encodes(&w.p, out);
	}
	key[128] = 'k';
	key[129] = '\0';
	snprintf(text, sizeof(text), "values: {%s: 1}\n", key);
	refused(text, "128 bytes");
}

Test(policy, dots_and_percent_signs_in_keys_do_not_make_paths_alike)
{
	OWNED(written_clear)
	struct written w = written("values: {\"a.b\": 1, a: {b: 2, \"c%2Ed\": 3}, \"\": 4}\n", "x");

	cr_assert_str_eq(node_text(policy_value_at(&w.p, "values.a%2Eb")->leaf, ""), "1");
	cr_assert_str_eq(node_text(policy_value_at(&w.p, "values.a.b")->leaf, ""), "2");
	cr_assert_str_eq(node_text(policy_value_at(&w.p, "values.a.c%252Ed")->leaf, ""), "3");
	cr_assert_str_eq(node_text(policy_value_at(&w.p, "values.")->leaf, ""), "4");
	cr_assert_null(policy_value_at(&w.p, "values.a"));
	cr_assert_null(policy_value_at(&w.p, "values.a.c"));
	cr_assert_null(policy_value_at(&w.p, "values.a%2"));
	cr_assert_null(policy_value_at(&w.p, "settings.expiry"));
}

/* ${n} values below ${prefix}. */
static void many(struct buf *b, const char *prefix, unsigned n)
{
	cr_assert_eq(buf_text(b, "values:\n", ERR_IGNORED), 0);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(buf_printf(b, ERR_IGNORED, "  %s%u: 1\n", prefix, i), 0);
}

Test(policy, more_values_than_one_policy_takes_are_refused_also_when_two_make_them)
{
	OWNED(buf_clear) struct buf half = BUF_INIT, other = BUF_INIT, more = BUF_INIT;
	OWNED(written_clear) struct written a = {0}, b = {0};
	struct err err = {0};

	many(&half, "a", POLICY_LEAVES / 2);
	many(&other, "b", POLICY_LEAVES / 2 + 1);
	many(&more, "c", POLICY_LEAVES + 1);
	refused((char *)more.p, "4096 values");
	a = written((char *)half.p, "A");
	b = written((char *)other.p, "B");
	cr_assert_eq(policy_overlay(&a.p, &b.p, &err), RC_LIMIT);
}

Test(policy, the_deepest_values_that_are_read_are_written)
{
	OWNED(buf_clear) struct buf b = BUF_INIT, out = BUF_INIT;
	OWNED(written_clear) struct written w = {0};
	OWNED(effective_clear) struct effective again = {0};
	struct err err = {0};

	buf_text(&b, "values: ", ERR_IGNORED);
	for (unsigned i = 2; i <= LIMIT_YAML_DEPTH; i++)
		buf_text(&b, "{k: ", ERR_IGNORED);
	buf_text(&b, "1", ERR_IGNORED);
	for (unsigned i = 2; i <= LIMIT_YAML_DEPTH; i++)
		buf_text(&b, "}", ERR_IGNORED);
	buf_text(&b, "\n", ERR_IGNORED);
	w = written((char *)b.p, "x");
	cr_assert_eq(effective_encode(&w.p, &out, &err), 0, "%s", err.text);
	cr_assert_eq(effective_decode(bytes_in(&out), "again", &again, &err), 0, "%s", err.text);
}

Test(policy, a_policy_that_says_nothing_is_written_and_read)
{
	struct policy p;
	OWNED(effective_clear) struct effective e = {0};

	policy_init(&p);
	encodes(&p, "satchel: effective/1\n");
	cr_assert_eq(effective_decode(bytes_of("satchel: effective/1\n"), "x", &e, ERR_IGNORED), 0);
	cr_assert_eq(e.policy.settings.sync_minutes, 60);
	policy_clear(&p);
}

Test(policy, reading_leaves_the_result_alone_when_it_fails)
{
	struct effective e = {.document = (struct yaml *)&e};
	struct effective same = e;

	cr_assert_lt(effective_decode(bytes_of("satchel: effective/1\nvalues:\n  a: 1\n"), "x", &e,
				      ERR_IGNORED),
		     0);
	cr_assert_eq(memcmp(&e, &same, sizeof(e)), 0);
}
