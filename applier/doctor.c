#include "applier/doctor_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/outbox.h"
#include "applier/station_internal.h"
#include "applier/sync_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/examine.h"

/* A share that is slower than this is as good as dead to whoever waits. */
#define DOCTOR_SILENCE 10
/* What runs out within this time deserves a word: a trust document, a beat. */
#define NEAR_TRUST (60 * 86400)
#define NEAR_BEAT  (2 * 86400)
/* A workstation that syncs writes a receipt every day, changed or not. */
#define SYNC_OLD (2 * 86400)

static void check_workstation(void *arg, struct findings *f)
{
	struct station *s = ((struct patient *)arg)->s;

	if (s->end == STATION_WIPED) {
		found_wrong(f, RC_STATE, "this workstation was decommissioned by the site %s",
			    s->trust.name);
		found_remedy(f, "with a new invitation: satchel enrol CODE --depot DIR");
		return;
	}
	if (s->enrolled) {
		found_ok(f, "workstation %s of site %s", s->name, s->trust.name);
		return;
	}
	found_wrong(f, RC_STATE, "this workstation is not enrolled");
	found_remedy(f, "satchel enrol CODE --depot DIR");
}

static void check_lock(void *arg, struct findings *f)
{
	struct patient *p = arg;

	examine_lock(f, p->s->statefd, p->now);
}

static void check_keys(void *arg, struct findings *f)
{
	struct station *s = ((struct patient *)arg)->s;
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, "keys", NULL);
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(key_freep) struct key_secret *seal = NULL;
	char shown[LIMIT_PATH + 8];
	struct err err = {0};
	int rc;

	if (!s->enrolled || s->end == STATION_WIPED)
		return;
	snprintf(shown, sizeof(shown), "%s/keys", s->state);
	if (keysfd >= 0)
		examine_keys(f, keysfd, shown);
	rc = station_keys(s, 0, &sign, &seal, &err);
	/* Modes and owners have been told with their remedy. */
	if (rc < 0 && rc != RC_POLICY)
		found_err(f, &err);
}

static void check_trust(void *arg, struct findings *f)
{
	struct patient *p = arg;
	const struct trust *t = &p->s->trust;

	if (p->s->enrolled)
		examine_expiry(f, p->now, t->created, t->expires, NEAR_TRUST, "the trust document",
			       "on the server: satchel trust renew");
}

static void check_beat(void *arg, struct findings *f)
{
	struct patient *p = arg;

	if (!p->s->enrolled)
		return;
	if (p->s->beat_expires == 0) {
		found_warning(f, "no beat of the site has arrived yet");
		found_remedy(f, "satchel sync, when the server has collected the request and "
				"published");
		return;
	}
	examine_expiry(f, p->now, p->s->beat_issued, p->s->beat_expires, NEAR_BEAT,
		       "the newest beat that arrived",
		       "bring a fresh depot: on the server satchel sync, then carry it here");
}

static void check_clock(void *arg, struct findings *f)
{
	struct patient *p = arg;

	if (!examine_clock(f, p->now, p->s->beat_issued, "the newest beat") &&
	    !examine_clock_file(f, p->now, p->s->statefd, "state.db", "the state database"))
		found_ok(f, "not behind anything that arrived or was made here");
}

static void check_depots(void *arg, struct findings *f)
{
	/* Before the first receipt of anybody the server's own permissions make inbox/. */
	static const char *const dirs[] = {"inbox"};
	struct patient *p = arg;
	unsigned any = 0;

	for (size_t i = 0; i < p->s->depots; i++) {
		struct depot_examined in = {.path = p->s->depot[i],
					    .site = &p->s->site,
					    .dirs = dirs,
					    .dirs_n = ARRAY_LEN(dirs),
					    .silence_s = DOCTOR_SILENCE,
					    .now = p->now};

		any |= depot_examine(&in, f);
	}
	if (p->s->depots == 0) {
		found_wrong(f, RC_STATE, "no depot is named in %s", p->s->config);
		found_remedy(f, "add the share or stick to depots: there");
	} else if ((any & EXAMINED_REACHED) == 0) {
		found_wrong(f, RC_AGAIN, "no depot is at hand: nothing can arrive");
		found_remedy(f, "mount one of them, or plug it in");
	} else if ((any & EXAMINED_WRITABLE) == 0) {
		found_wrong(f, RC_IO,
			    "no depot at hand takes receipts: the server does not learn "
			    "what this workstation holds");
		found_remedy(f, "let this machine write in inbox/ of one of them");
	} else {
		found_ok(f, "receipts can be written");
	}
}

static void check_state(void *arg, struct findings *f)
{
	struct station *s = ((struct patient *)arg)->s;
	char what[LIMIT_PATH + 16];

	snprintf(what, sizeof(what), "state %s", s->state);
	examine_space_at(f, what, s->statefd);
}

