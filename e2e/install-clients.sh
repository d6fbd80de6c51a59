#!/bin/bash
# Installs what the end-to-end tests drive: S3 clients, and runc and a static busybox for the tests
# with containers. Debian packages; needs root.
set -euo pipefail

packages=(awscli s3cmd rclone restic curl openssl ca-certificates runc busybox-static)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
    missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "e2e clients: all there."
  exit 0
fi

export DEBIAN_FRONTEND=noninteractive
# A mirror that stumbles is not a failed test.
for attempt in 1 2 3 4; do
  if apt-get update -qq -o Acquire::Retries=3 &&
    apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 "${missing[@]}" >/dev/null; then
    echo "e2e clients: installed ${missing[*]}."
    exit 0
  fi
  echo "e2e clients: attempt $attempt failed." >&2
  sleep $((attempt * 5))
done
exit 1
