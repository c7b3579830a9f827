/* SPDX-License-Identifier: ISC */
#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "tests/support/into_buf.h"

/* Payloads: a tar in a buffer, cut into frames, cut into blocks, and a manifest that fits. */

struct made {
	struct manifest m;
	struct buf payload; /* owned */
	struct buf blocks;  /* owned */
	struct content_key *key;
	size_t incomplete; /* block that comes altered; SIZE_MAX: none */
};

static void made_clear(struct made *p)
{
	buf_clear(&p->payload);
	buf_clear(&p->blocks);
}

static void frames_add(struct buf *to, struct bytes tar, size_t frame)
{
	struct err err = {0};

	for (size_t at = 0; at < tar.n; at += frame) {
		size_t n = tar.n - at < frame ? tar.n - at : frame;
		size_t got;

		cr_assert_eq(buf_reserve(to, ZSTD_compressBound(n), &err), 0);
		got = ZSTD_compress(to->p + to->n, ZSTD_compressBound(n), tar.p + at, n, 1);
		cr_assert(!ZSTD_isError(got));
		to->n += got;
	}
}

static void made_blocks(struct made *p)
{
	struct err err = {0};

	buf_reset(&p->blocks);
	for (size_t at = 0; at < p->payload.n; at += BLOCK_BYTES) {
		size_t n = p->payload.n - at;
		struct digest d;

		d = digest_of((struct bytes){p->payload.p + at, n < BLOCK_BYTES ? n : BLOCK_BYTES});
		cr_assert_eq(buf_add(&p->blocks, d.b, DIGEST_BYTES, &err), 0);
	}
	p->m.payload = p->payload.n;
	p->m.blocks = digest_of(bytes_in(&p->blocks));
}

static void made_from_tar(struct made *p, struct bytes changes, struct bytes tar, size_t frame)
{
	memset(p, 0, sizeof(*p));
	p->incomplete = SIZE_MAX;
	p->m.changes = digest_of(changes);
	p->m.changes_size = changes.n;
	p->m.unpacked = tar.n;
	frames_add(&p->payload, tar, frame);
	made_blocks(p);
}

static int made_block(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err)
{
	struct made *p = arg;

	cr_assert_leq(i * BLOCK_BYTES + n, p->payload.n);
	memcpy(dst, p->payload.p + i * BLOCK_BYTES, n);
	if (i == p->incomplete)
		dst[n - 1] ^= 1;
	return 0;
}

/* What came out, as one text: "changes:...;" and "name=size:digest;" for each member. */
struct seen {
	struct made *made;
	struct buf changes, members;
	bool ended;
	uint64_t left;
	struct digest_stream stream;
	int fail_at; /* which member() call fails; 0: none */
	int calls;
};

static void seen_clear(struct seen *s)
{
	buf_clear(&s->changes);
	buf_clear(&s->members);
}

static int seen_block(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err)
{
	return made_block(((struct seen *)arg)->made, i, dst, n, err);
}

static int seen_changes(void *arg, struct bytes piece, struct err *err)
{
	struct seen *s = arg;

	cr_assert(!s->ended);
	s->ended = piece.p == NULL;
	return buf_add(&s->changes, piece.p, piece.n, err);
}

static int seen_member(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct seen *s = arg;
	int rc;

	cr_assert(s->ended, "members come after the end of changes");
	cr_assert_eq(s->left, 0, "the member before is complete");
	if (++s->calls == s->fail_at)
		return err_set(err, RC_CONFLICT, "the caller had enough");
	s->left = size;
	digest_start(&s->stream);
	rc = buf_printf(&s->members, err, "%s=%llu;", name, (unsigned long long)size);
	return rc;
}

static int seen_data(void *arg, struct bytes piece, struct err *err)
{
	struct seen *s = arg;

	cr_assert_leq(piece.n, s->left);
	s->left -= piece.n;
	digest_more(&s->stream, piece.p, piece.n);
	if (s->left == 0) {
		struct digest d = digest_end(&s->stream);
		char hex[DIGEST_NAME + 1];

		digest_name(hex, &d);
		return buf_printf(&s->members, err, "%s;", hex);
	}
	return 0;
}

static int made_read(struct made *p, struct seen *s, struct err *err)
{
	struct payload_events ev = {s, seen_block, seen_changes, seen_member, seen_data};

	s->made = p;
	return payload_read(&p->m, bytes_in(&p->blocks), p->key, &ev, err);
}

