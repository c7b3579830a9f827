/* SPDX-License-Identifier: ISC */
/*
 * Fields of a document and members of a struct, in one table for both directions.  Only for the
 * documents of documents.h.
 */
#ifndef SATCHEL_CORE_FORMAT_DOCUMENTS_MEMBER_H
#define SATCHEL_CORE_FORMAT_DOCUMENTS_MEMBER_H

#include "core/base/own.h"
#include "core/format/documents/documents.h"
#include "core/format/yaml/yaml.h"

enum member_kind {
	MEMBER_DIGEST,
	MEMBER_U64,
	MEMBER_TIME,
	MEMBER_BOOL,
	MEMBER_TEXT,   /* an array of char */
	MEMBER_FOREIGN /* the same; written with escapes, cut to the array's size */
};

struct member {
	const char *key;
	enum member_kind kind;
	bool optional; /* not written when it is zero or empty, and absent means that */
	size_t offset, size;
};

#define MEMBER_AT(type, field, key, kind, optional)                         \
	{                                                                   \
		key, MEMBER_##kind, optional, offsetof(struct type, field), \
		    sizeof(((struct type *)0)->field)                       \
	}
#define MEMBER(type, field, key, kind)       MEMBER_AT(type, field, key, kind, false)
#define MEMBER_MAYBE(type, field, key, kind) MEMBER_AT(type, field, key, kind, true)

/** members_decode(map, m, n, ret, err): the fields of ${map} into the struct ${ret}. */
int members_decode(const struct node *map, const struct member *m, size_t n, void *ret,
		   struct err *err);
/** members_encode(w, m, n, from): the members of the struct ${from}, in the table's order. */
void members_encode(struct yaml_writer *w, const struct member *m, size_t n, const void *from);

/** document_read(in, max, type, file, ret, err): yaml_decode by the name of the schema; ${file}
 * NULL: the name of the type stands in messages. */
int document_read(struct bytes in, size_t max, const char *type, const char *file,
		  struct yaml **ret, struct err *err);
/** document_write(type, ret, err): a writer that has written the first line. */
int document_write(const char *type, struct yaml_writer **ret, struct err *err);

/**
 * document_end(w, again, ret, err):
 * End the document, read it ${again} as its reader will, and append it.  What its own reader would
 * refuse must not be signed.  Frees ${w} in every case.
 */
int document_end(struct yaml_writer *w, int (*again)(struct bytes text, struct err *err),
		 struct buf *ret, struct err *err);

/** items_new(n, size, ret, err): room for ${n} zeroed structs; NULL for none. */
int items_new(size_t n, size_t size, void **ret, struct err *err);

#endif
