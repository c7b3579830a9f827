/* SPDX-License-Identifier: ISC */
/*
 * Inside of carry: what both depots hold is listed directory by directory, judged, and becomes a
 * list of moves; then the moves are made, in an order in which nothing is named before it is there.
 *
 *   carry.c        the run: whose depots, plan, both ways
 *   carry_list.c   the names of one directory on both sides
 *   carry_trust.c  the chain of trust documents  carry_beat.c  the newest beats
 *   carry_shard.c  what the kept beats lead to; is a file older than that?
 *   carry_plan.c   documents, and the order of planning
 *   carry_inbox.c  what strangers may have put there: quotas
 *   carry_head.c   the heads of a channel  carry_group.c  bundles and their parts
 *   carry_source.c bundles as bytes: read, verified block by block, copied, cut, joined
 *   carry_direction.c  one direction: space first, then move by move
 */
#ifndef SATCHEL_CORE_DEPOT_CARRY_CARRY_INTERNAL_H
#define SATCHEL_CORE_DEPOT_CARRY_CARRY_INTERNAL_H

#include "core/depot/carry/carry.h"
#include "core/format/bundle/bundle.h"

enum at { AT_FROM, AT_TO, ATS };

/* Beats that are kept: as many as a server leaves in its depot. */
#define CARRY_BEATS 8
/* Documents of one kind that are read, and directories of one kind that are looked into: a flood
 * of junk that claims to be newer must end. */
#define CARRY_TRIES 100000u
#define CARRY_DIRS  20000u

/* The names of one directory that could be ours, on both sides; ascending by name. */
struct listed {
	uint32_t name; /* offset in text */
	bool there[ATS];
	uint64_t size[ATS];
};
struct merged_listing {
	struct buf text;    /* names with NUL; owned */
	struct listed *row; /* owned */
	size_t rows, room;
};

/* What is known of the site, from documents that verify. */
struct carry_known {
	bool chain; /* a chain of trust documents begins here; without it nothing is judged */
	struct trust trust;
	bool beat; /* there is a beat that verifies */
	uint64_t sequence;
	/* What the kept beats name: shards by identity, and from these rows. */
	struct known_shard {
		struct digest identity;
		uint8_t xx;
		bool newest, found;
	} * shard; /* owned */
	size_t shards;
	bool seen[256]; /* the newest beat's shard is here, or it has none of that number */
	struct known_channel {
		char name[CHANNEL_NAME];
		uint64_t epoch, generation;
		struct digest head;
		bool newest, found;
	} * channel; /* owned; ascending by name */
	size_t channels, channels_room;
	struct known_workstation {
		char id[WORKSTATION_ID + 1];
		uint64_t epoch, generation, receipt;
		bool newest;
	} * workstation; /* owned; ascending by id */
	size_t workstations, workstations_room;
};

enum move_how { MOVE_COPY, MOVE_REMOVE };
struct move {
	uint32_t path; /* offset in paths */
	uint8_t kind;  /* enum name_kind */
	uint8_t how, to;
	uint64_t size; /* bytes that are written */
};

/* Percent of a depot's budget that each step leaves for what comes after it; the last of them for
 * the moves. */
enum carry_floor {
	FLOOR_MOVES = 0,
	FLOOR_CHANNELS = 40,
	FLOOR_PRIVATE = 50,
	FLOOR_INBOX = 60,
	FLOOR_SHARDS = 70, /* from here on: what is known of the site */
	FLOOR_BEATS = 80,
	FLOOR_TRUST = 90,
};

struct document;
struct carry_run {
	const struct carry *c;
	struct depot *depot[ATS]; /* owned; TO may be absent in a dry run or a list */
	bool marked[ATS];         /* has a marker */
	bool volume[ATS];  /* is one volume of several: takes only what belongs into an inbox */
	bool newer[ATS];   /* of a volume: the other side has something newer */
	uint64_t withheld; /* files that were not written into TO, because it is a volume */
	struct carry_known known; /* owned */
	struct buf paths;         /* owned: with NUL */
	struct move *move;        /* owned */
	size_t moves, moves_room;
	unsigned tries;     /* left */
	unsigned floor;     /* enum carry_floor */
	bool uncertain;     /* what is known of the site may be old: nothing is removed by it */
	unsigned strangers; /* requests that were taken of ids that the site does not list */
	uint64_t done, total, items, items_total; /* of the way that is gone, for the progress */
	struct carry_result *result;
	struct err refused;    /* the first that was refused */
	struct err missing;    /* the first that is not whole */
	struct err unreadable; /* the first directory that was not, or not all, compared */
};

