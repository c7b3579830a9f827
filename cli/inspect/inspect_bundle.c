/* SPDX-License-Identifier: ISC */
/*
 * A bundle, looked through to the last byte: prefix, every block, the list of changes, every
 * content.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/frame/show.h"
#include "cli/inspect/inspect_child.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"
#include "core/os/durable.h"

/* What a put or patch line promised about the member that carries it. */
struct promise {
	struct digest digest;
	uint64_t size;
	uint64_t name; /* first bytes of the digest of the member's name */
};

#define PROMISES_A_PAGE 4096

struct page {
	struct page *next;
	size_t n;
	struct promise promise[PROMISES_A_PAGE];
};

struct bundle_view {
	const struct inspection *in;
	struct teller *teller;
	struct manifest manifest;
	uint64_t payload_offset;
	struct changes_reader *reader;
	struct digest_stream changes, content;
	uint64_t count[CHANGE_OPS], bytes, changes_bytes;
	struct page *first, *last, *at; /* promises in order; at: of the member that comes next */
	size_t next;
	const struct promise *member; /* whose data comes now */
	uint64_t left;
};

/* INSPECT_CHANGES alone needs nothing behind the list: this code ends the reading without being a
 * fault. */
#define ENOUGH 1

static uint64_t name_hash(const char *name)
{
	struct digest d = digest_of(bytes_of(name));

	return get_u64(d.b);
}

static int promise_add(struct bundle_view *b, const char *name, const struct change *c,
		       struct err *err)
{
	if (b->last == NULL || b->last->n == PROMISES_A_PAGE) {
		struct page *p = calloc(1, sizeof(*p));

		if (p == NULL)
			return err_memory(err);
		if (b->last == NULL)
			b->first = b->at = p;
		else
			b->last->next = p;
		b->last = p;
	}
	b->last->promise[b->last->n++] = (struct promise){c->digest, c->size, name_hash(name)};
	return 0;
}

static int each_change(void *arg, const struct change *c, struct err *err)
{
	struct bundle_view *b = arg;
	OWNED(buf_clear) struct buf name = BUF_INIT;
	int rc = 0;

	b->count[c->op]++;
	if (c->op == CHANGE_PUT || c->op == CHANGE_PATCH || c->op == CHANGE_COPY)
		b->bytes += c->size;
	if (c->op == CHANGE_PUT) {
		rc = buf_text(&name, "files/", err);
		if (rc == 0)
			rc = text_encode(c->path, &name, err);
	} else if (c->op == CHANGE_PATCH) {
		rc = buf_printf(&name, err, "patches/%" PRIu64, c->patch);
	}
	if (rc == 0 && name.n > 0)
		rc = promise_add(b, (const char *)name.p, c, err);
	if (rc == 0 && (b->teller->flags & INSPECT_CHANGES)) {
		buf_reset(&name);
		rc = change_format(c, &name, err);
		if (rc == 0) {
			name.p[name.n - 1] = '\0';
			rc = inspect_tell_change(b->teller, (const char *)name.p, err);
		}
	}
	return rc;
}

static int on_block(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err)
{
	struct bundle_view *b = arg;
	int rc = inspect_tell_going_on(b->teller, err);

	return rc < 0 ? rc : fd_pread(b->in->fd, dst, n, b->payload_offset + i * BLOCK_BYTES, err);
}

static int changes_complete(struct bundle_view *b, struct err *err)
{
	struct digest d = digest_end(&b->changes);
	int rc = changes_end(b->reader, err);

	if (rc < 0)
		return rc;
	d = content_changes(content_key_salt(b->in->key), &d);
	if (!digest_equal(&d, &b->manifest.changes) || b->changes_bytes != b->manifest.changes_size)
		return err_set(err, RC_MALFORMED,
			       "the list of changes is not the one that was signed");
	for (size_t i = 0; i < CHANGE_OPS; i++)
		if (b->count[i] != b->manifest.count[i])
			return err_set(err, RC_MALFORMED,
				       "the manifest counts %" PRIu64
				       " of \"%s\", the list has %" PRIu64,
				       b->manifest.count[i], change_names[i], b->count[i]);
	if (b->bytes != b->manifest.content)
		return err_set(err, RC_MALFORMED,
			       "the manifest says %" PRIu64
			       " bytes of content, the list says %" PRIu64,
			       b->manifest.content, b->bytes);
	return b->in->flags & INSPECT_DEEP ? 0 : ENOUGH;
}

static int on_changes(void *arg, struct bytes piece, struct err *err)
{
	struct bundle_view *b = arg;

	if (piece.p == NULL)
		return changes_complete(b, err);
	digest_more(&b->changes, piece.p, piece.n);
	b->changes_bytes += piece.n;
	return changes_add_bytes(b->reader, piece, err);
}

