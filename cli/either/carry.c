/* SPDX-License-Identifier: ISC */
/*
 * Carry between depots: by anybody, with or without a site at hand.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/carry/consignment.h"
#include "bundler/site/site.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "core/base/own.h"

/* "3900M": powers of 1024, as tools that cut files take them. */
static int size_parse(const char *option, const char *text, uint64_t least, uint64_t *ret,
		      struct err *err)
{
	static const char units[] = "KMGT";
	size_t n = strspn(text, "0123456789");
	const char *unit = text[n] == '\0' ? NULL : strchr(units, text[n]);
	uint64_t v = 0, scale = 1;

	if (unit != NULL)
		for (const char *u = units; u <= unit; u++)
			scale *= 1024;
	if (n == 0 || (text[n] != '\0' && (unit == NULL || text[n + 1] != '\0')) ||
	    number_u64(text, n, LIMIT_NUMBER, &v, ERR_IGNORED) < 0 ||
	    __builtin_mul_overflow(v, scale, &v) || v > INT64_MAX)
		return err_set(err, RC_USAGE, "--%s needs a size, such as 3900M or 4G", option);
	if (v < least)
		return err_set(err, RC_USAGE, "--%s needs at least %llu bytes", option,
			       (unsigned long long)least);
	*ret = v;
	return 0;
}

static void direction_text(const struct carry_direction *w, const char *to, bool dry)
{
	char files[TEXT_SIZE], size[TEXT_SIZE], shown[4096];

	count_text(files, w->files);
	size_text(size, w->bytes);
	err_escape(shown, sizeof(shown), to);
	printf("%s %s %s, %s to %s", dry ? "would carry" : "carried", files,
	       plural(w->files, "file", "files"), size, shown);
	if (w->pruned > 0)
		printf(", %s %llu older there", dry ? "would remove" : "removed",
		       (unsigned long long)w->pruned);
	putchar('\n');
}

static void result_text(const struct carry *c, const struct carry_result *r)
{
	bool dry = (c->flags & CARRY_DRY_RUN) != 0;

	direction_text(&r->to, c->to, dry);
	direction_text(&r->from, c->from, dry);
	if (!r->verified)
		puts("no trust document is at hand: only digests were checked");
	if (r->volumes_missing > 0) {
		char missing[sizeof(r->missing)];

		err_escape(missing, sizeof(missing), r->missing);
		printf("volume %llu of %llu; not carried here in full yet: %s %s\n",
		       (unsigned long long)r->volume, (unsigned long long)r->volumes,
		       plural(r->volumes_missing, "volume", "volumes"), missing);
	}
	if (r->stale > r->to.pruned)
		printf("%llu older %s left in place\n",
		       (unsigned long long)(r->stale - r->to.pruned),
		       plural(r->stale - r->to.pruned, "file is", "files are"));
}

static void direction_json(struct json *j, const char *key, const struct carry_direction *w)
{
	json_open(j, key, '{');
	json_u64(j, "files", w->files);
	json_u64(j, "bytes", w->bytes);
	json_u64(j, "pruned", w->pruned);
	json_text(j, "result", w->rc == 0 ? "ok" : rc_slug(w->rc));
	json_close(j, '}');
}

static void result_json(const struct carry *c, const struct carry_result *r)
{
	struct json j = {stdout, false};
	char site[DIGEST_HEX + 1];

	digest_hex(site, &r->site);
	json_open(&j, NULL, '{');
	json_text(&j, "site", site);
	json_bool(&j, "dry_run", (c->flags & CARRY_DRY_RUN) != 0);
	json_bool(&j, "verified", r->verified);
	json_u64(&j, "beat", r->beat);
	direction_json(&j, "to", &r->to);
	direction_json(&j, "from", &r->from);
	json_u64(&j, "there", r->there);
	json_u64(&j, "stale", r->stale);
	json_u64(&j, "unwanted", r->unwanted);
	json_u64(&j, "refused", r->refused);
	json_u64(&j, "incomplete", r->incomplete);
	json_u64(&j, "parts_missing", r->parts_missing);
	json_u64(&j, "volume", r->volume);
	json_u64(&j, "volumes", r->volumes);
	json_text(&j, "volumes_missing", r->missing);
	json_close(&j, '}');
	putchar('\n');
}

/* A prefix of 1 TiB takes 32 MiB, and a part has at least one block. */
#define PART_LEAST (2u << 20)

static int options_read(const struct args *args, struct carry *c, struct err *err)
{
	static const struct {
		const char *name;
		enum carry_flags flag;
	} names[] = {{"dry-run", CARRY_DRY_RUN},
		     {"prune", CARRY_PRUNE},
		     {"check", CARRY_CHECK},
		     {"unmounted", CARRY_UNMOUNTED}};
	const char *max = args_text(args, "max-file", NULL);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (args_has(args, names[i].name))
			c->flags |= names[i].flag;
	return max == NULL ? 0 : size_parse("max-file", max, PART_LEAST, &c->max_file, err);
}

