# The base images are pinned by tag; dependabot proposes the next ones. What is reused between builds are
# layers and not cache mounts: GitHub keeps only the layers of a build.
FROM rust:1.95-slim-bookworm AS build
# For the allocator. No version: Debian keeps only the newest one, a pinned one is gone some day.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# Which connector, by the name of its cargo feature; the program is ${CONNECTOR}-connector.
ARG CONNECTOR=netmanageit
# dist is what is shipped; release builds in a third of the time.
ARG PROFILE=dist

# The dependencies alone first: this layer stays valid until a manifest changes. cargo wants every program and
# test that is named without a path, and every workspace member, to exist, so they stand there empty. It does not
# miss the benchmarks and examples, which the manifest names with their paths, as long as none is built.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY tests/sandbox/Cargo.toml tests/sandbox/
RUN mkdir -p src/bin tests/sandbox/src tests/sandbox/tests \
    && touch src/lib.rs tests/sandbox/src/lib.rs tests/sandbox/tests/image.rs \
    && sed -n 's/^name = "\(.*-connector\)"$/\1/p' Cargo.toml > programs \
    && while read -r program; do echo 'fn main() {}' > "src/bin/${program}.rs"; done < programs \
    && cargo build --locked --profile "${PROFILE}" --bin "${CONNECTOR}-connector" \
        --no-default-features --features "jemalloc,${CONNECTOR}"

COPY src src
# cargo compares times, and the copied files may be older than the empty ones just built.
# The program keeps its name, and has a second one that is the same in every image: an ENTRYPOINT that starts
# no shell cannot name what differs.
RUN touch src/lib.rs src/bin/*.rs \
    && cargo build --locked --profile "${PROFILE}" --bin "${CONNECTOR}-connector" \
        --no-default-features --features "jemalloc,${CONNECTOR}" \
    && mkdir -p /image/usr/local/bin \
    && cp "target/${PROFILE}/${CONNECTOR}-connector" /image/usr/local/bin/ \
    && ln -s "${CONNECTOR}-connector" /image/usr/local/bin/connector

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/ /
# Where config.yml is looked for, when it is mounted.
WORKDIR /opt/connector
USER 65532:65532
# Metrics and health, when they are switched on.
EXPOSE 9095
STOPSIGNAL SIGTERM
# The program asks itself, because the image has neither a shell nor curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/connector", "healthcheck"]
# No command: XTM Composer sets the image and the environment, and nothing else.
ENTRYPOINT ["/usr/local/bin/connector"]

# At the end, so that another commit changes no layer above. The workflow gives SOURCE, and sets the labels
# of version, revision and time itself.
ARG CONNECTOR=netmanageit
ARG SOURCE=""
ARG VERSION=development
ARG REVISION=unknown
LABEL org.opencontainers.image.title="${CONNECTOR}-connector" \
      org.opencontainers.image.description="The OpenCTI connector ${CONNECTOR}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE:+${SOURCE}/blob/main/docs/deployment.md}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
