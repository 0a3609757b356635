# A render node that uses NVIDIA GPUs.
#
#     docker build -f docker/cuda.Dockerfile -t video-pipeline:cuda .
#     docker run --rm --gpus all video-pipeline:cuda doctor
#
# The driver's libraries are the host's: NVIDIA's container toolkit brings in those that NVIDIA_DRIVER_CAPABILITIES
# names. `video` are NVENC and NVDEC. Compiled kernels are kept in the cache's volume.
# docs/containers.md says how to run it. BASE is any image of Debian 12 or newer.
ARG BASE=debian:bookworm-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
WORKDIR /source
RUN python3 -m venv /opt/video-pipeline \
    && /opt/video-pipeline/bin/pip install --no-cache-dir ".[farm,cuda]"

# hadolint ignore=DL3006
FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libfribidi0 python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/video-pipeline video-pipeline \
    && install -d -o 10001 -g 10001 /var/cache/video-pipeline /srv/videos
COPY --from=build /opt/video-pipeline /opt/video-pipeline
ENV PATH=/opt/video-pipeline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/video-pipeline \
    CACHE_PATH=/var/cache/video-pipeline \
    VIDEO_OUTPUT_PATH=/srv/videos \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER 10001:10001
WORKDIR /srv/videos
VOLUME ["/var/lib/video-pipeline", "/var/cache/video-pipeline", "/srv/videos"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5580/healthz', timeout=5)"]
ENTRYPOINT ["tini", "--", "video-pipeline"]
CMD ["serve"]