/* A carry needs no site; but with one at hand it is noted what went where. */
static int site_at_hand(struct cli *cli, bool needed, struct site **ret, struct err *err)
{
	struct err none;

	if (needed)
		return server_open(cli, 0, ret, err);
	if (cli->station == NULL && server_open(cli, 0, ret, &none) < 0 && cli->site != NULL)
		reporter_debug(cli->reporter, "carried without the site at hand: %s", none.text);
	return 0;
}

static void print(struct cli *cli, const struct carry *c, const struct carry_result *r)
{
	term_line_end(cli->term);
	if (digest_is_zero(&r->site))
		return;
	if (cli->json)
		result_json(c, r);
	else
		result_text(c, r);
}

/* What a run is about. */
struct carrying {
	struct cli *cli;
	struct carry c;
	struct site *site; /* owned; NULL: none at hand */
	char *who[ARGS_MAX];
	size_t who_n;
};

static void carrying_clear(struct carrying *x)
{
	site_freep(&x->site);
}

static int carry_one(struct carrying *x, struct err *err)
{
	struct carry_result r = {.beat = 0};
	int rc = x->site != NULL ? site_carry(x->site, &x->c, x->who, x->who_n, &r, err)
				 : carry(&x->c, &r, err);

	print(x->cli, &x->c, &r);
	return rc;
}

static int volume_ask(struct carrying *x, size_t n, size_t of, struct err *err)
{
	char line[16];

	term_line_end(x->cli->term);
	fprintf(stderr, "put volume %zu of %zu at %s and press Enter ", n, of, x->c.to);
	fflush(stderr);
	return fgets(line, sizeof(line), stdin) != NULL
		   ? 0
		   : err_set(err, RC_AGAIN, "volumes %zu to %zu were not written", n, of);
}

static int directory_make(const char *path, struct err *err)
{
	return mkdir(path, 0777) == 0 || errno == EEXIST
		   ? 0
		   : err_sys(err, RC_IO, "cannot make the directory %s", path);
}

/* Into TO one after another, or into a directory for each. */
static int volumes_write_all(struct carrying *x, const struct carry_set *set, bool ask,
			     struct err *err)
{
	const char *to = x->c.to;
	size_t of = carry_set_volumes(set);
	struct err worst = {0};
	int rc = ask || (x->c.flags & CARRY_DRY_RUN) ? 0 : directory_make(to, err);

	for (size_t n = 1; rc == 0 && n <= of; n++) {
		struct carry_result r = {.beat = 0};
		OWNED(buf_clear) struct buf path = BUF_INIT;

		rc = ask ? volume_ask(x, n, of, err)
			 : buf_printf(&path, err, "%s/volume-%03zu", to, n);
		if (rc < 0)
			return rc;
		x->c.to = ask ? to : (const char *)path.p;
		rc = carry_volume(&x->c, set, n, &r, err);
		print(x->cli, &x->c, &r);
		x->c.to = to;
		/* What is not good is said again with every volume; the others are made all the
		 * same. */
		if (rc < 0 && r.to.rc == 0) {
			worst = *err;
			rc = 0;
		}
	}
	if (rc == 0 && worst.rc < 0) {
		*err = worst;
		rc = worst.rc;
	}
	return rc;
}

static int carry_volumes(struct carrying *x, uint64_t size, bool ask, struct err *err)
{
	OWNED(carry_set_freep) struct carry_set *set = NULL;
	OWNED(selection_clear) struct selection sel = {0};
	int rc = 0;

	if (x->who_n > 0)
		rc = selection_make(x->site, x->who, x->who_n, &sel, err);
	if (x->who_n > 0) {
		x->c.wants = selection_wants;
		x->c.arg = &sel;
	}
	if (rc == 0)
		rc = carry_set_make(&x->c, size, &set, err);
	return rc < 0 ? rc : volumes_write_all(x, set, ask, err);
}

int cmd_carry(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(carrying_clear)
	struct carrying x = {.cli = cli,
			     .c = {.from = args->rest[0],
				   .to = args->rest[1],
				   .flags = CARRY_CREATE,
				   .reporter = cli->reporter}};
	const char *size = args_text(args, "volume-size", NULL);
	uint64_t volume = 0;
	int rc = options_read(args, &x.c, err);

	x.who_n = args_list(args, "for", x.who);
	if (rc == 0 && size != NULL)
		rc = size_parse("volume-size", size, CARRY_VOLUME_LEAST, &volume, err);
	if (rc == 0 && args_has(args, "ask") && size == NULL)
		rc = err_set(err, RC_USAGE, "--ask needs --volume-size");
	if (rc == 0)
		rc = site_at_hand(cli, x.who_n > 0, &x.site, err);
	if (rc < 0)
		return rc;
	return size == NULL ? carry_one(&x, err)
			    : carry_volumes(&x, volume, args_has(args, "ask"), err);
}