/* What the file system of a target can do, and whether there is room. */
static void examine_place(int fd, const char *tree, const char *path, struct findings *f)
{
	char what[LIMIT_PATH + CHANNEL_NAME + 32];
	unsigned can = 0;
	struct err err = {0};

	snprintf(what, sizeof(what), "channel %s in %s", tree, path);
	examine_space_at(f, what, fd);
	if (probe_can(fd, &can, &err) < 0) {
		err_prefix(&err, "%s", what);
		found_err(f, &err);
		found_remedy(f, "let satchel write there");
		return;
	}
	if ((can & PROBE_SYMLINK) == 0)
		found_warning(f, "%s: this file system has no symbolic links", what);
	if ((can & PROBE_EXCHANGE) == 0)
		found_ok(f,
			 "%s: no exchange of names here: old files are moved aside first, which "
			 "is safe and leaves a name absent for a moment",
			 what);
}

static void examine_target(struct station *s, const char *tree, struct findings *f)
{
	OWNED(sync_place_clear) struct sync_place p = {.rootfd = -1};
	OWNED(fd_closep) int fd = -1;
	struct apply_target t = {.rootfd = -1, .path = ""};
	struct stat st;
	struct err err = {0};
	int rc = sync_place_load(s, tree, &p, &err);

	if (rc == 0)
		return;
	if (rc == 1 && lstat(p.path, &st) < 0) {
		found_warning(f, "%s, where channel %s lies, is not there", p.path, tree);
		found_remedy(f,
			     "mount what belongs there; when it was removed, satchel sync applies "
			     "the channel again from nothing");
		return;
	}
	if (rc == 1)
		rc = sync_place_target(s, &p, &t, &err);
	if (rc == 0)
		rc = fd = beneath_dir(t.rootfd, *t.path == '\0' ? "." : t.path, &err);
	if (rc < 0) {
		err_prefix(&err, "channel %s in %s", tree, p.path == NULL ? "?" : p.path);
		found_err(f, &err);
		return;
	}
	examine_place(fd, tree, p.path, f);
}

static void check_targets(void *arg, struct findings *f)
{
	struct station *s = ((struct patient *)arg)->s;
	char **tree = NULL;
	size_t trees = 0;
	struct err err = {0};

	if (sync_trees(s, &tree, &trees, &err) < 0)
		found_err(f, &err);
	for (size_t i = 0; i < trees; i++)
		examine_target(s, tree[i], f);
	station_list_free(&tree, &trees);
}

static void check_receipts(void *arg, struct findings *f)
{
	struct patient *p = arg;
	OWNED(buf_clear) struct buf was = BUF_INIT;
	uint64_t waiting = 0;
	char age[EXAMINE_WORDS];
	struct err err = {0};
	int64_t written;

	if (!p->s->enrolled)
		return;
	if (outbox_waiting(p->s, &waiting, &err) < 0 ||
	    station_fact_get(p->s, "receipt", &was, &err) < 0) {
		found_err(f, &err);
		return;
	}
	if (waiting > 0) {
		found_warning(f, "%" PRIu64 " documents wait: no depot has taken them", waiting);
		found_remedy(f, "satchel sync with a depot at hand that can be written");
	}
	if (was.n != DIGEST_BYTES + 8) {
		found_warning(f, "no receipt was written yet");
		found_remedy(f, "satchel sync");
		return;
	}
	written = (int64_t)get_u64(was.p + DIGEST_BYTES);
	time_words(age, p->now - written);
	if (p->now - written < SYNC_OLD) {
		found_ok(f, "the newest receipt is %s old", age);
		return;
	}
	found_warning(f, "the newest receipt is %s old: nothing has synced since", age);
	found_remedy(f, "satchel sync; satchel watch does so by itself");
}

static const struct check checks[] = {
    {"workstation", check_workstation},
    {"lock", check_lock},
    {"keys", check_keys},
    {"trust", check_trust},
    {"beat", check_beat},
    {"clock", check_clock},
    {"depots", check_depots},
    {"state", check_state},
    {"allow", doctor_allow},
    {"hooks", doctor_hooks},
    {"hand-out", doctor_handout},
    {"targets", check_targets},
    {"receipts", check_receipts},
};

void station_examine(const char *dir, struct say *say, struct findings *f)
{
	OWNED(station_freep) struct station *s = NULL;
	struct patient p = {.now = clock_now()};
	struct err err = {0};

	if (station_open(dir, 0, say, &s, &err) < 0) {
		finding_only(f, "workstation", &err);
		return;
	}
	p.s = s;
	checks_run(checks, ARRAY_LEN(checks), &p, f);
}
