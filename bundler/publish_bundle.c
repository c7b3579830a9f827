/*
 * From a finished payload to the bytes that come before it: digests of its blocks, the signed
 * manifest, the prefix of the file.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/durable.h"

struct digest publish_empty_tree(void)
{
	return digest_of(bytes_of("satchel directory 1\n"));
}

/*
 * The digests of a payload's blocks, made by other threads while the caller fills the registry; in
 * the end it takes its share of what is left.
 */
#define BLOCK_THREADS 4

struct publish_blocks {
	int fd; /* borrowed */
	struct depot_piece piece[PUBLISH_PIECES];
	uint64_t payload, count;
	_Atomic uint64_t next; /* block that nobody has taken yet */
	uint8_t *list;         /* owned: the digests */
	pthread_t thread[BLOCK_THREADS];
	unsigned threads;
	pthread_mutex_t lock;
	struct err err; /* the first failure; under the lock */
};

/* ${n} bytes of the payload from ${at} on, which may lie in several pieces of the file. */
static int payload_pread(const struct publish_blocks *b, uint64_t at, uint8_t *dst, size_t n,
			 struct err *err)
{
	for (size_t i = 0; i < PUBLISH_PIECES && n > 0; i++) {
		const struct depot_piece *piece = &b->piece[i];
		size_t here;
		int rc;

		if (at >= piece->length) {
			at -= piece->length;
			continue;
		}
		here = piece->length - at < n ? (size_t)(piece->length - at) : n;
		rc = fd_pread(b->fd, dst, here, piece->offset + at, err);
		if (rc < 0)
			return err_prefix(err, "content store");
		dst += here;
		n -= here;
		at = 0;
	}
	return n == 0 ? 0 : err_set(err, RC_INTERNAL, "the pieces of a payload are too short");
}

static int block_take(struct publish_blocks *b, uint8_t *block, struct err *err)
{
	uint64_t i;

	while ((i = b->next++) < b->count) {
		uint64_t at = i * BLOCK_BYTES;
		size_t n = b->payload - at < BLOCK_BYTES ? (size_t)(b->payload - at) : BLOCK_BYTES;
		int rc = payload_pread(b, at, block, n, err);
		struct digest d;

		if (rc < 0)
			return rc;
		d = digest_of((struct bytes){block, n});
		memcpy(b->list + i * DIGEST_BYTES, d.b, DIGEST_BYTES);
	}
	return 0;
}

static void *block_main(void *arg)
{
	struct publish_blocks *b = arg;
	OWNED(freep) uint8_t *block = malloc(BLOCK_BYTES);
	struct err err = {0};

	if ((block == NULL ? err_memory(&err) : block_take(b, block, &err)) < 0) {
		pthread_mutex_lock(&b->lock);
		b->err = err;
		pthread_mutex_unlock(&b->lock);
		b->next = b->count; /* the others need not go on */
	}
	return NULL;
}

static unsigned block_threads(uint64_t blocks)
{
	cpu_set_t set;
	unsigned n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (unsigned)CPU_COUNT(&set);
	n = n > BLOCK_THREADS ? BLOCK_THREADS : n;
	return blocks < 8 ? 0 : n > 1 ? n - 1 : 1;
}

int publish_blocks_start(int fd, const struct depot_piece piece[PUBLISH_PIECES],
			 struct publish_blocks **ret, struct err *err)
{
	struct publish_blocks *b = calloc(1, sizeof(*b));
	unsigned threads;

	if (b == NULL)
		return err_memory(err);
	b->fd = fd;
	memcpy(b->piece, piece, sizeof(b->piece));
	for (size_t i = 0; i < PUBLISH_PIECES; i++)
		b->payload += piece[i].length;
	b->count = bundle_blocks(b->payload);
	pthread_mutex_init(&b->lock, NULL);
	b->list = malloc((size_t)b->count * DIGEST_BYTES + 1);
	*ret = b;
	if (b->list == NULL)
		return err_memory(err);
	threads = block_threads(b->count);
	while (b->threads < threads &&
	       pthread_create(&b->thread[b->threads], NULL, block_main, b) == 0)
		b->threads++;
	return 0;
}

static void blocks_join(struct publish_blocks *b)
{
	for (unsigned i = 0; i < b->threads; i++)
		pthread_join(b->thread[i], NULL);
	b->threads = 0;
}

int publish_blocks_end(struct publish_blocks *b, struct bytes *ret, struct err *err)
{
	block_main(b);
	blocks_join(b);
	if (b->err.rc < 0)
		return err_set(err, b->err.rc, "%s", b->err.text);
	*ret = (struct bytes){b->list, (size_t)b->count * DIGEST_BYTES};
	return 0;
}

void publish_blocks_freep(struct publish_blocks **at)
{
	struct publish_blocks *b = *at;

	if (b == NULL)
		return;
	b->next = b->count;
	blocks_join(b);
	pthread_mutex_destroy(&b->lock);
	free(b->list);
	free(b);
	*at = NULL;
}

int publish_sign(struct site *s, enum role role, struct bytes inner, const char *what,
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

int publish_manifest(struct site *s, struct manifest *m, struct bytes blocks,
		     struct buf *ret_prefix, struct digest *ret_identity, struct err *err)
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
		rc = publish_sign(s, ROLE_PUBLISH, bytes_in(&inner), what, &doc, ret_identity, err);
	if (rc == 0)
		rc = bundle_prefix_make(bytes_in(&doc), blocks, m->payload, ret_prefix, err);
	return rc;
}

int publish_bundle_row(struct site *s, const struct publish_bundle *b, struct err *err)
{
	uint8_t pieces[PUBLISH_PIECES * 16];
	char path[DEPOT_NAME];

	for (size_t i = 0; i < PUBLISH_PIECES; i++) {
		put_u64(pieces + 16 * i, b->piece[i].offset);
		put_u64(pieces + 16 * i + 8, b->piece[i].length);
	}
	name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	return db_run(s->db, err,
		      "INSERT INTO bundle(channel, epoch, base, generation, pack, pieces, prefix,"
		      " prefix_digest, manifest, payload, size, path)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
		      "tiiiibbddiit", b->channel, (int64_t)b->epoch, (int64_t)b->base,
		      (int64_t)b->generation, (int64_t)b->pack,
		      (struct bytes){pieces, sizeof(pieces)}, bytes_in(&b->prefix),
		      &b->prefix_digest, &b->manifest, (int64_t)b->payload, (int64_t)b->size, path);
}
