/*
 * The reader: a process that holds the bundle's descriptor (or those of its parts), the content key
 * of this one bundle and the end of a pipe, and nothing else.  It verifies, decrypts and
 * decompresses, and writes what comes out into the pipe:
 *
 *   the list of changes, exactly as many bytes as the manifest says
 *   for each member: LE 32-bit length of its name, LE 64-bit size, the name, the content
 *
 * Its last word (all was read and good, or why not) comes over its socket when the pipe has ended.
 * Nothing that it says is believed: whoever reads the pipe compares every digest.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/format/bundle.h"
#include "core/os/confine.h"
#include "core/os/durable.h"

#define PIPE_BYTES (1 << 20)
#define OUT_BYTES  (256u << 10) /* small members are gathered up to here */
#define LAST_WORD  1            /* type of the frame */

struct job {
	const struct apply_bundle *b;
	int file[APPLY_PARTS]; /* the bundle, or its parts; owned */
	size_t files;
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
	uint8_t code[4];
	int rc = confine_self(&err);

	if (rc >= 0)
		rc = payload_read(j->b->manifest, j->b->blocks, j->b->key, &ev, &err);
	if (rc >= 0)
		rc = out_flush(j, &err);
	put_u32(code, (uint32_t)(rc < 0 ? -rc : 0));
	if (buf_add(&word, code, sizeof(code), NULL) < 0 || buf_text(&word, err.text, NULL) < 0 ||
	    frame_send(fd, LAST_WORD, bytes_in(&word), NULL) < 0)
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
	buffer = malloc(OUT_BYTES);
	if (buffer == NULL)
		return err_memory(err);
	memcpy(keep, job.file, job.files * sizeof(*keep));
	keep[job.files] = job.pipefd = out;
	job.out = buffer;
	if (child_start(reader_main, &job, keep, job.files + 1, &ret->child, err) < 0)
		return err_prefix(err, "cannot start the reader");
	ret->pipe = TAKE_FD(in);
	return 0;
}

void reader_stop(struct reader *r)
{
	child_kill(&r->child);
	fd_closep(&r->pipe);
}

ssize_t reader_read(struct reader *r, uint8_t *p, size_t max, struct err *err)
{
	for (;;) {
		struct pollfd waiting = {.fd = r->pipe, .events = POLLIN};
		ssize_t n = read(r->pipe, p, max);
		int ready;

		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_sys(err, RC_IO, "cannot read from the reader");
		ready = poll(&waiting, 1, LIMIT_DEPOT_SILENCE * 1000);
		if (ready == 0)
			return err_set(err, RC_TIMEOUT,
				       "no byte of the bundle for %d s: the depot does not answer",
				       LIMIT_DEPOT_SILENCE);
		if (ready < 0 && errno != EINTR)
			return err_sys(err, RC_IO, "cannot wait for the reader");
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
		return err_set(err, RC_MALFORMED, "the bundle holds more than its list of changes");
	rc = frame_receive(r->child.fd, ERR_TEXT_MAX + 4, LIMIT_DEPOT_SILENCE * 1000, &type, &word,
			   err);
	if (rc < 0)
		return err_prefix(err, "the reader died");
	if (rc == 0 || type != LAST_WORD || word.n < 4)
		return err_set(err, RC_INTERNAL, "the reader died without a word");
	code = get_u32(word.p);
	if (code == 0)
		return 0;
	err_escape(said, sizeof(said), (const char *)word.p + 4);
	/* By way of the slug, so that a number that is none becomes "internal". */
	rc = rc_from_slug(rc_slug(code < 1000 ? -(int)code : RC_INTERNAL));
	return err_set(err, rc, "%s", said[0] != '\0' ? said : rc_text(rc));
}

int reader_changes(struct reader *r, const struct manifest *m, struct changelist *s,
		   struct err *err)
{
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
	if (!digest_equal(&is, &m->changes))
		return err_set(err, RC_MALFORMED,
			       "the list of changes is not the one that was signed");
	return 0;
}
