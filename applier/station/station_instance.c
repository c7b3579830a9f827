/* SPDX-License-Identifier: ISC */
/*
 * Which copy of a workstation is speaking.  Every state directory has a random number, made when it
 * is first needed and made anew when the directory is another one than it was made for, by what a
 * copy does not take along: its inode, its time of birth, and the machine's id.  A new number alone
 * is no fault: whoever moves a workstation to a larger disk gets one.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station/station_state.h"
#include "core/base/own.h"
#include "core/os/durable.h"
#include "core/os/random.h"

#define INSTANCE_VALUE (DIGEST_BYTES + RECEIPT_INSTANCE)

/* Device numbers change from start to start, so they do not count. */
static int place_digest(struct station *s, struct digest *ret, struct err *err)
{
	OWNED(buf_clear) struct buf machine = BUF_INIT;
	OWNED(fd_closep) int etc = -1;
	struct digest_stream d;
	struct statx st = {0};
	uint8_t raw[8];

	if (statx(s->statefd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat the state directory %s", s->state);
	etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Containers may have none. */
	if (etc < 0 || file_read(etc, "machine-id", 64, &machine, ERR_IGNORED) < 0)
		machine.n = 0;
	digest_start(&d);
	digest_more(&d, machine.p, machine.n);
	put_u64(raw, st.stx_ino);
	digest_more(&d, raw, sizeof(raw));
	put_u64(raw, (uint64_t)st.stx_btime.tv_sec);
	digest_more(&d, raw, sizeof(raw));
	put_u64(raw, st.stx_btime.tv_nsec);
	digest_more(&d, raw, sizeof(raw));
	*ret = digest_end(&d);
	return 0;
}

int station_instance_get(struct station *s, char ret[RECEIPT_INSTANCE + 1], struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	int rc = station_property_get(s, PROPERTY_INSTANCE, &was, err);

	ret[0] = '\0';
	if (rc <= 0 || was.n != INSTANCE_VALUE)
		return rc < 0 ? rc : 0;
	memcpy(ret, was.p + DIGEST_BYTES, RECEIPT_INSTANCE);
	ret[RECEIPT_INSTANCE] = '\0';
	return 1;
}

static int instance_make(struct station *s, const struct digest *place, struct err *err)
{
	uint8_t value[INSTANCE_VALUE];
	char number[RECEIPT_INSTANCE + 1];
	int rc = random_hex(number, RECEIPT_INSTANCE / 2, err);

	memcpy(value, place->b, DIGEST_BYTES);
	memcpy(value + DIGEST_BYTES, number, RECEIPT_INSTANCE);
	return rc < 0 ? rc
		      : station_property_put(s, PROPERTY_INSTANCE,
					     (struct bytes){value, sizeof(value)}, err);
}

int station_instance_keep(struct station *s, struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	struct digest place;
	int rc = place_digest(s, &place, err);

	if (rc == 0)
		rc = station_property_get(s, PROPERTY_INSTANCE, &was, err);
	if (rc < 0)
		return rc;
	if (rc == 1 && was.n == INSTANCE_VALUE && memcmp(was.p, place.b, DIGEST_BYTES) == 0)
		return 0;
	return instance_make(s, &place, err);
}

int station_instance_renew(struct station *s, struct err *err)
{
	struct digest place;
	int rc = place_digest(s, &place, err);

	return rc < 0 ? rc : instance_make(s, &place, err);
}
