/* SPDX-License-Identifier: ISC */
/*
 * channel add, set, list, show, remove: edits of the site's documents, and a look at what was
 * published.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/published/published.h"
#include "bundler/sealed/sealed.h"
#include "bundler/site/site.h"
#include "bundler/source/site_source.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/server.h"
#include "cli/status/rollout.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/dir.h"

/* As the site has it now: what the command line and the old document said is copied there. */
static void channel_told(struct cli *cli, struct site *s, const char *name)
{
	const struct site_channel *c = site_channel(s, name);

	printf("channel %s: %s -> %s\n", c->name, c->source, c->target);
	if (access(c->source, F_OK) < 0)
		reporter_warning(cli->reporter,
				 "the source %s does not exist yet; publish needs it", c->source);
}

/* The option's values instead of what the document says; the pointers stay the command line's. */
static void take_list(const struct args *args, const char *name, char ***list, size_t *n,
		      char *buffer[ARGS_MAX])
{
	size_t given = args_list(args, name, buffer);

	if (given > 0) {
		*list = buffer;
		*n = given;
	}
}

struct channel_lists {
	char *audience[ARGS_MAX], *exclude[ARGS_MAX];
	struct channel_rings rings;
};

static int take_options(struct site_channel *c, const struct args *args,
			struct channel_lists *lists, struct err *err)
{
	const char *on_leave = args_text(args, "on-leave", c->on_leave);
	int rc;

	take_list(args, "for", &c->audience, &c->audiences, lists->audience);
	take_list(args, "exclude", &c->exclude, &c->excludes, lists->exclude);
	if (channel_rings_take(c, args, &lists->rings, err) < 0)
		return err->rc;
	c->owners |= args_has(args, "owners");
	c->special_modes |= args_has(args, "special-modes");
	if (args_has(args, "watch") && args_has(args, "no-watch"))
		return err_set(err, RC_USAGE, "give --watch or --no-watch, not both");
	c->watch = (c->watch || args_has(args, "watch")) && !args_has(args, "no-watch");
	if (strcmp(on_leave, "keep") != 0 && strcmp(on_leave, "remove") != 0)
		return err_set(err, RC_USAGE, "--on-leave must be keep or remove, not \"%s\"",
			       on_leave);
	if (on_leave != c->on_leave)
		snprintf(c->on_leave, sizeof(c->on_leave), "%s", on_leave);
	c->sealed |= args_has(args, "sealed");
	rc = args_number(args, "keep", 1000000, c->keep, &c->keep, err);
	if (rc == 0)
		rc = args_number(args, "rekey-hours", 8760, c->rekey_hours, &c->rekey_hours, err);
	return rc;
}

/* What a lost stick tells is decided here, so it is said here. */
static void sealing_told(const struct site_channel *c)
{
	if (c->sealed)
		printf("it is sealed: what lies in a depot or on a stick can be read by the "
		       "workstations that it is for\n");
	else
		printf(
		    "it is not sealed: whoever finds a stick, or may read the depot, can read it; "
		    "satchel channel seal %s changes that\n",
		    c->name);
}

/* For whom it is, is known when the document is there. */
static int channel_add(struct site *s, const struct site_channel *c, struct err *err)
{
	char name[CHANNEL_NAME];
	int rc = site_channel_write(s, c, err);

	if (rc < 0 || !c->sealed)
		return rc;
	snprintf(name, sizeof(name), "%s", c->name);
	rc = channel_seal_check(s, name, err);
	if (rc < 0)
		site_document_remove(s, SITE_DOCUMENT_CHANNEL, name, ERR_IGNORED);
	return rc;
}

