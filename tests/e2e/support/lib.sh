# SPDX-License-Identifier: ISC
# lib.sh: what every end-to-end test stands on.  Sourced with TOP, SATCHEL and WORK set; runs in an
# empty directory of its own.
set -eu
umask 022
unset SATCHEL_SITE NO_COLOR
export TERM=dumb
MASKED=$(id -u)

satchel() { "$SATCHEL" "$@"; }
server() { "$SATCHEL" -s "$WORK/site" "$@"; }
station() { # station NAME COMMAND...
	station_name=$1
	shift
	"$SATCHEL" -w "$WORK/$station_name" "$@"
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
skip() {
	echo "$*"
	exit 77
}
say() { echo "-- $*"; }

# expect STATUS COMMAND...: the command ends with that status; what it said is in ./said
expect() {
	want=$1
	shift
	set +e
	"$@" > "$WORK/said" 2>&1
	got=$?
	set -e
	[ "$got" -eq "$want" ] || {
		cat "$WORK/said"
		fail "\"$*\" ended with $got, not with $want"
	}
}
said() { grep -qF -- "$1" "$WORK/said" || { cat "$WORK/said"; fail "it did not say \"$1\""; }; }

same_tree() { # same_tree DIR DIR
	"$TOP/tests/e2e/support/tree" "$1" > "$WORK/tree.1"
	"$TOP/tests/e2e/support/tree" "$2" > "$WORK/tree.2"
	cmp -s "$WORK/tree.1" "$WORK/tree.2" || {
		diff "$WORK/tree.1" "$WORK/tree.2" | head -n 20
		fail "$1 and $2 differ"
	}
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; WHAT is said when it does not.  A bound costs time
# only when something is wrong, so it is far beyond what a busy machine needs.
wait_for() {
	wait_left=$(($1 * 20))
	wait_what=$2
	shift 2
	until "$@" > "$WORK/waited" 2>&1; do
		wait_left=$((wait_left - 1))
		[ "$wait_left" -gt 0 ] || { cat "$WORK"/*.log "$WORK/waited" 2> /dev/null; fail "it did not come: $wait_what"; }
		sleep 0.05
	done
}
holds() { [ "$(cat "$1" 2> /dev/null)" = "$2" ]; } # holds FILE TEXT

at_exit() { :; } # what a test puts here is done when its watchers have ended
watchers_end() {
	# shellcheck disable=SC2086
	kill $WATCHERS 2> /dev/null || :
	# shellcheck disable=SC2086
	wait $WATCHERS 2> /dev/null || :
	at_exit
}

# watching NAME ARGUMENTS...: satchel ARGUMENTS watch in the background, what it says in NAME.log; ended at the exit
WATCHERS=
watching() {
	watching_name=$1
	shift
	"$SATCHEL" -v "$@" > "$WORK/$watching_name.log" 2>&1 &
	echo $! > "$WORK/$watching_name.pid"
	WATCHERS="$WATCHERS $!"
	trap watchers_end EXIT
	wait_for 90 "the watcher $watching_name" grep -q 'watching for' "$WORK/$watching_name.log"
}
unwatch() { # unwatch NAME: end that watcher, and wait until it is gone
	kill "$(cat "$WORK/$1.pid")"
	wait_for 90 "the end of the watcher $1" gone "$(cat "$WORK/$1.pid")"
}
gone() { ! kill -0 "$1"; }
log_says() { grep -qF -- "$2" "$WORK/$1.log"; } # log_says NAME TEXT

colour() { # colour WORKSTATION COLOUR
	server status --json > "$WORK/status.json"
	got=$(/usr/bin/python3 -c 'import json,sys
for w in json.load(open(sys.argv[1]))["workstations"]:
    if w["name"] == sys.argv[2]: print(w["colour"], w["reason"])' "$WORK/status.json" "$1")
	[ "${got%% *}" = "$2" ] || fail "workstation $1 is \"$got\", not $2"
}

new_site() { satchel init "$WORK/site" --name Acme --depot "$WORK/depot" > /dev/null; }

# enrolled NAME: invite, enrol, collect and publish, so that NAME knows its channels after the next apply
enrolled() {
	code=$(server invite "$1" 2> /dev/null)
	station "$1" enrol "$code" --depot "$WORK/depot" --name "$1" > /dev/null 2>&1
	server collect > /dev/null
	server publish > /dev/null
}

small_tree() { # a tree with every kind of entry
	mkdir -p "$1/etc/deep/er" "$1/empty" "$1/bin"
	echo "hello" > "$1/etc/motd"
	printf 'a\0b' > "$1/etc/binary"
	: > "$1/etc/nothing"
	head -c 300000 /dev/urandom > "$1/bin/tool"
	chmod 755 "$1/bin/tool"
	chmod 600 "$1/etc/binary"
	echo deep > "$1/etc/deep/er/file"
	ln -s ../etc/motd "$1/bin/link"
	ln -s /nowhere/at/all "$1/bin/dangling"
	ln "$1/bin/tool" "$1/bin/hard"
	truncate -s 5M "$1/etc/sparse"
	printf 'x' | dd of="$1/etc/sparse" bs=1 seek=3000000 conv=notrunc status=none
	echo odd > "$1/etc/$(printf 'new\nline')"
	echo odd > "$1/etc/$(printf 'esc\033[2J')"
	echo odd > "$1/etc/$(printf 'latin\351')"
	echo odd > "$1/etc/per%cent and space"
	touch -d '1969-12-31T23:59:58.123456789Z' "$1/etc/nothing"
	touch -d '2038-01-19T03:14:08.000000001Z' "$1/etc/motd"
	touch -h -d '2001-02-03T04:05:06.070809Z' "$1/bin/link"
	touch -d '2010-10-10T10:10:10Z' "$1/empty"
}

# depot_wanted: the paths of what the registry of the site says is in the depot, in order
depot_wanted() {
	/usr/bin/python3 -c 'import sqlite3, sys
with sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True) as db:
    for row in db.execute("SELECT path FROM outbox UNION SELECT path FROM bundle ORDER BY path"): print(row[0])' \
		"$WORK/site.state/registry.db"
}
# depot_sums: the digests of those files
depot_sums() { depot_wanted | (cd "$WORK/depot" && xargs sha256sum); }
