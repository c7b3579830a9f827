/*
 * The documents of a site: read by schema, written by rename.  A document's name is its file's name
 * without ".yaml".
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

static int text_keep(char **dst, const char *text, struct err *err)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return err_memory(err);
	free(*dst);
	*dst = copy;
	return 0;
}

static void list_clear(char ***list, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
	*n = 0;
}

static int list_read(const struct node *from, char ***ret, size_t *ret_n, struct err *err)
{
	size_t n = node_count(from);

	if (n == 0)
		return 0;
	*ret = calloc(n, sizeof(**ret));
	if (*ret == NULL)
		return err_memory(err);
	for (; *ret_n < n; (*ret_n)++) {
		if (text_keep(&(*ret)[*ret_n], node_text(node_at(from, *ret_n), ""), err) < 0)
			return RC_MEMORY;
	}
	return 0;
}

void site_channel_clear(struct site_channel *c)
{
	free(c->source);
	free(c->target);
	list_clear(&c->exclude, &c->excludes);
	list_clear(&c->audience, &c->audiences);
	memset(c, 0, sizeof(*c));
}

void site_workstation_clear(struct site_workstation *w)
{
	list_clear(&w->label, &w->labels);
	memset(w, 0, sizeof(*w));
}

void site_documents_clear(struct site *s)
{
	for (size_t i = 0; i < s->channels; i++)
		site_channel_clear(&s->channel[i]);
	for (size_t i = 0; i < s->workstations; i++)
		site_workstation_clear(&s->workstation[i]);
	free(s->channel);
	free(s->workstation);
	s->channel = NULL;
	s->workstation = NULL;
	s->channels = s->workstations = 0;
}

int site_channel_name_check(const char *name, int rc, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n >= CHANNEL_NAME || name[0] == '_' || name[0] == '-' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != n)
		return err_set(err, rc,
			       "\"%s\" cannot be a channel's name: a-z, 0-9, \"_\" and \"-\", at "
			       "most 63, beginning with a letter or digit",
			       name);
	return 0;
}

int site_workstation_name_check(const char *name, int rc, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n >= WORKSTATION_NAME || strchr("._-", name[0]) != NULL ||
	    strcmp(name, "all") == 0 ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789._-") != n)
		return err_set(
		    err, rc,
		    "\"%s\" cannot be a workstation's name: letters, digits, \".\", "
		    "\"_\" and \"-\", at most 127, beginning with a letter or digit, and "
		    "not \"all\", which means every workstation",
		    name);
	return 0;
}

int site_channel_decode(struct bytes in, const char *name, struct site_channel *ret,
			struct err *err)
{
	char file[SITE_DOCUMENT_PATH];
	OWNED(yaml_freep) struct yaml *y = NULL;
	const struct node *root;
	int rc;

	snprintf(file, sizeof(file), SITE_CHANNELS "/%s" SITE_SUFFIX, name);
	rc = yaml_decode(in, LIMIT_DOCUMENT, schema_find("channel/1"), file, &y, err);
	if (rc < 0)
		return rc;
	root = yaml_root(y);
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	snprintf(ret->on_leave, sizeof(ret->on_leave), "%s",
		 node_text(node_get(root, "on-leave"), "keep"));
	ret->owners = node_bool(node_get(root, "owners"), false);
	ret->special_modes = node_bool(node_get(root, "special-modes"), false);
	ret->keep = node_u64(node_get(root, "keep"), SITE_KEEP);
	rc = text_keep(&ret->source, node_text(node_get(root, "source"), ""), err);
	if (rc == 0)
		rc = text_keep(&ret->target, node_text(node_get(root, "target"), ""), err);
	if (rc == 0)
		rc = list_read(node_get(root, "for"), &ret->audience, &ret->audiences, err);
	if (rc == 0)
		rc = list_read(node_get(root, "exclude"), &ret->exclude, &ret->excludes, err);
	return rc;
}

int site_workstation_decode(struct bytes in, const char *name, struct site_workstation *ret,
			    struct err *err)
{
	char file[SITE_DOCUMENT_PATH];
	OWNED(yaml_freep) struct yaml *y = NULL;
	const struct node *inside;
	int rc;

	snprintf(file, sizeof(file), SITE_WORKSTATIONS "/%s" SITE_SUFFIX, name);
	rc = yaml_decode(in, LIMIT_DOCUMENT, schema_find("workstation/1"), file, &y, err);
	if (rc < 0)
		return rc;
	inside = node_get(yaml_root(y), "name");
	if (strcmp(node_text(inside, ""), name) != 0)
		return err_set(err, RC_MALFORMED,
			       "%s:%u: name: expected \"%s\", as the file is called, not \"%s\"",
			       file, node_line(inside), name, node_text(inside, ""));
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return list_read(node_get(yaml_root(y), "labels"), &ret->label, &ret->labels, err);
}

static int channel_read(struct site *s, const char *name, struct site_channel *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char file[SITE_DOCUMENT_PATH];

	snprintf(file, sizeof(file), SITE_CHANNELS "/%s" SITE_SUFFIX, name);
	if (site_channel_name_check(name, RC_MALFORMED, err) < 0 ||
	    file_read(s->dirfd, file, LIMIT_DOCUMENT, &text, err) < 0)
		return err_prefix(err, "%s", file);
	return site_channel_decode(bytes_in(&text), name, ret, err);
}

static int workstation_read(struct site *s, const char *name, struct site_workstation *ret,
			    struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char file[SITE_DOCUMENT_PATH];

	snprintf(file, sizeof(file), SITE_WORKSTATIONS "/%s" SITE_SUFFIX, name);
	if (site_workstation_name_check(name, RC_MALFORMED, err) < 0 ||
	    file_read(s->dirfd, file, LIMIT_DOCUMENT, &text, err) < 0)
		return err_prefix(err, "%s", file);
	return site_workstation_decode(bytes_in(&text), name, ret, err);
}

/* Names in a directory of documents, ascending. */
struct names {
	char **name;
	size_t n, cap;
};

