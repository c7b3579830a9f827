/* SPDX-License-Identifier: ISC */
/*
 * A small world in which satchel lives for months: a server with its home depot, workstations,
 * sticks that people carry, people who write, and what goes wrong.  Everything follows from one
 * seed.  world.c makes it and runs commands, moves.c and harm.c say what can happen, oracle.c knows
 * what was published and what people wrote, and says what must never be.
 */
#ifndef SATCHEL_TESTS_SIM_LIFE_H
#define SATCHEL_TESTS_SIM_LIFE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "core/base/digest.h"
#include "core/base/list.h"
#include "tests/seam/seam.h"

#define STATIONS 3
#define STICKS   3
#define CHANNELS 2
#define PATH     512

/* One entry of a tree: what the promise of a bundle is about. */
struct entry {
	char *path;           /* owned; relative */
	char kind;            /* 'f', 'd', 'l' */
	mode_t mode;          /* permission bits; 0 of links */
	int64_t mtime;        /* nanoseconds; of files */
	struct digest digest; /* content, or a link's target */
};
struct tree LIST_MEMBERS(struct entry);

/** tree_read(dir, ret): everything below ${dir} but what is satchel's own, in order of path; a
 * ${dir} that is absent is an empty tree. */
void tree_read(const char *dir, struct tree *ret);
/** tree_read_all(dir, ret): likewise, with what is satchel's own. */
void tree_read_all(const char *dir, struct tree *ret);
/** tree_names(dir, ret): the paths of its files, unread. */
void tree_names(const char *dir, struct strings *ret);
void tree_clear(struct tree *t);
const struct entry *tree_find(const struct tree *t, const char *path);
/** entry_same(a, b): either may be NULL, for nothing. */
bool entry_same(const struct entry *a, const struct entry *b);
/** tree_remove(dir), tree_copy(from, to): all of it; a copy keeps modes and times. */
void tree_remove(const char *dir);
void tree_copy(const char *from, const char *to);

/* What was published under a number. */
struct published {
	uint64_t generation;
	struct tree tree;
};

struct channel {
	char name[16];
	char source[PATH];
	LIST(struct published) published; /* in the order of publishing */
	uint64_t newest;                  /* by the registry */
};

/* What a workstation has of a channel. */
struct target {
	char dir[PATH];
	struct strings dirty; /* paths that a person has changed since they were last right */
	LIST(uint64_t) right; /* generations that were seen on disk in full, after a run */
};

/* Who reads receipts cannot know that a machine was set back before it has run, and its receipt was
 * read. */
enum blind { SEEING, BLIND_UNTIL_RUN, BLIND_UNTIL_READ };

struct station {
	char name[16];
	char dir[PATH];
	int stick;    /* the medium it reads beside its share; -1: none */
	bool share;   /* does it reach the home depot? */
	int64_t skew; /* its clock, seconds off */
	struct target target[CHANNELS];
	LIST(struct digest) written; /* what people wrote and did not remove themselves */
	enum blind blind;
	struct station *copy; /* owned: what the oracle knew when it was copied; or NULL */
};

/* What must never be in a depot. */
#define SECRET 24
struct secret {
	uint8_t b[SECRET];
};
struct secrets {
	LIST(struct secret) secret;
	struct strings seen; /* names of files that were searched */
};

struct world {
	uint64_t seed, random;
	long step;
	int64_t now, skew; /* true time; the server's clock, seconds off */
	char dir[PATH], site[PATH], depot[PATH], out[PATH];
	char stick[STICKS][PATH];
	struct channel channel[CHANNELS];
	struct station station[STATIONS];
	long calls[8];                  /* of the last run of each kind of command */
	bool record;                    /* the next commands go into the log of the seam */
	const struct seam_order *meets; /* the fault that the next commands meet; NULL: by chance */
	struct seam_result met;         /* what came of the last command */
	bool calm;                      /* the faults have stopped */
	bool asked;                     /* the server did something since the oracle looked */
	bool copied;                    /* there is an older copy of the server */
	bool old;                       /* it is the server, or was until it recovered */
	bool told;                      /* every command is printed */
	uint64_t commands, faults;
	uint64_t words; /* contents made so far */
	struct secrets secrets;
	FILE *log;
};

