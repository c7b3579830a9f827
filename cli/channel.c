/*
 * channel add, set, list, show, remove: edits of the site's documents, and a look at what was
 * published.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/server.h"
#include "cli/term.h"
#include "core/base/own.h"

/* A source that is not there yet is no error: it may be mounted later. */
static char *absolute(const char *path)
{
	char *real = realpath(path, NULL);
	OWNED(freep) char *here = NULL;

	if (real != NULL || path[0] == '/')
		return real != NULL ? real : strdup(path);
	here = getcwd(NULL, 0);
	if (here == NULL || asprintf(&real, "%s/%s", here, path) < 0)
		return NULL;
	return real;
}

/* As the site has it now: what the command line and the old document said is copied there. */
static void channel_told(struct cli *cli, struct site *s, const char *name)
{
	const struct site_channel *c = site_channel(s, name);

	printf("channel %s: %s -> %s\n", c->name, c->source, c->target);
	if (access(c->source, F_OK) < 0)
		say_warning(cli->say, "the source %s is not there yet: publish needs it",
			    c->source);
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

struct lists {
	char *audience[ARGS_MAX], *exclude[ARGS_MAX];
};

static int take_options(struct site_channel *c, const struct args *args, struct lists *lists,
			struct err *err)
{
	const char *on_leave = args_text(args, "on-leave", c->on_leave);
	int rc;

	take_list(args, "for", &c->audience, &c->audiences, lists->audience);
	take_list(args, "exclude", &c->exclude, &c->excludes, lists->exclude);
	c->owners |= args_has(args, "owners");
	c->special_modes |= args_has(args, "special-modes");
	if (args_has(args, "watch") && args_has(args, "no-watch"))
		return err_set(err, RC_USAGE, "--watch or --no-watch, not both");
	c->watch = (c->watch || args_has(args, "watch")) && !args_has(args, "no-watch");
	if (strcmp(on_leave, "keep") != 0 && strcmp(on_leave, "remove") != 0)
		return err_set(err, RC_USAGE, "--on-leave is keep or remove, not \"%s\"", on_leave);
	if (on_leave != c->on_leave)
		snprintf(c->on_leave, sizeof(c->on_leave), "%s", on_leave);
	rc = args_number(args, "keep", 1000000, c->keep, &c->keep, err);
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
	struct site_channel c = {
	    .on_leave = "keep", .keep = 16, .audience = everybody, .audiences = 1};
	struct lists lists;
	int rc;

	if (from == NULL || target == NULL)
		return err_set(err, RC_USAGE, "satchel channel add wants --%s",
			       from == NULL ? "source" : "target");
	rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc < 0)
		return rc;
	if (site_channel(s, args->rest[0]) != NULL)
		return err_set(err, RC_CONFLICT,
			       "there is a channel %s already; satchel channel set changes it",
			       args->rest[0]);
	if (strlen(args->rest[0]) >= sizeof(c.name))
		return err_set(err, RC_USAGE, "a channel's name has at most %zu characters",
			       sizeof(c.name) - 1);
	snprintf(c.name, sizeof(c.name), "%s", args->rest[0]);
	source = absolute(from);
	if (source == NULL)
		return err_memory(err);
	c.source = source;
	c.target = target;
	rc = take_options(&c, args, &lists, err);
	if (rc == 0)
		rc = site_channel_write(s, &c, err);
	if (rc == 0)
		channel_told(cli, s, args->rest[0]);
	return rc;
}

int cmd_channel_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(freep) char *source = NULL;
	struct site_channel *found, c;
	struct lists lists;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	found = site_channel(s, args->rest[0]);
	if (found == NULL)
		return server_no_channel(s, args->rest[0], err);
	c = *found;
	source = absolute(args_text(args, "source", c.source));
	if (source == NULL)
		return err_memory(err);
	if (args_has(args, "source"))
		c.source = source;
	if (args_has(args, "target"))
		c.target = args_value(args, "target");
	rc = take_options(&c, args, &lists, err);
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
		rc = site_channel_remove(s, args->rest[0], err);
	if (rc == 0)
		printf(
		    "removed channel %s; its source and what workstations hold stay as they are\n",
		    args->rest[0]);
	return rc;
}

