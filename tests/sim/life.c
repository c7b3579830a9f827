/* SPDX-License-Identifier: ISC */
/*
 * Proof by life: many small worlds, each from one seed, side by side.
 *
 *   life [--seeds N] [--steps N] [--jobs N] [--seed FIRST]
 *
 * Without --seeds, --seed replays that one, and prints everything.  The log of a seed that failed
 * stays in /tmp/satchel-life-SEED.log.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/life.h"

struct run {
	uint64_t first, seeds;
	long steps, jobs;
	bool told;
};

static void time_passes(struct world *w)
{
	uint64_t n = pick(w, 20);

	if (n == 0)
		w->now += (int64_t)pick(w, 6 * 86400);
	else if (n < 6)
		w->now += (int64_t)pick(w, 86400);
	else
		w->now += 60 + (int64_t)pick(w, 7200);
}

/* One seed, in a process of its own; it does not come back. */
static _Noreturn void live(const struct run *r, uint64_t seed, const char *log)
{
	static struct world w;

	w.seed = seed;
	w.told = r->told;
	/* The same words in the same places, whenever it is run again. */
	snprintf(w.dir, sizeof(w.dir), "%s/satchel-life-%llu",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (unsigned long long)seed);
	tree_remove(w.dir);
	w.log = r->told ? stdout : fopen(log, "w");
	if (w.log == NULL || mkdir(w.dir, 0700) < 0)
		exit(2);
	seam_open();
	world_make(&w);
	for (w.step = 1; w.step <= r->steps; w.step++) {
		time_passes(&w);
		move_any(&w);
		oracle_step(&w);
	}
	heal(&w);
	oracle_clear(&w);
	tree_remove(w.dir);
	world_say(&w, "%llu commands, %llu faults", (unsigned long long)w.commands,
		  (unsigned long long)w.faults);
	fclose(w.log);
	exit(0);
}

static void log_name(char *dst, size_t n, uint64_t seed)
{
	snprintf(dst, n, "/tmp/satchel-life-%llu.log", (unsigned long long)seed);
}

static void failure_print(const char *log, uint64_t seed)
{
	char line[1024];
	FILE *f = fopen(log, "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "FAILED", 6) == 0)
			printf("seed %llu: %s", (unsigned long long)seed, line);
	if (f != NULL)
		fclose(f);
	fflush(stdout);
}

static int all(const struct run *r)
{
	OWNED(freep) pid_t *pid = calloc(r->seeds, sizeof(*pid));
	uint64_t begun = 0, ended = 0, wrong = 0;
	char log[64];
	int status;

	while (pid != NULL && ended < r->seeds) {
		if (begun < r->seeds && begun - ended < (uint64_t)r->jobs) {
			log_name(log, sizeof(log), r->first + begun);
			fflush(NULL);
			pid[begun] = fork();
			if (pid[begun] == 0)
				live(r, r->first + begun, log);
			begun++;
			continue;
		}
		pid_t got = waitpid(-1, &status, 0);
		for (uint64_t i = 0; i < begun; i++) {
			if (pid[i] != got)
				continue;
			ended++;
			log_name(log, sizeof(log), r->first + i);
			if (status == 0) {
				unlink(log);
				continue;
			}
			wrong++;
			failure_print(log, r->first + i);
		}
	}
	printf("%llu seeds of %ld steps from %llu on: %llu wrong\n", (unsigned long long)r->seeds,
	       r->steps, (unsigned long long)r->first, (unsigned long long)wrong);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	struct run r = {
	    .first = 1, .seeds = 0, .steps = 200, .jobs = sysconf(_SC_NPROCESSORS_ONLN)};
	bool one = false;

	for (int i = 1; i + 1 < argc; i += 2) {
		long long n = atoll(argv[i + 1]);

		if (strcmp(argv[i], "--seeds") == 0)
			r.seeds = (uint64_t)n;
		else if (strcmp(argv[i], "--steps") == 0)
			r.steps = (long)n;
		else if (strcmp(argv[i], "--jobs") == 0)
			r.jobs = (long)n;
		else if (strcmp(argv[i], "--seed") == 0)
			r.first = (uint64_t)n, one = true;
	}
	r.told = one && r.seeds == 0;
	if (r.seeds == 0)
		r.seeds = 1;
	return all(&r);
}
