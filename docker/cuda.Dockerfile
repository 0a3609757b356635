# A machine that uses NVIDIA GPUs: a render node, a fleet's server, or a worker of one.
#
#     make image IMAGE=cuda            # with docker, podman or buildah
#     docker run --rm --gpus all video-pipeline:cuda doctor
#
# The driver's libraries are the host's: NVIDIA's container toolkit brings in those that NVIDIA_DRIVER_CAPABILITIES
# names. `video` are NVENC and NVDEC. Compiled kernels are kept in the cache's volume.
# docs/containers.md says how to run it. BASE is any image of Debian 12 or newer, DIGEST its digest (sha256:…).
ARG BASE=docker.io/library/debian:bookworm-slim
ARG DIGEST=

# hadolint ignore=DL3006
FROM ${BASE}${DIGEST:+@${DIGEST}} AS build
ARG EXTRAS=farm,web,fleet,cuda
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
WORKDIR /source
# Everything is a wheel before it is installed. The settings of pip and of authorities stay outside of the image.
# hadolint ignore=DL3013,DL3042
RUN --mount=type=secret,id=pip,target=/root/.config/pip/pip.conf \
    --mount=type=secret,id=authorities,target=/root/authorities.pem \
    python3 -m venv /opt/tools \
    && /opt/tools/bin/pip wheel --no-cache-dir --wheel-dir /wheels ".[${EXTRAS}]" \
    && /opt/tools/bin/pip install --no-cache-dir "cyclonedx-bom>=7,<8" \
    && python3 -m venv --without-pip /opt/video-pipeline \
    && /opt/tools/bin/pip --python /opt/video-pipeline/bin/python install \
        --no-index --only-binary :all: --find-links /wheels "video-pipeline[${EXTRAS}]" \
    && /opt/tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /python.cdx.json \
        /opt/video-pipeline/bin/python \
    && python3 docker/inventory.py licences /opt/video-pipeline /third-party

# hadolint ignore=DL3006
FROM ${BASE}${DIGEST:+@${DIGEST}}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libfribidi0 python3 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/video-pipeline video-pipeline \
    && install -d -o 10001 -g 10001 /var/cache/video-pipeline /srv/videos
COPY --from=build /opt/video-pipeline /opt/video-pipeline
COPY --from=build /third-party /source/LICENSE /source/NOTICE /usr/share/doc/video-pipeline/
RUN --mount=type=bind,from=build,target=/build \
    python3 /build/source/docker/inventory.py bill /build/python.cdx.json /usr/share/doc/video-pipeline/sbom.cdx.json
ENV PATH=/opt/video-pipeline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/video-pipeline \
    CACHE_PATH=/var/cache/video-pipeline \
    VIDEO_OUTPUT_PATH=/srv/videos \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility
USER 10001:10001
WORKDIR /srv/videos
VOLUME ["/var/lib/video-pipeline", "/var/cache/video-pipeline", "/srv/videos"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5580/healthz', timeout=5)"]
ENTRYPOINT ["tini", "--", "video-pipeline"]
CMD ["serve"]
