#!/bin/sh
# Puts Suricata 7 or newer and tshark on a Debian or Ubuntu machine that tests run on. Does nothing where both are there.
#
# Debian 12 has Suricata 7 in its backports suite only: the machine's own source of packages is used for it, with the suite
# changed. Fails where they cannot be installed: tests without the packet engine would prove nothing.
set -eu

say() { printf 'captures: %s\n' "$*" >&2; }

new_enough() {
  major=$(suricata -V 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
  [ "${major:-0}" -ge 7 ]
}

# Prints the machine's own Debian source (URI, and what signs it) as a source of the backports suite.
backports() {
  . /etc/os-release
  suite=$VERSION_CODENAME-backports
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    uri=$(sed -n 's/^URIs: *\(.*\/debian\/*\) *$/\1/p' "$file" | head -n 1)
    key=$(sed -n 's/^Signed-By: *\(.*\)$/\1/p' "$file" | head -n 1)
    [ -n "$uri" ] || continue
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$uri" "$suite"
    [ -z "$key" ] || printf 'Signed-By: %s\n' "$key"
    return 0
  done
  uri=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\/debian\/*\) .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)
  [ -n "$uri" ] || return 1
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$uri" "$suite"
}

if new_enough && command -v tshark >/dev/null 2>&1; then exit 0; fi
command -v apt-get >/dev/null 2>&1 || { say 'no apt-get here: install Suricata 7 or newer and tshark'; exit 1; }
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then exec sudo -n sh "$0"; fi
  say 'run as root: sh tests/captures/install.sh'
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
command -v tshark >/dev/null 2>&1 || apt-get install -yqq --no-install-recommends tshark >&2
if ! new_enough; then
  candidate=$(apt-cache policy suricata | sed -n 's/ *Candidate: \(.*\)/\1/p' | sed 's/^[0-9]*://')
  case "$candidate" in
    [7-9].* | [1-9][0-9].*) apt-get install -yqq --no-install-recommends suricata >&2 ;;
    *)
      say 'taking Suricata from the backports suite'
      backports >/etc/apt/sources.list.d/tidewaiter-backports.sources || { say 'no Debian source to derive it from'; exit 1; }
      apt-get update -qq
      . /etc/os-release
      apt-get install -yqq --no-install-recommends -t "$VERSION_CODENAME-backports" suricata >&2
      ;;
  esac
fi
new_enough && command -v tshark >/dev/null 2>&1 || { say 'Suricata 7 or tshark is still missing'; exit 1; }
