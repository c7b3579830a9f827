/* SPDX-License-Identifier: ISC */
/*
 * Posting: a file appears under its name whole or not at all, and stays there after the medium was
 * pulled out.  What is there already is compared byte by byte, because a torn copy can have the
 * right size.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/depot/helper/helper.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

#define WINDOW_BYTES (8u << 20)
/* Others may write the same file at the same moment; after so many rounds it is said. */
#define ATTEMPTS 3

/* The bytes of the new file, section by section: prefix, pieces, zeros. */
struct post_source {
	struct helper *h;
	enum phase phase;
	struct bytes prefix; /* borrowed */
	int fd;              /* of the pieces; borrowed */
	struct bytes pieces; /* offset and length of each, as they came; borrowed */
	uint64_t tail;       /* zero bytes */
	uint64_t total;      /* bytes */
	uint64_t section;    /* 0 the prefix, 1 to n the pieces, n + 1 the tail */
	uint64_t at;         /* bytes of it that were given */
	uint64_t given;      /* bytes of all */
};

struct helper_post {
	const char *path;
	int dir;          /* its parent; owned */
	const char *name; /* its last component; within path */
	bool verify;
	struct post_source source;
};

static void source_rewind(struct post_source *s, enum phase phase)
{
	s->phase = phase;
	s->section = s->at = s->given = 0;
}

static uint64_t source_sections(const struct post_source *s)
{
	return s->pieces.n / 16 + 2;
}

static uint64_t section_length(const struct post_source *s)
{
	if (s->section == 0)
		return s->prefix.n;
	if (s->section == source_sections(s) - 1)
		return s->tail;
	return get_u64(s->pieces.p + (s->section - 1) * 16 + 8);
}

static int section_copy(struct post_source *s, uint8_t *dst, size_t n, struct err *err)
{
	if (s->section == 0)
		memcpy(dst, s->prefix.p + s->at, n);
	else if (s->section == source_sections(s) - 1)
		memset(dst, 0, n);
	else
		return fd_pread(s->fd, dst, n, get_u64(s->pieces.p + (s->section - 1) * 16) + s->at,
				err);
	return 0;
}

/* A durable_source, which also tells the other side that work goes on. */
static int source_next(void *arg, uint8_t *dst, size_t n, size_t *ret_n, struct err *err)
{
	struct post_source *s = arg;
	size_t got = 0;

	while (got < n && s->section < source_sections(s)) {
		uint64_t left = section_length(s) - s->at;
		size_t some = left < n - got ? (size_t)left : n - got;
		int rc = some > 0 ? section_copy(s, dst + got, some, err) : 0;

		if (rc < 0)
			return rc;
		got += some;
		s->at += some;
		if (some == left) {
			s->section++;
			s->at = 0;
		}
	}
	*ret_n = got;
	s->given += got;
	return helper_alive(s->h, s->phase, s->given, err);
}

static int source_total(struct post_source *s, struct err *err)
{
	uint64_t total = s->prefix.n;
	bool too_long = __builtin_add_overflow(total, s->tail, &total);

	for (size_t i = 0; i + 16 <= s->pieces.n && !too_long; i += 16)
		too_long = __builtin_add_overflow(total, get_u64(s->pieces.p + i + 8), &total);
	if (too_long || total > INT64_MAX)
		return err_set(err, RC_LIMIT, "a file of more bytes than a file can have");
	s->total = total;
	return 0;
}

static int post_fields(struct helper_post *p, char path[LIMIT_PATH + 1], struct bytes in,
		       struct err *err)
{
	uint64_t verify, tail, pieces;

	if (!field_number(&in, &verify) || !field_text(&in, path) || !field_number(&in, &tail) ||
	    !field_number(&in, &pieces) || pieces > in.n / 16)
		return helper_malformed(err);
	p->path = path;
	p->verify = verify != 0;
	p->source.tail = tail;
	p->source.pieces = (struct bytes){in.p, (size_t)pieces * 16};
	p->source.prefix = (struct bytes){in.p + pieces * 16, in.n - (size_t)pieces * 16};
	return source_total(&p->source, err);
}

/*
 * A directory that is as open as the one it is made in, whatever the umask: who shares a depot with
 * other users opens its top to them, and the first of them to write must not shut out the rest.
 */
