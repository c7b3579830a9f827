#!/bin/sh
# words.sh: nothing unfinished is left behind, and the project speaks of itself alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
for pattern in 'TODO' 'FIXME' 'XXX' 'not implemented' '/work/' '/root/\.'; do
	if git grep -nI -e "$pattern" -- '*.c' '*.h' '*.sh' '*.md' '*.yaml' Makefile packaging tests man 2> /dev/null |
		grep -v '^tests/lint/words.sh:' | grep -v 'XXXXXX'; then
		echo "words.sh: \"$pattern\" does not belong here"
		bad=1
	fi
done
exit $bad
