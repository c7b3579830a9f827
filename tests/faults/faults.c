/* SPDX-License-Identifier: ISC */
/*
 * Errors and kills at every call that writes, and a lack of memory at every allocation: of the runs
 * that tests/crash cuts off, in the same small world.
 *
 * Each point is one command that meets one fault.  It must end by itself, say why, and not blame
 * anybody else for what its own disk did; the next run must be healthy, with the tree old or new.
 *
 *   faults [--case NAME] [--fault NAME] [--points N] [--seed N] [--jobs N] [--point CASE:FAULT:N]
 *
 * --points takes so many of each case, by the seed; --point replays one and prints everything.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/own.h"
#include "tests/crash/cases.h"
#include "tests/crash/image.h"

struct fault {
	const char *name;
	int error;      /* 0: a kill */
	unsigned kinds; /* of calls */
	bool stays;     /* every later call fails as well */
	bool one;       /* only the process that made the call is killed */
};
static const struct fault faults[] = {
    {"kill", 0, SEAM_ALL, false, false},           {"kill-one", 0, SEAM_ALL, false, true},
    {"eio", EIO, SEAM_ALL, false, false},          {"enospc", ENOSPC, SEAM_ALLOCATE, false, false},
    {"full", ENOSPC, SEAM_ALLOCATE, true, false},  {"edquot", EDQUOT, SEAM_ALLOCATE, false, false},
    {"erofs", EROFS, SEAM_ALL, true, false},       {"estale", ESTALE, SEAM_ALL, false, false},
    {"eintr", EINTR, SEAM_ALL, false, false},      {"short", EINTR, SEAM_SHORT, false, false},
    {"enomem", ENOMEM, SEAM_MEMORY, false, false}, {"no-memory", ENOMEM, SEAM_MEMORY, true, false},
};

struct point {
	uint32_t fault;
	long call;
};

struct plan {
	const struct crash_case *c;
	struct image before;
	LIST(struct point) point;
};

struct options {
	const char *only, *fault, *one;
	uint64_t seed;
	size_t points;
	int jobs;
};

struct counts {
	uint64_t planned, tried, wrong;
};

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void point_name(const struct plan *p, const struct point *at, char *dst, size_t n)
{
	snprintf(dst, n, "%s:%s:%ld", p->c->name, faults[at->fault].name, at->call);
}

/* libarchive ends the process by itself when it has no memory. */
static bool says_why(const char *line)
{
	return strncmp(line, "satchel: ", 9) == 0 || strstr(line, "Out of memory") != NULL;
}

/* What the command says when its own disk or memory fails: never that somebody else is at fault. */
static void status_check(struct world *w, const struct fault *f, int status)
{
	char line[600] = "";
	FILE *file;

	if (f->error == 0 || status == 0)
		return;
	if (status == EXIT_CLASS_INTERNAL && f->error != ENOMEM)
		world_fail(w, "an error of the disk is called an internal one");
	if (status >= EXIT_CLASS_MALFORMED && status <= EXIT_CLASS_REPLAY)
		world_fail(w, "an error of the disk ends with %d", status);
	file = fopen(w->out, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL && !says_why(line))
		;
	if (file != NULL)
		fclose(file);
	if (!says_why(line))
		world_fail(w, "it does not say why");
}

static void point_run(struct world *w, const struct plan *p, const struct point *at)
{
	const struct fault *f = &faults[at->fault];
	struct seam_order o = {.at = at->call,
			       .until = f->stays ? LONG_MAX : at->call,
			       .error = f->error,
			       .kinds = f->kinds,
			       .one = f->one};

	image_write(&p->before, w->dir);
	w->meets = &o;
	p->c->run(w);
	w->meets = NULL;
	status_check(w, f, w->met.status);
	case_check(w, p->c, NULL);
}

/* One point in a process of its own: what fails there ends it. */
static bool point_try(struct world *w, const struct plan *p, const struct point *at, bool told)
{
	char name[100], log[160];
	int status;
	pid_t pid;

	point_name(p, at, name, sizeof(name));
	snprintf(log, sizeof(log), "/tmp/satchel-faults-%s.log", name);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		w->log = told ? stdout : fopen(log, "w");
		if (w->log == NULL)
			_exit(2);
		point_run(w, p, at);
		fflush(w->log);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		printf("wrong: %s (%s)\n", name, log);
		fflush(stdout);
		return false;
	}
	if (!told)
		unlink(log);
	return true;
}

