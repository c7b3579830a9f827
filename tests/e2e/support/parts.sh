# SPDX-License-Identifier: ISC
# parts.sh: what tests with other people's programs stand on; sourced after lib.sh.  Everything that is started or
# mounted is ended by the test, and nothing leaves this machine.
AT_END=
at_end() { AT_END="$* || :; $AT_END"; } # at_end COMMAND...: when the test ends, the last one first
trap 'set +e; eval "$AT_END"' EXIT

needs() { # needs PROGRAM...
	for needed; do
		command -v "$needed" > /dev/null || skip "$needed is not installed"
	done
}
needs_fuse() {
	[ "$(id -u)" -eq 0 ] || skip "only root mounts"
	[ -c /dev/fuse ] || skip "this kernel has no FUSE"
	needs fusermount3 mountpoint
}
gone() { ! kill -0 "$1" 2> /dev/null; } # gone PID
end() { # end PID: and wait until it has
	kill "$1" 2> /dev/null || return 0
	wait "$1" 2> /dev/null || :
}
free_port() {
	/usr/bin/python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
uses() { # uses STATION DEPOT: the only depot of its configuration
	sed -i "s#^  - .*#  - \"$2\"#" "$WORK/$1/workstation.yaml"
}
watched() { # watched NAME ARGUMENTS...: a watcher, as watching of lib.sh, ended with everything else
	watching "$@"
	at_end "kill $WATCHERS 2> /dev/null; wait $WATCHERS"
	trap 'set +e; eval "$AT_END"' EXIT
}