int cmd_channel_add(struct cli *cli, const struct args *args, struct err *err)
{
	char all[] = "all";
	char *everybody[] = {all};
	OWNED(site_freep) struct site *s = NULL;
	OWNED(freep) char *source = NULL;
	const char *from = args_text(args, "source", NULL);
	char *target = args_value(args, "target");
	struct site_channel c = {.on_leave = "keep",
				 .keep = 16,
				 .audience = everybody,
				 .audiences = 1,
				 .rekey_hours = SITE_REKEY_HOURS};
	struct channel_lists lists;
	int rc;

	if (from == NULL || target == NULL)
		return err_set(err, RC_USAGE, "channel add needs --%s",
			       from == NULL ? "source" : "target");
	rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc < 0)
		return rc;
	if (site_channel(s, args->rest[0]) != NULL)
		return err_set(err, RC_CONFLICT,
			       "channel %s exists already; satchel channel set changes it",
			       args->rest[0]);
	if (strlen(args->rest[0]) >= sizeof(c.name))
		return err_set(err, RC_USAGE, "a channel's name has at most %zu characters",
			       sizeof(c.name) - 1);
	snprintf(c.name, sizeof(c.name), "%s", args->rest[0]);
	rc = dir_absolute(from, &source, err);
	if (rc < 0)
		return rc;
	c.source = source;
	c.target = target;
	rc = take_options(&c, args, &lists, err);
	if (rc == 0)
		rc = site_source_check(s, &c, err);
	if (rc == 0)
		rc = channel_add(s, &c, err);
	if (rc < 0)
		return rc;
	channel_told(cli, s, args->rest[0]);
	sealing_told(site_channel(s, args->rest[0]));
	return 0;
}

int cmd_channel_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(freep) char *source = NULL;
	struct site_channel *found, c;
	struct channel_lists lists;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	found = site_channel(s, args->rest[0]);
	if (found == NULL)
		return server_no_channel(s, args->rest[0], err);
	c = *found;
	if (args_has(args, "source"))
		rc = dir_absolute(args_value(args, "source"), &source, err);
	if (rc < 0)
		return rc;
	if (source != NULL)
		c.source = source;
	if (args_has(args, "target"))
		c.target = args_value(args, "target");
	rc = take_options(&c, args, &lists, err);
	/* One that stays as it is may be on a share that is not there just now. */
	if (rc == 0 && args_has(args, "source"))
		rc = site_source_check(s, &c, err);
	if (rc == 0)
		rc = site_channel_write(s, &c, err);
	if (rc == 0)
		channel_told(cli, s, args->rest[0]);
	return rc;
}

int cmd_channel_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && site_channel(s, args->rest[0]) == NULL)
		return server_no_channel(s, args->rest[0], err);
	if (rc == 0)
		rc = site_document_remove(s, SITE_DOCUMENT_CHANNEL, args->rest[0], err);
	if (rc == 0)
		printf(
		    "removed channel %s; its source stays as it is, and workstations leave it at "
		    "their next sync\n",
		    args->rest[0]);
	return rc;
}

/* What the registry knows of a channel. */
struct channel_now {
	uint64_t generation; /* the newest; 0: none was published */
	struct sealed_state key;
	const struct publish_rollout *rollout; /* borrowed */
};

static int channel_now(struct site *s, const char *name, struct channel_now *ret, struct err *err)
{
	struct published_generation g = {.generation = 0};
	int rc = published_latest(s->db, name, &g, err);

	ret->generation = g.generation;
	return rc < 0 ? rc : sealed_describe(s->db, name, &ret->key, err);
}

static int channel_json(struct json *j, const struct site_channel *c, const struct channel_now *now)
{
	const struct sealed_state *key = &now->key;

	json_open(j, NULL, '{');
	json_text(j, "name", c->name);
	json_u64(j, "generation", now->generation);
	json_text(j, "source", c->source);
	json_text(j, "target", c->target);
	json_open(j, "for", '[');
	for (size_t i = 0; i < c->audiences; i++)
		json_text(j, NULL, c->audience[i]);
	json_close(j, ']');
	json_open(j, "exclude", '[');
	for (size_t i = 0; i < c->excludes; i++)
		json_text(j, NULL, c->exclude[i]);
	json_close(j, ']');
	json_bool(j, "owners", c->owners);
	json_bool(j, "special_modes", c->special_modes);
	json_bool(j, "watch", c->watch);
	json_text(j, "on_leave", c->on_leave);
	json_u64(j, "keep", c->keep);
	json_bool(j, "sealed", c->sealed);
	if (c->sealed) {
		json_u64(j, "rekey_hours", c->rekey_hours);
		json_u64(j, "content_key", key->number);
		json_u64(j, "readers", key->readers);
		json_time(j, "left", key->left);
	}
	if (c->rings > 0)
		rollout_json(j, now->rollout);
	json_close(j, '}');
	return 0;
}

