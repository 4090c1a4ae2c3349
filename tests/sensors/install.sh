#!/bin/sh
# Puts auditd, curl and wget on a Debian or Ubuntu machine that tests run on, without starting auditd: the tests start their own.
# Does nothing where they are there. Whether the kernel lets anybody use its audit system is another matter: the tests say so.
set -eu

say() { printf 'sensors: %s\n' "$*" >&2; }

there() {
  for program in auditd auditctl curl wget nsenter unshare ip; do
    command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || [ -x "/sbin/$program" ] || return 1
  done
}

if there; then exit 0; fi
command -v apt-get >/dev/null 2>&1 || { say 'no apt-get here: install auditd, curl, wget, iproute2 and util-linux'; exit 1; }
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then exec sudo -n sh "$0"; fi
  say 'run as root: sh tests/sensors/install.sh'
  exit 1
fi

# Debian starts what it installs unless this script says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -yqq --no-install-recommends auditd curl wget iproute2 util-linux >&2
there || { say 'auditd is still missing'; exit 1; }