static int dir_make(int at, const char *name, struct err *err)
{
	OWNED(fd_closep) int made = -1;
	struct stat above, st;
	mode_t mask;
	int rc;

	if (fstat(at, &above) < 0)
		return err_sys(err, RC_IO, "cannot stat the directory above \"%s\"", name);
	mask = umask(0);
	rc = mkdirat(at, name, above.st_mode & 0777);
	umask(mask);
	if (rc < 0)
		return errno == EEXIST ? 0 : err_sys(err, RC_IO, "cannot make \"%s\"", name);
	made = beneath_dir(at, name, err);
	/* A set-group-id bit is handed down by the kernel, and a confined service may not set it
	 * itself. Media without modes refuse, and need none. */
	if (made >= 0 && fstat(made, &st) == 0 && ((st.st_mode ^ above.st_mode) & 07777) != 0 &&
	    fchmod(made, above.st_mode & 07777) < 0)
		errno = 0;
	return made < 0 ? made : dir_sync(at, err);
}

/* The parents, and every one of them flushed: a name is only as durable as the way to it. */
static int make_parents(struct helper *h, const char *path, struct err *err)
{
	OWNED(fd_closep) int at = beneath_dir(h->root, ".", err);
	char dir[LIMIT_PATH + 1], *next = dir;
	int rc = at < 0 ? at : 0;

	strcpy(dir, path);
	*strrchr(dir, '/') = '\0';
	while (rc == 0 && next != NULL) {
		const char *name = strsep(&next, "/");
		int below;

		rc = dir_make(at, name, err);
		below = rc < 0 ? rc : beneath_dir(at, name, err);
		fd_closep(&at);
		at = below;
		rc = below < 0 ? below : 0;
	}
	return rc;
}

int helper_parent(struct helper *h, const char *path, const char **ret_name, struct err *err)
{
	int dir = beneath_parent(h->root, path, ret_name, err);
	int rc;

	if (dir != RC_ABSENT)
		return dir;
	rc = make_parents(h, path, err);
	return rc < 0 ? rc : beneath_parent(h->root, path, ret_name, err);
}

/* Somebody has removed it.  A share remembers a name for a while, and says so only when it reads.
 */
static bool gone(int rc)
{
	return rc == RC_ABSENT || (rc == RC_IO && (errno == ENOENT || errno == ESTALE));
}

bool helper_taken(const char *path, int rc)
{
	return gone(rc) && strncmp(path, "inbox/", 6) == 0;
}

enum there { THERE_NOTHING, THERE_INCOMPLETE, THERE_SAME };

/* What has the name already?  A link or a FIFO is as good as a torn file: it is replaced, unread.
 */
static int post_there(struct helper_post *p, struct err *err)
{
	struct stat st;
	int rc;

	if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? THERE_NOTHING : err_sys(err, RC_IO, "cannot stat it");
	if (S_ISDIR(st.st_mode))
		return err_set(err, RC_TYPE, "it is a directory; remove it from the depot");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != p->source.total)
		return THERE_INCOMPLETE;
	source_rewind(&p->source, PHASE_CHECK);
	rc = durable_compare(p->dir, p->name, source_next, &p->source, err);
	if (gone(rc))
		return THERE_INCOMPLETE;
	return rc < 0 ? rc : rc == 1 ? THERE_SAME : THERE_INCOMPLETE;
}

int helper_no_space(const char *path, uint64_t size, uint64_t bytes, struct err *err)
{
	return err_set(err, RC_SPACE,
		       "not enough space for \"%s\": it needs %llu bytes, %llu are free", path,
		       (unsigned long long)size, (unsigned long long)bytes);
}

int helper_write(int fd, const char *path, uint64_t size, const void *p, size_t n, struct err *err)
{
	int rc = fd_write(fd, p, n, err);

	if (rc == RC_IO && errno == EFBIG)
		return err_set(err, rc,
			       "the file system takes no file of %llu bytes (FAT: less than 4 "
			       "GiB); use a depot on another one, exFAT for a stick, or satchel "
			       "carry --max-file 3900M",
			       (unsigned long long)size);
	return rc;
}

