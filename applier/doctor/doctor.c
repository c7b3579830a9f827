/* SPDX-License-Identifier: ISC */
/*
 * The checks of a workstation, in the order in which a person can do something about them.
 */
#include "applier/doctor/doctor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "applier/open/open.h"
#include "applier/report/outbox.h"
#include "applier/report/report.h"
#include "applier/station/station.h"
#include "applier/station/station_state.h"
#include "applier/trees/tree.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/base/places.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/examine.h"
#include "core/os/probe.h"

/* A share that is slower than this is as good as dead to whoever waits. */
#define DOCTOR_SILENCE 10
/* What runs out within this time deserves a word: a trust document, a beat. */
#define NEAR_TRUST (60 * 86400)
#define NEAR_BEAT  (2 * 86400)
/* A workstation that syncs writes a receipt every day, changed or not. */
#define SYNC_OLD (2 * 86400)

/* ${arg} of every check. */
struct doctor_visit {
	struct station *s;
	int64_t now;
};

static void check_workstation(void *arg, struct findings *f)
{
	struct station *s = ((struct doctor_visit *)arg)->s;

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
	struct doctor_visit *p = arg;

	examine_lock(f, p->s->statefd, p->now);
}

static void check_keys(void *arg, struct findings *f)
{
	struct station *s = ((struct doctor_visit *)arg)->s;
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, "keys", ERR_IGNORED);
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
	if (station_property_set(s, PROPERTY_SEAL_UNKNOWN, &err) == 1) {
		found_wrong(f, RC_AGAIN,
			    "the newest private bundle is sealed to a key that is not here: the "
			    "server, or this machine, was restored from a backup");
		found_remedy(f,
			     "bring a receipt to the server and its next private bundle back "
			     "(satchel sync on both); where no receipt gets there: satchel invite "
			     "%s on the server, then here move %s away and satchel enrol",
			     s->name, s->state);
	}
}

static void check_trust(void *arg, struct findings *f)
{
	struct doctor_visit *p = arg;
	const struct trust *t = &p->s->trust;

	if (p->s->enrolled)
		examine_expiry(f, p->now, t->created, t->expires, NEAR_TRUST, "the trust document",
			       "on the server: satchel trust renew");
}

static void check_beat(void *arg, struct findings *f)
{
	struct doctor_visit *p = arg;

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
	struct doctor_visit *p = arg;

	if (!examine_clock(f, p->now, p->s->beat_issued, "the newest beat") &&
	    !examine_clock_file(f, p->now, p->s->statefd, "state.db", "the state database"))
		found_ok(f, "not behind anything that arrived or was made here");
}

static void check_depots(void *arg, struct findings *f)
{
	/* Before the first receipt of anybody the server's own permissions make inbox/. */
	static const char *const dirs[] = {"inbox"};
	struct doctor_visit *p = arg;
	unsigned any = 0;

	for (size_t i = 0; i < p->s->depots.n; i++) {
		struct depot_examined in = {.path = p->s->depots.items[i],
					    .site = &p->s->site,
					    .dirs = dirs,
					    .dirs_n = ARRAY_LEN(dirs),
					    .silence_s = DOCTOR_SILENCE,
					    .now = p->now};

		any |= depot_examine(&in, f);
	}
	if (p->s->depots.n == 0) {
		found_wrong(f, RC_STATE, "no depot is named in %s", p->s->config);
		found_remedy(f, "add the share or stick to depots: there");
	} else if ((any & EXAMINED_REACHED) == 0) {
		found_wrong(f, RC_AGAIN, "no depot is at hand: nothing can arrive");
		found_remedy(f, "mount one of them, or plug it in");
	} else if ((any & EXAMINED_WRITABLE) == 0) {
		found_wrong(f, RC_IO,
			    "no depot at hand takes receipts: the server does not learn "
			    "what is applied here");
		found_remedy(f, "let this machine write in inbox/ of one of them");
	} else {
		found_ok(f, "receipts can be written");
	}
}

static void check_state(void *arg, struct findings *f)
{
	struct station *s = ((struct doctor_visit *)arg)->s;
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
			 "%s: this file system cannot exchange names: old files are moved aside "
			 "first, which is safe but leaves a name missing for a moment",
			 what);
}

