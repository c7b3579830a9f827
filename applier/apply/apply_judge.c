/* SPDX-License-Identifier: ISC */
/*
 * Looking at what was applied, with apply's own judgement, so that nobody else calls wrong what
 * apply put there, nor right what it would not have.
 */
#include "core/base/own.h"
#include "core/os/beneath.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"

int apply_judge_new(struct station *s, int targetfd, struct apply **ret, struct err *err)
{
	struct apply *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return err_memory(err);
	a->s = s;
	a->patience = PATIENCE;
	a->targetfd = targetfd;
	*ret = a;
	return 0;
}

void apply_judge_freep(struct apply **a)
{
	free(*a);
	*a = NULL;
}

bool apply_judge_owners(struct apply *a)
{
	return geteuid() == 0 && disk_holds(a, HOLDS_OWNERS);
}

int apply_judge_file(struct apply *a, const char *path, const struct entry *e)
{
	OWNED(fd_closep) int fd = beneath_open(a->targetfd, path, O_PATH, 0, ERR_IGNORED);
	struct digest is;
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return RC_IO;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != e->size)
		return 0;
	rc = fd_digest(a, fd, e->size, &is);
	return rc <= 0 ? rc : digest_equal(&is, &e->digest);
}

bool apply_judge_meta(struct apply *a, const char *path, const struct entry *e,
		      const struct stat *st)
{
	struct seen s = seen_of(st);
	struct meta want;

	/* Whose file it is can change it at any time, whatever it holds now; who cannot say whose
	 * it should be cannot say that it is right. */
	if (meta_of(a, path, e->mode, e->owner, e->mtime, &want, ERR_IGNORED) < 0 ||
	    meta_off(a, (uint8_t)e->kind, &s, &want))
		return false;
	if (e->kind == ENTRY_DIRECTORY)
		return true; /* its time moves with every entry */
	return e->ino != 0 ? s.mtime == e->disk_mtime : meta_time_held(e->mtime, s.mtime);
}