static void names_clear(struct names *l)
{
	list_clear(&l->name, &l->n);
}

static int names_add(struct names *l, const char *text, size_t n, struct err *err)
{
	char *copy;

	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		char **more = reallocarray(l->name, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		l->name = more;
		l->cap = cap;
	}
	copy = strndup(text, n);
	if (copy == NULL)
		return err_memory(err);
	l->name[l->n++] = copy;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* names_list(...): NAME of every NAME.yaml; editors' leftovers (dot-names, NAME.yaml~) are passed
 * over. An absent directory is an empty one, because git keeps no empty directories. */
static int names_list(int dirfd, const char *dir, struct names *ret, struct err *err)
{
	int fd = beneath_open(dirfd, dir, O_RDONLY | O_DIRECTORY, 0, err);
	OWNED(dir_closep) DIR *d = NULL;
	struct dirent *e;

	if (fd < 0)
		return errno == ENOENT ? 0 : fd;
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return err_sys(err, RC_IO, "cannot list %s", dir);
	}
	while (errno = 0, (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), suffix = strlen(SITE_SUFFIX);

		if (e->d_name[0] == '.' || n <= suffix ||
		    strcmp(e->d_name + n - suffix, SITE_SUFFIX) != 0)
			continue;
		if (names_add(ret, e->d_name, n - suffix, err) < 0)
			return RC_MEMORY;
	}
	if (errno != 0)
		return err_sys(err, RC_IO, "cannot list %s", dir);
	if (ret->n > 0)
		qsort(ret->name, ret->n, sizeof(*ret->name), by_text);
	return 0;
}

static int channels_read(struct site *s, struct err *err)
{
	OWNED(names_clear) struct names l = {0};
	int rc = names_list(s->dirfd, SITE_CHANNELS, &l, err);

	if (rc < 0 || l.n == 0)
		return rc;
	s->channel = calloc(l.n, sizeof(*s->channel));
	if (s->channel == NULL)
		return err_memory(err);
	while (rc == 0 && s->channels < l.n) {
		rc = channel_read(s, l.name[s->channels], &s->channel[s->channels], err);
		s->channels++;
	}
	return rc;
}

