/*
 * user code, codes, revoke-code, deactivate, reactivate: who is made active where.
 */
#include "bundler/activation.h"

#include "cli/cli.h"
#include "cli/server.h"
#include "cli/term.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* until_text(dst, c): the last good day. */
static void until_text(char dst[CLOCK_TEXT + 1], const struct activation_code *c)
{
	clock_format(dst, c->expires - 1);
	dst[10] = '\0';
}

static const char *code_state(const struct activation_code *c, int64_t now)
{
	if (c->revoked != 0)
		return "revoked";
	if (c->used >= c->uses)
		return "used up";
	return now >= c->expires ? "expired" : "good";
}

static void code_json(struct json *j, const struct activation_code *c, const char *code)
{
	char until[CLOCK_TEXT + 1];

	until_text(until, c);
	json_open(j, NULL, '{');
	json_text(j, "id", c->id);
	json_text(j, "user", c->email);
	if (code != NULL)
		json_text(j, "code", code);
	json_time(j, "created", c->created);
	json_text(j, "until", until);
	json_u64(j, "uses", c->uses);
	json_u64(j, "used", c->used);
	json_text(j, "state", code_state(c, clock_now()));
	json_close(j, '}');
}

int cmd_user_code(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	char code[ACTIVATION_TEXT + 1], until[CLOCK_TEXT + 1];
	struct activation_code c;
	struct json j = {stdout, false};
	uint64_t uses = 1, days = 14;
	int rc;

	rc = args_number(args, "uses", ACTIVATION_USES_MAX, uses, &uses, err);
	if (rc == 0)
		rc = args_number(args, "days", ACTIVATION_DAYS_MAX, days, &days, err);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = activation_code_make(s, args->rest[0], uses, days, code, &c, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		code_json(&j, &c, code);
		putchar('\n');
		return 0;
	}
	until_text(until, &c);
	printf("%s\n", code);
	say_info(cli->say,
		 "on a workstation of theirs, until %s: satchel activate %s; satchel user "
		 "revoke-code %.8s takes it back",
		 until, code, c.id);
	return 0;
}

struct code_print {
	struct json *json;
	struct table table;
	int64_t now;
};

static int code_row(void *arg, const struct activation_code *c, struct err *err)
{
	struct code_print *p = arg;
	char until[CLOCK_TEXT + 1], used[64];
	int rc;

	if (p->json != NULL) {
		code_json(p->json, c, NULL);
		return 0;
	}
	until_text(until, c);
	snprintf(used, sizeof(used), "%llu of %llu", (unsigned long long)c->used,
		 (unsigned long long)c->uses);
	rc = table_cell(&p->table, err, "%s", c->id);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", c->email);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", used);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", until);
	return rc < 0 ? rc : table_cell(&p->table, err, "%s", code_state(c, p->now));
}

static int codes_heading(struct table *t, struct err *err)
{
	static const char *const heading[] = {"CODE", "USER", "USED", "UNTIL", "STATE"};
	int rc = 0;

	table_init(t, ARRAY_LEN(heading), -1);
	for (size_t i = 0; i < ARRAY_LEN(heading) && rc == 0; i++)
		rc = table_cell(t, err, "%s", heading[i]);
	return rc;
}

int cmd_user_codes(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct code_print p = {.json = cli->json ? &j : NULL, .now = clock_now()};
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	rc = codes_heading(&p.table, err);
	if (cli->json)
		json_open(&j, NULL, '[');
	if (rc == 0)
		rc =
		    activation_codes(s, args->rest_n > 0 ? args->rest[0] : NULL, code_row, &p, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0 && p.table.count > p.table.columns) {
		table_print(&p.table, cli->term, stdout);
	} else if (rc == 0) {
		puts("no activation code yet: satchel user code EMAIL prints one");
	}
	table_clear(&p.table);
	return rc;
}

int cmd_user_revoke_code(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct activation_code c;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = activation_code_revoke(s, args->rest[0], &c, err);
	if (rc == 0)
		printf("revoked %s of %s\n", c.id, c.email);
	return rc;
}

int cmd_user_deactivate(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = activation_deactivate(s, args->rest[0], args->rest[1], err);
	if (rc < 0)
		return rc;
	printf("deactivated %s on %s\n", args->rest[0], args->rest[1]);
	say_info(cli->say, "the keys are taken away there with the next sync: satchel publish");
	return 0;
}

int cmd_user_reactivate(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = activation_reactivate(s, args->rest[0], args->rest[1], err);
	if (rc < 0)
		return rc;
	printf("reactivated %s on %s\n", args->rest[0], args->rest[1]);
	return 0;
}
