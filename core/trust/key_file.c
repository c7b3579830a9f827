/* SPDX-License-Identifier: ISC */
/*
 * Secret key files.  The 158 bytes behind the base64, after minisign's SeckeyStruct:
 *
 *	0	algorithm "Ed" ("Ex" for sealing keys, which are ours)
 *	2	key derivation: "Sc" scrypt, or two zero bytes
 *	4	checksum "B2"
 *	6	salt, 32 bytes
 *	38	opslimit, LE 64
 *	46	memlimit, LE 64
 *	54	key number, 8 bytes; secret key, 64; checksum, 32
 *
 * The checksum is BLAKE2b-256 of algorithm, number and key; minisign 0.11 leaves it zero where
 * there is no passphrase.  Where there is one, all from 54 on is XORed with scrypt's output.
 */
#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/trust/key_internal.h"
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
	AT_ALGORITHM = 0,
	AT_KDF = 2,
	AT_CHECKSUM = 4,
	AT_SALT = 6,
	AT_OPSLIMIT = 38,
	AT_MEMLIMIT = 46,
	AT_NUMBER = 54,
	AT_SECRET = 62,
	AT_SUM = 126,
	FILE_BYTES = 158,
	HIDDEN_BYTES = FILE_BYTES - AT_NUMBER,
};

#define FILE_LINE      BASE64_LEN(FILE_BYTES)
#define FILE_MAX       (KEY_COMMENT_MAX + 1 + FILE_LINE + 1)
#define PASSPHRASE_MAX 1024 /* minisign's PASSWORDMAXBYTES */

/* What minisign itself writes at most: a file cannot ask for more of this machine. */
#define OPSLIMIT_MAX crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_SENSITIVE
#define MEMLIMIT_MAX crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_SENSITIVE

static void checksum(const uint8_t raw[FILE_BYTES], uint8_t ret[32])
{
	struct digest_stream s;
	struct digest d;

	digest_start(&s);
	digest_more(&s, raw + AT_ALGORITHM, 2);
	digest_more(&s, raw + AT_NUMBER, AT_SUM - AT_NUMBER);
	d = digest_end(&s);
	memcpy(ret, d.b, sizeof(d.b));
	sodium_memzero(&s, sizeof(s));
}

static int unlock(uint8_t raw[FILE_BYTES], const char *name, struct key_ask *ask, struct err *err)
{
	OWNED(secret_freep) char *passphrase = NULL;
	OWNED(secret_freep) uint8_t *stream = NULL;
	uint64_t ops = get_u64(raw + AT_OPSLIMIT), mem = get_u64(raw + AT_MEMLIMIT);
	int rc;

	if (ask == NULL)
		return err_set(err, RC_UNTRUSTED,
			       "it has a passphrase, and there is no terminal to ask for it; keep "
			       "the keys of unattended machines without one");
	if (ops > OPSLIMIT_MAX || mem > MEMLIMIT_MAX)
		return err_set(err, RC_LIMIT,
			       "its passphrase asks for more work than minisign ever does");
	if ((rc = secret_make(PASSPHRASE_MAX, &passphrase, err)) < 0 ||
	    (rc = secret_make(HIDDEN_BYTES, &stream, err)) < 0 ||
	    (rc = ask->ask(ask, name, passphrase, PASSPHRASE_MAX, err)) < 0)
		return rc;
	if (crypto_pwhash_scryptsalsa208sha256(stream, HIDDEN_BYTES, passphrase,
					       strnlen(passphrase, PASSPHRASE_MAX), raw + AT_SALT,
					       ops, (size_t)mem) != 0)
		return err_set(err, RC_MEMORY,
			       "its passphrase needs %" PRIu64
			       " MiB of memory to check, which are not free",
			       mem >> 20);
	for (size_t i = 0; i < HIDDEN_BYTES; i++)
		raw[AT_NUMBER + i] ^= stream[i];
	return 0;
}

