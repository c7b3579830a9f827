#include "applier/station_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/lock.h"
#include "core/tree/index.h"

#define DATABASE "state.db"

int station_list_add(char ***list, size_t *n, const char *text, struct err *err)
{
	OWNED(freep) char *copy = strdup(text);
	char **grown = reallocarray(*list, *n + 1, sizeof(**list));

	if (grown != NULL)
		*list = grown;
	if (copy == NULL || grown == NULL)
		return err_memory(err);
	(*list)[(*n)++] = TAKE(copy);
	return 0;
}

void station_list_free(char ***list, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
	*n = 0;
}

struct station *station_free(struct station *s)
{
	if (s == NULL)
		return NULL;
	db_free(s->db);
	fd_closep(&s->lock);
	fd_closep(&s->statefd);
	station_list_free(&s->depot, &s->depots);
	station_list_free(&s->allow, &s->allows);
	free(s->config);
	free(s->state);
	free(s->root);
	free(s->handout);
	free(s);
	return NULL;
}

void station_freep(struct station **s)
{
	*s = station_free(*s);
}

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
		s->config = strdup("/etc/satchel/workstation.yaml");
		s->state = strdup("/var/lib/satchel");
		*ret_root = strdup("/");
		s->handout = strdup("/var/lib/satchel-handout");
		if (s->config == NULL || s->state == NULL || *ret_root == NULL ||
		    s->handout == NULL)
			return err_memory(err);
		return flags & STATION_CREATE ? directory_make("/etc/satchel", 0755, err) : 0;
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
	static const char *const migrations[] = {index_schema_sql, apply_schema_sql,
						 station_schema_sql, station_model_sql};
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
	return db_open(path, STATION_APPLICATION_ID, migrations, ARRAY_LEN(migrations), &s->db,
		       err);
}

static int station_load(struct station *s, struct err *err)
{
	int rc = station_membership_load(s, err);

	if (rc == 0 && s->enrolled)
		rc = station_trust_load(s, err);
	if (rc == 0 && s->enrolled)
		rc = station_beat_load(s, err);
	if (rc == 0)
		rc = station_end_load(s, err);
	if (rc == 0)
		rc = station_floor_check(s, err);
	return rc;
}

int station_open(const char *dir, enum station_flags flags, struct say *say, struct station **ret,
		 struct err *err)
{
	OWNED(station_freep) struct station *s = calloc(1, sizeof(*s));
	OWNED(freep) char *root = NULL;
	struct err ignored = {0};
	int rc;

	if (err == NULL)
		err = &ignored;
	if (s == NULL)
		return err_memory(err);
	s->lock = s->statefd = -1;
	s->say = say;
	rc = paths_set(s, dir, flags, &root, err);
	if (rc == 0)
		rc = state_open(s, flags, err);
	if (rc == 0 && (flags & STATION_LOCK)) {
		s->lock = lock_wait(s->statefd, "lock", "run of satchel on this workstation", err);
		rc = s->lock < 0 ? s->lock : 0;
	}
	if (rc == 0 && (flags & STATION_CREATE))
		rc = station_config_create(s, root, err);
	if (rc == 0)
		rc = station_config_read(s, err);
	if (rc == 0)
		rc = database_open(s, flags, err);
	if (rc == 0)
		rc = station_load(s, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(s);
	return 0;
}
