/* SPDX-License-Identifier: ISC */
/*
 * Public keys as fields: the second line of minisign's file.
 */
#ifndef SATCHEL_CORE_FORMAT_DOCUMENTS_DOCUMENT_KEY_H
#define SATCHEL_CORE_FORMAT_DOCUMENTS_DOCUMENT_KEY_H

#include "core/format/yaml/yaml.h"
#include "core/trust/key.h"

/** node_public_key(n, kind, ret, err): RC_MALFORMED when it is no key of this kind. */
int node_public_key(const struct node *n, enum key_kind kind, struct key_public *ret,
		    struct err *err);
/** node_any_key(n, ret, err): of either kind. */
int node_any_key(const struct node *n, struct key_public *ret, struct err *err);
/** node_addition_key(n, ret): a sealing key below `more`, which no schema checks: absent when ${n}
 * is not one, because readers pass over what they do not understand there. */
void node_addition_key(const struct node *n, struct key_public *ret);
/** yaml_public_key(w, key, value): the field ${key} (NULL in a list); errors stick in ${w}. */
void yaml_public_key(struct yaml_writer *w, const char *key, const struct key_public *value);

#endif
