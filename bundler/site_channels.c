/*
 * channels/NAME.yaml: a channel, whom it is for, and which channels must not meet.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"

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

static bool channel_names(const struct site_channel *c, const char *prefix)
{
	for (size_t i = 0; i < c->audiences; i++) {
		if (strncmp(c->audience[i], prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

static bool channel_of_groups(const struct site *s, const struct site_channel *c)
{
	if (channel_names(c, "group:"))
		return true;
	for (size_t i = 0; i < s->groups; i++) {
		for (size_t k = 0; k < s->group[i].channels; k++) {
			if (strcmp(s->group[i].channel[k], c->name) == 0)
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
 * are for everybody or name the same audience.  Where a user becomes active is said at the
 * workstation, later, and several can be on one, so a channel that a group gives can meet every
 * other that anybody gets.  ${where} is a workstation, or NULL for such a case.
 */
static bool channels_meet(const struct site *s, const struct site_channel *a,
			  const struct site_channel *b, const char **where)
{
	bool groups_a = channel_of_groups(s, a), groups_b = channel_of_groups(s, b);
	bool any_a = groups_a || a->audiences > 0, any_b = groups_b || b->audiences > 0;

	*where = groups_a || groups_b ? "a workstation where users of their groups are active"
				      : "the same workstations";
	if ((channel_is_for_all(a) || groups_a) && any_b)
		return true;
	if ((channel_is_for_all(b) || groups_b) && any_a)
		return true;
	for (size_t i = 0; i < a->audiences; i++) {
		for (size_t k = 0; k < b->audiences; k++) {
			if (strcmp(a->audience[i], b->audience[k]) == 0)
				return true;
		}
	}
	for (size_t i = 0; i < s->workstations; i++) {
		*where = s->workstation[i].name;
		if (site_subscribes(&s->workstation[i], a) &&
		    site_subscribes(&s->workstation[i], b))
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
bool site_targets_meet(const struct site *s, const struct site_channel *a,
		       const struct site_channel *b, char why[ERR_TEXT_MAX])
{
	const char *where;

	if (!targets_nested(a->target, b->target) && !targets_nested(b->target, a->target))
		return false;
	if (!channels_meet(s, a, b, &where))
		return false;
	snprintf(why, ERR_TEXT_MAX,
		 "channels %s and %s would both write below %.400s on %s: give them targets that "
		 "are neither equal nor nested, or other audiences",
		 a->name, b->name, strlen(a->target) > strlen(b->target) ? a->target : b->target,
		 where);
	return true;
}
