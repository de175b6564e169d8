#!/bin/sh
# Runs every fuzz target of the module, one after the other.
#
#   scripts/fuzz.sh 20s
set -eu
cd "$(dirname "$0")/.."
each=${1:-20s}

grep -rlE '^func Fuzz' --include='*_test.go' --exclude-dir=benchmarks . | xargs -n 1 dirname | sort -u | while read -r dir; do
	grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
		echo "== $dir $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" "$dir"
	done
done
