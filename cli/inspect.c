/*
 * inspect and verify: what is this file, is every byte of it right, and who signed it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station.h"
#include "cli/cli.h"
#include "cli/look.h"
#include "cli/server.h"
#include "cli/term.h"
#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/format/bundle.h"
#include "core/os/durable.h"

struct show {
	struct cli *cli;
	struct json json;
	bool in_changes;
};

static int show_value(void *arg, const char *name, const char *value, struct err *err)
{
	struct show *s = arg;
	char shown[8 * LIMIT_PATH];

	(void)err;
	term_line_end(s->cli->term);
	if (s->cli->json) {
		if (name == NULL && !s->in_changes)
			json_open(&s->json, "changes", '[');
		else if (name != NULL && s->in_changes)
			json_close(&s->json, ']');
		s->in_changes = name == NULL;
		json_text(&s->json, name, value);
		return 0;
	}
	err_escape(shown, sizeof(shown), value);
	if (name != NULL)
		printf("%-11s %s\n", name, shown);
	else
		printf("  %s\n", shown);
	return 0;
}

static int open_file(const char *path, struct look *ret, struct err *err)
{
	struct stat st;

	/* O_NONBLOCK: a fifo put there by somebody must not hang us. */
	ret->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (ret->fd < 0)
		return err_sys(err, RC_IO, "%s", path);
	if (fstat(ret->fd, &st) < 0)
		return err_sys(err, RC_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, RC_TYPE, "%s is not a regular file", path);
	ret->size = (uint64_t)st.st_size;
	return 0;
}

/* The signed document of the file, unparsed: the file itself, or a bundle's manifest. */
static int read_signed(const struct look *in, struct buf *ret, struct err *err)
{
	uint8_t first[512];
	uint64_t offset = 0;
	size_t n = (size_t)in->size;
	int rc = 0;

	if (in->kind == LOOK_BUNDLE) {
		rc = fd_pread(in->fd, first, sizeof(first), 0, err);
		if (rc == 0)
			rc = bundle_manifest_size(first, &n, err);
		offset = sizeof(first);
	} else if (in->size > LIMIT_DOCUMENT) {
		return err_set(err, RC_LIMIT, "a signed document has at most %u bytes",
			       LIMIT_DOCUMENT);
	}
	if (rc == 0)
		rc = buf_reserve(ret, n, err);
	if (rc == 0)
		rc = fd_pread(in->fd, ret->p, n, offset, err);
	if (rc == 0)
		ret->n = n;
	return rc;
}

/* The trust that this machine holds, as server or workstation.  RC_USAGE when it holds none. */
static int own_trust(struct cli *cli, struct trust *ret, struct err *err)
{
	bool server;
	int rc = cli_on_server(cli, &server, err);

	if (rc == 0 && server) {
		OWNED(site_freep) struct site *s = NULL;

		rc = server_open(cli, 0, &s, err);
		if (rc == 0)
			*ret = s->trust;
	} else if (rc == 0) {
		OWNED(station_freep) struct station *s = NULL;

		rc = station_open(cli->station, 0, cli->say, &s, err);
		if (rc == 0 && !s->enrolled)
			rc = err_set(err, RC_USAGE,
				     "this workstation is not enrolled, so it trusts nobody yet");
		if (rc == 0)
			*ret = s->trust;
	}
	return rc;
}

static int check_with_trust(const struct trust *t, const struct signed_doc *doc, const char *path,
			    struct show *show, struct err *err)
{
	static const struct {
		const char *type;
		enum role role;
	} rows[] = {{"trust/1", ROLE_ROOT},
		    {"head/1", ROLE_PUBLISH},
		    {"manifest/1", ROLE_PUBLISH},
		    {"beat/1", ROLE_BEAT},
		    {"shard/1", ROLE_BEAT}};
	char who[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (signed_type(doc->inner, rows[i].type)) {
			int rc = trust_role_named(t, rows[i].role, doc, path, err);

			if (rc < 0)
				return rc;
			trust_signer(t, doc, who, sizeof(who));
			return show_value(show, "signed by", who, err);
		}
	return err_set(err, RC_MALFORMED,
		       "%s: a signed document of a type that this version does not know", path);
}

static int check_with_keys(const struct args *args, const struct signed_doc *doc, const char *path,
			   struct show *show, struct err *err)
{
	char *files[ARGS_MAX];
	size_t n = args_list(args, "key", files);

