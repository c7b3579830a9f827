/* SPDX-License-Identifier: ISC */
/*
 * What a confirmation code is a MAC over: exactly what a workstation holds.
 */
#ifndef SATCHEL_CORE_FORMAT_DOCUMENTS_CONFIRM_H
#define SATCHEL_CORE_FORMAT_DOCUMENTS_CONFIRM_H

#include "core/format/documents/documents.h"

/**
 * confirm_statement(r, ret, err): the bytes that stand for what the receipt ${r} says is held:
 * site, workstation, number of the receipt, private channel, and name, epoch, generation and tree
 * of every channel, ascending by name.  What else a receipt says, and its times, are not part of
 * it; channels with the result "left" are not held.  Appended to ${ret}.  Source: docs/FORMAT.md
 * section 9.
 */
int confirm_statement(const struct receipt *r, struct buf *ret, struct err *err);

/** confirm_good(r): may a code be shown for it?  Only when every channel is applied or current,
 * without drift or deviation, and every user has what is theirs. */
bool confirm_good(const struct receipt *r);

#endif
