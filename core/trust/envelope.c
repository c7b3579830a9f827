/* SPDX-License-Identifier: ISC */
/*
 * Backups leave the server, and contain all that it knows.  So the file is closed while it is
 * written, and nothing of it is in the clear on any disk.
 */
#include "core/trust/envelope.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/os/durable.h"
#include "core/trust/key_internal.h"
#include "core/trust/vault.h"

#define MAGIC       "satchel envelope 1\n"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)
#define STREAM_KEY  crypto_secretstream_xchacha20poly1305_KEYBYTES
#define STREAM_ADDS crypto_secretstream_xchacha20poly1305_ABYTES
#define STREAM_HEAD crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define SEALED      (STREAM_KEY + crypto_box_SEALBYTES)

enum { FOR_PASSPHRASE = 1, FOR_KEY = 2 };

struct envelope {
	int fd; /* borrowed */
	crypto_secretstream_xchacha20poly1305_state state;
	uint8_t key[STREAM_KEY];
	uint8_t plain[ENVELOPE_MESSAGE];
	size_t n, at; /* bytes in plain; of these read */
	bool last;    /* the last message was read */
	uint8_t closed[ENVELOPE_MESSAGE + STREAM_ADDS];
};

void envelope_freep(struct envelope **e)
{
	secret_free(*e);
	*e = NULL;
}

static int bytes_write(int fd, const void *p, size_t n, struct err *err)
{
	return fd_write(fd, p, n, err);
}

/* The whole of ${n} bytes, or RC_INCOMPLETE. */
static int bytes_read(int fd, void *dst, size_t n, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, (uint8_t *)dst + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, RC_IO, "cannot read the file");
		if (r == 0)
			return err_set(err, RC_INCOMPLETE, "the file ends too early");
		got += (size_t)r;
	}
	return 0;
}

static int passphrase_key(struct key_ask *ask, const uint8_t salt[crypto_pwhash_SALTBYTES],
			  uint64_t passes, uint64_t memory, size_t least, uint8_t ret[STREAM_KEY],
			  struct err *err)
{
	char *text OWNED(secret_freep) = NULL;
	size_t n;
	int rc;

