/*
 * Publish: scan, pack, bundle, head; then shards and the beat; then post.
 * The generation and its signed bytes are committed in the registry first, then posted, then
 * marked.
 */
#ifndef SATCHEL_BUNDLER_PUBLISH_H
#define SATCHEL_BUNDLER_PUBLISH_H

#include "bundler/site.h"

extern const char publish_schema_sql[];

enum publish_flags {
	PUBLISH_DRY_RUN = 1 << 0,
	PUBLISH_ALLOW_EMPTY = 1 << 1, /* a source that lost everything, or most, by surprise */
	PUBLISH_FULL = 1 << 2,        /* make a new full bundle as well */
	PUBLISH_NO_CHANNELS =
	    1 << 4,              /* private channels and the beat only, unless some are named */
	PUBLISH_REREAD = 1 << 3, /* read every file, whatever stat says */
};

struct publish_counts {
	uint64_t added, changed, renamed, deleted, metadata; /* entries */
	uint64_t entries;                                    /* in the new tree */
	uint64_t content;                                    /* bytes of new content read */
	uint64_t bundle;                                     /* bytes of the bundle file(s) made */
	uint64_t generation;                                 /* the channel's generation now */
	bool made;                                           /* a new generation was made */
};

/** publish_channel(s, c, flags, ret, err): one channel up to a committed generation; posts nothing.
 */
int publish_channel(struct site *s, const struct site_channel *c, enum publish_flags flags,
		    struct publish_counts *ret, struct err *err);

/**
 * private_publish(s, sign, seal, epoch, files, n, err): the private channel of one workstation: a
 * new generation as one full, sealed bundle, committed with its document in the outbox.  ${files}
 * are the tree, ascending by path; directories are made as needed.
 */
struct private_file {
	const char *path;
	struct bytes content;
};
int private_publish(struct site *s, const struct key_public *sign, const struct key_public *seal,
		    const struct private_file *files, size_t n, struct err *err);

/** publish_beat(s, flags, err): shards that changed, and a new beat when anything changed or the
 * last one is half through its life. In the caller's transaction, into the outbox. */
enum beat_flags { BEAT_ANYWAY = 1 << 0 /* a new beat, though nothing changed */ };
int publish_beat(struct site *s, enum beat_flags flags, struct err *err);

/**
 * publish_knock(s, names, n, err): ring at workstations ("all": at every one): a new beat, posted
 * at once, that names them.  Beats of the next ten minutes repeat it, for those who look a little
 * later.  RC_USAGE when a name is nobody's.
 */
int publish_knock(struct site *s, const char *const *names, size_t n, struct err *err);

/** publish_post(s, err): everything committed and not yet posted, to the home depot: bundles,
 * heads, shards, trust, then the beat last. */
int publish_post(struct site *s, struct err *err);

/** publish_site(s, only, n, flags, each, arg, err): the command: all channels (or those named),
 * private channels, beat, post. */
int publish_site(struct site *s, const char *const *only, size_t n, enum publish_flags flags,
		 void (*each)(void *arg, const char *channel, const struct publish_counts *counts),
		 void *arg, struct err *err);

#endif
