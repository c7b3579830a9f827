#!/bin/sh
# SPDX-License-Identifier: ISC
# sign.sh: what the other scripts share.  Sourced with SITE set.
#
# with_root KEY...: carry the trust document that waits to the machine with the root keys, sign it there with each, bring
# the signatures back.  On that machine minisign is all that is needed; KEY.pub lies beside each KEY.key.
satchel_site() { satchel -s "$SITE" "$@"; }
with_root() {
	for key; do
		satchel_site trust pending > to-sign
		minisign -S -l -s "$key.key" -m to-sign -x signature
		satchel_site trust import signature --key "$key.pub"
	done
}
