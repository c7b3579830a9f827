/* SPDX-License-Identifier: ISC */
/*
 * Crash states: what a power cut can leave of a run, beyond the order in which it was done.
 *
 * A run's calls are recorded by inode.  A file system may lose any call that no flush has made
 * durable, or half of a write, and keep later ones: so every prefix of the calls is tried whole,
 * with each pending call lost, each pending write torn, only one pending call kept, all of them
 * lost, and some mixtures.  A flush of a file makes its content durable, not its name; that of a
 * directory the names in it; syncfs(2) everything.  Each state is written as a tree, in which the
 * next run must find its way.
 *
 *   crash [--case NAME] [--states N] [--seed N] [--jobs N] [--state CASE:PREFIX:KIND:CALL]
 *
 * --states takes that many of each case, by the seed; --state replays one and prints everything.
 * Idea: Pillai et al., All File Systems Are Not Created Equal (ALICE), OSDI 2014.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/crash/cases.h"
#include "tests/crash/image.h"

enum kind { WHOLE, LOST_ONE, KEPT_ONE, LOST_ALL, HALF, TAIL, ZEROS, MIXED, KINDS };
static const char *const kinds[KINDS] = {"whole", "lost", "kept",  "all-lost",
					 "half",  "tail", "zeros", "mixed"};
/* Mixtures of each prefix. */
#define MIXTURES 4

struct state {
	uint32_t prefix; /* calls that were made */
	uint32_t kind;
	uint32_t call; /* which one is lost, kept or torn; of mixtures their number */
};

struct call {
	const struct record *r;
	size_t durable; /* the flush that made it so; calls.n when none did */
};

struct plan {
	const struct crash_case *c;
	struct image before;
	LIST(struct call) call;
	LIST(struct state) state;
	struct strings usual;
};

struct options {
	const char *only, *one;
	uint64_t seed;
	size_t states;
	int jobs;
};

/* Is what ${r} did on the disk for certain after the flush ${f}? */
static bool flushes(const struct record *f, const struct record *r)
{
	if (f->op == RECORD_FLUSH_ALL)
		return true;
	if (f->op != RECORD_FLUSH)
		return false;
	switch ((enum record_op)r->op) {
	case RECORD_WRITE:
	case RECORD_CUT:
	case RECORD_META:
		return f->ino == r->ino;
	case RECORD_SWAP:
	case RECORD_RENAME: /* one step: no file system that journals keeps half of it */
		return f->ino == r->dir || f->ino == r->dir2;
	default:
		return f->ino == r->dir;
	}
}

/* The calls of the recorded run that are about the world. */
static void calls_take(struct plan *p)
{
	OWNED(image_clear) struct image m = {0};
	struct err err;

	image_copy(&p->before, &m);
	for (const struct record *r = record_first(); r != NULL; r = record_next(r)) {
		struct call *c;
		struct record *copy;

		if (!image_knows(&m, r))
			continue;
		copy = malloc(r->size);
		c = list_add(&p->call, &err);
		if (copy == NULL || c == NULL)
			abort();
		memcpy(copy, r, r->size);
		c->r = copy;
		image_apply(&m, copy, FATE_WHOLE, 0);
	}
	for (size_t i = 0; i < p->call.n; i++) {
		size_t k = i + 1;

		while (k < p->call.n && !flushes(p->call.items[k].r, p->call.items[i].r))
			k++;
		p->call.items[i].durable = k;
	}
}

static bool is_flush(const struct record *r)
{
	return r->op == RECORD_FLUSH || r->op == RECORD_FLUSH_ALL;
}

static bool pending(const struct plan *p, size_t prefix, size_t i)
{
	return !is_flush(p->call.items[i].r) && p->call.items[i].durable >= prefix;
}

static void state_add(struct plan *p, size_t prefix, enum kind kind, size_t call)
{
	struct err err;

	if (list_push(&p->state, ((struct state){(uint32_t)prefix, kind, (uint32_t)call}), &err) <
	    0)
		abort();
}