/** pick(w, n): a number below ${n}. */
uint64_t pick(struct world *w, uint64_t n);
/** chance(w, percent): true in so many of a hundred cases. */
bool chance(struct world *w, unsigned percent);
/** world_say(w, fmt, ...): a line of the log.  world_fail: likewise, and the seed has failed. */
void world_say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void world_fail(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** world_make(w): directories, a site, channels, workstations that are enrolled. */
void world_make(struct world *w);
/** world_enrol(w, s): an invitation, a request, and what answers it. */
void world_enrol(struct world *w, struct station *s);
/** server(w, words...), station(w, s, words...): a command, ended by NULL; it may meet a fault
 * unless the world is calm.  Returns its exit status, or -1 when a fault met it.  What it said is
 * in w->out.  look_server, look_station: without faults, for who only looks. */
int server(struct world *w, ...) __attribute__((sentinel));
int station(struct world *w, struct station *s, ...) __attribute__((sentinel));
int look_server(struct world *w, ...) __attribute__((sentinel));
int look_station(struct world *w, struct station *s, ...) __attribute__((sentinel));
/** bring(w, from, to): between two depots, by somebody's machine. */
int bring(struct world *w, const char *from, const char *to);

/** content_write(w, path, n): a new file of ${n} bytes that are nowhere else. */
struct digest content_write(struct world *w, const char *path, size_t n);
/** secret_add(w, p): SECRET bytes that must never be in a depot.  secret_file(w, path): likewise,
 * out of the middle of a file that content_write made, when it is long enough.  secrets_check(w):
 * are they there?  secrets_clear(w) forgets them. */
void secret_add(struct world *w, const uint8_t *p);
void secret_file(struct world *w, const char *path);
void secrets_check(struct world *w);
void secrets_clear(struct world *w);

/** move_any(w): something happens. */
void move_any(struct world *w);
/** harm_depot(w), harm_state(w), harm_clock(w), harm_stick(w), harm_old(w): something goes wrong.
 */
void harm_depot(struct world *w);
void harm_state(struct world *w);
void harm_clock(struct world *w);
void harm_stick(struct world *w);
void harm_old(struct world *w);
/** harm_server(w): the server is copied, or is an older copy of itself again. */
void harm_server(struct world *w);

/** heal(w): the faults have stopped; world_fail() unless all is well after three rounds. */
void heal(struct world *w);

/** oracle_published(w): after everything that may have published. */
void oracle_published(struct world *w);
/** oracle_ran(w, s, status): after a run of a workstation. */
void oracle_ran(struct world *w, struct station *s, int status);
/** oracle_changed(w, s, c, path): a person changed it. */
void oracle_changed(struct world *w, struct station *s, int c, const char *path);
/** oracle_wrote(w, s, digest), oracle_removed(w, s, path): content that a person wrote, or is about
 * to remove or replace. */
void oracle_wrote(struct world *w, struct station *s, const struct digest *d);
void oracle_removed(struct world *w, struct station *s, const char *path);
/** oracle_server_old(w): the server is an older copy of itself; its numbers may go back.
 * oracle_recovered(w): it knows that, and numbers may rise without anything published. */
void oracle_server_old(struct world *w);
void oracle_recovered(struct world *w);
/** oracle_collected(w): the server has read what the home depot holds.  oracle_copy(w, s),
 * oracle_set_back(w, s): the machine was copied, and is that copy again. */
void oracle_collected(struct world *w);
void oracle_copy(struct world *w, struct station *s);
void oracle_set_back(struct world *w, struct station *s);
/** oracle_forget(w, s): the machine is another one, or an older one. */
void oracle_forget(struct world *w, struct station *s);
/** oracle_step(w): what must be true after every step. */
void oracle_step(struct world *w);
/** oracle_healthy(w): is everything green, and right?  ${w->out} has the status. */
/** oracle_green(w, s): is this one green, and rightly so? */
bool oracle_green(struct world *w, struct station *s);
bool oracle_healthy(struct world *w);
void oracle_clear(struct world *w);

#endif
