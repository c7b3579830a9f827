#include "applier/sync_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/tree/index.h"

#define PRIVATE_DIR "private"

/* What was verified when it was applied is compared again with what was verified. */
static int private_read(struct station *s, int dir, struct index *x, const char *path,
			struct buf *ret, struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	struct digest digest;
	int rc = e == NULL ? err_memory(err) : index_get(x, path, e, err);

	if (rc == 0)
		return err_set(err, RC_STATE, "the private channel holds no %s", path);
	if (rc < 0)
		return rc;
	if (file_read(dir, path, LIMIT_DOCUMENT, ret, err) < 0)
		return err_prefix(err, "%s/" PRIVATE_DIR "/%s", s->state, path);
	digest = digest_of(bytes_in(ret));
	if (e->kind != ENTRY_FILE || !digest_equal(&digest, &e->digest))
		return err_set(err, RC_STATE, "%s/" PRIVATE_DIR "/%s was changed on this machine",
			       s->state, path);
	return 0;
}

struct names {
	char **name;
	size_t n;
};

static int names_each(void *arg, const char *name, const struct entry *e, struct err *err)
{
	struct names *list = arg;
	size_t len = strlen(name);

	if (e->kind != ENTRY_FILE || len < 6 || strcmp(name + len - 5, ".yaml") != 0)
		return 0;
	return station_list_add(&list->name, &list->n, name, err);
}

/* A workstation without any channel has no such directory. */
static int names_list(struct index *x, struct names *ret, struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	int rc = e == NULL ? err_memory(err) : index_get(x, "channels", e, err);

	return rc == 1 ? index_children(x, "channels", names_each, ret, err) : rc;
}

static int sub_read(struct station *s, int dir, struct index *x, const char *name,
		    struct subscription *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char path[LIMIT_NAME + 16];
	size_t stem = strlen(name) - 5;
	int rc;

	snprintf(path, sizeof(path), "channels/%s", name);
	rc = private_read(s, dir, x, path, &text, err);
	if (rc == 0)
		rc = subscription_decode(bytes_in(&text), path, ret, err);
	if (rc < 0)
		return rc;
	if (strlen(ret->name) != stem || memcmp(ret->name, name, stem) != 0)
		return err_set(err, RC_MALFORMED, "%s names the channel %s", path, ret->name);
	return 0;
}

static int subs_read(struct station *s, int dir, struct index *x, const struct names *list,
		     struct sync_policy *p, struct err *err)
{
	if (list->n == 0)
		return 0;
	p->sub = calloc(list->n, sizeof(*p->sub));
	p->target = calloc(list->n, sizeof(*p->target));
	p->refused = calloc(list->n, sizeof(*p->refused));
	if (p->sub == NULL || p->target == NULL || p->refused == NULL)
		return err_memory(err);
	for (size_t i = 0; i < list->n; i++) {
		int rc = sub_read(s, dir, x, list->name[i], &p->sub[i], err);

		if (rc < 0)
			return rc;
		p->subs++;
	}
	return 0;
}

static int membership_read(struct station *s, int dir, struct index *x, struct membership *ret,
			   struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = private_read(s, dir, x, "workstation.yaml", &text, err);

	if (rc == 0)
		rc = membership_decode(bytes_in(&text), "workstation.yaml", ret, err);
	if (rc < 0)
		return rc;
	if (!digest_equal(&ret->site, &s->site) || strcmp(ret->id, s->id) != 0)
		return err_set(err, RC_ADDRESSEE,
			       "the private channel is made for another site or workstation");
	return 0;
}

int sync_policy_read(struct station *s, struct sync_policy *ret, struct err *err)
{
	OWNED(fd_closep) int dir = beneath_dir(s->statefd, PRIVATE_DIR, err);
	OWNED(index_freep) struct index *x = NULL;
	struct names list = {0};
	int rc = dir < 0 ? dir : index_open(s->db, TREE_PRIVATE, &x, err);

	if (rc == 0)
		rc = membership_read(s, dir, x, &ret->membership, err);
	if (rc == 0)
		rc = names_list(x, &list, err);
	if (rc == 0)
		rc = subs_read(s, dir, x, &list, ret, err);
	station_list_free(&list.name, &list.n);
	return rc;
}

void sync_policy_clear(struct sync_policy *p)
{
	for (size_t i = 0; i < p->subs; i++)
		free(p->target[i]);
	free(p->sub);
	free(p->target);
	free(p->refused);
	memset(p, 0, sizeof(*p));
}

