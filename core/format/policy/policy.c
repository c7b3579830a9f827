/* SPDX-License-Identifier: ISC */
/*
 * The settings: one row each, which the reader, the writer, the laying over and the judging of what
 * is stricter all follow.  Bounds stand in the schema as well, where an editor sees them.
 */
#include "core/format/policy/policy.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/format/policy/policy_internal.h"

static const char *const expiry_words[] = {"warn", "refuse", NULL};
static const char *const local_words[] = {"", "replace", "keep", "fail", NULL};

#define AT(field) offsetof(struct policy_settings, field)

const struct policy_row policy_rows[POLICY_SETTINGS] = {
    [POLICY_SYNC_MINUTES] = {"sync-minutes", ROW_NUMBER, AT(sync_minutes), 1, 10080, 60, NULL,
			     STRICT_FEWER},
    [POLICY_JITTER_PERCENT] = {"jitter-percent", ROW_NUMBER, AT(jitter_percent), 0, 100, 10, NULL,
			       STRICT_FEWER},
    [POLICY_POLL_SECONDS] = {"poll-seconds", ROW_NUMBER, AT(poll_seconds), 5, 3600, 60, NULL,
			     STRICT_FEWER},
    [POLICY_STALE_HOURS] = {"stale-hours", ROW_NUMBER, AT(stale_hours), 0, 87600, 0, NULL,
			    STRICT_FEWER_BUT_ZERO},
    [POLICY_EXPIRY] = {"expiry", ROW_WORD, AT(expiry), POLICY_EXPIRY_WARN, POLICY_EXPIRY_REFUSE,
		       POLICY_EXPIRY_WARN, expiry_words, STRICT_MORE},
    [POLICY_LOCAL_CHANGES] = {"local-changes", ROW_WORD, AT(local_changes), POLICY_LOCAL_REPLACE,
			      POLICY_LOCAL_FAIL, POLICY_LOCAL_OWNER, local_words, STRICT_MORE},
    [POLICY_APPLY_WINDOWS] = {"apply-windows", ROW_WINDOWS, 0, 1, POLICY_WINDOWS, 0, NULL,
			      STRICT_SHORTER},
    [POLICY_DISABLE_HOURS] = {"disable-hours", ROW_NUMBER, AT(disable_hours), 0, 87600, 0, NULL,
			      STRICT_FEWER_BUT_ZERO},
    [POLICY_VERIFY_DAYS] = {"verify-days", ROW_NUMBER, AT(verify_days), 0, 3650, 30, NULL,
			    STRICT_FEWER_BUT_ZERO},
    [POLICY_UNDO_GENERATIONS] = {"undo-generations", ROW_NUMBER, AT(undo_generations), 0, 100, 2,
				 NULL, STRICT_MORE},
    [POLICY_UNDO_MEGABYTES] = {"undo-megabytes", ROW_NUMBER, AT(undo_megabytes), 0, 1048576, 1024,
			       NULL, STRICT_FEWER},
};

static uint64_t *number_at(struct policy_settings *p, const struct policy_row *r)
{
	return (uint64_t *)((uint8_t *)p + r->offset);
}

static uint64_t number_of(const struct policy_settings *p, const struct policy_row *r)
{
	return *(const uint64_t *)((const uint8_t *)p + r->offset);
}

const char *policy_setting_name(enum policy_setting i)
{
	return policy_rows[i].name;
}

enum policy_setting policy_setting_find(const char *name)
{
	enum policy_setting i = 0;

	while (i < POLICY_SETTINGS && strcmp(policy_rows[i].name, name) != 0)
		i++;
	return i;
}

void policy_settings_init(struct policy_settings *p)
{
	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if (policy_rows[i].kind != ROW_WINDOWS)
			*number_at(p, &policy_rows[i]) = policy_rows[i].by_itself;
	}
}

/* Reading */

/* "HH:MM" of a text that its schema's pattern has matched, or that is checked here. */
static bool minute_read(const char *text, uint16_t *ret)
{
	uint64_t hour, minute;

	if (strlen(text) < 5 || text[2] != ':' || strspn(text, "0123456789") != 2 ||
	    strspn(text + 3, "0123456789") != 2)
		return false;
	hour = (uint64_t)(text[0] - '0') * 10 + (uint64_t)(text[1] - '0');
	minute = (uint64_t)(text[3] - '0') * 10 + (uint64_t)(text[4] - '0');
	if (minute > 59 || hour > 24 || (hour == 24 && minute > 0))
		return false;
	*ret = (uint16_t)(hour * 60 + minute);
	return true;
}

static int window_read(const struct node *n, struct policy_window *ret, struct err *err)
{
	const char *text = node_text(n, "");

	if (strlen(text) != 11 || text[5] != '-' || !minute_read(text, &ret->from) ||
	    !minute_read(text + 6, &ret->to) || ret->from == POLICY_DAY)
		return node_error(n, err, "expected times of the day like \"22:00-06:00\"");
	if (ret->from == ret->to)
		return node_error(n, err, "%s ends when it begins; always is 00:00-24:00", text);
	return 0;
}

