#include "bundler/site.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/registry.h"
#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/os/lock.h"

struct site *site_free(struct site *s)
{
	if (s == NULL)
		return NULL;
	site_documents_clear(s);
	s->db = db_free(s->db);
	fd_closep(&s->lock);
	fd_closep(&s->statefd);
	fd_closep(&s->dirfd);
	free(s->dir);
	free(s->state);
	free(s->depot);
	free(s->depot_real);
	free(s);
	return NULL;
}

void site_freep(struct site **s)
{
	*s = site_free(*s);
}

/* path_join(dir, path, ret, err): ${path} as it is when absolute, else below ${dir}. */
static int path_join(const char *dir, const char *path, char **ret, struct err *err)
{
	int n = path[0] == '/' ? asprintf(ret, "%s", path) : asprintf(ret, "%s/%s", dir, path);

	if (n < 0) {
		*ret = NULL;
		return err_memory(err);
	}
	return 0;
}

int site_registry_path(const char *state, char **ret, struct err *err)
{
	return path_join(state, SITE_REGISTRY, ret, err);
}

void site_fields_use(struct site *s, const struct node *root)
{
	s->beat_hours = node_u64(node_get(root, "beat-hours"), SITE_BEAT_HOURS);
	s->silent_hours = node_u64(node_get(root, "silent-hours"), SITE_SILENT_HOURS);
	s->sync_minutes = node_u64(node_get(root, "sync-minutes"), SITE_SYNC_MINUTES);
	s->jitter_percent = node_u64(node_get(root, "jitter-percent"), SITE_JITTER_PERCENT);
	s->watch = node_bool(node_get(root, "watch"), false);
	s->sticks = node_bool(node_get(root, "sticks"), true);
	s->warning_days = node_u64(node_get(root, "licence-warning-days"), SITE_WARNING_DAYS);
	site_word_copy(s->baseline, node_get(root, "policy"));
}

static int site_yaml_use(struct site *s, const struct node *root, struct err *err)
{
	const struct node *state = node_get(root, "state"), *id = node_get(root, "id");
	int rc;

	if (id == NULL)
		return err_set(err, RC_MALFORMED,
			       "%s/" SITE_FILE
			       ": id: missing: it is the digest that every invitation "
			       "stands on; put it back from your version control",
			       s->dir);
	rc = node_digest(id, &s->id, err);
	if (rc == 0)
		rc = path_join(s->dir, node_text(node_get(root, "depot"), ""), &s->depot, err);
	if (rc < 0)
		return rc;
	site_fields_use(s, root);
	if (state != NULL)
		return path_join(s->dir, node_text(state, ""), &s->state, err);
	if (asprintf(&s->state, "%s.state", s->dir) < 0) {
		s->state = NULL;
		return err_memory(err);
	}
	return 0;
}

static int site_yaml_read(struct site *s, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc;

	rc = file_read(s->dirfd, SITE_FILE, LIMIT_DOCUMENT, &text, err);
	if (rc < 0 && errno == ENOENT)
		return err_set(err, RC_STATE,
			       "%s holds no site: there is no " SITE_FILE
			       " (`satchel init` makes a "
			       "site, -s DIR names one)",
			       s->dir);
	if (rc < 0)
		return err_prefix(err, "%s/" SITE_FILE, s->dir);
	rc =
	    yaml_decode(bytes_in(&text), LIMIT_DOCUMENT, schema_find("site/1"), SITE_FILE, &y, err);
	if (rc < 0)
		return rc;
	return site_yaml_use(s, yaml_root(y), err);
}

/* The state holds keys and invitation secrets: what others could have read or put there is not
 * used.
 */
static int state_open(struct site *s, struct err *err)
{
	struct stat st;

	s->statefd = os_open_dir(s->state, err);
	if (s->statefd < 0)
		return err_prefix(err, "the state of the site (keys and registry)");
	if (fstat(s->statefd, &st) < 0)
		return err_sys(err, RC_IO, "%s", s->state);
	if ((st.st_mode & 077) != 0)
		return err_set(err, RC_POLICY,
			       "%s holds the keys of the site and is open to others: chmod 700 %s",
			       s->state, s->state);
	if (st.st_uid != geteuid() && geteuid() != 0)
		return err_set(err, RC_POLICY, "%s belongs to another user", s->state);
	return 0;
}

static int registry_use(struct site *s, struct err *err)
{
	OWNED(freep) char *path = NULL;
	struct stat st;
	int rc;

	if (fstatat(s->statefd, SITE_REGISTRY, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return err_set(
		    err, RC_STATE,
		    "%s holds no registry: restore it from your backup; an empty one would "
		    "make generations that are taken",
		    s->state);
	rc = site_registry_path(s->state, &path, err);
	if (rc == 0)
		rc = registry_open(path, &s->db, err);
	if (rc == 0)
		rc = site_trust_load(s->db, &s->id, &s->trust, err);
	return rc;
}

int site_open(const char *dir, enum site_flags flags, struct say *say, struct site **ret,
	      struct err *err)
{
	OWNED(site_freep) struct site *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_memory(err);
	s->dirfd = s->statefd = s->lock = -1;
	s->say = say;
	s->dir = realpath(dir, NULL);
	if (s->dir == NULL)
		return err_sys(err, errno == ENOENT ? RC_STATE : RC_IO, "site %s", dir);
	s->dirfd = os_open_dir(s->dir, err);
	if (s->dirfd < 0)
		return s->dirfd;
	rc = site_yaml_read(s, err);
	if (rc == 0)
		rc = state_open(s, err);
	if (rc == 0 && (flags & SITE_LOCK) != 0) {
		s->lock = lock_wait(s->statefd, "lock", "satchel command for this site", err);
		rc = s->lock < 0 ? s->lock : 0;
	}
	if (rc == 0)
		rc = registry_use(s, err);
	if (rc == 0)
		rc = site_documents_read(s, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(s);
	return 0;
}
