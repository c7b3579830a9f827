/*
 * Commentary: what a library wants a person to see while it works goes through this, never to
 * stderr by itself.  The program decides what becomes of it (a terminal line, the journal,
 * nothing). A NULL `struct say *` is silence.
 */
#ifndef SATCHEL_BASE_SAY_H
#define SATCHEL_BASE_SAY_H

#include <stdint.h>

enum say_level { SAY_DEBUG, SAY_INFO, SAY_WARNING };

struct say {
	/* One finished sentence.  May hold foreign bytes: the receiver escapes them. */
	void (*line)(struct say *say, enum say_level level, const char *text);
	/*
	 * Progress of a named phase: ${done} of ${total} bytes and ${items} of ${items_total}
	 * things; a total of 0 means that it is not known.  Called often: the receiver thins it
	 * out.
	 */
	void (*progress)(struct say *say, const char *phase, uint64_t done, uint64_t total,
			 uint64_t items, uint64_t items_total);
};

void say_debug(struct say *say, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_info(struct say *say, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_warning(struct say *say, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_progress(struct say *say, const char *phase, uint64_t done, uint64_t total, uint64_t items,
		  uint64_t items_total);

#endif
