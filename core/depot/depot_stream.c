/* SPDX-License-Identifier: ISC */
/*
 * Files that are written while they are being verified.  The answer to each piece is fetched one
 * piece later, so that the medium writes while the next piece is read and checked.
 */
#include <errno.h>

#include "core/base/own.h"
#include "core/depot/depot_internal.h"

int depot_stream_begin(struct depot *d, const char *path, uint64_t size, bool sweep,
		       struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	int rc = pack_number(&question, size, err);

	if ((d->flags & DEPOT_WRITE) == 0)
		return err_set(err, RC_INTERNAL, "the depot \"%s\" was opened for reading only",
			       d->path);
	if (rc == 0)
		rc = pack_number(&question, sweep, err);
	if (rc == 0)
		rc = pack_number(&question, (d->flags & DEPOT_VERIFY) != 0, err);
	if (rc == 0)
		rc = depot_question_path(&question, path, err);
	d->posting = rc == 0;
	if (rc == 0)
		rc = depot_talk(d, ASK_BEGIN, &question, 0, &answer, err);
	d->posting = rc == 0;
	return rc;
}

/* The piece is on its way while the caller reads and verifies the next one; its answer is waited
 * for before that goes out. */
int depot_stream_more(struct depot *d, struct bytes piece, struct err *err)
{
	int rc = depot_send(d, ASK_MORE, piece, err);

	/* The answer to the piece before has come. */
	if (rc == 0) {
		depot_credit(d, 0, piece.n);
		d->streamed += piece.n;
	}
	return rc;
}

int depot_stream_flush(struct depot *d, struct err *err)
{
	return depot_owed(d, err);
}

int depot_stream_commit(struct depot *d, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	int rc;

	/* Reading back takes as long as the file is large. */
	depot_work(d, d->streamed);
	rc = depot_talk(d, ASK_COMMIT, &question, 0, &answer, err);
	depot_work(d, 0);
	d->streamed = 0;
	d->posting = false;
	if (rc == 0)
		depot_credit(d, 1, 0);
	return rc;
}

void depot_stream_abort(struct depot *d)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct err err;
	int saved = errno;

	d->streamed = 0;
	d->posting = false;
	/* What the last piece came to does not matter any more. */
	if (d->dead == 0 && depot_owed(d, &err) < 0 && d->dead != 0)
		d->owed = false;
	if (d->dead == 0)
		depot_talk(d, ASK_ABORT, &question, 0, &answer, &err);
	errno = saved;
}
