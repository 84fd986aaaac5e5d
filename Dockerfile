# The image that Airbyte runs. `docker build .` is enough; `make image` does the same with podman, also without Docker Hub.
# Nothing is run for the target's architecture, so an image of another architecture needs no emulation.
ARG GO_IMAGE=docker.io/library/golang:1.26.8-trixie
ARG BASE_IMAGE=docker.io/library/debian:trixie-slim

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
# Set it if modules come from somewhere other than Go's proxy.
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . ./
ARG TARGETOS
ARG TARGETARCH
# The flags of `make build`: with the same Go they make the same file, byte for byte.
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -tags=grpcnotrace -ldflags='-s -w -funcalign=64' -o /out/source-planetscale .
# The user is added by hand and not by useradd, which records the day in /etc/shadow.
RUN mkdir -p /out/etc /out/airbyte && cp /etc/passwd /etc/group /out/etc/ && \
    echo 'airbyte:x:1000:1000::/airbyte:/usr/sbin/nologin' >>/out/etc/passwd && echo 'airbyte:x:1000:' >>/out/etc/group

# Stated explicitly, because Podman 4 would use the platform of the previous stage.
FROM --platform=$TARGETPLATFORM ${BASE_IMAGE}
COPY --from=build /out/etc /etc/
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=1000:1000 /out/airbyte /airbyte
COPY --from=build /out/source-planetscale /usr/local/bin/
# The platform starts the connector by `sh -c`, as eval "$AIRBYTE_ENTRYPOINT read …"; it must be the entrypoint.
ENV AIRBYTE_ENTRYPOINT=/usr/local/bin/source-planetscale
ENTRYPOINT ["/usr/local/bin/source-planetscale"]
WORKDIR /airbyte
USER 1000:1000
LABEL io.airbyte.name=airbyte/source-planetscale \
      io.airbyte.version=0.1.0
