/* SPDX-License-Identifier: ISC */
/* A tree with every kind of entry, and every kind of change to it. */
#ifndef SATCHEL_TESTS_SUPPORT_APPLY_TREE_H
#define SATCHEL_TESTS_SUPPORT_APPLY_TREE_H

#include "tests/support/make_bundle.h"

/* A tree with every kind of entry. */
static inline void make_first(struct maker *m)
{
	make_put(m, "alpha", "the first file\n");
	make_put(m, "empty", "");
	make_directory(m, "dir");
	make_put(m, "dir/one", "one\n");
	make_put(m, "dir/two", "two\n");
	make_directory(m, "dir/deep");
	make_directory(m, "dir/deep/er");
	make_put_bytes(m, "dir/deep/er/sealed", 0400, T0 + 7, bytes_of("sealed\n"));
	make_link(m, "dir/link", "../alpha");
	make_copy(m, "dir/same", true, "alpha", "the first file\n");
	make_directory(m, "hollow");
	make_put(m, "odd \n\xff name", "odd\n");
	make_put(m, "becomes", "a file that becomes a directory\n");
	make_directory(m, "was");
	make_put(m, "was/inside", "a directory that becomes a file\n");
	make_directory(m, "points");
	make_put(m, "points/inside", "a directory that becomes a link\n");
	make_put(m, "gone", "deleted later\n");
	make_directory(m, "goner");
	make_directory(m, "goner/below");
	make_put(m, "goner/below/file", "deleted later as well\n");
}

/* Every kind of change on it. */
static inline void make_second(struct maker *m)
{
	make_put(m, "alpha", "the first file, changed\n");
	make_put(m, "beta", "new\n");
	make_meta(m, ENTRY_FILE, "dir/one", 0755, T0 + 100);
	make_meta(m, ENTRY_LINK, "dir/link", 0, T0 + 101);
	make_meta(m, ENTRY_DIRECTORY, "hollow", 0700, T0 + 102);
	make_copy(m, "copied", false, "dir/two", "two\n");
	make_copy(m, "twice", true, "beta", "new\n");
	make_directory(m, "becomes");
	make_put(m, "becomes/inside", "now below a directory\n");
	make_put(m, "was", "now a file\n");
	make_delete(m, ENTRY_FILE, "was/inside");
	make_link(m, "points", "dir");
	make_delete(m, ENTRY_FILE, "points/inside");
	make_delete(m, ENTRY_FILE, "gone");
	make_delete(m, ENTRY_DIRECTORY, "goner");
	make_delete(m, ENTRY_DIRECTORY, "goner/below");
	make_delete(m, ENTRY_FILE, "goner/below/file");
	make_directory(m, "fresh");
	make_directory(m, "fresh/tree");
	make_put(m, "fresh/tree/leaf", "leaf\n");
	make_link(m, "dir/two", "one");
}

#endif
