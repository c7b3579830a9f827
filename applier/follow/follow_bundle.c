/* SPDX-License-Identifier: ISC */
/*
 * The prefix of a bundle, believed step by step: its size is bounded before it is read, the
 * manifest is verified before it is parsed, and the list of blocks is compared before any block is
 * fetched.  A depot can make us read a few pages in vain, and no more.
 */
#include "applier/follow/follow_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/apply/apply.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/format/documents/trusted.h"

#define TAR_RECORD 512

/* What is known of a bundle before it is read. */
struct expected {
	const char *what;              /* for messages */
	const struct digest *identity; /* of the manifest; NULL: by hand, nothing names it */
	bool retired_too;              /* a head by a current publish key names it */
	const struct digest *prefix;   /* of the prefix; NULL: the name's half of it */
};

void follow_bundle_clear(struct follow_bundle *b)
{
	buf_clear(&b->prefix);
	memset(b, 0, sizeof(*b));
}

/* Bring the prefix up to ${size} bytes; each byte of the file is read once. */
static int prefix_fetch(struct depot *d, const char *path, size_t size, struct buf *prefix,
			struct err *err)
{
	size_t more = size - prefix->n;
	int rc = buf_reserve(prefix, more, err);

	if (rc == 0)
		rc = depot_fetch(d, path, prefix->n, prefix->p + prefix->n, more, err);
	if (rc == 0)
		prefix->n = size;
	return rc;
}

static int incomplete(const struct expected *x, struct depot *d, struct err *err)
{
	return err_set(err, RC_INCOMPLETE,
		       "%s in the depot %s is not whole: the copy is incomplete or "
		       "altered",
		       x->what, depot_path(d));
}

int follow_retired(const char *what, struct depot *d, struct err *err)
{
	return err_set(
	    err, RC_INCOMPLETE,
	    "%s in the depot %s is signed by a publish key that is retired: the depot is "
	    "behind, wait until what the site signed anew has arrived",
	    what, depot_path(d));
}

/*
 * By hand nothing names the manifest, so its key must be a current one; of a channel of a site with
 * two hands, its release decides as well (hand_release).
 */
static int by_hand_check(struct depot *d, const struct trust *t, const struct expected *x,
			 const struct signed_doc *doc, const struct manifest *m, struct err *err)
{
	if (t->format >= 2 && !m->private_channel)
		return 0;
	if (trust_role(t, ROLE_PRIVATE, doc, x->what, ERR_IGNORED) == 0)
		return 0;
	return follow_retired(x->what, d, err);
}

/* The manifest: read, identified, verified, and only then parsed. */
static int manifest_check(struct depot *d, const struct trust *t, const struct expected *x,
			  struct bytes raw, struct manifest *ret, struct digest *ret_identity,
			  struct err *err)
{
	struct signed_doc doc;
	int rc = signed_split(raw, 1, &doc, err);

	if (x->identity != NULL && (rc < 0 || !digest_equal(&doc.identity, x->identity)))
		return incomplete(x, d, err);
	if (rc == 0 && !manifest_type(doc.inner))
		rc = err_set(err, RC_MALFORMED, "%s is in a format that this satchel does not read",
			     x->what);
	if (rc == 0 && x->identity == NULL)
		rc = trust_manifest(t, &doc, x->what, err); /* by_hand_check goes on from here */
	else if (rc == 0)
		/*
		 * A manifest stays good when its key is retired, as long as a head by a key of
		 * today names it.  That a shard names it is not enough: the key of beats must not
		 * be able to bring a retired publish key back.
		 */
		rc = x->retired_too ? trust_manifest(t, &doc, x->what, err)
				    : trust_role(t, ROLE_PRIVATE, &doc, x->what, err);
	if (rc == RC_UNTRUSTED && trust_manifest(t, &doc, x->what, ERR_IGNORED) == 0)
		rc = follow_retired(x->what, d, err);
	if (rc == 0)
		rc = manifest_decode(doc.inner, ret, err);
	if (rc == 0 && x->identity == NULL)
		rc = by_hand_check(d, t, x, &doc, ret, err);
	if (rc < 0)
		return rc;
	*ret_identity = doc.identity;
	if (!digest_equal(&ret->site, &t->site))
		return err_set(err, RC_ADDRESSEE, "%s is made for another site", x->what);
	return 0;
}