static void examine_target(struct station *s, const char *tree, struct findings *f)
{
	OWNED(tree_place_clear) struct tree_place p = TREE_PLACE_INIT;
	OWNED(fd_closep) int fd = -1;
	struct apply_target t = {.rootfd = -1, .path = ""};
	struct stat st;
	struct err err = {0};
	int rc = tree_place_load(s, tree, &p, &err);

	if (rc == 0)
		return;
	if (rc == 1 && lstat(p.path, &st) < 0) {
		found_warning(f, "the target %s of channel %s does not exist", p.path, tree);
		found_remedy(f,
			     "mount what belongs there; when it was removed, satchel sync applies "
			     "the channel again from nothing");
		return;
	}
	if (rc == 1)
		rc = tree_place_target(s, &p, &t, &err);
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
	struct station *s = ((struct doctor_visit *)arg)->s;
	OWNED(strings_clear) struct strings trees = {0};
	struct err err = {0};

	if (tree_list(s, &trees, &err) < 0)
		found_err(f, &err);
	for (size_t i = 0; i < trees.n; i++)
		examine_target(s, trees.items[i], f);
}

static void check_receipts(void *arg, struct findings *f)
{
	struct doctor_visit *p = arg;
	uint64_t waiting = 0;
	char age[EXAMINE_WORDS];
	struct err err = {0};
	int64_t written;
	int rc;

	if (!p->s->enrolled)
		return;
	rc = outbox_waiting(p->s, &waiting, &err);
	if (rc == 0)
		rc = report_newest(p->s, &written, &err);
	if (rc < 0) {
		found_err(f, &err);
		return;
	}
	if (waiting > 0) {
		found_warning(f, "%" PRIu64 " %s for a depot", waiting,
			      waiting == 1 ? "document waits" : "documents wait");
		found_remedy(f, "run satchel sync while a depot is at hand that can be written");
	}
	if (rc == 0) {
		found_warning(f, "no receipt was written yet");
		found_remedy(f, "satchel sync");
		return;
	}
	time_words(age, p->now - written);
	if (written - p->now >= SYNC_OLD) {
		found_warning(f, "the newest receipt is dated %s ahead: a clock was wrong", age);
		found_remedy(f, "set the clock, and run satchel sync: it writes another one");
		return;
	}
	if (p->now - written < SYNC_OLD) {
		found_ok(f, "the newest receipt is %s old", age);
		return;
	}
	found_warning(f, "the newest receipt is %s old: nothing has synced since", age);
	found_remedy(f, "run satchel sync; satchel watch does it automatically");
}

/* What the owner of this machine decides: where channels may write, hooks, where keys are handed
 * out */

/* The service that applies on a machine with systemd. */
#define STATION_UNIT "satchel-workstation.service"

/* Directories from which a machine is run: who may write there owns it. */
static const char *const vital[] = {"/bin",  "/boot", "/etc", "/lib",
				    "/root", "/sbin", "/usr", "/var"};

static void examine_allow(struct station *s, const char *dir, struct findings *f)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(vital); i++)
		if (strcmp(dir, vital[i]) == 0 || dir[1] == '\0') {
			found_warning(f,
				      "channels may write in all of %s: whoever has the site's "
				      "publish key controls this machine",
				      dir);
			found_remedy(f, "name the directories that channels need in allow: of %s",
				     s->config);
			break;
		}
	if (stat(dir, &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
		found_warning(f, "everybody on this machine may write in %s", dir);
		found_remedy(f, "chmod o-w %s", dir);
	}
}

/* What the owner allows and the confinement of the service forbids fails in the middle of the
 * night. */
static void examine_unit_paths(struct station *s, struct findings *f)
{
	struct probe_unit u;

	if (strcmp(s->config, PLACE_CONFIG "/workstation.yaml") != 0 ||
	    probe_unit(STATION_UNIT, &u, ERR_IGNORED) < 0 || !u.enabled)
		return;
	for (size_t i = 0; i < s->allow.n; i++) {
		if (probe_unit_writes(&u, s->allow.items[i]))
			continue;
		found_warning(f, "channels may write in %s, but " STATION_UNIT " may not",
			      s->allow.items[i]);
		found_remedy(f, "systemctl edit " STATION_UNIT ": [Service] ReadWritePaths=%s",
			     s->allow.items[i]);
	}
}

