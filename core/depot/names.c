/* SPDX-License-Identifier: ISC */
/*
 * Every name that a depot can hold, written and read in one place.  A name carries number and
 * digest, so a listing alone says what is new and reading it says whether it is whole; since names
 * are chosen by whoever wrote the file, parsing accepts exactly what the makers here produce.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/depot.h"

/* The first two hexadecimal digits of the digest of a name: spreads them over 256 directories. */
static void spread(char dst[3], const char *text)
{
	char name[DIGEST_NAME + 1];
	struct digest d = digest_of(bytes_of(text));

	digest_name(name, &d);
	memcpy(dst, name, 2);
	dst[2] = '\0';
}

void name_trust(char dst[DEPOT_NAME], uint64_t version, const struct digest *d)
{
	char digest[DIGEST_NAME + 1];

	digest_name(digest, d);
	snprintf(dst, DEPOT_NAME, "trust/%" PRIu64 "-%s.trust", version, digest);
}

void name_beat(char dst[DEPOT_NAME], uint64_t sequence, const struct digest *d)
{
	char digest[DIGEST_NAME + 1];

	digest_name(digest, d);
	snprintf(dst, DEPOT_NAME, "beats/%" PRIu64 "-%s.beat", sequence, digest);
}

void name_shard(char dst[DEPOT_NAME], uint8_t xx, const struct digest *d)
{
	char digest[DIGEST_NAME + 1];

	digest_name(digest, d);
	snprintf(dst, DEPOT_NAME, "shards/%02x-%s.shard", xx, digest);
}

void name_head(char dst[DEPOT_NAME], const char *channel, uint64_t epoch, uint64_t generation,
	       const struct digest *d)
{
	char digest[DIGEST_NAME + 1];

	digest_name(digest, d);
	snprintf(dst, DEPOT_NAME, "channels/%s/%" PRIu64 ".%" PRIu64 "-%s.head", channel, epoch,
		 generation, digest);
}

void name_bundle(char dst[DEPOT_NAME], const char *channel, uint64_t epoch, uint64_t base,
		 uint64_t generation, const struct digest *d)
{
	char digest[DIGEST_NAME + 1];

	digest_name(digest, d);
	snprintf(dst, DEPOT_NAME, "channels/%s/%" PRIu64 ".%" PRIu64 "-%" PRIu64 "-%s.bundle",
		 channel, epoch, base, generation, digest);
}

void name_private(char dst[DEPOT_NAME], const char *id, uint64_t epoch, uint64_t generation,
		  const struct digest *d)
{
	char digest[DIGEST_NAME + 1], xx[3];

	digest_name(digest, d);
	spread(xx, id);
	snprintf(dst, DEPOT_NAME, "workstations/%s/%s.%" PRIu64 ".%" PRIu64 "-%s.bundle", xx, id,
		 epoch, generation, digest);
}

void name_inbox(char dst[DEPOT_NAME], const char *id, uint64_t sequence, const struct digest *d,
		const char *extension)
{
	char digest[DIGEST_NAME + 1], xx[3];

	digest_name(digest, d);
	spread(xx, id);
	snprintf(dst, DEPOT_NAME, "inbox/%s/%s-%" PRIu64 "-%s.%s", xx, id, sequence, digest,
		 extension);
}

void name_volume(char dst[DEPOT_NAME], uint64_t volume, uint64_t of, const struct digest *d)
{
	char digest[DIGEST_NAME + 1];

	digest_name(digest, d);
	snprintf(dst, DEPOT_NAME, "volumes/%" PRIu64 "-%" PRIu64 "-%s.volume", volume, of, digest);
}

void name_part(char dst[DEPOT_NAME], const char *bundle, uint32_t part, uint32_t blocks)
{
	/* No bundle's path is so long that this would be cut. */
	snprintf(dst, DEPOT_NAME, "%.*s.%03" PRIu32 "-%" PRIu32, DEPOT_NAME - 24, bundle, part,
		 blocks);
}

/*
 * One row for each kind: how its path reads.  In a pattern every letter takes a part of the path:
 * c a channel's name, i an id, x two digits (of a shard), y two digits that must be the spread of
 * the id, e b n numbers (epoch, base, number), d the digest; everything else stands for itself.
 */
