/* SPDX-License-Identifier: ISC */
/*
 * Opening a site.  Everything a command could trip over later is checked here, because a command
 * that fails in the middle leaves work for a person: documents, permissions of the state, the
 * registry, and the chain of trust from its first version.
 *
 * The order of opening is one of trust: site.yaml says where the state is and which site this is;
 * the state must be private before anything in it is believed; the lock is taken before the
 * registry is read, because what was read before would be stale; the trust in the registry must
 * begin with the id in site.yaml; documents are last, because their cache is in the registry.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/documents/documents.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "bundler/site/site_internal.h"
#include "bundler/source/site_source.h"
#include "bundler/trust/site_trust.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/os/lock.h"

struct site *site_free(struct site *s)
{
	if (s == NULL)
		return NULL;
	site_documents_remember(s);
	site_documents_clear(s);
	s->db = db_free(s->db);
	fd_closep(&s->lock);
	fd_closep(&s->statefd);
	fd_closep(&s->dirfd);
	free(s->dir);
	free(s->state);
	free(s->depot);
	free(s->depot_real);
	site_source_guard_freep(&s->guard);
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

/*
 * An absent field gets its default here and nowhere else; site set writes only what was named, so a
 * default may change with a version.
 */
static void fields_use(struct site *s, const struct node *root)
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
			       ": id: is missing: every invitation depends on it; restore it from "
			       "your version control",
			       s->dir);
	rc = node_digest(id, &s->id, err);
	if (rc == 0)
		rc = path_join(s->dir, node_text(node_get(root, "depot"), ""), &s->depot, err);
	if (rc < 0)
		return rc;
	fields_use(s, root);
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
	if (rc == RC_ABSENT)
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
		return err_set(
		    err, RC_STATE,
		    "the state of the site (keys and registry), %s, cannot be opened: "
		    "is it mounted? When it is lost, restore a backup (satchel restore); "
		    "when there is none, satchel recover --rebuild --root-key FILE",
		    s->state);
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

	/*
	 * Never made here: SQLite would make an empty one, whose generations and beats begin at 1
	 * again, and every workstation would refuse them as old.
	 */
	if (fstatat(s->statefd, SITE_REGISTRY, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return err_set(
		    err, RC_STATE,
		    "%s holds no registry: restore it from your backup; an empty one would use "
		    "generation numbers a second time. When there is no backup, satchel recover "
		    "--rebuild makes one of what the depot has",
		    s->state);
	rc = site_registry_path(s->state, &path, err);
	if (rc == 0)
		rc = registry_open(path, &s->db, err);
	if (rc == 0)
		rc = site_trust_load(s->db, &s->id, &s->trust, err);
	return rc;
}

/* One mistake in one of them, and nobody knows what any of them would say together. */
static int documents_use(struct site *s, enum site_flags flags, struct err *err)
{
	int rc = site_documents_read(s, err);

	if (rc == 0 || (flags & SITE_UNREAD) == 0 || rc == RC_MEMORY ||
	    rc_class(rc) == EXIT_CLASS_STATE)
		return rc;
	s->unread = *err;
	site_documents_clear(s);
	return 0;
}

int site_begin(struct site *s, const char *dir, struct err *err)
{
	s->dirfd = s->statefd = s->lock = -1;
	s->dir = realpath(dir, NULL);
	if (s->dir == NULL)
		return err_sys(err, errno == ENOENT ? RC_STATE : RC_IO, "site %s", dir);
	s->dirfd = os_open_dir(s->dir, err);
	return s->dirfd < 0 ? s->dirfd : site_yaml_read(s, err);
}

int site_open(const char *dir, enum site_flags flags, struct reporter *reporter, struct site **ret,
	      struct err *err)
{
	OWNED(site_freep) struct site *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_memory(err);
	rc = site_begin(s, dir, err);
	s->reporter = reporter;
	if (rc == 0)
		rc = state_open(s, err);
	if (rc == 0 && (flags & SITE_LOCK) != 0) {
		s->lock = lock_wait(s->statefd, "lock", "satchel command for this site", err);
		rc = s->lock < 0 ? s->lock : 0;
		if (rc < 0 && rc != RC_BUSY)
			err_prefix(err, "%s", s->state);
	}
	if (rc == 0)
		rc = registry_use(s, err);
	if (rc == 0)
		rc = documents_use(s, flags, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(s);
	return 0;
}

/* What a command may change: the others are what the site is. */
static const char *const settable[] = {
    "policy",       "licence-warning-days", "beat-hours", "silent-hours",
    "sync-minutes", "jitter-percent",       "watch",      "sticks",
};

static bool is_settable(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(settable); i++) {
		if (strcmp(settable[i], key) == 0)
			return true;
	}
	return false;
}

static int keys_check(const struct site_value *list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_settable(list[i].key))
			return err_set(err, RC_USAGE, "site.yaml has no field %s that can be set",
				       list[i].key);
	}
	return 0;
}

