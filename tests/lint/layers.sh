#!/bin/sh
# layers.sh: every include points down.  core's layers, lowest first: base os trust format tree depot;
# bundler, applier and watcher include core and nobody of the three; cli includes everything.
set -eu
cd "$(dirname "$0")/../.."
rank() {
	case $1 in
	core/base/*) echo 0 ;; core/os/*) echo 1 ;; core/trust/*) echo 2 ;; core/format/*) echo 3 ;;
	core/tree/*) echo 4 ;; core/depot/*) echo 5 ;;
	bundler/* | applier/* | watcher/*) echo 6 ;; cli/*) echo 7 ;; *) echo 9 ;;
	esac
}
bad=0
for file in core/*/*.[ch] bundler/*.[ch] applier/*.[ch] watcher/*.[ch] cli/*.[ch]; do
	[ -e "$file" ] || continue
	from=$(rank "$file")
	for include in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$file"); do
		to=$(rank "$include")
		top_from=${file%%/*} top_to=${include%%/*}
		if [ "$to" -gt "$from" ] || { [ "$to" -eq 6 ] && [ "$from" -eq 6 ] && [ "$top_from" != "$top_to" ]; }; then
			echo "$file: includes $include, which is not below it"
			bad=1
		fi
	done
done
exit $bad