static void expect_member(struct buf *to, const char *name, struct bytes content)
{
	struct err err = {0};
	struct digest d = digest_of(content);
	char hex[DIGEST_NAME + 1];

	digest_name(hex, &d);
	buf_printf(to, &err, "%s=%zu;", name, content.n);
	if (content.n > 0)
		buf_printf(to, &err, "%s;", hex);
}

static void member_add(struct buf *tar, const char *name, struct bytes content)
{
	OWNED(tar_writer_freep) struct tar_writer *w = NULL;
	struct err err = {0};

	cr_assert_eq(tar_writer_new(&w, &err), 0);
	cr_assert_eq(tar_writer_member(w, name, content, tar, &err), 0);
}

static void tar_end(struct buf *tar)
{
	struct err err = {0};

	cr_assert_eq(tar_zeros(TAR_END, tar, &err), 0);
}

static const char changes_text[] = "not parsed here\n";

/* Content that does not compress, so that it fills blocks. */
static struct bytes noise(size_t n)
{
	static uint8_t bytes[12u << 20];
	static const uint8_t seed[randombytes_SEEDBYTES] = {1};

	randombytes_buf_deterministic(bytes, sizeof(bytes), seed);
	return (struct bytes){bytes, n};
}

static void simple_tar(struct buf *tar)
{
	member_add(tar, "changes", bytes_of(changes_text));
	member_add(tar, "files/a", bytes_of("content of a"));
	member_add(tar, "patches/1", bytes_of("p"));
	tar_end(tar);
}

Test(payload, delivers_members_of_every_shape_through_frames_and_blocks_of_every_size)
{
	static const size_t frames[] = {1, 511, 512, 4096, 1000003, LIMIT_FRAME};
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	OWNED(buf_clear) struct buf want = BUF_INIT;
	char longest[3 * LIMIT_PATH + 7] = "files/";

	memset(longest + 6, 'n', sizeof(longest) - 7);
	member_add(&tar, "changes", bytes_of(changes_text));
	for (size_t i = 0; i < 40; i++) {
		const char *name = i == 7 ? longest : i % 5 == 0 ? "patches/12" : "files/some/name";
		struct bytes content = noise(i < 20 ? i : i * i * i);

		member_add(&tar, name, content);
		expect_member(&want, name, content);
	}
	tar_end(&tar);
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		OWNED(made_clear) struct made p;
		OWNED(seen_clear) struct seen s = {0};
		struct err err = {0};

		made_from_tar(&p, bytes_of(changes_text), bytes_in(&tar), frames[i]);
		cr_assert_eq(made_read(&p, &s, &err), 0, "%s", err.text);
		cr_assert(s.ended && bytes_equal(bytes_in(&s.changes), bytes_of(changes_text)));
		cr_assert(bytes_equal(bytes_in(&s.members), bytes_in(&want)));
	}
}

Test(payload, delivers_a_member_of_several_frames_and_blocks)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	OWNED(buf_clear) struct buf want = BUF_INIT;
	OWNED(made_clear) struct made p;
	OWNED(seen_clear) struct seen s = {0};
	struct bytes content = noise(12u << 20);
	struct err err = {0};

	member_add(&tar, "changes", bytes_of(""));
	member_add(&tar, "files/big", content);
	expect_member(&want, "files/big", content);
	tar_end(&tar);
	made_from_tar(&p, bytes_of(""), bytes_in(&tar), LIMIT_FRAME);
	cr_assert_gt(p.m.payload, 12 * BLOCK_BYTES);
	cr_assert_eq(made_read(&p, &s, &err), 0, "%s", err.text);
	cr_assert(bytes_equal(bytes_in(&s.members), bytes_in(&want)));
}

/* Read ${tar} and expect a refusal with ${rc}. */
static void refuses(struct bytes tar, int rc, const char *why)
{
	OWNED(made_clear) struct made p;
	OWNED(seen_clear) struct seen s = {0};
	struct err err = {0};

	made_from_tar(&p, bytes_of(changes_text), tar, 4096);
	cr_assert_eq(made_read(&p, &s, &err), rc, "%s: %d %s", why, err.rc, err.text);
	cr_assert_eq(err.rc, rc);
}

