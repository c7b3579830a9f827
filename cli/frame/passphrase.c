/* SPDX-License-Identifier: ISC */
/*
 * Where a passphrase comes from.  It is never taken from the command line or the environment, which
 * other processes can read, nor from standard input, which may be a pipe meant for something else.
 */
#include "cli/frame/passphrase.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/os/durable.h"

#define PASSPHRASE_FILE_MAX 4096

/* One line of the terminal, which shows nothing of it. */
static int line_ask(int tty, const char *prompt, const char *what, char *dst, size_t size)
{
	struct termios was, quiet;
	size_t n = 0;
	char c;

	if (tcgetattr(tty, &was) < 0)
		return -1;
	dprintf(tty, "%s of %s: ", prompt, what);
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(tty, TCSAFLUSH, &quiet);
	while (read(tty, &c, 1) == 1 && c != '\n' && n + 1 < size)
		dst[n++] = c;
	dst[n] = '\0';
	tcsetattr(tty, TCSAFLUSH, &was);
	dprintf(tty, "\n");
	return 0;
}

static int again(int tty, const char *what, const char *first, size_t size, struct err *err)
{
	OWNED(secret_freep) char *second = secret_new(size);
	bool same;

	if (second == NULL)
		return err_memory(err);
	same =
	    line_ask(tty, "the same again", what, second, size) == 0 && strcmp(first, second) == 0;
	return same ? 0 : err_set(err, RC_USAGE, "the two passphrases differ; nothing was changed");
}

/* From the terminal itself, so that a pipe on standard input is never taken for one. */
static int terminal_ask(const struct passphrase *p, const char *what, char *dst, size_t size,
			struct err *err)
{
	OWNED(fd_closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	const char *option = p->fresh                ? "--new-passphrase-file"
			     : p->credential != NULL ? "--passphrase-file"
						     : NULL;

	if (tty < 0 ||
	    line_ask(tty, p->fresh ? "new passphrase" : "passphrase", what, dst, size) < 0)
		return err_set(err, RC_USAGE,
			       "%s needs a passphrase, and there is no terminal to ask for it%s%s",
			       what, option != NULL ? "; name a file that holds it with " : "",
			       option != NULL ? option : "");
	return p->fresh ? again(tty, what, dst, size, err) : 0;
}

/* A file that others can read holds no secret. */
static int file_judge(int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat the file");
	if (!S_ISREG(st.st_mode))
		return err_set(err, RC_TYPE, "it is not a regular file");
	if ((st.st_mode & 077) != 0)
		return err_set(
		    err, RC_POLICY,
		    "others may read or write it (mode %04o): chmod 600 it, and choose another "
		    "passphrase if somebody may have read it",
		    (unsigned)st.st_mode & 07777);
	return 0;
}

static int file_take(int fd, char *dst, size_t size, struct err *err)
{
	OWNED(buf_wipe) struct buf text = BUF_SECRET;
	size_t n = 0;
	int rc = buf_reserve(&text, PASSPHRASE_FILE_MAX, err);

	if (rc == 0)
		rc = fd_read(fd, text.p, PASSPHRASE_FILE_MAX, &n, err);
	if (rc < 0)
		return rc;
	text.p[n] = '\0';
	n = strcspn((const char *)text.p, "\n");
	if (n == 0 || n >= size)
		return err_set(err, RC_MALFORMED,
			       "its first line is not a passphrase of 1 to %zu characters",
			       size - 1);
	memcpy(dst, text.p, n);
	dst[n] = '\0';
	return 0;
}

static int file_ask(int fd, const char *path, char *dst, size_t size, struct err *err)
{
	int rc = file_judge(fd, err);

	if (rc == 0)
		rc = file_take(fd, dst, size, err);
	return rc < 0 ? err_prefix(err, "passphrase file %s", path) : 0;
}

static int ask(struct key_ask *at, const char *what, char *dst, size_t size, struct err *err)
{
	const struct passphrase *p = (const struct passphrase *)at;
	const char *dir = p->credential == NULL ? NULL : getenv("CREDENTIALS_DIRECTORY");
	OWNED(fd_closep) int fd = -1;
	char path[4096];

	if (p->file != NULL) {
		fd = open(p->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return err_sys(err, RC_IO, "passphrase file %s", p->file);
		return file_ask(fd, p->file, dst, size, err);
	}
	if (dir != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, p->credential);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	return fd >= 0 ? file_ask(fd, path, dst, size, err) : terminal_ask(p, what, dst, size, err);
}

void passphrase_store(struct passphrase *p, const char *file)
{
	*p = (struct passphrase){.ask = {ask}, .credential = "keystore"};
	p->file = file != NULL ? file : getenv("SATCHEL_PASSPHRASE_FILE");
}

void passphrase_new(struct passphrase *p, const char *file)
{
	*p = (struct passphrase){.ask = {ask}, .file = file, .fresh = true};
}

void passphrase_terminal(struct passphrase *p)
{
	*p = (struct passphrase){.ask = {ask}};
}
