/* SPDX-License-Identifier: ISC */
/*
 * A lease on one's own file makes whoever opens it wait, for up to 45 seconds by default and again
 * at once.  An update neither waits for it nor fails: what cannot be judged is a local change.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/apply_tree.h"

struct holder {
	pid_t pid;
	int told; /* a byte comes when the lease is held */
};

#define HUGE_FILE (1ll << 43) /* bytes; years of reading */

/** The account daemon takes a lease on ${path} and keeps it, or lets go ${yields} milliseconds
 * after somebody asked, and makes the file ${size} bytes long before; 0: leaves it as it is. */
static void hold(const char *path, int told, long yields, off_t size)
{
	struct timespec pause = {.tv_nsec = yields * 1000000};
	sigset_t asked;
	int fd, sig;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&asked);
	sigaddset(&asked, SIGIO);
	sigprocmask(SIG_BLOCK, &asked, NULL);
	if (setgid(1) < 0 || setuid(1) < 0)
		_exit(1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		_exit(2);
	if (write(told, "x", 1) != 1)
		_exit(3);
	for (;;) {
		sigwait(&asked, &sig);
		if (yields == 0)
			continue;
		nanosleep(&pause, NULL);
		if (size != 0 && ftruncate(fd, size) < 0)
			_exit(4);
		fcntl(fd, F_SETLEASE, F_UNLCK);
	}
}

static void holder_start(struct world *w, struct holder *h, const char *name, long yields,
			 off_t size)
{
	char path[2 * LIMIT_PATH], byte;
	int ends[2];

	disk_path(w, path, name);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	h->pid = fork();
	if (h->pid == 0)
		hold(path, ends[1], yields, size);
	close(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 1, "no lease");
	close(ends[0]);
}

static void holder_stop(struct holder *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
}

static void world_leased(struct world *w)
{
	struct maker m = {0};

	if (geteuid() != 0)
		cr_skip("needs root");
	world_make(w);
	make_first(&m);
	world_apply(w, &m, 0, 1);
	cr_assert_eq(scratch_run(w->dir, "chmod 755 . root root/srv root/srv/office && "
					 "cd root/srv/office && chown daemon:daemon alpha dir/one"),
		     0);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/** The second bundle with a lease on alpha (replaced) and on dir/one (only metadata). */
static int second(struct world *w, enum local_answer answer, long yields, off_t size,
		  double *ret_took)
{
	struct holder a, b;
	struct maker m = {0};
	struct made_bundle made;
	int rc;

	make_second(&m);
	bundle_make(w, &m, 1, 2, &made);
	w->target.local = answer;
	holder_start(w, &a, "alpha", yields, size);
	holder_start(w, &b, "dir/one", yields, size);
	*ret_took = seconds();
	rc = world_try(w, &made, 0);
	*ret_took = seconds() - *ret_took;
	holder_stop(&a);
	holder_stop(&b);
	buf_clear(&made.blocks);
	return rc;
}

Test(apply_lease, a_lease_that_nobody_lets_go_of_stops_no_update)
{
	struct world w;
	int64_t n = 0;
	double took;

	world_leased(&w);
	cr_expect_eq(second(&w, LOCAL_REPLACE, 0, 0, &took), 0, "%s", w.err.text);
	cr_expect_lt(took, 20, "it waited for %.1f s", took);
	cr_expect_eq(scratch_run(w.dir, "cd root/srv && grep -q changed office/alpha && "
					"grep -q new office/beta && "
					"grep -q 'first file' .satchel-kept/office/2/alpha && "
					"test $(stat -c %U:%a office/dir/one) = daemon:644"),
		     0);
	cr_expect_eq(db_int(w.s.db, &w.err, &n, "SELECT count(*) FROM apply_deviation", ""), 1);
	cr_expect_eq(n, 1, "dir/one deviates");
	world_clear(&w);
}

Test(apply_lease, what_is_held_stays_when_the_answer_is_keep_and_is_named_when_it_is_fail)
{
	struct world w;
	double took;

	world_leased(&w);
	cr_expect_eq(second(&w, LOCAL_KEEP, 0, 0, &took), 0, "%s", w.err.text);
	cr_expect_lt(took, 20, "it waited for %.1f s", took);
	cr_expect_eq(scratch_run(w.dir, "cd root/srv/office && grep -q new beta && "
					"grep -q '^the first file$' alpha"),
		     0);
	world_clear(&w);
	world_leased(&w);
	cr_expect_eq(second(&w, LOCAL_FAIL, 0, 0, &took), RC_CONFLICT, "%s", w.err.text);
	cr_expect_lt(took, 20, "it waited for %.1f s", took);
	cr_expect_not_null(strstr(w.err.text, "alpha"));
	cr_expect_eq(scratch_run(w.dir, "test ! -e root/srv/office/beta"), 0);
	world_clear(&w);
}

Test(apply_lease, a_file_server_that_lets_go_is_waited_for)
{
	struct world w;
	double took;

	world_leased(&w);
	cr_expect_eq(second(&w, LOCAL_FAIL, 100, 0, &took), 0, "%s", w.err.text);
	world_check(&w);
	world_clear(&w);
}

Test(apply_lease, a_file_that_grows_while_root_waits_for_it_is_not_read_to_its_end)
{
	struct world w;
	double took;

	world_leased(&w);
	cr_expect_eq(second(&w, LOCAL_REPLACE, 100, HUGE_FILE, &took), 0, "%s", w.err.text);
	cr_expect_lt(took, 20, "it read for %.1f s", took);
	cr_expect_eq(scratch_run(w.dir, "cd root/srv && grep -q changed office/alpha && "
					"test $(stat -c %s .satchel-kept/office/2/alpha "
					"office/dir/one | uniq) = 8796093022208"),
		     0);
	world_clear(&w);
}