static int member_complete(struct bundle_view *b, struct err *err)
{
	struct digest d;

	if (b->member == NULL)
		return 0;
	d = digest_end(&b->content);
	if (b->left != 0 || !digest_equal(&d, &b->member->digest))
		return err_set(err, RC_MALFORMED,
			       "content does not match its line in the list of changes");
	b->member = NULL;
	return 0;
}

static int on_member(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct bundle_view *b = arg;
	int rc = member_complete(b, err);

	if (rc < 0)
		return rc;
	if (b->at != NULL && b->next == b->at->n) {
		b->at = b->at->next;
		b->next = 0;
	}
	if (b->at == NULL || b->at->promise[b->next].name != name_hash(name) ||
	    (bytes_start(bytes_of(name), "files/") && b->at->promise[b->next].size != size))
		return err_set(
		    err, RC_MALFORMED,
		    "member %.200s is out of order: the list of changes has another one next",
		    name);
	/* A patch is checked when it is applied to the old content; here its bytes are the signed
	 * ones. */
	b->member = bytes_start(bytes_of(name), "files/") ? &b->at->promise[b->next] : NULL;
	b->next++;
	b->left = size;
	digest_start(&b->content);
	return 0;
}

static int on_data(void *arg, struct bytes piece, struct err *err)
{
	struct bundle_view *b = arg;

	if (b->member == NULL)
		return 0;
	if (piece.n > b->left)
		return err_set(err, RC_MALFORMED, "a member is longer than its header says");
	digest_more(&b->content, piece.p, piece.n);
	b->left -= piece.n;
	return 0;
}

static int every_member_came(struct bundle_view *b, struct err *err)
{
	int rc = member_complete(b, err);

	if (rc == 0 && b->at != NULL && (b->next < b->at->n || b->at->next != NULL))
		return err_set(err, RC_MALFORMED,
			       "content that the list of changes names is missing");
	return rc;
}

/* Reads the prefix and leaves the manifest and the list of blocks behind. */
static int read_prefix(struct bundle_view *b, struct buf *prefix, struct bytes *ret_blocks,
		       struct err *err)
{
	uint8_t first[512];
	struct signed_doc doc;
	size_t signed_size, prefix_size;
	int rc = fd_pread(b->in->fd, first, sizeof(first), 0, err);

	if (rc == 0)
		rc = bundle_manifest_size(first, &signed_size, err);
	if (rc == 0)
		rc = buf_reserve(prefix, 512 + signed_size, err);
	if (rc == 0)
		rc = fd_pread(b->in->fd, prefix->p, 512 + signed_size, 0, err);
	if (rc == 0)
		rc = inspect_same(b->in, (struct bytes){prefix->p + 512, signed_size}, err);
	if (rc == 0)
		rc = signed_split((struct bytes){prefix->p + 512, signed_size}, 1, &doc, err);
	if (rc == 0 && !manifest_type(doc.inner))
		rc = err_set(err, RC_MALFORMED, "the bundle's first member is not a manifest");
	if (rc == 0)
		rc = manifest_decode(doc.inner, &b->manifest, err);
	if (rc == 0)
		rc = bundle_prefix_size(signed_size, b->manifest.payload, &prefix_size, err);
	if (rc == 0)
		rc = buf_reserve(prefix, prefix_size, err);
	if (rc == 0)
		rc = fd_pread(b->in->fd, prefix->p, prefix_size, 0, err);
	if (rc < 0)
		return rc;
	prefix->n = prefix_size;
	b->payload_offset = prefix_size;
	return bundle_prefix_check(bytes_in(prefix), signed_size, &b->manifest, ret_blocks, err);
}

static int check_end(const struct bundle_view *b, size_t prefix, struct err *err)
{
	uint8_t tail[2048];
	size_t n = bundle_tail(b->manifest.payload);
	uint64_t whole = bundle_size(prefix, b->manifest.payload);
	int rc;

	if (b->in->size < whole)
		return err_set(err, RC_INCOMPLETE,
			       "only %" PRIu64 " of %" PRIu64 " bytes have arrived", b->in->size,
			       whole);
	if (b->in->size > whole)
		return err_set(err, RC_MALFORMED, "%" PRIu64 " %s the end of the bundle",
			       b->in->size - whole,
			       plural(b->in->size - whole, "byte follows", "bytes follow"));
	rc = fd_pread(b->in->fd, tail, n, whole - n, err);
	if (rc == 0 && !sodium_is_zero(tail, n))
		rc = err_set(err, RC_MALFORMED, "the end of the bundle is malformed");
	return rc;
}

/* A sealed payload cannot be opened here: its blocks are checked, what is in them is not looked at.
 */
