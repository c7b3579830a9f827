/* SPDX-License-Identifier: ISC */
/*
 * What the commands around the watcher share.
 */
#ifndef SATCHEL_CLI_WATCH_WATCH_H
#define SATCHEL_CLI_WATCH_WATCH_H

#include "cli/ask/ask.h"
#include "watcher/watch.h"

/** watch_server(arg, order, reporter, plan, answer, ret),
 * watch_station(arg, order, reporter, plan, answer, ret):
 * What a run does, for struct watch_work: in a child of the watcher, with nothing open.  ${arg} is
 * the struct watch_who. */
void watch_server(void *arg, const struct run_order *order, struct reporter *reporter,
		  struct watch_plan *plan, struct buf *answer, struct run_result *ret);
void watch_station(void *arg, const struct run_order *order, struct reporter *reporter,
		   struct watch_plan *plan, struct buf *answer, struct run_result *ret);
/** watch_server_who(w, err), watch_station_who(w, err): open the site or the workstation once, so
 * that what is wrong is said at the start; fills words and seed.  Errors: as site_open and
 * station_open; RC_STATE (not enrolled). */
int watch_server_who(struct watch_who *w, struct err *err);
int watch_station_who(struct watch_who *w, struct err *err);

/** watch_said(ret, fmt, ...): one more part of the sentence that a run ends with. */
void watch_said(struct run_result *ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** watch_failed(ret, err): the run ended with this error; its sentence is added once. */
void watch_failed(struct run_result *ret, const struct err *err);
/** watch_flush(path, err): everything that was written to that file system is on the medium.
 * Errors: RC_IO.  Source: syncfs(2). */
int watch_flush(const char *path, struct err *err);
struct digest;
/** watch_search(mount, site, ret, err):
 * The depot of ${site} on a medium: at its top, in `depot`, or in `satchel`.
 * Errors: RC_ADDRESSEE (there is one of another site), RC_INCOMPLETE (there is none). */
int watch_search(const char *mount, const struct digest *site, char ret[4096], struct err *err);

#endif
