/* SPDX-License-Identifier: ISC */
/*
 * A depot from both sides of the socket.  depot.c asks, one question at a time; helper.c, a child
 * of it, answers.  A question is a frame of type enum ask whose body is a row of fields; the answer
 * is any number of TELL_ALIVE (work goes on) and TELL_DATA (a piece of file), and then, TELL_DATA
 * apart, one TELL_DONE or TELL_FAIL.  The helper speaks first: whether the directory could be
 * opened.
 *
 * Fields: a number is LE 64 bits; a text is its length as a number and its bytes; "rest" is what is
 * left of the frame.
 */
#ifndef SATCHEL_CORE_DEPOT_WIRE_WIRE_H
#define SATCHEL_CORE_DEPOT_WIRE_WIRE_H

#include "core/base/bytes.h"
#include "core/base/limits.h"

enum ask {
	ASK_LIST,  /* number: directories, number: most entries, text: path */
	ASK_NEXT,  /* number: listing */
	ASK_STOP,  /* number: listing */
	ASK_READ,  /* number: most bytes, text: path */
	ASK_SIZE,  /* text: path */
	ASK_FETCH, /* number: offset, number: bytes, text: path; the answer is TELL_DATA only */
	ASK_FD,    /* text: path; the answer carries a descriptor */
	ASK_POST,  /* number: verify, text: path, number: zero bytes at the end, number: pieces, for
		      each offset and length, rest: prefix; carries a descriptor */
	ASK_BEGIN, /* number: bytes, number: sweep, number: verify, text: path */
	ASK_MORE,  /* rest: the next bytes of what was begun */
	ASK_COMMIT, /* nothing */
	ASK_ABORT,  /* nothing */
	ASK_REMOVE, /* text: path */
	ASK_FREE,   /* nothing */
	ASK_WHERE,  /* nothing */
	ASK_PROBE,  /* nothing */
	ASK_TRY,    /* text: path */
	ASK_ABOVE,  /* nothing */
	ASK_MARKER, /* nothing */
	ASK_COUNT
};

enum tell {
	TELL_DONE,  /* list, next: number: listing, number: more to come, number: entries seen, for
		       each that is told number: size and text: name.  read: rest: content.  size,
		       free, try: number.  where: rest: path.  probe: text: name, six numbers.
		       above: device and inode, number each, of the depot and of every directory
		       above it.  marker: number: enum marker, rest: digest of the site.
		       others: nothing */
	TELL_FAIL,  /* number: code negated, number: errno, rest: sentence */
	TELL_ALIVE, /* number: enum phase, number: bytes done */
	TELL_DATA   /* rest */
};

enum phase { PHASE_CHECK, PHASE_POST, PHASE_VERIFY, PHASE_COUNT };

/* Of a depot: which site it belongs to.  EMPTY is what an interrupted write leaves on a medium
 * without a journal. */
#define MARKER "satchel.yaml"
enum marker { MARKER_NONE, MARKER_SITE, MARKER_EMPTY };

/* A question: the prefix of a bundle of 1 TiB takes 32 MiB, an ordinary document 1 MiB. */
#define ASK_MAX (256u << 20)

/**
 * pack_number(b, v, err), pack_text(b, text, err): append one field.  Errors: RC_MEMORY, RC_LIMIT.
 * field_number(in, ret): take one from the front of ${in}; false, and ${in} is of no use any more,
 * when it is too short.
 */
int pack_number(struct buf *b, uint64_t v, struct err *err);
int pack_text(struct buf *b, const char *text, struct err *err);
bool field_number(struct bytes *in, uint64_t *ret);
/**
 * field_text(in, ret): the same for a text; ${*ret} (LIMIT_PATH + 1 bytes) gets a NUL; a NUL
 * within is refused.
 */
bool field_text(struct bytes *in, char ret[LIMIT_PATH + 1]);

#endif
