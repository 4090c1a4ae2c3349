#!/bin/sh
# Gets the servers that sinks are tested against: rsyslog from the machine's packages (as root on Debian or Ubuntu), an Apache Kafka
# broker and an OpenSearch node from Maven's packages into .venv/servers (needs Java 17 or newer and mvn). What cannot be had is
# said, and makes this fail; the tests that need it are skipped then.
set -eu
cd "$(dirname "$0")"
top=../..

say() { printf 'servers: %s\n' "$*" >&2; }

PATH=$PATH:/usr/sbin
if ! command -v rsyslogd >/dev/null 2>&1; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends rsyslog; } >&2 ||
      say 'rsyslog could not be installed'
  else
    say 'no rsyslog here: install the package rsyslog'
  fi
fi
command -v java >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1 || { say 'needs java (17 or newer) and mvn'; exit 1; }
mkdir -p "$top/.venv/servers"
target=$(cd "$top/.venv/servers" && pwd)
for server in kafka opensearch; do
  folder=$target/$server
  want=$(cksum <"$server.xml")
  [ "$(cat "$folder/.complete" 2>/dev/null || true)" = "$want" ] && continue
  say "fetching $server with mvn"
  rm -rf "$folder"
  mvn -q -B -f "$server.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$folder" >&2
  printf '%s\n' "$want" >"$folder/.complete"
done
