/* SPDX-License-Identifier: ISC */
/*
 * Opening a workstation: its owner's configuration, its state, and its database.  Only here are the
 * tables of all rooms known together; each room makes, reads and writes its own.
 */
#include "applier/open/open.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/activation/activation.h"
#include "applier/apply/applied.h"
#include "applier/apply/apply.h"
#include "applier/follow/incomplete.h"
#include "applier/handout/handout.h"
#include "applier/messages/messages.h"
#include "applier/report/event.h"
#include "applier/report/outbox.h"
#include "applier/station/station_config.h"
#include "applier/station/station_state.h"
#include "applier/trees/outcome.h"
#include "applier/trees/tree.h"
#include "applier/verify/verify.h"
#include "core/base/own.h"
#include "core/base/places.h"
#include "core/os/lock.h"
#include "core/tree/index.h"

#define DATABASE "state.db"
/* user_version of the databases of 0.1.0. */
#define STATE_0_1 4

static const struct db_schema *const rooms[] = {
    &index_schema,
    &station_schema,
    &station_applied_schema,
    &apply_schema,
    &undo_schema,
    &verify_schema,
    &station_incomplete_schema,
    &station_handout_schema,
    &station_tree_schema,
    &station_outcome_schema,
    &station_event_schema,
    &station_outbox_schema,
    &station_messages_schema,
    &station_activation_schema,
};

/* From the tables of 0.1.0 to those of today.  Tables are made anew, not altered, so that their
 * text in the database is the same as in one that was made today. */
static const char from_0_1[] =
    "CREATE TABLE property ("
    " name TEXT PRIMARY KEY,"
    " value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO property SELECT name, value FROM fact;"
    "DROP TABLE fact;"
    "CREATE TABLE applied (tree TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO applied SELECT tree, epoch, generation, digest FROM apply_held;"
    "DROP TABLE apply_held;"
    "CREATE TABLE incomplete ("
    " what TEXT PRIMARY KEY,"
    " first INTEGER NOT NULL,"
    " last INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO incomplete SELECT what, first, last FROM torn;"
    "DROP TABLE torn;"
    "CREATE TABLE handout ("
    " email TEXT PRIMARY KEY,"
    " account TEXT NOT NULL,"
    " result TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO handout SELECT email, account, result, reason, at FROM handed;"
    "DROP TABLE handed;"
    "ALTER TABLE event RENAME TO event_0_1;"
    "CREATE TABLE event ("
    " number INTEGER PRIMARY KEY,"
    " at INTEGER NOT NULL,"
    " last INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " about TEXT NOT NULL DEFAULT '',"
    " user TEXT NOT NULL DEFAULT '',"
    " said INTEGER NOT NULL DEFAULT 0,"
    " receipt INTEGER NOT NULL DEFAULT 0,"
    " acknowledged INTEGER NOT NULL DEFAULT 0) STRICT;"
    "INSERT INTO event (number, at, last, kind, text, about, user, said, receipt, acknowledged)"
    " SELECT number, at, last, kind, text, about, user, kept, receipt, done FROM event_0_1;"
    "DROP TABLE event_0_1;";

static const struct db_layout layout = {
    .application_id = STATION_APPLICATION_ID,
    .room = rooms,
    .rooms = ARRAY_LEN(rooms),
    .before = STATE_0_1,
    .from_before = from_0_1,
};

static int directory_make(const char *path, mode_t mode, struct err *err)
{
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	return err_sys(err, RC_IO, "cannot make the directory %s", path);
}

/* Absolute paths, so that a change of the working directory between two runs changes nothing. */
static int paths_set(struct station *s, const char *dir, enum station_flags flags, char **ret_root,
		     struct err *err)
{
	char top[PATH_MAX];