/** workstation_listed(r, id): does the site list this workstation?  True when that is not known
 * here, because the newest shard is not. */
bool workstation_listed(const struct carry_run *r, const char *id);

/** run_clear(r): end both helpers and release the plan; for OWNED. */
void run_clear(struct carry_run *r);

/** carry_fatal(rc): of no use to go on with this depot? */
bool carry_fatal(int rc);
/**
 * carry_refuse(r, why, err): count what is not signed by the site, or not ours; the first reason is
 * kept.  What carry_fatal names (no memory, no answer) says nothing about a file, and is returned.
 * carry_lack(r, fmt, ...): the same for what is not whole on any side.
 */
int carry_refuse(struct carry_run *r, const struct err *why, struct err *err);
void carry_lack(struct carry_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/**
 * carry_enough(r, dir): has so much been read, or waited for, that what is left of ${dir} must stay
 * as it is?  Then that is noted in r->unreadable, and in r->uncertain.  A depot whose budget is
 * over is of no use any more, so each step of planning ends while there is some left for the next
 * ones and for the moves. carry_read(r, d): a document of ${d} proved good, or is one that a quota
 * has room for: it wins its depots' time back.
 */
bool carry_enough(struct carry_run *r, const char *dir);
void carry_read(struct carry_run *r, const struct document *d);

/* carry_list.c */
/**
 * carry_list(r, dir, ret, err): the files of both sides that could be ours, ascending by name; the
 * caller clears ${ret}.  A directory that cannot be listed on one side is noted in r->unreadable,
 * and counts as empty on both: else all of it would be copied.  Errors: those that carry_fatal
 * names.
 */
int carry_list(struct carry_run *r, const char *dir, struct merged_listing *ret, struct err *err);
/** carry_dirs(r, dir, fits, ret, err): likewise those of its sub-directories whose names fit; of
 * more than CARRY_DIRS those of channels that the site has. */
int carry_dirs(struct carry_run *r, const char *dir, bool (*fits)(const char *name),
	       struct merged_listing *ret, struct err *err);
/** listed_name(l, row): borrowed from ${l}.  merged_listing_clear(l): release; for OWNED. */
const char *listed_name(const struct merged_listing *l, const struct listed *row);
void merged_listing_clear(struct merged_listing *l);

/* A document of both sides. */
enum state { ABSENT, INCOMPLETE, WHOLE };
struct document {
	char path[DEPOT_NAME];
	struct name name;
	enum state state[ATS];
	struct buf content;    /* owned; of the whole one */
	struct signed_doc doc; /* borrows from content */
};
/** document_clear(d): release the content; what borrows from it ends.  For OWNED. */
void document_clear(struct document *d);
/** carry_document(r, path, row, max, ret, err): read what is there.  1: whole on some side, 0: not.
 */
int carry_document(struct carry_run *r, const char *path, const struct listed *row, size_t max,
		   struct document *ret, struct err *err);
/** carry_plan_document(r, d, err): to where it is not whole. */
int carry_plan_document(struct carry_run *r, const struct document *d, struct err *err);
/**
 * carry_plan_stale(r, path, name, row, err): counted and left, or removed from TO with
 * CARRY_PRUNE.
 */
int carry_plan_stale(struct carry_run *r, const char *path, const struct name *name,
		     const struct listed *row, struct err *err);
/** carry_plan_to(r, to, path, name, size, err): a copy, when it is wanted there. */
int carry_plan_to(struct carry_run *r, enum at to, const char *path, const struct name *name,
		  uint64_t size, struct err *err);
/**
 * carry_move(r, how, to, path, kind, size, err): add one move to the plan; ${path} is copied,
 * ${size} is the bytes that will be written.  Errors: RC_MEMORY; RC_LIMIT: more paths than 4 GiB.
 */
int carry_move(struct carry_run *r, enum move_how how, enum at to, const char *path,
	       enum name_kind kind, uint64_t size, struct err *err);

/* carry_trust.c, carry_beat.c, carry_shard.c */
/**
 * What is known of the site, in this order, since each step is verified with what the one before
 * found.
 * carry_known_trust(r, err): the chain from version 1 on, as long as each follows from the one
 * before; without it r->known.chain is false.
 * carry_known_beats(r, err): the newest CARRY_BEATS that verify; whatever is older is stale.
 * carry_known_shards(r, err): the shards of these beats, and from them channels and workstations,
 * sorted.
 * All three plan these documents as well, and give up after CARRY_TRIES of them.  Errors: those
 * that carry_fatal names.
 */
int carry_known_trust(struct carry_run *r, struct err *err);
int carry_known_beats(struct carry_run *r, struct err *err);
int carry_known_shards(struct carry_run *r, struct err *err);
/** carry_signed(r, d, type, role, err): is it a "beat", "head", ... of any format, signed by the
 * role, also with a retired key?
 * RC_UNTRUSTED, RC_MALFORMED; RC_REPLAY: with a key that was revoked or is no longer good. */
int carry_signed(struct carry_run *r, struct document *d, const char *type, enum role role,
		 struct err *err);

enum verdict { VERDICT_CARRY, VERDICT_STALE };
/**
 * Is it older than what the kept beats lead to?  What cannot be judged is carried.
 * verdict_head(r, n, identity): ${identity} (NULL: not known) must be the head's that they name.
 * verdict_private(r, n): by epoch and generation.  verdict_inbox(r, n): a receipt that the newest
 * beat acknowledges.
 */
enum verdict verdict_head(const struct carry_run *r, const struct name *n,
			  const struct digest *identity);
enum verdict verdict_private(const struct carry_run *r, const struct name *n);
enum verdict verdict_inbox(const struct carry_run *r, const struct name *n);
/** known_newest(k, channel): its row in the newest beat, or NULL. */
const struct known_channel *known_newest(const struct carry_known *k, const char *channel);
/** known_clear(k): release its rows; what was read from the trust documents stays. */
void known_clear(struct carry_known *k);

/* carry_volume.c, carry_listing.c */
/* The listing of a volume: what of the bundles lies on which of them.  It is signed by nobody, and
 * only says what to ask for. */
#define VOLUMES_MAX 9999u
struct volumes {
	uint32_t volume, of;
	struct volumes_row {
		uint32_t volume;
		char path[DEPOT_NAME];
	} * row; /* owned */
	size_t rows;
};
/** volumes_clear(v): release the rows; ${v} is empty again.  For OWNED. */
void volumes_clear(struct volumes *v);
/**
 * volumes_parse(in, ret, err): Errors: RC_MALFORMED: anything but the form of docs/CARRY.md;
 * RC_MEMORY.
 * volumes_write(v, ret, err): the reverse, appended to ${ret}; rows beyond LIMIT_DOCUMENT are left
 * out.
 */
int volumes_parse(struct bytes in, struct volumes *ret, struct err *err);
int volumes_write(const struct volumes *v, struct buf *ret, struct err *err);

/** carry_volume_is(r, at, err): is the depot one volume of several (r->volume)?  Only when it holds
 * one listing, that is whole, and lacks something that this places on another volume.  Said, and so
 * is a listing that does not count. */
int carry_volume_is(struct carry_run *r, enum at at, struct err *err);
/** carry_volumes_told(r, rc, err): after a carry that ended with ${rc}: RC_INCOMPLETE when TO is a
 * volume and not all was written into it. */
int carry_volumes_told(struct carry_run *r, int rc, struct err *err);
/** carry_volumes_missing(r, err): after a carry from a volume: what has still to come. */
int carry_volumes_missing(struct carry_run *r, struct err *err);
/** carry_begin(r, err): open, find the site, plan. */
int carry_begin(struct carry_run *r, struct err *err);

/* carry_inbox.c */
/** carry_inbox(r, dir, err): plan one directory of the inbox. */
int carry_inbox(struct carry_run *r, const char *dir, struct err *err);

/* carry_plan.c */
/**
 * carry_plan(r, err): what is known, then the moves of every area of a depot.  Reads, and writes
 * nothing.
 */
int carry_plan(struct carry_run *r, struct err *err);

/* carry_head.c */
/* One channel's directory, and what its heads lead to. */
struct heads {
	struct carry_run *r;
	const char *dir;
	struct merged_listing l;         /* owned */
	bool unknown;                    /* some head cannot be read: anything may be needed */
	char (*needed)[DIGEST_NAME + 1]; /* owned; ascending */
	size_t n, room;
};
/** heads_clear(c): release what it read; for OWNED. */
void heads_clear(struct heads *c);
/** heads_path(c, row, dst): the whole path of a row of c->l. */
void heads_path(const struct heads *c, const struct listed *row, char dst[DEPOT_NAME]);
/** heads_read(c, err): judge and plan the heads of c->l. */
int heads_read(struct heads *c, struct err *err);
/**
 * heads_stale(c, n): is a bundle of this name older than what they lead to?  False while anything
 * is unknown.
 */
bool heads_stale(const struct heads *c, const struct name *n);

/* carry_group.c */
/**
 * carry_channel(r, dir, err): plan the heads of the channel's directory ${dir}, and the bundles
 * that they lead to.
 */
int carry_channel(struct carry_run *r, const char *dir, struct err *err);
/** carry_private(r, dir, err): one directory of private bundles. */
int carry_private(struct carry_run *r, const char *dir, struct err *err);

/* carry_source.c */
/* A bundle, or a part of one, as it lies in a depot: prefix, then blocks. */
struct carry_source {
	enum at at;
	char path[DEPOT_NAME];
	struct name name;
	struct buf prefix;       /* owned; fits the name, and is signed when that can be checked */
	struct bundle_form form; /* in it */
	size_t offset;           /* of its first block in the file */
	uint64_t first, count;   /* blocks that it holds */
	uint64_t size;           /* bytes that the file must have */
};
/** source_clear(s): release the prefix; all zero afterwards.  For OWNED. */
void source_clear(struct carry_source *s);
/** source_open(r, at, path, ret, err): read and check the prefix.  RC_INCOMPLETE: it does not fit
 * the name, or the file has another size than it says; RC_UNTRUSTED, RC_REPLAY. */
int source_open(struct carry_run *r, enum at at, const char *path, struct carry_source *ret,
		struct err *err);
/** source_check(r, s, all, err): the last block, or all: a copy that was broken off lacks its end,
 * also when the space for it was taken beforehand. */
int source_check(struct carry_run *r, const struct carry_source *s, bool all, struct err *err);
/** carry_bundle(r, to, path, err): write a bundle or a part of one from what is at hand: from the
 * whole one, from a part, from parts on both sides.  Each block is verified before it is written.
 */
int carry_bundle(struct carry_run *r, enum at to, const char *path, struct err *err);
/** part_blocks(max, prefix): blocks of each part, so that it has at most ${max} bytes; 0: none. */
uint32_t part_blocks(uint64_t max, size_t prefix);

/* carry_direction.c */
/** carry_progress(r, n): ${n} bytes more are written. */
void carry_progress(struct carry_run *r, size_t n);
/** carry_allocated(size): bytes that a file takes.  carry_sort(r): the moves in the order in which
 * they are made, whatever the order in which they were found. */
uint64_t carry_allocated(uint64_t size);
void carry_sort(struct carry_run *r);
/**
 * carry_direction(r, to, err): make the moves to ${to}: space first, then in an order in which
 * nothing is named before it is there.  Returns the code that is also in the direction's result.
 */
int carry_direction(struct carry_run *r, enum at to, struct err *err);

#endif
