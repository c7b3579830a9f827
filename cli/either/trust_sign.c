/* SPDX-License-Identifier: ISC */
/*
 * trust sign: the hand that is not on the server.  It shows what it signs, signs nothing but trust
 * documents and releases, and remembers beside the key what it has vouched for: a server that was
 * taken over must not get another tree signed for a generation that was released before.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/frame/cli.h"
#include "cli/frame/passphrase.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "cli/inspect/inspect_child.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/documents/documents.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/trust/signed.h"

/* What one key has vouched for, a line each: far more than a site of a hundred channels needs. */
#define RECORD_MAX (16u << 20)

struct signing {
	struct cli *cli;
	struct strings says; /* owned: the trees that the document names, as inspect tells them */
	int64_t created;
	bool release; /* else a trust document */
};

static void signing_clear(struct signing *g)
{
	strings_clear(&g->says);
}

static int answer(void *arg, const char *name, const char *value, struct err *err)
{
	struct signing *g = arg;
	char shown[8 * LIMIT_PATH];

	if (name == NULL)
		return 0;
	if (strcmp(name, "says") == 0)
		return strings_add(&g->says, value, err);
	if (strcmp(name, "created") == 0)
		clock_parse(value, &g->created, ERR_IGNORED);
	err_escape(shown, sizeof(shown), value);
	printf("%-11s %s\n", name, shown);
	return 0;
}

/* What the child has answered of one tree: "SITE CHANNEL EPOCH GENERATION TREE". */
struct said {
	char site[DIGEST_HEX + 1], channel[CHANNEL_NAME], tree[DIGEST_HEX + 1];
	uint64_t epoch, generation;
};

static bool said_parse(const char *line, struct said *ret)
{
	char again[2 * DIGEST_HEX + CHANNEL_NAME + 64];

	if (sscanf(line, "%64[0-9a-f] %63[a-z0-9_-] %" SCNu64 " %" SCNu64 " %64[0-9a-f]", ret->site,
		   ret->channel, &ret->epoch, &ret->generation, ret->tree) != 5)
		return false;
	snprintf(again, sizeof(again), "%s %s %" PRIu64 " %" PRIu64 " %s", ret->site, ret->channel,
		 ret->epoch, ret->generation, ret->tree);
	return strcmp(again, line) == 0;
}

/* The answers as a release; before: owned by the caller. */
static int said_release(const struct signing *g, struct release *ret, struct err *err)
{
	int rc = 0;

	*ret = (struct release){.created = g->created};
	ret->before = calloc(g->says.n + 1, sizeof(*ret->before));
	if (ret->before == NULL)
		return err_memory(err);
	for (size_t i = 0; rc == 0 && i < g->says.n; i++) {
		struct digest tree = {0};
		struct said s;

		if (!said_parse(g->says.items[i], &s) || digest_parse(s.tree, &tree, err) < 0)
			return err_set(err, RC_INTERNAL,
				       "the process that reads it sent a malformed answer");
		if (i > 0) {
			ret->before[ret->befores++] = (struct release_tree){s.generation, tree};
			continue;
		}
		rc = digest_parse(s.site, &ret->site, err);
		snprintf(ret->channel, sizeof(ret->channel), "%s", s.channel);
		ret->epoch = s.epoch;
		ret->generation = s.generation;
		ret->tree = tree;
	}
	return rc;
}

/*
 * The child may have been taken over by what it read.  Its answers count when writing them down
 * again gives the very bytes that are to be signed.
 */
static int said_check(const struct signing *g, struct bytes inner, struct err *err)
{
	OWNED(release_clear) struct release r = {0};
	OWNED(buf_clear) struct buf again = BUF_INIT;
	int rc = said_release(g, &r, err);

	if (rc == 0 && release_encode(&r, &again, ERR_IGNORED) == 0 &&
	    bytes_equal(bytes_in(&again), inner))
		return 0;
	return rc < 0 ? rc
		      : err_set(err, RC_MALFORMED,
				"it is not in the form in which this satchel writes a release");
}

