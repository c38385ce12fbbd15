# One image holds every program: `docker run IMAGE web`, `docker run IMAGE migrate`.
# Its bases are arguments, so that a release can pin them: --build-arg RUN_IMAGE=NAME@sha256:DIGEST
ARG BUILD_IMAGE=rust:1.95.0-slim-trixie
ARG RUN_IMAGE=gcr.io/distroless/cc-debian13:nonroot

# checkov:skip=CKV_DOCKER_7: the versions stand in the arguments
FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# The dependencies, under an empty crate: these layers stay until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs \
    && cargo fetch --locked --target "$(rustc --print host-tuple)"
# From here on nothing asks the network, nor a database: queries are checked against .sqlx.
ENV CARGO_NET_OFFLINE=true SQLX_OFFLINE=true
RUN cargo build --release --locked
# What .dockerignore lets in: the code, and of .git as much as names the commit.
COPY . .
ARG REVISION
# Cargo goes by time stamps, and the code's may be older than the empty crate's.
RUN touch src/lib.rs \
    && COMMIT="$REVISION" cargo build --release --locked --bins \
    && mkdir /programs \
    && find target/release -maxdepth 1 -type f -perm /111 -exec cp {} /programs \;

FROM ${RUN_IMAGE}
COPY --from=build /programs/ /usr/local/bin/
# By number, so that an orchestrator sees that it is not root.
USER 65532:65532
WORKDIR /
EXPOSE 8080
# Asks the process by METRICS_PORT, or else PORT: a worker needs METRICS_PORT to be asked at all.
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
