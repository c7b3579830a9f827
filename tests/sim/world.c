/* SPDX-License-Identifier: ISC */
/* The world: made from a seed, and the commands that are run in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/life.h"

/* When the story begins: any day will do. */
#define BEGINNING 1780000000
#define WORDS_MAX 24

/* Source: splitmix64, Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014). */
static uint64_t draw(struct world *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t pick(struct world *w, uint64_t n)
{
	return draw(w) % n;
}

bool chance(struct world *w, unsigned percent)
{
	return pick(w, 100) < percent;
}

void world_say(struct world *w, const char *fmt, ...)
{
	va_list ap;

	fprintf(w->log, "%4ld ", w->step);
	va_start(ap, fmt);
	vfprintf(w->log, fmt, ap);
	va_end(ap);
	fputc('\n', w->log);
	if (w->told)
		fflush(w->log);
}

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	fprintf(w->log, "FAILED: step %ld: ", w->step);
	va_start(ap, fmt);
	vfprintf(w->log, fmt, ap);
	va_end(ap);
	fputc('\n', w->log);
	fflush(w->log);
	exit(1);
}

/* Commands */

enum command_kind { PUBLISH, COLLECT, APPLY, CARRY, OTHER };

static enum command_kind kind_of(const char *const *argv)
{
	static const char *const names[] = {"publish", "collect", "apply", "carry"};

	for (int i = 1; argv[i] != NULL; i++)
		for (int k = 0; k < OTHER; k++)
			if (strcmp(argv[i], names[k]) == 0)
				return (enum command_kind)k;
	return OTHER;
}

/* What this command meets; mostly nothing. */
static bool order_harm(struct world *w, enum command_kind kind, struct seam_order *o)
{
	static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS};
	long n = w->calls[kind] > 0 ? w->calls[kind] : 40;

	if (w->calm || !chance(w, 15))
		return false;
	o->at = 1 + (long)pick(w, (uint64_t)n + (uint64_t)n / 8);
	switch (pick(w, 6)) {
	case 0:
	case 1:
		return true;
	case 2:
		o->one = true;
		return true;
	case 3: /* the disk is full, and stays so until somebody makes room */
		o->kinds = SEAM_ALLOCATE;
		o->error = ENOSPC;
		o->until = LONG_MAX;
		return true;
	default:
		o->error = errors[pick(w, ARRAY_LEN(errors))];
		o->until = o->at;
		return true;
	}
}

static bool order_given(const struct world *w, struct seam_order *o)
{
	o->at = w->meets->at;
	o->until = w->meets->until;
	o->error = w->meets->error;
	o->kinds = w->meets->kinds;
	o->one = w->meets->one;
	return true;
}

static void say_output(struct world *w, int status)
{
	FILE *f = fopen(w->out, "r");
	char line[600];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		fprintf(w->log, "       | %s%s", line, strchr(line, '\n') ? "" : "\n");
	if (f != NULL)
		fclose(f);
	if (status != 0)
		fprintf(w->log, "       = %d\n", status);
}

static void say_command(struct world *w, const char *const *argv, const struct seam_order *o)
{
	fprintf(w->log, "%4ld ", w->step);
	for (int i = 1; argv[i] != NULL; i++)
		fprintf(w->log, " %s", argv[i]);
	if (o->at != 0 && o->error == 0)
		fprintf(w->log, "  # killed%s at call %ld", o->one ? " in one process" : "", o->at);
	else if (o->at != 0)
		fprintf(w->log, "  # %s at call %ld%s", strerrorname_np(o->error), o->at,
			o->until > o->at ? " and after" : "");
	fputc('\n', w->log);
}

