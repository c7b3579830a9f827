/* SPDX-License-Identifier: ISC */
/*
 * From a finished payload to the bytes that come before it: digests of its blocks, the signed
 * manifest, the prefix of the file.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/outbox/bundle_seal.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/trust/site_keys.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/os/durable.h"
#include "core/os/workers.h"

struct digest empty_tree(void)
{
	return digest_of(bytes_of("satchel directory 1\n"));
}

/*
 * The digests of a payload's blocks, made by other threads while the caller fills the registry; in
 * the end it takes its share of what is left.
 */
#define BLOCK_THREADS 4

struct block_digests {
	int fd; /* borrowed */
	struct depot_piece piece[BUNDLE_PIECES];
	uint64_t payload, count;
	uint8_t *list; /* owned: the digests */
	struct workers pool;
	uint64_t next; /* under the pool's lock: block that nobody has taken yet */
};

/* What a thread keeps: room for one block. */
static int block_begin(void *arg, void **ret_own, struct err *err)
{
	(void)arg;
	*ret_own = malloc(BLOCK_BYTES);
	return *ret_own != NULL ? 0 : err_memory(err);
}

static void block_end(void *arg, void *own)
{
	(void)arg;
	free(own);
}

/* The block that is next.  Each has its own place in the list, so only the number needs the lock.
 */
static int block_step(void *arg, void *own, struct err *err)
{
	struct block_digests *b = arg;
	uint64_t at = b->next * BLOCK_BYTES;
	uint8_t *to = b->list + b->next * DIGEST_BYTES;
	struct digest d;
	size_t n;
	int rc;

	if (b->next == b->count)
		return WORKERS_DONE;
	b->next++;
	workers_unlock(&b->pool);
	n = b->payload - at < BLOCK_BYTES ? (size_t)(b->payload - at) : BLOCK_BYTES;
	rc = bundle_pread(b->fd, b->piece, at, own, n, err);
	if (rc == 0) {
		d = digest_of((struct bytes){own, n});
		memcpy(to, d.b, DIGEST_BYTES);
	}
	workers_lock(&b->pool);
	return rc < 0 ? rc : WORKERS_AGAIN;
}

static const struct workers_task block_task = {block_step, block_begin, block_end};

/* The caller is one of them in the end.  A few blocks are hashed before a thread has started. */
static unsigned block_threads(uint64_t blocks)
{
	unsigned n = workers_cores();

	n = n > BLOCK_THREADS ? BLOCK_THREADS : n;
	return blocks < 8 ? 0 : n > 1 ? n - 1 : 1;
}

int block_digests_start(int fd, const struct depot_piece piece[BUNDLE_PIECES],
			struct block_digests **ret, struct err *err)
{
	struct block_digests *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return err_memory(err);
	b->fd = fd;
	memcpy(b->piece, piece, sizeof(b->piece));
	b->payload = bundle_plain(piece);
	b->count = bundle_blocks(b->payload);
	workers_init(&b->pool, &block_task, b);
	b->list = malloc((size_t)b->count * DIGEST_BYTES + 1);
	*ret = b;
	if (b->list == NULL)
		return err_memory(err);
	/* Without threads the caller does it all, later. */
	workers_start(&b->pool, block_threads(b->count), ERR_IGNORED);
	return 0;
}

int block_digests_end(struct block_digests *b, struct bytes *ret, struct err *err)
{
	int rc;

	workers_help(&b->pool);
	rc = workers_join(&b->pool, err);
	if (rc == 0)
		*ret = (struct bytes){b->list, (size_t)b->count * DIGEST_BYTES};
	return rc;
}

void block_digests_freep(struct block_digests **at)
{
	struct block_digests *b = *at;

	if (b == NULL)
		return;
	workers_clear(&b->pool); /* before what the threads use */
	free(b->list);
	free(b);
	*at = NULL;
}

int document_sign(struct site *s, enum role role, struct bytes inner, const char *what,
		  struct buf *ret, struct digest *ret_identity, struct err *err)
{
	OWNED(key_freep) struct key_secret *key = NULL;
	struct signed_doc doc;
	int rc = site_key(s, role, &key, err);

	if (rc == 0)
		rc = signed_make(key, inner, ret, err);
	if (rc == 0)
		rc = signed_split(bytes_in(ret), 1, &doc, err);
	if (rc == 0)
		rc = trust_role(&s->trust, role, &doc, what, err);
	if (rc < 0)
		return err_prefix(err, "signing");
	*ret_identity = doc.identity;
	return 0;
}

int manifest_sign(struct site *s, struct manifest *m, struct bytes blocks, struct buf *ret_prefix,
		  struct digest *ret_identity, struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	char what[128];
	int rc;

	m->blocks = digest_of(blocks);
	snprintf(what, sizeof(what), "bundle %" PRIu64 "-%" PRIu64 " of %s", m->base, m->generation,
		 m->private_channel ? m->recipient : m->channel);
	rc = manifest_encode(m, &inner, err);
	if (rc == 0)
		rc =
		    document_sign(s, ROLE_PRIVATE, bytes_in(&inner), what, &doc, ret_identity, err);
	if (rc == 0)
		rc = bundle_prefix_make(bytes_in(&doc), blocks, m->payload, ret_prefix, err);
	return rc;
}
