#!/bin/sh
# SPDX-License-Identifier: ISC
# server-broken-into.sh: every key on the server is known to somebody else.
#
# Install the server anew.  From a backup of before the break-in, put back
#
#   the documents                    and look through them
#   the state directory, all of it   the registry; keys/, where the old keys of `collect` open receipts that are under way;
#                                    store/; server.yaml
#   the master key of the key store  where it was, if `key store` was told to keep it elsewhere
#
# with their owner and modes, mount every source and the depot, and run this.  It makes anew: the keys of publish, private,
# beat and `collect`; every signature; and the numbers, because the restored registry gives out numbers that workstations
# hold already.  The root keys were not there, so workstations need no visit.
set -eu
. "$(dirname "$0")/sign.sh"

# Is the registry older than the last change of trust?  Then what it makes next would be a second document of one number,
# which no workstation follows.
depot=$(satchel_site depot list --json | sed -n 's/.*"home": *"\([^"]*\)".*/\1/p')
here=$(satchel_site trust show --json | sed -n 's/.*"version": *\([0-9]*\).*/\1/p')
there=$(ls "$depot/trust" | sed -n 's/^\([0-9]*\)-.*/\1/p' | sort -n | tail -n 1)
if [ "${there:-0}" -gt "$here" ]; then
	echo "the registry knows trust version $here, the depot has $there: restore a backup of after that change;" \
		"if your root keys did not sign $depot/trust/$there-*, the intruder put it there: move it away" >&2
	exit 1
fi

# No publish before the epochs are raised: it would give out numbers for a second time.
for role in publish private beat collect; do
	satchel_site trust rotate "$role" --revoke
	with_root root-a root-b
done
for role in publish private beat; do
	satchel_site trust epoch "$role"
	with_root root-a root-b
done
satchel_site publish

# Carry to every stick and relay again: all bundles have new names.
# Secrets of users that the server could open (licence and key material in the key store) are known too: give the key store
# another master key (satchel key store file), and rotate them.
satchel_site key list