static int run(struct world *w, int64_t now, bool harmless, const char *const *argv)
{
	enum command_kind kind = kind_of(argv);
	struct seam_order o = {.now = now,
			       .seed = w->commands * 1000003 + w->seed,
			       .kinds = SEAM_ALL,
			       .record = w->record};
	struct seam_result r;
	bool harm = !harmless && (w->meets != NULL ? order_given(w, &o) : order_harm(w, kind, &o));

	if (!harmless)
		say_command(w, argv, &o);
	seam_run(&o, w->out, argv, &r);
	w->met = r;
	w->commands++;
	w->asked |= !harmless && strcmp(argv[1], "-s") == 0;
	if (!harmless && !r.hit)
		w->calls[kind] = r.calls;
	if (!harmless || r.status != 0)
		say_output(w, r.status);
	if (r.silent)
		world_fail(w, "%s hangs", argv[1]);
	if (r.status >= 128 && !(harm && r.hit))
		world_fail(w, "a command crashed: %d", r.status);
	if (!r.hit)
		return r.status;
	w->faults++;
	if (o.error != 0 && r.status >= 128)
		world_fail(w, "a command crashed after an error: %d", r.status);
	return -1;
}

static void words(const char **argv, int n, va_list ap)
{
	while (n < WORDS_MAX - 1 && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	argv[n] = NULL;
}

#define COMMAND(function, parameters, last, option, where, clock, harmless) \
	int function parameters                                             \
	{                                                                   \
		const char *argv[WORDS_MAX] = {"satchel", option, where};   \
		va_list ap;                                                 \
                                                                            \
		va_start(ap, last);                                         \
		words(argv, 3, ap);                                         \
		va_end(ap);                                                 \
		return run(w, w->now + (clock), harmless, argv);            \
	}

COMMAND(server, (struct world * w, ...), w, "-s", w->site, w->skew, false)
COMMAND(look_server, (struct world * w, ...), w, "-s", w->site, w->skew, true)
COMMAND(station, (struct world * w, struct station *s, ...), s, "-w", s->dir, s->skew, false)
COMMAND(look_station, (struct world * w, struct station *s, ...), s, "-w", s->dir, s->skew, true)

int bring(struct world *w, const char *from, const char *to)
{
	const char *argv[] = {"satchel", "carry", from, to, "--unmounted", NULL};

	return run(w, w->now, false, argv);
}

/* The beginning */

struct digest content_write(struct world *w, const char *path, size_t n)
{
	OWNED(freep) uint8_t *p = malloc(n + 64);
	OWNED(fd_closep) int fd = -1;
	uint8_t seed[randombytes_SEEDBYTES] = {0};
	size_t head;

	if (p == NULL)
		abort();
	w->words++;
	memcpy(seed, &w->seed, 8);
	memcpy(seed + 8, &w->words, 8);
	/* Half of it can be compressed. */
	head = (size_t)snprintf((char *)p, 64, "%llu of seed %llu\n", (unsigned long long)w->words,
				(unsigned long long)w->seed);
	if (n > head) {
		memset(p + head, 'x', n - head);
		randombytes_buf_deterministic(p + head, (n - head) / 2, seed);
	} else {
		n = head;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		world_fail(w, "cannot write %s: %s", path, strerror(errno));
	return digest_of((struct bytes){p, n});
}

/* The code that an invitation printed. */
static void code_read(struct world *w, char *ret, size_t size)
{
	FILE *f = fopen(w->out, "r");

	ret[0] = '\0';
	while (f != NULL && fgets(ret, (int)size, f) != NULL &&
	       (strlen(ret) < 45 || strchr(ret, ' ')))
		;
	if (f != NULL)
		fclose(f);
	ret[strcspn(ret, "\n")] = '\0';
}

/* The owner of a machine says what it reads: its share, its stick, or both. */
static void depots_set(struct world *w, struct station *s)
{
	char name[PATH + 32], line[PATH + 32];
	FILE *f;

	snprintf(name, sizeof(name), "%s/workstation.yaml", s->dir);
	f = fopen(name, "r+");
	while (fgets(line, sizeof(line), f) != NULL && strncmp(line, "depots:", 7) != 0)
		;
	fseek(f, 0, SEEK_CUR);
	if (s->share)
		fprintf(f, "  - \"%s\"\n", w->depot);
	if (s->stick >= 0)
		fprintf(f, "  - \"%s\"\n", w->stick[s->stick]);
	fflush(f);
	if (ftruncate(fileno(f), ftell(f)) < 0)
		abort();
	fclose(f);
}

void world_enrol(struct world *w, struct station *s)
{
	bool calm = w->calm;
	int64_t skew = w->skew;
	char code[256];

	/* A beginning that fails is another story; and a code has a day until which it is good. */
	w->calm = true;
	w->skew = s->skew = 0;
	look_server(w, "invite", s->name, NULL);
	code_read(w, code, sizeof(code));
	if (station(w, s, "enrol", code, "--depot", w->depot, "--name", s->name, NULL) != 0 ||
	    server(w, "collect", NULL) != 0)
		world_fail(w, "%s cannot enrol", s->name);
	server(w, "publish", NULL);
	oracle_published(w);
	oracle_ran(w, s, station(w, s, "apply", NULL));
	depots_set(w, s);
	server(w, "collect", NULL);
	w->calm = calm;
	w->skew = skew;
}

static void path_put(char dst[PATH], const char *dir, const char *below, const char *name)
{
	char path[PATH];

	if (snprintf(path, PATH, "%s/%s/%s", dir, below, name) >= PATH)
		abort();
	memcpy(dst, path, PATH);
}

static void station_make(struct world *w, int i)
{
	struct station *s = &w->station[i];

	snprintf(s->name, sizeof(s->name), "w%d", i);
	snprintf(s->dir, sizeof(s->dir), "%.200s/w%d", w->dir, i);
	s->stick = i == 0 ? -1 : i % STICKS;
	s->share = i != 2;
	for (int c = 0; c < CHANNELS; c++)
		path_put(s->target[c].dir, s->dir, "root/srv", w->channel[c].name);
	world_enrol(w, s);
}

static void channel_make(struct world *w, int i)
{
	static const char *const names[CHANNELS] = {"office", "tools"};
	struct channel *c = &w->channel[i];
	char path[PATH + 16], target[64], top[PATH];

	snprintf(c->name, sizeof(c->name), "%s", names[i]);
	path_put(top, w->dir, "src", "");
	path_put(c->source, w->dir, "src", names[i]);
	mkdir(top, 0755);
	mkdir(c->source, 0755);
	for (int n = 0; n < 4; n++) {
		snprintf(path, sizeof(path), "%s/%c", c->source, 'a' + n);
		content_write(w, path, (size_t)(n * 700));
	}
	snprintf(target, sizeof(target), "/srv/%s", c->name);
	if (server(w, "channel", "add", c->name, "--source", c->source, "--target", target, NULL))
		world_fail(w, "no channel");
}

static void site_make(struct world *w)
{
	const char *argv[] = {"satchel", "init",    w->site,  "--name",
			      "Acme",    "--depot", w->depot, NULL};

	if (run(w, w->now, false, argv) != 0)
		world_fail(w, "no site");
}

/* The second line of a secret key file is the key. */
static void keys_note(struct world *w)
{
	static const char *const roles[] = {"root", "publish", "private", "beat", "collect"};
	char path[PATH + 64], line[400];

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s.state/keys/%s.key", w->site, roles[i]);
		f = fopen(path, "r");
		if (f == NULL || fgets(line, sizeof(line), f) == NULL ||
		    fgets(line, sizeof(line), f) == NULL || strlen(line) < 150)
			world_fail(w, "no key in %s", path);
		fclose(f);
		secret_add(w, (const uint8_t *)line + 100);
	}
}

void world_make(struct world *w)
{
	w->random = w->seed * 0x2545f4914f6cdd1du + 1;
	w->now = BEGINNING;
	w->calm = true;
	snprintf(w->out, sizeof(w->out), "%.200s/out", w->dir);
	snprintf(w->depot, sizeof(w->depot), "%.200s/depot", w->dir);
	for (int i = 0; i < STICKS; i++) {
		snprintf(w->stick[i], PATH, "%.200s/stick%d", w->dir, i);
		mkdir(w->stick[i], 0755);
	}
	snprintf(w->site, sizeof(w->site), "%.200s/site", w->dir);
	site_make(w);
	for (int i = 0; i < CHANNELS; i++)
		channel_make(w, i);
	for (int i = 0; i < STATIONS; i++)
		station_make(w, i);
	keys_note(w);
	if (server(w, "channel", "seal", w->channel[CHANNELS - 1].name, NULL) != 0)
		world_fail(w, "the channel cannot be sealed");
	w->calm = false;
}
