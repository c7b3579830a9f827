#!/bin/sh
# SPDX-License-Identifier: ISC
# A workstation whose state database is lost, or older than what the machine did: it says so at every command, and applies nothing
# until somebody decides.  Files in the targets stay as they are.  Expects SITE on the server, NAME, and on the workstation
# STATE (/var/lib/satchel), DEPOT and CODE.
#
# A virtual machine that was set back as a whole needs none of this: it notices by itself, and explains itself to the server.
set -eu

# Server: its keys are not believed any more, and there is a new code for the same name.
#   satchel -s "$SITE" workstation revoke "$NAME"
#   CODE=$(satchel -q -s "$SITE" invite "$NAME")
#   satchel -s "$SITE" publish

# Workstation: the old state is moved aside, not removed: undo copies of people's files are in the targets, not there.
mv "$STATE" "$STATE.old"
satchel ${DIR:+-w "$DIR"} enrol "$CODE" --depot "$DEPOT" --name "$NAME"

# Server: satchel collect, satchel publish.  Workstation: satchel sync.  Users become active again with satchel user code.
