/* SPDX-License-Identifier: ISC */
/*
 * workstation.yaml, which belongs to the owner of this machine: made once with comments, read in
 * every run, and changed by us only where one more depot goes into it.
 */
#include "applier/station/station_config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/own.h"
#include "core/format/bundle/path.h"
#include "core/format/yaml/yaml.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* A thousand depots and directories of a hundred bytes. */
#define LIMIT_CONFIG (256u << 10)

static const char config_text[] =
    "satchel: workstation-config/1\n"
    "# This file belongs to the owner of this machine; no server changes it.\n"
    "\n"
    "# Put before the target of every channel.  With \"/\" targets are what they say.\n"
    "root: \"%s\"\n"
    "\n"
    "# Directories, root: included, in which and below which channels may write.\n"
    "# Without a list: everything below root:, but nothing at all when root: is \"/\".\n"
    "%s"
    "\n"
    "# What becomes of files that somebody changed on this machine:\n"
    "# replace (a copy is kept), keep, or fail (nothing is applied until they are gone).\n"
    "local-changes: replace\n"
    "# A policy from the server may choose another of these:\n"
    "# local-changes-allowed: [replace, keep]\n"
    "\n"
    "# May channels set owners, and set-id and sticky bits?  Only where both sides say so.\n"
    "owners: false\n"
    "special-modes: false\n"
    "\n"
    "# May satchel watch look for this site's depot on media that are plugged in?\n"
    "sticks: true\n"
    "\n"
    "# Directories (a share, a stick) that satchel reads, best first; absent ones are fine.\n";

static const char allow_listed[] = "allow:\n  - \"/opt\"\n  - \"/srv\"\n";
static const char allow_example[] = "# allow:\n#   - \"%s/opt\"\n";

/* Directory of workstation.yaml; the owner's own path, so links on the way are theirs. */
static int config_dir(const struct station *s, struct err *err)
{
	OWNED(freep) char *copy = strdup(s->config);

	return copy == NULL ? err_memory(err) : os_open_dir(dirname(copy), err);
}

/* A double-quoted scalar; a depot's path may hold quotes and backslashes, never control bytes. */
static int quoted(const char *text, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "\"", err);

	for (; rc == 0 && *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return err_set(err, RC_PATH,
				       "a path with control characters cannot be kept in "
				       "workstation.yaml");
		if (*text == '"' || *text == '\\')
			rc = buf_text(ret, "\\", err);
		if (rc == 0)
			rc = buf_add(ret, text, 1, err);
	}
	return rc < 0 ? rc : buf_text(ret, "\"", err);
}

