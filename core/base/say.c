#include "core/base/say.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/err.h"

__attribute__((format(printf, 3, 0))) static void say_v(struct say *say, enum say_level level,
							const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];

	if (say == NULL || say->line == NULL)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	say->line(say, level, text);
}

void say_debug(struct say *say, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(say, SAY_DEBUG, fmt, ap);
	va_end(ap);
}

void say_info(struct say *say, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(say, SAY_INFO, fmt, ap);
	va_end(ap);
}

void say_warning(struct say *say, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(say, SAY_WARNING, fmt, ap);
	va_end(ap);
}

void say_progress(struct say *say, const char *phase, uint64_t done, uint64_t total, uint64_t items,
		  uint64_t items_total)
{
	if (say != NULL && say->progress != NULL)
		say->progress(say, phase, done, total, items, items_total);
}
