#!/usr/bin/env bash
# Prints the base images of what is published as build arguments, each by its digest: image/digests.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
while read -r image name; do
  [[ $image =~ @sha256:[0-9a-f]{64}$ ]] || { echo "image/bases/Dockerfile has no digest of $image" >&2; exit 1; }
  echo "$name=$image"
done < <(sed -n 's/^FROM \(.*\) AS \(.*\)$/\1 \2/p' image/bases/Dockerfile)