Test(payload, refuses_a_block_that_is_not_the_signed_one_before_anything_sees_it)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	OWNED(made_clear) struct made p;

	member_add(&tar, "changes", bytes_of(changes_text));
	member_add(&tar, "files/a", noise(3u << 20));
	tar_end(&tar);
	made_from_tar(&p, bytes_of(changes_text), bytes_in(&tar), LIMIT_FRAME);
	for (p.incomplete = 0; p.incomplete < 4; p.incomplete++) {
		OWNED(seen_clear) struct seen s = {0};
		struct err err = {0};

		cr_assert_eq(made_read(&p, &s, &err), RC_INCOMPLETE);
		cr_assert_eq(s.members.n, 0, "the frame that runs over the block stays packed");
	}
}

Test(payload, refuses_a_wrong_number_of_block_digests)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	OWNED(made_clear) struct made p;
	OWNED(seen_clear) struct seen s = {0};
	struct err err = {0};

	simple_tar(&tar);
	made_from_tar(&p, bytes_of(changes_text), bytes_in(&tar), 4096);
	p.blocks.n -= DIGEST_BYTES;
	cr_assert_eq(made_read(&p, &s, &err), RC_MALFORMED);
}

Test(payload, refuses_more_or_less_than_was_signed)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;

	simple_tar(&tar);
	for (int off = -1; off <= 1; off++) {
		OWNED(made_clear) struct made p;
		OWNED(seen_clear) struct seen s = {0};
		struct err err = {0};

		made_from_tar(&p, bytes_of(changes_text), bytes_in(&tar), 512);
		p.m.unpacked = (uint64_t)((int64_t)p.m.unpacked + off * TAR_RECORD);
		cr_assert_eq(made_read(&p, &s, &err), off == 0 ? 0 : RC_MALFORMED, "%d: %s", off,
			     err.text);
	}
}

Test(payload, refuses_an_unpacked_length_that_no_tar_has)
{
	static const uint64_t lengths[] = {0, 512, 1024, 1535, 1537, UINT64_MAX, UINT64_MAX - 511};
	OWNED(buf_clear) struct buf tar = BUF_INIT;

	simple_tar(&tar);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		OWNED(made_clear) struct made p;
		OWNED(seen_clear) struct seen s = {0};
		struct err err = {0};

		made_from_tar(&p, bytes_of(changes_text), bytes_in(&tar), 512);
		p.m.unpacked = lengths[i];
		cr_assert_lt(made_read(&p, &s, &err), 0);
		cr_assert_eq(s.members.n, 0);
	}
}

Test(payload, refuses_anything_after_or_before_the_end_mark)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	struct err err = {0};

	simple_tar(&tar);
	refuses((struct bytes){tar.p, tar.n - 512}, RC_MALFORMED, "half an end mark");
	refuses((struct bytes){tar.p, tar.n - 1024}, RC_MALFORMED, "no end mark");
	tar.p[tar.n - 1] = 1;
	refuses(bytes_in(&tar), RC_MALFORMED, "an end mark that is not zero at its end");
	tar.p[tar.n - 1] = 0;
	tar.p[tar.n - 1024] = 1;
	refuses(bytes_in(&tar), RC_MALFORMED, "an end mark that is not zero at its start");
	tar.p[tar.n - 1024] = 0;
	cr_assert_eq(tar_zeros(512, &tar, &err), 0);
	refuses(bytes_in(&tar), RC_MALFORMED, "an end mark that is too long");
	member_add(&tar, "files/b", bytes_of("x"));
	tar_end(&tar);
	refuses(bytes_in(&tar), RC_MALFORMED, "a second archive behind the first");
}

Test(payload, refuses_members_that_are_not_plain_files_of_ours)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;

	member_add(&tar, "changes", bytes_of(changes_text));
	member_add(&tar, "other/a", bytes_of("x"));
	tar_end(&tar);
	refuses(bytes_in(&tar), RC_MALFORMED, "a member of another name");
	buf_reset(&tar);
	member_add(&tar, "files/a", bytes_of(changes_text));
	tar_end(&tar);
	refuses(bytes_in(&tar), RC_MALFORMED, "no changes");
	buf_reset(&tar);
	member_add(&tar, "changes", bytes_of("not those that were signed"));
	tar_end(&tar);
	refuses(bytes_in(&tar), RC_MALFORMED, "changes of another length");
	buf_reset(&tar);
	member_add(&tar, "changes", bytes_of("Not parsed here\n"));
	tar_end(&tar);
	refuses(bytes_in(&tar), RC_MALFORMED, "changes of another digest");
	buf_reset(&tar);
	tar_end(&tar);
	member_add(&tar, "changes", bytes_of(changes_text));
	tar_end(&tar);
	refuses(bytes_in(&tar), RC_MALFORMED, "an end mark first");
}