static int check_blocks(struct bundle_view *b, struct bytes blocks, struct err *err)
{
	OWNED(freep) uint8_t *block = malloc(BLOCK_BYTES);
	uint64_t left = b->manifest.payload;

	if (block == NULL)
		return err_memory(err);
	for (uint64_t i = 0; left > 0; i++) {
		size_t n = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
		struct digest d;
		int rc = on_block(b, i, block, n, err);

		if (rc < 0)
			return rc;
		d = digest_of((struct bytes){block, n});
		if (memcmp(d.b, blocks.p + i * DIGEST_BYTES, DIGEST_BYTES) != 0)
			return err_set(err, RC_INCOMPLETE,
				       "block %" PRIu64 " is not the one that was signed", i);
		left -= n;
	}
	return 0;
}

static int tell_manifest(const struct bundle_view *b, struct err *err)
{
	const struct manifest *m = &b->manifest;
	char created[CLOCK_TEXT + 1], hex[DIGEST_HEX + 1];

	clock_format(created, m->created);
	if (m->private_channel)
		inspect_tell(b->teller, err, "what",
			     "private bundle for workstation %s, generation %" PRIu64
			     " (epoch %" PRIu64 ")",
			     m->recipient, m->generation, m->epoch);
	else
		inspect_tell(
		    b->teller, err, "what",
		    "bundle of channel %s, %" PRIu64 " -> %" PRIu64 " (epoch %" PRIu64 ")%s",
		    m->channel, m->base, m->generation, m->epoch, m->base == 0 ? ", complete" : "");
	inspect_tell(b->teller, err, "created", "%s", created);
	inspect_tell(b->teller, err, "would do",
		     "files: %" PRIu64 " (%" PRIu64 " bytes), patches: %" PRIu64
		     ", copies: %" PRIu64 ", links: %" PRIu64 ", directories: %" PRIu64
		     ", metadata: %" PRIu64 ", deletions: %" PRIu64,
		     m->count[CHANGE_PUT], m->content, m->count[CHANGE_PATCH],
		     m->count[CHANGE_COPY], m->count[CHANGE_LINK], m->count[CHANGE_DIRECTORY],
		     m->count[CHANGE_META], m->count[CHANGE_DELETE]);
	inspect_tell(b->teller, err, "payload", "%" PRIu64 " bytes, %" PRIu64 " unpacked",
		     m->payload, m->unpacked);
	if (m->base > 0) {
		digest_hex(hex, &m->base_tree);
		inspect_tell(b->teller, err, "base tree", "%s", hex);
	}
	digest_hex(hex, &m->tree);
	inspect_tell(b->teller, err, "tree", "%s", hex);
	digest_hex(hex, &m->site);
	return inspect_tell(b->teller, err, "site", "%s", hex);
}

/* What can be seen without the key. */
static int inspect_outside(struct bundle_view *b, struct bytes blocks, struct err *err)
{
	int rc = b->in->flags & INSPECT_DEEP ? check_blocks(b, blocks, err) : 0;

	if (rc < 0)
		return rc;
	if (b->manifest.key == 0)
		return inspect_tell(b->teller, err, "contents",
				    "sealed to the workstation, cannot be read here");
	return inspect_tell(b->teller, err, "contents",
			    "sealed with content key %" PRIu64
			    " of the channel, cannot be read here",
			    b->manifest.key);
}

static int inspect_inside(struct bundle_view *b, struct bytes blocks, struct err *err)
{
	struct payload_events events = {b, on_block, on_changes, on_member, on_data};
	int rc;

	if (b->in->key != NULL)
		inspect_tell(b->teller, err, "sealed",
			     "with content key %" PRIu64 " of the channel", b->manifest.key);
	else if (manifest_sealed(&b->manifest))
		return inspect_outside(b, blocks, err);
	if (!(b->in->flags & (INSPECT_DEEP | INSPECT_CHANGES)))
		return 0;
	digest_start(&b->changes);
	rc = changes_reader_new(each_change, b, &b->reader, err);
	if (rc == 0)
		rc = payload_read(&b->manifest, blocks, b->in->key, &events, err);
	if (rc == ENOUGH)
		return 0;
	return rc < 0 ? rc : every_member_came(b, err);
}

int inspect_bundle(const struct inspection *in, struct teller *t, struct err *err)
{
	struct bundle_view b = {.in = in, .teller = t};
	OWNED(buf_clear) struct buf prefix = BUF_INIT;
	struct bytes blocks;
	int rc = read_prefix(&b, &prefix, &blocks, err);

	if (rc == 0)
		rc = tell_manifest(&b, err);
	if (rc == 0)
		rc = check_end(&b, prefix.n, err);
	if (rc == 0)
		rc = inspect_inside(&b, blocks, err);
	changes_reader_freep(&b.reader);
	while (b.first != NULL) {
		struct page *next = b.first->next;

		free(b.first);
		b.first = next;
	}
	return rc;
}