static void states_plan(struct plan *p)
{
	for (size_t prefix = 0; prefix <= p->call.n; prefix++) {
		size_t n = 0;

		/* A flush only takes possibilities away. */
		if (prefix > 0 && is_flush(p->call.items[prefix - 1].r) && prefix < p->call.n)
			continue;
		state_add(p, prefix, WHOLE, 0);
		for (size_t i = 0; i < prefix; i++) {
			if (!pending(p, prefix, i))
				continue;
			n++;
			state_add(p, prefix, LOST_ONE, i);
			state_add(p, prefix, KEPT_ONE, i);
			if (p->call.items[i].r->op != RECORD_WRITE)
				continue;
			state_add(p, prefix, HALF, i);
			state_add(p, prefix, TAIL, i);
			state_add(p, prefix, ZEROS, i);
		}
		if (n > 1)
			state_add(p, prefix, LOST_ALL, 0);
		for (size_t i = 0; n > 2 && i < MIXTURES; i++)
			state_add(p, prefix, MIXED, i);
	}
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static enum fate fate_of(const struct plan *p, const struct state *s, size_t i)
{
	static const enum fate torn[] = {FATE_HALF, FATE_TAIL, FATE_ZEROS};
	uint64_t z;

	if (!pending(p, s->prefix, i))
		return FATE_WHOLE;
	switch ((enum kind)s->kind) {
	case LOST_ALL:
		return FATE_LOST;
	case LOST_ONE:
		return i == s->call ? FATE_LOST : FATE_WHOLE;
	case KEPT_ONE:
		return i == s->call ? FATE_WHOLE : FATE_LOST;
	case HALF:
	case TAIL:
	case ZEROS:
		return i == s->call ? torn[s->kind - HALF] : FATE_WHOLE;
	case MIXED:
		z = mix(mix(s->prefix * 977 + s->call) + i + 1);
		if (z % 2 == 0)
			return FATE_WHOLE;
		if (p->call.items[i].r->op == RECORD_WRITE && z % 7 == 0)
			return torn[z / 7 % 3];
		return FATE_LOST;
	default:
		return FATE_WHOLE;
	}
}

static void state_make(const struct plan *p, const struct state *s, struct image *ret)
{
	image_copy(&p->before, ret);
	for (size_t i = 0; i < s->prefix; i++)
		image_apply(ret, p->call.items[i].r, fate_of(p, s, i), i + 1);
}

static void state_name(const struct plan *p, const struct state *s, char *dst, size_t n)
{
	snprintf(dst, n, "%s:%u:%s:%u", p->c->name, s->prefix, kinds[s->kind], s->call);
}

static void describe(const struct plan *p, const struct state *s, FILE *out)
{
	static const char *const ops[] = {"create", "mkdir",  "symlink", "link",
					  "unlink", "rename", "swap",    "write",
					  "cut",    "meta",   "flush",   "flush-all"};

	for (size_t i = 0; i < s->prefix; i++) {
		const struct record *r = p->call.items[i].r;
		enum fate f = fate_of(p, s, i);

		fprintf(out, "  %c%4zu %-9s dir %lu ino %lu",
			f == FATE_WHOLE  ? ' '
			: f == FATE_LOST ? '-'
					 : '~',
			i, ops[r->op], r->dir, r->ino);
		if (r->name > 0)
			fprintf(out, " \"%s\"", record_name(r));
		if (r->to > 0)
			fprintf(out, " -> dir %lu \"%s\"", r->dir2, record_to(r));
		if (r->op == RECORD_WRITE || r->op == RECORD_CUT)
			fprintf(out, " %lu bytes at %lu", r->data, r->at);
		fputc('\n', out);
	}
}

/* One state in a process of its own: what fails there ends it. */
static bool state_try(struct world *w, const struct plan *p, const struct state *s, bool told)
{
	OWNED(image_clear) struct image m = {0};
	char name[100], log[160];
	int status;
	pid_t pid;

	state_make(p, s, &m);
	state_name(p, s, name, sizeof(name));
	snprintf(log, sizeof(log), "/tmp/satchel-crash-%s.log", name);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		w->log = told ? stdout : fopen(log, "w");
		if (w->log == NULL)
			_exit(2);
		describe(p, s, w->log);
		image_write(&m, w->dir);
		case_check(w, p->c, &p->usual);
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

static void prepare(struct world *w, struct plan *p, const struct options *o)
{
	w->seed = 1; /* the world is always the same; the seed chooses states */
	w->log = fopen("/tmp/satchel-crash-prepare.log", "w");
	tree_remove(w->dir);
	if (w->log == NULL || mkdir(w->dir, 0700) < 0)
		exit(2);
	world_make(w);
	w->calm = true;
	p->c->prepare(w);
	image_read(w->dir, &p->before);
	w->record = true;
	if (p->c->run(w) != 0)
		exit(2);
	w->record = false;
	calls_take(p);
	states_plan(p);
}

/* What is there at the end when nothing happened; the tree is written as all others are. */
static void usual_learn(struct world *w, struct plan *p)
{
	pid_t pid;
	int status, pipes[2];
	char line[PATH_MAX];
	struct err err;
	FILE *f;

	if (pipe(pipes) < 0)
		exit(2);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		f = fdopen(pipes[1], "w");
		image_write(&p->before, w->dir);
		case_check(w, p->c, NULL);
		case_names(w, &p->usual);
		for (size_t i = 0; i < p->usual.n; i++)
			fprintf(f, "%s\n", p->usual.items[i]);
		fclose(f);
		_exit(0);
	}
	close(pipes[1]);
	f = fdopen(pipes[0], "r");
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strings_insert(&p->usual, line, &err) < 0)
			abort();
	}
	fclose(f);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		exit(2);
}