	for (size_t i = 0; i < n; i++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		struct key_public key;
		int rc = cli_file_read(files[i], 4096, &text, err);

		if (rc == 0)
			rc = key_public_parse(bytes_in(&text), &key, err);
		if (rc < 0)
			return err_prefix(err, "%s", files[i]);
		if (signed_by(doc, &key))
			return show_value(show, "signed by", files[i], err);
	}
	return err_set(err, RC_UNTRUSTED, "%s: signed by none of the keys that were given", path);
}

/* ${ret} is of the document whose signature is good. */
static int check_signature(struct cli *cli, const struct args *args, const char *path,
			   const struct look *in, struct show *show, struct digest *ret,
			   struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct signed_doc doc;
	struct trust trust;
	int rc = read_signed(in, &text, err);

	if (rc == 0)
		rc = signed_split(bytes_in(&text), LIMIT_LAYERS, &doc, err);
	if (rc < 0)
		return err_prefix(err, "%s", path);
	*ret = digest_of(bytes_in(&text));
	if (args_has(args, "key"))
		return check_with_keys(args, &doc, path, show, err);
	rc = own_trust(cli, &trust, err);
	if (rc < 0)
		return err_prefix(err, "no trust to check against; give -s, -w or --key FILE");
	return check_with_trust(&trust, &doc, path, show, err);
}

static int sealed_words(const struct look *in, struct show *show, struct err *err)
{
	uint8_t first[64];
	char to[17];
	size_t n = in->size < sizeof(first) ? (size_t)in->size : sizeof(first);
	int rc = fd_pread(in->fd, first, n, 0, err);

	if (rc < 0)
		return rc;
	if (!sealed_recipient((struct bytes){first, n}, to))
		return err_set(err, RC_MALFORMED,
			       "a sealed document whose first line is not the format's");
	show_value(show, "what", "a receipt or request, sealed to the server", err);
	return show_value(show, "sealed to", to, err);
}

/* By its name alone: everything else of it is checked. */
static bool is_part(const char *path)
{
	const char *file = strrchr(path, '/');
	char whole[DEPOT_NAME];
	struct name name;

	snprintf(whole, sizeof(whole), "channels/x/%.200s", file == NULL ? path : file + 1);
	return name_parse(whole, &name) == NAME_PART;
}

static int look_at(struct cli *cli, const struct args *args, const char *path,
		   enum look_flags flags, bool verify, struct err *err)
{
	struct look in = {.fd = -1, .flags = flags};
	struct show show = {.cli = cli, .json = {stdout, false}};
	struct digest verified;
	uint8_t first[64];
	size_t n;
	int rc = open_file(path, &in, err);

	if (rc < 0) {
		fd_closep(&in.fd);
		return rc;
	}
	n = in.size < sizeof(first) ? (size_t)in.size : sizeof(first);
	rc = fd_pread(in.fd, first, n, 0, err);
	in.kind = look_kind((struct bytes){first, n});
	if (cli->json)
		json_open(&show.json, NULL, '{');
	if (rc == 0 && (in.kind == LOOK_UNKNOWN || in.kind == LOOK_KEY))
		rc = err_set(err, RC_MALFORMED,
			     "%s is neither a bundle nor a signed or sealed document", path);
	else if (rc == 0 && in.kind == LOOK_SEALED)
		rc = sealed_words(&in, &show, err);
	if (rc == 0 && verify && in.kind == LOOK_SEALED)
		rc = err_set(err, RC_USAGE,
			     "%s is sealed: only the server can verify it, with satchel collect",
			     path);
	if (rc == 0 && verify)
		rc = check_signature(cli, args, path, &in, &show, &verified, err);
	in.verified = verify ? &verified : NULL;
	if (rc == 0 && in.kind != LOOK_SEALED) {
		rc = look_run(&in, show_value, &show, err);
		if (rc == RC_INCOMPLETE && is_part(path))
			err_set(err, rc,
				"it is a part of a bundle: satchel carry to another depot "
				"checks its blocks, and joins it with the others");
		if (rc < 0)
			err_prefix(err, "%s", path);
	}
	if (rc == 0)
		rc = show_value(&show, "verdict",
				!verify ? "not verified: satchel verify checks it"
					: "every byte is as it was signed",
				err);
	if (cli->json) {
		if (show.in_changes)
			json_close(&show.json, ']');
		json_close(&show.json, '}');
		putchar('\n');
	}
	fd_closep(&in.fd);
	return rc;
}

/* One after the other; those that are not right are told, and do not stop the others. */
static int look_each(struct cli *cli, const struct args *args, enum look_flags flags, bool verify,
		     struct err *err)
{
	if (args->rest_n == 1)
		return look_at(cli, args, args->rest[0], flags, verify, err);
	for (size_t i = 0; i < args->rest_n; i++) {
		struct err bad = {0};

		if (!cli->json)
			printf("%s%s\n", i > 0 ? "\n" : "", args->rest[i]);
		if (look_at(cli, args, args->rest[i], flags, verify, &bad) == 0)
			continue;
		say_warning(cli->say, "%s", bad.text);
		if (err->rc == 0)
			*err = bad;
	}
	return err->rc;
}

int cmd_inspect(struct cli *cli, const struct args *args, struct err *err)
{
	return look_each(cli, args, args_has(args, "changes") ? LOOK_CHANGES : 0, false, err);
}

int cmd_verify(struct cli *cli, const struct args *args, struct err *err)
{
	return look_each(cli, args, LOOK_DEEP, true, err);
}
