/* SPDX-License-Identifier: ISC */
/*
 * A payload, unpacked for whoever can use it.  Nothing reaches zstd or libarchive before its block
 * has the signed digest, and each announced size is checked before memory is set aside, so that a
 * small bundle cannot unpack to more than was signed.
 */
#include "core/format/bundle/payload.h"

#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "core/base/own.h"
#include "core/format/bundle/bundle.h"

/* The most that a good compressor makes of a frame's content, and a block that runs over it. */
#define PACKED_MAX (ZSTD_COMPRESSBOUND(LIMIT_FRAME) + BLOCK_BYTES)
/* The longest header of a frame (RFC 8878, 3.1.1.1, with the magic number). */
#define FRAME_HEADER 18

/*
 * blocks --verify, open--> packed --zstd, a frame at a time--> frame --libarchive--> events
 *
 * A frame is unpacked in one call, from one run of memory into another of the size it declares: no
 * window, no second copy.  libarchive hands out pieces of the frame where they lie.
 */
struct payload_input {
	const struct manifest *m;
	struct bytes blocks;
	struct content_key *key;
	const struct payload_events *events;
	struct err *err;
	int rc; /* the first failure below libarchive, which knows only that there was one */

	uint64_t block, block_count;
	struct buf sealed; /* one block, when the payload is sealed */
	struct buf packed; /* verified bytes; those from ${taken} on are not unpacked yet */
	size_t taken;
	uint8_t *frame; /* owned; content of the current frame */
	size_t frame_max;
	ZSTD_DCtx *zstd;            /* owned */
	uint64_t unpacked;          /* bytes of the tar so far */
	uint64_t position;          /* where the next member's header must stand */
	struct tar_writer *headers; /* owned */
	struct buf header;
};

/* Append the next block to the packed bytes. */
static int block_next(struct payload_input *r)
{
	uint64_t left = r->m->payload - r->block * BLOCK_BYTES;
	size_t n = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
	struct buf *to = r->key != NULL ? &r->sealed : &r->packed;
	struct digest seen;
	int rc;

	if (r->taken > 0) {
		r->packed.n -= r->taken;
		memmove(r->packed.p, r->packed.p + r->taken, r->packed.n);
		r->taken = 0;
	}
	buf_reset(&r->sealed);
	rc = buf_reserve(to, n, r->err);
	if (rc == 0)
		rc = r->events->block(r->events->arg, r->block, to->p + to->n, n, r->err);
	if (rc < 0)
		return rc;
	seen = digest_of((struct bytes){to->p + to->n, n});
	if (memcmp(seen.b, r->blocks.p + r->block * DIGEST_BYTES, DIGEST_BYTES) != 0)
		return err_set(
		    r->err, RC_INCOMPLETE,
		    "block %" PRIu64 " of %" PRIu64
		    " is not what was signed: the copy is damaged or altered; satchel carry "
		    "--check brings another, or on the server satchel publish --refill",
		    r->block + 1, r->block_count);
	to->n += n;
	r->block++;
	if (r->key == NULL)
		return 0;
	return content_open(r->key, bytes_in(&r->sealed), r->block == r->block_count, &r->packed,
			    r->err);
}

/* What the frame that begins at ${p} declares; ${n} bytes of it are at hand. */
static int frame_declares(struct payload_input *r, const uint8_t *p, size_t n, size_t *ret)
{
	unsigned long long size;

	if (n < 4 || get_u32(p) != ZSTD_MAGICNUMBER)
		return err_set(r->err, RC_MALFORMED,
			       "the payload holds something that is not a "
			       "zstd frame");
	size = ZSTD_getFrameContentSize(p, n);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size == 0)
		return err_set(r->err, RC_MALFORMED,
			       "a zstd frame of the payload does not declare its content");
	if (ZSTD_getDictID_fromFrame(p, n) != 0)
		return err_set(r->err, RC_MALFORMED,
			       "a zstd frame of the payload asks for a "
			       "dictionary");
	if (size > LIMIT_FRAME)
		return err_set(r->err, RC_LIMIT,
			       "a zstd frame of the payload declares %llu bytes; the limit is %u",
			       size, LIMIT_FRAME);
	if (size > r->m->unpacked - r->unpacked)
		return err_set(r->err, RC_LIMIT, "the payload unpacks to more than was signed");
	*ret = (size_t)size;
	return 0;
}

