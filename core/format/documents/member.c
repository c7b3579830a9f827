/* SPDX-License-Identifier: ISC */
/*
 * The common part of all documents.  Encoding follows the table that decoding follows, and what
 * was written is read again before anybody signs it, so that no reader can be handed what it would
 * refuse.
 */
#include "core/format/documents/member.h"

#include <string.h>

static int member_decode(const struct node *n, const struct member *m, void *at, struct err *err)
{
	switch (m->kind) {
	case MEMBER_DIGEST:
		return node_digest(n, at, err);
	case MEMBER_TIME:
		return node_time(n, at, err);
	case MEMBER_U64:
		*(uint64_t *)at = node_u64(n, 0);
		return 0;
	case MEMBER_BOOL:
		*(bool *)at = node_bool(n, false);
		return 0;
	case MEMBER_TEXT:
	case MEMBER_FOREIGN:
		return node_copy(n, at, m->size, err);
	}
	return err_set(err, RC_INTERNAL, "field `%s` has no kind", m->key);
}

int members_decode(const struct node *map, const struct member *m, size_t n, void *ret,
		   struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct node *value = node_get(map, m[i].key);
		uint8_t *at = (uint8_t *)ret + m[i].offset;
		int rc = member_decode(value, &m[i], at, err);

		if (rc < 0)
			return rc;
		/* None has one spelling. */
		if (m[i].optional && value != NULL && m[i].kind == MEMBER_DIGEST &&
		    sodium_is_zero(at, m[i].size))
			return node_error(value, err, "all zero means none: leave it out");
	}
	return 0;
}

static bool member_is_empty(const struct member *m, const uint8_t *at)
{
	if (m->kind == MEMBER_TEXT || m->kind == MEMBER_FOREIGN)
		return at[0] == '\0';
	return sodium_is_zero(at, m->size);
}

static void member_encode(struct yaml_writer *w, const struct member *m, const uint8_t *at)
{
	char shown[1024];

	switch (m->kind) {
	case MEMBER_DIGEST:
		yaml_digest(w, m->key, (const struct digest *)at);
		break;
	case MEMBER_TIME:
		yaml_time(w, m->key, *(const int64_t *)at);
		break;
	case MEMBER_U64:
		yaml_u64(w, m->key, *(const uint64_t *)at);
		break;
	case MEMBER_BOOL:
		yaml_bool(w, m->key, *(const bool *)at);
		break;
	case MEMBER_TEXT:
		yaml_text(w, m->key, (const char *)at);
		break;
	case MEMBER_FOREIGN:
		err_escape(shown, m->size < sizeof(shown) ? m->size : sizeof(shown),
			   (const char *)at);
		yaml_text(w, m->key, shown);
		break;
	}
}

void members_encode(struct yaml_writer *w, const struct member *m, size_t n, const void *from)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *at = (const uint8_t *)from + m[i].offset;

		if (!m[i].optional || !member_is_empty(&m[i], at))
			member_encode(w, &m[i], at);
	}
}

int document_read(struct bytes in, size_t max, const char *type, const char *file,
		  struct yaml **ret, struct err *err)
{
	return yaml_decode(in, max, schema_find(type), file != NULL ? file : type, ret, err);
}

int document_write(const char *type, struct yaml_writer **ret, struct err *err)
{
	int rc = yaml_writer_new(ret, err);

	if (rc == 0)
		yaml_text(*ret, "satchel", type);
	return rc;
}

int document_end(struct yaml_writer *w, int (*again)(struct bytes text, struct err *err),
		 struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = yaml_writer_end(w, &text, err);

	if (rc == 0)
		rc = again(bytes_in(&text), err);
	return rc < 0 ? rc : buf_add(ret, text.p, text.n, err);
}

int items_new(size_t n, size_t size, void **ret, struct err *err)
{
	*ret = NULL;
	if (n == 0)
		return 0;
	*ret = calloc(n, size);
	return *ret == NULL ? err_memory(err) : 0;
}
