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
