/* SPDX-License-Identifier: ISC */
/*
 * Repair: what differs becomes what was applied, all of it or nothing, whatever call of it does not
 * come back; and what a person wrote is there afterwards.
 */
#include "applier/repair/repair.h"
#include "tests/support/fault.h"

#include <sys/wait.h>

#include "applier/trees/drift.h"
#include "tests/support/apply_pair.h"

#define DAMAGE                                                                        \
	"cd root/srv/office && echo mine > alpha && rm -r dir/deep && rm dir/one && " \
	"ln -sfn nowhere points && rm -r becomes && echo mine too > becomes && "      \
	"rm -r fresh && chmod 755 hollow && chmod 000 beta && touch was"

static void damaged(struct world *w, const struct pair *p)
{
	struct tree_place place = {.tree = "office", .rootfd = -1};
	char root[SCRATCH_PATH + 16], path[SCRATCH_PATH + 32];

	station_make(w, p);
	snprintf(root, sizeof(root), "%s/root", w->dir);
	snprintf(path, sizeof(path), "%s/root/srv/office", w->dir);
	w->s.root = strdup(root);
	w->s.undo_keep = 2;
	w->s.undo_bytes = UNDO_BYTES;
	place.path = path;
	OK(w, tree_place_put(&w->s, &place, &w->err));
	OK(w, world_try(w, &p->b[0], 0));
	OK(w, world_try(w, &p->b[1], 0));
	cr_assert_eq(scratch_run(w->dir, DAMAGE), 0);
}

static void end(struct world *w)
{
	free(w->s.root);
	w->s.root = NULL;
	world_clear(w);
}

/** Contents that neither the target nor an undo area has. */
static int fetched(struct world *w)
{
	static const char *const texts[] = {"the first file, changed\n", "sealed\n", "one\n",
					    "now below a directory\n", "leaf\n"};
	char path[SCRATCH_PATH + 16], name[DIGEST_HEX + 1];
	int fd;

	scratch_directory(w->dir, "fetched");
	snprintf(path, sizeof(path), "%s/fetched", w->dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct digest d = digest_of(bytes_of(texts[i]));

		digest_hex(name, &d);
		OK(w, durable_write(fd, name, bytes_of(texts[i]), 0600, DURABLE_REPLACE, &w->err));
	}
	return fd;
}

static int repair(struct world *w, int contentfd)
{
	OWNED(repair_clear) struct repair r = {.tree = "office"};
	int rc;

	w->err = (struct err){0};
	rc = repair_find(&w->s, "office", NULL, 0, &r, &w->err);
	return rc < 0 || r.item.n == 0 ? rc : repair_apply(&w->s, &r, contentfd, &w->err);
}

static uint64_t differing(struct world *w)
{
	uint64_t n = 0;

	OK(w, drift_check(&w->s, "office", &n, &w->err));
	return n;
}

static void check(struct world *w, const struct pair *p)
{
	/* Repairing took out what a person wrote, and did not lose it. */
	cr_assert_eq(scratch_run(w->dir, "grep -rqx mine root/srv/.satchel-kept && "
					 "grep -rqx 'mine too' root/srv/.satchel-kept"),
		     0);
	cr_assert_eq(differing(w), 0);
	station_check(w, p);
	cr_assert_eq(w->generation, 2);
}

Test(repair, makes_again_what_differs_and_keeps_what_a_person_wrote)
{
	struct pair p = {0};
	struct world w;
	int fd;

	pair_make(&p);
	damaged(&w, &p);
	cr_assert_gt(differing(&w), 5);
	cr_assert_eq(repair(&w, -1), RC_ABSENT, "%s", w.err.text);
	cr_assert_eq(scratch_run(w.dir, "test \"$(cat root/srv/office/alpha)\" = mine && "
					"test ! -e root/srv/office/fresh && "
					"test ! -e root/srv/.satchel-kept"),
		     0, "a repair that could not be done changed something");
	fd = fetched(&w);
	cr_assert_eq(repair(&w, fd), 0, "%s", w.err.text);
	check(&w, &p);
	close(fd);
	end(&w);
	pair_clear(&p);
}

Test(repair, does_not_take_a_content_that_is_another_one)
{
	struct pair p = {0};
	struct world w;
	int fd;

	pair_make(&p);
	damaged(&w, &p);
	fd = fetched(&w);
	cr_assert_eq(scratch_run(w.dir, "for f in fetched/*; do echo other > $f; done"), 0);
	cr_assert_eq(repair(&w, fd), RC_ABSENT, "%s", w.err.text);
	cr_assert_eq(scratch_run(w.dir, "test \"$(cat root/srv/office/alpha)\" = mine"), 0);
	close(fd);
	end(&w);
	pair_clear(&p);
}

/** One repair with a fault, and what comes after.  False: there was no such call any more. */
static bool survive(const struct pair *p, long at, int error, long until)
{
	struct world w;
	int status, rc, fd;
	pid_t pid;

	damaged(&w, p);
	fd = fetched(&w);
	w.s.db = db_free(w.s.db);
	pid = fork();
	if (pid == 0) {
		if (station_reopen(&w) < 0)
			_exit(99);
		fault_arm(at, error, until);
		rc = repair(&w, fd);
		fault.pid = 0;
		_exit(rc < 0 ? 1 : atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	station_open_again(&w);
	rc = apply_recover(&w.s, &w.target, &w.err);
	cr_assert_geq(rc, 0, "call %ld: %s", at, w.err.text);
	cr_assert_eq(repair(&w, fd), 0, "call %ld: %s", at, w.err.text);
	check(&w, p);
	close(fd);
	end(&w);
	return status != 42;
}

static void survive_all(int error, bool forever)
{
	struct pair p = {0};
	long at = 1;

	pair_make(&p);
	while (survive(&p, at, error, forever ? 1000000 : at))
		at += fault_stride();
	cr_assert_gt(at, 50, "only %ld calls were tried", at);
	cr_log_info("%ld calls", at);
	pair_clear(&p);
}

Test(repair, killed_before_any_write_is_finished_by_the_next_one)
{
	survive_all(0, false);
}

Test(repair, a_write_that_fails_leaves_nothing_half_done)
{
	survive_all(EIO, false);
}

Test(repair, a_full_disk_leaves_nothing_half_done)
{
	survive_all(ENOSPC, true);
}
