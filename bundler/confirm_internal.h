/*
 * Inside of confirm: what a workstation was to hold, moment by moment.
 */
#ifndef SATCHEL_BUNDLER_CONFIRM_INTERNAL_H
#define SATCHEL_BUNDLER_CONFIRM_INTERNAL_H

#include "bundler/confirm.h"
#include "core/format/confirm.h"

/* A moment: what a beat led to.  As a receipt would say it, but for its number. */
struct confirm_moment {
	struct receipt holds; /* owned; site, workstation, private channel, channels */
	char *people;         /* owned; "EMAIL ACCOUNT\n" for each user, of the private channel */
};
void confirm_moment_clear(struct confirm_moment *m);

/** confirm_moments(s, id, each, arg, err): the newest CONFIRM_MOMENTS that differ, from the newest
 * back; ends when ${each} does not return 0, and returns that. */
int confirm_moments(struct site *s, const char *id,
		    int (*each)(void *arg, struct confirm_moment *m, struct err *err), void *arg,
		    struct err *err);

#endif