/* One archive by libarchive in ${format}, with one entry of ${type} after `changes`. */
static void foreign_tar(struct buf *tar, int (*format)(struct archive *a), mode_t type,
			void (*spoil)(struct archive_entry *e))
{
	struct archive *a = archive_write_new();

	buf_reset(tar);
	format(a);
	archive_write_set_bytes_per_block(a, 512);
	archive_write_set_bytes_in_last_block(a, 1);
	archive_write_open(a, tar, NULL, into_buf, NULL);
	for (int i = 0; i < 2; i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, i == 0 ? "changes" : "files/a");
		archive_entry_set_mode(e, (i == 0 ? AE_IFREG : type) | 0644);
		archive_entry_set_mtime(e, 0, 0);
		archive_entry_set_size(e, i == 0 ? (la_int64_t)strlen(changes_text) : 3);
		if (i == 1 && spoil != NULL)
			spoil(e);
		cr_assert_geq(archive_write_header(a, e), ARCHIVE_WARN, "%s",
			      archive_error_string(a));
		if (i == 0)
			archive_write_data(a, changes_text, strlen(changes_text));
		else if (archive_entry_size(e) == 3)
			archive_write_data(a, "abc", 3);
		archive_entry_free(e);
	}
	cr_assert_eq(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}

static void spoil_symlink(struct archive_entry *e)
{
	archive_entry_set_size(e, 0);
	archive_entry_set_symlink(e, "/etc/passwd");
}

static void spoil_hardlink(struct archive_entry *e)
{
	archive_entry_set_size(e, 0);
	archive_entry_set_hardlink(e, "changes");
}

static void spoil_xattr(struct archive_entry *e)
{
	archive_entry_xattr_add_entry(e, "user.x", "y", 1);
}

static void spoil_sparse(struct archive_entry *e)
{
	archive_entry_set_size(e, 1 << 30);
	archive_entry_sparse_add_entry(e, 0, 512);
}

static void spoil_time(struct archive_entry *e)
{
	archive_entry_set_mtime(e, 1, 500); /* needs a pax header, which ours never has */
}

static void spoil_empty(struct archive_entry *e)
{
	archive_entry_set_size(e, 0);
}

Test(payload, refuses_links_devices_holes_attributes_and_other_dialects)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	static const struct {
		const char *what;
		int (*format)(struct archive *a);
		mode_t type;
		void (*spoil)(struct archive_entry *e);
	} bad[] = {
	    {"symlink", archive_write_set_format_pax_restricted, AE_IFLNK, spoil_symlink},
	    {"hard link", archive_write_set_format_pax_restricted, AE_IFREG, spoil_hardlink},
	    {"directory", archive_write_set_format_pax_restricted, AE_IFDIR, spoil_empty},
	    {"fifo", archive_write_set_format_pax_restricted, AE_IFIFO, spoil_empty},
	    {"character device", archive_write_set_format_pax_restricted, AE_IFCHR, spoil_empty},
	    {"attribute", archive_write_set_format_pax, AE_IFREG, spoil_xattr},
	    {"holes", archive_write_set_format_pax, AE_IFREG, spoil_sparse},
	    {"times in a pax header", archive_write_set_format_pax, AE_IFREG, spoil_time},
	    {"cpio", archive_write_set_format_cpio_newc, AE_IFREG, NULL},
	    {"zip", archive_write_set_format_zip, AE_IFREG, NULL},
	};

	foreign_tar(&tar, archive_write_set_format_pax_restricted, AE_IFREG, NULL);
	refuses(bytes_in(&tar), 0, "the same without anything bad is taken");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		foreign_tar(&tar, bad[i].format, bad[i].type, bad[i].spoil);
		cr_assert_eq(tar_zeros(tar_padding(tar.n), &tar, ERR_IGNORED), 0);
		refuses(bytes_in(&tar), RC_MALFORMED, bad[i].what);
	}
}

