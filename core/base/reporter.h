/* SPDX-License-Identifier: ISC */
/*
 * Commentary: what a library wants a person to see while it works goes through this, never to
 * stderr by itself.  The program decides what becomes of it (a terminal line, the journal,
 * nothing). A NULL `struct reporter *` is silence.
 */
#ifndef SATCHEL_CORE_BASE_REPORTER_H
#define SATCHEL_CORE_BASE_REPORTER_H

#include <stdint.h>

enum reporter_level { REPORTER_DEBUG, REPORTER_INFO, REPORTER_WARNING };

struct reporter {
	/* One finished sentence.  May hold foreign bytes: the receiver escapes them. */
	void (*line)(struct reporter *reporter, enum reporter_level level, const char *text);
	/*
	 * Progress of a named phase: ${done} of ${total} bytes and ${items} of ${items_total}
	 * things; a total of 0 means that it is not known.  Called often: the receiver thins it
	 * out.
	 */
	void (*progress)(struct reporter *reporter, const char *phase, uint64_t done,
			 uint64_t total, uint64_t items, uint64_t items_total);
};

/**
 * reporter_debug(reporter, fmt, ...), reporter_info(reporter, fmt, ...),
 * reporter_warning(reporter, fmt, ...): One sentence of that level, cut at ERR_TEXT_MAX bytes.  A
 * NULL ${reporter}, or one without line(), drops it.
 */
void reporter_debug(struct reporter *reporter, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void reporter_info(struct reporter *reporter, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void reporter_warning(struct reporter *reporter, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/**
 * reporter_progress(reporter, phase, done, total, items, items_total): how far a phase is, as
 * struct reporter explains it; ${phase} is borrowed for the call. NULL is silence here as well.
 */
void reporter_progress(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
		       uint64_t items, uint64_t items_total);

#endif
