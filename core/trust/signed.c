/* SPDX-License-Identifier: ISC */
/*
 * The one form of a signed document.  Signature formats usually leave room: comments, line ends,
 * prehashed kinds.  Here each of these is refused, so that a document has one encoding, and its
 * digest names what was signed and not how it was written down.  Nothing is parsed before its
 * signature is verified; this file only finds where signatures and messages lie.
 */
#include "core/trust/signed.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/own.h"

/* The one comment.  Any other would be a second encoding of the same document. */
#define COMMENT "untrusted comment: satchel signed document\n"
/* With these bytes begins what any version of signify or minisign signed. */
#define COMMENT_ANY "untrusted comment:"

#define SIGNATURE_BYTES (2 + 8 + 64) /* "Ed", key number, Ed25519 */
#define SIGNATURE_LINE  BASE64_LEN(SIGNATURE_BYTES)

#define SEALED_START "satchel-sealed/1 "
#define SEALED_LINE  (sizeof(SEALED_START) - 1 + 16 + 1) /* with the newline */

/*
 * The prehashed kind ("ED") signs a digest instead of the bytes; taking both would give one
 * document two signatures.
 */
static int signature_parse(const char *line, struct signature *ret, struct err *err)
{
	uint8_t raw[SIGNATURE_BYTES];
	size_t n;
	int rc = base64_decode(raw, sizeof(raw), &n, line, SIGNATURE_LINE, err);

	if (rc < 0)
		return err_prefix(err, "the signature");
	if (n != sizeof(raw))
		return err_set(err, RC_MALFORMED, "the signature does not have %d bytes",
			       SIGNATURE_BYTES);
	if (memcmp(raw, "ED", 2) == 0)
		return err_set(err, RC_MALFORMED,
			       "the signature is of the prehashed kind; sign with minisign -S -l");
	if (memcmp(raw, "Ed", 2) != 0)
		return err_set(err, RC_MALFORMED, "the signature is not one of Ed25519");
	ret->number = get_u64(raw + 2);
	memcpy(ret->sig, raw + 10, sizeof(ret->sig));
	return 0;
}

static int layer_parse(struct bytes in, struct signature *ret, struct err *err)
{
	size_t comment = sizeof(COMMENT) - 1, head = comment + SIGNATURE_LINE + 1;
	int rc;

	if (!bytes_start(in, COMMENT))
		return err_set(err, RC_MALFORMED,
			       "it does not begin with the line of a signed document");
	if (in.n < head || in.p[head - 1] != '\n')
		return err_set(err, RC_MALFORMED, "its signature does not have %d characters",
			       SIGNATURE_LINE);
	rc = signature_parse((const char *)in.p + comment, ret, err);
	if (rc < 0)
		return rc;
	ret->message = (struct bytes){in.p + head, in.n - head};
	return 0;
}

int signed_split(struct bytes in, size_t max_layers, struct signed_doc *ret, struct err *err)
{
	struct signed_doc doc;
	int rc;

	doc.layers = 0;
	doc.inner = in;
	do {
		if (doc.layers == max_layers || doc.layers == LIMIT_LAYERS)
			return err_set(err, RC_LIMIT, "it has more than %zu signature%s",
				       doc.layers, doc.layers == 1 ? "" : "s");
		rc = layer_parse(doc.inner, &doc.layer[doc.layers], err);
		if (rc < 0)
			return rc;
		doc.inner = doc.layer[doc.layers++].message;
	} while (bytes_start(doc.inner, COMMENT_ANY));
	doc.identity = digest_of(doc.inner);
	*ret = doc;
	return 0;
}

static void signature_line(char dst[SIGNATURE_LINE + 1], uint64_t number, const uint8_t sig[64])
{
	uint8_t raw[SIGNATURE_BYTES];

	memcpy(raw, "Ed", 2);
	put_u64(raw + 2, number);
	memcpy(raw + 10, sig, 64);
	base64_encode(dst, SIGNATURE_LINE + 1, raw, sizeof(raw));
}

static int layer_add(uint64_t number, const uint8_t sig[64], struct bytes message, struct buf *ret,
		     struct err *err)
{
	char line[SIGNATURE_LINE + 1];
	struct signed_doc inside;
	int rc;

	if (bytes_start(message, COMMENT_ANY)) {
		rc = signed_split(message, LIMIT_LAYERS - 1, &inside, err);
		if (rc < 0)
			return err_prefix(err, "no signature can be added");
	}
	signature_line(line, number, sig);
	line[SIGNATURE_LINE] = '\n';
	if (message.n > SIZE_MAX / 2)
		return err_set(err, RC_LIMIT, "too much to sign");
	/* One reservation, so that a failure leaves ${ret} as it was. */
	rc = buf_reserve(ret, sizeof(COMMENT) + sizeof(line) + message.n, err);
	if (rc == 0)
		rc = buf_text(ret, COMMENT, err);
	if (rc == 0)
		rc = buf_add(ret, line, sizeof(line), err);
	if (rc == 0)
		rc = buf_add(ret, message.p, message.n, err);
	return rc;
}

