/* SPDX-License-Identifier: ISC */
/*
 * Events: what happened on this workstation and what people on it said, each numbered.  They go
 * along in receipts until a receipt that had them is acknowledged.
 */
#ifndef SATCHEL_APPLIER_REPORT_EVENT_H
#define SATCHEL_APPLIER_REPORT_EVENT_H

#include "applier/station/station.h"

extern const struct db_schema station_event_schema;

/** station_event(s, kind, text, err): something that the server should know.  The same kind and
 * text within a week is not a new event; of the oldest beyond 256 nothing is kept. */
int station_event(struct station *s, const char *kind, const char *text, struct err *err);

/**
 * event_of_person(s, kind, text, about, user, err):
 * What a person said, or what became of a message: it is neither merged with another nor dropped
 * before it is acknowledged.  ${about}: a message's id or "".  ${user}: an e-mail address or "".
 * RC_AGAIN: EVENTS_SAID of them wait already.
 */
int event_of_person(struct station *s, const char *kind, const char *text, const char *about,
		    const char *user, struct err *err);
/* What people said that waits for the server at once: all of it fits into one receipt, so that none
 * is ever behind one with a higher number, which the server would take for old. */
#define EVENTS_SAID 40
/** event_room(s, err): RC_AGAIN when event_of_person would fail so. */
int event_room(struct station *s, struct err *err);

/** station_events(s, all, each, arg, err): oldest first; those that no acknowledged receipt
 * carried, or ${all} that are kept.  A value other than 0 ends the walk and is returned. */
int station_events(struct station *s, bool all,
		   int (*each)(void *arg, const struct receipt_event *e, struct err *err),
		   void *arg, struct err *err);

/** event_sent(s, r, err): the receipt ${r}, with its number, carries its events, in the caller's
 * transaction. */
int event_sent(struct station *s, const struct receipt *r, struct err *err);
/** event_acknowledge(s, sequence, err): the server has recorded receipts up to this number. */
int event_acknowledge(struct station *s, uint64_t sequence, struct err *err);
/** event_renumber(s, by, err): this state is that of a backup, and the numbers of its events may
 * have been used: of those that the server has not got they go up by ${by}, as the counter does. */
int event_renumber(struct station *s, uint64_t by, struct err *err);
/** event_forget(s, err): every event, in the caller's transaction; their numbers are not used
 * again. */
int event_forget(struct station *s, struct err *err);

#endif
