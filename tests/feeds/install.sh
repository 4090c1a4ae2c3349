#!/bin/sh
# Puts a NATS server on a Debian or Ubuntu machine that tests run on. Does nothing where one is there.
#
# The tests start a server of their own on loopback with a temporary store; the machine's own service is not started.
set -eu

say() { printf 'feeds: %s\n' "$*" >&2; }

found() { command -v nats-server >/dev/null 2>&1 || [ -x /usr/sbin/nats-server ]; }

found && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  say 'no NATS server here, and only root on Debian or Ubuntu can get one from here: install the package nats-server'
  exit 1
fi
say 'installing nats-server with apt-get'
{ apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends nats-server; } >&2
found || { say 'the package nats-server came without the program'; exit 1; }