/* Is every byte there, and none after?  Its blocks are verified when they are read. */
static int size_check(struct depot *d, const char *path, const struct expected *x,
		      const struct follow_bundle *b, struct err *err)
{
	uint64_t size = 0, should = bundle_size(b->prefix.n, b->manifest.payload);
	int rc = depot_size(d, path, &size, err);

	if (rc < 0)
		return rc;
	if (size < should)
		return err_set(err, RC_INCOMPLETE,
			       "%s in the depot %s has %" PRIu64 " of %" PRIu64
			       " bytes: the rest has not arrived",
			       x->what, depot_path(d), size, should);
	if (size > should)
		return err_set(err, RC_MALFORMED,
			       "%s in the depot %s has %" PRIu64 " bytes after its end", x->what,
			       depot_path(d), size - should);
	return 0;
}

/* No digest covers the end: only zeros may stand there, else it would carry what nobody signed. */
static int tail_check(struct depot *d, const char *path, const struct expected *x,
		      const struct follow_bundle *b, struct err *err)
{
	size_t tail = bundle_tail(b->manifest.payload);
	OWNED(buf_clear) struct buf end = BUF_INIT;
	int rc = buf_reserve(&end, tail, err);

	if (rc == 0)
		rc =
		    depot_fetch(d, path, b->payload_offset + b->manifest.payload, end.p, tail, err);
	for (size_t i = 0; rc == 0 && i < tail; i++)
		if (end.p[i] != 0)
			rc = err_set(err, RC_MALFORMED,
				     "%s in the depot %s ends with bytes that are not zero",
				     x->what, depot_path(d));
	return rc;
}

static bool prefix_fits(const char *path, const struct expected *x, const struct buf *prefix)
{
	struct digest digest = digest_of(bytes_in(prefix));
	char text[DIGEST_NAME + 1];
	struct name name;

	if (x->prefix != NULL)
		return digest_equal(&digest, x->prefix);
	if (name_parse(path, &name) != NAME_BUNDLE && name.kind != NAME_PRIVATE &&
	    name.kind != NAME_PART)
		return true; /* by hand, under any name */
	digest_name(text, &digest);
	return strcmp(text, name.digest) == 0;
}

static int prefix_read(struct depot *d, const char *path, const struct trust *t,
		       const struct expected *x, struct follow_bundle *b, struct err *err)
{
	size_t doc = 0, size = 0;
	int rc = prefix_fetch(d, path, TAR_RECORD, &b->prefix, err);

	if (rc == RC_ABSENT)
		return err_set(err, RC_INCOMPLETE, "%s has not arrived in the depot %s", x->what,
			       depot_path(d));
	if (rc == 0 && (rc = bundle_manifest_size(b->prefix.p, &doc, err)) < 0 &&
	    x->identity != NULL)
		rc = incomplete(x, d, err);
	if (rc == 0)
		rc = prefix_fetch(d, path, TAR_RECORD + doc + tar_padding(doc), &b->prefix, err);
	if (rc == 0)
		rc = manifest_check(d, t, x, (struct bytes){b->prefix.p + TAR_RECORD, doc},
				    &b->manifest, &b->identity, err);
	if (rc == 0)
		rc = bundle_prefix_size(doc, b->manifest.payload, &size, err);
	if (rc == 0)
		rc = prefix_fetch(d, path, size, &b->prefix, err);
	if (rc == 0 && !prefix_fits(path, x, &b->prefix))
		rc = incomplete(x, d, err);
	if (rc == 0)
		rc = bundle_prefix_check(bytes_in(&b->prefix), doc, &b->manifest, &b->blocks, err);
	if (rc == 0)
		depot_credit(d, 1, b->prefix.n);
	b->payload_offset = b->prefix.n;
	return rc;
}

/*
 * A bundle that lies in parts, because the medium takes no large files.  Each part begins with the
 * whole prefix, so that any of them says what the bundle is, and how many there must be.
 */

/* Names of parts of one bundle that are looked at: so many that whoever makes up parts of other
 * cuts hides none of the true ones.  24 bytes each. */
#define PARTS_MAX 200000u
/* Parts of one cut; more than apply reads. */
#define CUT_MAX 4096u
/* Numbers of missing parts that are told. */
#define TOLD 8u

struct part {
	uint32_t number, blocks;
	uint64_t size; /* bytes, as the listing said */
};

struct parts {
	const char *dir, *bundle;
	LIST(struct part) part; /* owned; ascending by blocks and number */
};

static void parts_clear(struct parts *p)
{
	list_clear(&p->part);
}

static int part_compare(const void *va, const void *vb)
{
	const struct part *a = va, *b = vb;

	return a->blocks != b->blocks ? (a->blocks > b->blocks) - (a->blocks < b->blocks)
				      : (a->number > b->number) - (a->number < b->number);
}