static const struct site_value *value_of(const struct site_value *list, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].key, key) == 0)
			return &list[i];
	}
	return NULL;
}

/* field_write(...): by the type that the schema gives it; what is not of that type is written as
 * text, and refused when it is read back. */
static void field_write(struct yaml_writer *w, const struct schema_field *f, const char *text)
{
	uint64_t number;

	if (f->schema->type == SCHEMA_INTEGER &&
	    number_u64(text, strlen(text), LIMIT_NUMBER, &number, ERR_IGNORED) == 0)
		yaml_u64(w, f->name, number);
	else if (f->schema->type == SCHEMA_BOOLEAN &&
		 (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		yaml_bool(w, f->name, text[0] == 't');
	else
		yaml_text(w, f->name, text);
}

/*
 * In the order of the schema, with additions kept; yaml_patch then puts only what changed into the
 * text as a person wrote it.
 */
static int text_make(const struct node *was, const struct site_value *list, size_t n,
		     struct buf *ret, struct err *err)
{
	const struct schema *schema = schema_find("site/1");
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct schema_field *f = &schema->fields[i];
		const struct site_value *v = value_of(list, n, f->name);

		if (v == NULL)
			yaml_node(w, f->name, node_get(was, f->name));
		else if (v->value != NULL)
			field_write(w, f, v->value);
	}
	return yaml_writer_end(w, ret, err);
}

static int baseline_check(const struct site *s, const struct node *root, struct err *err)
{
	const char *policy = node_text(node_get(root, "policy"), "");

	if (policy[0] == '\0' || site_policy(s, policy) != NULL)
		return 0;
	return err_set(err, RC_POLICY, SITE_FILE ": field `policy`: there is no policy called %s",
		       policy);
}

/*
 * Read from the disk and not from the site that is open, because a person may have edited the file
 * since.  What is written has been read back by the same schema before, so no value can make a site
 * that does not open.
 */
int site_set(struct site *s, const struct site_value *list, size_t n, struct err *err)
{
	OWNED(buf_clear) struct buf old = BUF_INIT;
	OWNED(buf_clear) struct buf new = BUF_INIT;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *was = NULL, *now = NULL;
	const struct schema *schema = schema_find("site/1");
	int rc = keys_check(list, n, err);

	if (rc == 0)
		rc = file_read(s->dirfd, SITE_FILE, LIMIT_DOCUMENT, &old, err);
	if (rc == 0)
		rc = yaml_decode(bytes_in(&old), LIMIT_DOCUMENT, schema, SITE_FILE, &was, err);
	if (rc == 0)
		rc = text_make(yaml_root(was), list, n, &new, err);
	if (rc == 0)
		rc = yaml_decode(bytes_in(&new), LIMIT_DOCUMENT, schema, SITE_FILE, &now, err);
	if (rc == 0)
		rc = baseline_check(s, yaml_root(now), err);
	if (rc == 0)
		rc = yaml_patch(bytes_in(&old), bytes_in(&new), LIMIT_DOCUMENT, schema, &text, err);
	if (rc == 0)
		rc =
		    durable_write(s->dirfd, SITE_FILE, bytes_in(&text), 0644, DURABLE_REPLACE, err);
	if (rc < 0)
		return rc;
	fields_use(s, yaml_root(now));
	return 0;
}
