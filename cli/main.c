/* SPDX-License-Identifier: ISC */
/*
 * The program begins here: global options, the choice of a command, and the one place that prints
 * an error and turns it into an exit status.
 */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/frame/cli.h"
#include "cli/frame/passphrase.h"
#include "cli/frame/term.h"
#include "core/base/own.h"

#ifndef SATCHEL_VERSION
#define SATCHEL_VERSION "0"
#endif

struct globals {
	const char *site, *station, *passphrase;
	bool quiet, verbose, json;
};

/*
 * The options that every command knows stand before or behind the command's words.  They are taken
 * out here, so that a command's own table need not repeat them.
 */
static int take_globals(int *argc, char **argv, struct globals *g, struct err *err)
{
	int kept = 0;

	for (int i = 0; i < *argc; i++) {
		const char *a = argv[i];
		const char **value = strcmp(a, "-s") == 0                  ? &g->site
				     : strcmp(a, "-w") == 0                ? &g->station
				     : strcmp(a, "--passphrase-file") == 0 ? &g->passphrase
									   : NULL;

		if (strcmp(a, "--") == 0) {
			while (i < *argc)
				argv[kept++] = argv[i++];
			break;
		}
		if (value != NULL) {
			if (i + 1 >= *argc)
				return err_set(err, RC_USAGE, "%s needs a %s", a,
					       a[1] == '-' ? "file" : "directory");
			if (*value != NULL)
				return err_set(err, RC_USAGE, "%s is given twice", a);
			*value = argv[++i];
		} else if (strcmp(a, "-q") == 0 || strcmp(a, "--quiet") == 0) {
			g->quiet = true;
		} else if (strcmp(a, "-v") == 0 || strcmp(a, "--verbose") == 0) {
			g->verbose = true;
		} else if (strcmp(a, "--json") == 0) {
			g->json = true;
		} else {
			argv[kept++] = argv[i];
		}
	}
	*argc = kept;
	return 0;
}

/* The command whose words argv begins with; two words win over one.  *ret_words says how many. */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
	const struct command *found = NULL;

	for (size_t i = 0; i < commands_n; i++) {
		const char *space = strchr(commands[i].name, ' ');
		size_t first =
		    space ? (size_t)(space - commands[i].name) : strlen(commands[i].name);

		if (argc < 1 || strlen(argv[0]) != first ||
		    strncmp(argv[0], commands[i].name, first) != 0)
			continue;
		if (space == NULL && found == NULL) {
			found = &commands[i];
			*ret_words = 1;
		} else if (space != NULL && argc > 1 && strcmp(argv[1], space + 1) == 0) {
			*ret_words = 2;
			return &commands[i];
		}
	}
	return found;
}

