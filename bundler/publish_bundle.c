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

/* The blocks of a payload are shared out among a few threads: every ${step}th from ${first} on. */
#define BLOCK_THREADS 4
struct block_work {
	int fd;                          /* borrowed */
	const struct depot_piece *piece; /* borrowed */
	size_t pieces;
	uint64_t payload, first, step;
	uint8_t *ret; /* borrowed: the list of digests */
	int rc;
	struct err err;
};

/* ${n} bytes of the payload from ${at} on, which may lie in several pieces of the file. */
static int payload_pread(const struct block_work *w, uint64_t at, uint8_t *dst, size_t n,
			 struct err *err)
{
	for (size_t i = 0; i < w->pieces && n > 0; i++) {
		const struct depot_piece *piece = &w->piece[i];
		size_t here;
		int rc;

		if (at >= piece->length) {
			at -= piece->length;
			continue;
		}
		here = piece->length - at < n ? (size_t)(piece->length - at) : n;
		rc = fd_pread(w->fd, dst, here, piece->offset + at, err);
		if (rc < 0)
			return rc;
		dst += here;
		n -= here;
		at = 0;
	}
	return n == 0 ? 0 : err_set(err, RC_INTERNAL, "the pieces of a payload are too short");
}

static void *block_main(void *arg)
{
	struct block_work *w = arg;
	uint64_t count = bundle_blocks(w->payload);
	uint8_t *block = malloc(BLOCK_BYTES);

	if (block == NULL)
		w->rc = err_memory(&w->err);
	for (uint64_t i = w->first; i < count && w->rc == 0; i += w->step) {
		uint64_t at = i * BLOCK_BYTES;
		size_t n = w->payload - at < BLOCK_BYTES ? (size_t)(w->payload - at) : BLOCK_BYTES;
		struct digest d;

		w->rc = payload_pread(w, at, block, n, &w->err);
		if (w->rc < 0)
			break;
		d = digest_of((struct bytes){block, n});
		memcpy(w->ret + i * DIGEST_BYTES, d.b, DIGEST_BYTES);
	}
	free(block);
	return NULL;
}

static unsigned block_threads(uint64_t blocks)
{
	cpu_set_t set;
	unsigned n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (unsigned)CPU_COUNT(&set);
	n = n > BLOCK_THREADS ? BLOCK_THREADS : n;
	return blocks < 2 * n ? 1 : n;
}

int publish_blocks(int fd, const struct depot_piece *pieces, size_t n, struct buf *ret,
		   struct err *err)
{
	struct block_work work[BLOCK_THREADS];
	pthread_t thread[BLOCK_THREADS];
	bool started[BLOCK_THREADS] = {false};
	uint64_t payload = 0, count;
	unsigned threads;
	int rc;

	for (size_t i = 0; i < n; i++)
		payload += pieces[i].length;
	count = bundle_blocks(payload);
	threads = block_threads(count);
	rc = buf_reserve(ret, (size_t)count * DIGEST_BYTES, err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < threads; i++) {
		work[i] = (struct block_work){fd,      pieces,          n, payload, i,
					      threads, ret->p + ret->n, 0, {0}};
		started[i] = i > 0 && pthread_create(&thread[i], NULL, block_main, &work[i]) == 0;
	}
	for (unsigned i = 0; i < threads; i++)
		if (!started[i])
			block_main(&work[i]);
	for (unsigned i = 0; i < threads; i++) {
		if (started[i])
			pthread_join(thread[i], NULL);
		if (work[i].rc < 0 && rc == 0)
			rc = err_set(err, work[i].rc, "content store: %s", work[i].err.text);
	}
	ret->n += rc == 0 ? (size_t)count * DIGEST_BYTES : 0;
	return rc;
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