/* Only a push: whether it worked is told by the flush at the end. */
void helper_push(int fd, uint64_t given, uint64_t *pushed)
{
	if (given - *pushed < WINDOW_BYTES)
		return;
	sync_file_range(fd, (off_t)*pushed, (off_t)(given - *pushed),
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			    SYNC_FILE_RANGE_WAIT_AFTER);
	*pushed = given;
}

static int post_write(struct helper *h, struct helper_post *p, int fd, struct err *err)
{
	uint64_t pushed = 0;
	size_t got = 0;
	int rc;

	source_rewind(&p->source, PHASE_POST);
	do {
		rc = source_next(&p->source, h->chunk, BLOCK_BYTES, &got, err);
		if (rc == 0)
			rc = helper_write(fd, p->path, p->source.total, h->chunk, got, err);
		if (rc == 0)
			helper_push(fd, p->source.given, &pushed);
	} while (rc == 0 && got == BLOCK_BYTES);
	return rc;
}

static int post_verify(struct helper_post *p, struct err *err)
{
	int rc;

	source_rewind(&p->source, PHASE_VERIFY);
	rc = durable_compare(p->dir, p->name, source_next, &p->source, err);
	if (helper_taken(p->path, rc))
		return 0;
	if (rc != 0)
		return rc < 0 ? rc : 0;
	unlinkat(p->dir, p->name, 0);
	return err_set(
	    err, RC_IO,
	    "\"%s\" reads back differently from what was written: the medium is failing; "
	    "use another one",
	    p->path);
}

/* One round: RC_CONFLICT when somebody else made the name meanwhile. */
static int post_once(struct helper *h, struct helper_post *p, enum there there, struct err *err)
{
	OWNED(durable_abort) struct durable d = DURABLE_INIT;
	uint64_t bytes = 0;
	int rc = helper_free_bytes(h, &bytes, err);

	if (rc == 0 && bytes < p->source.total)
		return helper_no_space(p->path, p->source.total, bytes, err);
	if (rc == 0)
		rc = durable_begin(p->dir, p->name, 0644, &d, err);
	if (rc == 0)
		rc = post_write(h, p, d.fd, err);
	if (rc == 0)
		rc = durable_commit(&d, p->name, there == THERE_INCOMPLETE ? DURABLE_REPLACE : 0,
				    err);
	if (rc == RC_SPACE) {
		durable_abort(&d);
		if (helper_free_bytes(h, &bytes, err) == 0)
			return helper_no_space(p->path, p->source.total, bytes, err);
	}
	if (rc == 0 && p->verify)
		rc = post_verify(p, err);
	return rc;
}

/*
 * What a killed writer left is under the name that is posted again: always with a bundle, which may
 * have left gigabytes, else with the first file of a directory, because a writer that is killed is
 * at one file, and begins with it again.
 */
static int post_sweep(struct helper *h, const struct helper_post *p, struct err *err)
{
	struct stat st;
	bool first = fstat(p->dir, &st) == 0 && st.st_ino != h->swept;

	if (!first && p->source.pieces.n == 0)
		return 0;
	h->swept = first ? st.st_ino : h->swept;
	return durable_sweep(p->dir, p->name, err);
}

static int post_run(struct helper *h, struct helper_post *p, struct err *err)
{
	int rc;

	p->dir = helper_parent(h, p->path, &p->name, err);
	rc = p->dir < 0 ? p->dir : 0;
	if (rc == 0)
		rc = post_sweep(h, p, err);
	for (int i = 0; rc == 0; i++) {
		rc = post_there(p, err);
		if (rc == THERE_SAME)
			return dir_sync(p->dir, err);
		if (rc < 0)
			return rc;
		rc = post_once(h, p, (enum there)rc, err);
		if (rc == 0)
			return 0;
		if (rc == RC_CONFLICT && i < ATTEMPTS)
			rc = 0;
	}
	return rc;
}

int helper_post(struct helper *h, struct bytes in, int passed, struct err *err)
{
	struct helper_post p = {.dir = -1, .source = {.h = h, .fd = passed}};
	char path[LIMIT_PATH + 1];
	int rc = post_fields(&p, path, in, err);

	if (rc == 0)
		rc = post_run(h, &p, err);
	fd_closep(&p.dir);
	if (rc < 0)
		return rc == RC_SPACE ? rc : err_prefix(err, "posting \"%s\"", path);
	return frame_send(h->fd, TELL_DONE, (struct bytes){NULL, 0}, err);
}