static int unknown_command(int argc, char **argv, struct err *err)
{
	const char *names[ARGS_MAX * 2];
	char two[128];
	const char *meant;
	size_t n = 0, first = strlen(argv[0]);
	bool group = false; /* the first word is one of commands that have two */

	while (n < commands_n && n < ARRAY_LEN(names)) {
		const char *name = commands[n].name;

		group = group || (strncmp(name, argv[0], first) == 0 && name[first] == ' ');
		names[n++] = name;
	}
	snprintf(two, sizeof(two), "%s %s", argv[0], argc > 1 ? argv[1] : "");
	meant = nearest(two, names, n);
	if (meant == NULL)
		meant = nearest(argv[0], names, n);
	group = group && argc > 1;
	if (meant != NULL)
		return err_set(err, RC_USAGE,
			       "there is no command \"%s\"; did you mean satchel %s?",
			       group ? two : argv[0], meant);
	return err_set(err, RC_USAGE, "there is no command \"%s\"; satchel%s%s --help lists them",
		       group ? two : argv[0], group ? " " : "", group ? argv[0] : "");
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int dispatch(struct cli *cli, int argc, char **argv, struct err *err)
{
	const struct command *c;
	struct args args;
	int words = 0, rc;

	if (argc == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
	    (strcmp(argv[0], "help") == 0 && argc == 1)) {
		help_program(stdout);
		return 0;
	}
	if (strcmp(argv[0], "--version") == 0) {
		puts("satchel " SATCHEL_VERSION);
		return 0;
	}
	if (strcmp(argv[0], "help") == 0) {
		argc--;
		argv++;
		if (argc == 1 && strcmp(argv[0], "colours") == 0) {
			help_colours(stdout);
			return 0;
		}
		c = find_command(argc, argv, &words);
		if (c == NULL || words < argc)
			return help_group(stdout, argv[0]) ? 0 : unknown_command(argc, argv, err);
		help_command(stdout, c);
		return 0;
	}
	c = find_command(argc, argv, &words);
	if (c == NULL) {
		if ((argc == 1 || wants_help(argc, argv)) &&
		    help_group(argc == 1 ? stderr : stdout, argv[0]))
			return argc == 1 ? err_set(err, RC_USAGE,
						   "%s: choose one of the commands above", argv[0])
					 : 0;
		return unknown_command(argc, argv, err);
	}
	if (wants_help(argc - words, argv + words)) {
		help_command(stdout, c);
		return 0;
	}
	rc = args_parse(c, argc - words, argv + words, &args, err);
	if (rc < 0)
		return rc;
	return c->run(cli, &args, err);
}

/*
 * Whoever starts us with a standard descriptor closed must not have what we say written into the
 * next file that is opened.  What is put there refuses as a closed one does.
 */
static int standard_open(struct err *err)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return err_sys(err, RC_INTERNAL, "standard descriptor %d is closed", fd);
	return 0;
}

/* Closing stdout is where a full disk or a closed pipe shows: an answer that was not written is an
 * error. */
static int finish(int rc, struct err *err, struct term *term)
{
	char shown[4 * ERR_TEXT_MAX];

	term_line_end(term);
	/* Of a long answer the last piece may be written although an earlier one was not. */
	if (fflush(stdout) != 0 && rc == 0)
		rc = err_sys(err, RC_IO, "cannot write the answer to standard output");
	if (ferror(stdout) && rc == 0)
		rc = err_set(err, RC_IO, "cannot write all of the answer to standard output");
	/* What was told while it happened needs no second telling. */
	if (rc < 0 && err->text[0] != '\0' && !term_warned(term, err->text)) {
		err_escape(shown, sizeof(shown), err->text);
		fprintf(stderr, "%s%s\n", term_begin(term, '3'), shown);
	}
	return (int)rc_class(rc);
}

int main(int argc, char **argv)
{
	struct globals g = {0};
	struct err err = {0};
	struct term term;
	struct passphrase passphrase;
	struct cli cli = {0};
	int rc;

	/* What the program makes is for its owner and, where a mode says so, for others: never
	 * more. */
	umask(022);
	/* A crash, which a hostile depot may be able to cause, leaves no keys lying about. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	/* A file that may not grow is an error like a disk that is full, with a sentence. */
	signal(SIGXFSZ, SIG_IGN);
	argc = argc > 0 ? argc - 1 : 0;
	rc = standard_open(&err);
	if (rc < 0)
		return (int)rc_class(rc);
	rc = take_globals(&argc, argv + 1, &g, &err);
	term_init(&term, g.quiet, g.verbose);
	if (rc == 0 && sodium_init() < 0)
		rc = err_set(&err, RC_INTERNAL, "cannot start libsodium");
	if (rc == 0) {
		cli.site = g.site != NULL      ? g.site
			   : g.station == NULL ? getenv("SATCHEL_SITE")
					       : NULL;
		cli.station = g.station;
		cli.json = g.json;
		cli.quiet = g.quiet;
		passphrase_store(&passphrase, g.passphrase);
		cli.passphrase = &passphrase;
		cli.term = &term;
		cli.reporter = &term.reporter;
		rc = dispatch(&cli, argc, argv + 1, &err);
	}
	return finish(rc, &err, &term);
}
