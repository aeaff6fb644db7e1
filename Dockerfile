# The server as an image: one static binary, no shell, not root, and a root
# folder that may be read-only. What it keeps is in /data.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY internal/oryx internal/oryx
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/sallyport ./cmd/sallyport
# A new volume takes over the owner of the folder it is mounted on.
RUN mkdir -m 700 /out/data

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.description="OpenID Connect provider for software with many customer organizations" \
      org.opencontainers.image.source="https://github.com/sallyport-id/sallyport" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/sallyport /usr/local/bin/sallyport
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
