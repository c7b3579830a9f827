/* SPDX-License-Identifier: ISC */
/*
 * licences/NAME.yaml: seats of a product, and its days.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define DAY 86400

static void licence_clear(void *element)
{
	struct site_licence *l = element;

	free(l->product);
	memset(l, 0, sizeof(*l));
}

static int licence_name_check(const char *name, int rc, struct err *err)
{
	return site_word_check("licence", name, rc, err);
}

/* day_read(from, ret, err): midnight before a day "2026-12-31"; absent: untouched. */
static int day_read(const struct node *from, int64_t *ret, struct err *err)
{
	char text[CLOCK_TEXT + 16];

	if (from == NULL)
		return 0;
	snprintf(text, sizeof(text), "%.10sT00:00:00Z", node_text(from, ""));
	if (clock_parse(text, ret, ERR_IGNORED) < 0)
		return node_error(from, err, "%s is not a day of the calendar",
				  node_text(from, ""));
	return 0;
}

static int licence_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *root = yaml_root(*y), *to = node_get(root, "to");
	struct site_licence *l = ret;
	int rc;

	(void)name;
	l->seats = node_u64(node_get(root, "seats"), 0);
	l->suspended = strcmp(node_text(node_get(root, "state"), ""), "suspended") == 0;
	l->from = INT64_MIN;
	l->to = INT64_MAX;
	rc = day_read(node_get(root, "from"), &l->from, err);
	if (rc == 0)
		rc = day_read(to, &l->to, err);
	if (rc == 0 && to != NULL)
		l->to += DAY - 1;
	if (rc == 0 && l->to < l->from)
		return node_error(to, err, "the last day is before the first one");
	return rc < 0 ? rc : site_text_keep(&l->product, node_get(root, "product"), err);
}

static void day_encode(struct yaml_writer *w, const char *key, int64_t seconds)
{
	char text[CLOCK_TEXT + 1];

	clock_format(text, seconds);
	text[strlen("2026-12-31")] = '\0';
	yaml_text(w, key, text);
}

static void licence_encode(const void *element, struct yaml_writer *w)
{
	const struct site_licence *l = element;

	yaml_text(w, "product", l->product == NULL ? "" : l->product);
	yaml_u64(w, "seats", l->seats);
	if (l->from != INT64_MIN)
		day_encode(w, "from", l->from);
	if (l->to != INT64_MAX)
		day_encode(w, "to", l->to);
	if (l->suspended)
		yaml_text(w, "state", "suspended");
}

const struct site_kind site_licence_kind = {
    .noun = "licence",
    .directory = "licences",
    .schema = "licence/1",
    .size = sizeof(struct site_licence),
    SITE_KIND_LIST(licence, licences),
    .name_check = licence_name_check,
    .decode = licence_decode,
    .encode = licence_encode,
    .clear = licence_clear,
};
