#!/bin/sh
# SPDX-License-Identifier: ISC
# beat-key-stolen.sh: the thief could hold workstations at an old state, or run the sequence of beats up to its end.
#
# The new epoch puts the count of the thief out of the way.
set -eu
. "$(dirname "$0")/sign.sh"

satchel_site trust rotate beat --revoke
with_root root-a root-b
satchel_site trust epoch beat
with_root root-a root-b
satchel_site publish