	if (ask == NULL)
		return err_set(err, RC_USAGE, "a passphrase is needed");
	if (passes == 0 || passes > VAULT_PASSES_MOST || memory > VAULT_MEMORY_MOST)
		return err_set(err, RC_LIMIT,
			       "the passphrase asks for more work than is ever set here");
	rc = secret_make(VAULT_PASSPHRASE_MOST, &text, err);
	if (rc == 0)
		rc = ask->ask(ask, "the backup", text, VAULT_PASSPHRASE_MOST, err);
	if (rc < 0)
		return rc;
	n = strnlen(text, VAULT_PASSPHRASE_MOST);
	if (n < least)
		return err_set(err, RC_POLICY,
			       "a passphrase of a backup has at least %zu characters", least);
	if (crypto_pwhash(ret, STREAM_KEY, text, n, salt, passes, (size_t)memory,
			  crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(err, RC_MEMORY,
			       "the passphrase needs %" PRIu64 " MiB of memory, which are not free",
			       memory >> 20);
	return 0;
}

static int make_passphrase(struct envelope *e, struct key_ask *ask, struct err *err)
{
	uint8_t kind = FOR_PASSPHRASE, salt[crypto_pwhash_SALTBYTES], number[16];
	int rc;

	randombytes_buf(salt, sizeof(salt));
	put_u64(number, VAULT_PASSES);
	put_u64(number + 8, VAULT_MEMORY);
	rc = passphrase_key(ask, salt, VAULT_PASSES, VAULT_MEMORY, VAULT_PASSPHRASE_LEAST, e->key,
			    err);
	if (rc == 0)
		rc = bytes_write(e->fd, &kind, 1, err);
	if (rc == 0)
		rc = bytes_write(e->fd, salt, sizeof(salt), err);
	return rc < 0 ? rc : bytes_write(e->fd, number, sizeof(number), err);
}

static int make_key(struct envelope *e, const struct key_public *to, struct err *err)
{
	uint8_t kind = FOR_KEY, sealed[SEALED];
	int rc;

	randombytes_buf(e->key, sizeof(e->key));
	if (to->kind != KEY_SEAL || crypto_box_seal(sealed, e->key, sizeof(e->key), to->b) != 0)
		return err_set(err, RC_USAGE, "it takes a public key for sealing");
	rc = bytes_write(e->fd, &kind, 1, err);
	return rc < 0 ? rc : bytes_write(e->fd, sealed, sizeof(sealed), err);
}

int envelope_make(int fd, struct key_ask *ask, const struct key_public *to, struct envelope **ret,
		  struct err *err)
{
	OWNED(envelope_freep) struct envelope *e = NULL;
	uint8_t header[STREAM_HEAD];
	int rc = secret_make(sizeof(*e), &e, err);

	if (rc < 0)
		return rc;
	e->fd = fd;
	rc = bytes_write(fd, MAGIC, MAGIC_BYTES, err);
	if (rc == 0)
		rc = to != NULL ? make_key(e, to, err) : make_passphrase(e, ask, err);
	if (rc < 0)
		return rc;
	crypto_secretstream_xchacha20poly1305_init_push(&e->state, header, e->key);
	rc = bytes_write(fd, header, sizeof(header), err);
	if (rc < 0)
		return rc;
	*ret = TAKE(e);
	return 0;
}

static int message_write(struct envelope *e, uint8_t tag, struct err *err)
{
	unsigned long long n = 0;

	crypto_secretstream_xchacha20poly1305_push(&e->state, e->closed, &n, e->plain, e->n, NULL,
						   0, tag);
	e->n = 0;
	return bytes_write(e->fd, e->closed, (size_t)n, err);
}

int envelope_put(struct envelope *e, struct bytes data, struct err *err)
{
	int rc = 0;

	while (rc == 0 && data.n > 0) {
		size_t room = sizeof(e->plain) - e->n, n = data.n < room ? data.n : room;

		memcpy(e->plain + e->n, data.p, n);
		e->n += n;
		data.p += n;
		data.n -= n;
		/* A full one waits until it is known that it is not the last. */
		if (e->n == sizeof(e->plain) && data.n > 0)
			rc = message_write(e, 0, err);
	}
	return rc;
}

int envelope_end(struct envelope *e, struct err *err)
{
	return message_write(e, crypto_secretstream_xchacha20poly1305_TAG_FINAL, err);
}

static int open_passphrase(struct envelope *e, struct key_ask *ask, struct err *err)
{
	uint8_t salt[crypto_pwhash_SALTBYTES], number[16];
	int rc = bytes_read(e->fd, salt, sizeof(salt), err);

	if (rc == 0)
		rc = bytes_read(e->fd, number, sizeof(number), err);
	return rc < 0 ? rc
		      : passphrase_key(ask, salt, get_u64(number), get_u64(number + 8), 0, e->key,
				       err);
}

static int open_key(struct envelope *e, const struct key_secret *key, struct err *err)
{
	struct key_public pub;
	uint8_t sealed[SEALED];
	int rc = bytes_read(e->fd, sealed, sizeof(sealed), err);

	if (rc < 0)
		return rc;
	if (key == NULL)
		return err_set(err, RC_USAGE,
			       "it was made for a sealing key: name the file of the secret one");
	pub = key_public_of(key);
	if (pub.kind != KEY_SEAL ||
	    crypto_box_seal_open(e->key, sealed, sizeof(sealed), pub.b, key->b) != 0)
		return err_set(err, RC_UNTRUSTED, "it was made for another key");
	return 0;
}

int envelope_open(int fd, struct key_ask *ask, const struct key_secret *key, struct envelope **ret,
		  struct err *err)
{
	OWNED(envelope_freep) struct envelope *e = NULL;
	uint8_t magic[MAGIC_BYTES + 1], header[STREAM_HEAD];
	int rc = secret_make(sizeof(*e), &e, err);

	if (rc < 0)
		return rc;
	e->fd = fd;
	if (bytes_read(fd, magic, sizeof(magic), ERR_IGNORED) < 0 ||
	    memcmp(magic, MAGIC, MAGIC_BYTES) != 0 ||
	    (magic[MAGIC_BYTES] != FOR_PASSPHRASE && magic[MAGIC_BYTES] != FOR_KEY))
		return err_set(err, RC_MALFORMED, "it is not a backup of satchel");
	rc = magic[MAGIC_BYTES] == FOR_KEY ? open_key(e, key, err) : open_passphrase(e, ask, err);
	if (rc == 0)
		rc = bytes_read(fd, header, sizeof(header), err);
	if (rc < 0)
		return rc;
	if (crypto_secretstream_xchacha20poly1305_init_pull(&e->state, header, e->key) != 0)
		return err_set(err, RC_UNTRUSTED, "it was changed");
	*ret = TAKE(e);
	return 0;
}

/* As much as one message has, or less at the end of the file. */
static int message_bytes(struct envelope *e, size_t *ret, struct err *err)
{
	size_t got = 0;

	while (got < sizeof(e->closed)) {
		ssize_t r = read(e->fd, e->closed + got, sizeof(e->closed) - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, RC_IO, "cannot read the file");
		if (r == 0)
			break;
		got += (size_t)r;
	}
	*ret = got;
	return 0;
}

static int message_read(struct envelope *e, struct err *err)
{
	unsigned long long n = 0;
	size_t closed = 0;
	uint8_t tag;
	int rc = e->last ? err_set(err, RC_INCOMPLETE, "the backup ends too early")
			 : message_bytes(e, &closed, err);

	if (rc < 0)
		return rc;
	if (closed == 0)
		return err_set(err, RC_INCOMPLETE, "the file ends too early");
	if (crypto_secretstream_xchacha20poly1305_pull(&e->state, e->plain, &n, &tag, e->closed,
						       closed, NULL, 0) != 0)
		return err_set(err, RC_UNTRUSTED,
			       "the passphrase or key is another one, or the file was changed");
	e->n = (size_t)n;
	e->at = 0;
	e->last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	return 0;
}

int envelope_get(struct envelope *e, void *dst, size_t n, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		size_t there = e->n - e->at, take = there < n - got ? there : n - got;

		memcpy((uint8_t *)dst + got, e->plain + e->at, take);
		e->at += take;
		got += take;
		if (got < n && message_read(e, err) < 0)
			return err->rc;
	}
	return 0;
}
