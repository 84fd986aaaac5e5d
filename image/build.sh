#!/usr/bin/env bash
# Builds the Dockerfile's image with podman, twice the same from one commit: image/build.sh NAME [OPTION OF PODMAN BUILD]...
# Where Docker Hub cannot be reached, the base images are made from what this machine has (image/bases.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
shift

say() { echo "image: $*" >&2; }

if ! command -v podman >/dev/null; then
  say "installing podman and runc into the system"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends podman runc >&2
fi
export CONTAINERS_CONF=$PWD/image/containers.conf

options=(--tag "$name" --timestamp "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}")
for base in $(sed -n 's/^ARG [A-Z]*_IMAGE=//p' Dockerfile); do
  podman image exists "$base" || podman pull --quiet "$base" >/dev/null 2>&1 || offline=true
done
if [ "${offline:-}" ]; then
  prefix=localhost/stand-in
  say "Docker Hub cannot be reached; the image gets stand-ins for its base images"
  image/bases.sh "$prefix"
  go mod download
  options+=(
    --build-arg "GO_IMAGE=$prefix/golang:$(go env GOVERSION)-trixie"
    --build-arg "BASE_IMAGE=$prefix/debian:trixie-slim-$(dpkg --print-architecture)"
    --build-arg GOPROXY=off --volume "$(go env GOMODCACHE):/go/pkg/mod:ro"
  )
fi
podman build "${options[@]}" "$@" .