/*
 * Bring a whole frame together: 1 with its length packed and unpacked, 0 at the end.  A frame's
 * length is known only by reading it, so blocks are added until it is whole; more than a good
 * compressor could have made of the declared content is refused instead of gathered.
 */
static int frame_gather(struct payload_input *r, size_t *ret_packed, size_t *ret_content)
{
	for (;;) {
		size_t n = r->packed.n - r->taken, found;
		bool more = r->block < r->block_count;
		int rc = 0;

		if (n == 0 && !more)
			return 0;
		if (n >= FRAME_HEADER || !more) {
			const uint8_t *p = r->packed.p + r->taken;

			rc = frame_declares(r, p, n, ret_content);
			if (rc < 0)
				return rc;
			found = ZSTD_findFrameCompressedSize(p, n);
			if (!ZSTD_isError(found)) {
				*ret_packed = found;
				return 1;
			}
			if (ZSTD_getErrorCode(found) != ZSTD_error_srcSize_wrong || !more ||
			    n > PACKED_MAX - BLOCK_BYTES)
				return err_set(r->err, RC_MALFORMED,
					       "a zstd frame of the payload is damaged: %s",
					       ZSTD_getErrorName(found));
		}
		rc = block_next(r);
		if (rc < 0)
			return rc;
	}
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Unpack the next frame: 1 with ${*ret_n} bytes in r->frame, 0 after the last byte. */
static int frame_next(struct payload_input *r, size_t *ret_n)
{
	uint64_t end = r->m->unpacked - TAR_END;
	size_t packed = 0, content = 0, done, mark;
	int rc = frame_gather(r, &packed, &content);

	if (rc == 0 && r->unpacked != r->m->unpacked)
		return err_set(r->err, RC_MALFORMED, "the payload unpacks to less than was signed");
	if (rc <= 0)
		return rc;
	done = ZSTD_decompressDCtx(r->zstd, r->frame, content, r->packed.p + r->taken, packed);
	if (ZSTD_isError(done) || done != content)
		return err_set(r->err, RC_MALFORMED, "a zstd frame of the payload is damaged: %s",
			       ZSTD_isError(done) ? ZSTD_getErrorName(done) : "short");
	r->taken += packed;
	r->unpacked += content;
	/* The end mark is looked at here, for libarchive stops at its first half. */
	if (r->unpacked > end) {
		mark = r->unpacked - end < content ? (size_t)(r->unpacked - end) : content;
		if (!all_zero(r->frame + content - mark, mark))
			return err_set(r->err, RC_MALFORMED,
				       "the payload does not end with the end mark of a tar");
	}
	*ret_n = content;
	return 1;
}

static la_ssize_t frame_pull(struct archive *a, void *arg, const void **ret)
{
	struct payload_input *r = arg;
	size_t n = 0;

	r->rc = frame_next(r, &n);
	if (r->rc < 0) {
		archive_set_error(a, EIO, "the reader below failed");
		return -1;
	}
	*ret = r->frame;
	return (la_ssize_t)n;
}

/* A failure that libarchive reports: ours from below it, or its own about the form. */
static int tar_failed(struct payload_input *r, struct archive *a)
{
	const char *text = archive_error_string(a);

	if (r->rc < 0)
		return r->rc;
	return err_set(r->err, RC_MALFORMED, "the payload is not a tar as satchel makes it: %s",
		       text != NULL ? text : "no reason given");
}

/* Hand out the content of the current member. */
static int member_data(struct payload_input *r, struct archive *a, uint64_t size,
		       int (*each)(void *arg, struct bytes piece, struct err *err),
		       struct digest_stream *digest)
{
	uint64_t done = 0;

	for (;;) {
		const void *p = NULL;
		size_t n = 0;
		la_int64_t offset = 0;
		int got = archive_read_data_block(a, &p, &n, &offset);
		int rc;

		if (got == ARCHIVE_EOF)
			break;
		if (got != ARCHIVE_OK)
			return tar_failed(r, a);
		if (offset < 0 || (uint64_t)offset != done || n > size - done)
			return err_set(r->err, RC_MALFORMED, "a member of the payload has holes");
		if (n == 0)
			continue;
		done += n;
		if (digest != NULL)
			digest_more(digest, p, n);
		rc = each(r->events->arg, (struct bytes){p, n}, r->err);
		if (rc < 0)
			return rc;
	}
	if (done != size)
		return err_set(r->err, RC_MALFORMED, "a member of the payload is cut short");
	return 0;
}

/*
 * The header that libarchive just read: a plain file, and as long as our writer makes it.
 * libarchive accepts many forms of tar.  The header that our writer would make, and the position
 * of the next one, show that it was the one form; so no metadata can hide in it.
 */
static int member_check(struct payload_input *r, struct archive *a, struct archive_entry *e,
			const char **ret_name, uint64_t *ret_size)
{
	const char *name = archive_entry_pathname(e);
	int64_t size = archive_entry_size(e);
	uint64_t end = r->m->unpacked - TAR_END;
	int rc;

	if (name == NULL || archive_entry_filetype(e) != AE_IFREG ||
	    archive_entry_hardlink(e) != NULL || archive_entry_symlink(e) != NULL)
		return err_set(r->err, RC_MALFORMED,
			       "the payload holds something that is not a regular file");
	if (!archive_entry_size_is_set(e) || size < 0 || archive_entry_sparse_count(e) != 0 ||
	    archive_entry_xattr_count(e) != 0)
		return err_set(r->err, RC_MALFORMED,
			       "a member of the payload has more metadata than a size");
	buf_reset(&r->header);
	rc = tar_writer_header(r->headers, name, (uint64_t)size, &r->header, r->err);
	if (rc < 0)
		return rc;
	if ((uint64_t)archive_read_header_position(a) != r->position)
		return err_set(r->err, RC_MALFORMED,
			       "a member of the payload has another header than satchel makes");
	if (r->position > end || (uint64_t)size > end - r->position)
		return err_set(r->err, RC_LIMIT,
			       "a member of the payload has more than was signed");
	r->position += r->header.n + (uint64_t)size + tar_padding((uint64_t)size);
	*ret_name = name;
	*ret_size = (uint64_t)size;
	return 0;
}

static int read_changes(struct payload_input *r, struct archive *a, const char *name, uint64_t size)
{
	struct digest_stream stream;
	struct digest seen;
	int rc;

	if (strcmp(name, "changes") != 0 || size != r->m->changes_size)
		return err_set(
		    r->err, RC_MALFORMED,
		    "the payload does not begin with the list of changes that was signed");
	digest_start(&stream);
	rc = member_data(r, a, size, r->events->changes, &stream);
	if (rc < 0)
		return rc;
	seen = digest_end(&stream);
	seen = content_changes(content_key_salt(r->key), &seen);
	if (!digest_equal(&seen, &r->m->changes))
		return err_set(r->err, RC_MALFORMED,
			       "the list of changes is not the one that was signed");
	return r->events->changes(r->events->arg, (struct bytes){NULL, 0}, r->err);
}

static int read_member(struct payload_input *r, struct archive *a, const char *name, uint64_t size)
{
	int rc;

	if (strncmp(name, "files/", 6) != 0 && strncmp(name, "patches/", 8) != 0)
		return err_set(r->err, RC_MALFORMED, "the payload holds a member %.200s", name);
	rc = r->events->member(r->events->arg, name, size, r->err);
	return rc < 0 ? rc : member_data(r, a, size, r->events->data, NULL);
}

/*
 * The end is checked three times: by libarchive, by the position that the headers add up to, and
 * by the bytes that were signed.  What follows the end mark is read and must be nothing.
 */
static int read_tar(struct payload_input *r, struct archive *a)
{
	struct archive_entry *e;
	const char *name = NULL;
	uint64_t size = 0;
	size_t n;
	int got, rc;

	/* One format, no filter: nothing is guessed. */
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_filter_none(a) != ARCHIVE_OK ||
	    archive_read_open(a, r, NULL, frame_pull, NULL) != ARCHIVE_OK)
		return tar_failed(r, a);
	for (bool first = true;; first = false) {
		got = archive_read_next_header(a, &e);
		if (got == ARCHIVE_EOF && !first)
			break;
		if (got != ARCHIVE_OK)
			return tar_failed(r, a);
		rc = member_check(r, a, e, &name, &size);
		if (rc < 0)
			return rc;
		rc = first ? read_changes(r, a, name, size) : read_member(r, a, name, size);
		if (rc != 0)
			return rc;
	}
	if (r->rc < 0)
		return r->rc;
	if (r->position != r->m->unpacked - TAR_END ||
	    (uint64_t)archive_read_header_position(a) != r->position)
		return err_set(r->err, RC_MALFORMED,
			       "the payload's tar ends before the end that was signed");
	do {
		rc = frame_next(r, &n);
	} while (rc == 1);
	return rc;
}