static int workstations_read(struct site *s, struct err *err)
{
	OWNED(names_clear) struct names l = {0};
	int rc = names_list(s->dirfd, SITE_WORKSTATIONS, &l, err);

	if (rc < 0 || l.n == 0)
		return rc;
	s->workstation = calloc(l.n, sizeof(*s->workstation));
	if (s->workstation == NULL)
		return err_memory(err);
	while (rc == 0 && s->workstations < l.n) {
		rc = workstation_read(s, l.name[s->workstations], &s->workstation[s->workstations],
				      err);
		s->workstations++;
	}
	return rc;
}

bool site_subscribes(const struct site_workstation *w, const struct site_channel *c)
{
	for (size_t i = 0; i < c->audiences; i++) {
		const char *who = c->audience[i];

		if (strcmp(who, "all") == 0 || strcmp(who, w->name) == 0)
			return true;
		if (strncmp(who, "label:", 6) != 0)
			continue;
		for (size_t l = 0; l < w->labels; l++) {
			if (strcmp(who + 6, w->label[l]) == 0)
				return true;
		}
	}
	return false;
}

static bool channel_is_for_all(const struct site_channel *c)
{
	for (size_t i = 0; i < c->audiences; i++) {
		if (strcmp(c->audience[i], "all") == 0)
			return true;
	}
	return false;
}

/*
 * channels_meet(...): does some workstation get both?  One that does not exist yet could, when both
 * are for everybody or name the same audience.  ${w} is the workstation, NULL for such a case.
 */
static bool channels_meet(const struct site *s, const struct site_channel *a,
			  const struct site_channel *b, const struct site_workstation **w)
{
	*w = NULL;
	if ((channel_is_for_all(a) && b->audiences > 0) ||
	    (channel_is_for_all(b) && a->audiences > 0))
		return true;
	for (size_t i = 0; i < a->audiences; i++) {
		for (size_t k = 0; k < b->audiences; k++) {
			if (strcmp(a->audience[i], b->audience[k]) == 0)
				return true;
		}
	}
	for (size_t i = 0; i < s->workstations; i++) {
		*w = &s->workstation[i];
		if (site_subscribes(*w, a) && site_subscribes(*w, b))
			return true;
	}
	return false;
}

static bool targets_nested(const char *a, const char *b)
{
	size_t n = strlen(b);

	return strcmp(b, "/") == 0 || (strncmp(a, b, n) == 0 && (a[n] == '/' || a[n] == '\0'));
}

/* Two channels that one workstation gets would each delete what the other one put there. */
int site_targets_check(const struct site *s, const struct site_channel *a,
		       const struct site_channel *b, struct err *err)
{
	const struct site_workstation *w;

	if (!targets_nested(a->target, b->target) && !targets_nested(b->target, a->target))
		return 0;
	if (!channels_meet(s, a, b, &w))
		return 0;
	return err_set(err, RC_POLICY,
		       "channels %s and %s would both write below %s on %s: give them targets that "
		       "are neither equal nor nested, or other audiences",
		       a->name, b->name,
		       strlen(a->target) > strlen(b->target) ? a->target : b->target,
		       w == NULL ? "the same workstations" : w->name);
}

int site_documents_read(struct site *s, struct err *err)
{
	int rc = channels_read(s, err);

	if (rc == 0)
		rc = workstations_read(s, err);
	for (size_t i = 0; rc == 0 && i < s->channels; i++) {
		for (size_t k = i + 1; rc == 0 && k < s->channels; k++)
			rc = site_targets_check(s, &s->channel[i], &s->channel[k], err);
	}
	return rc;
}

/* Lookup and replacement in the two sorted lists. */

static int channel_by_name(const void *name, const void *c)
{
	return strcmp(name, ((const struct site_channel *)c)->name);
}

static int workstation_by_name(const void *name, const void *w)
{
	return strcmp(name, ((const struct site_workstation *)w)->name);
}

struct site_channel *site_channel(struct site *s, const char *name)
{
	if (s->channels == 0)
		return NULL;
	return bsearch(name, s->channel, s->channels, sizeof(*s->channel), channel_by_name);
}

struct site_workstation *site_workstation(struct site *s, const char *name)
{
	if (s->workstations == 0)
		return NULL;
	return bsearch(name, s->workstation, s->workstations, sizeof(*s->workstation),
		       workstation_by_name);
}