static const struct pattern {
	enum name_kind kind;
	const char *directory, *rest;
} patterns[] = {
    {NAME_TRUST, "trust/", "n-d.trust"},
    {NAME_BEAT, "beats/", "n-d.beat"},
    {NAME_SHARD, "shards/", "x-d.shard"},
    {NAME_HEAD, "channels/", "c/e.n-d.head"},
    {NAME_BUNDLE, "channels/", "c/e.b-n-d.bundle"},
    {NAME_PRIVATE, "workstations/", "y/i.e.n-d.bundle"},
    {NAME_RECEIPT, "inbox/", "y/i-n-d.receipt"},
    {NAME_REQUEST, "inbox/", "y/i-n-d.request"},
    {NAME_VOLUME, "volumes/", "b-n-d.volume"},
};

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Exactly ${n} hexadecimal digits. */
static bool take_hex(const char **at, char *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_hex((*at)[i]))
			return false;
		dst[i] = (*at)[i];
	}
	dst[n] = '\0';
	*at += n;
	return true;
}

static bool take_number(const char **at, uint64_t *ret)
{
	size_t n = strspn(*at, "0123456789");

	if (number_u64(*at, n, LIMIT_NUMBER, ret, ERR_IGNORED) < 0)
		return false;
	*at += n;
	return true;
}

static bool take_channel(const char **at, char dst[64])
{
	size_t n = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (n == 0 || n > 63 || (*at)[0] == '_' || (*at)[0] == '-')
		return false;
	memcpy(dst, *at, n);
	dst[n] = '\0';
	*at += n;
	return true;
}

static bool take_part(char letter, const char **at, struct name *name, char xx[3])
{
	switch (letter) {
	case 'c':
		return take_channel(at, name->channel);
	case 'i':
		return take_hex(at, name->id, sizeof(name->id) - 1);
	case 'x':
	case 'y':
		return take_hex(at, xx, 2);
	case 'e':
		return take_number(at, &name->epoch);
	case 'b':
		return take_number(at, &name->base);
	case 'n':
		return take_number(at, &name->number);
	default:
		return take_hex(at, name->digest, DIGEST_NAME);
	}
}

static bool matches(const char *at, const char *rest, struct name *name, char xx[3])
{
	/* The extension is literal, and holds letters that elsewhere take a part. */
	const char *extension = strrchr(rest, '.');

	for (const char *r = rest; r < extension; r++) {
		if (strchr("cixyebnd", *r) != NULL) {
			if (!take_part(*r, &at, name, xx))
				return false;
		} else if (*at++ != *r) {
			return false;
		}
	}
	return strcmp(at, extension) == 0;
}

static enum name_kind parse_whole(const char *path, struct name *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		const struct pattern *p = &patterns[i];
		size_t n = strlen(p->directory);
		struct name name = {.kind = p->kind};
		char xx[3] = "", want[3];

		if (strncmp(path, p->directory, n) != 0 || !matches(path + n, p->rest, &name, xx))
			continue;
		spread(want, name.id);
		if (name.id[0] != '\0' && strcmp(xx, want) != 0)
			continue;
		if (p->kind == NAME_SHARD && hex_decode(&name.xx, 1, xx, ERR_IGNORED) < 0)
			continue;
		*ret = name;
		return name.kind;
	}
	*ret = (struct name){.kind = NAME_OTHER};
	return NAME_OTHER;
}

/* A part is its bundle's path, its number with three digits or more, and the blocks of each. */
static bool parse_part(const char *path, const char *dot, struct name *ret)
{
	const char *dash = strchr(dot, '-');
	char bundle[DEPOT_NAME], again[DEPOT_NAME];
	uint64_t part, blocks;
	struct name name;

	if (dash == NULL || (size_t)(dot - path) >= sizeof(bundle))
		return false;
	memcpy(bundle, path, (size_t)(dot - path));
	bundle[dot - path] = '\0';
	dot += 1 + strspn(dot + 1, "0"); /* leading zeros; the comparison below counts them */
	if (number_u64(dot, (size_t)(dash - dot), LIMIT_BLOCKS, &part, ERR_IGNORED) < 0 ||
	    part == 0 ||
	    number_u64(dash + 1, strlen(dash + 1), LIMIT_BLOCKS, &blocks, ERR_IGNORED) < 0 ||
	    blocks == 0 || parse_whole(bundle, &name) != NAME_BUNDLE)
		return false;
	name_part(again, bundle, (uint32_t)part, (uint32_t)blocks);
	if (strcmp(again, path) != 0)
		return false;
	name.kind = NAME_PART;
	name.part = (uint32_t)part;
	name.blocks = (uint32_t)blocks;
	*ret = name;
	return true;
}

enum name_kind name_parse(const char *path, struct name *ret)
{
	const char *dot = strrchr(path, '.');

	if (dot != NULL && dot[1] >= '0' && dot[1] <= '9' && parse_part(path, dot, ret))
		return NAME_PART;
	return parse_whole(path, ret);
}

bool name_fits(const struct name *name, struct bytes content)
{
	char digest[DIGEST_NAME + 1];
	struct digest d = digest_of(content);

	digest_name(digest, &d);
	return strcmp(name->digest, digest) == 0;
}
