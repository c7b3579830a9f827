/* SPDX-License-Identifier: ISC */
/*
 * Inside of collect.  Files of the inbox go through these hands:
 *
 *   listed -> skipped (known by its name, or to be tried later)
 *          -> read (bounded) -> unsealed by a confined child -> verified here -> parsed by another
 *          -> recorded here
 *          -> removed from the depot, after what was recorded is durable
 */
#ifndef SATCHEL_BUNDLER_COLLECT_COLLECT_INTERNAL_H
#define SATCHEL_BUNDLER_COLLECT_COLLECT_INTERNAL_H

#include "bundler/collect/collect.h"
#include "bundler/receipts/receipts.h"
#include "bundler/workstations/workstations.h"
#include "core/base/list.h"
#include "core/depot/depot.h"
#include "core/format/documents/documents.h"
#include "core/format/yaml/yaml_child.h"
#include "core/os/child.h"

/* What unsealer_ask got back. */
struct opened {
	int rc;                 /* 0, or why the file is refused */
	char why[256];          /* then: a sentence; written by the child, so foreign */
	struct buf doc;         /* owned; the signed document that was sealed */
	struct request request; /* opened_request: what it asks, of which nothing is believed yet */
	bool exact;             /* and is exactly what request_encode would write */
};
/** opened_clear(o): release the document; for OWNED. */
void opened_clear(struct opened *o);

/*
 * The child that unseals: it holds the collect keys and one socket, and may do nothing else.  It
 * is started again when it dies.
 */
struct unsealer {
	struct site *s; /* borrowed */
	struct child child;
	unsigned deaths;
};
/**
 * unsealer_start(o, s, err): start the child and wait until it has read the collect keys.  ${s} is
 * borrowed.  Forks: before anything secret is in memory.  Errors: what the child
 * says when it cannot read the keys; RC_INTERNAL, RC_TIMEOUT.
 * unsealer_end(o): kill it; fine on an empty one.
 */
int unsealer_start(struct unsealer *o, struct site *s, struct err *err);
void unsealer_end(struct unsealer *o);
/** unsealer_ask(o, sealed, ret, err): negative only when no child can be had at all. */
int unsealer_ask(struct unsealer *o, struct bytes sealed, struct opened *ret, struct err *err);
/**
 * unsealer_serve(key, n, sealed, ret): what the child does for one file, with any of ${n} keys; for
 * the fuzzer as well.
 */
void unsealer_serve(struct key_secret *const *key, size_t n, struct bytes sealed,
		    struct opened *ret);

/**
 * The child that parses holds no key.  Documents of many senders go through one process, and none
 * of them may decide what is said of another: what comes back is believed when it is exactly what
 * the text says.
 * opened_request(p, o, err): the request in ${o->doc}; what is wrong with it goes into ${o}.
 * Anybody can send those, so nothing is asked twice: whoever needs to know looks at ${o->exact}.
 * parse_receipt(p, inner, ret, why, err): 1, or 0 and ${why}: it is refused.  Neither is the word
 * of a process that has read anything else, unless it is exactly what the text says.
 * Both: negative only when no child can be had at all.
 */
int opened_request(struct yaml_child *p, struct opened *o, struct err *err);
int parse_receipt(struct yaml_child *p, struct bytes inner, struct receipt *ret, struct err *why,
		  struct err *err);

/* Faults of a run by kind and subject, so that a flood becomes one event. */
struct event_counts_row {
	char kind[32];
	char about[WORKSTATION_NAME];
	char text[512];  /* of the last one, in the server's words */
	char claim[256]; /* likewise, in the words of whoever wrote the file; or "" */
	uint64_t count;
};
struct event_counts {
	LIST(struct event_counts_row) row; /* owned */
};
/**
 * event_counts_clear(t): release the rows; all zero afterwards.
 * event_counts_add(t, kind, about, text, claim, err): count one fault; ${text} and ${claim} take
 * the place of those before.  RC_MEMORY.
 */
void event_counts_clear(struct event_counts *t);
int event_counts_add(struct event_counts *t, const char *kind, const char *about, const char *text,
		     const char *claim, struct err *err);
/** event_counts_flush(t, db, err): into events, in the caller's transaction; empties it. */
int event_counts_flush(struct event_counts *t, struct db *db, struct err *err);

struct collect {
	struct site *s;                   /* borrowed */
	struct depot *depot;              /* owned */
	struct unsealer unsealer;         /* owned */
	struct yaml_child parser;         /* owned */
	struct event_counts event_counts; /* owned */
	struct collect_counts counts;
	int64_t now;
	uint64_t budget;    /* files that may still be read in this run */
	uint32_t names_max; /* of one directory that are held in memory */
	int64_t known;      /* rows of `inbox` */
	bool more;          /* not everything was looked at */
	bool cannot_remove; /* said once */
	struct err unread;  /* why a directory could not be listed; the others were */
};

/* What became of a file. */
enum disposition {
	DISPOSITION_RECORDED, /* new */
	DISPOSITION_KNOWN,    /* nothing new in it */
	DISPOSITION_REFUSED,  /* an event says why */
	DISPOSITION_LATER,    /* stays where it is */
};

#define RECORD_STRANGERS "strangers"

/**
 * record_receipt(c, name, doc, ret, err), record_request(c, name, o, ret, err): In a transaction.
 * Negative: the registry failed.  ${doc} is the signed document, of which nothing is believed yet;
 * ${name} only says whose key to try; ${o} is what unsealer_ask gave.
 */
int record_receipt(struct collect *c, const struct name *name, struct bytes doc,
		   enum disposition *ret, struct err *err);
int record_request(struct collect *c, const struct name *name, const struct opened *o,
		   enum disposition *ret, struct err *err);
/** record_unread(c, name, rc, claim, err): count a file that was refused before any signature was
 * verified: as one of strangers, whatever its name says.  ${claim} is what the process that opened
 * it says, which repeats what the file says.
 * record_incomplete(c, name, err): count one that does not become complete, of the workstation that
 * its name names. */
int record_unread(struct collect *c, const struct name *name, int rc, const char *claim,
		  struct err *err);
int record_incomplete(struct collect *c, const struct name *name, struct err *err);

/** collect_inbox(c, err): every directory of the inbox, as far as the budget goes. */
int collect_inbox(struct collect *c, struct err *err);
/** collect_directory(c, xx, err): the files of inbox/xx. */
int collect_directory(struct collect *c, const char *xx, struct err *err);

#endif
