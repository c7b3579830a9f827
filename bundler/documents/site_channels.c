/* SPDX-License-Identifier: ISC */
/*
 * channels/NAME.yaml: a channel, whom it is for, and which channels must not meet.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"
#include "core/tree/exclude.h"

static void channel_clear(void *element)
{
	struct site_channel *c = element;

	free(c->source);
	free(c->target);
	site_list_clear(&c->exclude, &c->excludes);
	site_list_clear(&c->audience, &c->audiences);
	site_list_clear(&c->ring_to, &c->ring_tos);
	free(c->ring);
	memset(c, 0, sizeof(*c));
}

static int channel_name_check(const char *name, int rc, struct err *err)
{
	return site_word_check("channel", name, rc, err);
}

/* A pattern that leaves out nothing publishes what somebody meant to keep to themselves. */
static int excludes_check(const struct node *list, struct err *err)
{
	for (size_t i = 0; i < node_count(list); i++) {
		const struct node *glob = node_at(list, i);

		if (!exclude_good(node_text(glob, "")))
			return node_error(glob, err,
					  "nothing can match \"%s\": write name, name/, "
					  "directory/name or **/name, without \"..\"",
					  node_text(glob, ""));
	}
	return 0;
}

/* Whom the rings name is one list, so that the names in it are checked as all others are. */
static int ring_names_keep(const struct node *to, struct site_channel *c, struct err *err)
{
	char **more = reallocarray(c->ring_to, c->ring_tos + node_count(to), sizeof(*more));

	if (more == NULL)
		return err_memory(err);
	c->ring_to = more;
	for (size_t i = 0; i < node_count(to); i++) {
		char *name = strdup(node_text(node_at(to, i), ""));

		if (name == NULL)
			return err_memory(err);
		c->ring_to[c->ring_tos++] = name;
	}
	return 0;
}

static int rings_decode(const struct node *list, struct site_channel *c, struct err *err)
{
	int rc = 0;

	if (node_count(list) == 0)
		return 0;
	c->ring = calloc(node_count(list), sizeof(*c->ring));
	if (c->ring == NULL)
		return err_memory(err);
	while (rc == 0 && c->rings < node_count(list)) {
		const struct node *from = node_at(list, c->rings);
		const struct node *to = node_get(from, "to");

		c->ring[c->rings++] = (struct site_ring){
		    .to = c->ring_tos,
		    .tos = node_count(to),
		    .healthy = node_u64(node_get(from, "healthy"), 1),
		    .hours = node_u64(node_get(from, "hours"), SITE_RING_HOURS),
		};
		rc = ring_names_keep(to, c, err);
	}
	return rc;
}

static void rings_encode(const struct site_channel *c, struct yaml_writer *w)
{
	yaml_list(w, "rollout");
	for (size_t i = 0; i < c->rings; i++) {
		const struct site_ring *r = &c->ring[i];

		yaml_map(w, NULL);
		site_list_encode(w, "to", c->ring_to + r->to, r->tos);
		yaml_u64(w, "healthy", r->healthy);
		yaml_u64(w, "hours", r->hours);
		yaml_close(w);
	}
	yaml_close(w);
}

static int channel_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *root = yaml_root(*y);
	struct site_channel *c = ret;
	int rc;

	(void)name;
	snprintf(c->on_leave, sizeof(c->on_leave), "%s",
		 node_text(node_get(root, "on-leave"), "keep"));
	c->owners = node_bool(node_get(root, "owners"), false);
	c->special_modes = node_bool(node_get(root, "special-modes"), false);
	c->watch = node_bool(node_get(root, "watch"), false);
	c->keep = node_u64(node_get(root, "keep"), SITE_KEEP);
	c->sealed = node_bool(node_get(root, "sealed"), false);
	c->rekey_hours = node_u64(node_get(root, "rekey-hours"), SITE_REKEY_HOURS);
	rc = excludes_check(node_get(root, "exclude"), err);
	if (rc == 0)
		rc = site_text_keep(&c->source, node_get(root, "source"), err);
	if (rc == 0)
		rc = site_text_keep(&c->target, node_get(root, "target"), err);
	if (rc == 0)
		rc = site_list_keep(node_get(root, "for"), &c->audience, &c->audiences, err);
	if (rc == 0)
		rc = site_list_keep(node_get(root, "exclude"), &c->exclude, &c->excludes, err);
	if (rc == 0)
		rc = rings_decode(node_get(root, "rollout"), c, err);
	return rc;
}

static void channel_encode(const void *element, struct yaml_writer *w)
{
	const struct site_channel *c = element;

	yaml_text(w, "source", c->source == NULL ? "" : c->source);
	yaml_text(w, "target", c->target == NULL ? "" : c->target);
	site_list_encode(w, "for", c->audience, c->audiences);
	site_list_encode(w, "exclude", c->exclude, c->excludes);
	if (c->owners)
		yaml_bool(w, "owners", true);
	if (c->special_modes)
		yaml_bool(w, "special-modes", true);
	if (c->watch)
		yaml_bool(w, "watch", true);
	site_word_encode(w, "on-leave", c->on_leave);
	if (c->keep != 0)
		yaml_u64(w, "keep", c->keep);
	if (c->sealed)
		yaml_bool(w, "sealed", true);
	if (c->sealed || (c->rekey_hours != 0 && c->rekey_hours != SITE_REKEY_HOURS))
		yaml_u64(w, "rekey-hours", c->rekey_hours);
	if (c->rings > 0)
		rings_encode(c, w);
}

const struct site_kind site_channel_kind = {
    .noun = "channel",
    .directory = SITE_CHANNELS,
    .schema = "channel/1",
    .size = sizeof(struct site_channel),
    SITE_KIND_LIST(channel, channels),
    .name_check = channel_name_check,
    .decode = channel_decode,
    .encode = channel_encode,
    .clear = channel_clear,
};

/* Is it the group, or inside of it?  Names that lead nowhere are a fault of their own. */
static bool group_within(const struct site *s, const char *name, const char *outer)
{
	for (size_t depth = 0; name[0] != '\0' && depth <= PEOPLE_DEPTH; depth++) {
		const struct site_group *g = site_group(s, name);

		if (strcmp(name, outer) == 0)
			return true;
		if (g == NULL)
			return false;
		name = g->parent;
	}
	return false;
}

static bool ring_names(const struct site *s, const struct site_channel *c,
		       const struct site_ring *r, const struct site_workstation *w,
		       const struct site_user *const *who, size_t n)
{
	const struct site_channel as = {.audience = c->ring_to + r->to, .audiences = r->tos};

	if (site_subscribes(w, &as))
		return true;
	for (size_t i = 0; i < r->tos; i++)
		for (size_t u = 0; u < n && strncmp(as.audience[i], "group:", 6) == 0; u++)
			if (group_within(s, who[u]->group, as.audience[i] + 6))
				return true;
	return false;
}

size_t site_ring(const struct site *s, const struct site_channel *c,
		 const struct site_workstation *w, const struct site_user *const *who, size_t n)
{
	for (size_t i = 0; i < c->rings; i++)
		if (ring_names(s, c, &c->ring[i], w, who, n))
			return i + 1;
	return 0;
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