/* How many calls of each kind the run makes when nothing happens. */
static void points_plan(struct world *w, struct plan *p, const struct options *o)
{
	for (uint32_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct seam_order count = {.kinds = faults[i].kinds};
		struct err err;

		if (o->fault != NULL && strcmp(o->fault, faults[i].name) != 0)
			continue;
		image_write(&p->before, w->dir);
		w->meets = &count;
		if (p->c->run(w) != 0)
			exit(2);
		w->meets = NULL;
		for (long n = 1; n <= w->met.calls; n++)
			if (list_push(&p->point, ((struct point){i, n}), &err) < 0)
				abort();
	}
}

static void prepare(struct world *w, struct plan *p, const struct options *o)
{
	w->seed = 1;
	w->log = fopen("/tmp/satchel-faults-prepare.log", "w");
	tree_remove(w->dir);
	if (w->log == NULL || mkdir(w->dir, 0700) < 0)
		exit(2);
	world_make(w);
	w->calm = true;
	p->c->prepare(w);
	image_read(w->dir, &p->before);
	points_plan(w, p, o);
}

static void shuffle(struct plan *p, uint64_t seed)
{
	for (size_t i = p->point.n; i > 1; i--) {
		size_t k = mix(seed * 7919 + i) % i;
		struct point at = p->point.items[i - 1];

		p->point.items[i - 1] = p->point.items[k];
		p->point.items[k] = at;
	}
}

static void points_try(struct world *w, struct plan *p, const struct options *o, int job,
		       struct counts *n)
{
	size_t end = o->points != 0 && o->points < p->point.n ? o->points : p->point.n;

	for (size_t i = 0; i < end; i++) {
		if ((int)(i % (size_t)o->jobs) != job)
			continue;
		n->tried++;
		n->wrong += !point_try(w, p, &p->point.items[i], false);
	}
}

static void case_try(const struct crash_case *c, const struct options *o, int job, struct counts *n)
{
	static struct world w;
	struct plan p = {.c = c};
	char name[100];

	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "%s/satchel-faults-%d",
		 getenv("TMPDIR") != NULL        ? getenv("TMPDIR")
		 : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
						 : "/tmp",
		 job);
	prepare(&w, &p, o);
	if (o->one == NULL) {
		shuffle(&p, o->seed);
		n->planned = p.point.n;
		points_try(&w, &p, o, job, n);
	}
	for (size_t i = 0; o->one != NULL && i < p.point.n; i++) {
		point_name(&p, &p.point.items[i], name, sizeof(name));
		if (strcmp(name, o->one) != 0)
			continue;
		n->tried++;
		n->wrong += !point_try(&w, &p, &p.point.items[i], true);
	}
	list_clear(&p.point);
	tree_remove(w.dir);
}

static _Noreturn void job_run(const struct options *o, int job, int out)
{
	seam_open();
	for (size_t i = 0; i < crash_cases_n; i++) {
		const struct crash_case *c = &crash_cases[i];
		struct counts n = {0};

		if ((o->only != NULL && strcmp(o->only, c->name) != 0) ||
		    (o->one != NULL && (strncmp(o->one, c->name, strlen(c->name)) != 0 ||
					o->one[strlen(c->name)] != ':')))
			continue;
		case_try(c, o, job, &n);
		if (write(out, &n, sizeof(n)) != sizeof(n))
			exit(2);
		printf("%s: %lu points; job %d tried %lu, %lu wrong\n", c->name, n.planned, job,
		       n.tried, n.wrong);
		fflush(stdout);
	}
	exit(0);
}

static int all(const struct options *o)
{
	struct counts n, total = {0};
	time_t begun = time(NULL);
	int pipes[2], status, failed = 0;

	if (pipe(pipes) < 0)
		return 2;
	fflush(NULL);
	for (int i = 0; i < o->jobs; i++)
		if (fork() == 0) {
			close(pipes[0]);
			job_run(o, i, pipes[1]);
		}
	close(pipes[1]);
	while (read(pipes[0], &n, sizeof(n)) == sizeof(n)) {
		total.tried += n.tried;
		total.wrong += n.wrong;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	printf("faults, seed %lu: %lu points tried in %ld s, %lu wrong\n", o->seed, total.tried,
	       (long)(time(NULL) - begun), total.wrong);
	return total.wrong != 0 || failed != 0 || total.tried == 0;
}

int main(int argc, char **argv)
{
	struct options o = {.seed = 1, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--case") == 0)
			o.only = argv[i + 1];
		else if (strcmp(argv[i], "--fault") == 0)
			o.fault = argv[i + 1];
		else if (strcmp(argv[i], "--point") == 0)
			o.one = argv[i + 1];
		else if (strcmp(argv[i], "--seed") == 0)
			o.seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--points") == 0)
			o.points = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--jobs") == 0)
			o.jobs = atoi(argv[i + 1]);
	}
	if (o.one != NULL)
		o.jobs = 1;
	return all(&o);
}