/* By the bytes alone. */
static int type_check(struct signing *g, enum inspect_kind kind, struct bytes raw,
		      struct bytes *ret_inner, struct err *err)
{
	struct signed_doc doc = {.inner = raw};
	int rc = kind == INSPECT_PLAIN ? 0 : signed_split(raw, LIMIT_LAYERS, &doc, err);

	if (rc < 0)
		return rc;
	*ret_inner = doc.inner;
	g->release = signed_type(doc.inner, "release/1");
	if (!g->release && !bytes_start(doc.inner, "satchel: trust/"))
		return err_set(err, RC_USAGE,
			       "only trust documents and releases are signed by hand, and this is "
			       "neither");
	return 0;
}

/* Parsed in a confined child: it comes from the server, on a stick.  Of a trust document what is
 * shown is the child's word; of a release, what is recorded is what is signed. */
static int file_show(struct signing *g, const char *path, struct buf *ret, struct err *err)
{
	OWNED(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct inspection in = {.fd = fd};
	struct bytes inner;
	struct digest is;
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, RC_TYPE, "%s is not a regular file", path);
	if (st.st_size > (off_t)LIMIT_DOCUMENT)
		return err_set(err, RC_LIMIT, "%s has more than %u bytes", path, LIMIT_DOCUMENT);
	rc = buf_reserve(ret, (size_t)st.st_size, err);
	if (rc == 0)
		rc = fd_pread(fd, ret->p, (size_t)st.st_size, 0, err);
	if (rc < 0)
		return err_prefix(err, "%s", path);
	ret->n = (size_t)st.st_size;
	is = digest_of(bytes_in(ret));
	in.size = ret->n;
	in.kind = inspect_kind(bytes_in(ret));
	in.verified = &is; /* what is shown is what is signed */
	if (in.kind != INSPECT_PLAIN && in.kind != INSPECT_SIGNED)
		return err_set(err, RC_MALFORMED,
			       "%s is not what trust pending or release pending prints", path);
	rc = type_check(g, in.kind, bytes_in(ret), &inner, err);
	if (rc == 0)
		rc = inspect_run(&in, answer, g, err);
	if (rc == 0 && g->release)
		rc = said_check(g, inner, err);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

/* The line up to its last word, the tree. */
static size_t about(const char *line)
{
	const char *last = strrchr(line, ' ');

	return last == NULL ? strlen(line) : (size_t)(last - line) + 1;
}

/*
 * Whoever signs a release vouches for the generations that its bundles pass through as well.  Those
 * that this key has not vouched for are told: one of them may have been refused.
 */
static void passes_print(const char *line)
{
	struct said s;

	if (said_parse(line, &s))
		printf("%-11s generation %" PRIu64 ", tree %s, which this key has not signed\n",
		       "passes", s.generation, s.tree);
}

/* Does the record say another tree for the same generation?  Lines that are new go to ${ret}. */
static int record_compare(const struct signing *g, const struct buf *record, struct buf *ret,
			  struct err *err)
{
	const char *text = record->n > 0 ? (const char *)record->p : "";

	for (size_t i = 0; i < g->says.n; i++) {
		const char *line = g->says.items[i];
		size_t n = about(line), all = strlen(line);
		const char *at = text;
		bool there = false;

		for (; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
			if (strncmp(at, line, n) != 0)
				continue;
			there = strncmp(at, line, all) == 0 && (at[all] == '\n' || at[all] == '\0');
			if (!there)
				return err_set(
				    err, RC_FORK,
				    "this key has signed another tree of the same generation (%.*s): if the "
				    "server was restored from a backup, raise its epoch with satchel trust "
				    "epoch publish and publish again; if it was not, it may be somebody else's",
				    (int)n - 1, line);
			break;
		}
		if (there)
			continue;
		if (i > 0 && g->release)
			passes_print(line);
		if (buf_printf(ret, err, "%s\n", line) < 0)
			return err->rc;
	}
	return 0;
}

struct hand {
	struct key_secret *key; /* owned */
	char *dir;              /* owned: of the key file */
	char *record;           /* owned: the name of the record in it */
	int dirfd;
};

static void hand_clear(struct hand *h)
{
	key_freep(&h->key);
	free(h->dir);
	free(h->record);
	fd_closep(&h->dirfd);
}

static int hand_open(const char *path, struct hand *h, struct err *err)
{
	OWNED(freep) char *for_dir = strdup(path);
	OWNED(freep) char *for_base = strdup(path);
	struct passphrase ask;
	char *base;

	if (for_dir == NULL || for_base == NULL)
		return err_memory(err);
	h->dir = strdup(dirname(for_dir));
	base = basename(for_base);
	if (h->dir == NULL || asprintf(&h->record, "%s.signed", base) < 0) {
		h->record = NULL;
		return err_memory(err);
	}
	h->dirfd = os_open_dir(h->dir, err);
	if (h->dirfd < 0)
		return h->dirfd;
	passphrase_terminal(&ask);
	return key_read(h->dirfd, base, &ask.ask, &h->key, err);
}

static int record_read(const struct hand *h, struct buf *ret, struct err *err)
{
	int rc = file_read(h->dirfd, h->record, RECORD_MAX, ret, err);

	return rc == RC_ABSENT ? 0 : rc;
}

/* Before the signature leaves: whoever has it has our word for these trees. */
static int record_write(const struct hand *h, struct buf *record, const struct buf *more,
			struct err *err)
{
	int rc = more->n == 0 ? 0 : buf_add(record, more->p, more->n, err);

	if (rc < 0 || more->n == 0)
		return rc;
	return durable_write(h->dirfd, h->record, bytes_in(record), 0600, DURABLE_REPLACE, err);
}

static int signature_write(const char *path, struct bytes text, char **ret, struct err *err)
{
	OWNED(freep) char *for_dir = strdup(path);
	OWNED(freep) char *for_base = strdup(path);
	OWNED(freep) char *name = NULL;
	OWNED(fd_closep) int dirfd = -1;

	if (for_dir == NULL || for_base == NULL ||
	    asprintf(&name, "%s.sig", basename(for_base)) < 0 || asprintf(ret, "%s.sig", path) < 0)
		return err_memory(err);
	dirfd = os_open_dir(dirname(for_dir), err);
	return dirfd < 0 ? dirfd : durable_write(dirfd, name, text, 0644, DURABLE_REPLACE, err);
}

static int sign_file(struct cli *cli, struct hand *h, const char *path, struct err *err)
{
	OWNED(signing_clear) struct signing g = {.cli = cli};
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(buf_clear) struct buf record = BUF_INIT;
	OWNED(buf_clear) struct buf more = BUF_INIT;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(freep) char *out = NULL;
	int rc = file_show(&g, path, &doc, err);

	if (rc == 0)
		rc = record_read(h, &record, err);
	if (rc == 0)
		rc = record_compare(&g, &record, &more, err);
	if (rc == 0)
		rc = signed_apart(h->key, bytes_in(&doc), &text, err);
	if (rc == 0)
		rc = record_write(h, &record, &more, err);
	if (rc == 0)
		rc = signature_write(path, bytes_in(&text), &out, err);
	if (rc < 0)
		return rc;
	printf("signature   %s\n", out);
	reporter_info(cli->reporter,
		      "bring it to the server: satchel %s import %s.sig --key KEY.pub",
		      g.release ? "release" : "trust", path);
	return 0;
}

int cmd_trust_sign(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(hand_clear) struct hand h = {.dirfd = -1};
	const char *key = args_text(args, "key", NULL);
	int rc;

	if (key == NULL)
		return err_set(err, RC_USAGE,
			       "trust sign needs --key, the secret key to sign with");
	rc = hand_open(key, &h, err);
	for (size_t i = 0; rc == 0 && i < args->rest_n; i++)
		rc = sign_file(cli, &h, args->rest[i], err);
	return rc;
}
