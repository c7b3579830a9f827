/* SPDX-License-Identifier: ISC */
/*
 * Between the files of policy.h: the table of settings, and how each part is written.
 */
#ifndef SATCHEL_CORE_FORMAT_POLICY_POLICY_INTERNAL_H
#define SATCHEL_CORE_FORMAT_POLICY_POLICY_INTERNAL_H

#include "core/format/policy/policy.h"

#define WINDOW_TEXT 12 /* "22:00-06:00" with its NUL */

struct policy_row {
	const char *name;
	enum { ROW_NUMBER, ROW_WORD, ROW_WINDOWS } kind;
	size_t offset;            /* of numbers and words in struct policy_settings */
	uint64_t min, max;        /* of a number; of a word's index; windows: of their count */
	uint64_t by_itself;       /* what satchel does when no policy says it */
	const char *const *words; /* by index; those below min cannot be written */
	enum { STRICT_FEWER, STRICT_FEWER_BUT_ZERO, STRICT_MORE, STRICT_SHORTER } stricter;
};

extern const struct policy_row policy_rows[POLICY_SETTINGS];

/**
 * policy_settings_write(w, p): as the map `settings`, what is said only.
 */
void policy_settings_write(struct yaml_writer *w, const struct policy_settings *p);
/** policy_values_write(w, root): as `values`; nothing when there are none. */
void policy_values_write(struct yaml_writer *w, const struct policy_value *root);
/** policy_values_sorted(n, err): maps of a machine-made document are in ascending order. */
int policy_values_sorted(const struct node *n, struct err *err);

#endif
