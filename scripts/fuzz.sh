#!/bin/sh
# Runs every fuzz target of the module, one after the other.
#
#   scripts/fuzz.sh 20s
set -eu
cd "$(dirname "$0")/.."
each=${1:-20s}
log=$(mktemp)
trap 'rm -f "$log" "$log.status"' EXIT

# fuzz runs one target. When its time is over, go test fails now and then with nothing
# but "context deadline exceeded": its coordinator takes the end for a fault if the
# context of its workers has not heard of it yet (as of Go 1.26). That is no finding:
# those come with a line of the test, a panic, or an input that was written down.
fuzz() {
	{
		status=0
		go test -run '^$' -fuzz "^$2\$" -fuzztime "$each" "$1" 2>&1 || status=$?
		echo "$status" >"$log.status"
	} | tee "$log"
	status=$(cat "$log.status")
	if [ "$status" -ne 0 ] && grep -qx '    context deadline exceeded' "$log" &&
		! grep -qE 'Failing input|panic|_test\.go:[0-9]|fuzzing process' "$log"; then
		echo "== $2: its time was over, and nothing was found"
		status=0
	fi
	return "$status"
}

grep -rlE '^func Fuzz' --include='*_test.go' --exclude-dir=benchmarks . | xargs -n 1 dirname | sort -u | while read -r dir; do
	grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
		echo "== $dir $target"
		fuzz "$dir" "$target" </dev/null
	done
done