static int open_up(uint8_t raw[FILE_BYTES], const char *name, struct key_ask *ask, struct err *err)
{
	bool locked = memcmp(raw + AT_KDF, "Sc", 2) == 0;
	uint8_t sum[32];
	int rc;

	if (memcmp(raw, "Ed", 2) != 0 && memcmp(raw, "Ex", 2) != 0)
		return err_set(err, RC_MALFORMED,
			       "it is for another algorithm than Ed25519 or X25519");
	if (memcmp(raw + AT_CHECKSUM, "B2", 2) != 0 ||
	    (!locked && memcmp(raw + AT_KDF, "\0\0", 2) != 0))
		return err_set(err, RC_MALFORMED, "it is not a secret key of minisign's form");
	if (locked && (rc = unlock(raw, name, ask, err)) < 0)
		return rc;
	if (!locked && sodium_is_zero(raw + AT_SUM, sizeof(sum)))
		return 0;
	checksum(raw, sum);
	if (sodium_memcmp(sum, raw + AT_SUM, sizeof(sum)) == 0)
		return 0;
	return locked ? err_set(err, RC_UNTRUSTED, "the passphrase is wrong")
		      : err_set(err, RC_MALFORMED, "it is damaged: its checksum does not match");
}

static int parse(struct bytes text, const char *name, struct key_ask *ask, struct key_secret **ret,
		 struct err *err)
{
	OWNED(secret_freep) uint8_t *raw = NULL;
	OWNED(key_freep) struct key_secret *k = NULL;
	const char *line;
	size_t n;
	int rc = key_payload(text, FILE_LINE, KEY_COMMENT_NEEDED, &line, err);

	if (rc < 0 || (rc = secret_make(FILE_BYTES, &raw, err)) < 0 ||
	    (rc = base64_decode(raw, FILE_BYTES, &n, line, FILE_LINE, err)) < 0)
		return rc;
	if (n != FILE_BYTES)
		return err_set(err, RC_MALFORMED, "it is not a secret key of minisign's form");
	if ((rc = open_up(raw, name, ask, err)) < 0 || (rc = key_secret_new(&k, err)) < 0)
		return rc;
	k->kind = raw[1] == 'd' ? KEY_SIGN : KEY_SEAL;
	k->number = get_u64(raw + AT_NUMBER);
	memcpy(k->b, raw + AT_SECRET, sizeof(k->b));
	rc = key_secret_check(k, err);
	if (rc == 0)
		*ret = TAKE(k);
	return rc;
}

int key_secret_parse(struct bytes text, const char *name, struct key_ask *passphrase,
		     struct key_secret **ret, struct err *err)
{
	int rc = parse(text, name, passphrase, ret, err);

	return rc < 0 ? err_prefix(err, "key file %s", name) : rc;
}

int key_write(int dirfd, const char *name, const struct key_secret *k, struct err *err)
{
	OWNED(secret_freep) uint8_t *raw = NULL;
	OWNED(secret_freep) char *text = NULL;
	int rc, n;

	if ((rc = secret_make(FILE_BYTES, &raw, err)) < 0 ||
	    (rc = secret_make(FILE_MAX, &text, err)) < 0)
		return rc;
	memcpy(raw + AT_ALGORITHM, key_algorithm(k->kind), 2);
	memcpy(raw + AT_CHECKSUM, "B2", 2);
	put_u64(raw + AT_NUMBER, k->number);
	memcpy(raw + AT_SECRET, k->b, sizeof(k->b));
	checksum(raw, raw + AT_SUM);
	n = snprintf(text, FILE_MAX, "untrusted comment: satchel secret %s key %016" PRIX64 "\n",
		     k->kind == KEY_SIGN ? "signing" : "sealing", k->number);
	base64_encode(text + n, FILE_LINE + 1, raw, FILE_BYTES);
	text[(size_t)n + FILE_LINE] = '\n';
	return durable_write(
	    dirfd, name, (struct bytes){(uint8_t *)text, (size_t)n + FILE_LINE + 1}, 0600, 0, err);
}