/* Frames: what zstd allows and we do not. */
static void refuses_frames(struct buf *payload, uint64_t unpacked, int rc, const char *why)
{
	OWNED(made_clear) struct made p = {.incomplete = SIZE_MAX};
	OWNED(seen_clear) struct seen s = {0};
	struct err err = {0};

	p.m.changes = digest_of(bytes_of(changes_text));
	p.m.changes_size = strlen(changes_text);
	p.m.unpacked = unpacked;
	cr_assert_eq(buf_add(&p.payload, payload->p, payload->n, &err), 0);
	made_blocks(&p);
	cr_assert_eq(made_read(&p, &s, &err), rc, "%s: %s", why, err.text);
}

static void frame_stream(struct buf *to, struct bytes in, bool declare)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(in.n);
	struct err err = {0};
	ZSTD_inBuffer i = {in.p, in.n, 0};
	ZSTD_outBuffer o;

	cr_assert_eq(buf_reserve(to, bound, &err), 0);
	o = (ZSTD_outBuffer){to->p + to->n, bound, 0};
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, declare);
	ZSTD_CCtx_setPledgedSrcSize(c, in.n);
	cr_assert_eq(ZSTD_compressStream2(c, &o, &i, ZSTD_e_end), 0);
	to->n += o.pos;
	ZSTD_freeCCtx(c);
}

Test(payload, refuses_frames_that_zstd_allows_and_the_format_does_not)
{
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	OWNED(buf_clear) struct buf packed = BUF_INIT;
	OWNED(buf_clear) struct buf zeros = BUF_INIT;
	struct err err = {0};
	size_t n;

	simple_tar(&tar);
	frame_stream(&packed, bytes_in(&tar), true);
	refuses_frames(&packed, tar.n, 0, "a good one");
	n = packed.n;
	buf_add(&packed, skippable, sizeof(skippable), &err);
	refuses_frames(&packed, tar.n, RC_MALFORMED, "a skippable frame at the end");
	packed.n = n;
	buf_add(&packed, "\0", 1, &err);
	refuses_frames(&packed, tar.n, RC_MALFORMED, "a byte at the end");
	packed.n = n - 1;
	refuses_frames(&packed, tar.n, RC_MALFORMED, "a byte less");
	packed.n = n;
	packed.p[n / 2] ^= 0x55;
	refuses_frames(&packed, tar.n, RC_MALFORMED, "damage within, signed as it is");
	buf_reset(&packed);
	frame_stream(&packed, bytes_in(&tar), false);
	refuses_frames(&packed, tar.n, RC_MALFORMED, "a frame that does not declare its content");
	buf_reset(&packed);
	frames_add(&packed, bytes_in(&tar), LIMIT_FRAME);
	frame_stream(&packed, (struct bytes){(const uint8_t *)"", 0}, true);
	refuses_frames(&packed, tar.n, RC_MALFORMED, "an empty frame");
	buf_reset(&packed);
	tar_zeros(LIMIT_FRAME + 512, &zeros, &err);
	frame_stream(&packed, bytes_in(&zeros), true);
	refuses_frames(&packed, zeros.n, RC_LIMIT, "a frame of more than 8 MiB");
	buf_reset(&packed);
	frames_add(&packed, (struct bytes){zeros.p, LIMIT_FRAME}, LIMIT_FRAME);
	refuses_frames(&packed, tar.n, RC_LIMIT, "a frame that unpacks to more than was signed");
}

Test(payload, passes_on_what_a_callback_says)
{
	OWNED(buf_clear) struct buf tar = BUF_INIT;
	OWNED(made_clear) struct made p;
	OWNED(seen_clear) struct seen s = {.fail_at = 2};
	struct err err = {0};

	simple_tar(&tar);
	made_from_tar(&p, bytes_of(changes_text), bytes_in(&tar), 4096);
	cr_assert_eq(made_read(&p, &s, &err), RC_CONFLICT);
	cr_assert_str_eq(err.text, "the caller had enough");
	cr_assert_eq(s.calls, 2);
}

/* Prefixes */

struct prefix {
	struct buf b, blocks;
	struct manifest m;
	struct bytes doc;
};

