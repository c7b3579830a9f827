/* SPDX-License-Identifier: ISC */
/*
 * The reader: a process that holds the bundle's descriptor (or those of its parts), the content key
 * of this one bundle, which is the first thing that it is told, and the end of a pipe, and nothing
 * else.  It verifies, decrypts and decompresses, and writes what comes out into the pipe:
 *
 *   the list of changes, exactly as many bytes as the manifest says
 *   for each member: LE 32-bit length of its name, LE 64-bit size, the name, the content
 *
 * Its last word (all was read and good, or why not) comes over its socket when the pipe has ended.
 * Nothing that it says is believed: whoever reads the pipe compares every digest.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "applier/apply/apply_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/os/confine.h"
#include "core/os/durable.h"

#define PIPE_BYTES (1 << 20)
/* How often what the reader has verified is looked at while nothing comes out of it. */
#define PROGRESS_MS 200
#define OUT_BYTES   (256u << 10) /* small members are gathered up to here */
#define LAST_WORD   1            /* types of the frames */
#define KEY         2
#define KEY_BYTES   1024
#define KEY_MS      10000

struct job {
	const struct apply_bundle *b;
	int file[APPLY_PARTS]; /* the bundle, or its parts; owned */
	size_t files;
	_Atomic uint64_t *verified; /* bytes; the other side reads it */
	int pipefd;
	uint8_t *out; /* OUT_BYTES */
	size_t used;
};

static int out_flush(struct job *j, struct err *err)
{
	size_t n = j->used;

	j->used = 0;
	return fd_write(j->pipefd, j->out, n, err);
}

static int out_add(struct job *j, const void *p, size_t n, struct err *err)
{
	bool direct = n >= OUT_BYTES / 2;

	if ((direct || j->used + n > OUT_BYTES) && out_flush(j, err) < 0)
		return err->rc;
	if (direct)
		return fd_write(j->pipefd, p, n, err);
	memcpy(j->out + j->used, p, n);
	j->used += n;
	return 0;
}

static int on_block(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err)
{
	struct job *j = arg;
	uint32_t each = j->b->part_blocks;
	size_t file = each == 0 ? 0 : (size_t)(i / each);

	if (file >= j->files)
		return err_set(err, RC_INTERNAL, "the bundle has fewer parts");
	/* A block is asked for when those before it have been verified. */
	atomic_store(j->verified, i * BLOCK_BYTES);
	return fd_pread(j->file[file], dst, n,
			j->b->payload_offset + (each == 0 ? i : i % each) * BLOCK_BYTES, err);
}

static int on_piece(void *arg, struct bytes piece, struct err *err)
{
	/* A piece without bytes is the end of the list: it must not wait for the first member. */
	if (piece.p == NULL)
		return out_flush(arg, err);
	return out_add(arg, piece.p, piece.n, err);
}

static int on_member(void *arg, const char *name, uint64_t size, struct err *err)
{
	uint8_t head[MEMBER_HEADER];
	size_t n = strlen(name);

	if (n > MEMBER_NAME)
		return err_set(err, RC_MALFORMED, "a member's name is too long");
	put_u32(head, (uint32_t)n);
	put_u64(head + 4, size);
	if (out_add(arg, head, sizeof(head), err) < 0)
		return err->rc;
	return out_add(arg, name, n, err);
}

static int key_hear(int fd, struct content_key **ret, struct err *err)
{
	OWNED(buf_clear) struct buf in = BUF_SECRET;
	uint8_t type = 0;
	int rc = frame_receive(fd, KEY_BYTES, KEY_MS, &type, &in, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || type != KEY)
		return err_set(err, RC_INTERNAL, "the reader was told no content key");
	return content_key_take(bytes_in(&in), ret, err);
}

