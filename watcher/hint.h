/* SPDX-License-Identifier: ISC */
/*
 * Hints: something may have changed in a directory.  libinotifytools keeps one state for the whole
 * process and has no descriptor to poll, so each place is watched by a helper process of its own
 * that writes what it sees into a pipe; a place that hangs (a dead share hangs statfs as well)
 * hangs its helper and nobody else.  A hint says nothing but "look".
 */
#ifndef SATCHEL_WATCHER_HINT_H
#define SATCHEL_WATCHER_HINT_H

#include "core/os/child.h"

enum hint_scope {
	HINT_BEATS,     /* a depot's beats and trust: what a workstation waits for */
	HINT_INBOX,     /* a depot's inbox: what a server waits for */
	HINT_DOCUMENTS, /* of a site: its directory and the known ones in it */
	HINT_TREE,      /* everything below: sources */
};

enum hint_what {
	HINT_NONE,    /* the helper is gone; start another */
	HINT_READY,   /* changes will be told */
	HINT_CHANGED, /* look */
	HINT_LOST,    /* the kernel dropped events: look, at everything */
	HINT_POLLED,  /* inotify does not see what other machines do on this file system: poll */
	HINT_ABSENT,  /* no such directory; try again later */
	HINT_GONE,    /* it was removed, renamed or unmounted: try again later */
	HINT_FULL     /* the kernel's limit of watches is reached: poll */
};

struct hint {
	struct child child;
};

#define HINT_INIT          \
	{                  \
		CHILD_INIT \
	}

/** hint_start(path, scope, ret, err): ${path} is absolute.  Forks: only while the process has one
 * thread. */
int hint_start(const char *path, enum hint_scope scope, struct hint *ret, struct err *err);
/** hint_read(h, ret_type): what the helper said, when its descriptor is readable; ${*ret_type} is
 * the magic number of the file system with READY and BLIND.  After NONE, BLIND, ABSENT, GONE and
 * FULL the helper has ended (hint_stop). */
enum hint_what hint_read(struct hint *h, uint64_t *ret_type);
/** hint_stop(h): end the helper; one that has ended is fine. */
void hint_stop(struct hint *h);

/** hint_polled(type): does inotify miss what others do on this file system (statfs(2): f_type)?
 * Returns its name, or NULL when it sees everything. */
const char *hint_polled(uint64_t type);

#endif
