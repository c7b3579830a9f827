#!/bin/sh
# SPDX-License-Identifier: ISC
# generations-forged.sh: somebody with the publish key and the key of beats published generations of their own.
#
# Run publish-key-stolen.sh and beat-key-stolen.sh first.  A workstation that applied a forged generation, say 500, holds a
# higher number than the site has, and keeps it.  The new epoch starts the numbers anew: every workstation takes the site's
# first generation of it over anything of before.
#
# Mount every source before.  Under the new epoch each channel starts again from its source, with a full bundle; one whose
# source is not there has nothing to offer until it is, which is why this is a step of its own.
set -eu
. "$(dirname "$0")/sign.sh"

satchel_site trust epoch publish
with_root root-a root-b
satchel_site publish