static int reader_check(const struct payload_input *r)
{
	const struct manifest *m = r->m;

	if (m->payload == 0 || m->payload > LIMIT_PAYLOAD)
		return err_set(r->err, RC_LIMIT, "a payload of %" PRIu64 " bytes", m->payload);
	if (r->blocks.n != r->block_count * DIGEST_BYTES)
		return err_set(r->err, RC_MALFORMED,
			       "%zu bytes of block digests for %" PRIu64 " blocks", r->blocks.n,
			       r->block_count);
	if (m->changes_size > LIMIT_CHANGES)
		return err_set(r->err, RC_LIMIT,
			       "a list of changes of %" PRIu64 " bytes; the limit is %llu",
			       m->changes_size, LIMIT_CHANGES);
	if (m->unpacked < TAR_RECORD + TAR_END || m->unpacked % TAR_RECORD != 0 ||
	    m->unpacked > INT64_MAX)
		return err_set(r->err, RC_MALFORMED, "a tar of %" PRIu64 " bytes", m->unpacked);
	if (manifest_sealed(m) && r->key == NULL)
		return err_set(r->err, RC_UNTRUSTED,
			       "the payload is sealed to %s, whose key is not at hand",
			       m->recipient[0] != '\0' ? m->recipient : m->channel);
	return 0;
}

