#!/bin/sh
# Puts the jars of an Apache Kafka broker and an OpenSearch node into .venv/servers, from Maven's packages. Needs Java 17 or newer
# and mvn; says so and fails where they are not there. The tests that need the servers are skipped then.
set -eu
cd "$(dirname "$0")"
top=../..

say() { printf 'servers: %s\n' "$*" >&2; }

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