static void prefix_clear(struct prefix *p)
{
	buf_clear(&p->b);
	buf_clear(&p->blocks);
}

static void prefix_make(struct prefix *p, uint64_t payload)
{
	struct err err = {0};

	memset(p, 0, sizeof(*p));
	p->doc = bytes_of("a signed document, not parsed here\n");
	cr_assert_eq(tar_zeros((size_t)bundle_blocks(payload) * DIGEST_BYTES, &p->blocks, &err), 0);
	p->m.payload = payload;
	p->m.blocks = digest_of(bytes_in(&p->blocks));
	cr_assert_eq(bundle_prefix_make(p->doc, bytes_in(&p->blocks), payload, &p->b, &err), 0,
		     "%s", err.text);
}

/* The steps of a reader, as bundle.h tells them. */
static int prefix_read(struct prefix *p, struct err *err)
{
	struct bytes blocks;
	size_t doc, size;
	int rc = bundle_manifest_size(p->b.p, &doc, err);

	if (rc == 0)
		rc = bundle_prefix_size(doc, p->m.payload, &size, err);
	if (rc == 0)
		rc = bundle_prefix_check(bytes_in(&p->b), doc, &p->m, &blocks, err);
	if (rc == 0)
		cr_assert(bytes_equal(blocks, bytes_in(&p->blocks)));
	return rc;
}

Test(bundle, prefix_is_read_back_for_payloads_of_every_kind_of_size)
{
	static const uint64_t sizes[] = {1,
					 511,
					 512,
					 BLOCK_BYTES - 1,
					 BLOCK_BYTES,
					 BLOCK_BYTES + 1,
					 (1ull << 33) - 1,
					 1ull << 33,
					 LIMIT_PAYLOAD};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		OWNED(prefix_clear) struct prefix p;
		struct err err = {0};

		prefix_make(&p, sizes[i]);
		cr_assert_eq(prefix_read(&p, &err), 0, "%s", err.text);
		cr_assert_eq(bundle_size(p.b.n, sizes[i]) % 512, 0);
	}
}

Test(bundle, prefix_with_any_byte_changed_is_refused)
{
	OWNED(prefix_clear) struct prefix p;

	prefix_make(&p, BLOCK_BYTES + 1);
	for (size_t i = 0; i < p.b.n; i++) {
		struct err err = {0};

		if (i >= TAR_RECORD && i < TAR_RECORD + p.doc.n)
			continue; /* the manifest's signature covers these */
		p.b.p[i] ^= 1;
		cr_assert_lt(prefix_read(&p, &err), 0, "byte %zu", i);
		cr_assert_neq(err.text[0], '\0');
		p.b.p[i] ^= 1;
	}
}

Test(bundle, prefix_that_is_cut_is_incomplete_and_one_that_is_longer_is_malformed)
{
	OWNED(prefix_clear) struct prefix p;
	struct bytes blocks;
	struct err err = {0};

	prefix_make(&p, 5);
	cr_assert_eq(
	    bundle_prefix_check((struct bytes){p.b.p, p.b.n - 1}, p.doc.n, &p.m, &blocks, &err),
	    RC_INCOMPLETE);
	cr_assert_eq(buf_add(&p.b, "", 1, &err), 0);
	cr_assert_eq(bundle_prefix_check(bytes_in(&p.b), p.doc.n, &p.m, &blocks, &err),
		     RC_MALFORMED);
}

Test(bundle, sizes_beyond_the_limits_are_refused_before_anything_is_allocated)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	size_t size;

	cr_assert_eq(bundle_prefix_size(100, 0, &size, &err), RC_MALFORMED);
	cr_assert_eq(bundle_prefix_size(100, LIMIT_PAYLOAD, &size, &err), 0);
	cr_assert_eq(bundle_prefix_size(100, LIMIT_PAYLOAD + 1, &size, &err), RC_LIMIT);
	cr_assert_eq(bundle_prefix_size(LIMIT_MANIFEST, 1, &size, &err), 0);
	cr_assert_eq(bundle_prefix_size(LIMIT_MANIFEST + 1, 1, &size, &err), RC_LIMIT);
	cr_assert_eq(tar_header("manifest", LIMIT_MANIFEST, &b, &err), 0);
	cr_assert_eq(bundle_manifest_size(b.p, &size, &err), 0);
	cr_assert_eq(size, LIMIT_MANIFEST);
	buf_reset(&b);
	cr_assert_eq(tar_header("manifest", LIMIT_MANIFEST + 1, &b, &err), 0);
	cr_assert_eq(bundle_manifest_size(b.p, &size, &err), RC_LIMIT);
	buf_reset(&b);
	cr_assert_eq(tar_header("manifest", 0, &b, &err), 0);
	cr_assert_eq(bundle_manifest_size(b.p, &size, &err), RC_MALFORMED);
	buf_reset(&b);
	cr_assert_eq(tar_header("manifesto", 100, &b, &err), 0);
	cr_assert_eq(bundle_manifest_size(b.p, &size, &err), RC_MALFORMED);
}

