# SPDX-License-Identifier: ISC
# target.sh: one file system as a target: what it cannot hold is refused by name, what it can is right, also after it was
# away and is back, and after a kill.  Sourced by a test that has defined, for the image $WORK/image:
#   make_image            make the file system
#   daemon                serve it at $WORK/disk in the foreground
#   FOLDS=yes|            names that differ in case alone are one name there
#   LINKS=yes|            it holds symbolic links
#   SIGNS=yes|            it holds names with : and ?

plug() {
	daemon > "$WORK/daemon.log" 2>&1 &
	DAEMON=$!
	for _ in $(seq 200); do
		mountpoint -q "$WORK/disk" && return 0
		gone $DAEMON && return 1
		sleep 0.02
	done
	return 1
}
unplug() {
	umount "$WORK/disk" || umount -l "$WORK/disk" || :
	wait $DAEMON 2> /dev/null || :
}
again() { unplug; plug || { cat "$WORK/daemon.log"; fail "it does not mount any more"; }; }
at_end 'umount -l "$WORK/disk" 2> /dev/null; kill -9 $DAEMON 2> /dev/null'
contents() { (cd "$1" && find . ! -name '.satchel*' | sort && find . -type f ! -path './.satchel*' | sort | tr '\n' '\0' | xargs -0 sha256sum); }
same_contents() { contents "$WORK/src" > want; contents "$WORK/disk/office" > have; diff want have || fail "${1:-the target is not the source}"; }
publish() { server publish > /dev/null; }
right() { # applied, right, right when it is looked at, and green
	expect 0 station lab-1 apply
	same_contents
	expect 0 station lab-1 drift
	again
	expect 0 station lab-1 drift
	server collect > /dev/null
	colour lab-1 green
}

make_image
mkdir disk
plug || { cat "$WORK/daemon.log"; skip "the file system cannot be mounted here: $(tail -n 1 "$WORK/daemon.log")"; }

new_site
mkdir -p src/sub/deep
echo 1 > src/plain
echo 2 > src/Readme
for i in $(seq 8); do head -c 30000 /dev/urandom > "src/sub/b$i"; done
echo 3 > src/sub/deep/g
server channel add office --source src --target /office > /dev/null
enrolled lab-1
sed -i "s#^root:.*#root: \"$WORK/disk\"#" lab-1/workstation.yaml

say "applied, and looked at before and after it was away"
right
echo 22 > src/plain
rm src/sub/b1
publish
right

say "a name that it cannot hold: refused by name, and nothing is done; it heals when it is renamed"
contents disk/office > before
echo 5 > "src/what:is?"
echo 6 > src/plain
rm src/sub/b2
publish
if [ -n "$SIGNS" ]; then
	expect 0 station lab-1 apply
else
	expect 6 station lab-1 apply
	said "what:is?"
	said "cannot hold this name"
	contents disk/office | diff before - || fail "something was done"
	server collect > /dev/null
	colour lab-1 red
fi
mv "src/what:is?" src/what-is
publish
right

say "a new directory with such a name in it"
mkdir -p src/new/in
echo 1 > src/new/in/ok
echo 1 > "src/new/in/a*b"
publish
if [ -n "$SIGNS" ]; then
	expect 0 station lab-1 apply
else
	expect 6 station lab-1 apply
	said "new/in/a*b"
	[ ! -e disk/office/new ] || fail "something was done"
fi
rm "src/new/in/a*b"
publish
right

say "a link"
ln -s plain src/link
publish
if [ -n "$LINKS" ]; then
	expect 0 station lab-1 apply
else
	expect 6 station lab-1 apply
	said "link: it is a link"
fi
rm src/link
publish
right

say "two names that differ in case alone"
echo a > src/sub/pair
echo A > src/sub/PAIR
publish
if [ -n "$FOLDS" ]; then
	contents disk/office > before
	expect 6 station lab-1 apply
	said "sub/PAIR and sub/pair"
	contents disk/office | diff before - || fail "something was done"
else
	right
fi
rm src/sub/PAIR
publish
right

say "renamed in case alone: a file, and a directory; with another content, and with the same"
mv src/Readme src/README
mv src/sub src/Sub
publish
right
mv src/README src/readme
echo other > src/readme
publish
right

say "what somebody put there under another spelling is kept"
if [ -n "$FOLDS" ]; then
	echo mine > disk/office/NeW-File
	echo theirs > src/new-file
	publish
	expect 0 station lab-1 apply
	holds disk/office/new-file theirs || fail "it is not what was published"
	ls disk/office | grep -qx new-file || fail "it has another name"
	holds "$(find disk -iname new-file -path '*kept*')" mine || fail "what was there is not kept"
	right
fi

say "killed at renames, away and back: the next run ends it"
for at in 2 4 6 9; do
	echo "$at" > src/plain
	echo "$at" > "src/new/in/n$at"
	mv "src/Sub/b$((at % 4 + 3))" "src/Sub/b$((at % 4 + 3))x" 2> /dev/null || echo "$at" > "src/Sub/b$((at % 4 + 3))"
	publish
	strace -f -qq -o /dev/null -e trace=renameat2,renameat -e "inject=renameat2,renameat:signal=KILL:when=$at" \
		"$SATCHEL" -w lab-1 apply > killed 2>&1 || :
	again
	right
done
find disk -name '.satchel-stage*' -o -name '.satchel-trial*' | grep . && fail "something was left"
unplug
