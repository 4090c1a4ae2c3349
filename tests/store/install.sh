#!/bin/sh
# Puts a PostgreSQL server on a Debian or Ubuntu machine that tests run on. Does nothing where one is there.
#
# The tests start a server of their own in a temporary folder; the machine's own cluster is neither made nor started.
set -eu

say() { printf 'store: %s\n' "$*" >&2; }

found() {
  command -v initdb >/dev/null 2>&1 && return 0
  for program in /usr/lib/postgresql/*/bin/initdb; do [ -x "$program" ] && return 0; done
  return 1
}

found && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  say 'no PostgreSQL server here, and only root on Debian or Ubuntu can get one from here: install the package postgresql'
  exit 1
fi
say 'installing postgresql with apt-get'
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends \
  -o Dpkg::Options::=--force-confold postgresql; } >&2
found || { say 'the package postgresql came without initdb'; exit 1; }