static int private_try(struct sync *y, struct follow *f, const struct shard_workstation *row,
		       struct sync_outcome *o, struct err *err)
{
	struct apply_target target = {.tree = TREE_PRIVATE,
				      .rootfd = y->s->statefd,
				      .path = PRIVATE_DIR,
				      .local = LOCAL_REPLACE};
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	OWNED(content_key_freep) struct content_key *key = NULL;
	int rc = follow_private_bundle(f, row, &b, err);

	if (rc == 0 && y->seal == NULL)
		rc = station_keys(y->s, 0, NULL, &y->seal, err);
	if (rc == 0)
		rc = content_key_open(y->seal, &b.manifest, &key, err);
	if (rc == 0) {
		struct apply_bundle bundle = {f->depot, b.path,           &b.manifest,
					      b.blocks, b.payload_offset, key};

		rc =
		    apply_bundle(y->s, &bundle, &target,
				 y->flags & SYNC_DRY_RUN ? APPLY_DRY_RUN : 0, &o->out.preview, err);
	}
	return rc;
}

static void private_apply(struct sync *y, const struct shard_workstation *row,
			  struct sync_outcome *o)
{
	int64_t began = clock_monotonic_ms();
	struct err bad = {0};
	int rc = err_set(&bad, RC_AGAIN, "no depot is at hand");

	for (size_t i = 0; rc < 0 && i < y->depots; i++)
		rc = private_try(y, &y->depot[i], row, o, &bad);
	o->milliseconds = (uint64_t)(clock_monotonic_ms() - began);
	o->out.rc = rc;
	if (rc < 0) {
		snprintf(o->out.reason, sizeof(o->out.reason), "%.500s", bad.text);
		return;
	}
	o->applied = !(y->flags & SYNC_DRY_RUN);
	if (!o->applied)
		return;
	o->out.after = row->generation;
	o->out.epoch = row->epoch;
}

/* The documents say what the server wants of this machine; changed ones are put right first. */
static bool private_good(struct station *s, struct err *err)
{
	OWNED(sync_policy_clear) struct sync_policy p = {0};

	return sync_policy_read(s, &p, err) == 0;
}

/* Newer than what the shard names: by hand, ahead of the beat, or the site went back. */
static int private_ahead(struct station *s, const struct shard_workstation *row,
			 uint64_t generation, struct sync_outcome *o, struct err *err)
{
	OWNED(buf_clear) struct buf by_hand = BUF_INIT;
	int rc = station_fact_get(s, "private-by-hand", &by_hand, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	o->out.rc = RC_REPLAY;
	snprintf(o->out.reason, sizeof(o->out.reason),
		 "generation %" PRIu64 " is offered, %" PRIu64 " is held", row->generation,
		 generation);
	return 0;
}

/* An epoch above that of the trust document would be one that no later document could raise. */
static bool row_refused(const struct station *s, const struct shard_workstation *row,
			struct err *err)
{
	if (row->generation == 0)
		return err_set(err, RC_AGAIN, "the server has not made it yet") < 0;
	if (row->epoch > s->trust.epoch[ROLE_PUBLISH])
		return err_set(err, RC_UNTRUSTED,
			       "epoch %" PRIu64 " is not one that the trust document allows",
			       row->epoch) < 0;
	return false;
}

int sync_private(struct sync *y, const struct shard_workstation *row, struct err *err)
{
	struct sync_outcome o = {.tree = TREE_PRIVATE};
	struct station *s = y->s;
	struct err bad = {0};
	uint64_t epoch, generation;
	struct digest tree;
	int rc = apply_held(s, TREE_PRIVATE, &epoch, &generation, &tree, err);

	if (rc < 0)
		return rc;
	o.out.before = o.out.after = generation;
	o.out.epoch_before = o.out.epoch = epoch;
	o.out.wanted = row->generation;
	if (row_refused(s, row, &bad)) {
		o.out.rc = bad.rc;
		snprintf(o.out.reason, sizeof(o.out.reason), "%.500s", bad.text);
	} else if (sync_later(epoch, generation, row->epoch, row->generation)) {
		rc = private_ahead(s, row, generation, &o, err);
	} else if (sync_later(row->epoch, row->generation, epoch, generation))
		private_apply(y, row, &o);
	else if ((rc = station_fact_drop(s, "private-by-hand", err)) == 0 &&
		 !private_good(s, &bad)) {
		say_warning(s->say, "%s: applying the private channel again", bad.text);
		private_apply(y, row, &o);
	}
	if (rc == 0)
		rc = sync_outcome(y, &o, err);
	/* What is held counts while something newer does not arrive. */
	return rc < 0 ? rc : o.out.after > 0;
}
