/*
 * The tree of the private channel, as it lies in the state directory for root alone.  What was
 * verified when it was applied is compared with the index again before it is believed: the
 * documents in it say what the server wants of this machine.
 */
#ifndef SATCHEL_APPLIER_PRIVATE_H
#define SATCHEL_APPLIER_PRIVATE_H

#include "applier/station.h"
#include "core/tree/index.h"

#define PRIVATE_DIR "private" /* below the state directory */

struct private_tree {
	struct station *s; /* borrowed */
	int dirfd;         /* owned */
	struct index *index;
};

#define PRIVATE_TREE_INIT      \
	{                      \
		NULL, -1, NULL \
	}

int private_open(struct station *s, struct private_tree *ret, struct err *err);
void private_close(struct private_tree *t);

/** private_digest(t, path, ret, err): of the content of a file, as it was published; 1, or 0 when
 * there is no such file. */
int private_digest(struct private_tree *t, const char *path, struct digest *ret, struct err *err);

/** private_read(t, path, ret, err): the content of a file into ${ret}.  Secrets are read like
 * anything else: the caller wipes ${ret} (buf_wipe).  RC_STATE when there is none, or it was
 * changed here.
 */
int private_read(struct private_tree *t, const char *path, struct buf *ret, struct err *err);

/** private_intact(t, err): is every file what was published?  RC_STATE, RC_IO. */
int private_intact(struct private_tree *t, struct err *err);

/** private_files(t, dir, suffix, ret, ret_n, err): names of the files in ${dir} that end in
 * ${suffix}, ascending; none when there is no such directory.  The caller's (station_list_free). */
int private_files(struct private_tree *t, const char *dir, const char *suffix, char ***ret,
		  size_t *ret_n, struct err *err);

/** private_held(s, ret, err): the generation of it that is held; 0 before the first. */
int private_held(struct station *s, uint64_t *ret, struct err *err);

/* What its documents say of people. */
struct people {
	struct person *person; /* owned; ascending by e-mail */
	size_t persons;
	struct message *message; /* owned; ascending by id */
	size_t messages;
	struct buf policy; /* policy.yaml, checked; empty when there is none */
};
/** people_read(t, ret, err), people_clear(p). */
int people_read(struct private_tree *t, struct people *ret, struct err *err);
void people_clear(struct people *p);
/** people_find(p, email): NULL when nobody of that address is active here. */
const struct person *people_find(const struct people *p, const char *email);

#endif
