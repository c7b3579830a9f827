/* SPDX-License-Identifier: ISC */
/* A run that is cut off in the middle of its renames, by SIGKILL. */
#ifndef SATCHEL_TESTS_SUPPORT_APPLY_CUT_H
#define SATCHEL_TESTS_SUPPORT_APPLY_CUT_H

#include "tests/support/fault.h"

#include <sys/wait.h>

#include "tests/support/apply_tree.h"

static inline void cut_die(const char *from, const char *to)
{
	(void)from;
	if (strcmp(to, "beta") == 0)
		kill(getpid(), SIGKILL);
}

static inline void world_reopen(struct world *w)
{
	char path[SCRATCH_PATH + 32];

	snprintf(path, sizeof(path), "%s/state/state.db", w->dir);
	OK(w, db_open(path, world_layout(), &w->s.db, &w->err));
}

/** ${b} in a child, which dies when ${before} says so. */
static inline void bundle_cut_off(struct world *w, const struct made_bundle *b,
				  void (*before)(const char *from, const char *to))
{
	int status;
	pid_t pid;

	w->s.db = db_free(w->s.db); /* a connection does not cross a fork */
	pid = fork();
	if (pid == 0) {
		world_reopen(w);
		fault.before = before;
		world_try(w, b, 0);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status), "it was not cut off");
	world_reopen(w);
}

/** The first bundle, and the second one cut off; what the second takes out is out by then. */
static inline void world_cut_off(struct world *w, enum local_answer answer)
{
	struct maker m = {0};
	struct made_bundle b;

	make_first(&m);
	world_apply(w, &m, 0, 1);
	make_second(&m);
	bundle_make(w, &m, 1, 2, &b);
	w->target.local = answer;
	bundle_cut_off(w, &b, cut_die);
	buf_clear(&b.blocks);
}

#endif
