/* SPDX-License-Identifier: ISC */
/*
 * Commentary formatted once for every receiver.  The callers below know neither terminals nor
 * logs, and a NULL reporter costs them no test.
 */
#include "core/base/reporter.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/err.h"

__attribute__((format(printf, 3, 0))) static void
reporter_send(struct reporter *reporter, enum reporter_level level, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];

	if (reporter == NULL || reporter->line == NULL)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	reporter->line(reporter, level, text);
}

void reporter_debug(struct reporter *reporter, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reporter_send(reporter, REPORTER_DEBUG, fmt, ap);
	va_end(ap);
}

void reporter_info(struct reporter *reporter, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reporter_send(reporter, REPORTER_INFO, fmt, ap);
	va_end(ap);
}

void reporter_warning(struct reporter *reporter, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reporter_send(reporter, REPORTER_WARNING, fmt, ap);
	va_end(ap);
}

void reporter_progress(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
		       uint64_t items, uint64_t items_total)
{
	if (reporter != NULL && reporter->progress != NULL)
		reporter->progress(reporter, phase, done, total, items, items_total);
}
