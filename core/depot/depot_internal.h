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
#ifndef SATCHEL_DEPOT_INTERNAL_H
#define SATCHEL_DEPOT_INTERNAL_H

#include <dirent.h>

#include "core/depot/depot.h"
#include "core/os/child.h"
#include "core/os/durable.h"

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
	ASK_COUNT
};

enum tell {
	TELL_DONE, /* list, next: number: listing, number: more to come, for each entry number: size
		      and text: name.  read: rest: content.  size, free, try: number.  where: rest:
		      path.  probe: text: name, six numbers.  others: nothing */
	TELL_FAIL, /* number: code negated, number: errno, rest: sentence */
	TELL_ALIVE, /* number: enum phase, number: bytes done */
	TELL_DATA   /* rest */
};

enum phase { PHASE_CHECK, PHASE_POST, PHASE_VERIFY, PHASE_COUNT };

/* A question: the prefix of a bundle of 1 TiB takes 32 MiB, an ordinary document 1 MiB. */
#define ASK_MAX (256u << 20)
/* Descriptors of directories that may be listed within each other. */
#define LISTINGS 8

struct depot {
	char *path;         /* owned */
	struct child child; /* the helper */
	enum depot_flags flags;
	int silence_ms;
	bool owed; /* the answer to an ASK_MORE is still to come */
	int dead;  /* 0, or the code that every call gives from now on */
};

/* Fields. field_* return false when the frame has no more of them. */
int pack_number(struct buf *b, uint64_t v, struct err *err);
int pack_text(struct buf *b, const char *text, struct err *err);
bool field_number(struct bytes *in, uint64_t *ret);
/** ${*ret} (LIMIT_PATH + 1 bytes) gets a NUL; a NUL within is refused. */
bool field_text(struct bytes *in, char ret[LIMIT_PATH + 1]);

/** depot_list_most(d, dirs, dir, most, each, arg, err): depot_list and depot_dirs, with the limit
 * as an argument so that a test can reach it. */
typedef int depot_each(void *arg, const char *name, uint64_t size, struct err *err);
int depot_list_most(struct depot *d, bool dirs, const char *dir, uint64_t most, depot_each *each,
		    void *arg, struct err *err);

/** depot_talk(d, type, question, max, ret, err): question and answer, for those without anything
 * special.  depot_send: the question only; depot_owed waits for its answer, as the next question
 * does by itself. */
int depot_talk(struct depot *d, enum ask type, const struct buf *question, size_t max,
	       struct buf *ret, struct err *err);
int depot_send(struct depot *d, enum ask type, struct bytes question, struct err *err);
int depot_owed(struct depot *d, struct err *err);
/** depot_malformed(d, err): an answer that is not in the form above: the helper is given up. */
int depot_malformed(struct depot *d, struct err *err);
/** depot_question_path(question, path, err): a path of ours; others are RC_PATH. */
int depot_question_path(struct buf *question, const char *path, struct err *err);

/* The helper. */
struct listing {
	DIR *dir; /* owned; NULL when the place is free */
	bool dirs;
	uint64_t seen, most;
};

/* A file that comes in pieces (helper_stream.c). */
struct stream {
	bool begun, verify;
	char path[LIMIT_PATH + 1];
	const char *name; /* in path */
	int dir;          /* owned */
	struct durable file;
	uint64_t size, given, pushed; /* bytes */
	struct digest_stream digest;  /* of what was given */
};

struct helper {
	int fd;   /* to depot.c; borrowed */
	int root; /* of the depot; owned */
	struct listing listings[LISTINGS];
	char fetched[LIMIT_PATH + 1]; /* what ${fetch_fd} is, "" for nothing */
	int fetch_fd;                 /* owned */
	uint8_t *chunk;               /* owned, BLOCK_BYTES */
	struct stream stream;
};

struct helper_start {
	const char *path;
	bool create, no_link;
};

int helper_main(void *arg, int fd);

/** One of them for each question; ${passed} is the descriptor that came with it, or -1 (borrowed).
 * 0 when the answer is out. */
typedef int helper_answer(struct helper *h, struct bytes in, int passed, struct err *err);
helper_answer helper_list, helper_next, helper_stop, helper_post;
helper_answer helper_begin, helper_more, helper_commit, helper_abort;
helper_answer helper_probe, helper_try;
int helper_done(struct helper *h, const struct buf *body, struct err *err);
int helper_alive(struct helper *h, enum phase phase, uint64_t done, struct err *err);
/** helper_parent(h, path, ret_name, err): its directory, made when it is missing; a descriptor. */
int helper_parent(struct helper *h, const char *path, const char **ret_name, struct err *err);
/** helper_no_space(path, size, bytes, err): the sentence, with numbers. */
int helper_no_space(const char *path, uint64_t size, uint64_t bytes, struct err *err);
/** helper_write(fd, path, size, p, n, err): as fd_write, with a sentence for a file that is too
 * large for the file system. */
int helper_write(int fd, const char *path, uint64_t size, const void *p, size_t n, struct err *err);
/** helper_push(fd, given, pushed): what was written goes to the medium in windows, so that the
 * flush at the end is short enough for the deadline of silence, also on a stick of 1 MB/s. */
void helper_push(int fd, uint64_t given, uint64_t *pushed);
int helper_free_bytes(struct helper *h, uint64_t *ret, struct err *err);
/** helper_malformed(err): a question that is not in the form above. */
int helper_malformed(struct err *err);

#endif