/* Sealing */

struct sealed {
	struct key_secret *secret; /* owned */
	struct made made;
	struct buf tar;
};

static void sealed_clear(struct sealed *s)
{
	key_freep(&s->secret);
	content_key_freep(&s->made.key);
	made_clear(&s->made);
	buf_clear(&s->tar);
}

/* A payload of three blocks, sealed to a new key. */
static void sealed_make_payload(struct sealed *s, size_t plain)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	OWNED(buf_clear) struct buf clear = BUF_INIT;
	struct key_public to;
	struct err err = {0};

	memset(s, 0, sizeof(*s));
	cr_assert_eq(key_generate(KEY_SEAL, &s->secret, &err), 0, "%s", err.text);
	member_add(&s->tar, "changes", bytes_of(changes_text));
	member_add(&s->tar, "files/a", noise(plain));
	tar_end(&s->tar);
	made_from_tar(&s->made, bytes_of(changes_text), bytes_in(&s->tar), LIMIT_FRAME);
	clear = s->made.payload;
	s->made.payload = (struct buf)BUF_INIT;
	to = key_public_of(s->secret);
	workstation_id(s->made.m.recipient, &to);
	cr_assert_eq(content_key_new(&to, &s->made.m, &k, &err), 0, "%s", err.text);
	for (size_t at = 0; at < clear.n; at += CONTENT_BYTES) {
		bool last = clear.n - at <= CONTENT_BYTES;
		struct bytes piece = {clear.p + at, last ? clear.n - at : CONTENT_BYTES};

		cr_assert_eq(content_seal(k, piece, last, &s->made.payload, &err), 0);
	}
	made_blocks(&s->made);
}

static int sealed_read(struct sealed *s, struct err *err)
{
	OWNED(seen_clear) struct seen seen = {0};
	int rc;

	content_key_freep(&s->made.key);
	rc = content_key_open(s->secret, &s->made.m, &s->made.key, err);
	return rc < 0 ? rc : made_read(&s->made, &seen, err);
}

Test(content, sealed_payload_is_read_by_its_recipient_whatever_its_length)
{
	static const size_t sizes[] = {0, 100, BLOCK_BYTES, 5 * BLOCK_BYTES / 2};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		OWNED(sealed_clear) struct sealed s;
		struct err err = {0};

		sealed_make_payload(&s, sizes[i]);
		cr_assert_eq(sealed_read(&s, &err), 0, "%s", err.text);
	}
}

Test(content, sealed_payload_is_read_by_nobody_else)
{
	OWNED(sealed_clear) struct sealed s;
	OWNED(seen_clear) struct seen seen = {0};
	struct err err = {0};

	sealed_make_payload(&s, 100);
	cr_assert_eq(made_read(&s.made, &seen, &err), RC_UNTRUSTED, "without a key");
	key_freep(&s.secret);
	cr_assert_eq(key_generate(KEY_SEAL, &s.secret, &err), 0);
	cr_assert_eq(sealed_read(&s, &err), RC_UNTRUSTED, "with another key");
}

