/*
 * Inside of collect.  Files of the inbox go through these hands:
 *
 *   listed -> skipped (known by its name, or to be tried later)
 *          -> read (bounded) -> opened by the confined child -> verified, decoded and recorded here
 *          -> removed from the depot, after what was recorded is durable
 */
#ifndef SATCHEL_BUNDLER_COLLECT_INTERNAL_H
#define SATCHEL_BUNDLER_COLLECT_INTERNAL_H

#include "bundler/collect.h"
#include "core/depot/depot.h"
#include "core/os/child.h"

/* What opener_ask got back. */
struct opened {
	int rc;               /* 0, or why the file is refused */
	char why[256];        /* then: a sentence; written by the child, so foreign */
	struct buf doc;       /* owned; the signed document that was sealed */
	struct buf canonical; /* owned; requests: its innermost bytes, encoded again */
};
void opened_clear(struct opened *o);

/*
 * The child that unseals and, for requests, parses: it holds the collect keys and one socket, and
 * may do nothing else.  It is started again when it dies.
 */
struct opener {
	struct site *s; /* borrowed */
	struct child child;
	unsigned deaths;
};
int opener_start(struct opener *o, struct site *s, struct err *err);
void opener_end(struct opener *o);
/** opener_ask(o, kind, sealed, ret, err): negative only when no child can be had at all. */
int opener_ask(struct opener *o, enum name_kind kind, struct bytes sealed, struct opened *ret,
	       struct err *err);
/** opener_serve(keys, n, kind, sealed, ret): what the child does for one file; for the fuzzer. */
void opener_serve(struct key_secret *const *key, size_t n, enum name_kind kind, struct bytes sealed,
		  struct opened *ret);

/* Faults of a run by kind and subject, so that a flood becomes one event. */
struct tally {
	struct tally_row {
		char kind[32];
		char about[WORKSTATION_NAME];
		char text[512]; /* of the last one */
		uint64_t count;
	} * row; /* owned */
	size_t n, cap;
};
void tally_clear(struct tally *t);
int tally_add(struct tally *t, const char *kind, const char *about, const char *text,
	      struct err *err);
/** tally_flush(t, db, err): into events, in the caller's transaction; empties it. */
int tally_flush(struct tally *t, struct db *db, struct err *err);

struct collect {
	struct site *s;       /* borrowed */
	struct depot *depot;  /* owned */
	struct opener opener; /* owned */
	struct tally tally;   /* owned */
	struct collect_counts counts;
	int64_t now;
	uint64_t budget;    /* files that may still be read in this run */
	uint32_t names_max; /* of one directory that are held in memory */
	int64_t remembered; /* rows of `inbox` */
	bool more;          /* not everything was looked at */
	bool cannot_remove; /* said once */
	struct err unread;  /* why a directory could not be listed; the others were */
};

/* What became of a file. */
enum fate {
	FATE_RECORDED, /* new */
	FATE_KNOWN,    /* nothing new in it */
	FATE_REFUSED,  /* an event says why */
	FATE_LATER,    /* stays where it is */
};

/* Whose key a file's name says to try. */
struct sender {
	char name[WORKSTATION_NAME];
	char state[16]; /* of table workstation */
	struct key_public sign;
	int64_t last;       /* sequence of the newest receipt, 0: none */
	int64_t last_event; /* number of the newest event recorded */
	int64_t
	    confirmed; /* of the receipt that the newest confirmation code stands for, 0: none */
};
/** record_sender(s, id, ret, err): 1 when a workstation with this id was ever enrolled. */
int record_sender(struct site *s, const char *id, struct sender *ret, struct err *err);
/** record_believes(from): does what it says count? */
bool record_believes(const struct sender *from);
/** record_refuse(c, from, kind, ret, err, fmt, ...): FATE_REFUSED, and why; ${from} NULL: nobody
 * known. */
#define RECORD_STRANGERS "strangers"
int record_refuse(struct collect *c, const struct sender *from, const char *kind, enum fate *ret,
		  struct err *err, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/**
 * record_receipt(c, name, doc, ret, err), record_request(c, name, opened, ret, err):
 * In a transaction.  Negative: the registry failed.  ${doc} is the signed document, of which
 * nothing is believed yet; ${name} only says whose key to try.
 */
int record_receipt(struct collect *c, const struct name *name, struct bytes doc, enum fate *ret,
		   struct err *err);
int record_request(struct collect *c, const struct name *name, const struct opened *o,
		   enum fate *ret, struct err *err);
/** record_seen(c, name, err): 1 when this receipt was recorded, by the name of its file. */
int record_seen(struct collect *c, const struct name *name, struct err *err);
/** record_refused(c, name, kind, text, err): count a refusal against the workstation that the name
 * claims, when there is one. */
int record_refused(struct collect *c, const struct name *name, const char *kind, const char *text,
		   struct err *err);

/** collect_inbox(c, err): every directory of the inbox, as far as the budget goes. */
int collect_inbox(struct collect *c, struct err *err);
/** collect_directory(c, xx, err): the files of inbox/xx. */
int collect_directory(struct collect *c, const char *xx, struct err *err);

#endif
