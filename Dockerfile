# The portal in an image of its own: `docker build .`, or `docker compose build` for all of docker-compose.yml.
#
# Neither `# syntax=` nor `RUN --mount`: the classic builder and BuildKit both build this, also without a registry.

ARG BUILD_IMAGE=rust:1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

# ---- build ----------------------------------------------------------------------------------------------------------
FROM ${BUILD_IMAGE} AS build

# The single sign-on protocols to build in, as cargo features of usher-server with commas between. "default": all.
ARG FEATURES=default
# `release`, or `dev` for an image that is built sooner and runs slower.
ARG PROFILE=release

# What SAML is built with, if it is built in. Versions are those of the image's Debian.
# hadolint ignore=DL3008
RUN case ",${FEATURES}," in \
    *,default,*|*,saml,*) \
        dpkg-query --show libxmlsec1-dev libclang-dev pkg-config \
        || { apt-get update \
            && apt-get install --yes --no-install-recommends libxmlsec1-dev libxml2-dev libssl-dev pkg-config libclang-dev \
            && rm -rf /var/lib/apt/lists/*; } ;; \
    esac

WORKDIR /usr/src/usher
# rust-toolchain.toml is left out: rustup would download the toolchain of the developers though the image has one.
# Cargo.toml says how old that may be (`rust-version`).
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY migrations migrations
COPY xtask xtask
RUN cargo build --locked --package usher-server --bin usher --no-default-features --features "${FEATURES}" --profile "${PROFILE}" \
    && install -D --mode=0755 "target/$(test "${PROFILE}" = dev && echo debug || echo "${PROFILE}")/usher" /out/usher

# ---- run ------------------------------------------------------------------------------------------------------------
FROM ${RUNTIME_IMAGE}

LABEL org.opencontainers.image.title="Usher" \
    org.opencontainers.image.description="The door to an organisation's Matrix homeservers" \
    org.opencontainers.image.licenses="Apache-2.0"

# As above: without SAML there is nothing to install, and with it what verifies signatures.
ARG FEATURES=default
# hadolint ignore=DL3008
RUN case ",${FEATURES}," in \
    *,default,*|*,saml,*) \
        dpkg-query --show libxmlsec1-openssl \
        || { apt-get update \
            && apt-get install --yes --no-install-recommends libxmlsec1-openssl \
            && rm -rf /var/lib/apt/lists/*; } ;; \
    esac

# Whom the CAS server's and the homeservers' certificates may come from.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/usher /usr/local/bin/usher

# Nobody in particular, and not in /etc/passwd: whatever is mounted for Usher has to be readable by this number.
USER 10001:10001
WORKDIR /etc/usher
ENV USHER__LISTEN=0.0.0.0:8080
EXPOSE 8080

# Usher finishes what it has begun, for up to 30 s: give it longer (`docker stop --time 40`).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 CMD ["usher", "health"]
ENTRYPOINT ["usher"]
CMD ["serve"]
