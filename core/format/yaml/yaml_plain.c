/* SPDX-License-Identifier: ISC */
/*
 * What a plain scalar means.  Readers of YAML 1.1 and 1.2 disagree about many words and numbers; a
 * scalar is text here only if it is text for all of them, and a number or a truth value only in the
 * one spelling that all of them share.
 */
#include <string.h>
#include <strings.h>

#include "core/format/yaml/yaml_internal.h"

/* What some reader takes for null, a truth value, a number or a merge, in any letter case. */
static const char *const words[] = {
    "",  "~", "null", "true",  "false", "yes",  "no", "on", "off",
    "y", "n", ".inf", "+.inf", "-.inf", ".nan", "<<", "=",
};

/* Digits, separators and letters of decimal, octal, binary, hexadecimal, sexagesimal numbers,
 * floats and time stamps. */
static const char number_like[] = "0123456789abcdefABCDEFxXoO_:.,+-tTzZ \t";

static bool plain_is_integer(const char *text, size_t n)
{
	if (n == 0 || (n > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

enum node_kind plain_kind(const char *text, size_t n)
{
	size_t sign = n > 0 && strchr("+-", text[0]) != NULL ? 1 : 0;
	size_t dot = n > sign && text[sign] == '.' ? 1 : 0;
	size_t digit = sign + dot;

	if (plain_is_integer(text, n))
		return NODE_INTEGER;
	if ((n == 4 && memcmp(text, "true", 4) == 0) || (n == 5 && memcmp(text, "false", 5) == 0))
		return NODE_BOOLEAN;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == n && strncasecmp(text, words[i], n) == 0)
			return NODE_AMBIGUOUS;
	if (n > digit && text[digit] >= '0' && text[digit] <= '9' && strspn(text, number_like) == n)
		return NODE_AMBIGUOUS;
	return NODE_TEXT;
}
