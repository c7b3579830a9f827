/* SPDX-License-Identifier: ISC */
/*
 * What was posted after the backup and is of no use any more: files of the depot that this registry
 * does not know, and that nothing leads to once the beats of then are gone.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/outbox/site_post.h"
#include "bundler/published/published.h"
#include "bundler/recover/recover_internal.h"
#include "bundler/registry/registry.h"
#include "core/base/own.h"

struct litter {
	struct site *s;
	struct depot *d;
	uint64_t beat; /* they leave with this one */
};

static int known(struct litter *l, const char *path, struct err *err)
{
	int64_t posted;
	int rc = registry_posted_at(l->s->db, path, &posted, err);

	return rc != 0 ? rc : published_bundle_known(l->s->db, path, err);
}

/* The newest private channel of a machine that is not in the registry may be all that it has. */
static int needed(struct litter *l, const char *path, struct err *err)
{
	struct name n;
	int64_t one;
	int rc;

	if (name_parse(path, &n) != NAME_PRIVATE)
		return 0;
	rc = db_int(l->s->db, err, &one, "SELECT 1 FROM private_newest WHERE id = ?1", "t", n.id);
	return rc < 0 ? rc : rc == 0;
}

static int litter_take(struct litter *l, const char *dir, enum name_kind kind, struct err *err)
{
	OWNED(found_names_clear) struct found_names names = {.n = 0};
	const struct found_filter f = {.kind = kind};
	int rc = found_list(l->d, dir, &f, &names, err);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		const struct found_name *n = &names.items[i];

		if (kind == NAME_BEAT && n->number > l->beat)
			continue;
		rc = known(l, n->path, err);
		if (rc == 0)
			rc = needed(l, n->path, err);
		if (rc == 0)
			rc = site_post_retire_after(l->s, n->path, l->beat, err);
		rc = rc < 0 ? rc : 0;
	}
	return rc;
}

static int channels_take(struct litter *l, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->s->channels; i++) {
		char dir[16 + CHANNEL_NAME];

		snprintf(dir, sizeof(dir), "channels/%s", l->s->channel[i].name);
		rc = litter_take(l, dir, NAME_HEAD, err);
		if (rc == 0)
			rc = litter_take(l, dir, NAME_BUNDLE, err);
	}
	return rc;
}

int recover_litter(struct site *s, struct depot *d, uint64_t beat, struct err *err)
{
	struct litter l = {s, d, beat};
	int rc = litter_take(&l, "beats", NAME_BEAT, err);

	if (rc == 0)
		rc = litter_take(&l, "shards", NAME_SHARD, err);
	if (rc == 0)
		rc = channels_take(&l, err);
	for (unsigned xx = 0; rc == 0 && xx < 256; xx++) {
		char dir[32];

		snprintf(dir, sizeof(dir), "workstations/%02x", xx);
		rc = litter_take(&l, dir, NAME_PRIVATE, err);
	}
	return rc;
}
