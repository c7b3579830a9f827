/* SPDX-License-Identifier: ISC */
/*
 * Licensed and entitled, at a time, with the reason when not.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "core/base/clock.h"

#define DAY 86400

void people_day(char dst[11], int64_t seconds)
{
	char text[CLOCK_TEXT + 1];

	clock_format(text, seconds);
	memcpy(dst, text, 10);
	dst[10] = '\0';
}

int people_day_read(const char *text, int64_t *ret, struct err *err)
{
	char whole[CLOCK_TEXT + 1];

	snprintf(whole, sizeof(whole), "%.10sT00:00:00Z", text);
	if (strlen(text) != 10 || clock_parse(whole, ret, ERR_IGNORED) < 0)
		return err_set(err, RC_USAGE, "\"%s\" is not a day such as 2026-12-31", text);
	return 0;
}

/* no(why, fmt, ...): false, with the reason. */
static bool __attribute__((format(printf, 2, 3))) no(char why[PEOPLE_WHY], const char *fmt, ...)
{
	va_list ap;

	if (why != NULL) {
		va_start(ap, fmt);
		vsnprintf(why, PEOPLE_WHY, fmt, ap);
		va_end(ap);
	}
	return false;
}

bool people_licence_good(const struct site_licence *l, int64_t at, char why[PEOPLE_WHY])
{
	char day[11];

	if (l->suspended)
		return no(why, "the licence %s is suspended", l->name);
	if (at < l->from) {
		people_day(day, l->from);
		return no(why, "the licence %s begins on %s", l->name, day);
	}
	if (at > l->to) {
		people_day(day, l->to);
		return no(why, "the licence %s ended on %s", l->name, day);
	}
	return true;
}

bool people_licence_warning(const struct site *s, const struct site_licence *l, int64_t at,
			    char why[PEOPLE_WHY])
{
	char day[11];
	int64_t days;

	if (l->to == INT64_MAX || !people_licence_good(l, at, NULL))
		return false;
	days = (l->to - at) / DAY;
	if ((uint64_t)days >= s->warning_days)
		return false;
	people_day(day, l->to);
	no(why, "the licence %s ends on %s", l->name, day);
	return true;
}

bool people_licensed(const struct site *s, const struct site_user *u, int64_t at,
		     char why[PEOPLE_WHY])
{
	const struct site_licence *l;

	if (u->licence[0] == '\0')
		return no(why, "no licence was issued");
	l = site_licence(s, u->licence);
	if (l == NULL)
		return no(why, "there is no licence %s", u->licence);
	return people_licence_good(l, at, why);
}

bool people_entitled(const struct site *s, const struct site_user *u, int64_t at,
		     char why[PEOPLE_WHY])
{
	if (u->suspended)
		return no(why, "the user is suspended");
	return people_licensed(s, u, at, why);
}
