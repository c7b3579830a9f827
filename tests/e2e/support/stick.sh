# SPDX-License-Identifier: ISC
# stick.sh: one file system as a stick: the whole loop, yanked at 20 points, full, read-only.  Sourced by a test that has
# defined, for the image $WORK/image:
#   make_image            make the file system
#   daemon OPTIONS        serve it at $WORK/stick in the foreground (OPTIONS: rw or ro)
#   FULL_SAYS             how it says that it is full, when it is not in the usual way
#   repair                what a person does when it does not mount after a yank
. "$TOP/tests/e2e/support/parts.sh"

plug() { # plug [ro]
	daemon "${1:-rw}" > "$WORK/daemon.log" 2>&1 &
	DAEMON=$!
	for _ in $(seq 100); do
		mountpoint -q "$WORK/stick" && return 0
		gone $DAEMON && return 1
		sleep 0.02
	done
	return 1
}
unplug() {
	sync -f "$WORK/stick" 2> /dev/null || :
	umount "$WORK/stick" || umount -l "$WORK/stick" || :
	wait $DAEMON 2> /dev/null || :
}
calls() { awk '/^sysc/ {n += $2} END {print n + 0}' "/proc/$DAEMON/io"; } # what the daemon has read and written so far
# yank_after CALLS PID: when the daemon has made so many calls; false when the trip PID had ended before
yank_after() {
	/usr/bin/python3 - "$DAEMON" "$1" "$2" << 'END'
import os, signal, sys
daemon, most, trip = map(int, sys.argv[1:])
def calls():
    with open(f"/proc/{daemon}/io") as f:
        return sum(int(l.split()[1]) for l in f if l.startswith("sysc"))
def ended():
    with open(f"/proc/{trip}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "Z"
start = calls()
while calls() - start < most:
    if ended():
        sys.exit(1)
os.kill(daemon, signal.SIGKILL)
sys.exit(ended())
END
}
yank() { # the medium is gone in the middle of whatever it does
	kill -9 $DAEMON 2> /dev/null || :
	wait $DAEMON 2> /dev/null || :
	umount -l "$WORK/stick" 2> /dev/null || :
}
again() { # plug it in again, repaired when it has to be
	plug && return 0
	umount -l "$WORK/stick" 2> /dev/null || :
	repair > "$WORK/repair.log" 2>&1 || :
	plug || { cat "$WORK/daemon.log" "$WORK/repair.log"; fail "the stick does not mount any more"; }
}
at_end 'kill -9 $DAEMON 2> /dev/null; umount -l "$WORK/stick" 2> /dev/null'

# trip: what a person does with a stick: fill it at the server, plug it into the workstation, bring it back.  What each
# step ended with is in ./steps.
trip() {
	: > "$WORK/steps"
	satchel carry "$WORK/depot" "$WORK/stick/depot" --prune
	echo "carry $?" >> "$WORK/steps"
	station lab-1 apply
	echo "apply $?" >> "$WORK/steps"
	satchel carry "$WORK/stick/depot" "$WORK/depot"
	echo "carry $?" >> "$WORK/steps"
}
round() { # a whole trip that nothing disturbs
	(set +e; trip) > "$WORK/trip.log" 2>&1
	grep -v ' 0$' "$WORK/steps" && { cat "$WORK/trip.log"; fail "$1"; }
	server collect > /dev/null
	same_tree tree lab-1/root/srv/office
	colour lab-1 green
}
change() { # change NUMBER: another generation
	echo "$1" > tree/number
	head -c 200000 /dev/urandom > "tree/data-$(($1 % 5))"
	server publish > /dev/null
}

make_image
mkdir stick
plug || { cat "$WORK/daemon.log"; skip "the file system cannot be mounted here: $(tail -n 1 "$WORK/daemon.log")"; }

say "the whole loop"
new_site
mkdir tree
head -c 1000000 /dev/urandom > tree/large
echo 0 > tree/number
server channel add office --source tree --target /srv/office > /dev/null
satchel carry depot stick/depot > /dev/null
code=$(server invite lab-1 2> /dev/null)
station lab-1 enrol "$code" --depot "$WORK/stick/depot" --name lab-1 > /dev/null 2>&1
satchel carry stick/depot depot > /dev/null
server collect > /dev/null
server publish > /dev/null
round "a trip failed"
change 100
began=$(calls)
(set +e; trip) > trip.log 2>&1
took=$(($(calls) - began))
round "a trip failed"

say "yanked at 20 points of a trip of $took calls of the daemon"
yanked=0
for i in $(seq 20); do
	change "$i"
	(set +e; trip) > trip.log 2>&1 &
	trip=$!
	yank_after $((took * i / 21)) $trip && yanked=$((yanked + 1))
	yank
	wait $trip 2> /dev/null || :
	# What is torn waits; nothing of it looks like an attack, a fault of ours, or a change of somebody's.
	grep -vE ' (0|7)$' steps && { cat trip.log; fail "yank $i: a step ended in a way that alarms"; }
	again
	round "the trip after yank $i failed"
done
[ $yanked -ge 15 ] || fail "only $yanked of 20 yanks came in the middle of a trip"

say "plugged in beside a watcher it is noticed, synced, and safe to remove; nothing is typed"
change 150
satchel carry depot stick/depot --prune > /dev/null
unplug
uses lab-1 "$WORK/none"
watched lab-1 -w "$WORK/lab-1" watch
plug || fail "the stick does not mount any more"
wait_for 20 "a word that the stick may go" log_says lab-1 "safe to remove"
same_tree tree lab-1/root/srv/office
umount stick || fail "a stick that is safe to remove is in use"
wait $DAEMON 2> /dev/null || :
kill "$(cat lab-1.pid)"
wait "$(cat lab-1.pid)" || :
uses lab-1 "$WORK/stick/depot"
plug || fail "the stick does not mount any more"
satchel carry stick/depot depot > /dev/null
server collect > /dev/null
colour lab-1 green

say "a stick that is full takes nothing by half, and says how much it wants"
change 200
dd if=/dev/zero of=stick/full bs=64k status=none 2> /dev/null || :
dd if=/dev/zero of=stick/full2 bs=512 status=none 2> /dev/null || :
expect 7 satchel carry depot stick/depot
said "${FULL_SAYS:-not enough space}"
rm -f stick/full stick/full2
round "the trip after the full stick failed"
change 201
satchel carry depot stick/depot > /dev/null
dd if=/dev/zero of=stick/full bs=64k status=none 2> /dev/null || :
dd if=/dev/zero of=stick/full2 bs=512 status=none 2> /dev/null || :
expect 7 station lab-1 apply
same_tree tree lab-1/root/srv/office
rm -f stick/full stick/full2
round "the receipt did not come back"

say "a read-only stick brings changes, and the receipt waits"
change 300
satchel carry depot stick/depot > /dev/null
unplug
plug ro || { cat daemon.log; fail "it cannot be mounted read-only"; }
expect 7 station lab-1 apply
same_tree tree lab-1/root/srv/office
expect 7 station lab-1 doctor
said "no depot at hand takes receipts"
unplug
plug || fail "the stick does not mount any more"
round "the receipt did not come back"
unplug
