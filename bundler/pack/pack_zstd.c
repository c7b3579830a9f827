/* SPDX-License-Identifier: ISC */
/*
 * Compressors with the settings of packs; for payloads with secrets in them, one that wipes what it
 * worked in.  zstd keeps literals of its input in its workspace, and hands memory back as it is.
 * Source: zstd.h, "Custom memory allocation", which its shared library exports.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include <sodium.h>
#include <stdlib.h>

#include "bundler/pack/pack_internal.h"
#include "core/base/own.h"

static int settings_apply(ZSTD_CCtx *z, ZSTD_CCtx **ret, struct err *err)
{
	static const struct {
		ZSTD_cParameter parameter;
		int value;
	} set[] = {
	    {ZSTD_c_compressionLevel, PACK_LEVEL},
	    {ZSTD_c_windowLog, PACK_WINDOW},
	    {ZSTD_c_hashLog, PACK_HASH},
	    {ZSTD_c_chainLog, PACK_CHAIN},
	};

	for (size_t i = 0; z != NULL && i < ARRAY_LEN(set); i++) {
		if (!ZSTD_isError(ZSTD_CCtx_setParameter(z, set[i].parameter, set[i].value)))
			continue;
		ZSTD_freeCCtx(z);
		return err_set(err, RC_INTERNAL, "this zstd does not know the settings of packs");
	}
	*ret = z;
	return z == NULL ? err_memory(err) : 0;
}

int pack_zstd_new(ZSTD_CCtx **ret, struct err *err)
{
	return settings_apply(ZSTD_createCCtx(), ret, err);
}

/* Memory that knows its own size; as far apart as the strictest alignment. */
struct wiped {
	_Alignas(max_align_t) size_t size;
};

static void *wiped_alloc(void *arg, size_t size)
{
	struct wiped *w;
	size_t whole;

	(void)arg;
	if (__builtin_add_overflow(size, sizeof(*w), &whole))
		return NULL;
	w = malloc(whole);
	if (w == NULL)
		return NULL;
	w->size = whole;
	return w + 1;
}

static void wiped_free(void *arg, void *p)
{
	struct wiped *w = p == NULL ? NULL : (struct wiped *)p - 1;

	(void)arg;
	if (w != NULL)
		sodium_memzero(w, w->size);
	free(w);
}

int pack_zstd_secret(ZSTD_CCtx **ret, struct err *err)
{
	static const ZSTD_customMem wiping = {wiped_alloc, wiped_free, NULL};

	return settings_apply(ZSTD_createCCtx_advanced(wiping), ret, err);
}

int pack_compress(ZSTD_CCtx *zstd, const void *p, size_t n, struct buf *ret, struct err *err)
{
	size_t bound = ZSTD_compressBound(n), got;
	int rc;

	buf_reset(ret);
	rc = buf_reserve(ret, bound, err);
	if (rc < 0)
		return rc;
	got = ZSTD_compress2(zstd, ret->p, bound, p, n);
	if (ZSTD_isError(got))
		return err_set(err, RC_INTERNAL, "zstd: %s", ZSTD_getErrorName(got));
	ret->n = got;
	return 0;
}