int signed_make(const struct key_secret *k, struct bytes message, struct buf *ret, struct err *err)
{
	struct key_public public = key_public_of(k);
	uint8_t sig[64];
	int rc = key_sign(k, message, sig, err);

	return rc < 0 ? rc : layer_add(public.number, sig, message, ret, err);
}

int signed_apart(const struct key_secret *k, struct bytes message, struct buf *ret, struct err *err)
{
	struct key_public public = key_public_of(k);
	char line[SIGNATURE_LINE + 1];
	uint8_t sig[64];
	int rc = key_sign(k, message, sig, err);

	if (rc < 0)
		return rc;
	signature_line(line, public.number, sig);
	return buf_printf(ret, err, COMMENT_ANY " signature by satchel key %016" PRIX64 "\n%s\n",
			  public.number, line);
}

/* Only the signature over the message is taken; minisign's trusted comment says nothing to us. */
int signed_import(struct bytes message, struct bytes minisig, const struct key_public *pub,
		  struct buf *ret, struct err *err)
{
	const uint8_t *end = minisig.n > 0 ? memchr(minisig.p, '\n', minisig.n) : NULL;
	struct signature s;
	size_t at;
	int rc;

	if (!bytes_start(minisig, COMMENT_ANY) || end == NULL)
		return err_set(err, RC_MALFORMED, "the signature file does not begin with \"%s\"",
			       COMMENT_ANY);
	at = (size_t)(end - minisig.p) + 1;
	if (minisig.n < at + SIGNATURE_LINE + 1 || minisig.p[at + SIGNATURE_LINE] != '\n')
		return err_set(err, RC_MALFORMED,
			       "the second line of the signature file does not have %d characters",
			       SIGNATURE_LINE);
	rc = signature_parse((const char *)minisig.p + at, &s, err);
	if (rc < 0)
		return rc;
	if (s.number != pub->number)
		return err_set(err, RC_UNTRUSTED,
			       "the signature is by key %016" PRIX64 ", not by key %016" PRIX64,
			       s.number, pub->number);
	if (!key_verify(pub, message, s.sig))
		return err_set(err, RC_UNTRUSTED,
			       "the signature by key %016" PRIX64
			       " does not match the document; was another file signed?",
			       s.number);
	return layer_add(s.number, s.sig, message, ret, err);
}

bool signed_by(const struct signed_doc *doc, const struct key_public *key)
{
	for (size_t i = 0; i < doc->layers; i++)
		if (doc->layer[i].number == key->number &&
		    key_verify(key, doc->layer[i].message, doc->layer[i].sig))
			return true;
	return false;
}

bool signed_type(struct bytes inner, const char *type)
{
	static const char start[] = "satchel: ";
	size_t n = strlen(type), at = sizeof(start) - 1;

	return bytes_start(inner, start) && inner.n > at + n &&
	       memcmp(inner.p + at, type, n) == 0 && inner.p[at + n] == '\n';
}

int sealed_make(const struct key_public *to, struct bytes doc, struct buf *ret, struct err *err)
{
	size_t before = ret->n;
	char id[17];
	int rc;

	key_seal_id(id, to);
	rc = buf_printf(ret, err, SEALED_START "%s\n", id);
	if (rc < 0)
		return rc;
	rc = key_seal(to, doc, ret, err);
	if (rc < 0) {
		ret->n = before;
		ret->p[before] = '\0';
	}
	return rc;
}

bool sealed_recipient(struct bytes in, char dst[17])
{
	size_t at = sizeof(SEALED_START) - 1;
	uint8_t id[8];

	if (!bytes_start(in, SEALED_START) || in.n < SEALED_LINE || in.p[SEALED_LINE - 1] != '\n')
		return false;
	memcpy(dst, in.p + at, 16);
	dst[16] = '\0';
	return hex_decode(id, sizeof(id), dst, ERR_IGNORED) == 0;
}

int sealed_open(const struct key_secret *key, struct bytes in, struct buf *ret, struct err *err)
{
	struct key_public public = key_public_of(key);
	char to[17], ours[17];

	if (!sealed_recipient(in, to))
		return err_set(err, RC_MALFORMED, "it does not begin as a sealed document");
	key_seal_id(ours, &public);
	if (strcmp(to, ours) != 0)
		return err_set(err, RC_ADDRESSEE, "it is sealed to key %s, ours is %s", to, ours);
	return key_unseal(key, (struct bytes){in.p + SEALED_LINE, in.n - SEALED_LINE}, ret, err);
}
