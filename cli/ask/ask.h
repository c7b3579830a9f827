/* SPDX-License-Identifier: ISC */
/*
 * Asking a running watcher, and showing what it says of itself.
 */
#ifndef SATCHEL_CLI_ASK_ASK_H
#define SATCHEL_CLI_ASK_ASK_H

#include "cli/frame/cli.h"
#include "watcher/watchfile.h"

/* The machine's own watchers; made by the service manager, or by us when we may. */
#define RUN_DIRECTORY "/run/satchel"

/* Whom a watcher is for. */
struct watch_who {
	struct cli *cli; /* borrowed */
	bool server;
	char *state;   /* owned; its directory */
	char *control; /* owned; where the control socket lies */
	char *words;   /* owned; "site Acme" */
	uint64_t seed;
};
/** watch_who_clear(w): release what it owns; a zeroed one is fine. */
void watch_who_clear(struct watch_who *w);
/** watch_paths(cli, server, ret, err):
 * Where the state and the control socket of a site (${server}) or a workstation lie, without
 * opening anything.  ${ret} is zeroed by the caller, who clears it also after an error. Errors:
 * RC_USAGE (no site is named), RC_MEMORY. */
int watch_paths(struct cli *cli, bool server, struct watch_who *ret, struct err *err);

/** watch_ask(cli, server, verb, err):
 * For who may not open the state: let the running watcher do it.  ${verb} is an enum control_verb.
 * 1: done, and the answer is printed; 0: the state may be opened, nothing was asked.
 * Errors: RC_AGAIN (no watcher runs), RC_TIMEOUT, and whatever the run ended with. */
int watch_ask(struct cli *cli, bool server, unsigned verb, struct err *err);
struct json;
/** watch_lines(state, j): the watcher's part of `status` from the status file in the directory
 * ${state}: as text when ${j} is NULL, else as the member "watcher" of an open object. */
void watch_lines(const char *state, struct json *j);
/** watch_file_print(cli, f): all of a status file, as text or JSON.  Returns 0. */
int watch_file_print(struct cli *cli, const struct watchfile *f);

#endif
