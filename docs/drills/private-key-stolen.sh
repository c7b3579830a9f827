#!/bin/sh
# SPDX-License-Identifier: ISC
# private-key-stolen.sh: the thief could write private channels, policies and messages, once they also had the key of beats.
#
# They could make no content: that takes publish keys.  Private channels begin again in the new epoch, so what a workstation
# took from the thief is replaced whatever its number was, and every bundle that the key signed is signed anew and gets a new
# name: carry to every stick and relay again.
#
# Look through the events of workstations, and rotate the keys of users that may have been replaced (`satchel key list`).
set -eu
. "$(dirname "$0")/sign.sh"

satchel_site trust rotate private --revoke
with_root root-a root-b
satchel_site trust epoch private
with_root root-a root-b
satchel_site publish
