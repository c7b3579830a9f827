/* SPDX-License-Identifier: ISC */
/*
 * The content key of a sealed channel, out of the private channel, and what a bundle needs of it.
 * It is read when a bundle wants it and wiped with it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "applier/private/private.h"
#include "core/base/own.h"

int private_channel_key(struct station *s, const struct manifest *m, struct content_key **ret,
			struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(buf_clear) struct buf secret = BUF_SECRET;
	char path[CHANNEL_NAME + 48];
	struct digest is;
	int rc = private_open(s, &t, err);

	snprintf(path, sizeof(path), CHANNEL_KEYS "/%s.%" PRIu64, m->channel, m->key);
	if (rc == 0)
		rc = private_digest(&t, path, &is, err);
	if (rc == 0)
		return err_set(err, RC_INCOMPLETE,
			       "channel %s is sealed with its content key %" PRIu64
			       ", which this workstation does not have: it comes with the private "
			       "channel",
			       m->channel, m->key);
	if (rc > 0)
		rc = private_read(&t, path, &secret, err);
	if (rc == 0)
		rc = content_channel_open(bytes_in(&secret), m, ret, err);
	return rc < 0 ? err_prefix(err, "content key %" PRIu64 " of channel %s", m->key, m->channel)
		      : 0;
}