	if (dir == NULL) {
		s->config = strdup(PLACE_CONFIG "/workstation.yaml");
		s->state = strdup(PLACE_STATION);
		*ret_root = strdup("/");
		s->handout = strdup(PLACE_HANDOUT);
		if (s->config == NULL || s->state == NULL || *ret_root == NULL ||
		    s->handout == NULL)
			return err_memory(err);
		return flags & STATION_CREATE ? directory_make(PLACE_CONFIG, 0755, err) : 0;
	}
	if ((flags & STATION_CREATE) && directory_make(dir, 0755, err) < 0)
		return err->rc;
	if (realpath(dir, top) == NULL)
		return err_sys(err, RC_STATE, "cannot find the workstation's directory %s", dir);
	if (asprintf(&s->config, "%s/workstation.yaml", top) < 0 ||
	    asprintf(&s->state, "%s/state", top) < 0 || asprintf(ret_root, "%s/root", top) < 0 ||
	    asprintf(&s->handout, "%s/handout", top) < 0)
		return err_memory(err);
	return 0;
}

/* Whoever can write here decides what is trusted, so nobody else may. */
static int state_open(struct station *s, enum station_flags flags, struct err *err)
{
	struct stat st;

	if ((flags & STATION_CREATE) && directory_make(s->state, 0700, err) < 0)
		return err->rc;
	s->statefd = open(s->state, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->statefd < 0 && errno == ENOENT)
		return err_set(err, RC_STATE,
			       "there is no workstation here (%s is missing): join a site with "
			       "satchel enrol CODE --depot DIR",
			       s->state);
	if (s->statefd < 0 || fstat(s->statefd, &st) < 0)
		return err_sys(err, RC_IO, "cannot open the state directory %s", s->state);
	if (st.st_uid != geteuid())
		return err_set(
		    err, RC_POLICY,
		    "the state directory %s belongs to user %u, not to the one that runs "
		    "this (%u)",
		    s->state, st.st_uid, geteuid());
	if (st.st_mode & 077)
		return err_set(err, RC_POLICY,
			       "the state directory %s is open to other users: chmod 700 it",
			       s->state);
	return 0;
}

static bool state_has(const struct station *s, const char *name)
{
	struct stat st;

	return fstatat(s->statefd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A database that is gone is not a fresh start: the floors and the index would go with it. */
static int database_open(struct station *s, enum station_flags flags, struct err *err)
{
	static const char *const traces[] = {"keys", "private", "floor"};
	OWNED(freep) char *path = NULL;

	if (!state_has(s, DATABASE)) {
		for (size_t i = 0; i < ARRAY_LEN(traces); i++)
			if (state_has(s, traces[i]))
				return err_set(err, RC_STATE,
					       "%s/" DATABASE
					       " is missing although %s/%s is there: "
					       "restore it, or move %s away and enrol anew",
					       s->state, s->state, traces[i], s->state);
		if (!(flags & STATION_CREATE))
			return err_set(err, RC_STATE,
				       "this workstation has not been enrolled: join a site with "
				       "satchel enrol CODE --depot DIR");
	}
	if (asprintf(&path, "%s/" DATABASE, s->state) < 0)
		return err_memory(err);
	return db_open(path, &layout, &s->db, err);
}

int station_open(const char *dir, enum station_flags flags, struct reporter *reporter,
		 struct station **ret, struct err *err)
{
	OWNED(station_freep) struct station *s = calloc(1, sizeof(*s));
	OWNED(freep) char *root = NULL;
	int rc;

	if (s == NULL)
		return err_memory(err);
	s->lock = s->statefd = -1;
	s->reporter = reporter;
	rc = paths_set(s, dir, flags, &root, err);
	if (rc == 0)
		rc = state_open(s, flags, err);
	if (rc == 0 && (flags & STATION_LOCK)) {
		s->lock = lock_wait(s->statefd, "lock", "run of satchel on this workstation", err);
		rc = s->lock < 0 ? s->lock : 0;
		if (rc < 0 && rc != RC_BUSY)
			err_prefix(err, "%s", s->state);
	}
	if (rc == 0 && (flags & STATION_CREATE))
		rc = station_config_create(s, root, err);
	if (rc == 0)
		rc = station_config_read(s, err);
	if (rc == 0)
		rc = database_open(s, flags, err);
	if (rc == 0)
		rc = station_state_load(s, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(s);
	return 0;
}
