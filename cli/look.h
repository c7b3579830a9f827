/*
 * Looking into a file that a stranger may have written: everything beyond the signature is parsed
 * in a confined child, which answers with named values.  The parent prints them, escaped.
 */
#ifndef SATCHEL_CLI_LOOK_H
#define SATCHEL_CLI_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/digest.h"

enum look_kind { LOOK_SIGNED, LOOK_SEALED, LOOK_BUNDLE, LOOK_KEY, LOOK_UNKNOWN };

enum look_flags {
	LOOK_DEEP = 1 << 0,    /* every byte of a bundle, every content against its digest */
	LOOK_CHANGES = 1 << 1, /* list the changes */
};

struct look {
	int fd; /* the file; owned by the caller */
	uint64_t size;
	enum look_kind kind;
	enum look_flags flags;
	const struct digest *verified; /* of the signed document whose signature was good; NULL:
					  nobody looked.  The file may have changed since. */
};

/** One answer of the child: a value with its name, or a change (name NULL). */
typedef int look_answer(void *arg, const char *name, const char *value, struct err *err);

/** look_kind(first, ret): what the first bytes of a file say that it is. */
enum look_kind look_kind(struct bytes first);

/** look_run(in, answer, arg, err): the child's verdict as a code; RC_INTERNAL when it died. */
int look_run(const struct look *in, look_answer *answer, void *arg, struct err *err);

/* In the child (look_bundle.c, look_document.c): answers go through `tell`. */
struct teller {
	int fd; /* to the parent */
	enum look_flags flags;
};
int tell(struct teller *t, struct err *err, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int tell_change(struct teller *t, const char *line, struct err *err);
/** look_same(in, doc, err): is it the document that was verified? */
int look_same(const struct look *in, struct bytes doc, struct err *err);
int look_bundle(const struct look *in, struct teller *t, struct err *err);
int look_document(struct bytes inner, struct teller *t, struct err *err);

#endif
