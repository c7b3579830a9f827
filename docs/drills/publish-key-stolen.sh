#!/bin/sh
# SPDX-License-Identifier: ISC
# publish-key-stolen.sh: what the stolen key signed counts for nothing any more.
#
# Everything that it signed honestly is signed anew by the publish, also for channels whose source is not mounted just now,
# so no machine is left behind.  Bundles that it signed itself, from before there was a private key, get new names by that:
# carry to every stick and relay again, because what lies there under the old names is of no use any more.
#
# A publish key that was not on the server is revoked with `trust end NUMBER --revoke`; what waits then is signed with another
# one, as `release list` says.
#
# If the thief also had the key of beats, run beat-key-stolen.sh, and generations-forged.sh if they used both.
set -eu
. "$(dirname "$0")/sign.sh"

satchel_site trust rotate publish --revoke
with_root root-a root-b
satchel_site publish
