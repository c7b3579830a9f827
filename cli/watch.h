/*
 * What the commands around the watcher share.
 */
#ifndef SATCHEL_CLI_WATCH_H
#define SATCHEL_CLI_WATCH_H

#include "cli/cli.h"
#include "watcher/watch.h"
#include "watcher/watchfile.h"

/* Whom a watcher is for. */
struct watch_who {
	struct cli *cli; /* borrowed */
	bool server;
	char *state;   /* owned; its directory */
	char *control; /* owned; where the control socket lies */
	char *words;   /* owned; "site Acme" */
	uint64_t seed;
};
void watch_who_clear(struct watch_who *w);
/** watch_paths(cli, server, ret, err): state and control, without opening anything. */
int watch_paths(struct cli *cli, bool server, struct watch_who *ret, struct err *err);

/** What a run does, for struct watch_work; ${arg} is the struct watch_who. */
void watch_server(void *arg, const struct run_order *order, struct say *say, struct plan *plan,
		  struct buf *answer, struct run_result *ret);
void watch_station(void *arg, const struct run_order *order, struct say *say, struct plan *plan,
		   struct buf *answer, struct run_result *ret);
/** watch_server_who, watch_station_who: open it once, so that what is wrong is said at the start;
 * fills words and seed. */
int watch_server_who(struct watch_who *w, struct err *err);
int watch_station_who(struct watch_who *w, struct err *err);

/** watch_said(ret, fmt, ...): one more part of the sentence that a run ends with. */
void watch_said(struct run_result *ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** watch_failed(ret, rc, err): the result of a run that ended so. */
void watch_failed(struct run_result *ret, const struct err *err);
/** watch_flush(path, err): everything that was written to that file system is on the medium. */
int watch_flush(const char *path, struct err *err);
/** watch_search(mount, site, ret, err): the depot of ${site} on a medium: at its top, in `depot`,
 * or in `satchel`.  RC_ADDRESSEE: there is one of another site; RC_INCOMPLETE: there is none. */
struct digest;
int watch_search(const char *mount, const struct digest *site, char ret[4096], struct err *err);

/** watch_ask(cli, server, verb, err): for who may not open the state: let the watcher do it.  1:
 * done, and the answer is printed; 0: the state may be opened. */
int watch_ask(struct cli *cli, bool server, unsigned verb, struct err *err);
/** watch_lines(state, j): the watcher's part of `status`, as text when ${j} is NULL. */
struct json;
void watch_lines(const char *state, struct json *j);

#endif
