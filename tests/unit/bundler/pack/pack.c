/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundler/pack/pack_internal.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

#define LARGE (4u << 20) /* bytes: cut into pieces */

/* A source, a place for packs, and what a reader makes of them. */
struct fixture {
	char top[64];
	int dirfd, rootfd;
	struct pack *pack;
	struct pack_result result;
	struct err err;
};

static void fixture_open(struct fixture *f)
{
	const char *tmp = getenv("TMPDIR");

	memset(f, 0, sizeof(*f));
	snprintf(f->top, sizeof(f->top), "%s/pack.XXXXXX", tmp != NULL ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(f->top));
	f->dirfd = open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(mkdirat(f->dirfd, "source", 0700), 0);
	f->rootfd = openat(f->dirfd, "source", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(f->rootfd, 0);
}

static void fixture_close(struct fixture *f)
{
	struct err err;

	pack_freep(&f->pack);
	cr_assert_eq(beneath_remove_tree(f->dirfd, "source", &err), 0);
	unlinkat(f->dirfd, "1.pack", 0);
	fd_closep(&f->rootfd);
	fd_closep(&f->dirfd);
	cr_assert_eq(rmdir(f->top), 0, "nothing else was left behind");
}

static void file_make(struct fixture *f, const char *path, const void *p, size_t n)
{
	int fd = openat(f->rootfd, path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0640);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fd_write(fd, p, n, &f->err), 0);
	cr_assert_eq(futimens(fd, (struct timespec[2]){{5, 7}, {5, 7}}), 0);
	close(fd);
}

/* Bytes that do not compress, the same for the same seed. */
static uint8_t *noise(size_t n, uint8_t seed)
{
	uint8_t key[randombytes_SEEDBYTES] = {seed};
	uint8_t *p = malloc(n);

	cr_assert_not_null(p);
	randombytes_buf_deterministic(p, n, key);
	return p;
}

static void noise_make(struct fixture *f, const char *path, size_t n, uint8_t seed)
{
	uint8_t *p = noise(n, seed);

	file_make(f, path, p, n);
	free(p);
}

static struct pack_options options_of(const struct fixture *f)
{
	return (struct pack_options){
	    .dirfd = f->dirfd,
	    .name = "1.pack",
	    .spoolfd = f->dirfd,
	    .rootfd = f->rootfd,
	    .mode_mask = 0777,
	    .threads = 2,
	    .channel = "office",
	};
}

static struct pack_item item_new(const struct fixture *f, const char *path)
{
	struct pack_item it = {
	    .op = PACK_CONTENT, .path = path, .target = "", .now.owner = "-", .old.owner = ""};
	struct stat st;

