#!/bin/sh
# SPDX-License-Identifier: ISC
# The registry is an old backup: `satchel publish` says that it is older than what it published.  Look first, then go on
# above what the depot has; a stick or a share that has more is named with --depot DIR.
set -eu

satchel -s "$SITE" recover --dry-run
satchel -s "$SITE" recover
satchel -s "$SITE" publish

# Workstations that hold more than this server knows of (orange, "held apart") keep it.  When their next receipt is here:
#   satchel -s "$SITE" recover accept NAME...
#   satchel -s "$SITE" publish
#
# Keys of the server that were made after the backup are missing: `recover` names them, and `satchel trust rotate ROLE` with a
# root key replaces them.  Invitations that were used since are open again in an old registry: revoke those you do not know.
