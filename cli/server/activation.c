/* SPDX-License-Identifier: ISC */
/*
 * user code, codes, revoke-code, deactivate, reactivate: who is made active where.
 */
#include "bundler/activation/activation.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
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
	reporter_info(
	    cli->reporter,
	    "valid until %s; on the user's workstation: satchel activate %s; to revoke it: satchel "
	    "user revoke-code %.8s",
	    until, code, c.id);
	return 0;
}

static int code_row(void *arg, const struct activation_code *c, struct err *err)
{
	struct output_list *l = arg;
	char until[CLOCK_TEXT + 1], used[64];

	if (l->cli->json) {
		code_json(&l->json, c, NULL);
		return 0;
	}
	until_text(until, c);
	snprintf(used, sizeof(used), "%llu of %llu", (unsigned long long)c->used,
		 (unsigned long long)c->uses);
	return output_list_cells(l, err, c->id, c->email, used, until, code_state(c, clock_now()));
}

int cmd_user_codes(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"CODE", "USER", "USED", "UNTIL", "STATE"};
	OWNED(site_freep) struct site *s = NULL;
	struct output_list l;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	if (rc == 0)
		rc =
		    activation_codes(s, args->rest_n > 0 ? args->rest[0] : NULL, code_row, &l, err);
	return output_list_end(&l, rc,
			       "no activation codes yet; make one with satchel user code EMAIL");
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
	reporter_info(cli->reporter,
		      "run satchel publish; the workstation removes the keys with its next sync");
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
