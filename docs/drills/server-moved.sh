#!/bin/sh
# SPDX-License-Identifier: ISC
# The server moves to another machine: a backup on the old one, restore on the new one.  Expects SITE on the old machine, BACKUP (a
# file on a stick), PASS (a file with the passphrase, 0600) and NEW, the directory on the new machine.
set -eu

# Old machine: the last thing it does.  Two servers that publish for one site are noticed, and hold each other up.
satchel -s "$SITE" backup "$BACKUP" --new-passphrase-file "$PASS"

# New machine.  When the depot or the sources have other paths there, edit site.yaml and channels/*.yaml before publishing.
satchel restore "$BACKUP" "$NEW" --passphrase-file "$PASS"
satchel -s "$NEW" recover   # says that there is nothing to recover, unless the old machine went on
satchel -s "$NEW" publish