static int windows_read(const struct node *n, struct policy_settings *ret, struct err *err)
{
	if (node_count(n) < 1 || node_count(n) > POLICY_WINDOWS)
		return node_error(n, err, "expected 1 to %u windows", POLICY_WINDOWS);
	for (ret->windows = 0; ret->windows < node_count(n); ret->windows++) {
		int rc = window_read(node_at(n, ret->windows), &ret->window[ret->windows], err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int number_read(const struct node *n, const struct policy_row *r, uint64_t *ret,
		       struct err *err)
{
	uint64_t v = r->max + 1;

	if (r->kind == ROW_NUMBER)
		v = node_u64(n, r->max + 1);
	for (uint64_t i = r->min; r->kind == ROW_WORD && i <= r->max; i++) {
		if (strcmp(node_text(n, ""), r->words[i]) == 0)
			v = i;
	}
	if (v < r->min || v > r->max)
		return node_error(n, err, "a value that %s cannot have", r->name);
	*ret = v;
	return 0;
}

int policy_settings_decode(const struct node *n, struct policy_settings *ret, struct err *err)
{
	struct policy_settings p;

	policy_settings_init(&p);
	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		const struct policy_row *r = &policy_rows[i];
		const struct node *value = node_get(n, r->name);
		int rc;

		if (value == NULL)
			continue;
		rc = r->kind == ROW_WINDOWS ? windows_read(value, &p, err)
					    : number_read(value, r, number_at(&p, r), err);
		if (rc < 0)
			return rc;
		p.said |= 1u << i;
	}
	*ret = p;
	return 0;
}

/* Laying over */

static void setting_take(struct policy_settings *to, const struct policy_settings *from, size_t i)
{
	const struct policy_row *r = &policy_rows[i];

	if (r->kind == ROW_WINDOWS) {
		memcpy(to->window, from->window, sizeof(to->window));
		to->windows = from->windows;
	} else {
		*number_at(to, r) = number_of(from, r);
	}
	to->said = (to->said & ~(1u << i)) | (from->said & 1u << i);
}

void policy_settings_overlay(struct policy_settings *under, const struct policy_settings *over)
{
	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if ((over->said & 1u << i) != 0)
			setting_take(under, over, i);
	}
}

bool policy_window_open(const struct policy_settings *p, unsigned minute)
{
	for (size_t i = 0; i < p->windows; i++) {
		const struct policy_window *w = &p->window[i];

		if (w->from < w->to ? minute >= w->from && minute < w->to
				    : minute >= w->from || minute < w->to)
			return true;
	}
	return p->windows == 0;
}

static unsigned minutes_open(const struct policy_settings *p)
{
	unsigned n = 0;

	for (unsigned minute = 0; minute < POLICY_DAY; minute++)
		n += policy_window_open(p, minute) ? 1 : 0;
	return n;
}

static bool is_stricter(const struct policy_row *r, const struct policy_settings *a,
			const struct policy_settings *b)
{
	uint64_t x = number_of(a, r), y = number_of(b, r);

	switch (r->stricter) {
	case STRICT_FEWER:
		return x < y;
	case STRICT_FEWER_BUT_ZERO:
		return x != 0 && (y == 0 || x < y);
	case STRICT_MORE:
		return x > y;
	case STRICT_SHORTER:
		return minutes_open(a) < minutes_open(b);
	}
	return false;
}

unsigned policy_settings_stricter(struct policy_settings *a, const struct policy_settings *b)
{
	unsigned taken = 0;

	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if (!is_stricter(&policy_rows[i], b, a))
			continue;
		setting_take(a, b, i);
		taken |= 1u << i;
	}
	return taken;
}

/* Writing */

/* "22:00-06:00" */
static void window_text(char dst[WINDOW_TEXT], const struct policy_window *w)
{
	snprintf(dst, WINDOW_TEXT, "%02u:%02u-%02u:%02u", w->from / 60u % 100, w->from % 60u,
		 w->to / 60u % 100, w->to % 60u);
}

static void setting_write(struct yaml_writer *w, const struct policy_settings *p, size_t i)
{
	const struct policy_row *r = &policy_rows[i];

	if (r->kind == ROW_NUMBER)
		yaml_u64(w, r->name, number_of(p, r));
	if (r->kind == ROW_WORD)
		yaml_text(w, r->name, r->words[number_of(p, r)]);
	if (r->kind != ROW_WINDOWS)
		return;
	yaml_list(w, r->name);
	for (size_t k = 0; k < p->windows; k++) {
		char text[WINDOW_TEXT];

		window_text(text, &p->window[k]);
		yaml_text(w, NULL, text);
	}
	yaml_close(w);
}

void policy_settings_write(struct yaml_writer *w, const struct policy_settings *p)
{
	yaml_map(w, "settings");
	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if ((p->said & 1u << i) != 0)
			setting_write(w, p, i);
	}
	yaml_close(w);
}

static int windows_text(const struct policy_settings *p, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "[", err);

	for (size_t k = 0; rc == 0 && k < p->windows; k++) {
		char text[WINDOW_TEXT];

		window_text(text, &p->window[k]);
		rc = buf_printf(ret, err, "%s\"%s\"", k > 0 ? ", " : "", text);
	}
	return rc < 0 ? rc : buf_text(ret, "]", err);
}

int policy_setting_text(const struct policy_settings *p, enum policy_setting i, struct buf *ret,
			struct err *err)
{
	const struct policy_row *r = &policy_rows[i];

	if (r->kind == ROW_WINDOWS)
		return windows_text(p, ret, err);
	if (r->kind == ROW_NUMBER)
		return buf_printf(ret, err, "%" PRIu64, number_of(p, r));
	if (number_of(p, r) < r->min)
		return buf_text(ret, "null", err);
	return buf_printf(ret, err, "\"%s\"", r->words[number_of(p, r)]);
}
