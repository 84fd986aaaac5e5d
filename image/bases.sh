#!/usr/bin/env bash
# Makes stand-ins for the two base images of the Dockerfile, where Docker Hub cannot be reached: image/bases.sh PREFIX [ARCH].
# PREFIX/debian is Debian's own minimal system, without what Docker's -slim images leave out; PREFIX/golang is that with
# certificates and this machine's Go.
set -euo pipefail
prefix=$1
native=$(dpkg --print-architecture)
arch=${2:-$native}
release=trixie

say() { echo "image: $*" >&2; }

if ! command -v debootstrap >/dev/null; then
  say "installing debootstrap into the system"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! podman image exists "$prefix/debian:$release-slim-$arch"; then
  say "making a Debian base image for $arch with debootstrap (about a minute)"
  debootstrap --arch="$arch" --variant=minbase "$release" "$work/root" http://deb.debian.org/debian >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  cd "$work/root"
  find usr/share/doc -type f ! -name copyright -delete
  rm -rf usr/share/{man,info,locale,lintian} var/cache/apt/*.bin var/cache/apt/archives/*.deb var/lib/apt/lists/* var/cache/debconf/*-old var/log/*
  tar --numeric-owner --sort=name --exclude='./dev/*' -cf - . | podman import --quiet --arch "$arch" --change 'CMD ["bash"]' - "$prefix/debian:$release-slim-$arch" >/dev/null
fi

if [ "$arch" = "$native" ] && ! podman image exists "$prefix/golang:$(go env GOVERSION)-$release"; then
  say "making a Go base image of this machine's $(go env GOVERSION)"
  podman build --quiet --tag "$prefix/golang:$(go env GOVERSION)-$release" --file - "$(go env GOROOT)" >/dev/null <<EOF
FROM $prefix/debian:$release-slim-$arch
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates
ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY . /usr/local/go
EOF
fi
