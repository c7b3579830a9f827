/* SPDX-License-Identifier: ISC */
/*
 * inspect and verify: what is this file, is every byte of it right, and who signed it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/open/open.h"
#include "applier/station/station.h"
#include "bundler/site/site.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "cli/inspect/inspect_child.h"
#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/format/bundle/bundle.h"
#include "core/format/documents/trusted.h"
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

static int open_file(const char *path, struct inspection *ret, struct err *err)
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
static int read_signed(const struct inspection *in, struct buf *ret, struct err *err)
{
	uint8_t first[512];
	uint64_t offset = 0;
	size_t n = (size_t)in->size;
	int rc = 0;

	if (in->kind == INSPECT_BUNDLE) {
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

		rc = station_open(cli->station, 0, cli->reporter, &s, err);
		if (rc == 0 && !s->enrolled)
			rc = err_set(err, RC_USAGE,
				     "this workstation is not enrolled, so it trusts no key yet");
		if (rc == 0)
			*ret = s->trust;
	}
	return rc;
}

/* Of a head of a site with two hands the release inside is verified as well. */
static int signer_check(const struct trust *t, enum role role, bool named,
			const struct signed_doc *doc, const char *path, struct err *err)
{
	OWNED(release_clear) struct release r = {0};
	OWNED(head_clear) struct head h = {0};

	if (manifest_type(doc->inner))
		return trust_manifest(t, doc, path, err);
	if (signed_type(doc->inner, "head/1") || signed_type(doc->inner, "head/2"))
		return trusted_head(t, doc, path, &h, &r, err);
	return named ? trust_role_named(t, role, doc, path, err)
		     : trust_role(t, role, doc, path, err);
}

static int check_with_trust(const struct trust *t, const struct signed_doc *doc, const char *path,
			    struct show *show, struct err *err)
{
	static const struct {
		const char *type;
		enum role role;
		bool named; /* by a retired key it can be good: when a current document names it */
	} rows[] = {{"trust/1", ROLE_ROOT, false},      {"trust/2", ROLE_ROOT, false},
		    {"head/2", ROLE_PRIVATE, false},    {"head/1", ROLE_PUBLISH, false},
		    {"manifest/1", ROLE_PUBLISH, true}, {"manifest/2", ROLE_PRIVATE, true},
		    {"beat/1", ROLE_BEAT, false},       {"shard/1", ROLE_BEAT, true}};
	char who[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (signed_type(doc->inner, rows[i].type)) {
			int rc = signer_check(t, rows[i].role, rows[i].named, doc, path, err);

			if (rc < 0)
				return rc;
			trust_signer(t, doc, who, sizeof(who));
			return show_value(show, "signed by", who, err);
		}
	return err_set(err, RC_MALFORMED,
		       "%s: this version does not know this type of signed document", path);
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
	return err_set(err, RC_UNTRUSTED, "%s: not signed by any of the given keys", path);
}

/* ${ret} is of the document whose signature is good. */
static int check_signature(struct cli *cli, const struct args *args, const char *path,
			   const struct inspection *in, struct show *show, struct digest *ret,
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
		return err_prefix(err, "no keys to check against; give -s, -w or --key FILE");
	return check_with_trust(&trust, &doc, path, show, err);
}

/*
 * A bundle of a sealed channel is opened where its content key is at hand.  Where it is not, what
 * can be seen is shown, which is no fault.  1 with a key: ${ret_signed} is the digest of the
 * manifest that it belongs to.
 */
static int content_key_find(struct cli *cli, const struct inspection *in, struct content_key **ret,
			    struct digest *ret_signed)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err none = {0};
	struct signed_doc doc;
	struct trust trust;

	if (in->kind != INSPECT_BUNDLE || in->flags == 0 || read_signed(in, &text, &none) < 0 ||
	    signed_split(bytes_in(&text), 1, &doc, &none) < 0 ||
	    !signed_type(doc.inner, "manifest/2") || own_trust(cli, &trust, &none) < 0 ||
	    inspect_key(cli, &trust, &doc, ret, &none) < 0)
		return 0;
	*ret_signed = digest_of(bytes_in(&text));
	return 1;
}

