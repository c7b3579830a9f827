#include <stdio.h>

#include "core/depot/carry_internal.h"

static int volume_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	char path[DEPOT_NAME];
	struct name name;

	snprintf(path, sizeof(path), "volumes/%.200s", file);
	if (name_parse(path, &name) == NAME_VOLUME)
		*(bool *)arg = true;
	return 0;
}

int carry_volume_is(struct depot *d, bool *ret, struct err *err)
{
	int rc = depot_list(d, "volumes", volume_each, ret, err);

	return carry_fatal(rc) ? rc : 0;
}
