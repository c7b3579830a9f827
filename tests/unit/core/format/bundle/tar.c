/* SPDX-License-Identifier: ISC */
/* Headers of members, compared with those that libarchive makes. */
#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "tests/support/into_buf.h"

/* The header of a member as a plain caller of libarchive gets it. */
static void libarchive_header(const char *name, uint64_t size, struct buf *ret)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t n;

	archive_write_set_format_pax_restricted(a);
	archive_write_set_bytes_per_block(a, 0);
	archive_write_open(a, ret, NULL, into_buf, NULL);
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_mode(e, AE_IFREG | 0644);
	archive_entry_set_mtime(e, 0, 0);
	cr_assert_eq(archive_write_header(a, e), ARCHIVE_OK);
	n = ret->n;
	archive_write_free(a);
	archive_entry_free(e);
	ret->n = n;
}

static void check_header(struct tar_writer *w, const char *name, uint64_t size)
{
	OWNED(buf_clear) struct buf want = BUF_INIT;
	OWNED(buf_clear) struct buf have = BUF_INIT;
	struct err err = {0};

	libarchive_header(name, size, &want);
	cr_assert_eq(tar_writer_header(w, name, size, &have, &err), 0, "%s", err.text);
	cr_assert(bytes_equal(bytes_in(&want), bytes_in(&have)), "%s, %llu bytes", name,
		  (unsigned long long)size);
}

Test(tar, headers_are_those_of_libarchive_for_every_length_of_name_and_size)
{
	OWNED(tar_writer_freep) struct tar_writer *w = NULL;
	struct err err = {0};
	char name[700];

	cr_assert_eq(tar_writer_new(&w, &err), 0);
	for (size_t n = 1; n < sizeof(name); n++) {
		for (size_t i = 0; i < n; i++)
			name[i] = i % 37 == 36 ? '/' : (char)('!' + (i * 7 + n) % 90);
		name[n - 1] = 'x';
		name[n] = '\0';
		check_header(w, name, n * 7919);
	}
	for (int shift = 0; shift < 40; shift++) {
		check_header(w, "files/a", 1ull << shift);
		check_header(w, "files/a", (1ull << shift) - 1);
	}
	check_header(w, "payload.tar.zst", LIMIT_PAYLOAD);
}

Test(tar, header_of_a_member_never_changes)
{
	/* What FORMAT.md promises to other readers, whatever libarchive is installed. */
	static const struct {
		const char *name;
		uint64_t size;
		size_t length;
		const char *digest;
	} known[] = {
	    {"manifest", 1234, 512,
	     "cda6d300c5615e688b19db5ab9172a0022d5d819ef1bf6b0be2ea1024490a490"},
	    {"payload.tar.zst", (1ull << 33) - 1, 512,
	     "4f8ba4da84e9b2bbe12ce6460d9f3ee1b92a2775255a3c8aa01ffe18570add12"},
	    {"payload.tar.zst", 1ull << 33, 1536,
	     "8062480fd9fe72f471582a0bc603257bea320a52b7372e7903be9e08a6a8cda2"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		OWNED(buf_clear) struct buf b = BUF_INIT;
		struct err err = {0};
		struct digest d;
		char hex[DIGEST_HEX + 1];

		cr_assert_eq(tar_header(known[i].name, known[i].size, &b, &err), 0);
		cr_assert_eq(b.n, known[i].length);
		d = digest_of(bytes_in(&b));
		digest_hex(hex, &d);
		cr_assert_str_eq(hex, known[i].digest);
	}
}

Test(tar, padding_reaches_the_next_record)
{
	cr_assert_eq(tar_padding(0), 0);
	cr_assert_eq(tar_padding(1), 511);
	cr_assert_eq(tar_padding(511), 1);
	cr_assert_eq(tar_padding(512), 0);
	cr_assert_eq(tar_padding(UINT64_MAX), 1);
}
