/* SPDX-License-Identifier: ISC */
/*
 * SANITIZED: 1 when this is built with AddressSanitizer, else 0.  It opens files and maps memory of
 * its own, and gcc and clang say each in their own way that it is there.
 */
#ifndef SATCHEL_CORE_BASE_SANITIZED_H
#define SATCHEL_CORE_BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
