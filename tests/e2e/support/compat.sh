# SPDX-License-Identifier: ISC
# compat.sh: sourced with MADE, the version that made a site and its workstations, in the middle of a working week
# (tests/compat/make).  They open with this program and go on: it says the same of them, and collects, publishes, applies and
# confirms as if nothing had happened.
. "$TOP/tests/e2e/support/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "what was made as root is unpacked as root"
compat="$TOP/tests/compat"
quiet() { "$@" > quiet 2>&1 || { cat quiet && fail "\"$*\" ended with $?"; }; }
at() { # at DAY HH:MM of December 2026
	SATCHEL_CLOCK=$(date -u -d "2026-12-0$1 $2" +%s) && export SATCHEL_CLOCK
}
# whole NAME: the workstation holds what is published, and nothing differs from what was applied
whole() {
	same_tree office "$1/root/srv/office"
	[ ! -d "$1/root/srv/plans" ] || same_tree plans "$1/root/srv/plans"
	expect 0 station "$1" drift
}
person() { # person EMAIL COLOUR
	server status users --json > users.json
	got=$(/usr/bin/python3 -c 'import json, sys
print([u["colour"] + " " + u["reason"] for u in json.load(open(sys.argv[1])) if u["email"] == sys.argv[2]][0])' users.json "$1")
	[ "${got%% *}" = "$2" ] || fail "$1 is \"$got\", not $2"
}

zstd -dcq --long=27 "$compat/$MADE.tar.zst" | tar --numeric-owner --warning=no-timestamp -xf -
"$compat/relocate" "$WORK"
mv answers before
cp -r depot depot.was
at 3 09:00

say "every listing says what it said"
"$compat/ask"
expect 0 "$compat/same" before answers
said "listings say the same"
colour gone grey
colour lab-1 orange
colour lab-2 red
colour lab-3 grey

say "the databases are what new ones are"
satchel init "$WORK/new" --name New --depot "$WORK/new-depot" > /dev/null
quiet station new enrol "$(satchel -s new invite new 2> /dev/null)" --depot "$WORK/new-depot" --name new
for name in lab-1 lab-2 gone guest; do
	quiet station $name status
	expect 0 "$compat/schema" "$name/state/state.db" new/state/state.db
done
expect 0 "$compat/schema" site.state/registry.db new.state/registry.db

say "nothing that lay in the depot was touched by looking"
diff -r depot.was depot || fail "something changed in the depot"

if [ "$MADE" = 0.1.0 ]; then
	say "two hands wait until everybody reads the formats of that"
	expect 8 server trust split
	said "lab-1, lab-2"
	said "have not reported"
fi
diff -r depot.was depot || fail "something changed in the depot"

say "the code that was read aloud before counts"
expect 0 server confirm "$(cat confirmation)"
said "confirmed lab-2"

say "the receipts and the request that lay there are collected"
expect 0 server collect
said "collected 2 receipts"
said "1 user made active"
colour lab-1 green
person anna@acme.example green

say "what nobody had published is published, once"
expect 0 server publish
said "office: generation 4"
expect 0 server publish
said "nothing changed"
colour lab-1 orange

say "every workstation goes on, and confirms"
old_keys=$([ -e lab-1/state/keys/codes.key ] || echo yes)
for name in lab-1 lab-2; do expect 0 station $name sync; done
expect 0 server sync
# Of workstations from before there were such keys, the receipts told new ones: one for codes, and one that the next private bundle
# is sealed to.
for name in ${old_keys:+lab-1 lab-2}; do
	[ -e $name/state/keys/codes.key ] && [ -e $name/state/keys/seal-next.key ] || fail "no new key was made"
	expect 0 station $name sync
	[ ! -e $name/state/keys/seal-next.key ] || fail "the new key was not taken"
done
expect 0 server collect
for name in lab-1 lab-2; do colour $name green && whole $name; done
person anna@acme.example green
person bert@acme.example purple
person carl@acme.example blue
person dora@acme.example grey
[ "$(stat -c %u lab-2/handout/games/keys/south)" = "$(id -u games)" ] || fail "the key was not handed out"
expect 5 station gone apply

invitation=$(cat invitation)
if [ "$MADE" = 0.1.0 ]; then
	say "the invitation that was open pins too little and is refused; a new one is good"
	expect 2 station lab-3 enrol "$invitation" --depot "$WORK/depot" --name lab-3
	said "made by satchel 0.1"
	said "satchel invite"
	invitation=$(server invite lab-3)
fi
say "who was invited enrols, and the machine that waited is let in"
quiet station lab-3 enrol "$invitation" --depot "$WORK/depot" --name lab-3
expect 0 server workstation approve "$(cat fingerprint)" --name guest
expect 0 server sync
for name in lab-3 guest; do expect 0 station $name sync; done
expect 0 server collect
for name in lab-3 guest; do colour $name green && whole $name; done

say "the stick that was on its way is counted, and goes on"
expect 0 server carry depot stick --for lab-2
expect 0 server depot list
said "$WORK/stick"

say "the trust document that waited for the root key is signed when that is there"
mv root.key site.state/keys/root.key
expect 0 server trust drop
said "is discarded"
expect 0 server trust drop
said "no trust version waits"
expect 0 server trust renew
expect 0 server publish
for name in lab-1 lab-2 lab-3 guest; do expect 0 station $name sync; done
expect 0 server collect
[ "$MADE" != 0.1.0 ] || expect 0 server trust split
expect 0 server publish
for name in lab-1 lab-2 lab-3 guest; do expect 0 station $name sync && whole $name; done
"$SATCHEL" inspect "$(ls -t depot/channels/office/*.head | head -n 1)" > "$WORK/inspected"
grep -q "^release" "$WORK/inspected" || fail "the head is not one of two hands"
mv site.state/keys/root.key root.key
expect 0 server collect
for name in lab-1 lab-2 lab-3 guest; do colour $name green; done

say "a new week: keys, messages, users, a code, and a change of everything"
at 4 08:00
expect 0 server key rotate vault
expect 0 server message send all --subject "A new week"
expect 0 server user set dora@acme.example --group staff
expect 0 server user resume dora@acme.example
echo four > office/welcome
mkdir office/folder && cp office/tool office/folder/tool
expect 0 server publish
for name in lab-1 lab-3 guest; do expect 0 station $name sync; done
expect 0 server collect
expect 0 station lab-2 apply --code
expect 0 server confirm "$(sed -n 's/^confirmation code: //p' said)"
for name in lab-1 lab-2 lab-3 guest; do colour $name green && whole $name; done

say "doctor finds nothing wrong anywhere"
expect 0 server doctor
said "nothing is wrong"
for name in lab-1 lab-2 lab-3 guest; do expect 0 station $name doctor && said "nothing is wrong"; done

say "and whoever is deleted leaves"
expect 0 server workstation remove gone
expect 0 server user remove dora@acme.example --confirm dora@acme.example
expect 0 server sync
