# syntax=docker/dockerfile:1
# Three images: docker build --target worker|gateway|flower .
#
# What a target needs is installed by hash into a folder of its own, and nothing else gets into the
# image: no pip, no compiler, no package index's address. Every target runs as user 10001 and with a
# read-only root; /tmp is all that is written to.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# --- what the targets share -------------------------------------------------------------------------
# hadolint ignore=DL3006 # the tag is in the argument above
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv --without-pip /opt/caas \
 && printf '%s\n' '#!/opt/caas/bin/python -P' 'from caas_cli.main import main' 'main()' > /opt/caas/bin/caas \
 && chmod 755 /opt/caas/bin/caas
COPY caas_tasks/ /opt/caas/lib/python3.11/site-packages/caas_tasks/
COPY caas_cli/ /opt/caas/lib/python3.11/site-packages/caas_cli/

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS base
LABEL org.opencontainers.image.title="CaaS, Crypto as a Service" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip \
      /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/2to3* /usr/local/bin/wheel* \
 && groupadd --gid 10001 caas \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin caas
ENV PATH=/opt/caas/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CAAS_HOME=/tmp/caas
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["caas"]

# --- worker -----------------------------------------------------------------------------------------
FROM build AS build-worker
RUN pip --python /opt/caas/bin/python install --require-hashes --only-binary=:all: -r requirements/worker.txt
COPY worker/ /opt/caas/lib/python3.11/site-packages/worker/
RUN python -m compileall -q -j 0 /opt/caas/lib

FROM base AS worker
COPY --from=build-worker /opt/caas /opt/caas
ENV CAAS_HEALTH_FILE=/tmp/caas-worker-health
# Reads the age of a file that the worker touches: asks neither the broker nor the worker.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 CMD ["caas", "healthcheck", "worker"]
CMD ["worker", "--lane", "fast", "--quiet"]

# --- gateway ----------------------------------------------------------------------------------------
FROM build AS build-gateway
RUN pip --python /opt/caas/bin/python install --require-hashes --only-binary=:all: -r requirements/gateway.txt
COPY producer_client/ /opt/caas/lib/python3.11/site-packages/producer_client/
COPY gateway/ /opt/caas/lib/python3.11/site-packages/gateway/
RUN python -m compileall -q -j 0 /opt/caas/lib

FROM base AS gateway
COPY --from=build-gateway /opt/caas /opt/caas
ENV CAAS_GATEWAY_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 CMD ["caas", "healthcheck", "gateway"]
CMD ["gateway"]

# --- flower -----------------------------------------------------------------------------------------
FROM build AS build-flower
RUN pip --python /opt/caas/bin/python install --require-hashes --only-binary=:all: -r requirements/flower.txt \
 && python -m compileall -q -j 0 /opt/caas/lib

FROM base AS flower
COPY --from=build-flower /opt/caas /opt/caas
ENV CAAS_FLOWER_HOST=0.0.0.0
EXPOSE 5555
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 CMD ["caas", "healthcheck", "flower"]
CMD ["flower"]