/* The newest generation of a channel, 0 when none was published. */
static int generation_of(struct site *s, const char *name, uint64_t *ret, struct err *err)
{
	int64_t found = 0;
	int rc = db_int(
	    s->db, err, &found,
	    "SELECT generation FROM generation WHERE channel = ?1 ORDER BY epoch DESC, generation DESC LIMIT 1",
	    "t", name);

	if (rc < 0)
		return rc;
	*ret = rc > 0 ? (uint64_t)found : 0;
	return 0;
}

static int channel_json(struct json *j, const struct site_channel *c, uint64_t generation)
{
	json_open(j, NULL, '{');
	json_text(j, "name", c->name);
	json_u64(j, "generation", generation);
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
	json_close(j, '}');
	return 0;
}

static int channel_row(struct table *t, const struct site_channel *c, uint64_t generation,
		       struct err *err)
{
	char who[512] = "";
	size_t used = 0;
	int rc;

	for (size_t i = 0; i < c->audiences && used < sizeof(who); i++)
		used += (size_t)snprintf(who + used, sizeof(who) - used, "%s%s", i > 0 ? ", " : "",
					 c->audience[i]);
	rc = table_cell(t, err, "%s", c->name);
	if (rc == 0)
		rc = table_cell(t, err, "%llu", (unsigned long long)generation);
	if (rc == 0)
		rc = table_cell(t, err, "%s", who);
	if (rc == 0)
		rc = table_cell(t, err, "%s", c->source);
	return rc < 0 ? rc : table_cell(t, err, "%s", c->target);
}

int cmd_channel_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"CHANNEL", "GENERATION", "FOR", "SOURCE", "TARGET"};
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct table t;
	uint64_t generation = 0;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	table_init(&t, 5, -1);
	for (size_t i = 0; i < 5 && rc == 0; i++)
		rc = table_cell(&t, err, "%s", heading[i]);
	if (cli->json)
		json_open(&j, NULL, '[');
	for (size_t i = 0; i < s->channels && rc == 0; i++) {
		rc = generation_of(s, s->channel[i].name, &generation, err);
		if (rc == 0)
			rc = cli->json ? channel_json(&j, &s->channel[i], generation)
				       : channel_row(&t, &s->channel[i], generation, err);
	}
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0) {
		table_print(&t, cli->term, stdout);
	}
	table_clear(&t);
	return rc;
}

static int print_bundles(struct site *s, const char *name, struct err *err)
{
	sqlite3_stmt *st;
	int rc = db_query(
	    s->db,
	    "SELECT epoch, base, generation, size FROM bundle WHERE channel = ?1 ORDER BY epoch, generation, base",
	    &st, err);

	if (rc < 0)
		return rc;
	rc = db_bind(st, err, "t", name);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		char size[TEXT_SIZE];

		bytes_text(size, (uint64_t)db_i64(st, 3));
		printf("  bundle    %lld -> %lld (epoch %lld), %s\n", (long long)db_i64(st, 1),
		       (long long)db_i64(st, 2), (long long)db_i64(st, 0), size);
		rc = 0;
	}
	db_done(&st);
	return rc;
}

int cmd_channel_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct site_channel *c;
	uint64_t generation = 0;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	c = site_channel(s, args->rest[0]);
	if (c == NULL)
		return server_no_channel(s, args->rest[0], err);
	rc = generation_of(s, c->name, &generation, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		rc = channel_json(&j, c, generation);
		putchar('\n');
		return rc;
	}
	printf("channel %s, generation %llu\n  source    %s\n  target    %s\n", c->name,
	       (unsigned long long)generation, c->source, c->target);
	for (size_t i = 0; i < c->audiences; i++)
		printf("  for       %s\n", c->audience[i]);
	for (size_t i = 0; i < c->excludes; i++)
		printf("  exclude   %s\n", c->exclude[i]);
	printf("  watch     %s\n", c->watch ? "published by the watcher when it changed" : "no");
	printf("  owners    %s\n  special   %s\n  on leave  %s\n  keep      %llu generations\n",
	       c->owners ? "kept" : "root or the running user",
	       c->special_modes ? "set-id and sticky bits kept" : "plain permission bits only",
	       c->on_leave, (unsigned long long)c->keep);
	return print_bundles(s, c->name, err);
}
