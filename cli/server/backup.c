/* SPDX-License-Identifier: ISC */
/*
 * backup, restore: the whole of a site in one closed file, and back.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/backup/backup.h"
#include "cli/frame/passphrase.h"
#include "cli/frame/show.h"
#include "cli/server/server.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

static void counts_show(struct cli *cli, const char *done, const char *what,
			const struct backup_counts *n)
{
	struct json j = {stdout, false};

	if (!cli->json) {
		printf("%s %s: %" PRIu64 " files, %" PRIu64 " bytes\n", done, what, n->files,
		       n->bytes);
		return;
	}
	json_open(&j, NULL, '{');
	json_text(&j, "path", what);
	json_u64(&j, "files", n->files);
	json_u64(&j, "bytes", n->bytes);
	json_close(&j, '}');
	putchar('\n');
}

int cmd_backup(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	const char *seal_to = args_text(args, "seal-to", NULL);
	struct backup_counts n = {0};
	struct key_public to;
	struct passphrase p;
	int rc = server_open(cli, SITE_UNREAD, &s, err);

	if (rc == 0 && seal_to != NULL)
		rc = cli_public_read(seal_to, &to, err);
	passphrase_new(&p, args_text(args, "new-passphrase-file", NULL));
	if (rc == 0)
		rc = backup_make(s, args->rest[0], &p.ask, seal_to != NULL ? &to : NULL,
				 args_has(args, "content") ? BACKUP_CONTENT : 0, &n, err);
	if (rc == 0)
		counts_show(cli, "backed up into", args->rest[0], &n);
	return rc;
}

/* FILE.key, to be moved to where no server can read it, and FILE.pub. */
int cmd_backup_key(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(freep) char *for_dir = strdup(args->rest[0]);
	OWNED(freep) char *for_base = strdup(args->rest[0]);
	OWNED(key_freep) struct key_secret *k = NULL;
	OWNED(fd_closep) int dirfd = -1;
	char name[LIMIT_NAME + 1];
	struct stat st;
	int rc;

	if (for_dir == NULL || for_base == NULL)
		return err_memory(err);
	if ((size_t)snprintf(name, sizeof(name), "%s.key", basename(for_base)) >= sizeof(name))
		return err_set(err, RC_USAGE, "a name that is too long");
	dirfd = os_open_dir(dirname(for_dir), err);
	if (dirfd < 0)
		return dirfd;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, RC_CONFLICT, "%s.key is there already", args->rest[0]);
	rc = site_key_make(dirfd, name, KEY_SEAL, &k, err);
	if (rc < 0)
		return rc;
	if (!cli->json)
		printf("made %s.key and %s.pub: keep the first one where this server cannot read "
		       "it\n",
		       args->rest[0], args->rest[0]);
	return 0;
}

int cmd_restore(struct cli *cli, const struct args *args, struct err *err)
{
	const char *file = args_text(args, "key", NULL);
	OWNED(freep) char *for_dir = strdup(file == NULL ? "." : file);
	OWNED(freep) char *for_base = strdup(file == NULL ? "." : file);
	OWNED(key_freep) struct key_secret *key = NULL;
	OWNED(fd_closep) int dirfd = -1;
	struct backup_counts n = {0};
	struct passphrase q;
	struct restore in = {.file = args->rest[0],
			     .dir = args->rest[1],
			     .state = args_text(args, "state", NULL),
			     .ask = &cli->passphrase->ask};
	int rc = 0;

	if (for_dir == NULL || for_base == NULL)
		return err_memory(err);
	passphrase_terminal(&q);
	if (file != NULL) {
		dirfd = os_open_dir(dirname(for_dir), err);
		rc = dirfd < 0 ? dirfd : key_read(dirfd, basename(for_base), &q.ask, &key, err);
	}
	in.key = key;
	if (rc == 0)
		rc = backup_restore(&in, &n, err);
	if (rc < 0)
		return rc;
	counts_show(cli, "restored into", args->rest[1], &n);
	reporter_info(cli->reporter,
		      "look at depot: and state: in site.yaml when this is another machine; then "
		      "satchel publish says whether it is older than what it published, and "
		      "satchel recover goes on above that");
	return 0;
}