static int part_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct parts *p = arg;
	size_t n = strlen(p->bundle);
	char path[DEPOT_NAME];
	struct name name;

	if (p->part.n == PARTS_MAX ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", p->dir, file) >= sizeof(path) ||
	    strncmp(path, p->bundle, n) != 0 || name_parse(path, &name) != NAME_PART)
		return 0;
	return list_push(&p->part, ((struct part){name.part, name.blocks, size}), err);
}

static uint64_t part_size(const struct follow_bundle *b, uint64_t number, uint32_t blocks)
{
	uint64_t first = (number - 1) * blocks * BLOCK_BYTES;
	uint64_t left = b->manifest.payload - first;

	return b->payload_offset +
	       (left < (uint64_t)blocks * BLOCK_BYTES ? left : (uint64_t)blocks * BLOCK_BYTES);
}

static bool part_there(const struct parts *p, const struct follow_bundle *b, uint64_t number,
		       uint32_t blocks)
{
	const struct part wanted = {.number = (uint32_t)number, .blocks = blocks};
	const struct part *at =
	    bsearch(&wanted, p->part.items, p->part.n, sizeof(*p->part.items), part_compare);

	return at != NULL && at->size == part_size(b, number, blocks);
}

/* 1: all parts of this cut are here; else the sentence that names those that are missing. */
static int cut_check(const struct parts *p, const struct follow_bundle *b, uint32_t blocks,
		     const char *what, const char *depot, struct err *err)
{
	uint64_t of = (bundle_blocks(b->manifest.payload) + blocks - 1) / blocks, missing = 0;
	char text[160] = "";
	size_t used = 0;

	for (uint64_t n = 1; n <= of && n <= CUT_MAX; n++)
		if (!part_there(p, b, n, blocks) && missing++ < TOLD)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRIu64,
						 used > 0 ? ", " : "", n);
	if (missing > 0 || of > CUT_MAX)
		return err_set(err, RC_INCOMPLETE,
			       "%s lies in the depot %s in parts, of %" PRIu64 ": missing %s %s%s",
			       what, depot, of, missing == 1 ? "is part" : "are parts", text,
			       missing > TOLD ? " and more" : "");
	if (of > APPLY_PARTS)
		return err_set(err, RC_INCOMPLETE,
			       "%s lies in the depot %s in %" PRIu64
			       " parts; satchel carry joins them into another depot",
			       what, depot, of);
	return 1;
}

static int part_read(struct follow *f, const struct parts *p, size_t i, const struct expected *x,
		     struct follow_bundle *b, struct err *err)
{
	char path[DEPOT_NAME];

	follow_bundle_clear(b);
	name_part(path, p->bundle, p->part.items[i].number, p->part.items[i].blocks);
	return prefix_read(f->depot, path, &f->s->trust, x, b, err);
}

/* The first whose beginning is good says what there must be. */
static int parts_begin(struct follow *f, const struct parts *p, const uint32_t *order,
		       const struct expected *x, struct follow_bundle *b, struct err *err)
{
	struct search budget = search_begin();
	int rc = err_set(err, RC_INCOMPLETE, "no part of %s in the depot %s is good", x->what,
			 depot_path(f->depot));

	for (size_t i = 0; rc == RC_INCOMPLETE && i < p->part.n && search_try(&budget); i++)
		rc = part_read(f, p, order[i], x, b, err);
	return rc;
}

/* Blocks of each part of a cut whose parts are all here; 0: there is none. */
static uint32_t parts_cut(struct follow *f, const struct parts *p, const uint32_t *order,
			  const struct expected *x, const struct follow_bundle *b, struct err *err)
{
	for (size_t k = 0; k < p->part.n; k++) {
		const struct part *part = &p->part.items[order[k]];

		if (order[k] > 0 && part[-1].blocks == part->blocks)
			continue;
		if (cut_check(p, b, part->blocks, x->what, depot_path(f->depot), err) == 1)
			return part->blocks;
	}
	return 0;
}

static int parts_find(struct follow *f, const char *path, const struct expected *x,
		      struct follow_bundle *ret, struct err *err)
{
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	OWNED(freep) uint32_t *order = NULL;
	char dir[DEPOT_NAME];
	OWNED(parts_clear) struct parts p = {.dir = dir, .bundle = path};
	int rc;

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	rc = depot_list(f->depot, dir, part_each, &p, err);
	if (rc < 0 || p.part.n == 0)
		return rc;
	list_sort(&p.part, part_compare);
	rc = candidates_order(p.part.n, &order, err);
	if (rc == 0)
		rc = parts_begin(f, &p, order, x, &b, err);
	if (rc < 0)
		return rc;
	b.part_blocks = parts_cut(f, &p, order, x, &b, err);
	if (b.part_blocks == 0)
		return RC_INCOMPLETE;
	snprintf(b.path, sizeof(b.path), "%s", path);
	follow_bundle_clear(ret);
	*ret = b;
	memset(&b, 0, sizeof(b));
	return 1;
}

