/*
 * Reasons: every fault is one, kept in the order of the rules.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bundler/status_rules.h"

void because(struct reasons *l, enum rule rule, const char *about, const char *fmt, ...)
{
	size_t at = l->n;
	va_list args;

	while (at > 0 && l->item[at - 1].rule > rule)
		at--;
	if (l->n == REASONS) {
		l->dropped++;
		if (at == l->n)
			return;
		l->n--;
	}
	memmove(&l->item[at + 1], &l->item[at], (l->n - at) * sizeof(l->item[0]));
	l->n++;
	l->item[at].rule = rule;
	snprintf(l->item[at].about, sizeof(l->item[at].about), "%s", about);
	va_start(args, fmt);
	vsnprintf(l->item[at].text, sizeof(l->item[at].text), fmt, args);
	va_end(args);
}

void reasons_first(const struct reasons *l, char dst[REASON_TEXT])
{
	snprintf(dst, REASON_TEXT, "%s", l->n > 0 ? l->item[0].text : "");
}

static void also_add(char *dst, const char *text)
{
	size_t used = strlen(dst);

	snprintf(dst + used, REASON_TEXT - used, "%s%s", used > 0 ? "; " : "", text);
}

void reasons_also(const struct reasons *l, char dst[REASON_TEXT])
{
	char more[32];

	dst[0] = '\0';
	for (size_t i = 1; i < l->n; i++)
		also_add(dst, l->item[i].text);
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
