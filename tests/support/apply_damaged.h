/* SPDX-License-Identifier: ISC */
/* A target that somebody damaged in every way, and contents that were fetched for its repair. */
#ifndef SATCHEL_TESTS_SUPPORT_APPLY_DAMAGED_H
#define SATCHEL_TESTS_SUPPORT_APPLY_DAMAGED_H

#include "applier/repair/repair.h"
#include "applier/trees/drift.h"
#include "tests/support/apply_kept.h"

#define DAMAGE                                                                        \
	"cd root/srv/office && echo mine > alpha && rm -r dir/deep && rm dir/one && " \
	"ln -sfn nowhere points && rm -r becomes && echo mine too > becomes && "      \
	"rm -r fresh && chmod 755 hollow && chmod 000 beta && touch was"

static inline void damaged_make(struct world *w, const struct pair *p)
{
	kept_make(w, p);
	cr_assert_eq(scratch_run(w->dir, DAMAGE), 0);
}

/** Contents that neither the target nor an undo area has. */
static inline int damaged_fetched(struct world *w)
{
	static const char *const texts[] = {"the first file, changed\n", "sealed\n", "one\n",
					    "now below a directory\n", "leaf\n"};
	char path[SCRATCH_PATH + 16], name[DIGEST_HEX + 1];
	int fd;

	scratch_directory(w->dir, "fetched");
	snprintf(path, sizeof(path), "%s/fetched", w->dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct digest d = digest_of(bytes_of(texts[i]));

		digest_hex(name, &d);
		OK(w, durable_write(fd, name, bytes_of(texts[i]), 0600, DURABLE_REPLACE, &w->err));
	}
	return fd;
}

static inline int damaged_repair(struct world *w, int contentfd)
{
	OWNED(repair_clear) struct repair r = {.tree = "office"};
	int rc;

	w->err = (struct err){0};
	rc = repair_find(&w->s, "office", NULL, 0, &r, &w->err);
	return rc < 0 || r.item.n == 0 ? rc : repair_apply(&w->s, &r, contentfd, &w->err);
}

static inline uint64_t damaged_entries(struct world *w)
{
	uint64_t n = 0;

	OK(w, drift_check(&w->s, "office", &n, &w->err));
	return n;
}

static inline void damaged_check(struct world *w, const struct pair *p)
{
	/* Repairing took out what a person wrote, and did not lose it. */
	cr_assert_eq(scratch_run(w->dir, "grep -rqx mine root/srv/.satchel-kept && "
					 "grep -rqx 'mine too' root/srv/.satchel-kept"),
		     0);
	cr_assert_eq(damaged_entries(w), 0);
	station_check(w, p);
	cr_assert_eq(w->generation, 2);
}

#endif