static int channel_row(struct output_list *l, const struct site_channel *c,
		       const struct channel_now *now, struct err *err)
{
	OWNED(buf_clear) struct buf who = BUF_INIT;
	char number[TEXT_SIZE];
	int rc;

	if (l->cli->json)
		return channel_json(&l->json, c, now);
	rc = words_text(c->audience, c->audiences, &who, err);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)now->generation);
	return rc < 0
		   ? rc
		   : output_list_cells(l, err, c->name, number,
				       who.n > 0 ? (const char *)who.p : "", c->source, c->target);
}

int cmd_channel_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"CHANNEL", "GENERATION", "FOR", "SOURCE", "TARGET"};
	OWNED(site_freep) struct site *s = NULL;
	struct output_list l;
	OWNED(publish_rollouts_free) struct publish_rollouts rollouts = {NULL, 0};
	struct channel_now now = {.generation = 0};
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = publish_rollouts(s, &rollouts, err);
	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	for (size_t i = 0; i < s->channels && rc == 0; i++) {
		now.rollout = &rollouts.item[i];
		rc = channel_now(s, s->channel[i].name, &now, err);
		if (rc == 0)
			rc = channel_row(&l, &s->channel[i], &now, err);
	}
	return output_list_end(&l, rc, "no channels yet; add one with satchel channel add");
}

static int print_bundle(void *arg, const struct published_bundle *b, struct err *err)
{
	char size[TEXT_SIZE];

	size_text(size, b->size);
	printf("  bundle    %llu -> %llu (epoch %llu), %s\n", (unsigned long long)b->base,
	       (unsigned long long)b->generation, (unsigned long long)b->epoch, size);
	return 0;
}

static int print_bundles(struct site *s, const char *name, struct err *err)
{
	return published_bundles(s->db, name, EPOCHS_ALL, print_bundle, NULL, err);
}

static void print_sealing(const struct site_channel *c, const struct sealed_state *key)
{
	char when[CLOCK_TEXT + 1];

	if (!c->sealed) {
		printf("  sealed    no: whoever may read a depot can read it\n");
		return;
	}
	printf("  sealed    content key %llu, sent to %llu %s", (unsigned long long)key->number,
	       (unsigned long long)key->readers,
	       plural(key->readers, "workstation", "workstations"));
	clock_format(when, key->left + (int64_t)c->rekey_hours * 3600);
	if (key->asked)
		printf("; it changes at the next publish\n");
	else if (key->left > 0)
		printf("; somebody left: it changes at the first publish after %s\n", when);
	else
		printf("\n");
}

int cmd_channel_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	OWNED(publish_rollouts_free) struct publish_rollouts rollouts = {NULL, 0};
	struct site_channel *c;
	struct channel_now now = {.generation = 0};
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	c = site_channel(s, args->rest[0]);
	if (c == NULL)
		return server_no_channel(s, args->rest[0], err);
	rc = channel_now(s, c->name, &now, err);
	if (rc == 0)
		rc = publish_rollouts(s, &rollouts, err);
	if (rc < 0)
		return rc;
	now.rollout = &rollouts.item[c - s->channel];
	if (cli->json) {
		rc = channel_json(&j, c, &now);
		putchar('\n');
		return rc;
	}
	printf("channel %s, generation %llu\n  source    %s\n  target    %s\n", c->name,
	       (unsigned long long)now.generation, c->source, c->target);
	for (size_t i = 0; i < c->audiences; i++)
		printf("  for       %s\n", c->audience[i]);
	for (size_t i = 0; i < c->excludes; i++)
		printf("  exclude   %s\n", c->exclude[i]);
	printf("  watch     %s\n", c->watch ? "the watcher publishes it when it changes" : "no");
	printf("  owners    %s\n  special   %s\n  on leave  %s\n  keep      %llu %s\n",
	       c->owners ? "kept" : "root or the running user",
	       c->special_modes ? "set-id and sticky bits kept" : "plain permission bits only",
	       c->on_leave, (unsigned long long)c->keep,
	       plural(c->keep, "generation", "generations"));
	rollout_text(now.rollout, "  ");
	print_sealing(c, &now.key);
	return print_bundles(s, c->name, err);
}
