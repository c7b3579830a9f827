/* SPDX-License-Identifier: ISC */
/* Names in a depot: what is taken for one of ours is exactly what our makers write. */
#include <stdlib.h>
#include <string.h>

#include "core/depot/depot.h"

static void make(char dst[DEPOT_NAME], const struct name *n, const struct digest *d)
{
	switch (n->kind) {
	case NAME_TRUST:
		return name_trust(dst, n->number, d);
	case NAME_BEAT:
		return name_beat(dst, n->number, d);
	case NAME_SHARD:
		return name_shard(dst, n->xx, d);
	case NAME_HEAD:
		return name_head(dst, n->channel, n->epoch, n->number, d);
	case NAME_BUNDLE:
		return name_bundle(dst, n->channel, n->epoch, n->base, n->number, d);
	case NAME_PRIVATE:
		return name_private(dst, n->id, n->epoch, n->number, d);
	case NAME_RECEIPT:
		return name_inbox(dst, n->id, n->number, d, "receipt");
	case NAME_REQUEST:
		return name_inbox(dst, n->id, n->number, d, "request");
	case NAME_VOLUME:
		return name_volume(dst, n->base, n->number, d);
	case NAME_PART: {
		char bundle[DEPOT_NAME];

		name_bundle(bundle, n->channel, n->epoch, n->base, n->number, d);
		return name_part(dst, bundle, n->part, n->blocks);
	}
	case NAME_OTHER:
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char path[4096], again[DEPOT_NAME];
	struct digest d = {{0}};
	struct name name;

	if (n >= sizeof(path))
		return 0;
	memcpy(path, p, n);
	path[n] = '\0';
	if (name_parse(path, &name) == NAME_OTHER)
		return 0;
	if (hex_decode(d.b, DIGEST_NAME / 2, name.digest, ERR_IGNORED) < 0)
		abort();
	make(again, &name, &d);
	if (strcmp(path, again) != 0)
		abort();
	return 0;
}
