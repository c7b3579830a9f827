/* SPDX-License-Identifier: ISC */
/*
 * How findings travel from a check to the person.  One finding is always held back until the next
 * one begins or the check ends, because its remedy is given by a second call.
 */
#include "core/base/finding.h"

#include <stdarg.h>
#include <stdio.h>

const char *const finding_levels[FINDING_LEVELS] = {"ok", "warning", "wrong"};

static void tell(struct findings *f)
{
	if (f->waits)
		f->each(f->arg, &f->last);
	f->waits = false;
}

static void keep(struct findings *f, enum finding_level level, int rc, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void keep(struct findings *f, enum finding_level level, int rc, const char *fmt, va_list ap)
{
	tell(f);
	f->last = (struct finding){.check = f->check, .level = level};
	if (level == FINDING_WRONG) {
		f->last.rc = rc;
		if (rc_class(rc) > rc_class(f->worst))
			f->worst = rc;
	}
	vsnprintf(f->last.text, sizeof(f->last.text), fmt, ap);
	f->count[level]++;
	f->waits = true;
}

void found(struct findings *f, enum finding_level level, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep(f, level, rc, fmt, ap);
	va_end(ap);
}

void found_ok(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep(f, FINDING_OK, 0, fmt, ap);
	va_end(ap);
}

void found_warning(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep(f, FINDING_WARNING, 0, fmt, ap);
	va_end(ap);
}

void found_wrong(struct findings *f, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep(f, FINDING_WRONG, rc, fmt, ap);
	va_end(ap);
}

void found_err(struct findings *f, const struct err *err)
{
	found_wrong(f, err->rc, "%s", err->text);
}

void found_remedy(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->last.remedy, sizeof(f->last.remedy), fmt, ap);
	va_end(ap);
}

void checks_run(const struct check *rows, size_t n, void *subject, struct findings *f)
{
	for (size_t i = 0; i < n; i++) {
		f->check = rows[i].name;
		rows[i].run(subject, f);
		tell(f);
	}
}

void finding_only(struct findings *f, const char *check, const struct err *err)
{
	f->check = check;
	found_err(f, err);
	tell(f);
}
