/* SPDX-License-Identifier: ISC */
/* Documents of a site, written as an editor would. */
#ifndef SATCHEL_TESTS_SUPPORT_DOCUMENTS_H
#define SATCHEL_TESTS_SUPPORT_DOCUMENTS_H

#include <string.h>
#include <sys/stat.h>

#include "tests/support/server.h"

/** document("users/ann@x.org", text): after the line that says what it is. */
static inline void document(const char *name, const char *text)
{
	static const char *const types[][2] = {
	    {"groups", "group"},
	    {"users", "user"},
	    {"licences", "licence"},
	    {"keys", "key"},
	    {"policies", "policy"},
	    {"channels", "channel"},
	    {"workstations", "workstation"},
	};
	char path[SCRATCH_PATH + 320];
	size_t n = strcspn(name, "/"), i = 0;
	FILE *f;

	while (strncmp(types[i][0], name, n) != 0)
		i++;
	snprintf(path, sizeof(path), "%s/%s", site_dir, types[i][0]);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s.yaml", site_dir, name);
	f = fopen(path, "w");
	cr_assert_not_null(f, "%s", path);
	fprintf(f, "satchel: %s/1\n%s", types[i][1], text);
	fclose(f);
}

/** document_remove(name): as an editor would. */
static inline void document_remove(const char *name)
{
	char path[SCRATCH_PATH + 320];

	snprintf(path, sizeof(path), "%s/%s.yaml", site_dir, name);
	cr_assert_eq(remove(path), 0);
}

/** site_line(text): one more line of site.yaml. */
static inline void site_line(const char *text)
{
	char path[SCRATCH_PATH + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/site.yaml", site_dir);
	f = fopen(path, "a");
	cr_assert_not_null(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

#endif