	it.now.kind = ENTRY_FILE;
	if (fstatat(f->rootfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		it.now.size = (uint64_t)st.st_size;
	return it;
}

static struct pack_item item_changed(const struct fixture *f, const char *path, const void *old,
				     size_t n)
{
	struct pack_item it = item_new(f, path);

	it.old.kind = ENTRY_FILE;
	it.old.owner = "-";
	it.old.size = n;
	it.old.digest = digest_of((struct bytes){old, n});
	return it;
}

static void pack_begin(struct fixture *f, const struct pack_options *o)
{
	cr_assert_eq(pack_open(o, &f->pack, &f->err), 0, "%s", f->err.text);
}

static void pack_path(struct fixture *f, const char *path)
{
	struct pack_item it = item_new(f, path);

	cr_assert_eq(pack_add(f->pack, &it, &f->err), 0, "%s", f->err.text);
}

static void pack_done(struct fixture *f)
{
	cr_assert_eq(pack_finish(f->pack, &f->result, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(pack_seal(f->pack, &f->result, &f->err), 0, "%s", f->err.text);
}

/* Reading back, by the reader that workstations use. */
struct unpacked {
	int fd;
	struct depot_span {
		uint64_t offset, length;
	} piece[3];
	struct buf changes, members; /* members: "name size digest\n" each */
	char name[256];
	uint64_t left;
	struct digest_stream hash;
};

static int span_read(const struct unpacked *u, uint64_t at, uint8_t *dst, size_t n, struct err *err)
{
	for (size_t i = 0; i < 3 && n > 0; i++) {
		size_t here;
		int rc;

		if (at >= u->piece[i].length) {
			at -= u->piece[i].length;
			continue;
		}
		here = u->piece[i].length - at < n ? (size_t)(u->piece[i].length - at) : n;
		rc = fd_pread(u->fd, dst, here, u->piece[i].offset + at, err);
		if (rc < 0)
			return rc;
		dst += here;
		n -= here;
		at = 0;
	}
	return 0;
}

static int on_block(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err)
{
	return span_read(arg, i * BLOCK_BYTES, dst, n, err);
}

static int on_changes(void *arg, struct bytes piece, struct err *err)
{
	struct unpacked *u = arg;

	return piece.p == NULL ? 0 : buf_add(&u->changes, piece.p, piece.n, err);
}

static int member_end(struct unpacked *u, struct err *err)
{
	char hex[DIGEST_HEX + 1];
	struct digest d;

	if (u->name[0] == '\0')
		return 0;
	d = digest_end(&u->hash);
	digest_hex(hex, &d);
	u->name[0] = '\0';
	return buf_printf(&u->members, err, " %.8s\n", hex);
}

static int on_member(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct unpacked *u = arg;
	int rc = member_end(u, err);

	snprintf(u->name, sizeof(u->name), "%s", name);
	digest_start(&u->hash);
	return rc < 0 ? rc
		      : buf_printf(&u->members, err, "%s %llu", name, (unsigned long long)size);
}

static int on_data(void *arg, struct bytes piece, struct err *err)
{
	struct unpacked *u = arg;

	digest_more(&u->hash, piece.p, piece.n);
	return 0;
}

static void unpack(struct fixture *f, struct unpacked *u)
{
	const struct pack_result *r = &f->result;
	struct payload_events ev = {u, on_block, on_changes, on_member, on_data};
	OWNED(buf_clear) struct buf blocks = BUF_INIT;
	uint8_t *block = malloc(BLOCK_BYTES);
	struct manifest m = {.unpacked = r->unpacked,
			     .payload = r->size,
			     .changes = r->changes,
			     .changes_size = r->changes_size};

	memset(u, 0, sizeof(*u));
	u->fd = pack_fd(f->pack);
	u->piece[0] = (struct depot_span){r->members, r->changes_end - r->members};
	u->piece[1] = (struct depot_span){0, r->members};
	u->piece[2] = (struct depot_span){r->changes_end, r->size - r->changes_end};
	memcpy(m.count, r->count, sizeof(m.count));
	m.content = r->content;
	for (uint64_t at = 0; at < r->size; at += BLOCK_BYTES) {
		size_t n = r->size - at < BLOCK_BYTES ? (size_t)(r->size - at) : BLOCK_BYTES;
		struct digest d;

		cr_assert_eq(span_read(u, at, block, n, &f->err), 0);
		d = digest_of((struct bytes){block, n});
		cr_assert_eq(buf_add(&blocks, d.b, sizeof(d.b), &f->err), 0);
	}
	free(block);
	m.blocks = digest_of(bytes_in(&blocks));
	cr_assert_eq(payload_read(&m, bytes_in(&blocks), NULL, &ev, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(member_end(u, &f->err), 0);
}

static void unpacked_clear(struct unpacked *u)
{
	buf_clear(&u->changes);
	buf_clear(&u->members);
}

/* The first words of the lines of changes: "put copy delete". */
static void ops_of(const struct unpacked *u, char *dst, size_t size)
{
	const char *line = u->changes.p == NULL ? "" : (const char *)u->changes.p;
	size_t n = 0;

	dst[0] = '\0';
	while (*line != '\0' && n < size) {
		n += (size_t)snprintf(dst + n, size - n, "%s%.*s", n > 0 ? " " : "",
				      (int)strcspn(line, " "), line);
		line = strchr(line, '\n') + 1;
	}
}

static void check_ops(struct fixture *f, const char *want)
{
	struct unpacked u;
	char ops[256];

	unpack(f, &u);
	ops_of(&u, ops, sizeof(ops));
	cr_assert_str_eq(ops, want);
	unpacked_clear(&u);
}

Test(pack, carries_equal_content_once)
{
	struct fixture f;
	struct pack_options o;

	fixture_open(&f);
	o = options_of(&f);
	file_make(&f, "a", "same", 4);
	file_make(&f, "b", "same", 4);
	file_make(&f, "c", "other", 5);
	file_make(&f, "d", "", 0);
	file_make(&f, "e", "", 0);
	pack_begin(&f, &o);
	for (const char *p = "abcde"; *p != '\0'; p++)
		pack_path(&f, (char[]){*p, '\0'});
	pack_done(&f);
	check_ops(&f, "put copy put put copy");
	cr_assert_eq(f.result.count[CHANGE_PUT], 3);
	cr_assert_eq(f.result.content, 4 + 4 + 5);
	cr_assert_eq(spool_size(f.pack->contents), 3 * sizeof(struct pack_content));
	fixture_close(&f);
}

Test(pack, members_follow_the_lines_and_hold_the_content)
{
	struct fixture f;
	struct pack_options o;
	struct unpacked u;

	fixture_open(&f);
	o = options_of(&f);
	file_make(&f, "a b", "one", 3);
	file_make(&f, "c", "two", 3);
	pack_begin(&f, &o);
	pack_path(&f, "a b");
	pack_path(&f, "c");
	pack_done(&f);
	unpack(&f, &u);
	cr_assert_str_eq((const char *)u.members.p, "files/a%20b 3 d01c06cb\nfiles/c 3 7a52b251\n");
	unpacked_clear(&u);
	fixture_close(&f);
}

Test(pack, makes_the_same_bytes_with_any_number_of_threads)
{
	struct digest first = {{0}};
	struct fixture f;

	for (unsigned threads = 1; threads <= 4; threads++) {
		struct pack_options o;
		OWNED(buf_clear) struct buf all = BUF_INIT;
		struct digest d;

		fixture_open(&f);
		o = options_of(&f);
		o.threads = threads;
		for (uint8_t i = 0; i < 24; i++)
			noise_make(&f, (char[]){(char)('a' + i), '\0'}, 700000, i % 20);
		pack_begin(&f, &o);
		for (uint8_t i = 0; i < 24; i++)
			pack_path(&f, (char[]){(char)('a' + i), '\0'});
		pack_done(&f);
		cr_assert_eq(f.result.count[CHANGE_PUT], 20);
		cr_assert_eq(f.result.count[CHANGE_COPY], 4);
		cr_assert_eq(file_read(f.dirfd, "1.pack", 1u << 30, &all, &f.err), 0);
		d = digest_of(bytes_in(&all));
		if (threads == 1)
			first = d;
		cr_assert(digest_equal(&d, &first), "%u threads", threads);
		fixture_close(&f);
	}
}

Test(pack, takes_content_that_the_index_has_already_for_metadata)
{
	struct fixture f;
	struct pack_options o;
	struct pack_item it;

	fixture_open(&f);
	o = options_of(&f);
	file_make(&f, "a", "same", 4);
	file_make(&f, "b", "same", 4);
	pack_begin(&f, &o);
	it = item_changed(&f, "a", "same", 4);
	cr_assert_eq(pack_add(f.pack, &it, &f.err), 0);
	it = item_changed(&f, "b", "else", 4);
	cr_assert_eq(pack_add(f.pack, &it, &f.err), 0);
	pack_done(&f);
	check_ops(&f, "meta put");
	fixture_close(&f);
}

Test(pack, writes_no_file_when_only_rows_moved_on)
{
	struct fixture f;
	struct pack_options o;
	struct pack_item it;
	struct stat st;

	fixture_open(&f);
	o = options_of(&f);
	file_make(&f, "a", "same", 4);
	cr_assert_eq(fstatat(f.rootfd, "a", &st, 0), 0);
	it = item_changed(&f, "a", "same", 4);
	it.old.mode = st.st_mode & 0777;
	it.old.mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	pack_begin(&f, &o);
	cr_assert_eq(pack_add(f.pack, &it, &f.err), 0);
	cr_assert_eq(pack_finish(f.pack, &f.result, &f.err), 0);
	cr_assert_eq(f.result.lines, 0);
	cr_assert_eq(faccessat(f.dirfd, "1.pack", F_OK, 0), -1);
	fixture_close(&f);
}

static int find_elsewhere(void *arg, const struct digest *digest, char dst[LIMIT_PATH + 1],
			  struct err *err)
{
	struct digest held = digest_of(bytes_of("held"));

	strcpy(dst, "old place");
	return digest_equal(digest, &held);
}

Test(pack, copies_what_the_base_holds_and_later_ones_from_that_copy)
{
	struct fixture f;
	struct pack_options o;
	struct unpacked u;

	fixture_open(&f);
	o = options_of(&f);
	o.find_old = find_elsewhere;
	file_make(&f, "a", "held", 4);
	file_make(&f, "b", "held", 4);
	file_make(&f, "c", "new", 3);
	pack_begin(&f, &o);
	pack_path(&f, "a");
	pack_path(&f, "b");
	pack_path(&f, "c");
	pack_done(&f);
	unpack(&f, &u);
	cr_assert_not_null(strstr((const char *)u.changes.p, " old old%20place a\n"));
	cr_assert_not_null(strstr((const char *)u.changes.p, " new a b\n"));
	unpacked_clear(&u);
	fixture_close(&f);
}

Test(pack, cuts_a_large_file_and_keeps_its_content)
{
	const size_t sizes[] = {LARGE - 65536, LARGE, LARGE + 1, 2 * LARGE + 511, 2 * LARGE + 512};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct fixture f;
		struct pack_options o;
		struct pack_content c;
		struct digest d;
		struct unpacked u;
		uint8_t *p = noise(sizes[i], 7);
		char want[128], hex[DIGEST_HEX + 1];

		fixture_open(&f);
		o = options_of(&f);
		file_make(&f, "a", "before", 6);
		file_make(&f, "big", p, sizes[i]);
		file_make(&f, "c", "after", 5);
		pack_begin(&f, &o);
		pack_path(&f, "a");
		pack_path(&f, "big");
		pack_path(&f, "c");
		pack_done(&f);
		unpack(&f, &u);
		d = digest_of((struct bytes){p, sizes[i]});
		digest_hex(hex, &d);
		snprintf(want, sizeof(want), "files/big %zu %.8s\n", sizes[i], hex);
		cr_assert_not_null(strstr((const char *)u.members.p, want), "%s", u.members.p);
		cr_assert_eq(spool_read(f.pack->contents, sizeof(c), &c, sizeof(c), &f.err), 0);
		cr_assert(digest_equal(&c.digest, &d));
		cr_assert_eq(c.skip, 512);
		cr_assert_neq(c.frame, 0, "it begins at a frame of its own");
		unpacked_clear(&u);
		free(p);
		fixture_close(&f);
	}
}

Test(pack, takes_a_large_file_back_when_it_is_known)
{
	struct fixture f;
	struct pack_options o;
	uint64_t size;

	fixture_open(&f);
	o = options_of(&f);
	noise_make(&f, "a", 3 * LARGE, 1);
	pack_begin(&f, &o);
	pack_path(&f, "a");
	pack_done(&f);
	size = f.result.members;
	pack_freep(&f.pack);
	unlinkat(f.dirfd, "1.pack", 0);

	noise_make(&f, "b", 3 * LARGE, 1);
	file_make(&f, "c", "after", 5);
	pack_begin(&f, &o);
	pack_path(&f, "a");
	pack_path(&f, "b");
	pack_path(&f, "c");
	pack_done(&f);
	check_ops(&f, "put copy put");
	cr_assert_lt(f.result.members, size + 1024, "the frames of b are gone");
	fixture_close(&f);
}

Test(pack, reads_holes_as_zeros)
{
	struct fixture f;
	struct pack_options o;
	struct unpacked u;
	uint8_t *p = calloc(1, 3 * LARGE);
	struct digest d;
	char want[128], hex[DIGEST_HEX + 1];
	int fd;

	fixture_open(&f);
	o = options_of(&f);
	fd = openat(f.rootfd, "sparse", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_eq(ftruncate(fd, 3 * LARGE), 0);
	cr_assert_eq(pwrite(fd, "island", 6, LARGE + 100000), 6);
	close(fd);
	memcpy(p + LARGE + 100000, "island", 6);
	d = digest_of((struct bytes){p, 3 * LARGE});
	free(p);
	pack_begin(&f, &o);
	pack_path(&f, "sparse");
	pack_done(&f);
	unpack(&f, &u);
	digest_hex(hex, &d);
	snprintf(want, sizeof(want), "files/sparse %u %.8s\n", 3 * LARGE, hex);
	cr_assert_str_eq((const char *)u.members.p, want);
	unpacked_clear(&u);
	fixture_close(&f);
}

/* Changes a file while its pieces are handed out, once. */
struct meddler {
	struct reporter reporter;
	struct fixture *f;
	const char *path;
	bool done;
};

static void meddle(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
		   uint64_t items, uint64_t items_total)
{
	struct meddler *m = (struct meddler *)(void *)reporter;
	int fd;

	if (m->done)
		return;
	m->done = true;
	fd = openat(m->f->rootfd, m->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	cr_assert_eq(write(fd, "more", 4), 4);
	close(fd);
}

Test(pack, reads_a_large_file_again_that_changed_while_it_was_read)
{
	struct fixture f;
	struct pack_options o;
	struct meddler m = {.reporter.progress = meddle, .f = &f, .path = "big"};
	struct unpacked u;
	struct digest_stream hash;
	struct digest d;
	char want[128], hex[DIGEST_HEX + 1];
	uint8_t *p = noise(3 * LARGE, 9);

	fixture_open(&f);
	o = options_of(&f);
	o.reporter = &m.reporter;
	file_make(&f, "big", p, 3 * LARGE);
	file_make(&f, "c", "after", 5);
	pack_begin(&f, &o);
	m.done = true; /* not before the file was opened */
	{
		struct pack_large *l = NULL;
		struct pack_item it = item_new(&f, "big");

		cr_assert_eq(pack_large_open(f.pack, &it, &l, &f.err), 0);
		pack_large_free(l);
	}
	m.done = false;
	pack_path(&f, "big");
	pack_path(&f, "c");
	pack_done(&f);
	cr_assert(m.done);
	digest_start(&hash);
	digest_more(&hash, p, 3 * LARGE);
	digest_more(&hash, "more", 4);
	d = digest_end(&hash);
	digest_hex(hex, &d);
	unpack(&f, &u);
	snprintf(want, sizeof(want), "files/big %u %.8s\n", 3 * LARGE + 4, hex);
	cr_assert_not_null(strstr((const char *)u.members.p, want), "%s", u.members.p);
	unpacked_clear(&u);
	free(p);
	fixture_close(&f);
}

struct restless {
	struct fixture *f;
	const char *path;
	atomic_bool stop;
};

static void *restless_main(void *arg)
{
	struct restless *r = arg;

	for (long i = 0; !r->stop; i++)
		utimensat(r->f->rootfd, r->path, (struct timespec[2]){{i, i}, {i, i % 1000}}, 0);
	return NULL;
}

Test(pack, names_the_file_that_does_not_come_to_rest)
{
	struct fixture f;
	struct pack_options o;
	struct restless r = {.f = &f, .path = "log"};
	pthread_t thread;

	fixture_open(&f);
	o = options_of(&f);
	noise_make(&f, "log", 2 * LARGE, 3);
	pthread_create(&thread, NULL, restless_main, &r);
	pack_begin(&f, &o);
	pack_path(&f, "log");
	cr_assert_eq(pack_finish(f.pack, &f.result, &f.err), RC_AGAIN);
	cr_assert_not_null(strstr(f.err.text, "log of channel office"));
	r.stop = true;
	pthread_join(thread, NULL);
	fixture_close(&f);
}

static int hold(void *arg, const struct pack_item *it, struct err *err)
{
	(void)arg;
	(void)err;
	cr_expect(strcmp(it->path, "log") == 0 || strcmp(it->path, "gone") == 0, "%s", it->path);
	return 0;
}

/*
 * With neighbours on both sides, which are packed whole.  Cut into pieces, or one of many of a job:
 * that has grown beyond it since it was scanned, which needs no luck.
 */
Test(pack, holds_back_what_does_not_come_to_rest_and_packs_the_rest)
{
	static const size_t scanned[] = {5, 2 * LARGE};

	for (size_t i = 0; i < 2; i++) {
		struct fixture f;
		struct pack_options o;
		struct restless r = {.f = &f, .path = "log"};
		struct pack_item it;
		pthread_t thread;

		fixture_open(&f);
		o = options_of(&f);
		o.held = hold;
		file_make(&f, "a", "alpha", 5);
		noise_make(&f, "log", 2 * LARGE, 3);
		file_make(&f, "z", "omega", 5);
		pthread_create(&thread, NULL, restless_main, &r);
		pack_begin(&f, &o);
		pack_path(&f, "a");
		it = item_new(&f, "gone");
		it.now.size = scanned[i];
		cr_assert_eq(pack_add(f.pack, &it, &f.err), 0);
		it = item_new(&f, "log");
		it.now.size = scanned[i];
		cr_assert_eq(pack_add(f.pack, &it, &f.err), 0);
		pack_path(&f, "z");
		pack_done(&f);
		r.stop = true;
		pthread_join(thread, NULL);
		cr_expect_eq(f.result.lines, 2);
		cr_expect_lt(f.result.size, 4096, "its frames were taken back");
		check_ops(&f, "put put");
		fixture_close(&f);
	}
}

Test(pack, says_which_file_is_gone_or_is_no_file_any_more)
{
	struct fixture f;
	struct pack_options o;

	fixture_open(&f);
	o = options_of(&f);
	cr_assert_eq(symlinkat("/etc/passwd", f.rootfd, "link"), 0);
	cr_assert_eq(mkfifoat(f.rootfd, "pipe", 0600), 0);
	for (const char *const *p = (const char *const[]){"gone", "link", "pipe", NULL}; *p; p++) {
		struct pack_item it;

		for (uint64_t size = 1; size <= 2 * LARGE; size += 2 * LARGE - 1) {
			it = item_new(&f, *p);
			it.now.size = size;
			pack_begin(&f, &o);
			if (pack_add(f.pack, &it, &f.err) == 0)
				pack_finish(f.pack, &f.result, &f.err);
			cr_assert_eq(f.err.rc, RC_AGAIN, "%s %s", *p, f.err.text);
			cr_assert_not_null(strstr(f.err.text, *p));
			pack_freep(&f.pack);
			f.err.rc = 0;
		}
	}
	fixture_close(&f);
}

Test(pack, stops_at_the_first_failure_whatever_is_still_to_come)
{
	struct fixture f;
	struct pack_options o;
	struct pack_item it;
	int rc = 0;

	fixture_open(&f);
	o = options_of(&f);
	noise_make(&f, "z", 3000000, 5);
	pack_begin(&f, &o);
	it = item_new(&f, "gone");
	rc = pack_add(f.pack, &it, &f.err);
	for (int i = 0; i < 100 && rc == 0; i++) {
		it = item_new(&f, "z");
		rc = pack_add(f.pack, &it, &f.err);
	}
	cr_assert_eq(rc, RC_AGAIN);
	cr_assert_eq(pack_finish(f.pack, &f.result, &f.err), RC_AGAIN);
	fixture_close(&f);
}

Test(pack, an_empty_tree_has_a_payload_as_well)
{
	struct fixture f;
	struct pack_options o;

	fixture_open(&f);
	o = options_of(&f);
	pack_begin(&f, &o);
	pack_done(&f);
	cr_assert_eq(f.result.lines, 0);
	check_ops(&f, "");
	fixture_close(&f);
}

Test(spool, keeps_what_does_not_fit_into_memory)
{
	struct fixture f;
	struct spool *s = NULL;
	uint32_t v;

	fixture_open(&f);
	cr_assert_eq(spool_new(f.dirfd, &s, &f.err), 0);
	for (uint32_t i = 0; i < 500000; i++)
		cr_assert_eq(spool_add(s, &i, sizeof(i), &f.err), 0);
	cr_assert_eq(spool_size(s), 2000000);
	for (uint32_t i = 0; i < 500000; i += 997) {
		cr_assert_eq(spool_read(s, i * 4ull, &v, sizeof(v), &f.err), 0);
		cr_assert_eq(v, i);
	}
	cr_assert_eq(spool_read(s, 1999997, &v, sizeof(v), &f.err), RC_INTERNAL);
	spool_freep(&s);
	fixture_close(&f);
}

Test(spool, items_come_back_as_they_were_in_order_and_by_offset)
{
	struct fixture f;
	struct spool *s = NULL;
	struct item_reader r = {0};
	struct pack_item it;
	uint64_t offset[3000];
	char path[LIMIT_PATH + 1];

	fixture_open(&f);
	cr_assert_eq(spool_new(f.dirfd, &s, &f.err), 0);
	r.spool = s;
	for (int i = 0; i < 3000; i++) {
		memset(path, 'a' + i % 26, sizeof(path));
		path[i == 7 ? LIMIT_PATH : i % 300 + 1] = '\0';
		it = (struct pack_item){.op = CHANGE_PUT,
					.path = path,
					.target = "to",
					.now.owner = "me:us",
					.ino = (uint64_t)i};
		cr_assert_eq(item_add(s, &it, &offset[i], &f.err), 0);
	}
	for (int i = 0; i < 3000; i++) {
		cr_assert_eq(item_next(&r, &it, &f.err), 1);
		cr_assert_eq(it.ino, (uint64_t)i);
		cr_assert_eq(strlen(it.path), i == 7 ? LIMIT_PATH : (size_t)(i % 300) + 1);
		cr_assert_str_eq(it.target, "to");
		cr_assert_str_eq(it.now.owner, "me:us");
		cr_assert_str_eq(it.old.owner, "");
	}
	cr_assert_eq(item_next(&r, &it, &f.err), 0);
	r.chunk = 256;
	for (int i = 2999; i >= 0; i -= 13) {
		cr_assert_eq(item_at(&r, offset[i], &it, &f.err), 0);
		cr_assert_eq(it.ino, (uint64_t)i);
	}
	item_reader_clear(&r);
	spool_freep(&s);
	fixture_close(&f);
}

Test(seen, finds_every_content_also_when_marks_and_slots_collide_and_it_grows)
{
	struct fixture f;
	struct spool *s = NULL;
	struct item_reader r = {.chunk = 1024};
	struct pack_seen *seen = NULL;
	struct pack_item it, other;

	fixture_open(&f);
	cr_assert_eq(spool_new(f.dirfd, &s, &f.err), 0);
	r.spool = s;
	cr_assert_eq(pack_seen_new(0, &seen, &f.err), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		uint64_t offset;

		it = (struct pack_item){.path = "p", .ino = i};
		/* The same slot and the same mark for all: only the rest of the digest differs. */
		put_u32(it.now.digest.b + 20, i);
		if (i % 100 != 0)
			put_u32(it.now.digest.b, i * 2654435761u);
		cr_assert_eq(pack_seen_find(seen, &it.now.digest, &r, &other, &f.err), 0);
		cr_assert_eq(item_add(s, &it, &offset, &f.err), 0);
		cr_assert_eq(pack_seen_add(seen, &it.now.digest, offset, &r, &f.err), 0);
	}
	for (uint32_t i = 0; i < 5000; i += 50) {
		struct digest d = {{0}};

		put_u32(d.b + 20, i);
		if (i % 100 != 0)
			put_u32(d.b, i * 2654435761u);
		cr_assert_eq(pack_seen_find(seen, &d, &r, &it, &f.err), 1);
		cr_assert_eq(it.ino, i);
	}
	pack_seen_free(seen);
	item_reader_clear(&r);
	spool_freep(&s);
	fixture_close(&f);
}
