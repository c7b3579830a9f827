/* SPDX-License-Identifier: ISC */
/*
 * A file that comes in pieces, because the other side verifies each of them before it is written
 * here.  Until it is whole it has a dot-name, which readers ignore.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/depot/helper/helper.h"

static void stream_clear(struct stream *s)
{
	durable_abort(&s->file);
	fd_closep(&s->dir);
	s->begun = false;
}

static int tell_done(struct helper *h, struct err *err)
{
	return frame_send(h->fd, TELL_DONE, (struct bytes){NULL, 0}, err);
}

/* A directory under the name is somebody's; anything else there is torn. */
static int stream_there(const struct stream *s, struct err *err)
{
	struct stat st;

	if (fstatat(s->dir, s->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, RC_IO, "cannot stat \"%s\"", s->path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, RC_TYPE, "\"%s\" is a directory; remove it from the depot",
			       s->path);
	return 0;
}

/*
 * Space is asked for before the first byte: a copy that fails at the end has cost an hour and
 * leaves a full medium.
 */
static int stream_start(struct helper *h, struct stream *s, bool sweep, struct err *err)
{
	uint64_t bytes = 0;
	int rc;

	s->dir = helper_parent(h, s->path, &s->name, err);
	if (s->dir < 0)
		return s->dir;
	rc = stream_there(s, err);
	if (rc == 0 && sweep)
		rc = durable_sweep(s->dir, s->name, err);
	if (rc == 0)
		rc = helper_free_bytes(h, &bytes, err);
	if (rc == 0 && bytes < s->size)
		rc = helper_no_space(s->path, s->size, bytes, err);
	if (rc == 0)
		rc = durable_begin(s->dir, s->name, 0644, &s->file, err);
	return rc;
}

int helper_begin(struct helper *h, struct bytes in, int passed, struct err *err)
{
	struct stream *s = &h->stream;
	uint64_t size, sweep, verify;
	int rc;

	stream_clear(s);
	if (!field_number(&in, &size) || !field_number(&in, &sweep) ||
	    !field_number(&in, &verify) || !field_text(&in, s->path))
		return helper_malformed(err);
	s->size = size;
	s->given = s->pushed = 0;
	s->verify = verify != 0;
	digest_start(&s->digest);
	rc = stream_start(h, s, sweep != 0, err);
	if (rc < 0) {
		int saved = errno;

		stream_clear(s);
		errno = saved;
		return rc == RC_SPACE ? rc : err_prefix(err, "writing \"%s\"", s->path);
	}
	s->begun = true;
	return tell_done(h, err);
}

/* Never more than was announced: the check of space and the name were made for that size. */
int helper_more(struct helper *h, struct bytes in, int passed, struct err *err)
{
	struct stream *s = &h->stream;
	uint64_t bytes = 0;
	int rc;

	if (!s->begun || in.n > s->size - s->given)
		return helper_malformed(err);
	rc = helper_write(s->file.fd, s->path, s->size, in.p, in.n, err);
	if (rc < 0) {
		int saved = errno;

		stream_clear(s);
		if (rc == RC_SPACE && helper_free_bytes(h, &bytes, err) == 0)
			return helper_no_space(s->path, s->size, bytes, err);
		errno = saved;
		return err_prefix(err, "writing \"%s\"", s->path);
	}
	digest_more(&s->digest, in.p, in.n);
	s->given += in.n;
	helper_push(s->file.fd, s->given, &s->pushed);
	return tell_done(h, err);
}

static int tell_verifying(void *arg, uint64_t done, struct err *err)
{
	return helper_alive(arg, PHASE_VERIFY, done, err);
}

/*
 * What reads back differently is removed: under its name others would take it for whole, by its
 * size.
 */
static int stream_verify(struct helper *h, struct stream *s, struct err *err)
{
	struct digest wanted = digest_end(&s->digest), there;
	int rc = durable_digest(s->dir, s->name, tell_verifying, h, &there, err);

	if (helper_taken(s->path, rc))
		return 0;
	if (rc < 0 || digest_equal(&wanted, &there))
		return rc;
	unlinkat(s->dir, s->name, 0);
	return err_set(
	    err, RC_IO,
	    "\"%s\" reads back differently from what was written: the medium is failing; "
	    "use another one",
	    s->path);
}

int helper_commit(struct helper *h, struct bytes in, int passed, struct err *err)
{
	struct stream *s = &h->stream;
	int rc;

	if (!s->begun || s->given != s->size)
		return helper_malformed(err);
	rc = durable_commit(&s->file, s->name, DURABLE_REPLACE, err);
	if (rc == 0 && s->verify)
		rc = stream_verify(h, s, err);
	if (rc < 0) {
		int saved = errno;

		stream_clear(s);
		errno = saved;
		return err_prefix(err, "writing \"%s\"", s->path);
	}
	stream_clear(s);
	return tell_done(h, err);
}

int helper_abort(struct helper *h, struct bytes in, int passed, struct err *err)
{
	stream_clear(&h->stream);
	return tell_done(h, err);
}
