# One image with all programs: `docker run IMAGE web`, `docker run IMAGE migrate`.
# The base images are arguments, so that a release can pin them: --build-arg RUN_IMAGE=NAME@sha256:DIGEST
ARG BUILD_IMAGE=rust:1.95.0-slim-trixie
ARG RUN_IMAGE=gcr.io/distroless/cc-debian13:nonroot

# checkov:skip=CKV_DOCKER_7: the versions are in the arguments
FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# Builds the dependencies with an empty crate: these layers are cached until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs \
    && cargo fetch --locked --target "$(rustc --print host-tuple)"
# The build uses neither the network nor a database: queries are checked against .sqlx.
ENV CARGO_NET_OFFLINE=true SQLX_OFFLINE=true
RUN cargo build --release --locked
# .dockerignore allows only the source code, and the files of .git that have the commit.
COPY . .
ARG REVISION
# Cargo compares timestamps, and those of the source code may be older than that of the empty crate.
RUN touch src/lib.rs \
    && COMMIT="$REVISION" cargo build --release --locked --bins \
    && mkdir /programs \
    && find target/release -maxdepth 1 -type f -perm /111 -exec cp {} /programs \;

FROM ${RUN_IMAGE}
COPY --from=build /programs/ /usr/local/bin/
# Numeric, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
WORKDIR /
EXPOSE 8080
# Checks METRICS_PORT, or else PORT: a worker needs METRICS_PORT for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["doctor", "--process"]
CMD ["web"]
ARG SOURCE=unknown
ARG REVISION=unknown
ARG VERSION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.created="$CREATED"
