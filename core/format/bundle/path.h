/* SPDX-License-Identifier: ISC */
/*
 * Paths of a channel's tree: what is allowed, the one percent-encoding, the one order.
 * Source: docs/FORMAT.md section 6; schemas/changes.abnf.
 */
#ifndef SATCHEL_CORE_FORMAT_BUNDLE_PATH_H
#define SATCHEL_CORE_FORMAT_BUNDLE_PATH_H

#include "core/base/bytes.h"
#include "core/base/limits.h"

/** path_check(path, err): a NUL-terminated decoded path, "a/b"; no empty component, ".", "..",
 * lengths and depth within limits. RC_PATH. */
int path_check(const char *path, struct err *err);

/** path_reserved(path): has it a component that begins with PATH_RESERVED?  Such names are
 * satchel's own below a target (staging, kept copies): publish leaves them out, apply refuses them.
 */
#define PATH_RESERVED ".satchel-"
bool path_reserved(const char *path);

/** text_encode(text, ret, err): the canonical percent-encoding, appended (any bytes but 0x00, so
 * for link targets too). */
int text_encode(const char *text, struct buf *ret, struct err *err);
/** text_decode(in, dst, size, err): only the canonical encoding; ${dst} gets a NUL.  RC_MALFORMED,
 * RC_PATH when it does not fit. */
int text_decode(struct bytes in, char *dst, size_t size, struct err *err);

/** path_compare(a, b): component by component: as strcmp with '/' below every other byte. */
int path_compare(const char *a, const char *b);
/** path_below(path, dir): is ${path} ${dir} itself or below it? */
bool path_below(const char *path, const char *dir);

#endif
