# The base images are pinned by tag; dependabot proposes the next ones. What is reused between builds are
# layers and not cache mounts: GitHub keeps only the layers of a build.
FROM rust:1.95-slim-bookworm AS build
# For the allocator. No version: Debian keeps only the newest one, a pinned one is gone some day.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies alone first: this layer stays valid until a manifest changes. cargo wants every
# workspace member to exist, so the sandbox stands there empty. It does not miss the benchmarks and the demo,
# which the manifest names too, as long as none is built.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY tests/sandbox/Cargo.toml tests/sandbox/
RUN mkdir -p src/bin tests/sandbox/src \
    && touch src/lib.rs tests/sandbox/src/lib.rs \
    && echo 'fn main() {}' > src/bin/netmanageit-connector.rs \
    && cargo build --locked --profile dist --bin netmanageit-connector

COPY src src
# cargo compares times, and the copied files may be older than the empty ones just built.
RUN touch src/lib.rs src/bin/*.rs \
    && cargo build --locked --profile dist --bin netmanageit-connector

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/dist/netmanageit-connector /usr/local/bin/netmanageit-connector
# Where config.yml is looked for, when it is mounted.
WORKDIR /opt/connector
USER 65532:65532
# Metrics and health, when they are switched on.
EXPOSE 9095
STOPSIGNAL SIGTERM
# The program asks itself, because the image has neither a shell nor curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/netmanageit-connector", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/netmanageit-connector"]

# At the end, so that another commit changes no layer above. The workflow gives SOURCE, and sets the labels
# of version, revision and time itself.
ARG SOURCE=""
ARG VERSION=development
ARG REVISION=unknown
LABEL org.opencontainers.image.title="netmanageit-connector" \
      org.opencontainers.image.description="Imports the observables and indicators of one OpenCTI platform into another" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE:+${SOURCE}/blob/main/docs/deployment.md}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