static int sealed_words(const struct inspection *in, struct show *show, struct err *err)
{
	uint8_t first[64];
	char to[17];
	size_t n = in->size < sizeof(first) ? (size_t)in->size : sizeof(first);
	int rc = fd_pread(in->fd, first, n, 0, err);

	if (rc < 0)
		return rc;
	if (!sealed_recipient((struct bytes){first, n}, to))
		return err_set(err, RC_MALFORMED,
			       "the first line of the sealed document is malformed");
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

static int inspect_at(struct cli *cli, const struct args *args, const char *path,
		      enum inspect_flags flags, bool verify, struct err *err)
{
	struct inspection in = {.fd = -1, .flags = flags};
	struct show show = {.cli = cli, .json = {stdout, false}};
	OWNED(content_key_freep) struct content_key *key = NULL;
	struct digest verified, opened;
	uint8_t first[64];
	size_t n;
	int rc = open_file(path, &in, err);

	if (rc < 0) {
		fd_closep(&in.fd);
		return rc;
	}
	n = in.size < sizeof(first) ? (size_t)in.size : sizeof(first);
	rc = fd_pread(in.fd, first, n, 0, err);
	in.kind = inspect_kind((struct bytes){first, n});
	if (cli->json)
		json_open(&show.json, NULL, '{');
	if (rc == 0 && (in.kind == INSPECT_UNKNOWN || in.kind == INSPECT_KEY))
		rc = err_set(err, RC_MALFORMED,
			     "%s is neither a bundle nor a signed or sealed document", path);
	else if (rc == 0 && in.kind == INSPECT_SEALED)
		rc = sealed_words(&in, &show, err);
	if (rc == 0 && verify && in.kind == INSPECT_SEALED)
		rc = err_set(err, RC_USAGE,
			     "%s is sealed: only the server can verify it, with satchel collect",
			     path);
	if (rc == 0 && verify && in.kind == INSPECT_PLAIN)
		rc = err_set(err, RC_UNTRUSTED, "%s waits for its first signature", path);
	if (rc == 0 && verify)
		rc = check_signature(cli, args, path, &in, &show, &verified, err);
	in.verified = verify ? &verified : NULL;
	if (rc == 0 && content_key_find(cli, &in, &key, &opened) == 1) {
		in.key = key;
		in.verified = &opened;
	}
	if (rc == 0 && in.kind != INSPECT_SEALED) {
		rc = inspect_run(&in, show_value, &show, err);
		if (rc == RC_INCOMPLETE && is_part(path))
			err_set(
			    err, rc,
			    "it is one part of a bundle: satchel carry to another depot checks it "
			    "and joins the parts");
		if (rc < 0)
			err_prefix(err, "%s", path);
	}
	if (rc == 0)
		rc = show_value(&show, "verdict",
				!verify ? "not verified; satchel verify checks it"
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
static int inspect_each(struct cli *cli, const struct args *args, enum inspect_flags flags,
			bool verify, struct err *err)
{
	if (args->rest_n == 1)
		return inspect_at(cli, args, args->rest[0], flags, verify, err);
	for (size_t i = 0; i < args->rest_n; i++) {
		struct err bad = {0};

		if (!cli->json)
			printf("%s%s\n", i > 0 ? "\n" : "", args->rest[i]);
		if (inspect_at(cli, args, args->rest[i], flags, verify, &bad) == 0)
			continue;
		reporter_warning(cli->reporter, "%s", bad.text);
		if (err->rc == 0)
			*err = bad;
	}
	return err->rc;
}

int cmd_inspect(struct cli *cli, const struct args *args, struct err *err)
{
	return inspect_each(cli, args, args_has(args, "changes") ? INSPECT_CHANGES : 0, false, err);
}

int cmd_verify(struct cli *cli, const struct args *args, struct err *err)
{
	return inspect_each(cli, args, INSPECT_DEEP, true, err);
}
