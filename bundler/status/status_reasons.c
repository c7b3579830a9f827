/* SPDX-License-Identifier: ISC */
/*
 * Reasons: every fault is one, kept in the order of the rules.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bundler/status/status.h"
#include "bundler/status/status_rules.h"
#include "core/base/quote.h"

/* The place of the next reason in the order of the rules; NULL: it falls out. */
static struct reason *reason_add(struct reasons *l, enum rule rule, const char *about)
{
	size_t at = l->n;

	while (at > 0 && l->item[at - 1].rule > rule)
		at--;
	if (l->n == REASONS) {
		l->dropped++;
		if (at == l->n)
			return NULL;
		l->n--;
	}
	memmove(&l->item[at + 1], &l->item[at], (l->n - at) * sizeof(l->item[0]));
	l->n++;
	l->item[at] = (struct reason){.rule = rule};
	snprintf(l->item[at].about, sizeof(l->item[at].about), "%s", about);
	return &l->item[at];
}

void because(struct reasons *l, enum rule rule, const char *about, const char *fmt, ...)
{
	struct reason *r = reason_add(l, rule, about);
	va_list args;

	if (r == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, args);
	va_end(args);
}

void because_said(struct reasons *l, enum rule rule, const char *about, const char *claim,
		  const char *fmt, ...)
{
	struct reason *r = reason_add(l, rule, about);
	va_list args;

	if (r == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, args);
	va_end(args);
	snprintf(r->claim, sizeof(r->claim), "%s", claim);
}

void reason_sentence(const struct reason *r, char dst[REASON_TEXT])
{
	char said[REASON_CLAIM + 2];

	quote_text(said, sizeof(said), r->claim);
	if (r->claim[0] == '\0')
		snprintf(dst, REASON_TEXT, "%s", r->text);
	else
		snprintf(dst, REASON_TEXT, "%.*s; it says: %s", REASON_TEXT - REASON_CLAIM - 16,
			 r->text, said);
}

void reasons_first(const struct reasons *l, char dst[REASON_TEXT])
{
	dst[0] = '\0';
	if (l->n > 0)
		reason_sentence(&l->item[0], dst);
}

static void also_add(char *dst, const char *text)
{
	size_t used = strlen(dst);

	snprintf(dst + used, REASON_TEXT - used, "%s%s", used > 0 ? "; " : "", text);
}

void reasons_also(const struct reasons *l, char dst[REASON_TEXT])
{
	char more[32], text[REASON_TEXT];

	dst[0] = '\0';
	for (size_t i = 1; i < l->n; i++) {
		reason_sentence(&l->item[i], text);
		also_add(dst, text);
	}
	if (l->dropped > 0) {
		snprintf(more, sizeof(more), "and %zu more", l->dropped);
		also_add(dst, more);
	}
}

void remedy_command(const struct remedy *r, const char *name, const char *about, char *dst,
		    size_t size)
{
	static const char name_is[] = "{name}", about_is[] = "{about}";
	const char *from = r->command;
	size_t n = 0;

	while (*from != '\0' && n + 1 < size) {
		const char *with = NULL;

		if (strncmp(from, name_is, sizeof(name_is) - 1) == 0) {
			with = name;
			from += sizeof(name_is) - 1;
		} else if (strncmp(from, about_is, sizeof(about_is) - 1) == 0) {
			with = about;
			from += sizeof(about_is) - 1;
		}
		if (with == NULL) {
			dst[n++] = *from++;
			continue;
		}
		n += (size_t)snprintf(dst + n, size - n, "%s", with[0] != '\0' ? with : "NAME");
		if (n >= size)
			n = size - 1;
	}
	dst[n] = '\0';
}
