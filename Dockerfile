# The server as an image: one static binary, no shell, not root, and a root
# folder that may be read-only. What it keeps is in /data.
#
# Images are named by digest, so that a build next year starts from the same bytes. To
# update one: docker buildx imagetools inspect NAME:TAG shows the digest of its index.
FROM golang:1.26.5@sha256:3aff6657219a4d9c14e27fb1d8976c49c29fddb70ba835014f477e1c70636647 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY internal/oryx internal/oryx
RUN go mod download
COPY . .
# Version, commit and date: what the build is told, else what the clone says. Go's own stamp would call every build
# dirty, because .dockerignore keeps some tracked files back.
ARG VERSION=""
ARG COMMIT=""
ARG DATE=""
RUN VERSION="${VERSION:-$(git describe --tags --always 2>/dev/null || echo unknown)}"; \
    COMMIT="${COMMIT:-$(git log -1 --format=%H 2>/dev/null || true)}"; \
    DATE="${DATE:-$(git log -1 --format=%cI 2>/dev/null || true)}"; \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.date=${DATE}" -o /out/sallyport ./cmd/sallyport
# What the binary is made of: each module with its version and hash, for scanners.
RUN go version -m /out/sallyport > /out/modules.txt
# A new volume takes over the owner of the folder it is mounted on.
RUN mkdir -m 700 /out/data

FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.description="OpenID Connect provider for software with many customer organizations" \
      org.opencontainers.image.source="https://github.com/sallyport-id/sallyport" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/static-debian12:nonroot" \
      org.opencontainers.image.base.digest="sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab" \
      id.sallyport.image.sbom="/usr/share/sallyport/modules.txt"
COPY --from=build /out/sallyport /usr/local/bin/sallyport
COPY --from=build /out/modules.txt /usr/share/sallyport/modules.txt
COPY --from=build --chown=nonroot:nonroot /out/data /data
ENV SALLYPORT_ENV=production \
    SALLYPORT_LISTEN=0.0.0.0:5000
# The default database and clients.yaml are looked for relative to here.
WORKDIR /
VOLUME /data
EXPOSE 5000
USER nonroot:nonroot
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/usr/local/bin/sallyport", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/sallyport"]
CMD ["serve"]
