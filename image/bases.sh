#!/usr/bin/env bash
# Builds replacements for the Dockerfile's two base images if Docker Hub cannot be reached: image/bases.sh PREFIX ARCH.
# PREFIX/debian is Debian's own minimal system, less what Docker's -slim images leave out; PREFIX/golang is that with certificates
# and this machine's Go.
set -euo pipefail
prefix=$1
native=$(dpkg --print-architecture)
release=trixie
debian=$prefix/debian:$release-slim
golang=$prefix/golang:$(go env GOVERSION)-$release

say() { echo "image: $*" >&2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

debian() {
  local arch=$1 root=$work/$1
  # The programs of another architecture cannot be run here, to configure themselves; the connector needs none that must.
  local options=(--arch="$arch" --variant=minbase)
  [ "$arch" = "$native" ] || options+=(--foreign)
  say "making a Debian base image for $arch with debootstrap (about a minute)"
  debootstrap "${options[@]}" "$release" "$root" http://deb.debian.org/debian >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  (cd "$root" && rm -rf usr/share/{man,info,locale,lintian} var/cache/apt/*.bin var/cache/apt/archives/*.deb var/lib/apt/lists/* var/cache/debconf/*-old var/log/* debootstrap)
  tar -C "$root" --numeric-owner --sort=name --exclude='./dev/*' -cf - . |
    podman import --quiet --arch "$arch" --change 'CMD ["bash"]' - "$debian-$arch" >/dev/null
}

if ! command -v debootstrap >/dev/null; then
  say "installing debootstrap into the system"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >&2
fi
for arch in "$native" "$2"; do
  podman image exists "$debian-$arch" || debian "$arch"
done

if ! podman image exists "$golang"; then
  say "making a Go base image of this machine's $(go env GOVERSION)"
  podman build --quiet --tag "$golang" --file - "$(go env GOROOT)" >/dev/null <<EOF
FROM $debian-$native
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates >/dev/null
ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY . /usr/local/go
EOF
fi
