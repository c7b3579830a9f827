#!/bin/sh
# SPDX-License-Identifier: ISC
# two-of-three.sh: root keys leave the server, and two of three must sign from now on.
#
# `satchel init` makes one root key beside the others, so that a site can begin at once.  Whoever takes the server then has
# everything.  Afterwards a thief of the server, or of one safe, cannot make a trust document.
set -eu
. "$(dirname "$0")/sign.sh"

# 1. On a machine that is never on a network: three keys, each to its own stick.  (-W leaves out the passphrase; without it
#    minisign asks for one.)
for name in root-a root-b root-c; do minisign -G -W -s "$name.key" -p "$name.pub"; done

# 2. The site's first root key vouches for them, while it is still on the server.
for name in root-a root-b root-c; do satchel_site trust add-root "$name.pub"; done

# 3. The first one is retired.  It must still sign this one time, and so must one of the new ones.
first=$(satchel_site trust show | awk '$1 == "key" && $3 == "current" && $4 == "root" { print $2; exit }')
satchel_site trust end "$first"
with_root root-a

# 4. Two of the three from now on.  Signed by one, because until now one is enough, and by a second, because from now on two are.
satchel_site trust threshold root 2
with_root root-a root-b
satchel_site publish

# 5. The first root key leaves the server: keep it on paper, or destroy it.  It signs nothing any more.
rm -f "$SITE.state/keys/root.key"
