/* SPDX-License-Identifier: ISC */
/*
 * Headers of tar members that come out the same on every machine.  libarchive writes one, without
 * name and size; for the many members that follow only these and the checksum are put in.
 */
#include "core/format/bundle/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"

/* Fields of a ustar header: offsets and lengths in bytes (tar(5)). */
#define NAME_LENGTH     100
#define SIZE_OFFSET     124
#define SIZE_DIGITS     11
#define CHECKSUM_OFFSET 148
#define CHECKSUM_LENGTH 8
/* The first size that eleven octal digits cannot hold: 8 GiB. */
#define SIZE_END (1ull << 33)

struct tar_writer {
	uint8_t plain[TAR_RECORD]; /* libarchive's header for a member without name and size */
	unsigned plain_sum;        /* of its bytes, the checksum field taken as blanks */
};

/* What libarchive writes lands in a buffer; a failure is kept, for libarchive knows only "failed".
 */
struct tar_sink {
	struct buf *out; /* borrowed; NULL: nothing more is wanted */
	struct err *err; /* borrowed */
	int rc;
};

static la_ssize_t tar_sink_write(struct archive *a, void *arg, const void *p, size_t n)
{
	struct tar_sink *sink = arg;

	if (sink->out == NULL)
		return -1;
	sink->rc = buf_add(sink->out, p, n, sink->err);
	return sink->rc < 0 ? -1 : (la_ssize_t)n;
}

static int archive_header(struct archive *a, struct archive_entry *e, const char *name,
			  uint64_t size, struct tar_sink *sink)
{
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	archive_entry_set_mtime(e, 0, 0);
	if (archive_write_set_format_pax_restricted(a) == ARCHIVE_OK &&
	    archive_write_set_bytes_per_block(a, 0) == ARCHIVE_OK &&
	    archive_write_open(a, sink, NULL, tar_sink_write, NULL) == ARCHIVE_OK &&
	    archive_write_header(a, e) == ARCHIVE_OK)
		return 0;
	if (sink->rc < 0)
		return sink->rc;
	return err_set(sink->err, RC_INTERNAL, "libarchive made no header for member %s: %s", name,
		       archive_error_string(a));
}

/* A header by libarchive itself. */
static int header_ask(const char *name, uint64_t size, struct buf *ret, struct err *err)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	struct tar_sink sink = {ret, err, 0};
	int rc = a == NULL || e == NULL ? err_memory(err) : archive_header(a, e, name, size, &sink);

	/* The content is never written here: a sink that fails stops libarchive from padding it. */
	sink.out = NULL;
	archive_write_free(a);
	archive_entry_free(e);
	return rc;
}

int tar_writer_new(struct tar_writer **ret, struct err *err)
{
	OWNED(buf_clear) struct buf header = BUF_INIT;
	struct tar_writer *w;
	int rc = header_ask("x", 0, &header, err);

	if (rc < 0)
		return rc;
	if (header.n != TAR_RECORD)
		return err_set(err, RC_INTERNAL, "libarchive made a header of %zu bytes", header.n);
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_memory(err);
	memcpy(w->plain, header.p, TAR_RECORD);
	w->plain[0] = 0;
	memset(w->plain + SIZE_OFFSET, 0, SIZE_DIGITS);
	memset(w->plain + CHECKSUM_OFFSET, ' ', CHECKSUM_LENGTH);
	for (size_t i = 0; i < TAR_RECORD; i++)
		w->plain_sum += w->plain[i];
	*ret = w;
	return 0;
}

void tar_writer_freep(struct tar_writer **w)
{
	free(*w);
	*w = NULL;
}

/* The plain header with name, size and checksum filled in. */
static int header_fill(const struct tar_writer *w, const char *name, size_t length, uint64_t size,
		       struct buf *ret, struct err *err)
{
	unsigned sum = w->plain_sum;
	uint8_t *p;
	int rc = buf_add(ret, w->plain, TAR_RECORD, err);

	if (rc < 0)
		return rc;
	p = ret->p + ret->n - TAR_RECORD;
	for (size_t i = 0; i < length; i++) {
		p[i] = (uint8_t)name[i];
		sum += p[i];
	}
	for (size_t i = SIZE_DIGITS; i-- > 0; size >>= 3) {
		p[SIZE_OFFSET + i] = (uint8_t)('0' + (size & 7));
		sum += p[SIZE_OFFSET + i];
	}
	/* Six digits, NUL, blank. */
	for (size_t i = 6; i-- > 0; sum >>= 3)
		p[CHECKSUM_OFFSET + i] = (uint8_t)('0' + (sum & 7));
	p[CHECKSUM_OFFSET + 6] = 0;
	return 0;
}

int tar_writer_header(struct tar_writer *w, const char *name, uint64_t size, struct buf *ret,
		      struct err *err)
{
	size_t length = strlen(name);

	if (length == 0 || size > INT64_MAX)
		return err_set(err, RC_LIMIT, "a tar member of no name or of 2^63 bytes or more");
	if (length <= NAME_LENGTH && size < SIZE_END)
		return header_fill(w, name, length, size, ret, err);
	return header_ask(name, size, ret, err);
}

int tar_writer_member(struct tar_writer *w, const char *name, struct bytes content, struct buf *ret,
		      struct err *err)
{
	int rc = tar_writer_header(w, name, content.n, ret, err);

	if (rc == 0)
		rc = buf_add(ret, content.p, content.n, err);
	if (rc == 0)
		rc = tar_zeros(tar_padding(content.n), ret, err);
	return rc;
}

int tar_header(const char *name, uint64_t size, struct buf *ret, struct err *err)
{
	OWNED(tar_writer_freep) struct tar_writer *w = NULL;
	int rc = tar_writer_new(&w, err);

	return rc < 0 ? rc : tar_writer_header(w, name, size, ret, err);
}

size_t tar_padding(uint64_t size)
{
	return (size_t)(-size % TAR_RECORD);
}

int tar_zeros(size_t n, struct buf *ret, struct err *err)
{
	int rc = buf_reserve(ret, n, err);

	if (rc < 0)
		return rc;
	memset(ret->p + ret->n, 0, n + 1);
	ret->n += n;
	return 0;
}
