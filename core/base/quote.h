/* SPDX-License-Identifier: ISC */
/*
 * What somebody else says, shown so that it cannot pass for a word of ours.
 */
#ifndef SATCHEL_CORE_BASE_QUOTE_H
#define SATCHEL_CORE_BASE_QUOTE_H

#include <stddef.h>

/**
 * quote_text(dst, size, text):
 * ${text} between quotation marks that nothing in it can end: ASCII stays, but for the quotation
 * mark, which becomes an apostrophe; so do letters of the world's scripts; every other character
 * becomes a question mark, because there are more quotation marks than anybody lists.  Controls
 * and bytes that are no UTF-8 stay, for whoever prints them to escape.  Cut to fit; ${size} is at
 * least 3, and strlen(text) + 3 is always enough.
 */
void quote_text(char *dst, size_t size, const char *text);

#endif
