/* SPDX-License-Identifier: ISC */
/*
 * Activating a user of this workstation, as a person asks for it.
 */
#ifndef SATCHEL_APPLIER_SYNC_ACTIVATE_H
#define SATCHEL_APPLIER_SYNC_ACTIVATE_H

#include "applier/activation/activation.h"

struct activated {
	char account[ACCOUNT_NAME];
	bool again;     /* it waits already: the same bytes were posted once more */
	size_t depots;  /* that have the request now */
	struct err why; /* of the last depot that could not take it; rc 0: none */
};

/** station_activate(s, code, account, ret, err): activation_ask, and post it.  That no depot is
 * at hand is no error: the request waits. */
int station_activate(struct station *s, const char *code, const char *account,
		     struct activated *ret, struct err *err);

#endif
