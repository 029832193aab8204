#!/usr/bin/env sh
# Installs Debian packages that are missing, when run by root; otherwise says which are.
# Their services are not started: the tests start what they need themselves.
set -eu
missing=""
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "Not installed, and not root to do so:$missing" >&2
  exit 1
fi
echo "Installing$missing ..."
# A package's own service would hold the default port: policy-rc.d keeps it from being started.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get install -o DPkg::Lock::Timeout=300 -qq --yes --no-install-recommends $missing >/dev/null
