/* SPDX-License-Identifier: ISC */
/*
 * The signs of our own secrets.  Of a key no secret byte is decoded: its first six bytes name the
 * algorithm, how its passphrase is used, and the checksum.
 */
#include "core/trust/secret_sign.h"

#include <sodium.h>
#include <string.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/db.h"
#include "core/os/durable.h"

#define COMMENT      "untrusted comment: "
#define COMMENT_OURS COMMENT "satchel secret "
/* The line of a secret key: 158 bytes (core/trust/key_file.c); that of a public one has 42. */
#define KEY_LINE BASE64_LEN(158)

#define SQLITE_MAGIC  "SQLite format 3" /* and a NUL */
#define SQLITE_ID_AT  68                /* application_id, big-endian; sqlite.org/fileformat2 */
#define SQLITE_HEADER 100

static const char *key_form(struct bytes head)
{
	const uint8_t *end = memchr(head.p, '\n', head.n);
	uint8_t form[6];
	size_t n;

	if (!bytes_start(head, COMMENT) || end == NULL ||
	    head.n - (size_t)(end + 1 - head.p) < KEY_LINE ||
	    base64_decode(form, sizeof(form), &n, (const char *)end + 1, 8, ERR_IGNORED) < 0 ||
	    n != sizeof(form))
		return NULL;
	if (memcmp(form + 4, "B2", 2) != 0 ||
	    (memcmp(form + 2, "Sc", 2) != 0 && memcmp(form + 2, "\0\0", 2) != 0))
		return NULL;
	if (memcmp(form, "Ex", 2) == 0 ||
	    (memcmp(form, "Ed", 2) == 0 && bytes_start(head, COMMENT_OURS)))
		return "a secret key of satchel";
	return NULL;
}

static const char *database_sign(struct bytes head)
{
	uint32_t id;

	if (head.n < SQLITE_HEADER || memcmp(head.p, SQLITE_MAGIC, sizeof(SQLITE_MAGIC)) != 0)
		return NULL;
	id = (uint32_t)head.p[SQLITE_ID_AT] << 24 | (uint32_t)head.p[SQLITE_ID_AT + 1] << 16 |
	     (uint32_t)head.p[SQLITE_ID_AT + 2] << 8 | (uint32_t)head.p[SQLITE_ID_AT + 3];
	if (id == DB_ID_REGISTRY)
		return "the registry of a server";
	return id == DB_ID_STATION ? "the database of a workstation" : NULL;
}

const char *secret_sign(struct bytes head)
{
	const char *what = database_sign(head);

	return what != NULL || head.n == 0 ? what : key_form(head);
}

const char *secret_sign_file(int dirfd, const char *name)
{
	OWNED(fd_closep) int fd = beneath_file(dirfd, name, NULL, ERR_IGNORED);
	uint8_t head[SECRET_SIGN_BYTES];
	const char *what = NULL;
	size_t n = 0;

	if (fd >= 0 && fd_read(fd, head, sizeof(head), &n, ERR_IGNORED) == 0)
		what = secret_sign((struct bytes){head, n});
	sodium_memzero(head, sizeof(head));
	return what;
}
