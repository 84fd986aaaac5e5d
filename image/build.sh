#!/usr/bin/env bash
# Builds the Dockerfile's image with podman, the same at any time from one commit: image/build.sh NAME ARCH
# (as Go names it). Where Docker Hub cannot be reached, the base images are made from what this machine has (image/bases.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 arch=$2

say() { echo "image: $*" >&2; }

if ! command -v podman >/dev/null; then
  say "installing podman and runc into the system"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends podman runc >&2
fi
export CONTAINERS_CONF=$PWD/image/containers.conf

# Podman 4 knows the platforms in FROM only as arguments, and its cache of layers asks neither for TARGETARCH nor for the time;
# Go's own caches, mounted, make up for it.
go mod download
options=(
  --layers=false --tag "$name" --identity-label=false --timestamp "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
  --platform "linux/$arch" --build-arg "BUILDPLATFORM=linux/$(go env GOHOSTARCH)" --build-arg "TARGETPLATFORM=linux/$arch"
  --build-arg TARGETOS=linux --build-arg "TARGETARCH=$arch"
  --build-arg GOPROXY=off --volume "$(go env GOMODCACHE):/go/pkg/mod:ro"
)
for base in $(sed -n 's/^ARG [A-Z]*_IMAGE=//p' Dockerfile); do
  podman pull --quiet "$base" >/dev/null 2>&1 || podman image exists "$base" || stand_ins=localhost/stand-in
done
if [ "${stand_ins:-}" ]; then
  say "Docker Hub cannot be reached; the image gets stand-ins for its base images"
  image/bases.sh "$stand_ins" "$arch"
  options+=(--build-arg "GO_IMAGE=$stand_ins/golang:$(go env GOVERSION)-trixie" --build-arg "BASE_IMAGE=$stand_ins/debian:trixie-slim-$arch")
fi
podman build "${options[@]}" .
