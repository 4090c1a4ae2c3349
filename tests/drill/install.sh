#!/bin/sh
# Puts the programs that a drill brings its marker in with on a Debian or Ubuntu machine that tests run on. Starts none of the
# servers among them. Does nothing where all are there; fails where they cannot be installed.
set -eu

say() { printf 'drill: %s\n' "$*" >&2; }

there() {
  for program in curl wget ssh scp sftp sshd ssh-keygen tftp rsync ftp tnftp lftp finger nc busybox socat aria2c smbclient smbd \
    openssl ip; do
    command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || [ -x "/sbin/$program" ] || return 1
  done
}

if there; then exit 0; fi
command -v apt-get >/dev/null 2>&1 || { say 'no apt-get here: install the programs of knowledge/drill.toml'; exit 1; }
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then exec sudo -n sh "$0"; fi
  say 'run as root: sh tests/drill/install.sh'
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
apt-get install -yqq --no-install-recommends aria2 busybox curl finger iproute2 lftp netcat-openbsd openssh-client openssh-server \
  openssl rsync samba smbclient socat tftp-hpa tnftp wget >&2
there || { say 'some of the programs are still missing'; exit 1; }
