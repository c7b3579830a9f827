/* SPDX-License-Identifier: ISC */
/*
 * Carry: merge two depots in both directions.  Afterwards each holds the union of the files whose
 * bytes fit their names, so carrying again changes nothing, whatever the order and whoever did it.
 * No key is needed: the trust documents travel in the depots, and what they can be asked about is
 * verified.  Never makes a depot worse: what is not whole, not signed or not ours is left where it
 * is.  Source: docs/CARRY.md.
 */
#ifndef SATCHEL_CORE_DEPOT_CARRY_CARRY_H
#define SATCHEL_CORE_DEPOT_CARRY_CARRY_H

#include "core/depot/depot.h"

enum carry_flags {
	CARRY_DRY_RUN = 1 << 0,   /* look and count, write nothing */
	CARRY_PRUNE = 1 << 1,     /* remove from TO what no beat that is kept leads to */
	CARRY_CHECK = 1 << 2,     /* read also what both sides have with the same size */
	CARRY_CREATE = 1 << 3,    /* make the directory TO (not its parents) when it is absent */
	CARRY_VOLUME = 1 << 4,    /* TO is one volume that is being made (carry_volume) */
	CARRY_NO_LINK = 1 << 5,   /* TO is refused when it is a symbolic link */
	CARRY_UNMOUNTED = 1 << 6, /* TO may be made below a mount point where nothing is mounted */
};

/** What may lie in TO: false leaves a file where it is.  Not asked about the marker, the trust
 * documents, and what lies in the inbox. */
typedef bool carry_wants(void *arg, const char *path, const struct name *name);

struct carry {
	const char *from, *to; /* paths */
	enum carry_flags flags;
	const struct digest *site; /* both must be of this site; NULL: of the same */
	uint64_t max_file;         /* larger bundles lie in TO as parts; 0: no limit */
	carry_wants *wants;        /* NULL: everything */
	void *arg;                 /* of wants */
	int silence_s;             /* 0: LIMIT_DEPOT_SILENCE */
	struct reporter *reporter;
};

/* What became of one direction. */
struct carry_direction {
	uint64_t files, bytes; /* written, or that would be */
	uint64_t pruned;       /* files removed */
	int rc;                /* 0, or why it was not finished */
};

struct carry_result {
	char from_where[4096], to_where[4096]; /* the directories, without links; "": not known */
	struct digest site;
	bool verified;                   /* signatures could be checked */
	uint64_t beat;                   /* sequence of the newest that verifies; 0: none */
	struct carry_direction to, from; /* FROM to TO, and back */
	uint64_t there;                  /* files that both have */
	uint64_t stale;                  /* left where they are: older than what is kept */
	uint64_t unwanted;               /* left where they are: not asked for */
	uint64_t refused;                /* left where they are: not signed by the site */
	uint64_t incomplete;             /* not whole in any of the two */
	uint64_t parts_missing;          /* bundles of which only some parts are at hand */
	uint64_t volume, volumes;        /* FROM is this one of so many; 0: it is none */
	uint64_t volumes_missing;        /* of these, that TO has not got everything of yet */
	char missing[128];               /* their numbers: "2, 5" */
};

/**
 * carry(c, ret, err): both directions, FROM to TO first; a failure of one does not stop the other.
 * ${*ret} is filled in as far as it came, also on failure.
 * Errors, the first that applies: RC_CONFLICT (depots of two sites, or not of ${c->site}), RC_AGAIN
 * (FROM is no depot), RC_IO, RC_TIMEOUT, RC_SPACE (with numbers, before the first byte of that
 * direction; what fits of the inbox, or of the rest, is carried), RC_UNTRUSTED (something was
 * refused; the rest was carried), RC_INCOMPLETE (something that is wanted is not whole anywhere;
 * the rest was carried). Forks: only while the process has one thread.
 */
int carry(const struct carry *c, struct carry_result *ret, struct err *err);

/**
 * Several volumes, because one stick or disc is too small: each is a depot by itself, with marker,
 * trust, beats, shards and heads, and its share of the bundles, cut into parts where one would not
 * fit.  They may be carried from in any order; what is written into a volume later is only what
 * belongs into an inbox.
 * carry_set_make(c, size, ret, err): which file goes where; c->to is not looked at.
 * carry_volume(c, set, n, ret, err): write volume ${n}, from 1, into the directory c->to.
 */
struct carry_set; /* owned */
int carry_set_make(const struct carry *c, uint64_t size, struct carry_set **ret, struct err *err);
/**
 * carry_set_freep(set): NULL is fine.  carry_set_volumes(set): how many volumes it takes; they
 * count from 1.
 */
void carry_set_freep(struct carry_set **set);
size_t carry_set_volumes(const struct carry_set *set);
int carry_volume(const struct carry *c, const struct carry_set *set, size_t n,
		 struct carry_result *ret, struct err *err);
/* The least size of a volume. */
#define CARRY_VOLUME_LEAST (8u << 20)

#endif
