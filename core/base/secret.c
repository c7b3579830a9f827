/* SPDX-License-Identifier: ISC */
/*
 * Secret memory: [header][closed][the secret][closed].  libsodium's own allocator cannot be used
 * for this: it keeps a canary beside the secret, which a fork would wipe as well, and then
 * sodium_free ends the process.
 */
#include "core/base/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* What calls leave behind reaches down no further; libzstd and Argon2id take heaps. */
#define STACK_BYTES (64u << 10)

struct header {
	size_t bytes; /* of the pages that hold the secret */
	size_t size;  /* of the secret, at the end of them */
	bool gone;    /* they are not there at all in a forked process */
	pid_t owner;
};

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* The secret ends less than 16 bytes before its pages do, so it begins in the first of them. */
static uint8_t *pages_of(void *p)
{
	return (uint8_t *)((uintptr_t)p & ~(uintptr_t)(page_bytes() - 1));
}

static struct header *header_of(void *p)
{
	return (struct header *)(pages_of(p) - 2 * page_bytes());
}

/* A kernel that cannot wipe (before 4.14) can leave out. */
static int keep_from_children(uint8_t *pages, struct header *h)
{
	if (madvise(pages, h->bytes, MADV_WIPEONFORK) == 0)
		return 0;
	h->gone = true;
	return madvise(pages, h->bytes, MADV_DONTFORK);
}

void *secret_new(size_t size)
{
	size_t page = page_bytes(), bytes, whole;
	struct header *h;
	uint8_t *pages;

	size += size == 0;
	if (__builtin_add_overflow(size, page, &bytes) ||
	    __builtin_add_overflow(bytes, 3 * page, &whole))
		return NULL;
	bytes = (bytes - 1) & ~(page - 1);
	whole = bytes + 3 * page;
	h = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED)
		return NULL;
	pages = (uint8_t *)h + 2 * page;
	if (mprotect(h, page, PROT_READ | PROT_WRITE) < 0 ||
	    mprotect(pages, bytes, PROT_READ | PROT_WRITE) < 0)
		goto fail;
	*h = (struct header){.bytes = bytes, .size = size, .owner = getpid()};
	if (keep_from_children(pages, h) < 0)
		goto fail;
	madvise(pages, bytes, MADV_DONTDUMP);
	mlock(pages, bytes);
	mprotect(h, page, PROT_READ);
	return pages + ((bytes - size) & ~(size_t)15);
fail:
	munmap(h, whole);
	return NULL;
}

int secret_make(size_t size, void *ret, struct err *err)
{
	void *p = sodium_init() < 0 ? NULL : secret_new(size);

	if (p == NULL)
		return err_memory(err);
	*(void **)ret = p;
	return 0;
}

static bool absent_here(const struct header *h)
{
	return h->gone && h->owner != getpid();
}

void secret_readonly(void *p)
{
	struct header *h = header_of(p);

	if (!absent_here(h))
		mprotect(pages_of(p), h->bytes, PROT_READ);
}

void secret_free(void *p)
{
	struct header *h;
	int saved = errno;

	if (p == NULL)
		return;
	h = header_of(p);
	if (!absent_here(h)) {
		mprotect(pages_of(p), h->bytes, PROT_READ | PROT_WRITE);
		sodium_memzero(pages_of(p), h->bytes);
	}
	munmap(h, h->bytes + 3 * page_bytes());
	errno = saved;
}

void secret_freep(void *p)
{
	secret_free(*(void **)p);
	*(void **)p = NULL;
}

void secret_stack_wipe(void)
{
	sodium_stackzero(STACK_BYTES);
}
