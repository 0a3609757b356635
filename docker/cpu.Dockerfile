# A render node that draws and encodes on the CPU.
#
#     docker build -f docker/cpu.Dockerfile -t video-pipeline:cpu .
#     docker run --rm video-pipeline:cpu doctor
#
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
    && /opt/video-pipeline/bin/pip install --no-cache-dir ".[farm]"

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
    VIDEO_OUTPUT_PATH=/srv/videos
USER 10001:10001
WORKDIR /srv/videos
VOLUME ["/var/lib/video-pipeline", "/var/cache/video-pipeline", "/srv/videos"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5580/healthz', timeout=5)"]
ENTRYPOINT ["tini", "--", "video-pipeline"]
CMD ["serve"]