/* Whole or in parts */

static int bundle_read(struct depot *d, const char *path, const struct trust *t,
		       const struct expected *x, struct follow_bundle *b, struct err *err)
{
	int rc = prefix_read(d, path, t, x, b, err);

	if (rc < 0)
		return rc;
	rc = size_check(d, path, x, b, err);
	return rc < 0 ? rc : tail_check(d, path, x, b, err);
}

static int bundle_take(struct depot *d, const char *path, const struct trust *t,
		       const struct expected *x, struct follow_bundle *ret, struct err *err)
{
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	int rc;

	snprintf(b.path, sizeof(b.path), "%s", path);
	rc = bundle_read(d, path, t, x, &b, err);
	if (rc < 0)
		return rc;
	*ret = b;
	memset(&b, 0, sizeof(b));
	return 0;
}

/*
 * A private key alone must not make content: a bundle begins and ends with trees that the publish
 * role has named.
 */
static int release_check(const struct release *r, const struct manifest *m, const char *what,
			 struct err *err)
{
	const struct digest *base = release_tree(r, m->base);
	const struct digest *tree = release_tree(r, m->generation);
	struct digest empty = digest_of(bytes_of("satchel directory 1\n"));

	if (m->base == 0)
		base = &empty;
	if (base == NULL || tree == NULL)
		return err_set(err, RC_UNTRUSTED,
			       "%s goes through a generation that the publish keys have not named",
			       what);
	if (!digest_equal(&m->base_tree, base) || !digest_equal(&m->tree, tree))
		return err_set(err, RC_UNTRUSTED,
			       "%s has other trees than those that the publish keys have named",
			       what);
	return 0;
}

/* The heads that lie beside a bundle which somebody applies by hand. */
#define HEADS_BESIDE 64u

struct beside {
	LIST(char *) name; /* owned */
};

static void beside_clear(struct beside *b)
{
	for (size_t i = 0; i < b->name.n; i++)
		free(b->name.items[i]);
	list_clear(&b->name);
}

static int beside_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct beside *b = arg;
	size_t n = strlen(file);
	char **at;

	(void)size;
	if (n < 5 || strcmp(file + n - 5, ".head") != 0 || b->name.n == HEADS_BESIDE)
		return 0;
	at = list_add(&b->name, err);
	if (at == NULL)
		return err->rc;
	*at = strdup(file);
	return *at != NULL ? 0 : err_memory(err);
}

/* 1: this head names the bundle, and its release the trees; 0: it is about something else. */
static int beside_check(struct depot *d, const struct trust *t, const char *file,
			const struct follow_bundle *b, struct err *err)
{
	OWNED(follow_head_clear) struct follow_head h = {0};
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct signed_doc doc;
	bool named = false;

	if (depot_read(d, file, LIMIT_DOCUMENT, &raw, ERR_IGNORED) < 0 ||
	    signed_split(bytes_in(&raw), 1, &doc, ERR_IGNORED) < 0 ||
	    trusted_head(t, &doc, file, &h.head, &h.release, ERR_IGNORED) < 0 ||
	    strcmp(h.head.channel, b->manifest.channel) != 0 || h.head.epoch != b->manifest.epoch)
		return 0;
	for (size_t i = 0; i < h.head.bundles; i++)
		named = named || digest_equal(&h.head.bundle[i].manifest, &b->identity);
	if (!named || h.head.release.n == 0)
		return named;
	return release_check(&h.release, &b->manifest, file, err) < 0 ? err->rc : 1;
}