static int reader_main(void *arg, int fd)
{
	struct job *j = arg;
	const struct payload_events ev = {.arg = j,
					  .block = on_block,
					  .changes = on_piece,
					  .member = on_member,
					  .data = on_piece};
	struct err err = {0};
	OWNED(buf_clear) struct buf word = BUF_INIT;
	OWNED(content_key_freep) struct content_key *key = NULL;
	uint8_t code[4];
	int rc = j->b->key != NULL ? key_hear(fd, &key, &err) : 0;

	if (rc >= 0)
		rc = confine_self(CONFINE_READER, -1, &err);
	if (rc >= 0)
		rc = payload_read(j->b->manifest, j->b->blocks, key, &ev, &err);
	if (rc >= 0)
		rc = out_flush(j, &err);
	put_u32(code, (uint32_t)(rc < 0 ? -rc : 0));
	if (buf_add(&word, code, sizeof(code), ERR_IGNORED) < 0 ||
	    buf_text(&word, err.text, ERR_IGNORED) < 0 ||
	    frame_send(fd, LAST_WORD, bytes_in(&word), ERR_IGNORED) < 0)
		return 1;
	return 0;
}

static void job_close(struct job *j)
{
	for (size_t i = 0; i < j->files; i++)
		fd_closep(&j->file[i]);
}

static int file_add(struct job *j, const char *path, struct err *err)
{
	int fd = depot_fd(j->b->depot, path, err);

	if (fd < 0)
		return fd;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	j->file[j->files++] = fd;
	return 0;
}

static int files_open(struct job *j, struct err *err)
{
	const struct apply_bundle *b = j->b;
	uint64_t blocks = bundle_blocks(b->manifest->payload);
	int rc = 0;

	if (b->part_blocks == 0)
		return file_add(j, b->path, err);
	for (uint64_t at = 0; rc == 0 && at < blocks; at += b->part_blocks) {
		char path[DEPOT_NAME];

		if (j->files == APPLY_PARTS)
			return err_set(err, RC_LIMIT,
				       "the bundle lies in more than %u parts; satchel carry "
				       "joins them",
				       APPLY_PARTS);
		name_part(path, b->path, (uint32_t)j->files + 1, b->part_blocks);
		rc = file_add(j, path, err);
	}
	return rc;
}

/*
 * Files are opened here and handed over, because the confined child can open nothing; the pipe is
 * the only way out of it, and what comes through is still checked against signed digests.
 */
int reader_start(const struct apply_bundle *b, struct reader *ret, struct err *err)
{
	OWNED(job_close) struct job job = {.b = b, .pipefd = -1};
	int keep[APPLY_PARTS + 1], rc;
	OWNED(fd_closep) int in = -1;
	OWNED(fd_closep) int out = -1;
	OWNED(freep) uint8_t *buffer = NULL;
	int ends[2];

	rc = files_open(&job, err);
	if (rc < 0)
		return rc;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, RC_IO, "cannot make a pipe");
	in = ends[0];
	out = ends[1];
	fcntl(out, F_SETPIPE_SZ, PIPE_BYTES); /* only speed: a smaller pipe works as well */
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, RC_IO, "cannot set up a pipe");
	ret->verified = mmap(NULL, sizeof(*ret->verified), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ret->verified == MAP_FAILED) {
		ret->verified = NULL;
		return err_memory(err);
	}
	job.verified = ret->verified;
	buffer = malloc(OUT_BYTES);
	if (buffer == NULL)
		return err_memory(err);
	memcpy(keep, job.file, job.files * sizeof(*keep));
	keep[job.files] = job.pipefd = out;
	job.out = buffer;
	if (child_start(reader_main, &job, keep, job.files + 1, &ret->child, err) < 0)
		return err_prefix(err, "cannot start the reader");
	if (b->key != NULL && frame_send(ret->child.fd, KEY, content_key_bytes(b->key), err) < 0) {
		child_kill(&ret->child);
		return err_prefix(err, "cannot start the reader");
	}
	ret->pipe = TAKE_FD(in);
	ret->depot = b->depot;
	ret->payload = b->manifest->payload;
	return 0;
}

void reader_stop(struct reader *r)
{
	child_kill(&r->child);
	fd_closep(&r->pipe);
	if (r->verified != NULL)
		munmap(r->verified, sizeof(*r->verified));
	r->verified = NULL;
}

/*
 * Blocks that were verified since the last look: the list of changes and the first frame come out
 * only when they are whole.  A reader that was taken over cannot claim more than there is.
 */