static void reader_clear(struct payload_input *r)
{
	buf_wipe(&r->sealed);
	buf_wipe(&r->packed);
	buf_clear(&r->header);
	if (r->key != NULL && r->frame != NULL)
		sodium_memzero(r->frame, r->frame_max);
	free(r->frame);
	ZSTD_freeDCtx(r->zstd);
	tar_writer_freep(&r->headers);
}

int payload_read(const struct manifest *m, struct bytes blocks, struct content_key *key,
		 const struct payload_events *events, struct err *err)
{
	OWNED(reader_clear)
	struct payload_input r = {.m = m,
				  .blocks = blocks,
				  .key = key,
				  .events = events,
				  .err = err,
				  .block_count = bundle_blocks(m->payload)};
	struct archive *a;
	int rc = reader_check(&r);

	if (rc < 0)
		return rc;
	rc = tar_writer_new(&r.headers, err);
	if (rc < 0)
		return rc;
	r.frame_max = m->unpacked < LIMIT_FRAME ? (size_t)m->unpacked : LIMIT_FRAME;
	r.frame = malloc(r.frame_max);
	r.zstd = ZSTD_createDCtx();
	a = archive_read_new();
	if (r.frame == NULL || r.zstd == NULL || a == NULL)
		rc = err_memory(err);
	else
		rc = read_tar(&r, a);
	archive_read_free(a);
	return rc;
}