/*
 * FAT and its kin give every file the mode of the mount.  Root keys lie on such sticks, and there
 * chmod(1) is no remedy.
 */
static bool holds_modes(int fd, const struct stat *st)
{
	struct stat after;
	bool holds = fchmod(fd, st->st_mode & 07700) == 0 && fstat(fd, &after) == 0 &&
		     (after.st_mode & 077) == 0;

	if (holds) /* whoever has left it open to others is to know, so it is not closed quietly */
		holds = fchmod(fd, st->st_mode & 07777) == 0;
	return holds;
}

static int open_to_others(int fd, const struct stat *st, struct err *err)
{
	if (!holds_modes(fd, st))
		return err_set(err, RC_POLICY,
			       "others on this machine may read it (mode %04o), because its file "
			       "system keeps no modes: mount it with umask=077, or copy the key to "
			       "a directory of yours",
			       (unsigned)st->st_mode & 07777);
	return err_set(err, RC_POLICY,
		       "others may read or write it (mode %04o); if nobody did, chmod 600, "
		       "else make a new key",
		       (unsigned)st->st_mode & 07777);
}

/* Judged on the open descriptor, so that what was judged is what is read. */
static int judge(int fd, size_t max, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat it");
	if (!S_ISREG(st.st_mode))
		return err_set(err, RC_TYPE, "it is not a regular file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, RC_POLICY,
			       "it belongs to another user (uid %u): run satchel as that user, or "
			       "chown it",
			       (unsigned)st.st_uid);
	if ((st.st_mode & 077) != 0)
		return open_to_others(fd, &st, err);
	if (st.st_size > (off_t)max)
		return err_set(err, RC_LIMIT, "it is longer than a secret key can be");
	return 0;
}

int key_file_bytes(int dirfd, const char *name, void *dst, size_t max, size_t *ret_n,
		   struct err *err)
{
	OWNED(fd_closep) int fd = beneath_open(dirfd, name, O_RDONLY | O_NONBLOCK, 0, err);
	size_t more = 0;
	char beyond;
	int rc;

	if (fd < 0)
		return fd;
	rc = judge(fd, max, err);
	if (rc == 0)
		rc = fd_read(fd, dst, max, ret_n, err);
	if (rc == 0)
		rc = fd_read(fd, &beyond, 1, &more, err);
	sodium_memzero(&beyond, 1);
	if (rc == 0 && more > 0)
		return err_set(err, RC_LIMIT, "it is longer than a secret key can be");
	return rc;
}

int key_locked(int dirfd, const char *name, bool *ret, struct err *err)
{
	OWNED(secret_freep) char *text = NULL;
	const char *line;
	uint8_t head[6]; /* algorithm, KDF, checksum: nothing secret */
	size_t n = 0;
	int rc = secret_make(FILE_MAX, &text, err);

	if (rc == 0)
		rc = key_file_bytes(dirfd, name, text, FILE_MAX, &n, err);
	if (rc == 0)
		rc = key_payload((struct bytes){(uint8_t *)text, n}, FILE_LINE, KEY_COMMENT_NEEDED,
				 &line, err);
	if (rc == 0)
		rc = base64_decode(head, sizeof(head), &n, line, 8, err);
	if (rc < 0)
		return err_prefix(err, "key file %s", name);
	*ret = memcmp(head + AT_KDF, "Sc", 2) == 0;
	return 0;
}

int key_read(int dirfd, const char *name, struct key_ask *passphrase, struct key_secret **ret,
	     struct err *err)
{
	OWNED(secret_freep) char *text = NULL;
	size_t n = 0;
	int rc = secret_make(FILE_MAX, &text, err);

	if (rc < 0)
		return rc;
	rc = key_file_bytes(dirfd, name, text, FILE_MAX, &n, err);
	if (rc < 0)
		return err_prefix(err, "key file %s", name);
	return key_secret_parse((struct bytes){(uint8_t *)text, n}, name, passphrase, ret, err);
}
