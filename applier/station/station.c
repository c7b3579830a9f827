/* SPDX-License-Identifier: ISC */
/*
 * A workstation in memory: what is owned by it, released.
 */
#include "applier/station/station.h"

#include "core/base/own.h"

struct station *station_free(struct station *s)
{
	if (s == NULL)
		return NULL;
	db_free(s->db);
	fd_closep(&s->lock);
	fd_closep(&s->statefd);
	strings_clear(&s->depots);
	strings_clear(&s->allow);
	free(s->config);
	free(s->state);
	free(s->root);
	free(s->handout);
	free(s);
	return NULL;
}

void station_freep(struct station **s)
{
	*s = station_free(*s);
}
