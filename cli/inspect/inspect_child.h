/* SPDX-License-Identifier: ISC */
/*
 * Looking into a file that a stranger may have written: everything beyond the signature is parsed
 * in a confined child, which answers with named values.  The parent prints them, escaped.
 */
#ifndef SATCHEL_CLI_INSPECT_INSPECT_CHILD_H
#define SATCHEL_CLI_INSPECT_INSPECT_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/frame/show.h"
#include "core/base/digest.h"
#include "core/format/bundle/content.h"
#include "core/trust/trust.h"

/* INSPECT_PLAIN: a document that waits for its first signature. */
enum inspect_kind {
	INSPECT_SIGNED,
	INSPECT_SEALED,
	INSPECT_BUNDLE,
	INSPECT_KEY,
	INSPECT_PLAIN,
	INSPECT_UNKNOWN
};

enum inspect_flags {
	INSPECT_DEEP = 1 << 0,    /* every byte of a bundle, every content against its digest */
	INSPECT_CHANGES = 1 << 1, /* list the changes */
};

struct inspection {
	int fd; /* the file; owned by the caller */
	uint64_t size;
	enum inspect_kind kind;
	enum inspect_flags flags;
	const struct digest *verified; /* of the signed document whose signature was good; NULL:
					  nobody looked.  The file may have changed since. */
	struct content_key *key; /* borrowed; opens the payload of a sealed channel; NULL: it is not
				    at hand */
};

/** inspect_answer(arg, name, value, err): one answer of the child: a value with its name, or a
 * change (${name} NULL).  An error that it returns ends the inspection. */
typedef int inspect_answer(void *arg, const char *name, const char *value, struct err *err);

/** inspect_kind(first): what the first bytes of a file say that it is; 64 are enough. */
enum inspect_kind inspect_kind(struct bytes first);

/** inspect_key(cli, trust, doc, ret, err): what opens the bundle of a sealed channel whose manifest
 * is ${doc}.  ${*ret} is owned by the caller.  RC_UNTRUSTED: it is not signed by the site;
 * RC_STATE, RC_INCOMPLETE: this machine does not have the key. */
int inspect_key(struct cli *cli, const struct trust *trust, const struct signed_doc *doc,
		struct content_key **ret, struct err *err);

/** inspect_run(in, answer, arg, err):
 * Read the file in a confined child and hand on every answer.  Returns the child's verdict.
 * Errors: RC_INTERNAL (the child ended or answered nonsense), RC_TIMEOUT (silence), RC_LIMIT (more
 * time than a file of its size may take), and what it found. */
int inspect_run(const struct inspection *in, inspect_answer *answer, void *arg, struct err *err);

/* In the child (inspect_bundle.c, inspect_document.c): where answers go. */
struct teller {
	int fd; /* to the parent */
	enum inspect_flags flags;
	int64_t told; /* when it was said last that the reading goes on */
};
/** inspect_tell(t, err, name, fmt, ...): one value with its name.  Errors: RC_IO, RC_MEMORY. */
int inspect_tell(struct teller *t, struct err *err, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/** inspect_tell_going_on(t, err): now and then, while a large file is read and there is nothing to
 * say: silence means a dead share.  Errors: RC_IO. */
int inspect_tell_going_on(struct teller *t, struct err *err);
/** inspect_tell_change(t, line, err): one line of a list of changes.  Errors: RC_IO. */
int inspect_tell_change(struct teller *t, const char *line, struct err *err);
/** inspect_same(in, doc, err): is it the document that was verified?  RC_AGAIN when it is not. */
int inspect_same(const struct inspection *in, struct bytes doc, struct err *err);
/** inspect_bundle(in, t, err): what a bundle says, and with INSPECT_DEEP whether every byte fits.
 * Errors: RC_MALFORMED, RC_INCOMPLETE, RC_IO, RC_MEMORY. */
int inspect_bundle(const struct inspection *in, struct teller *t, struct err *err);
/** inspect_document(inner, t, err): what a signed document says; ${inner} are its innermost bytes.
 * Errors: RC_MALFORMED. */
int inspect_document(struct bytes inner, struct teller *t, struct err *err);

#endif