int station_config_create(const struct station *s, const char *root, struct err *err)
{
	bool whole = strcmp(root, "/") == 0;
	OWNED(fd_closep) int dir = config_dir(s, err);
	OWNED(buf_clear) struct buf text = BUF_INIT, allow = BUF_INIT;
	struct stat st;
	int rc;

	if (dir < 0)
		return dir;
	if (fstatat(dir, "workstation.yaml", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	rc = whole ? buf_text(&allow, allow_listed, err)
		   : buf_printf(&allow, err, allow_example, root);
	if (rc == 0)
		rc = buf_printf(&text, err, config_text, root, (const char *)allow.p);
	if (rc == 0 && !whole && mkdir(root, 0755) < 0 && errno != EEXIST)
		rc = err_sys(err, RC_IO, "cannot make %s", root);
	if (rc == 0)
		rc = durable_write(dir, "workstation.yaml", bytes_in(&text), 0644, 0, err);
	return rc == 0 ? 0 : err_prefix(err, "%s", s->config);
}

static int config_load(const struct station *s, struct buf *ret, struct err *err)
{
	OWNED(fd_closep) int dir = config_dir(s, err);
	OWNED(fd_closep) int fd = -1;
	struct stat st;
	size_t n = 0;
	int rc;

	if (dir < 0)
		return dir;
	fd = beneath_file(dir, "workstation.yaml", &st, err);
	if (fd == RC_ABSENT)
		return err_set(err, RC_STATE,
			       "%s is missing: write it anew (satchel enrol makes one)", s->config);
	if (fd < 0)
		return err_prefix(err, "%s", s->config);
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
		return err_set(err, RC_POLICY,
			       "%s can be written by others, who could then decide where channels "
			       "write: chown it and chmod 644 it",
			       s->config);
	rc = buf_reserve(ret, LIMIT_CONFIG + 1, err);
	if (rc == 0)
		rc = fd_read(fd, ret->p, LIMIT_CONFIG + 1, &n, err);
	if (rc < 0)
		return err_prefix(err, "%s", s->config);
	if (n > LIMIT_CONFIG)
		return err_set(err, RC_LIMIT, "%s has more than %u bytes", s->config, LIMIT_CONFIG);
	ret->n = n;
	ret->p[n] = '\0';
	return 0;
}

static int list_read(const struct node *list, struct strings *ret, struct err *err)
{
	for (size_t i = 0; i < node_count(list); i++) {
		int rc = strings_add(ret, node_text(node_at(list, i), ""), err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

bool station_within(const char *path, const char *dir)
{
	return dir[1] == '\0' || path_below(path + 1, dir + 1);
}

static const char *const answers[] = {
    [LOCAL_REPLACE] = "replace", [LOCAL_KEEP] = "keep", [LOCAL_FAIL] = "fail"};

const char *local_answer_text(enum local_answer answer)
{
	return answers[answer];
}

static enum local_answer local_of(const char *text)
{
	size_t i = 0;

	while (i < ARRAY_LEN(answers) - 1 && strcmp(text, answers[i]) != 0)
		i++;
	return (enum local_answer)i;
}

/* The owner's own answer is always among those that a policy may choose. */
static void local_set(struct station *s, const struct node *root)
{
	const struct node *allowed = node_get(root, "local-changes-allowed");

	s->local = s->local_owner = local_of(node_text(node_get(root, "local-changes"), "replace"));
	s->local_allowed = 1u << s->local;
	for (size_t i = 0; i < node_count(allowed); i++)
		s->local_allowed |= 1u << local_of(node_text(node_at(allowed, i), ""));
}

static int handout_set(struct station *s, const struct node *n)
{
	if (n == NULL)
		return 0;
	free(s->handout);
	s->handout = strdup(node_text(n, ""));
	return s->handout == NULL ? -1 : 0;
}

/* Nobody but root comes into the state directory. */
static int handout_check(const struct station *s, const struct node *n, struct err *err)
{
	if (!station_within(s->handout, s->state) && !station_within(s->state, s->handout))
		return 0;
	return err_set(err, RC_MALFORMED, "%s:%u: hand-out: %s and the state directory %s overlap",
		       s->config, node_line(n), s->handout, s->state);
}

static int config_fields(struct station *s, const struct node *root, struct err *err)
{
	int rc;

	s->root = strdup(node_text(node_get(root, "root"), "/"));
	if (s->root == NULL || handout_set(s, node_get(root, "hand-out")) < 0)
		return err_memory(err);
	rc = list_read(node_get(root, "depots"), &s->depots, err);
	if (rc == 0)
		rc = list_read(node_get(root, "allow"), &s->allow, err);
	if (rc == 0 && node_get(root, "hand-out") != NULL)
		rc = handout_check(s, node_get(root, "hand-out"), err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s->allow.n; i++)
		if (!station_within(s->allow.items[i], s->root))
			return err_set(err, RC_MALFORMED, "%s:%u: allow: %s is not below root: %s",
				       s->config, node_line(node_at(node_get(root, "allow"), i)),
				       s->allow.items[i], s->root);
	local_set(s, root);
	s->owners = node_bool(node_get(root, "owners"), false);
	s->undo_keep = UNDO_KEEP;
	s->undo_bytes = UNDO_BYTES;
	s->sticks = node_bool(node_get(root, "sticks"), true);
	s->special_modes = node_bool(node_get(root, "special-modes"), false);
	return 0;
}

int station_config_read(struct station *s, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc = config_load(s, &text, err);

	if (rc == 0)
		rc = yaml_decode(bytes_in(&text), LIMIT_CONFIG, schema_find("workstation-config/1"),
				 s->config, &y, err);
	return rc < 0 ? rc : config_fields(s, yaml_root(y), err);
}

/* Where one more depot goes into the text, and what stands around it. */
struct where {
	size_t at;
	int indent; /* blanks, then "- "; -1: no item of its own */
	const char *before, *after;
};

static const char depots_key[] = "depots:";

/* The line of the key; NULL when there is none. */
static const char *depots_line(const struct buf *text)
{
	const char *p = (const char *)text->p;

	while (p != NULL && *p != '\0') {
		if (strncmp(p, depots_key, sizeof(depots_key) - 1) == 0)
			return p;
		p = strchr(p, '\n');
		p = p == NULL ? NULL : p + 1;
	}
	return NULL;
}

/* How far existing items of the list are indented; a list keeps one indentation. */
static int depots_indent(const char *p)
{
	for (;;) {
		size_t blanks = strspn(p, " ");
		const char *end = strchr(p, '\n');

		if (p[blanks] == '-')
			return (int)blanks;
		if ((p[blanks] != '#' && p[blanks] != '\n') || end == NULL)
			return 2;
		p = end + 1;
	}
}

static struct where depot_place(const struct buf *text)
{
	const char *top = (const char *)text->p, *line = depots_line(text), *rest, *end;
	bool open = text->n > 0 && text->p[text->n - 1] != '\n'; /* the last line has no end */

	if (line == NULL)
		return (struct where){text->n, 2, open ? "\ndepots:\n" : "depots:\n", "\n"};
	rest = line + sizeof(depots_key) - 1;
	rest += strspn(rest, " \t");
	if (*rest == '[') {
		const char *next = rest + 1 + strspn(rest + 1, " \t");

		return (struct where){(size_t)(rest + 1 - top), -1, "", *next == ']' ? "" : ", "};
	}
	end = strchr(rest, '\n');
	if (end == NULL)
		return (struct where){text->n, 2, "\n", "\n"};
	return (struct where){(size_t)(end + 1 - top), depots_indent(end + 1), "", "\n"};
}

static int depot_insert(const struct buf *old, const char *path, struct buf *ret, struct err *err)
{
	struct where where = depot_place(old);
	int rc = buf_add(ret, old->p, where.at, err);

	if (rc == 0)
		rc = buf_text(ret, where.before, err);
	if (rc == 0 && where.indent >= 0)
		rc = buf_printf(ret, err, "%*s- ", where.indent, "");
	if (rc == 0)
		rc = quoted(path, ret, err);
	if (rc == 0)
		rc = buf_text(ret, where.after, err);
	return rc < 0 ? rc : buf_add(ret, old->p + where.at, old->n - where.at, err);
}

int station_config_depot(struct station *s, const char *path, struct err *err)
{
	OWNED(buf_clear) struct buf old = BUF_INIT, text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(fd_closep) int dir = -1;
	int rc;

	if (strings_has(&s->depots, path))
		return 0;
	rc = config_load(s, &old, err);
	if (rc == 0)
		rc = depot_insert(&old, path, &text, err);
	/* What we wrote into somebody's file must read as what we meant. */
	if (rc == 0 && yaml_decode(bytes_in(&text), LIMIT_CONFIG,
				   schema_find("workstation-config/1"), s->config, &y, err) < 0)
		rc = err_set(err, RC_MALFORMED,
			     "cannot add the depot %s to %s: add it to depots: by hand", path,
			     s->config);
	if (rc == 0) {
		dir = config_dir(s, err);
		rc = dir < 0 ? dir
			     : durable_write(dir, "workstation.yaml", bytes_in(&text), 0644,
					     DURABLE_REPLACE, err);
	}
	return rc < 0 ? rc : strings_add(&s->depots, path, err);
}

static int target_allowed(const struct station *s, const char *target, const char *full,
			  struct err *err)
{
	for (size_t i = 0; i < s->allow.n; i++)
		if (station_within(full, s->allow.items[i]))
			return 0;
	if (s->allow.n == 0 && strcmp(s->root, "/") != 0)
		return 0;
	return err_set(err, RC_POLICY,
		       "the channel would write in %s, which is not below a directory of "
		       "allow: in %s",
		       s->allow.n == 0 ? target : full, s->config);
}

/* Two absolute paths, one below the other; owned, NULL without memory. */
static char *joined(const char *root, const char *target)
{
	char *full = NULL;

	if (target[1] == '\0')
		return strdup(root);
	return asprintf(&full, "%s%s", root[1] == '\0' ? "" : root, target) < 0 ? NULL : full;
}

/* Beside the configuration: what lies there is run, so its owner alone puts it there. */
static char *hooks_path(const struct station *s)
{
	OWNED(freep) char *copy = strdup(s->config);
	char *path = NULL;

	return copy == NULL || asprintf(&path, "%s/hooks", dirname(copy)) < 0 ? NULL : path;
}

static bool overlap(const char *a, const char *b)
{
	return station_within(a, b) || station_within(b, a);
}

/*
 * Neither the state nor the configuration may lie in a tree that a server writes.  Below the root
 * no link is followed, so the root alone has to be resolved to compare.
 */
static int target_apart(const struct station *s, const char *target, struct err *err)
{
	OWNED(freep) char *full = NULL;
	OWNED(freep) char *hooks = hooks_path(s);
	char root[PATH_MAX];

	if (realpath(s->root, root) == NULL)
		snprintf(root, sizeof(root), "%s", s->root);
	full = joined(root, target);
	if (full == NULL || hooks == NULL)
		return err_memory(err);
	if (overlap(full, s->state) || overlap(full, s->handout) || overlap(full, hooks) ||
	    station_within(s->config, full))
		return err_set(err, RC_POLICY,
			       "the channel would write in %s, where satchel's own state, "
			       "configuration, hooks or hand-out lies",
			       full);
	return 0;
}

int station_target(const struct station *s, const char *target, char **ret, struct err *err)
{
	OWNED(freep) char *full = NULL;
	int rc;

	if (target[0] != '/' || (target[1] != '\0' && path_check(target + 1, ERR_IGNORED) < 0))
		return err_set(err, RC_PATH, "the target %s is not an absolute path without \"..\"",
			       target);
	full = joined(s->root, target);
	if (full == NULL)
		return err_memory(err);
	rc = target_allowed(s, target, full, err);
	if (rc == 0)
		rc = target_apart(s, target, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(full);
	return 0;
}

int station_absolute(const char *path, char **ret, struct err *err)
{
	OWNED(freep) char *full = NULL;
	char *to;

	if (path[0] == '\0')
		return err_set(err, RC_USAGE, "an empty path names no directory");
	if (strstr(path, "..") != NULL) /* only the file system knows what is above a link */
		full = realpath(path, NULL);
	else if (path[0] == '/')
		full = strdup(path);
	else {
		OWNED(freep) char *here = getcwd(NULL, 0);

		if (here != NULL && asprintf(&full, "%s/%s", here, path) < 0)
			full = NULL;
	}
	if (full == NULL)
		return err_sys(err, RC_IO, "cannot find %s", path);
	to = full;
	for (const char *from = full; *from != '\0';) {
		size_t n = strcspn(++from, "/");

		if (n > 0 && !(n == 1 && *from == '.')) {
			*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n;
	}
	if (to == full)
		*to++ = '/';
	*to = '\0';
	*ret = TAKE(full);
	return 0;
}
