#!/bin/sh
# SPDX-License-Identifier: ISC
# root-key-lost.sh: one of three root keys is lost or was stolen: root-c.  A new one takes its place.
#
# Revoked, not retired: a revoked key counts for nothing, and invitations that are made from now on pin the new document.
set -eu
. "$(dirname "$0")/sign.sh"

number() { sed -n '1s/.* //p' "$1"; } # minisign writes it into the comment of the public key
minisign -G -W -s root-d.key -p root-d.pub
satchel_site trust add-root root-d.pub
with_root root-a root-b
satchel_site trust end "$(number root-c.pub)" --revoke
with_root root-a root-b
satchel_site publish