Test(content, blocks_that_were_altered_swapped_repeated_or_left_out_do_not_open)
{
	OWNED(sealed_clear) struct sealed s;
	OWNED(buf_clear) struct buf good = BUF_INIT;
	struct err err = {0};

	/* Signed as they are, so that only the seal can notice. */
	sealed_make_payload(&s, 5 * BLOCK_BYTES / 2);
	cr_assert_eq(s.made.blocks.n, 3 * DIGEST_BYTES);
	cr_assert_eq(buf_add(&good, s.made.payload.p, s.made.payload.n, &err), 0);
	s.made.payload.p[5] ^= 1;
	made_blocks(&s.made);
	cr_assert_eq(sealed_read(&s, &err), RC_UNTRUSTED, "altered");
	memcpy(s.made.payload.p, good.p + BLOCK_BYTES, BLOCK_BYTES);
	memcpy(s.made.payload.p + BLOCK_BYTES, good.p, BLOCK_BYTES);
	made_blocks(&s.made);
	cr_assert_eq(sealed_read(&s, &err), RC_UNTRUSTED, "swapped");
	memcpy(s.made.payload.p, good.p, BLOCK_BYTES);
	made_blocks(&s.made);
	cr_assert_eq(sealed_read(&s, &err), RC_UNTRUSTED, "repeated");
	memcpy(s.made.payload.p, good.p, good.n);
	s.made.payload.n = 2 * BLOCK_BYTES;
	made_blocks(&s.made);
	cr_assert_eq(sealed_read(&s, &err), RC_UNTRUSTED, "without its last block");
	memmove(s.made.payload.p + BLOCK_BYTES, good.p + 2 * BLOCK_BYTES, good.n - 2 * BLOCK_BYTES);
	s.made.payload.n = good.n - BLOCK_BYTES;
	made_blocks(&s.made);
	cr_assert_eq(sealed_read(&s, &err), RC_UNTRUSTED, "without one in the middle");
}

Test(content, a_key_serves_one_payload_and_ends_with_its_last_block)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	OWNED(key_freep) struct key_secret *secret = NULL;
	OWNED(buf_clear) struct buf out = BUF_INIT;
	struct manifest m = {0};
	struct key_public to;
	struct err err = {0};

	cr_assert_eq(key_generate(KEY_SEAL, &secret, &err), 0);
	to = key_public_of(secret);
	cr_assert_eq(content_key_new(&to, &m, &k, &err), 0);
	cr_assert_eq(content_seal(k, noise(CONTENT_BYTES), false, &out, &err), 0);
	cr_assert_eq(out.n, BLOCK_BYTES);
	cr_assert_eq(content_seal(k, noise(CONTENT_BYTES - 1), false, &out, &err), RC_INTERNAL,
		     "only the last message is shorter");
	cr_assert_eq(content_seal(k, noise(CONTENT_BYTES + 1), true, &out, &err), RC_INTERNAL);
	cr_assert_eq(content_seal(k, noise(CONTENT_BYTES), true, &out, &err), 0);
	cr_assert_eq(out.n, 2 * BLOCK_BYTES);
	cr_assert_eq(content_seal(k, noise(1), true, &out, &err), RC_INTERNAL);
}

/* The form, without keys */

Test(form, of_a_prefix_is_found_step_by_step)
{
	/* The header of the payload is one record, or three with a pax header, or with a base-256
	 * size. */
	static const uint64_t payloads[] = {
	    1, BLOCK_BYTES, BLOCK_BYTES + 1, (8ull << 30) - 1, 8ull << 30, (64ull << 30) + 5};

	for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
		OWNED(buf_clear) struct buf blocks = BUF_INIT, prefix = BUF_INIT;
		struct bundle_form form;
		struct err err = {0};
		size_t need = 0, steps = 0;
		int rc = 0;

		cr_assert_eq(
		    tar_zeros((size_t)bundle_blocks(payloads[i]) * DIGEST_BYTES, &blocks, &err), 0);
		cr_assert_eq(bundle_prefix_make(bytes_of("the manifest"), bytes_in(&blocks),
						payloads[i], &prefix, &err),
			     0);
		for (; rc == 0 && need <= prefix.n; steps++)
			rc = bundle_form((struct bytes){prefix.p, need}, &need, &form, &err);
		cr_assert_eq(rc, 1, "%s", err.text);
		cr_assert_leq(steps, 5);
		cr_assert_eq(need, prefix.n);
		cr_assert_eq(form.payload, payloads[i]);
		cr_assert(bytes_equal(form.manifest, bytes_of("the manifest")));
		cr_assert(bytes_equal(form.blocks, bytes_in(&blocks)));
		prefix.p[prefix.n - 512 + 130] ^= 1; /* the size */
		cr_assert_lt(bundle_form(bytes_in(&prefix), &need, &form, &err), 1);
	}
}