static int hand_release(struct depot *d, const struct trust *t, const char *path,
			const struct follow_bundle *b, struct err *err)
{
	OWNED(beside_clear) struct beside heads = {0};
	int rc = depot_list(d, ".", beside_each, &heads, err);

	for (size_t i = 0; rc == 0 && i < heads.name.n; i++)
		rc = beside_check(d, t, heads.name.items[i], b, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return err_set(
	    err, RC_INCOMPLETE,
	    "%s: the head that names it, and that the publish keys have released, does not "
	    "lie beside it: copy it from channels/%s of the depot into the same directory",
	    path, b->manifest.channel);
}

int follow_prefix(struct depot *depot, const char *path, const struct trust *trust,
		  struct follow_bundle *ret, struct err *err)
{
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	struct expected x = {.what = path};
	int rc = bundle_take(depot, path, trust, &x, &b, err);

	if (rc == 0 && trust->format >= 2 && !b.manifest.private_channel)
		rc = hand_release(depot, trust, path, &b, err);
	if (rc < 0)
		return rc;
	*ret = b;
	memset(&b, 0, sizeof(b));
	return 0;
}

int follow_channel_bundle(struct follow *f, const struct follow_head *h, size_t i,
			  struct follow_bundle *ret, struct err *err)
{
	const struct head *head = &h->head;
	const struct head_bundle *row = &head->bundle[i];
	char what[160], path[DEPOT_NAME];
	struct expected x = {what, &row->manifest, true, &row->prefix};
	OWNED(follow_bundle_clear) struct follow_bundle b = {0};
	const struct manifest *m = &b.manifest;
	int rc;

	snprintf(what, sizeof(what), "bundle %" PRIu64 "-%" PRIu64 " of channel %s", row->base,
		 row->generation, head->channel);
	name_bundle(path, head->channel, head->epoch, row->base, row->generation, &row->prefix);
	rc = bundle_take(f->depot, path, &f->s->trust, &x, &b, err);
	if (rc == RC_INCOMPLETE) {
		struct err parts = {0};
		int found = parts_find(f, path, &x, &b, &parts);

		if (found < 0)
			*err = parts;
		rc = found == 0 ? rc : found;
	}
	if (rc < 0)
		return rc;
	if (m->private_channel || strcmp(m->channel, head->channel) != 0 ||
	    m->epoch != head->epoch || m->base != row->base || m->generation != row->generation)
		return err_set(err, RC_ADDRESSEE,
			       "%s is made for another channel or generation than its head says",
			       what);
	if (m->generation == head->generation && !digest_equal(&m->tree, &head->tree))
		return err_set(err, RC_FORK, "%s leads to another tree than its head says", what);
	rc = head->release.n > 0 ? release_check(&h->release, m, what, err) : 0;
	if (rc < 0)
		return rc;
	*ret = b;
	memset(&b, 0, sizeof(b));
	return 0;
}

static int private_check(const struct follow *f, const struct shard_workstation *row,
			 const struct manifest *m, struct err *err)
{
	if (!m->private_channel || strcmp(m->recipient, f->s->id) != 0 || m->epoch != row->epoch ||
	    m->generation != row->generation || m->base != 0)
		return err_set(err, RC_ADDRESSEE,
			       "the private bundle %" PRIu64
			       " is made for another workstation or generation",
			       row->generation);
	return 0;
}

int follow_private_bundle(struct follow *f, const struct shard_workstation *row,
			  struct follow_bundle *ret, struct err *err)
{
	struct listing_filter filter = {.kind = NAME_PRIVATE,
					.id = f->s->id,
					.epoch = row->epoch,
					.above = row->generation - 1,
					.until = row->generation};
	OWNED(listing_clear) struct listing l = {0};
	char dir[32], what[64];
	struct expected x = {.what = what, .identity = &row->manifest};
	struct search budget = search_begin();
	int rc;

	snprintf(dir, sizeof(dir), "workstations/%02x", shard_of(f->s->id));
	snprintf(what, sizeof(what), "the private bundle %" PRIu64, row->generation);
	rc = listing_read(f->depot, dir, &filter, &l, err);
	if (rc < 0)
		return rc;
	err_set(err, RC_INCOMPLETE, "%s has not arrived whole in the depot %s", what,
		depot_path(f->depot));
	for (size_t i = 0; i < l.n && search_try(&budget); i++) {
		OWNED(follow_bundle_clear) struct follow_bundle b = {0};
		struct digest digest = listed_digest(&l.items[i]);
		struct err bad = {0};
		char path[DEPOT_NAME];

		name_private(path, f->s->id, l.items[i].epoch, l.items[i].number, &digest);
		rc = bundle_take(f->depot, path, &f->s->trust, &x, &b, &bad);
		if (rc == 0)
			rc = private_check(f, row, &b.manifest, &bad);
		if (follow_fatal(rc)) {
			*err = bad;
			return rc;
		}
		if (rc < 0) {
			if (err->rc == RC_INCOMPLETE)
				*err = bad;
			continue;
		}
		*ret = b;
		memset(&b, 0, sizeof(b));
		return 0;
	}
	return err->rc;
}
