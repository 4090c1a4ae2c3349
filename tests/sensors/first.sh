#!/bin/sh
# The first process of a small machine inside the machine: systemd, with namespaces of its own and nothing of the host's /etc/systemd,
# /run, /opt or /var. Started by test_service.py in new namespaces: first.sh FOLDER SITE_PACKAGES SOURCES.
set -eu
folder=$1 packages=$2 sources=$3

mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /mnt
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/given /mnt/packages /mnt/sources /mnt/upper /mnt/work
mount --bind "$folder" /mnt/given
mount --bind "$packages" /mnt/packages
mount --bind "$sources" /mnt/sources
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
for place in /run /opt /var/cache /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs "$place"; done

rm -rf /etc/systemd/system
mkdir -p /etc/systemd/system/tidewaiter-watch.service.d /etc/tidewaiter /opt/bin /var/log/audit
cp /mnt/given/units/*.service /mnt/given/units/*.target /etc/systemd/system/
cp /mnt/given/units/test.conf /etc/systemd/system/tidewaiter-watch.service.d/
cp /mnt/given/watch.toml /etc/tidewaiter/
cp /mnt/given/audit.log /var/log/audit/
chown -R root:adm /var/log/audit
chmod 750 /var/log/audit
chmod 640 /var/log/audit/audit.log
{
  echo '#!/bin/sh'
  echo 'export PYTHONPATH=/mnt/packages:/mnt/sources PYTHONDONTWRITEBYTECODE=1'
  echo 'exec /usr/bin/python3 -m tidewaiter "$@"'
} >/opt/bin/tidewaiter
chmod 755 /opt/bin/tidewaiter
touch /mnt/given/ready
exec env container=other /lib/systemd/systemd --system --unit=test.target --log-target=null --show-status=no
