#!/bin/sh
# Makes sure that what a task needs is installed: with apt-get where it may, or
# else it says exactly what is missing. It is quick, and does nothing, where all is there.
#
#   scripts/setup.sh test|bench
set -eu

task=${1:-test}
PATH=$PATH:/usr/sbin:/sbin # where Debian has servers, and users often don't look
missing= # Debian packages
why=

# need COMMAND PACKAGES REASON notes the Debian packages of a command that is not there.
need() {
	command -v "$1" >/dev/null 2>&1 && return
	missing="$missing $2"
	why="$why
  $1: $3 (Debian: $2)"
}

fail() {
	echo "setup: $1" >&2
	exit 1
}

command -v go >/dev/null 2>&1 || fail "Go is not installed: Weir needs Go 1.26 or newer, see https://go.dev/dl/"
have=$(go env GOVERSION)
minor=${have#go1.}
minor=${minor%%[!0-9]*}
[ "${minor:-0}" -ge 26 ] || fail "Go is ${have#go}: Weir needs Go 1.26 or newer, see https://go.dev/dl/"

case $task in
test)
	need gcc "gcc libc6-dev" "the race detector needs a C compiler"
	need curl "curl ca-certificates" "the commands of the documents are run as they stand"
	need rabbitmq-server "rabbitmq-server" "traffic managers and gateways are tested over a real AMQP broker"
	need redis-server "redis-server" "counters are shared through a real store"
	need redis-sentinel "redis-sentinel" "the failover of a store is tested with real Sentinels"
	[ ! -e /proc/self/ns/net ] || # only Linux has it
	need ip "iproute2" "a primary is cut off in a network namespace"
	;;
bench)
	need nginx "nginx-light" "the peer that the proxy is measured beside"
	need haproxy "haproxy" "the peer that the proxy is measured beside"
	;;
*)
	fail "unknown task $task: use test or bench"
	;;
esac
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	sudo -n true 2>/dev/null || fail "missing:$why
and this user may not install it. Run:  sudo apt-get install$missing"
	sudo="sudo -n"
fi
command -v apt-get >/dev/null 2>&1 || fail "missing:$why
and there is no apt-get here: install them with this system's own package manager."

echo "setup: installing$missing" >&2
# Debian starts a server that it installs; the benchmarks start their own.
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c "
	apt-get update -qq && apt-get install -y -qq --no-install-recommends$missing" >/dev/null ||
	fail "apt-get could not install$missing: see its message above"
