/* SPDX-License-Identifier: ISC */
/*
 * The tree of the private channel, as it lies in the state directory for root alone.  What was
 * verified when it was applied is compared with the index again before it is believed: the
 * documents in it say what the server wants of this machine.
 */
#ifndef SATCHEL_APPLIER_PRIVATE_PRIVATE_H
#define SATCHEL_APPLIER_PRIVATE_PRIVATE_H

#include "applier/station/station.h"
#include "core/format/bundle/content.h"
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

/** private_open(s, ret, err): RC_STATE, RC_IO: it is not there.  private_close(t): fine for
 * PRIVATE_TREE_INIT. */
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

/** private_files(t, dir, suffix, ret, err): names of the files in ${dir} that end in ${suffix},
 * ascending, appended to ${ret}; none when there is no such directory. */
int private_files(struct private_tree *t, const char *dir, const char *suffix, struct strings *ret,
		  struct err *err);

/** private_generation(s, ret, err): the generation of it that is applied; 0 before the first. */
int private_generation(struct station *s, uint64_t *ret, struct err *err);

/** private_channel_key(s, m, ret, err): what opens the bundle of a sealed channel, whose manifest
 * is ${m}.  ${*ret} is owned by the caller.  RC_INCOMPLETE: the private channel has not brought
 * that content key; RC_UNTRUSTED: it is another one. */
int private_channel_key(struct station *s, const struct manifest *m, struct content_key **ret,
			struct err *err);

/** private_membership(t, ret, err): workstation.yaml.  RC_STATE; RC_MALFORMED; RC_ADDRESSEE: it is
 * made for another site or workstation. */
int private_membership(struct private_tree *t, struct membership *ret, struct err *err);

/* What its documents say of people. */
struct private_people {
	struct person *person; /* owned; ascending by e-mail */
	size_t persons;
	struct message *message; /* owned; ascending by id */
	size_t messages;
	struct buf policy; /* policy.yaml, checked; empty when there is none */
};
/** people_read(t, ret, err), people_clear(p). */
int people_read(struct private_tree *t, struct private_people *ret, struct err *err);
void people_clear(struct private_people *p);
#endif
