/* SPDX-License-Identifier: ISC */
/*
 * What a secret of satchel looks like from its first bytes, so that it is known wherever it lies
 * and whatever it is called.
 */
#ifndef SATCHEL_CORE_TRUST_SECRET_SIGN_H
#define SATCHEL_CORE_TRUST_SECRET_SIGN_H

#include "core/base/bytes.h"

/* As many bytes of a file's beginning tell: the longest comment that a key file may have, and its
 * key. */
#define SECRET_SIGN_BYTES 2048

/**
 * secret_sign(head):
 * What a file is that begins like this: "a secret key of satchel", "the registry of a server", "the
 * database of a workstation"; NULL when it is none of them.  A secret key is known by the comment
 * that satchel writes above it, or by its algorithm where that is satchel's own; minisign's and
 * signify's keys are not.  ${head} may be shorter or longer than SECRET_SIGN_BYTES.
 */
const char *secret_sign(struct bytes head);

/** secret_sign_file(dirfd, name): the same for the regular file ${name} in ${dirfd}; NULL also
 * when there is none, or none that can be read. */
const char *secret_sign_file(int dirfd, const char *name);

#endif
