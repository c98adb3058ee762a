FROM rust:1.95-slim-bookworm AS build
# For the allocator.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies alone first: this layer stays valid until a manifest changes. cargo wants every
# workspace member to exist, so the sandbox stands there empty.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY tests/sandbox/Cargo.toml tests/sandbox/
RUN mkdir -p src tests/sandbox/src \
    && touch src/lib.rs tests/sandbox/src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --locked --profile dist --package netmanageit-connector

COPY src src
# cargo compares times, and the copied files may be older than the empty ones just built.
RUN touch src/lib.rs src/main.rs \
    && cargo build --locked --profile dist --package netmanageit-connector

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="netmanageit-connector" \
      org.opencontainers.image.description="Imports the observables and indicators of one OpenCTI platform into another" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/target/dist/netmanageit-connector /usr/local/bin/netmanageit-connector
# Where config.yml is looked for, when it is mounted.
WORKDIR /opt/connector
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/netmanageit-connector"]
