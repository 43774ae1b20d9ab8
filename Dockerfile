# Makes an image of pimsd that holds nothing else: no shell, no package manager, no root. It builds the program from this checkout. With
# --target release it takes a binary that is there already, in a folder for its platform, and names no image of others;
# scripts/image-files makes the other files for that.

# The toolchain, by its digest: what a registry answers under that name is refused when it is anything else.
ARG GOLANG=golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d

FROM scratch AS settings
USER 65532:65532
# Loopback, the default, would be out of reach from outside the container. Publish 8080 where TLS ends in front of it, or set
# PIMSD_TLS_CERT_FILE; publish 9464 to operators only.
ENV PIMSD_LISTEN=:8080 \
    PIMSD_HTTP_ALLOW_PLAIN=yes \
    PIMSD_OPS_LISTEN=:9464 \
    PIMSD_DATA_DIR=/var/lib/pimsd \
    ZONEINFO=/etc/zoneinfo.zip
EXPOSE 8080 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/pimsd", "health"]
ENTRYPOINT ["/pimsd"]
CMD ["serve"]

FROM settings AS release
ARG TARGETPLATFORM
COPY dist-image/ca-certificates.crt /etc/ssl/certs/
COPY dist-image/zoneinfo.zip /etc/
COPY ${TARGETPLATFORM}/pimsd /
COPY --chown=65532:65532 dist-image/empty /var/lib/pimsd
VOLUME ["/var/lib/pimsd"]

FROM ${GOLANG} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# .git comes along, so that `pimsd version` knows the commit.
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/pimsd ./cmd/pimsd \
 && cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /out/ \
 && mkdir /out/empty

FROM settings
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/zoneinfo.zip /etc/
COPY --from=build /out/pimsd /
COPY --from=build --chown=65532:65532 /out/empty /var/lib/pimsd
VOLUME ["/var/lib/pimsd"]
