/*
 * What the owner of this machine decides: where channels may write, hooks, where keys are handed
 * out.
 */
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "applier/doctor_internal.h"
#include "core/base/own.h"
#include "core/os/probe.h"

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
			found_warning(
			    f,
			    "channels may write in all of %s: who holds the site's publish "
			    "key owns this machine",
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

	if (strcmp(s->config, "/etc/satchel/workstation.yaml") != 0 ||
	    probe_unit(STATION_UNIT, &u, NULL) < 0 || !u.enabled)
		return;
	for (size_t i = 0; i < s->allows; i++) {
		if (probe_unit_writes(&u, s->allow[i]))
			continue;
		found_warning(f, "channels may write in %s, but " STATION_UNIT " may not",
			      s->allow[i]);
		found_remedy(f, "systemctl edit " STATION_UNIT ": [Service] ReadWritePaths=%s",
			     s->allow[i]);
	}
}

void doctor_allow(void *arg, struct findings *f)
{
	struct station *s = ((struct patient *)arg)->s;
	unsigned warned = f->count[FINDING_WARNING];
	struct stat st;

	if (stat(s->root, &st) < 0 || !S_ISDIR(st.st_mode)) {
		found_wrong(f, RC_STATE, "root: %s of %s is no directory", s->root, s->config);
		found_remedy(f, "make it, or correct root:");
		return;
	}
	if (s->root[1] == '\0' && s->allows == 0) {
		found_wrong(f, RC_POLICY,
			    "no channel may write anywhere: root: is / and allow: is "
			    "empty in %s",
			    s->config);
		found_remedy(f, "name the directories that channels need in allow:");
		return;
	}
	for (size_t i = 0; i < s->allows; i++)
		examine_allow(s, s->allow[i], f);
	examine_unit_paths(s, f);
	if (f->count[FINDING_WARNING] > warned)
		return;
	if (s->allows == 0)
		found_ok(f, "channels may write everywhere below %s", s->root);
	else
		found_ok(f, "channels may write in %zu directories below %s", s->allows, s->root);
}

/* As hook_run judges them, before they are wanted. */
static bool examine_hook(int dirfd, const char *dir, const char *name, struct findings *f)
{
	struct stat st;

	if (name[0] == '.' || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	if (!S_ISREG(st.st_mode)) {
		found_warning(f, "%s/%s is no regular file, and is not run", dir, name);
		found_remedy(f, "put the program itself there");
	} else if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022)) {
		found_wrong(f, RC_POLICY,
			    "the hook %s/%s could be written by others, and is not run", dir, name);
		found_remedy(f, "look what it does, then chown root %s/%s and chmod 755 it", dir,
			     name);
	} else if ((st.st_mode & 0100) == 0) {
		found_warning(f, "the hook %s/%s is not executable, and is not run", dir, name);
		found_remedy(f, "chmod 755 %s/%s", dir, name);
	} else {
		return true;
	}
	return false;
}

void doctor_hooks(void *arg, struct findings *f)
{
	struct station *s = ((struct patient *)arg)->s;
	OWNED(freep) char *copy = strdup(s->config);
	OWNED(freep) char *path = NULL;
	OWNED(dir_closep) DIR *dir = NULL;
	unsigned hooks = 0, good = 0;
	struct dirent *d;
	struct stat st;

	if (copy == NULL || asprintf(&path, "%s/hooks", dirname(copy)) < 0)
		return;
	dir = opendir(path);
	if (dir == NULL)
		return;
	if (fstat(dirfd(dir), &st) == 0 &&
	    ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))) {
		found_wrong(f, RC_POLICY, "%s could be written by others, and no hook is run",
			    path);
		found_remedy(f, "chown root %s and chmod 755 it", path);
	}
	while ((d = readdir(dir)) != NULL) {
		hooks += d->d_name[0] != '.';
		good += d->d_name[0] != '.' && examine_hook(dirfd(dir), path, d->d_name, f);
	}
	if (hooks > 0 && good == hooks)
		found_ok(f, "%u in %s", hooks, path);
}

void doctor_handout(void *arg, struct findings *f)
{
	struct station *s = ((struct patient *)arg)->s;
	struct stat st;

	if (s->handout == NULL || lstat(s->handout, &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & 022)) {
		found_wrong(
		    f, RC_POLICY,
		    "the hand-out directory %s could be written by others: nothing is handed "
		    "out there",
		    s->handout);
		found_remedy(f, "chown root %s and chmod 755 it", s->handout);
		return;
	}
	found_ok(f, "keys and policies of people go to %s", s->handout);
}