static bool state_named(const struct plan *p, const char *text, struct state *ret)
{
	char name[100];

	for (size_t i = 0; i < p->state.n; i++) {
		*ret = p->state.items[i];
		state_name(p, ret, name, sizeof(name));
		if (strcmp(name, text) == 0)
			return true;
	}
	return false;
}

static void shuffle(struct plan *p, uint64_t seed)
{
	for (size_t i = p->state.n; i > 1; i--) {
		size_t k = mix(seed * 7919 + i) % i;
		struct state s = p->state.items[i - 1];

		p->state.items[i - 1] = p->state.items[k];
		p->state.items[k] = s;
	}
	/* Always one of those that are tried: all is done, and only what was flushed is there. */
	for (size_t i = 0; i < p->state.n; i++) {
		struct state s = p->state.items[i];

		if (s.prefix != p->call.n || s.kind != LOST_ALL)
			continue;
		p->state.items[i] = p->state.items[0];
		p->state.items[0] = s;
	}
}

struct counts {
	uint64_t planned, tried, same, wrong;
};

static void states_try(struct world *w, struct plan *p, const struct options *o, int job,
		       struct counts *n)
{
	LIST(struct digest) seen = {0};
	size_t end = o->states != 0 && o->states < p->state.n ? o->states : p->state.n;
	struct err err;

	for (size_t i = 0; i < end; i++) {
		OWNED(image_clear) struct image m = {0};
		struct digest d;
		bool known = false;

		if ((int)(i % (size_t)o->jobs) != job)
			continue;
		state_make(p, &p->state.items[i], &m);
		d = image_sum(&m);
		for (size_t k = 0; k < seen.n && !known; k++)
			known = digest_equal(&seen.items[k], &d);
		n->same += known;
		if (known)
			continue;
		if (list_push(&seen, d, &err) < 0)
			abort();
		n->tried++;
		n->wrong += !state_try(w, p, &p->state.items[i], false);
	}
	list_clear(&seen);
}

static void case_try(const struct crash_case *c, const struct options *o, int job, struct counts *n)
{
	static struct world w;
	struct plan p = {.c = c};
	struct state s;

	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "%s/satchel-crash-%07d",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid() % 10000000);
	prepare(&w, &p, o);
	usual_learn(&w, &p);
	if (o->one != NULL && state_named(&p, o->one, &s)) {
		n->tried++;
		n->wrong += !state_try(&w, &p, &s, true);
	} else if (o->one == NULL) {
		shuffle(&p, o->seed);
		n->planned += p.state.n;
		states_try(&w, &p, o, job, n);
	}
	tree_remove(w.dir);
}

static _Noreturn void job_run(const struct options *o, int job, int out)
{
	seam_open();
	for (size_t i = 0; i < crash_cases_n; i++) {
		const struct crash_case *c = &crash_cases[i];
		struct counts n = {0};

		if ((o->only != NULL && strcmp(o->only, c->name) != 0) ||
		    (o->one != NULL && strncmp(o->one, c->name, strcspn(o->one, ":")) != 0))
			continue;
		case_try(c, o, job, &n);
		if (write(out, &n, sizeof(n)) != sizeof(n))
			exit(2);
		printf(
		    "%s: %lu states planned; job %d tried %lu, %lu were the same as others, %lu wrong\n",
		    c->name, n.planned, job, n.tried, n.same, n.wrong);
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
		total.same += n.same;
		total.wrong += n.wrong;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	printf("crash states, seed %lu: %lu tried in %ld s, %lu wrong\n", o->seed, total.tried,
	       (long)(time(NULL) - begun), total.wrong);
	return total.wrong != 0 || failed != 0 || total.tried == 0;
}

int main(int argc, char **argv)
{
	struct options o = {.seed = 1, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--case") == 0)
			o.only = argv[i + 1];
		else if (strcmp(argv[i], "--state") == 0)
			o.one = argv[i + 1];
		else if (strcmp(argv[i], "--seed") == 0)
			o.seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--states") == 0)
			o.states = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--jobs") == 0)
			o.jobs = atoi(argv[i + 1]);
	}
	if (o.one != NULL)
		o.jobs = 1;
	return all(&o);
}
