/*
 * Questions about a depot itself: what it lies on, and whether we may write there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "core/os/probe.h"

int depot_probe(struct depot *d, struct probe_fs *ret, struct err *err)
{
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct buf nothing = BUF_INIT;
	struct probe_fs fs = {.blind = false};
	char name[LIMIT_PATH + 1];
	uint64_t blind, read_only;
	struct bytes in;
	int rc = depot_talk(d, ASK_PROBE, &nothing, LIMIT_PATH, &answer, err);

	if (rc < 0)
		return rc;
	in = bytes_in(&answer);
	if (!field_text(&in, name) || strlen(name) >= sizeof(fs.name) ||
	    !field_number(&in, &blind) || !field_number(&in, &read_only) ||
	    !field_number(&in, &fs.bytes) || !field_number(&in, &fs.bytes_free) ||
	    !field_number(&in, &fs.inodes) || !field_number(&in, &fs.inodes_free))
		return depot_malformed(d, err);
	memcpy(fs.name, name, strlen(name) + 1);
	fs.blind = blind != 0;
	fs.read_only = read_only != 0;
	*ret = fs;
	return 0;
}

int depot_try(struct depot *d, const char *dir, int64_t *ret_time, struct err *err)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct bytes in;
	uint64_t at;
	int rc;

	if ((d->flags & DEPOT_WRITE) == 0)
		return err_set(err, RC_INTERNAL, "the depot \"%s\" was opened for reading only",
			       d->path);
	rc = strcmp(dir, ".") == 0 ? pack_text(&question, dir, err)
				   : depot_question_path(&question, dir, err);
	if (rc == 0)
		rc = depot_talk(d, ASK_TRY, &question, 8, &answer, err);
	if (rc < 0)
		return rc;
	in = bytes_in(&answer);
	if (!field_number(&in, &at))
		return depot_malformed(d, err);
	if (ret_time != NULL)
		*ret_time = (int64_t)at;
	return 0;
}
