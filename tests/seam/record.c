/* SPDX-License-Identifier: ISC */
/* The log, one record behind the other in shared memory. */
#include "tests/seam/record.h"

#include <stdlib.h>
#include <string.h>

#include "tests/seam/seam_internal.h"

static uint8_t *put(uint8_t *p, const void *from, size_t n)
{
	if (n > 0)
		memcpy(p, from, n);
	return p + n;
}

void record_add(struct record *r, const char *name, const char *to, const void *data)
{
	size_t at = atomic_load(&seam.shared->log), size;
	uint8_t *p = seam.shared->record + at;

	r->name = (uint16_t)(name != NULL ? strlen(name) + 1 : 0);
	r->to = (uint16_t)(to != NULL ? strlen(to) + 1 : 0);
	size = (sizeof(*r) + r->name + r->to + r->data + 7) & ~(size_t)7;
	r->size = (uint32_t)size;
	/* A log with a gap would prove nothing. */
	if (at + size > RECORD_MAX)
		abort();
	p = put(p, r, sizeof(*r));
	p = put(p, name, r->name);
	p = put(p, to, r->to);
	put(p, data, r->data);
	atomic_store(&seam.shared->log, at + size);
}

static const struct record *record_at(const uint8_t *p)
{
	const uint8_t *end = seam.shared->record + atomic_load(&seam.shared->log);

	return p < end ? (const void *)p : NULL;
}

const struct record *record_first(void)
{
	return record_at(seam.shared->record);
}

const struct record *record_next(const struct record *r)
{
	return record_at((const uint8_t *)r + r->size);
}

const char *record_name(const struct record *r)
{
	return (const char *)(r + 1);
}

const char *record_to(const struct record *r)
{
	return (const char *)(r + 1) + r->name;
}

const uint8_t *record_data(const struct record *r)
{
	return (const uint8_t *)(r + 1) + r->name + r->to;
}
