/* SPDX-License-Identifier: ISC */
/*
 * Where a passphrase comes from: a file that was named, a credential of systemd, or the terminal.
 */
#ifndef SATCHEL_CLI_FRAME_PASSPHRASE_H
#define SATCHEL_CLI_FRAME_PASSPHRASE_H

#include "core/trust/key.h"

/* Begins with what core asks through. */
struct passphrase {
	struct key_ask ask;
	const char *file; /* borrowed; its first line is the passphrase; NULL: none was named */
	const char *credential; /* its name in $CREDENTIALS_DIRECTORY; NULL: none is looked for */
	bool fresh;             /* a new one: the terminal asks for it twice */
};

/** passphrase_store(p, file): of the key store: ${file} (--passphrase-file), else the file that
 * SATCHEL_PASSPHRASE_FILE names, else the credential `keystore`, else the terminal. */
void passphrase_store(struct passphrase *p, const char *file);
/** passphrase_new(p, file): one that is to be set: of ${file}, or asked for twice. */
void passphrase_new(struct passphrase *p, const char *file);
/** passphrase_terminal(p): of something else, always from the terminal. */
void passphrase_terminal(struct passphrase *p);

#endif