static bool reader_progress(struct reader *r)
{
	uint64_t now = atomic_load(r->verified);

	if (now > r->payload)
		now = r->payload;
	if (now <= r->credited)
		return false;
	depot_credit(r->depot, 0, now - r->credited);
	r->credited = now;
	return true;
}

/* Until there is something to read. */
static int reader_wait(struct reader *r, struct err *err)
{
	struct pollfd waiting = {.fd = r->pipe, .events = POLLIN};
	int64_t quiet = clock_monotonic_ms();

	for (;;) {
		int64_t since = clock_monotonic_ms();
		int most = depot_waiting(r->depot);
		int ready = poll(&waiting, 1, most < PROGRESS_MS ? most : PROGRESS_MS);

		if (ready < 0 && errno != EINTR)
			return err_sys(err, RC_IO, "cannot wait for the reader");
		if (reader_progress(r))
			quiet = clock_monotonic_ms();
		if (depot_waited(r->depot, since, err) < 0)
			return RC_TIMEOUT;
		if (ready > 0)
			return 0;
		if (clock_monotonic_ms() - quiet >= LIMIT_DEPOT_SILENCE * 1000)
			return err_set(err, RC_TIMEOUT,
				       "no block of the bundle for %d s: the depot does not answer",
				       LIMIT_DEPOT_SILENCE);
	}
}

ssize_t reader_read(struct reader *r, uint8_t *p, size_t max, struct err *err)
{
	for (;;) {
		ssize_t n = read(r->pipe, p, max);
		int rc;

		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_sys(err, RC_IO, "cannot read from the reader");
		rc = reader_wait(r, err);
		if (rc < 0)
			return rc;
	}
}

int reader_end(struct reader *r, struct err *err)
{
	OWNED(buf_clear) struct buf word = BUF_INIT;
	char said[512];
	uint8_t type, more;
	ssize_t extra = reader_read(r, &more, 1, err);
	uint32_t code;
	int rc;

	if (extra < 0)
		return (int)extra;
	if (extra > 0)
		return err_set(err, RC_MALFORMED, "the bundle has more than its list of changes");
	rc = frame_receive(r->child.fd, ERR_TEXT_MAX + 4, LIMIT_DEPOT_SILENCE * 1000, &type, &word,
			   err);
	if (rc < 0)
		return err_prefix(err, "the reader ended unexpectedly");
	if (rc == 0 || type != LAST_WORD || word.n < 4)
		return err_set(err, RC_INTERNAL, "the reader ended unexpectedly");
	code = get_u32(word.p);
	if (code == 0)
		return 0;
	err_escape(said, sizeof(said), (const char *)word.p + 4);
	/* By way of the slug, so that a number that is none becomes "internal". */
	rc = rc_from_slug(rc_slug(code < 1000 ? -(int)code : RC_INTERNAL));
	return err_set(err, rc, "%s", said[0] != '\0' ? said : rc_text(rc));
}

int reader_changes(struct reader *r, const struct apply_bundle *b, struct changelist *s,
		   struct err *err)
{
	const struct manifest *m = b->manifest;
	OWNED(freep) uint8_t *p = malloc(OUT_BYTES);
	struct digest_stream hash;
	struct digest is;

	if (p == NULL)
		return err_memory(err);
	digest_start(&hash);
	while (s->size < m->changes_size) {
		uint64_t left = m->changes_size - s->size;
		ssize_t n = reader_read(r, p, left < OUT_BYTES ? (size_t)left : OUT_BYTES, err);

		if (n < 0)
			return (int)n;
		if (n == 0) {
			int rc = reader_end(r, err);

			return rc < 0 ? rc
				      : err_set(err, RC_MALFORMED,
						"the list of changes is shorter than signed");
		}
		digest_more(&hash, p, (size_t)n);
		if (changelist_add(s, (struct bytes){p, (size_t)n}, err) < 0)
			return err->rc;
	}
	is = digest_end(&hash);
	is = content_changes(content_key_salt(b->key), &is);
	if (!digest_equal(&is, &m->changes))
		return err_set(err, RC_MALFORMED,
			       "the list of changes is not the one that was signed");
	return 0;
}
