/* SPDX-License-Identifier: ISC */
/*
 * Activating a user: the request is made, and brought to the depots at hand at once, so that it
 * does not wait for the next sync.
 */
#include "applier/sync/activate.h"

#include <string.h>

#include "applier/report/outbox.h"
#include "applier/sync/sync_internal.h"

static int request_post(struct station *s, struct activated *ret, struct err *err)
{
	struct sync *y = NULL;
	int rc = sync_begin(s, 0, NULL, NULL, &y, err);

	if (rc < 0)
		return rc;
	rc = sync_depots(y, err);
	for (size_t i = 0; rc == 0 && i < y->depot.n; i++)
		if (outbox_post(s, y->depot.items[i].depot, &ret->why) >= 0)
			ret->depots++;
	return sync_end(y, rc, err);
}

int station_activate(struct station *s, const char *code, const char *account,
		     struct activated *ret, struct err *err)
{
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = activation_ask(s, code, account, ret->account, err);
	ret->again = rc == 1;
	return rc < 0 ? rc : request_post(s, ret, err);
}
