#!/bin/sh
# SPDX-License-Identifier: ISC
# The state of the server is lost (keys, registry, content store), and there is no backup.  What is left: the documents
# (site.yaml and the directories beside it), a root key, and the depot, or any copy of it.
#
# Nothing is kept from workstations meanwhile: they hold what they have.  Expects SITE, and ROOT, the file of the root key.
set -eu

# A new registry of what the depot has; new keys for all roles, in new versions of the trust document.
satchel -s "$SITE" recover --rebuild --root-key "$ROOT"

# Put the root key away again: whoever has the server must not have it.
rm "$SITE.state/keys/root.key"

# Channels begin with a full bundle of their sources, above the numbers that were used.
satchel -s "$SITE" publish

# By their next sync the workstations ask to be enrolled again, each with the keys that it always had.  From then on:
#   satchel -s "$SITE" collect
#   satchel -s "$SITE" workstation list                     # who waits
#   satchel -s "$SITE" workstation approve ID --name NAME   # compare the fingerprint with the one it shows
#   satchel -s "$SITE" publish; collect, after its next sync
#   satchel -s "$SITE" recover accept NAME                  # users and keys that it holds
#   satchel -s "$SITE" publish
