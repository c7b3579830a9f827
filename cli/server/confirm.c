/* SPDX-License-Identifier: ISC */
/*
 * confirm: a receipt that somebody read aloud.
 */
#include "bundler/collect/confirm.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"

#include "cli/frame/cli.h"
#include "cli/frame/term.h"
#include "core/base/own.h"

/* code_join(args, ret, err): the code as one text, however it was split into words. */
static int code_join(const struct args *args, struct buf *ret, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < args->rest_n; i++)
		rc = buf_printf(ret, err, "%s%s", i > 0 ? " " : "", args->rest[i]);
	return rc;
}

static void confirmed_json(const struct confirmed *c)
{
	struct json j = {stdout, false};

	json_open(&j, NULL, '{');
	json_text(&j, "workstation", c->workstation);
	json_text(&j, "id", c->id);
	json_u64(&j, "receipt", c->receipt);
	json_bool(&j, "again", c->again);
	json_u64(&j, "private", c->generation);
	json_open(&j, "channels", '[');
	for (size_t i = 0; i < c->channels; i++) {
		json_open(&j, NULL, '{');
		json_text(&j, "name", c->channel[i].name);
		json_u64(&j, "epoch", c->channel[i].epoch);
		json_u64(&j, "generation", c->channel[i].generation);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	putchar('\n');
}

int cmd_confirm(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(confirmed_clear) struct confirmed c = {.channel = NULL};
	OWNED(buf_clear) struct buf code = BUF_INIT;
	int rc = code_join(args, &code, err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = confirm_code(s, (const char *)code.p, &c, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		confirmed_json(&c);
		return 0;
	}
	printf("%s %s: receipt %llu, private channel %llu", c.again ? "known" : "confirmed",
	       c.workstation, (unsigned long long)c.receipt, (unsigned long long)c.generation);
	for (size_t i = 0; i < c.channels; i++)
		printf(", %s %llu", c.channel[i].name, (unsigned long long)c.channel[i].generation);
	putchar('\n');
	return 0;
}
