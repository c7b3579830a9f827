/*
 * Inside of carry: what both depots hold is listed directory by directory, judged, and becomes a
 * list of moves; then the moves are made, in an order in which nothing is named before it is there.
 *
 *   carry.c        the run: whose depots, plan, both ways
 *   carry_list.c   the names of one directory on both sides
 *   carry_trust.c  the chain of trust documents, and the beats
 *   carry_shard.c  what the kept beats lead to; is a file older than that?
 *   carry_plan.c   documents and inbox
 *   carry_head.c   the heads of a channel  carry_group.c  bundles and their parts
 *   carry_source.c bundles as bytes: read, verified block by block, copied, cut, joined
 *   carry_way.c    one direction: space first, then move by move
 */
#ifndef SATCHEL_DEPOT_CARRY_INTERNAL_H
#define SATCHEL_DEPOT_CARRY_INTERNAL_H

#include "core/depot/carry.h"
#include "core/format/bundle.h"

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
struct both {
	struct buf text;    /* names with NUL; owned */
	struct listed *row; /* owned */
	size_t rows, room;
};

/* What is known of the site, from documents that verify. */
struct known {
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

struct run {
	const struct carry *c;
	struct depot *depot[ATS]; /* owned; TO may be absent in a dry run or a list */
	bool marked[ATS];         /* has a marker */
	bool
	    volume[ATS]; /* is one volume of several: takes back nothing but what is in the inbox */
	struct known known; /* owned */
	struct buf paths;   /* owned: with NUL */
	struct move *move;  /* owned */
	size_t moves, moves_room;
	unsigned tries;                           /* left */
	uint64_t done, total, items, items_total; /* of the way that is gone, for the progress */
	struct carry_result *result;
	struct err odd;     /* the first that was refused */
	struct err lacking; /* the first that is not whole */
	struct err blind;   /* the first directory that could not be listed */
};

void run_clear(struct run *r);

/** carry_fatal(rc): of no use to go on with this depot? */
bool carry_fatal(int rc);
/** carry_refuse(r, err), carry_lack(r, fmt, ...): count, and keep the first. */
void carry_refuse(struct run *r, const struct err *why);
void carry_lack(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* carry_list.c */
/** carry_list(r, dir, ret, err): both sides.  A directory that cannot be listed is noted in
 * r->blind, and counts as empty on both. */
int carry_list(struct run *r, const char *dir, struct both *ret, struct err *err);
/** carry_dirs(r, dir, ret, err): likewise its sub-directories. */
int carry_dirs(struct run *r, const char *dir, struct both *ret, struct err *err);
const char *listed_name(const struct both *l, const struct listed *row);
void both_clear(struct both *l);

/* A document of both sides. */
enum state { ABSENT, TORN, WHOLE };
struct document {
	char path[DEPOT_NAME];
	struct name name;
	enum state state[ATS];
	struct buf content;    /* owned; of the whole one */
	struct signed_doc doc; /* borrows from content */
};
void document_clear(struct document *d);
/** carry_document(r, path, row, max, ret, err): read what is there.  1: whole on some side, 0: not.
 */
int carry_document(struct run *r, const char *path, const struct listed *row, size_t max,
		   struct document *ret, struct err *err);
/** carry_plan_document(r, d, err): to where it is not whole. */
int carry_plan_document(struct run *r, const struct document *d, struct err *err);
/** carry_plan_stale(r, path, row): leave it, or remove it from TO. */
int carry_plan_stale(struct run *r, const char *path, const struct name *name,
		     const struct listed *row, struct err *err);
/** carry_plan_to(r, to, path, name, size, err): a copy, when it is wanted there. */
int carry_plan_to(struct run *r, enum at to, const char *path, const struct name *name,
		  uint64_t size, struct err *err);
int carry_move(struct run *r, enum move_how how, enum at to, const char *path, enum name_kind kind,
	       uint64_t size, struct err *err);

/* carry_trust.c, carry_shard.c */
int carry_known_trust(struct run *r, struct err *err);
int carry_known_beats(struct run *r, struct err *err);
int carry_known_shards(struct run *r, struct err *err);
/** carry_signed(r, d, type, role, err): is it a "beat", "head", ... of any format, signed by the
 * role, also with a retired key?
 * RC_UNTRUSTED, RC_MALFORMED; RC_REPLAY: with a key that was revoked or is no longer good. */
int carry_signed(const struct run *r, struct document *d, const char *type, enum role role,
		 struct err *err);

enum verdict { VERDICT_CARRY, VERDICT_STALE };
/** verdict_*: older than what the kept beats lead to?  What cannot be judged is carried. */
enum verdict verdict_head(const struct run *r, const struct name *n, const struct digest *identity);
enum verdict verdict_private(const struct run *r, const struct name *n);
enum verdict verdict_inbox(const struct run *r, const struct name *n);
/** known_newest(k, channel): its row in the newest beat, or NULL. */
const struct known_channel *known_newest(const struct known *k, const char *channel);
void known_clear(struct known *k);

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
void volumes_clear(struct volumes *v);
/** volumes_parse(in, ret, err): RC_MALFORMED.  volumes_write: the reverse; rows beyond
 * LIMIT_DOCUMENT are left out. */
int volumes_parse(struct bytes in, struct volumes *ret, struct err *err);
int volumes_write(const struct volumes *v, struct buf *ret, struct err *err);

/** carry_volume_is(d, ret, err): is the depot one volume of several? */
int carry_volume_is(struct depot *d, bool *ret, struct err *err);
/** carry_volumes_missing(r, err): after a carry from a volume: what has still to come. */
int carry_volumes_missing(struct run *r, struct err *err);
/** carry_begin(r, err): open, find the site, plan. */
int carry_begin(struct run *r, struct err *err);

/* carry_plan.c */
int carry_plan(struct run *r, struct err *err);

/* carry_head.c */
/* One channel's directory, and what its heads lead to. */
struct heads {
	struct run *r;
	const char *dir;
	struct both l;                   /* owned */
	bool unknown;                    /* some head cannot be read: anything may be needed */
	char (*needed)[DIGEST_NAME + 1]; /* owned; ascending */
	size_t n, room;
};
void heads_clear(struct heads *c);
/** heads_path(c, row, dst): the whole path of a row of c->l. */
void heads_path(const struct heads *c, const struct listed *row, char dst[DEPOT_NAME]);
/** heads_read(c, err): judge and plan the heads of c->l. */
int heads_read(struct heads *c, struct err *err);
/** heads_stale(c, name): is a bundle older than what they lead to? */
bool heads_stale(const struct heads *c, const struct name *n);

/* carry_group.c: one channel's directory. */
int carry_channel(struct run *r, const char *dir, struct err *err);
/** carry_private(r, dir, err): one directory of private bundles. */
int carry_private(struct run *r, const char *dir, struct err *err);

/* carry_source.c */
/* A bundle, or a part of one, as it lies in a depot: prefix, then blocks. */
struct source {
	enum at at;
	char path[DEPOT_NAME];
	struct name name;
	struct buf prefix;       /* owned; fits the name, and is signed when that can be checked */
	struct bundle_form form; /* in it */
	size_t offset;           /* of its first block in the file */
	uint64_t first, count;   /* blocks that it holds */
	uint64_t size;           /* bytes that the file must have */
};
void source_clear(struct source *s);
/** source_open(r, at, path, ret, err): read and check the prefix.  RC_INCOMPLETE: it does not fit
 * the name, or the file has another size than it says; RC_UNTRUSTED, RC_REPLAY. */
int source_open(struct run *r, enum at at, const char *path, struct source *ret, struct err *err);
/** source_check(r, s, all, err): the last block, or all: a copy that was broken off lacks its end,
 * also when the space for it was taken beforehand. */
int source_check(struct run *r, const struct source *s, bool all, struct err *err);
/** carry_bundle(r, to, path, err): write a bundle or a part of one from what is at hand: from the
 * whole one, from a part, from parts on both sides.  Each block is verified before it is written.
 */
int carry_bundle(struct run *r, enum at to, const char *path, struct err *err);
/** part_blocks(max, prefix): blocks of each part, so that it has at most ${max} bytes; 0: none. */
uint32_t part_blocks(uint64_t max, size_t prefix);

/* carry_way.c */
/** carry_progress(r, n): ${n} bytes more are written. */
void carry_progress(struct run *r, size_t n);
/** carry_allocated(size): bytes that a file takes. */
uint64_t carry_allocated(uint64_t size);
/** carry_way(r, to, err): one direction. */
int carry_way(struct run *r, enum at to, struct err *err);

#endif