static void check_allow(void *arg, struct findings *f)
{
	struct station *s = ((struct doctor_visit *)arg)->s;
	unsigned warned = f->count[FINDING_WARNING];
	struct stat st;

	if (stat(s->root, &st) < 0 || !S_ISDIR(st.st_mode)) {
		found_wrong(f, RC_STATE, "root: %s of %s is not a directory", s->root, s->config);
		found_remedy(f, "make it, or correct root:");
		return;
	}
	if (s->root[1] == '\0' && s->allow.n == 0) {
		found_wrong(f, RC_POLICY,
			    "no channel may write anywhere: root: is / and allow: is "
			    "empty in %s",
			    s->config);
		found_remedy(f, "name the directories that channels need in allow:");
		return;
	}
	for (size_t i = 0; i < s->allow.n; i++)
		examine_allow(s, s->allow.items[i], f);
	examine_unit_paths(s, f);
	if (f->count[FINDING_WARNING] > warned)
		return;
	if (s->allow.n == 0)
		found_ok(f, "channels may write everywhere below %s", s->root);
	else
		found_ok(f, "channels may write in %zu %s below %s", s->allow.n,
			 s->allow.n == 1 ? "directory" : "directories", s->root);
}

/* As hook_run judges them, before they are wanted. */
static bool examine_hook(int dirfd, const char *dir, const char *name, struct findings *f)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	if (!S_ISREG(st.st_mode)) {
		found_warning(f, "%s/%s is not a regular file and is not run", dir, name);
		found_remedy(f, "put the program itself there");
	} else if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022)) {
		found_wrong(f, RC_POLICY,
			    "the hook %s/%s could be written by others, and is not run", dir, name);
		found_remedy(f, "check what it does, then chown root %s/%s and chmod 755 it", dir,
			     name);
	} else if ((st.st_mode & 0100) == 0) {
		found_warning(f, "the hook %s/%s is not executable and is not run", dir, name);
		found_remedy(f, "chmod 755 %s/%s", dir, name);
	} else {
		return true;
	}
	return false;
}

struct hooks {
	const char *dir;
	struct findings *f;
	unsigned n, good;
};

static int hook_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct hooks *h = arg;

	(void)err;
	if (entry->name[0] == '.')
		return 0;
	h->n++;
	h->good += examine_hook(entry->dirfd, h->dir, entry->name, h->f);
	return 0;
}

static void check_hooks(void *arg, struct findings *f)
{
	struct station *s = ((struct doctor_visit *)arg)->s;
	OWNED(freep) char *copy = strdup(s->config);
	OWNED(freep) char *path = NULL;
	OWNED(fd_closep) int fd = -1;
	struct hooks h = {.f = f};
	struct stat st;

	if (copy == NULL || asprintf(&path, "%s/hooks", dirname(copy)) < 0)
		return;
	h.dir = path;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 &&
	    ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))) {
		found_wrong(f, RC_POLICY, "%s could be written by others, and no hook is run",
			    path);
		found_remedy(f, "chown root %s and chmod 755 it", path);
	}
	dir_each(fd, ".", 0, hook_each, &h, ERR_IGNORED);
	if (h.n > 0 && h.good == h.n)
		found_ok(f, "%u in %s", h.n, path);
}

static void check_handout(void *arg, struct findings *f)
{
	struct station *s = ((struct doctor_visit *)arg)->s;
	struct stat st;

	if (s->handout == NULL || lstat(s->handout, &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & 022)) {
		found_wrong(
		    f, RC_POLICY,
		    "others can write to the hand-out directory %s: nothing is handed out there",
		    s->handout);
		found_remedy(f, "chown root %s and chmod 755 it", s->handout);
		return;
	}
	found_ok(f, "keys and policies of people go to %s", s->handout);
}

/* In this order */

static const struct check checks[] = {
    {"workstation", check_workstation},
    {"lock", check_lock},
    {"keys", check_keys},
    {"trust", check_trust},
    {"beat", check_beat},
    {"clock", check_clock},
    {"depots", check_depots},
    {"state", check_state},
    {"allow", check_allow},
    {"hooks", check_hooks},
    {"hand-out", check_handout},
    {"targets", check_targets},
    {"receipts", check_receipts},
};

void station_examine(const char *dir, struct reporter *reporter, struct findings *f)
{
	OWNED(station_freep) struct station *s = NULL;
	struct doctor_visit p = {.now = clock_now()};
	struct err err = {0};

	if (station_open(dir, 0, reporter, &s, &err) < 0) {
		finding_only(f, "workstation", &err);
		return;
	}
	p.s = s;
	checks_run(checks, ARRAY_LEN(checks), &p, f);
}
