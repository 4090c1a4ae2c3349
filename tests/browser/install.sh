#!/bin/sh
# Installs headless Chromium for the tests of this folder with Debian's package manager, where it is missing and we may.
# Exit 0: it is there. Exit 1: it is not; in continuous integration the tests then fail, elsewhere they are skipped.
set -u
for name in ${TIDEWAITER_CHROMIUM:-} chromium chromium-browser google-chrome chrome; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  echo 'browser: installing chromium with apt-get' >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends \
    chromium fonts-dejavu-core; } >/dev/null 2>&1
  if command -v chromium >/dev/null 2>&1; then exit 0; fi
fi
echo 'browser: no chromium here; the tests of the report in a browser need it (Debian: apt-get install chromium)' >&2
exit 1
